"""Permutation importance: how much worse a network is at rows one column of which is shuffled among them.

L. Breiman, Random forests, Machine Learning 45, 2001, section 10. Of columns that say the same each may look needless,
as the network has the other one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.errors import DataError
from fastmlp.nn.checks import check_count, check_name
from fastmlp.runs.metrics import METRICS, Metric, answers_of, measure

# What importance is measured in by itself: of what says more than whether the most probable answer is right.
USUAL = {"classes": "log loss", "labels": "log loss", "numbers": "R2"}
MOST_ROWS = 10_000


@dataclass(frozen=True)
class Importance:
    """How much worse a metric is without what a column says.

    worse : in each repetition, in units of the metric and above 0 where it is worse
    """

    name: str
    worse: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the repetitions."""
        return fmean(self.worse)

    @property
    def spread(self) -> float:
        """Their standard deviation; 0 of one."""
        return stdev(self.worse) if len(self.worse) > 1 else 0.0


@dataclass(frozen=True)
class Importances:
    """The importance of all columns, the largest first.

    metric : what they are measured in; value : that of the rows as they are; rows : their number
    """

    metric: Metric
    value: float
    rows: int
    columns: Sequence[Importance]


def permutation_importance(
    predict: Callable[[NDArray[Any]], ArrayLike],
    rows: NDArray[Any],
    targets: NDArray[Any],
    kind: str,
    columns: Mapping[str, Sequence[int]],
    *,
    weights: NDArray[Any] | None = None,
    metric: str | None = None,
    repeats: int = 5,
    seed: int = 0,
    most_rows: int = MOST_ROWS,
    tell: Callable[[int], None] = lambda _: None,
) -> Importances:
    """Return the permutation importance of each column of rows that the network has not learnt from.

    predict(rows) : outputs (M, K) as of `answers_of`, for rows (M, D), which it must leave as they are
    rows : (M, D) of any dtype; targets : (M,) or (M, K), weights : (M,) or None, as of `answers_of`; kind : theirs
    columns : by name, the numbers from 0 to D - 1 of the values that stand for the column and are shuffled together
    metric : a name of METRICS for this kind; None: that of USUAL
    repeats : how often each column is shuffled; most_rows : of more rows a sample is taken
    tell(count) : called after each column, with how many are done

    Raises ConfigError for a wrong setting, DataError for arrays that do not fit, and where the metric is not defined.
    """
    check_name("kind", kind, METRICS)
    metric = USUAL[kind] if metric is None else metric
    check_name("metric", metric, METRICS[kind])
    check_count("repeats", repeats)
    check_count("most_rows", most_rows)
    counts = [len(rows), len(targets), len(rows if weights is None else weights)]
    if len(set(counts)) > 1 or not len(rows):
        raise DataError(
            f"Rows, targets and weights are {counts} in number; one row or more is needed, with one of each."
        )
    if not columns:
        raise DataError("Importance is that of columns, and there are none; name one or more.")
    for name, places in columns.items():
        if not len(places) or min(places) < 0 or max(places) >= rows.shape[1]:
            raise DataError(f"Column {name!r} has the values {list(places)}; allowed are 0 to {rows.shape[1] - 1}.")
    rng = np.random.default_rng(seed)
    index = np.arange(len(rows))
    if len(rows) > most_rows:
        index = np.sort(rng.choice(index, most_rows, replace=False))
    kept, targets = np.ascontiguousarray(rows[index]), np.asarray(targets)[index]
    weights = None if weights is None else np.asarray(weights)[index]

    def value(of: NDArray[Any]) -> float:
        scores = measure(answers_of(kind, targets, predict(of), weights))
        found = scores.values[metric]
        if found is None:
            raise DataError(f"Importance has no {metric} to go by: {scores.notes[metric]}. Choose another metric.")
        return found

    sign = -1 if METRICS[kind][metric].higher else 1
    base, shuffled, made = value(kept), kept.copy(), []
    for done, (name, places) in enumerate(columns.items(), 1):
        at, worse = list(places), []
        for _ in range(repeats):
            shuffled[:, at] = kept[:, at][rng.permutation(len(kept))]
            worse.append(sign * (value(shuffled) - base))
        shuffled[:, at] = kept[:, at]
        made.append(Importance(name, tuple(worse)))
        tell(done)
    return Importances(METRICS[kind][metric], base, len(kept), sorted(made, key=lambda one: -one.mean))
