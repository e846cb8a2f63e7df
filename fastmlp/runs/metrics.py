"""The metrics of what a network says of rows: of classes, of several labels, and of numbers; in plain float64 numpy.

Sizes: `M` rows, `K` classes, labels or numbers. A metric that is not defined, such as the AUC of rows of one class, is
None and has a reason; none is NaN or infinite.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.errors import DataError
from fastmlp.nn.checks import check_name

Floats = NDArray[np.float64]

# Probabilities nearer to 0 or 1 count as this far away, as in scikit-learn: 36 nats are the most that a row can lose.
LEAST = float(np.finfo(np.float64).eps)
# By how much probabilities of float32 or less may miss their range or sum.
ROUNDING = 1e-3
# Numbers that are written whole, from and to.
LARGE, VERY_LARGE = 1e5, 1e12


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of rows beside what they are, as `answers_of` has checked it; rows of weight 0 are left out.

    kind : "classes", "labels" or "numbers"
    targets : (M,) int64 of classes; (M, K) bool of labels; (M, K) float64 of numbers
    outputs : (M, K) float64: probabilities of classes or labels, or numbers
    weights : (M,) float64 above 0, the largest 1
    rows : (M,) int64, which of the rows that were given they are
    bad : number of rows whose outputs are not all finite
    """

    kind: str
    targets: NDArray[Any]
    outputs: Floats
    weights: Floats
    rows: NDArray[np.int64]
    bad: int

    @property
    def columns(self) -> Sequence[int]:
        """The classes or labels that have a curve of their own: of two classes the second, else all."""
        k = self.outputs.shape[1]
        return (1,) if self.kind == "classes" and k == 2 else range(k)

    def hits(self, k: int) -> NDArray[np.bool_]:
        """Return whether each row is of class k, or has label k, (M,) bool."""
        return self.targets == k if self.kind == "classes" else self.targets[:, k]

    def check_finite(self) -> None:
        """Raise DataError where outputs are not finite."""
        if self.bad:
            raise DataError(self.about_bad)

    @property
    def about_bad(self) -> str:
        """A sentence on the rows whose outputs are not finite."""
        return f"{self.bad:,} of {len(self.outputs):,} rows have outputs that are not finite"


def answers_of(kind: str, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None) -> Answers:
    """Return targets and outputs of the same rows, checked and in the forms of `Answers`.

    kind : "classes", "labels" or "numbers"
    targets : (M,) whole numbers from 0 to below K; (M, K) of 0 and 1; or (M, K) finite numbers. (M,) where K is 1
    outputs : (M, K) of any float dtype, (M,) where K is 1: probabilities, of classes of sum 1, or numbers
    weights : (M,) of any dtype, finite and 0 or more, one of them above; None for ones

    Raises ConfigError for another kind, DataError for arrays that are not as above.
    """
    check_name("kind", kind, METRICS)
    told = np.asarray(outputs, np.float64)
    told = told[:, None] if told.ndim == 1 else told
    is_of = np.asarray(targets)
    if kind != "classes" and is_of.ndim == 1:
        is_of = is_of[:, None]
    shape = told.shape[:1] if kind == "classes" else told.shape
    if told.ndim != 2 or not told.size or is_of.shape != shape:
        raise DataError(
            f"Targets have the shape {np.shape(targets)} and outputs {np.shape(outputs)}; allowed are of {kind} "
            f"targets {'(M,)' if kind == 'classes' else '(M, K)'} and outputs (M, K), with one row or more."
        )
    check_targets(kind, is_of, told.shape[1])
    bad = int(np.sum(~np.isfinite(told).all(axis=1)))
    if kind != "numbers" and not bad:
        off = max(-told.min(), told.max() - 1, np.abs(told.sum(axis=1) - 1).max() if kind == "classes" else 0)
        if off > ROUNDING:
            raise DataError(
                f"Outputs of {kind} reach from {told.min():.4g} to {told.max():.4g}; allowed are probabilities, of "
                "classes of sum 1: give what predict_proba returns."
            )
        told = np.clip(told, 0, 1)
    form = {"classes": np.int64, "labels": np.bool_, "numbers": np.float64}[kind]
    is_of, w = is_of.astype(form), relative_weights(weights, len(told))
    rows = np.flatnonzero(w > 0)
    if len(rows) < len(w):
        is_of, told, w = is_of[rows], told[rows], w[rows]
        bad = int(np.sum(~np.isfinite(told).all(axis=1)))
    return Answers(kind, is_of, told, w, rows, bad)


