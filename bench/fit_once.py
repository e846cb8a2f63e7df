"""One fit of one scikit-learn estimator in a process of its own: its time, memory and test accuracy, as JSON.

    python -m bench.fit_once fastmlp tabular --threads 1 --seed 0 --epochs 30

`bench.estimators` starts these. Both estimators get the same float32 rows and settings; the weights that they begin
with are their own.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fastmlp import coretype

Rows = tuple[Any, Any]  # x (M, D) float32, labels (M,)


class Case(NamedTuple):
    """Data and the settings of both estimators."""

    data: Callable[[Path | None], tuple[str, Rows, Rows]]  # its name, rows to train and to test on
    hidden: int
    batch: int
    lr: float
    weight_decay: float
    epochs: int


def _tabular(_data_dir: Path | None) -> tuple[str, Rows, Rows]:
    import numpy as np
    from sklearn.datasets import make_classification
    from sklearn.preprocessing import StandardScaler

    x, y = make_classification(12_500, 100, n_informative=20, n_classes=5, random_state=0)
    x = np.asarray(StandardScaler().fit(x[:10_000]).transform(x), np.float32)
    return "make_classification", (x[:10_000], y[:10_000]), (x[10_000:], y[10_000:])


def _images(data_dir: Path | None) -> tuple[str, Rows, Rows]:
    import numpy as np

    from fastmlp.data import NORMALIZATIONS, load_dataset
    from fastmlp.inputs import ImageInput

    dataset, parts = load_dataset("auto", data_dir), []
    for images, labels in (
        (dataset.train_images, dataset.train_labels["coarse"]),
        (dataset.test_images, dataset.test_labels["coarse"]),
    ):
        rows, x = np.arange(len(images)), np.empty(images.shape, np.float32)
        ImageInput(images, *NORMALIZATIONS["image"](images, rows, images, np.float32)).gather(rows, x)
        parts.append((x, labels))
    return dataset.name, *parts


CASES = {
    "tabular": Case(_tabular, hidden=128, batch=200, lr=0.01, weight_decay=1e-4, epochs=50),
    "images": Case(_images, hidden=128, batch=1024, lr=0.005, weight_decay=0.01, epochs=4),  # the report's network
}


def _fastmlp(case: Case, epochs: int, threads: int, seed: int) -> Any:
    from fastmlp.sklearn import FastMLPClassifier

    return FastMLPClassifier(
        (case.hidden,), "relu", batch_size=case.batch, learning_rate_init=case.lr, momentum=0.9,
        weight_decay=case.weight_decay, max_iter=epochs, random_state=seed, threads=threads,
    )  # fmt: skip


def _scikit_learn(case: Case, epochs: int, _threads: int, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        (case.hidden,), "relu", solver="sgd", batch_size=case.batch,  # pyright: ignore[reportArgumentType]
        learning_rate_init=case.lr, momentum=0.9, nesterovs_momentum=False, alpha=case.weight_decay * case.batch,
        max_iter=epochs, n_iter_no_change=epochs, tol=0.0, random_state=seed,
    )  # fmt: skip


ESTIMATORS: dict[str, Callable[[Case, int, int, int], Any]] = {"fastmlp": _fastmlp, "sklearn": _scikit_learn}


def measure(name: str, case: Case, data_dir: Path | None, epochs: int, threads: int, seed: int) -> dict[str, Any]:
    """Return what the fit took. Compiled code is loaded before, by a fit of one epoch on two batches."""
    from bench.rounds import peak_memory, reset_peak_memory

    data, (x, y), test = case.data(data_dir)
    few = slice(max(case.batch + 1, 200))  # with a smaller last batch, and rows of each class
    started = time.perf_counter()
    ESTIMATORS[name](case, 1, threads, seed).fit(x[few], y[few])
    loading = time.perf_counter() - started
    model = ESTIMATORS[name](case, epochs, threads, seed)
    reset_peak_memory()
    before, started = peak_memory(), time.perf_counter()
    model.fit(x, y)
    seconds, most = time.perf_counter() - started, peak_memory()
    if model.n_iter_ != epochs:
        raise RuntimeError(f"{name} ended after {model.n_iter_} of {epochs} epochs")
    network = "-".join(map(str, (x.shape[1], case.hidden, len(model.classes_))))
    return {
        "data": data, "rows": len(x), "network": network, "epochs": epochs, "seconds": seconds, "loading": loading,
        "peak": most, "added": most - before, "accuracy": model.score(*test),
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as one line of JSON; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.fit_once")
    parser.add_argument("estimator", choices=list(ESTIMATORS))
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-100 lies")
    parser.add_argument("--epochs", type=int, help="(default: the case's)")
    parser.add_argument("--threads", type=int, default=1, help="(default: %(default)s); BLAS reads the environment")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    coretype.apply()
    from sklearn.exceptions import ConvergenceWarning  # numpy comes with it, and now finds the BLAS kernels

    warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are few on purpose
    case = CASES[args.case]
    epochs = args.epochs or case.epochs
    print(json.dumps(measure(args.estimator, case, args.data_dir, epochs, args.threads, args.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
