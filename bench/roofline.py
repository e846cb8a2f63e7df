"""Show what a training step of 3072-128-20 at batch 1024 consists of: each part's time, bytes, FLOP, share of the peak.

    python -m bench.roofline                      print the table
    python -m bench.roofline --readme bench/README.md   write it between the markers there

One thread, medians. All parts run one after the other on a batch, on the next batch again, so that each finds in the
caches what it would find there in a step; afterwards the weights must be those of as many training steps, bit for bit.
Bytes count what a part has to read and to write, once each, wherever it lies.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from bench import parts, parts_int8
from bench.networks import LR, MOMENTUM, WEIGHT_DECAY, Data, Work, batches
from bench.peak import measure, precisions
from bench.readme import markdown, write_block
from fastmlp import MLP, SGD, ImageInput
from fastmlp.nn.packed.engine import Packed
from fastmlp.runs.environment import cpu_model
from fastmlp_kernels._team import SYNC

BLOCK = "roofline"
WORK, ROWS, PASSES, STEPS = Work((3072, 128, 20), 1024), 40_000, 30, 4
(D, H, K), N = WORK.layers, WORK.batch


# bytes of an element of packed operands: of the first layer, of the others
ELEMENT = {"float32": (4, 4), "bfloat16": (2, 2), "int8": (1, 4)}


class Part(NamedTuple):
    """One row: its name, what it multiplies, and the bytes that it moves with operands of so many bytes an element.

    layer : whose operands, 0 for the first
    """

    name: str
    flop: int
    nbytes: Callable[[int], int]
    layer: int = 0


# in the order of a step, by the function of `bench.parts`; None are not counted and not shown
PARTS = {
    "pack_images": Part("gather, convert and pack images for the first product", 0, lambda e: N * D * (1 + e)),
    "multiply_images": Part("first product", 2 * N * D * H, lambda e: (N * D + D * H) * e + 4 * N * H),
    "first_product": None,
    "activate": Part("bias and tanh", 0, lambda _: 8 * N * H),
    "second_product": Part("second product", 2 * N * H * K, lambda e: 4 * N * (H + K) + H * K * e, 1),
    "loss": Part("bias, softmax, loss and its gradient", 0, lambda _: 8 * N * K),
    "hand_down": Part("gradient handed down", 2 * N * H * K, lambda e: 4 * N * (H + K) + (N + H) * K * e, 1),
    "activate_backward": Part("tanh', bias gradient", 0, lambda _: 12 * N * H),
    "pack_delta": Part("pack the gradient", 0, lambda e: N * H * (4 + e)),
    "pack_pixels": Part("gather, convert and pack pixels for the first gradient", 0, lambda e: N * D * (1 + e)),
    "multiply_pixels": Part("gradient of the first weights", 2 * N * D * H, lambda e: N * (D + H) * e + 4 * D * H),
    "update": Part("update of the first weights", 0, lambda _: 20 * D * H),
    "pack_again": Part("pack the first weights anew", 0, lambda e: D * H * (4 + e)),
    "first_weights": None,
    "second_weights": Part(
        "second weights: gradient, update, packing", 2 * N * H * K, lambda e: N * (4 * H + K * e), 1
    ),
    "biases": Part("biases", 0, lambda _: 20 * (H + K)),
}
SHUFFLE, STEP, EVALUATION = "shuffle, a step's share", "a whole step", "evaluation of a batch"
IN_ALL = {
    SHUFFLE: Part(SHUFFLE, 0, lambda _: 32 * N),
    STEP: Part(STEP, N * WORK.flop_per_row, lambda _: 0),
    EVALUATION: Part(EVALUATION, 2 * N * (D * H + H * K), lambda _: 0),
}


def _model(data: Data, precision: str) -> tuple[MLP, SGD]:
    model = MLP(WORK.layers, "tanh", precision=precision, matmul="packed", threads=1)
    for layer, weight in zip(model.layers, data.weights, strict=True):
        layer.weight[...] = weight
    return model, SGD(LR, MOMENTUM, WEIGHT_DECAY)


class Taken:
    """A step taken apart, over the arrays of a network's own engine."""

    def __init__(self, data: Data, inputs: ImageInput, precision: str) -> None:
        self.model, optimizer = _model(data, precision)
        engine = self.model._engine
        assert isinstance(engine, Packed)
        self.model.evaluate(inputs, data.labels, N)  # packs the weights
        self.data = engine._data(inputs.source(), data.labels, np.arange(ROWS), N)
        self.arrays = (*engine._arrays(self.data), engine._rates(optimizer))
        self.lower = np.zeros((N, H), np.float32)
        self.copies = self.model.layers[0].weight.copy(), np.zeros((D, H), np.float32)
        self.sync = np.zeros(SYNC, np.int64)
        self.of_first = parts_int8 if precision == "int8" else parts

    def run(self, index: np.ndarray) -> Iterator[tuple[str, float]]:
        """Take a step on these rows; yield each part that counts and its seconds."""
        batch = parts.Batch(self.data, index, self.data.labels[index], self.lower, self.copies, self.sync)
        for name, part in PARTS.items():
            start = time.perf_counter()
            (getattr(self.of_first, name, None) or getattr(parts, name))(*self.arrays, batch)
            seconds = time.perf_counter() - start
            if part is not None:
                yield name, seconds