def check_targets(kind: str, targets: NDArray[Any], k: int) -> None:
    """Raise DataError unless targets of any shape and dtype are numbers of their kind: of classes, below k."""
    allowed = {"classes": f"whole numbers from 0 to {k - 1}", "labels": "0 and 1", "numbers": "finite numbers"}[kind]
    if targets.dtype.kind not in "biuf":
        raise DataError(f"Targets of {kind} have the dtype {targets.dtype}; allowed are {allowed}.")
    if kind == "numbers":
        wrong = ~np.isfinite(targets)
    elif kind == "labels":
        wrong = (targets != 0) & (targets != 1)
    else:
        wrong = ~((targets >= 0) & (targets < k) & (targets == np.floor(targets)))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(f"The target of row {place[0]} is {targets[place]}; allowed of {kind} are {allowed}.")


def relative_weights(weights: ArrayLike | None, n: int) -> Floats:
    """Return weights (n,) of any dtype as float64, the largest 1; ones for None. Raises DataError for others."""
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights)
    if w.shape != (n,) or w.dtype.kind not in "biuf" or not np.isfinite(w).all() or w.min() < 0 or w.max() <= 0:
        raise DataError(
            f"Weights of the shape {w.shape} and dtype {w.dtype} are not a finite number of 0 or more for each of "
            f"{n:,} rows, one of them above 0."
        )
    return w.astype(np.float64) / float(w.max())


@dataclass(frozen=True)
class Scores:
    """The metrics of some answers, by the names of METRICS.

    values : each, None where it is not defined
    notes : of some of these names: why the metric is not defined, or what it leaves out
    each : for several labels or numbers, by name, the metric of each of them
    """

    values: dict[str, float | None]
    notes: dict[str, str] = field(default_factory=dict)
    each: dict[str, tuple[float | None, ...]] = field(default_factory=dict)


def measure(answers: Answers) -> Scores:
    """Return all metrics of METRICS for the kind of these answers."""
    table = METRICS[answers.kind]
    if answers.bad:
        return Scores(dict.fromkeys(table), dict.fromkeys(table, answers.about_bad))
    found = {name: metric.of(answers) for name, metric in table.items()}
    return Scores(
        {name: one.value for name, one in found.items()},
        {name: one.note for name, one in found.items() if one.note},
        {name: one.each for name, one in found.items() if len(one.each) > 1},
    )


def area_under_roc(hits: NDArray[np.bool_], scores: Floats, weights: Floats) -> float | None:
    """Return the chance that a row that is a hit has a higher score than one that is none, equal ones counted half.

    hits : (M,) bool; scores, weights : (M,) float64. None where all rows are hits, or none is
    """
    if hits.all() or not hits.any():
        return None
    place = np.unique(scores, return_inverse=True)[1]
    right = np.bincount(place, weights * hits)
    wrong = np.bincount(place, weights * ~hits)
    below = np.cumsum(wrong) - 0.5 * wrong
    return min(1.0, float((right / right.sum()) @ (below / wrong.sum())))


class _Found(NamedTuple):
    value: float | None
    note: str = ""
    each: tuple[float | None, ...] = ()


