"""Write bench/README.md's block of results: the report's table from finished runs, and its time beside the reference's.

    python -m fastmlp.train --data-dir DATA --seeds 3 --out runs/report
    python -m bench.results runs/report --data-dir DATA

One folder's table is taken as it is. Several are shown as one: parts of a sweep may have been made apart. The
reference's time is estimated: a few epochs of each network are timed and multiplied by the epochs that each run took.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from bench.measured import plural
from bench.readme import README, write_block
from fastmlp import reference
from fastmlp.data import NORMALIZATIONS, Dataset, load_dataset, split_indices
from fastmlp.nn.initializers import initial_weight, resolve
from fastmlp.nn.threads import blas_threads
from fastmlp.report.tables import duration, results_table
from fastmlp.runs.results import RunResult, load_results

EPOCHS = 3


def reference_epoch_seconds(run: RunResult, dataset: Dataset) -> float:
    """Return the median time of an epoch of a run by the plain float64 reference, validation included."""
    config, rng = run.config, np.random.default_rng(run.seed)
    labels = dataset.train_labels[config.labels]
    train, validation = split_indices(len(labels), config.validation_fraction, rng)
    mean, inv_std = NORMALIZATIONS[config.normalize](dataset.train_images, train, dataset.train_images, np.float64)
    x = reference.normalize(dataset.train_images, mean, inv_std)
    init = resolve(config.init, str(config.activation))
    sizes = list(zip(config.layers[:-1], config.layers[1:], strict=True))
    weights = [initial_weight(init, d, h, np.dtype(np.float64), rng) for d, h in sizes]
    network = reference.Network(weights, [np.zeros(h) for _, h in sizes], config.activation)
    parts = (x[train], labels[train]), (x[validation], labels[validation])
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        reference.fit(
            network, *parts, rng, epochs=1, batch_size=config.batch_size,
            lr=config.lr, momentum=config.momentum, weight_decay=config.decay_an_update,
        )  # fmt: skip
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def compare_with_reference(runs: Sequence[RunResult], data_dir: Path) -> str:
    """Return a sentence on the wall time of these runs here and in plain numpy, by the same number of BLAS threads."""
    dataset = load_dataset(runs[0].dataset, data_dir, download=False)
    by_network = {(run.config.layers, run.config.activation): run for run in runs}
    with blas_threads(runs[0].config.threads):
        epoch = {
            key: reference_epoch_seconds(run, dataset) for key, run in track(by_network.items(), "Timing the reference")
        }
    ours = sum(run.seconds for run in runs)
    plain = sum(run.epochs * epoch[run.config.layers, run.config.activation] for run in runs)
    return (
        f"Training and validating the {len(runs)} runs of seed {runs[0].seed} took {duration(ours)}, one after the "
        f"other on {plural(runs[0].config.threads)}; by as many threads the plain float64 reference would take "
        f"{duration(plain)} for the same epochs ({plain / ours:.1f} times as long; {EPOCHS} epochs of each "
        "network timed)."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the block; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="what `python -m fastmlp.train --out` wrote; best first")
    parser.add_argument("--data-dir", type=Path, help="where the data set lies: also compare with the reference's time")
    parser.add_argument("--readme", type=Path, default=README, help="a file with markers (default: bench/README.md)")
    parser.add_argument("--block", default="results", help="the name of the markers (default: results)")
    args = parser.parse_args(argv)
    loaded = [load_results(folder / "results.json") for folder in args.folders]
    runs = [run for _, some in loaded for run in some]
    if len(loaded) == 1:
        block = (args.folders[0] / "table.md").read_text(encoding="utf-8").strip()
    else:
        block = results_table(runs, loaded[0][0]).markdown().strip()
    if args.data_dir:
        first = [run for run in runs if run.seed == runs[0].seed]
        block += "\n\n" + compare_with_reference(first, args.data_dir)
    write_block(args.readme, args.block, block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