def seconds_by_part(precision: str) -> dict[str, float]:
    """Return the median seconds of each part, and of what `IN_ALL` names."""
    rng, data = np.random.default_rng(0), Data(WORK.layers, ROWS)
    assert data.images is not None
    inputs = ImageInput(*data.images)
    taken, (whole, optimizer) = Taken(data, inputs, precision), _model(data, precision)
    (same, of_same), order = _model(data, precision), rng.permutation(ROWS)[: ROWS // N * N]
    steps = list(batches(order, N))
    seconds: dict[str, list[float]] = {name: [] for name in (*PARTS, *IN_ALL)}

    def timed(name: str, call: Callable[[], object], share: float) -> None:
        start = time.perf_counter()
        call()
        seconds[name].append((time.perf_counter() - start) * share)

    for i in range(1 + PASSES):
        for name, value in taken.run(steps[i]):
            seconds[name].append(value)
        same.train_epoch(inputs, data.labels, of_same, steps[i], N)
        rows = rng.permutation(ROWS)[: STEPS * N]
        timed(STEP, lambda rows=rows: whole.train_epoch(inputs, data.labels, optimizer, rows, N), 1 / STEPS)
        few = ImageInput(*data.images, rows=rows)
        timed(EVALUATION, lambda few=few, rows=rows: whole.evaluate(few, data.labels[rows], N), 1 / STEPS)
        timed(SHUFFLE, lambda: data.labels[rng.permutation(ROWS)], N / ROWS)
    for ours, wanted in zip(taken.model.layers, same.layers, strict=True):
        np.testing.assert_array_equal(ours.weight, wanted.weight)
        np.testing.assert_array_equal(ours.bias, wanted.bias)
    return {name: median(values[1:]) for name, values in seconds.items() if values}  # the first compiles


def copy_speed() -> float:
    """Return how many GB/s of reading and writing together a copy of large arrays takes on one thread."""
    a, b = np.ones((2, 1 << 25), np.float32)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(b, a)
        seconds.append(time.perf_counter() - start)
    return (a.nbytes + b.nbytes) / median(seconds) / 1e9


def _cells(part: Part, seconds: float, precision: str, peaks: dict[str, float]) -> list[str]:
    nbytes = part.nbytes(ELEMENT[precision][part.layer])
    peak = peaks["float32" if precision == "int8" and part.layer else precision]
    moved = [f"{nbytes / 1e6:.2g}" if nbytes < 1e7 else f"{nbytes / 1e6:.0f}", f"{nbytes / seconds / 1e9:.0f}"]
    share = f"{part.flop / seconds / 1e9 / peak:.0%}" if part.flop else ""
    return [f"{1e3 * seconds:.3f}", *(moved if nbytes else ["", ""]), share]


def render() -> str:
    """Measure; return the block."""
    peaks = {precision: measure(1, precision) for precision in precisions()}
    measured = {precision: seconds_by_part(precision) for precision in peaks}
    header, lines = ["part", "MFLOP"], []
    for precision in measured:
        header += [f"{precision}: ms", "MB", "GB/s", "of peak"]
    for name, part in (*PARTS.items(), *IN_ALL.items()):
        if part is not None:
            cells = [part.name, f"{part.flop / 1e6:.3g}" if part.flop else ""]
            for precision, seconds in measured.items():
                cells += _cells(part, seconds[name], precision, peaks)
            lines.append(cells)
        if name == SHUFFLE:
            sums = [1e3 * sum(s[key] for key in (*PARTS, SHUFFLE) if key in s) for s in measured.values()]
            lines.append(["all of these", "", *(cell for total in sums for cell in (f"{total:.3f}", "", "", ""))])
    told = ", ".join(f"{peak:.0f} GFLOP/s in {precision}" for precision, peak in peaks.items())
    head = f"{cpu_model()}, one thread; peak: {told}; a copy of large arrays moves {copy_speed():.0f} GB/s."
    return f"{head}\n\n{markdown(header, lines)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.roofline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", type=Path, help="the file with the markers; without it the table is printed")
    args = parser.parse_args(argv)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    block = render()
    if args.readme is None:
        print(block)
    else:
        write_block(args.readme, BLOCK, block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