def _mean(each: Sequence[float | None], whole: str, what: str, why: str) -> _Found:
    """Return the mean of those that are defined.

    whole : what they are, in the plural; what : they are where they are defined; why : why none is, where none is
    """
    defined = [one for one in each if one is not None]
    if not defined:
        return _Found(None, why, tuple(each))
    mean = math.fsum(one / len(defined) for one in defined)
    left_out = "" if len(defined) == len(each) else f"over the {len(defined)} of {len(each)} {whole} {what}"
    return _Found(mean, left_out, tuple(each))


def _average(values: NDArray[Any], weights: Floats) -> float:
    return float(values @ weights / weights.sum())


def _sums(answers: Answers) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return, by class (K,), the weights of the rows that are of it, that were taken for it, and both."""
    k, w = answers.outputs.shape[1], answers.weights
    said = answers.outputs.argmax(axis=1)
    right = said == answers.targets
    return (
        np.bincount(answers.targets, w, k),
        np.bincount(said, w, k),
        np.bincount(answers.targets[right], w[right], k),
    )


def _accuracy(answers: Answers) -> _Found:
    return _Found(_average(answers.outputs.argmax(axis=1) == answers.targets, answers.weights))


def _balanced_accuracy(answers: Answers) -> _Found:
    are, _, right = _sums(answers)
    recalls = [float(r / a) if a else None for r, a in zip(right, are, strict=True)]
    return _mean(recalls, "classes", "that have rows here", "")._replace(each=())


def _macro_f1(answers: Answers) -> _Found:
    are, said, right = _sums(answers)
    met = are + said
    scores = [float(2 * r / m) if m else None for r, m in zip(right, met, strict=True)]
    return _mean(scores, "classes", "that have rows here or were said", "")._replace(each=())


def _log_loss(answers: Answers) -> _Found:
    true = np.take_along_axis(answers.outputs, answers.targets[:, None], axis=1)[:, 0]
    return _Found(_average(-np.log(np.maximum(true, LEAST)), answers.weights))


def _auc(answers: Answers) -> _Found:
    areas = [area_under_roc(answers.hits(k), answers.outputs[:, k], answers.weights) for k in answers.columns]
    if answers.kind == "labels":
        return _mean(
            areas, "labels", "that some rows here have and some have not", "no label differs between rows here"
        )
    return _mean(areas, "classes", "that have rows here", "all rows here are of one class")._replace(each=())


def _subset_accuracy(answers: Answers) -> _Found:
    return _Found(_average(((answers.outputs > 0.5) == answers.targets).all(axis=1), answers.weights))


def _hamming(answers: Answers) -> _Found:
    wrong = (answers.outputs > 0.5) != answers.targets
    return _mean([_average(column, answers.weights) for column in wrong.T], "", "", "")


def _label_log_loss(answers: Answers) -> _Found:
    true = np.maximum(np.where(answers.targets, answers.outputs, 1 - answers.outputs), LEAST)
    return _mean([_average(column, answers.weights) for column in -np.log(true).T], "", "", "")


def _of_numbers(formula: Callable[[Floats, Floats, Floats], float], why: str, answers: Answers) -> _Found:
    """Return the mean over the numbers of formula(targets, outputs, weights), each (M,); why : where none is finite."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is then not defined
        found = [formula(t, o, answers.weights) for t, o in zip(answers.targets.T, answers.outputs.T, strict=True)]
    return _mean([one if math.isfinite(one) else None for one in found], "numbers", "of which it is defined", why)


def _scaled(*columns: Floats) -> tuple[float, list[Floats]]:
    """Return a power of two, and the columns (M,) divided by it, exactly, so that no square of them is infinite."""
    most = max(float(np.abs(column).max()) for column in columns)
    power = math.frexp(most)[1] - 1
    return math.ldexp(1.0, power), [np.ldexp(column, -power) for column in columns]


def _rmse(targets: Floats, outputs: Floats, weights: Floats) -> float:
    scale, [t, o] = _scaled(targets, outputs)
    unit, [apart] = _scaled(o - t)
    return math.sqrt(_average(apart**2, weights)) * unit * scale


def _mae(targets: Floats, outputs: Floats, weights: Floats) -> float:
    scale, [t, o] = _scaled(targets, outputs)
    return _average(np.abs(o - t), weights) * scale


