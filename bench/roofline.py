"""Show where the time of a training step goes: the seconds of its phases, their share of the peak, and waiting.

    python -m bench.roofline                            print the table
    python -m bench.roofline --readme bench/README.md   write it between the markers there

The network 3072-128-20 trains at batch 1024, on uint8 images and on rows of floats, in every precision, on one thread
and on all cores. Nothing is rebuilt for it: each thread of a run notes when it comes to the barrier that ends a phase,
and when it leaves it. The time of a phase is that from barrier to barrier. All cases take turns; figures are medians.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from bench.machine import cpu
from bench.measured import plural
from bench.networks import LR, MOMENTUM, WEIGHT_DECAY, Data, Work
from bench.peak import measure, precisions
from bench.readme import give_block, markdown
from fastmlp import MLP, SGD, ImageInput
from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import as_input
from fastmlp.nn.packed.engine import Packed
from fastmlp.nn.threads import usable_cores

BLOCK = "roofline"
WORK, ROWS, RUNS, STEPS = Work((3072, 128, 20), 1024), 10_240, 15, 10
(D, H, K), N = WORK.layers, WORK.batch
INPUTS = ("images", "float rows")
EVALUATION = "evaluation"

# FLOP of the first layer's products and of the second's, by phase: rows go forward and back, weights get gradients.
FIRST, SECOND = 2 * N * D * H, 2 * N * H * K
FLOP = {"rows": (FIRST, 2 * SECOND), "weights": (FIRST, SECOND), EVALUATION: (FIRST, SECOND)}
# Bytes of what int8 rounds for the first layer's products, read as float32 and written as bytes.
ROUNDING = {"quantize errors": 5 * N * H, "quantize weights": 5 * D * H}


class Case(NamedTuple):
    """What is trained, and on how many threads."""

    inputs: str
    precision: str
    threads: int


class Running:
    """A network of its own, ready to train."""

    def __init__(self, case: Case, data: Data) -> None:
        images = data.images
        assert images is not None
        model = MLP(WORK.layers, precision=case.precision, threads=1)
        for layer, weight in zip(model.layers, data.weights, strict=True):
            layer.weight[...] = weight
        moments = (moment.astype(model.dtype) for moment in images[1:])
        rows = as_input(data.normalized(model.dtype.type))
        self._inputs = ImageInput(images[0], *moments) if case.inputs == "images" else rows
        self._labels, self._optimizer = data.labels, SGD(LR, MOMENTUM, WEIGHT_DECAY)
        goal, flat = (model.loss, model.dropout), (model.parameters, model.gradient)
        self._engine = Packed(WORK.layers, ["tanh", "identity"], goal, flat, case.precision, case.threads)

    def seconds(self, order: np.ndarray) -> dict[str, np.ndarray]:
        """Train on these rows, evaluate them, and return (members, 2) seconds a step by phase: at work, waiting."""
        steps = len(order) // N
        self._engine.train(Examples(self._inputs, self._labels), order, N, self._optimizer)
        spent = self._engine.phase_seconds()
        del spent["pack"], spent["gradients"]  # once in a run; only where gradients are clipped
        times = {phase: steps + (phase == "quantize weights") for phase in spent}  # these at the beginning as well
        found = {phase: seconds / times[phase] for phase, seconds in spent.items()}
        self._engine.evaluate(Examples(self._inputs, self._labels), order, N)
        return found | {EVALUATION: self._engine.phase_seconds()["rows"] / steps}


class Times(NamedTuple):
    """Seconds of each phase of a step, and the part of a step that its threads wait at barriers."""

    phases: dict[str, float]
    waiting: float


def measured(cases: Sequence[Case]) -> dict[Case, Times]:
    """Return the medians over runs of all cases in turns."""
    rng, data = np.random.default_rng(0), Data(WORK.layers, ROWS)
    running = {case: Running(case, data) for case in cases}
    runs: dict[Case, list[dict[str, np.ndarray]]] = {case: [] for case in cases}
    for i in range(1 + RUNS):
        for case, one in running.items():
            seconds = one.seconds(rng.permutation(ROWS)[: STEPS * N])
            if i > 0:  # the first run compiles
                runs[case].append(seconds)
    return {case: _times(those) for case, those in runs.items()}


def _times(runs: Sequence[dict[str, np.ndarray]]) -> Times:
    phases = {phase: median(run[phase].sum(axis=1).mean() for run in runs) for phase in runs[0]}
    steps = [np.array([seconds for phase, seconds in run.items() if phase != EVALUATION]) for run in runs]
    return Times(phases, median(step[..., 1].sum() / step.sum() for step in steps))


def copy_speed() -> float:
    """Return how many GB/s of reading and writing together a copy of large arrays takes on one thread."""
    a, b = np.ones((2, 1 << 25), np.float32)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(b, a)
        seconds.append(time.perf_counter() - start)
    return (a.nbytes + b.nbytes) / median(seconds) / 1e9


def _line(case: Case, times: Times, peaks: dict[tuple[str, int], float]) -> list[str]:
    """Return a row of the table; peaks : GFLOP/s by precision and threads."""
    above = "float32" if case.precision == "int8" else case.precision  # of the layers above the first
    least = [1e-9 / peaks[precision, case.threads] for precision in (case.precision, above)]  # seconds a FLOP

    def share(seconds: float, *phases: str) -> str:
        return f"{sum(a * b for phase in phases for a, b in zip(FLOP[phase], least, strict=True)) / seconds:.0%}"

    phases, cells = times.phases, [case.inputs, case.precision, str(case.threads)]
    for phase in ("rows", "weights"):
        cells += [f"{1e3 * phases[phase]:.3f}", share(phases[phase], phase)]
    rounding = sum(phases[phase] for phase in ROUNDING)
    if case.precision == "int8":
        cells += [f"{1e3 * rounding:.3f}", f"{sum(ROUNDING.values()) / rounding / 1e9:.0f}"]
    else:
        cells += ["", ""]
    step = phases["rows"] + phases["weights"] + rounding
    cells += [f"{1e3 * step:.3f}", share(step, "rows", "weights"), f"{times.waiting:.1%}"]
    return [*cells, f"{1e3 * phases[EVALUATION]:.3f}", share(phases[EVALUATION], EVALUATION)]


HEADER = ["input", "precision", "threads", "rows: ms", "of peak", "weights: ms", "of peak", "rounding: ms", "GB/s"]
HEADER += ["step: ms", "of peak", "waiting", "evaluation: ms", "of peak"]


def _peaks(threads: Sequence[int]) -> dict[tuple[str, int], float]:
    return {(precision, t): measure(t, precision) for precision in precisions() for t in threads}


def render() -> str:
    """Measure, the peaks twice, as what else the machine does for a moment must not lower them; return the block."""
    threads = sorted({1, usable_cores()})
    before = _peaks(threads)
    cases = [
        Case(inputs, precision, t)
        for t in threads
        for inputs in INPUTS
        for precision in precisions()
        if inputs == "images" or precision != "int8"
    ]
    found = measured(cases)
    peaks = {key: max(before[key], value) for key, value in _peaks(threads).items()}
    told = ", ".join(f"{peak:,.0f} GFLOP/s in {precision} on {plural(t)}" for (precision, t), peak in peaks.items())
    moved = f"a copy of large arrays moves {copy_speed():.0f} GB/s on one"
    flop = ", ".join(f"{phase} {sum(each) / 1e6:,.0f} MFLOP" for phase, each in FLOP.items())
    head = f"{cpu()}; peak: {told}; {moved}. Of a step: {flop}; rounding {sum(ROUNDING.values()) / 1e6:.1f} MB."
    return f"{head}\n\n{markdown(HEADER, [_line(case, times, peaks) for case, times in found.items()])}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.roofline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", type=Path, help="the file with the markers; without it the table is printed")
    args = parser.parse_args(argv)
    give_block(args.readme, BLOCK, render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
