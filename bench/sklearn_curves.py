"""Write a table of how far fastmlp's MLPClassifier and MLPRegressor come from scikit-learn's, epoch by epoch.

    python -m bench.sklearn_curves --readme bench/README.md      (without --readme the table is printed)

Both fit the same 600 digits from the same random_state. A difference is that of two losses, as a part of
scikit-learn's, and the largest one up to an epoch is shown. Nothing is timed: the machine need not be quiet.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.sparse import csr_array

from bench.machine import cpu
from bench.readme import give_block, markdown

BLOCK = "sklearn-curves"
EPOCHS = (20, 50, 100, 200)
ROWS, HIDDEN, SEED = 600, 32, 1
FORMS = {"dense": np.ascontiguousarray, "sparse": csr_array}
DTYPES = {"float64": np.float64, "float32": np.float32}


class Task(NamedTuple):
    """What is fitted: a name, the estimator, the name of its targets, its settings, and whether rows have weights."""

    title: str
    estimator: str
    targets: str
    settings: dict[str, Any]
    weighted: bool = False


TASKS = (
    Task("10 classes; Adam, ReLU", "MLPClassifier", "classes", {}),
    Task(
        "2 classes; Nesterov, tanh", "MLPClassifier", "binary",
        {"solver": "sgd", "learning_rate_init": 0.01, "activation": "tanh"},
    ),
    Task(
        "3 labels; momentum, invscaling, ReLU", "MLPClassifier", "labels",
        {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False, "learning_rate": "invscaling",
         "power_t": 0.1},
    ),
    Task("2 numbers; Adam, logistic, weights", "MLPRegressor", "numbers", {"activation": "logistic"}, True),
    Task(
        "counts, Poisson; Nesterov, adaptive, ReLU", "MLPRegressor", "counts",
        {"loss": "poisson", "solver": "sgd", "learning_rate_init": 0.001, "learning_rate": "adaptive"},
    ),
    Task("10 classes; L-BFGS, tanh", "MLPClassifier", "classes", {"solver": "lbfgs", "activation": "tanh"}),
)  # fmt: skip


def rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return digits (ROWS, 64) float64 from 0 to 1, and targets of this name."""
    from sklearn.datasets import load_digits

    x, digit = (np.asarray(array) for array in load_digits(return_X_y=True))
    x, digit = x[:ROWS] / 16, digit[:ROWS]
    sums = np.column_stack([x[:, :20].sum(axis=1), x[:, 20:40].sum(axis=1)])
    targets = {
        "classes": digit, "binary": digit % 2, "labels": (digit[:, None] > [2, 5, 7]).astype(int),
        "numbers": sums, "counts": np.round(sums[:, 0]),
    }  # fmt: skip
    return x, targets[name]


def curve(home: Any, task: Task, dtype: str, form: str, epochs: Sequence[int]) -> np.ndarray:
    """Return the loss after each epoch; of L-BFGS, which keeps no curve, after so many of its steps."""
    x, y = rows(task.targets)
    x = FORMS[form](x.astype(DTYPES[dtype]))
    weights = np.random.default_rng(SEED).uniform(0.1, 2, ROWS) if task.weighted else None

    def fitted(most: int) -> Any:
        whole = {"max_iter": most, "tol": 0.0, "n_iter_no_change": np.inf, "random_state": SEED}
        model = getattr(home, task.estimator)(hidden_layer_sizes=HIDDEN, **whole | task.settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of epochs that were not enough
            return model.fit(x, y, weights)

    if task.settings.get("solver") == "lbfgs":
        return np.array([fitted(most).loss_ for most in epochs])
    return np.array(fitted(epochs[-1]).loss_curve_)


def differences(task: Task, dtype: str, form: str, epochs: Sequence[int] = EPOCHS) -> list[float]:
    """Return the largest relative difference of the losses up to each of these epochs."""
    from sklearn import neural_network

    from fastmlp import sklearn

    ours, theirs = (curve(home, task, dtype, form, epochs) for home in (sklearn, neural_network))
    found = np.maximum.accumulate(np.abs(ours - theirs) / np.abs(theirs))
    return [float(found[i if len(found) == len(epochs) else most - 1]) for i, most in enumerate(epochs)]


def render(tasks: Sequence[Task] = TASKS, epochs: Sequence[int] = EPOCHS) -> str:
    """Fit all; return the block."""
    from sklearn import __version__

    cases = [(task, dtype, form) for dtype in DTYPES for task in tasks for form in FORMS]
    lines = [
        [task.title, dtype, form, *(f"{one:.0e}" if one else "0" for one in differences(task, dtype, form, epochs))]
        for task, dtype, form in track(cases, "Fits", console=Console(stderr=True))
    ]
    header = ["targets; solver, activation", "X", "", *(f"{most} epochs" for most in epochs)]
    head = (
        f"{cpu()}; scikit-learn {__version__}; {ROWS} digits, {HIDDEN} hidden units, random_state {SEED}, batch "
        f"200. Largest relative difference of the two loss curves so far; of L-BFGS, of the loss after so many steps."
    )
    return f"{head}\n\n{markdown(header, lines)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.sklearn_curves", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", type=Path, help="the file with the markers; without it the table is printed")
    give_block(parser.parse_args(argv).readme, BLOCK, render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