def _r2(targets: Floats, outputs: Floats, weights: Floats) -> float:
    if targets.min() == targets.max():
        return -math.inf
    scale, [t] = _scaled(targets)
    spread = _rmse(t, np.full_like(t, _average(t, weights)), weights) * scale
    ratio = _rmse(targets, outputs, weights) / spread if spread else math.inf
    return 1 - ratio * ratio


@dataclass(frozen=True)
class Metric:
    """A metric: what it is called, which way it is better, how it is written, and what it says.

    higher : whether a higher one is better
    unit : "%" of a share that is written so, "nats", or empty: that of the target, or none
    form : of the number, for `format`
    words : one line for who does not know it
    of : its value for answers of its kind, with a note where it is not defined or leaves something out
    """

    name: str
    higher: bool
    unit: str
    form: str
    words: str
    of: Callable[[Answers], _Found]

    @property
    def heading(self) -> str:
        """The name with its unit, for a column of a table."""
        return f"{self.name} in {self.unit}" if self.unit else self.name

    def text(self, value: float | None) -> str:
        """Return a value as it stands under the heading; a dash for None."""
        if value is None:
            return "-"
        if LARGE <= abs(value) < VERY_LARGE:
            return f"{value:,.0f}"  # as all its digits can be read
        if abs(value) >= VERY_LARGE:
            return f"{value:.5g}"
        return format(100 * value if self.unit == "%" else value, f"z{self.form}")  # z: no -0.0000


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


_HUGE = "it is beyond the numbers of float64"
METRICS = {
    "classes": _table(
        Metric("accuracy", True, "%", ".2f", "Share of the rows whose most probable class is right.", _accuracy),
        Metric(
            "balanced accuracy",
            True,
            "%",
            ".2f",
            "Mean over the classes of the share of a class's rows that are right: rare ones count as much as others.",
            _balanced_accuracy,
        ),
        Metric(
            "log loss",
            False,
            "nats",
            ".4f",
            "Mean of -log(probability of the right class): 0 for certain and right, the lower the better.",
            _log_loss,
        ),
        Metric(
            "AUC",
            True,
            "",
            ".4f",
            "Area under the ROC curve: the chance that a row of a class has a higher probability of it than another "
            "row; of more than two classes the mean of each against the rest. 0.5 is guessing.",
            _auc,
        ),
        Metric(
            "macro F1",
            True,
            "",
            ".4f",
            "Mean over the classes of the harmonic mean of precision and recall.",
            _macro_f1,
        ),
    ),
    "labels": _table(
        Metric(
            "subset accuracy", True, "%", ".2f", "Share of the rows of which all labels are right.", _subset_accuracy
        ),
        Metric(
            "mean AUC",
            True,
            "",
            ".4f",
            "Mean over the labels of the area under the ROC curve: the chance that a row with the label has a higher "
            "probability of it than one without. 0.5 is guessing.",
            _auc,
        ),
        Metric("Hamming loss", False, "%", ".2f", "Share of all labels of all rows that are wrong.", _hamming),
        Metric(
            "log loss",
            False,
            "nats",
            ".4f",
            "Mean over rows and labels of -log(probability of what is right): the lower the better.",
            _label_log_loss,
        ),
    ),
    "numbers": _table(
        Metric(
            "RMSE",
            False,
            "",
            ".5g",
            "Root of the mean squared error, in the target's unit.",
            partial(_of_numbers, _rmse, _HUGE),
        ),
        Metric(
            "MAE", False, "", ".5g", "Mean absolute error, in the target's unit.", partial(_of_numbers, _mae, _HUGE)
        ),
        Metric(
            "R2",
            True,
            "",
            ".4f",
            "Share of the target's variance that is explained: 1 is exact, 0 as good as the mean, below 0 worse.",
            partial(_of_numbers, _r2, f"the target is constant here, or {_HUGE}"),
        ),
    ),
}
