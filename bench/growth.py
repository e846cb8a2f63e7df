"""Time a training step as batch, width, depth and threads grow, beside PyTorch and JAX, and look for cliffs.

    python -m bench.growth                              print the tables (some minutes)
    python -m bench.growth --quick                      fewer and smaller sizes
    python -m bench.growth --readme bench/README.md --chart bench/growth.svg

Each rival trains in a process of its own (`bench.worker`) and is checked against the float64 reference at each size;
then all take turns, and a figure is the median over the turns. A cliff is a size that takes over three times as long
for each FLOP as the next smaller one, or over three times as long altogether as the next larger one: neither has a
reason that a user would accept. Odd sizes beside the even ones are there to find some. What looks like one is timed
again, and counts by its better median: a neighbour's moment is no cliff.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track

from bench.machine import cpu
from bench.measured import in_units, plural
from bench.networks import Work
from bench.readme import give_block, markdown
from bench.rivals import PACKAGES, why_not
from bench.worker import TookTooLong, Worker
from fastmlp.nn.threads import usable_cores

RIVALS = {"fastmlp": "fastmlp", "torch": "PyTorch", "jax": "JAX"}  # all in float32
OURS = "fastmlp"
TURNS, READY_SECONDS, QUIET_SECONDS = 5, 120, 0.02
ROWS = 4096  # at least, and a multiple of the batch
CLIFF = 3.0
HIDDEN = 64  # of the deep network


@dataclass(frozen=True)
class Sweep:
    """What grows: a name, a sentence on the network, its sizes and what each of them trains."""

    name: str
    network: str
    sizes: tuple[int, ...]
    work: Callable[[int], Work]


SWEEPS = (
    Sweep(
        "batch",
        "784-256-10",
        (1, 4, 16, 17, 47, 64, 65, 127, 128, 129, 256, 1024, 4096, 16384),
        lambda batch: Work((784, 256, 10), batch),
    ),
    Sweep(
        "width",
        "10-w-w-10, batch 128",
        (16, 32, 46, 47, 63, 64, 65, 100, 127, 128, 129, 256, 512, 1024, 2048, 4096, 8192),
        lambda width: Work((10, width, width, 10), 128),
    ),
    Sweep(
        "depth",
        f"64 inputs, so many hidden layers of {HIDDEN}, 10 classes, batch 128",
        (1, 2, 3, 4, 6, 8, 12, 16, 20),
        lambda depth: Work((64, *[HIDDEN] * depth, 10), 128),
    ),
)
QUICK = {
    "batch": (1, 16, 17, 64, 256, 1024),
    "width": (16, 32, 46, 47, 63, 64, 65, 100, 127, 128, 129, 256, 512),
    "depth": (1, 2, 4, 8, 20),
}


@dataclass
class Line:
    """One rival's seconds of a step by size, of one sweep on so many threads."""

    sweep: Sweep
    threads: int
    rival: str
    seconds: dict[int, float] = field(default_factory=dict)

    def flop(self, size: int) -> int:
        """Return the FLOP of a step at this size."""
        work = self.sweep.work(size)
        return work.batch * work.flop_per_row

    def speed(self, size: int) -> float:
        """Return the GFLOP/s at this size."""
        return self.flop(size) / self.seconds[size] / 1e9

    def cliffs(self) -> Iterator[tuple[int, str]]:
        """Yield the sizes that are cliffs, each with the reason."""
        for small, large in pairwise(sorted(self.seconds)):
            per_flop = self.speed(small) / self.speed(large)
            shorter = self.seconds[small] / self.seconds[large]
            if per_flop > CLIFF:
                yield large, f"{per_flop:.1f} times as long for each FLOP as {small}"
            if shorter > CLIFF:
                yield small, f"{shorter:.1f} times as long as {large}"


def quick(sweep: Sweep) -> Sweep:
    """Return a sweep of fewer and smaller sizes."""
    return Sweep(sweep.name, sweep.network, QUICK[sweep.name], sweep.work)


def measured(
    sweeps: Sequence[Sweep], threads: int, rivals: Iterable[str], make: Callable[..., Any] = Worker
) -> list[Line]:
    """Return each rival's line of each sweep; all rivals take turns at each size.

    make : starts a rival's process, as `Worker` does; a rival that is not ready in time has no figure at that size, and
    at none after it
    """
    lines = [Line(sweep, threads, rival) for sweep in sweeps for rival in rivals]
    workers = {rival: make("train", rival, threads) for rival in rivals}
    try:
        cases = [(sweep, size) for sweep in sweeps for size in sweep.sizes]
        for sweep, size in track(cases, f"{plural(threads)}:", console=Console(stderr=True)):
            _time(workers, lines, sweep, size)
        suspects = {(line.sweep, size) for line in lines for size, _ in line.cliffs()}
        for sweep, size in sorted(suspects, key=cases.index):
            _time(workers, lines, sweep, size)
    finally:
        for worker in workers.values():
            worker.close()
    return lines


def _time(workers: dict[str, Any], lines: Sequence[Line], sweep: Sweep, size: int) -> None:
    """Let the rivals take their turns at a size, and keep each one's figure where it has no better one."""
    seconds = _turns(workers, sweep.work(size))
    for line in lines:
        if line.sweep is sweep and line.rival in seconds:
            line.seconds[size] = min(seconds[line.rival], line.seconds.get(size, math.inf))


