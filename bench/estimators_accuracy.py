"""Write bench/README.md's block on accuracy: this package's estimators beside scikit-learn's, all at their defaults.

    python -m bench.estimators_accuracy --readme bench/README.md      (without --readme the table is printed)

Each pair is fitted to five folds for each of three seeds, on float64 rows as they are, and standardised by the moments
of the folds' training rows. scikit-learn trains by Adam. Shown are means and standard deviations over seeds and folds,
and the median seconds of a fit. Defaults were chosen on other data, but for one thing: that features of one unit are
standardised by one deviation was tried because of iris, and then measured on made-up rows.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from sklearn import datasets
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.machine import cpu
from bench.readme import give_block, markdown
from fastmlp.nn.threads import blas_threads
from fastmlp.sklearn import FastMLPClassifier, FastMLPRegressor

BLOCK = "estimators-accuracy"
FOLDS, SEEDS = 5, 3


class Task(NamedTuple):
    """A data set: its rows and targets, and whether these are classes."""

    rows: Callable[[], tuple[np.ndarray, np.ndarray]]
    of_classes: bool = True


def _loaded(load: Callable[..., Any]) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: load(return_X_y=True)


TASKS = {
    "breast cancer": Task(_loaded(datasets.load_breast_cancer)),
    "wine": Task(_loaded(datasets.load_wine)),
    "digits": Task(_loaded(datasets.load_digits)),
    "iris": Task(_loaded(datasets.load_iris)),
    "diabetes": Task(_loaded(datasets.load_diabetes), of_classes=False),
    "friedman1": Task(lambda: datasets.make_friedman1(1000, noise=1.0, random_state=0), of_classes=False),
}
ESTIMATORS = {True: (FastMLPClassifier, MLPClassifier), False: (FastMLPRegressor, MLPRegressor)}


class Fits(NamedTuple):
    """Of each fit: the score on the rows that were left out, their log loss (NaN for numbers), and seconds."""

    scores: list[float]
    losses: list[float]
    seconds: list[float]


def measured(task: Task, kind: type, *, scaled: bool, seeds: int = SEEDS) -> Fits:
    """Fit an estimator at its defaults to all folds of a task, for so many seeds."""
    (x, y), found = task.rows(), Fits([], [], [])
    folds = StratifiedKFold if task.of_classes else KFold
    for seed in range(seeds):
        for train, test in folds(FOLDS, shuffle=True, random_state=seed).split(x, y):
            model = kind(random_state=seed)
            model = make_pipeline(StandardScaler(), model) if scaled else model
            began = time.perf_counter()
            model.fit(x[train], y[train])
            found.seconds.append(time.perf_counter() - began)
            found.scores.append(float(model.score(x[test], y[test])))
            found.losses.append(log_loss(y[test], model.predict_proba(x[test])) if task.of_classes else np.nan)
    return found


def render(names: Sequence[str] = tuple(TASKS), seeds: int = SEEDS) -> str:
    """Measure on the tasks of these names; return the block."""
    cases = [(name, scaled, kind) for name in names for scaled in (False, True)
        for kind in ESTIMATORS[TASKS[name].of_classes]]  # fmt: skip
    lines = []
    with blas_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of epochs that were not enough
        for kind in {case[2] for case in cases if case[2] in (FastMLPClassifier, FastMLPRegressor)}:
            kind(max_iter=2).fit(np.eye(4), np.arange(4) % 2)  # compiles
        for name, scaled, kind in track(cases, "Data sets", console=Console(stderr=True)):
            fits = measured(TASKS[name], kind, scaled=scaled, seeds=seeds)
            score = f"{np.mean(fits.scores):.4f} ± {np.std(fits.scores):.4f}"
            loss = f"{np.mean(fits.losses):.3f}" if TASKS[name].of_classes else ""
            rows = f"{name}, {'standardised' if scaled else 'as it is'}"
            lines.append([rows, kind.__name__, score, loss, f"{median(fits.seconds):.3f} s"])
    header = ["rows", "estimator", "accuracy, or R²", "log loss", "fit"]
    head = f"{cpu()}; float64, one thread, defaults, {FOLDS} folds, {seeds} seeds; mean ± standard deviation"
    return f"{head}\n\n{markdown(header, lines)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.estimators_accuracy", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=tuple(TASKS), help="data sets (default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds (default: {SEEDS})")
    parser.add_argument("--readme", type=Path, help="the file with the markers; without it the table is printed")
    args = parser.parse_args(argv)
    give_block(args.readme, BLOCK, render(args.tasks, args.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
