"""Validation accuracy against wall time: one run's network here, in plain numpy, in scikit-learn and in PyTorch.

    python -m bench.rivals_accuracy DIR --data-dir DATA && python -m fastmlp.report DIR --data-dir DATA

All train the same network on the same images with the same settings, for the epochs that the run may take, on one
thread, and look at the validation images after each epoch; peers that are not installed are left out. Starting
weights and the order of the images are each program's own. Writes DIR/rivals.json, which the page draws. Take a quiet
machine.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from fastmlp import reference
from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS, Dataset, split_indices
from fastmlp.files import write_whole
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.initializers import initial_weight, resolve
from fastmlp.nn.threads import blas_threads
from fastmlp.report.rivals import RIVALS
from fastmlp.report.tables import machine
from fastmlp.runs.environment import environment
from fastmlp.runs.results import RunResult, load_results
from fastmlp.runs.run import compile_for, run_one
from fastmlp.sweep.source import dataset_of

Pair = tuple[np.ndarray, np.ndarray]
Trainer = Callable[[RunConfig, Pair, Pair], Iterator[float]]  # yields the validation accuracy after each epoch


def by_reference(config: RunConfig, train: Pair, validation: Pair) -> Iterator[float]:
    """Train `fastmlp.reference`, in float64."""
    rng = np.random.default_rng(config.seed)
    init, sizes = resolve(config.init, str(config.activation)), list(pairwise(config.layers))
    weights = [initial_weight(init, d, h, np.dtype(np.float64), rng) for d, h in sizes]
    network = reference.Network(weights, [np.zeros(h) for _, h in sizes], config.activation)
    while True:
        order = rng.permutation(len(train[0]))
        reference.train_epoch(network, *train, order, config.batch_size,
            lr=config.lr, momentum=config.momentum or 0.0, weight_decay=config.decay_an_update)  # fmt: skip
        yield network.evaluate(*validation)[1]


def by_sklearn(config: RunConfig, train: Pair, validation: Pair) -> Iterator[float]:
    """Train MLPClassifier; its alpha is divided by the batch, and decays no bias."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        config.layers[1:-1], activation=str(ACTIVATIONS[config.activation].sklearn),
        solver="sgd", alpha=config.decay_an_update * config.batch_size,
        batch_size=config.batch_size,  # pyright: ignore[reportArgumentType] - its annotation knows "auto" only
        learning_rate_init=config.lr, momentum=config.momentum or 0.0, nesterovs_momentum=False, random_state=config.seed,
    )  # fmt: skip
    while True:
        model.partial_fit(*train, classes=np.arange(config.layers[-1]))
        yield float(model.score(*validation))


def by_torch(config: RunConfig, train: Pair, validation: Pair) -> Iterator[float]:
    """Train eager PyTorch, float32; without decay of biases."""
    import torch  # pyright: ignore[reportMissingImports] - optional

    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    act = ACTIVATIONS[config.activation]
    parts = [part for d, h in pairwise(config.layers) for part in (torch.nn.Linear(d, h), act.torch(torch.nn))]
    model = torch.nn.Sequential(*parts[:-1])
    decays = [{"params": [p for p in model.parameters() if p.ndim == n], "weight_decay": wd}
        for n, wd in ((2, config.decay_an_update), (1, 0.0))]  # fmt: skip
    optimizer = torch.optim.SGD(decays, lr=config.lr, momentum=config.momentum or 0.0, fused=True)
    x, labels, x_val, labels_val = (torch.from_numpy(a) for a in (*train, *validation))
    while True:
        for rows in torch.randperm(len(x)).split(config.batch_size):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            yield (model(x_val).argmax(dim=1) == labels_val).double().mean().item()


RIVALS_BY_NAME: dict[str, tuple[Trainer, type, str]] = {  # with the dtype of its inputs, and the package it needs
    "plain numpy, float64": (by_reference, np.float64, "numpy"),
    "scikit-learn, float32": (by_sklearn, np.float32, "sklearn"),
    "PyTorch, float32": (by_torch, np.float32, "torch"),
}


def measured(name: str, config: RunConfig, dataset: Dataset) -> dict[str, Any]:
    """Return the seconds at the end of each epoch, and the accuracy there, of the rival of this name."""
    trainer, dtype, _ = RIVALS_BY_NAME[name]
    images, labels = dataset.train_images, dataset.train_labels[config.labels].astype(np.int64)
    parts = split_indices(len(labels), config.validation_fraction, np.random.default_rng(config.seed))
    mean, inv_std = NORMALIZATIONS[config.normalize](images, parts[0], images, dtype)
    x = reference.normalize(images, mean, inv_std).astype(dtype, copy=False)
    train, validation = ((x[part], labels[part]) for part in parts)
    seconds, accuracies, start = [], [], time.perf_counter()
    epochs = zip(range(config.epochs), trainer(config, train, validation), strict=False)
    for _, accuracy in track(epochs, name, total=config.epochs):
        seconds.append(time.perf_counter() - start)
        accuracies.append(float(accuracy))
    return {"name": name, "seconds": seconds, "val_accuracy": accuracies}


def ours(config: RunConfig, dataset: Dataset) -> dict[str, Any]:
    """Return the same of this package, compiled before."""
    compile_for(config)
    seconds, start = [], time.perf_counter()
    run = run_one(config, dataset, on_epoch=lambda *_: seconds.append(time.perf_counter() - start), test=False)
    return {"name": f"fastmlp, {config.precision}", "seconds": seconds, "val_accuracy": run.history["val_accuracy"]}


def compared(run: RunResult, dataset: Dataset) -> list[dict[str, Any]]:
    """Return fastmlp in the run's precision, and every rival that is installed, on one thread each."""
    config = replace(run.config, threads=1, patience=run.config.epochs)
    with blas_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn: that one epoch did not converge
        found = [ours(config, dataset)]
        names = [name for name, (_, _, package) in RIVALS_BY_NAME.items() if find_spec(package)]
        return found + [measured(name, config, dataset) for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.rivals_accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="what `python -m fastmlp.train --out` wrote")
    parser.add_argument("--run", help="a run's id (default: the first run with constant schedule and plain images)")
    parser.add_argument("--data-dir", type=Path, help="where the data set lies (default: as in training)")
    args = parser.parse_args(argv)
    there, runs = load_results(args.folder / "results.json")
    plain = [run for run in runs if _is_plain(run.config)]
    run = next((run for run in plain if args.run in (None, run.run_id)), None)
    if run is None:
        print("No run of that id, or none without schedule, augmentation and starting weights.", file=sys.stderr)
        return 2
    dataset = dataset_of(args.folder, run.dataset, there["dataset"]["fingerprint"], args.data_dir)
    rivals = compared(run, dataset)
    used = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "torch") if find_spec(_module(name)))
    about = (
        f"{'-'.join(map(str, run.config.layers))} {run.config.activation}, {run.normalize} normalisation, trained and "
        f"validated by each program on 1 thread, without loading and compiling, the rivals also without "
        f"normalising; {used}. "
        f"{machine(environment(dataset))}."
    )
    write_whole(args.folder / RIVALS, json.dumps({"run_id": run.run_id, "about": about, "rivals": rivals}, indent=1))
    return 0


def _is_plain(config: RunConfig) -> bool:
    """Whether the rivals can do it too."""
    plain = (config.schedule, config.augment, config.init_from) == ("constant", "none", "")
    return plain and not config.changed and isinstance(config.activation, str)


def _module(package: str) -> str:
    return {"scikit-learn": "sklearn"}.get(package, package)


if __name__ == "__main__":
    raise SystemExit(main())
