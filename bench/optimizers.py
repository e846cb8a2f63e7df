"""Write bench/README.md's block on optimisers: what a step takes by each, and with its gradient clipped.

    python -m bench.optimizers --readme bench/README.md      (without --readme the table is printed)

Every step is of the compiled run, on one thread, on made-up rows. The cases of a network take turns, a few steps at a
time; shown are medians of the CPU time, and of each round's ratio to plain SGD.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from bench.machine import cpu
from bench.measured import in_units
from bench.readme import give_block, markdown
from fastmlp import MLP
from fastmlp.nn.optimizer import OPTIMIZERS

BLOCK = "optimizers"
ROUNDS = 30
CLIP = 1.0


class Network(NamedTuple):
    """A network, rows a step, and steps a round."""

    layers: tuple[int, ...]
    batch: int
    steps: int


NETWORKS = (Network((3072, 128, 20), 1024, 4), Network((100, 100, 10), 200, 200))


def measured(network: Network, dtype: str, rounds: int) -> dict[tuple[str, float], list[float]]:
    """Return the seconds of a step in each round, by the optimiser's name and the norm that it clips to."""
    rng, rows = np.random.default_rng(0), network.batch * network.steps
    x, labels = rng.standard_normal((rows, network.layers[0])), rng.integers(0, network.layers[-1], rows)
    cases = {}
    for name, kind in OPTIMIZERS.items():
        for clip in (0.0, CLIP):
            model = MLP(network.layers, precision=dtype, threads=1)
            cases[name, clip] = model, model.examples(x.astype(dtype), labels), kind(lr=1e-5, clip_norm=clip)
    order, found = np.arange(rows), {case: [] for case in cases}
    for i in track(range(rounds + 1), f"{'-'.join(map(str, network.layers))}, {dtype}", console=Console(stderr=True)):
        for case, (model, examples, optimizer) in cases.items():
            began = time.process_time()
            model.train_on(examples, order, network.batch, optimizer)
            found[case] += [(time.process_time() - began) / network.steps] if i else []  # the first one compiles
    return found


def render(rounds: int = ROUNDS, networks: Sequence[Network] = NETWORKS) -> str:
    """Measure; return the block."""
    lines = []
    for network in networks:
        for dtype in ("float32", "float64"):
            found = measured(network, dtype, rounds)
            plain = found["sgd", 0.0]
            cells = [
                f"{in_units(median(times))} ({median(a / b for a, b in zip(times, plain, strict=True)):.2f})"
                for times in found.values()
            ]
            lines.append([f"{'-'.join(map(str, network.layers))}, batch {network.batch}", dtype, *cells])
    header = [f"{name}{', clipped' * (clip > 0)}" for name in OPTIMIZERS for clip in (0.0, CLIP)]
    return f"{cpu()}, one thread; CPU time of a step, in brackets that of sgd's.\n\n" + markdown(
        ["network", "dtype", *header], lines
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.optimizers", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--readme", type=Path, help="file whose block is written")
    args = parser.parse_args(argv)
    give_block(args.readme, BLOCK, render())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
