"""Write bench/README.md's block on estimators: FastMLPClassifier beside MLPClassifier, with equal settings.

    python -m bench.estimators --data-dir DATA --readme bench/README.md      (without --readme the table is printed)

Each fit has a process of its own, in which a fit of two batches went before; the two take turns, and medians are shown.
scikit-learn's alpha is the weight decay times the batch size, its momentum is not Nesterov's, and no one stops early.
Both get the same float32 rows, those of images normalised beforehand. Take a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from bench.machine import cpu
from bench.readme import give_block, markdown
from bench.rounds import peak_memory, reset_peak_memory
from fastmlp import reference
from fastmlp.data import NORMALIZATIONS, load_dataset
from fastmlp.nn.threads import blas_threads, usable_cores

BLOCK = "estimators"
MOMENTUM, REPEATS = 0.9, 3
# numpy is loaded after the choice of BLAS kernels, which scikit-learn gains from
CHILD = "from fastmlp.coretype import apply; apply(); from bench.estimators import main; raise SystemExit(main())"
ESTIMATORS = {"fastmlp": "FastMLPClassifier", "sklearn": "MLPClassifier"}


class Task(NamedTuple):
    """What is fitted: rows by name, hidden units, activation, and the settings of both."""

    title: str
    hidden: int
    activation: str
    lr: float
    weight_decay: float
    batch: int
    epochs: int


TASKS = {
    "tabular": Task("10,000 x 100, 10 classes, made up", 100, "relu", 0.05, 1e-4, 200, 30),
    "images": Task("images x 3072, 20 classes", 128, "tanh", 0.005, 0.01, 1024, 5),
}


def rows(name: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    """Return float32 rows and labels to fit, the same to test on, and what they are."""
    if name == "tabular":
        from sklearn.datasets import make_classification

        shape: dict[str, Any] = {"n_informative": 40, "n_classes": 10, "class_sep": 2.0, "random_state": 0}
        x, y = make_classification(20_000, 100, **shape)
        x, y = np.asarray(x, np.float32), np.asarray(y)
        return x[:10_000], y[:10_000], x[10_000:], y[10_000:], TASKS[name].title
    data = load_dataset("auto", data_dir, download=False)
    parts = []
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        moments = NORMALIZATIONS["image"](images, np.arange(len(images)), images, np.float32)
        normalized = reference.normalize(images, *moments).astype(np.float32)  # the reference works in float64
        parts += [normalized, next(iter(labels.values()))]
    x, y, x_test, y_test = parts
    return x, y, x_test, y_test, f"{len(x):,} {TASKS[name].title.replace('images', f'images of {data.name}')}"


def estimator(kind: str, task: Task, threads: int) -> Any:
    """Return the estimator, not fitted."""
    if kind == "fastmlp":
        from fastmlp.sklearn import FastMLPClassifier

        return FastMLPClassifier(
            (task.hidden,), task.activation, optimizer="sgd", learning_rate_init=task.lr, momentum=MOMENTUM,
            weight_decay=task.weight_decay, batch_size=task.batch, max_iter=task.epochs, threads=threads,
            standardize=False, random_state=0,
        )  # fmt: skip
    from sklearn.neural_network import MLPClassifier

    size: dict[str, Any] = {"batch_size": task.batch}
    return MLPClassifier(
        (task.hidden,), activation=task.activation, solver="sgd", learning_rate_init=task.lr, momentum=MOMENTUM,
        nesterovs_momentum=False, alpha=task.weight_decay * task.batch, max_iter=task.epochs,
        n_iter_no_change=task.epochs, random_state=0, **size,
    )  # fmt: skip


def measured(kind: str, name: str, threads: int, data_dir: Path | None) -> dict[str, Any]:
    """Fit in this process; return seconds, peak memory in bytes, test accuracy, and what was fitted."""
    task, (x, y, x_test, y_test, about) = TASKS[name], rows(name, data_dir)
    few = 2 * task.batch
    with blas_threads(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of epochs that were not enough
        began = time.perf_counter()
        estimator(kind, task._replace(epochs=1), threads).fit(x[:few], np.arange(few) % (y.max() + 1))
        first = time.perf_counter() - began
        reset_peak_memory()
        before, model = peak_memory(), estimator(kind, task, threads)
        began = time.perf_counter()
        model.fit(x, y)
        seconds = time.perf_counter() - began
        return {
            "about": about,
            "first": first,
            "seconds": seconds,
            "bytes": peak_memory() - before,
            "accuracy": float(model.score(x_test, y_test)),
        }


def _in_a_process(kind: str, name: str, threads: int, data_dir: Path | None) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, "--one", kind, name, str(threads)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    environment = os.environ | {"FASTMLP_NUMBA_CACHE": "0"}  # the first fit compiles, each time
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def render(
    data_dir: Path | None, counts: Sequence[int], repeats: int = REPEATS, names: Sequence[str] = tuple(TASKS)
) -> str:
    """Measure with so many threads each; return the block."""
    cases = [(name, n, kind) for _ in range(repeats) for name in names for n in counts for kind in ESTIMATORS]
    found: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for case in track(cases, "Fits", console=Console(stderr=True)):
        name, threads, kind = case
        found.setdefault(case, []).append(_in_a_process(kind, name, threads, data_dir))
    middle = {
        case: {key: median(result[key] for result in results) for key in ("first", "seconds", "bytes", "accuracy")}
        for case, results in found.items()
    }
    lines = []
    for (name, threads, kind), row in middle.items():
        ratio = row["seconds"] / middle[name, threads, "fastmlp"]["seconds"]
        task, about = TASKS[name], found[name, threads, kind][0]["about"]
        settings = f"{task.hidden} {task.activation}, batch {task.batch}, {task.epochs} epochs"
        times = f"{row['seconds']:.2f} s" + ("" if kind == "fastmlp" else f" ({ratio:.2f}x)")
        memory, accuracy = f"{row['bytes'] / 1e6:,.0f} MB", f"{100 * row['accuracy']:.2f} %"
        lines.append(
            [f"{about}; {settings}", str(threads), ESTIMATORS[kind], times, memory, accuracy, f"{row['first']:.1f} s"]
        )
    header = ["rows; network", "threads", "estimator", "fit", "memory of fit", "test accuracy", "first small fit"]
    head = (
        f"{cpu()}; float32, seed 0; medians over {repeats} fits, each in a new process. Memory: what fitting "
        "adds to the process. The first fit, of two batches, compiles."
    )
    return f"{head}\n\n{markdown(header, lines)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.estimators", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-100 lies; else the embedded images are taken")
    text = "(default: 1, and all cores)"
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, usable_cores()}), help=text)
    parser.add_argument("--readme", type=Path, help="the file with the markers; without it the table is printed")
    parser.add_argument("--one", nargs=3, metavar=("ESTIMATOR", "TASK", "THREADS"), help="one fit, as JSON")
    args = parser.parse_args(argv)
    if args.one:
        kind, name, threads = args.one
        print(json.dumps(measured(kind, name, int(threads), args.data_dir)))
        return 0
    give_block(args.readme, BLOCK, render(args.data_dir, args.threads))
    return 0


if __name__ == "__main__":
    sys.exit(main())