def _turns(workers: dict[str, Any], work: Work) -> dict[str, float]:
    """Return each rival's median seconds of a step."""
    count, times = -(-ROWS // work.batch) * work.batch, {}
    for rival, worker in workers.items():
        try:
            times[rival], _ = worker.start(READY_SECONDS, short=False, count=count, **work.as_json())
        except TookTooLong as slow:
            print(f"{rival} has no figure from {work.name}, batch {work.batch}, on: {slow}", file=sys.stderr)
    taken: dict[str, list[float]] = {rival: [] for rival in times}
    for _ in range(TURNS):
        for rival, steps in times.items():
            time.sleep(QUIET_SECONDS)  # for the threads of the rival before to stop spinning
            start = time.perf_counter()
            workers[rival].ask("round", times=steps)
            taken[rival].append((time.perf_counter() - start) / steps)
    return {rival: median(seconds) for rival, seconds in taken.items()}


def _cell(line: Line, size: int, ours: Line, peak: float) -> str:
    if size not in line.seconds:
        return "-"
    seconds = in_units(line.seconds[size])
    if line is ours:
        return f"{seconds}, {line.speed(size):.3g} GFLOP/s ({line.speed(size) / peak:.0%})"
    return f"{seconds} ({line.seconds[size] / ours.seconds[size]:.2f}x)" if size in ours.seconds else seconds


def sweep_table(sweep: Sweep, lines: Sequence[Line], peaks: dict[int, float]) -> str:
    """Return the table of a sweep, a row a size; peaks : in GFLOP/s, by threads."""
    own = [line for line in lines if line.sweep is sweep and line.seconds]
    ours = {line.threads: line for line in own if line.rival == OURS}
    head = [sweep.name, *(f"{RIVALS[line.rival]}, {plural(line.threads)}" for line in own)]
    most = max(ours)
    if most > 1:
        head.append(f"1 thread's time over that of {most}")
    rows = []
    for size in sweep.sizes:
        cells = [_cell(line, size, ours[line.threads], peaks[line.threads]) for line in own]
        if most > 1:
            both = all(size in ours[threads].seconds for threads in (1, most))
            cells.append(f"{ours[1].seconds[size] / ours[most].seconds[size]:.2f}x" if both else "-")
        rows.append([f"{size:,}", *cells])
    return markdown(head, rows)


def cliffs(lines: Iterable[Line]) -> list[str]:
    """Return a line of Markdown for each cliff, ours first."""
    return [
        f"- {RIVALS[line.rival]}, {line.sweep.name} {size:,}, {plural(line.threads)}: {why}."
        for line in sorted(lines, key=lambda line: line.rival != OURS)
        for size, why in line.cliffs()
    ]


def render(lines: Sequence[Line], peaks: dict[int, float], short: bool = False) -> str:
    """Return the block: what was measured with, a table for each sweep, and the cliffs."""
    rivals = {line.rival for line in lines}
    versions = [f"{name} {version(package)}" for name, package in PACKAGES.items() if name in rivals]
    peak = ", ".join(f"{value:.0f} GFLOP/s on {plural(threads)}" for threads, value in peaks.items())
    head = (
        f"{cpu()}; {', '.join(versions) or 'no rival is installed'}; float32, tanh; peak {peak}. Medians of "
        f"{TURNS} turns; in brackets after GFLOP/s the share of the peak, after a rival's time that over ours, so "
        "under 1 we lose."
    )
    parts = ["A quick run of fewer sizes. " * short + head]
    for sweep in dict.fromkeys(line.sweep for line in lines):
        parts += [f"A step by {sweep.name}, {sweep.network}:", sweep_table(sweep, lines, peaks)]
    found = cliffs(lines)
    parts.append("\n".join(["Cliffs:", "", *found]) if found else "No cliff, of ours or of a rival's.")
    return "\n\n".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print or write the tables, draw the chart; return 1 where we have a cliff."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller sizes")
    parser.add_argument("--chart", type=Path, metavar="FILE.svg", help="draw it, and FILE-narrow.svg (or .png)")
    parser.add_argument("--readme", type=Path, help="a file with markers to write the tables into, not to print them")
    args = parser.parse_args(argv)
    from bench.peak import measure

    sweeps = [quick(sweep) for sweep in SWEEPS] if args.quick else list(SWEEPS)
    rivals, peaks, lines = [], {}, []
    for rival in RIVALS:
        if (reason := why_not(rival)) is None:
            rivals.append(rival)
        else:
            print(f"{RIVALS[rival]} is left out: {reason}", file=sys.stderr)
    for threads in sorted({1, usable_cores()}):
        before = measure(threads)
        lines += measured(sweeps, threads, rivals)
        peaks[threads] = max(before, measure(threads))
    give_block(args.readme, "growth", render(lines, peaks, args.quick))
    if args.chart:
        from bench.growth_chart import draw

        draw(lines, peaks, args.chart)
    return int(any(True for line in lines if line.rival == OURS for _ in line.cliffs()))


if __name__ == "__main__":
    sys.exit(main())
