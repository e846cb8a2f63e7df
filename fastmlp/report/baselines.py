"""What simple and usual models reach on the same rows: the best constant answer, and two models of scikit-learn's.

Gradient boosting and a linear model are there where scikit-learn is installed (the extra `sklearn`), with the settings
that it gives them, the linear one on standardised rows. They learn from the training rows alone, and nothing is chosen
by the validation rows.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fastmlp.data import Dataset
from fastmlp.errors import DataError
from fastmlp.nn.checks import check_name
from fastmlp.nn.threads import check_threads
from fastmlp.runs.metrics import METRICS, Scores, answers_of, check_targets, measure, relative_weights

# Values of the rows that a model learns from, 400 MB as float64; of more rows it takes a sample.
MOST_VALUES = 50_000_000
BLOCK = 4_000_000  # values that are predicted at once
FEW_VALUES = 1_000_000  # of rows that one thread learns from: others wait for each other longer than they work
ITERATIONS = 200  # of the logistic regression
MOST_CLASSES = 1_000_000

CONSTANTS = {"classes": "most frequent class", "labels": "frequencies of the labels", "numbers": "mean"}


@dataclass(frozen=True)
class Baseline:
    """What a simple model reaches.

    scores : on the test rows; None where there is no such model, and `note` says why
    seconds : of its training and its answers
    note : what a reader must know of it, or empty; fold : whose rows these are, counted from 1, or 0
    """

    name: str
    scores: Scores | None
    seconds: float = 0.0
    note: str = ""
    fold: int = 0


def baselines(
    kind: str,
    train_rows: NDArray[Any],
    train_targets: NDArray[Any],
    test_rows: NDArray[Any],
    test_targets: NDArray[Any],
    *,
    train_weights: NDArray[Any] | None = None,
    test_weights: NDArray[Any] | None = None,
    threads: int = 1,
    seed: int = 0,
    most_values: int = MOST_VALUES,
    tell: Callable[[str], None] = lambda _: None,
    models: bool = True,
) -> list[Baseline]:
    """Return what simple models reach on the test rows: a constant answer, gradient boosting, and a linear model.

    kind : "classes", "labels" or "numbers", of targets (M,) int64, (M, K) uint8, and (M,) or (M, K) float64
    train_rows, test_rows : (M, D) uint8 or any float, as the network has them
    train_targets, test_targets : (M,) or (M, K), of the kind; train_weights, test_weights : (M,) of any float, or None
    threads : that a model may use; most_values : of the rows that it learns from; of more rows it takes a sample
    models : whether to train these two, or to give the constant answer alone
    tell(sentence) : called before each model that takes a while

    A model that fails has a note in place of scores. Raises ConfigError for `kind` or `threads`, DataError for arrays
    that do not fit together.
    """
    check_threads(threads)
    check_name("kind", kind, METRICS)
    train, test = _Rows.of(kind, train_rows, train_targets), _Rows.of(kind, test_rows, test_targets)
    if train_rows.shape[1] != test_rows.shape[1] or train.targets.shape[1] != test.targets.shape[1]:
        raise DataError("Training and test rows have not the same number of values and targets; make them in one way.")
    if train_weights is not None:
        train = train._replace(weights=relative_weights(train_weights, len(train_rows)))
    k = 1 + int(max(train.targets.max(), test.targets.max())) if kind == "classes" else train.targets.shape[1]

    def scores(outputs: NDArray[Any]) -> Scores:
        return measure(answers_of(kind, test_targets, outputs, test_weights))

    began = time.perf_counter()
    constant = np.broadcast_to(_constant(kind, train, k), (len(test_rows), k))
    found = [Baseline(CONSTANTS[kind], scores(constant), time.perf_counter() - began)]
    for name, make in MODELS[kind].items() if models else ():
        tell(f"Baseline: {name}.")
        notes: list[str] = []
        began = time.perf_counter()
        try:
            sample = train.sample(most_values, seed)
            if len(sample.rows) < len(train_rows):
                notes.append(f"learnt from {len(sample.rows):,} of the {len(train_rows):,} training rows")
            with _quiet(notes):
                outputs = _outputs(kind, lambda make=make: make(seed), sample, test_rows, k, threads)
            found.append(Baseline(name, scores(outputs), time.perf_counter() - began, "; ".join(notes)))
        except ImportError as error:
            words = f"it needs scikit-learn ({error}): pip install 'fastmlp[sklearn]'"
            found.append(Baseline(name, None, 0.0, words))
        except (ValueError, ArithmeticError, MemoryError) as error:  # a sweep's results are not lost for a baseline
            words = str(error).partition("\n")[0] or type(error).__name__
            found.append(Baseline(name, None, time.perf_counter() - began, f"it failed: {words}"))
    return found


def baselines_of(
    dataset: Dataset,
    target: str,
    *,
    threads: int = 1,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
    models: bool = True,
) -> list[Baseline]:
    """Return what simple models reach on the test rows of a data set, of each of its folds; the rest as `baselines`."""
    found = []
    for fold, one in dataset.each_fold():
        of = f" In each of {len(dataset.folds)} folds." if fold else ""
        made = baselines(
            one.kinds[target],
            one.train_images,
            one.train_labels[target],
            one.test_images,
            one.test_labels[target],
            train_weights=one.weights,
            test_weights=one.test_weights,
            threads=threads,
            seed=seed,
            tell=(lambda words, of=of: tell(words + of)) if fold <= 1 else lambda _: None,
            models=models,
        )
        found += [replace(baseline, fold=fold) for baseline in made]
    return found


class _Rows(NamedTuple):
    """What a model learns from: rows (M, D), targets (M, T), T 1 for classes, and weights (M,) or None."""

    rows: NDArray[Any]
    targets: NDArray[Any]
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, kind: str, rows: NDArray[Any], targets: NDArray[Any]) -> "_Rows":
        columns = np.asarray(targets).reshape(len(targets), -1)
        if (
            rows.ndim != 2
            or len(rows) != len(columns)
            or not columns.size
            or (kind == "classes" and columns.shape[1] > 1)
        ):
            raise DataError(f"Rows {rows.shape} and targets {np.shape(targets)} do not fit; each row needs its own.")
        check_targets(kind, columns, MOST_CLASSES)
        return cls(rows, columns.astype(np.int64) if kind == "classes" else columns)

    def sample(self, most_values: int, seed: int) -> "_Rows":
        """Return rows of at most so many values, at random where there are more, and all rows as float64."""
        most = max(1, most_values // max(1, self.rows.shape[1]))
        if len(self.rows) <= most:
            return self._replace(rows=np.asarray(self.rows, np.float64))
        index = np.sort(np.random.default_rng(seed).choice(len(self.rows), most, replace=False))
        weights = None if self.weights is None else self.weights[index]
        return _Rows(np.asarray(self.rows[index], np.float64), self.targets[index], weights)


def _constant(kind: str, train: _Rows, k: int) -> NDArray[np.float64]:
    """Return the answer (K,) of who knows the training targets alone: shares of the classes, or means."""
    if kind == "classes":
        counts = np.bincount(train.targets[:, 0], train.weights, k)
        return counts / counts.sum()
    with np.errstate(over="ignore"):
        return np.average(train.targets.astype(np.float64), axis=0, weights=train.weights)


def _outputs(
    kind: str, make: Callable[[], Any], train: _Rows, test_rows: NDArray[Any], k: int, threads: int
) -> NDArray[np.float64]:
    """Return what models say of the test rows, (M, K), one model for each column of the targets."""
    outputs = np.zeros((len(test_rows), k))
    block = max(1, BLOCK // max(1, test_rows.shape[1]))
    for i, column in enumerate(train.targets.T):
        if column.min() == column.max():  # nothing to learn
            outputs[:, column[0] if kind == "classes" else i] = 1 if kind == "classes" else column[0]
            continue
        model = make()
        last = f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
        with threadpool_limits(
            threads if train.rows.size > FEW_VALUES else 1
        ):  # here, as `make` has loaded its libraries
            model.fit(train.rows, column, **{f"{last}sample_weight": train.weights})
            for start in range(0, len(test_rows), block):
                part, rows = slice(start, start + block), np.asarray(test_rows[start : start + block], np.float64)
                if kind == "numbers":
                    outputs[part, i] = model.predict(rows)
                elif kind == "labels":
                    outputs[part, i] = model.predict_proba(rows)[:, 1]
                else:
                    outputs[part, model.classes_] = model.predict_proba(rows)
    return outputs


@contextmanager
def _quiet(notes: list[str]) -> Iterator[None]:
    """Let no warning through, and note what one says that matters to a reader."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    if any(one.category.__name__ == "ConvergenceWarning" for one in caught):
        notes.append(f"still learning after {ITERATIONS} steps")


def _boosting(of: str) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from sklearn import ensemble

        # Without a validation part of its own, which a class of one row could not be in.
        return getattr(ensemble, of)(early_stopping=False, random_state=seed)

    return make


def _linear(of: str, **settings: Any) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from sklearn import linear_model
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), getattr(linear_model, of)(random_state=seed, **settings))

    return make


_OF_PROBABILITIES = {
    "HistGradientBoosting (scikit-learn)": _boosting("HistGradientBoostingClassifier"),
    "LogisticRegression (scikit-learn)": _linear("LogisticRegression", max_iter=ITERATIONS),
}
MODELS = {
    "classes": _OF_PROBABILITIES,
    "labels": _OF_PROBABILITIES,
    "numbers": {
        "HistGradientBoosting (scikit-learn)": _boosting("HistGradientBoostingRegressor"),
        "Ridge (scikit-learn)": _linear("Ridge"),
    },
}
