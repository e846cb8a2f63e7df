"""Train, sweep, make and drop for hours in small, and look whether anything is left of it.

    python -m bench.soak --fits 10000 --runs 1000 --networks 500

Each part does the first fifth of its work to warm up, is measured, does the rest and is measured again. It is flat
where threads, descriptors, child processes, semaphores and temporary files are as many as before, and memory has grown
by no more than SLACK and as many bytes a piece as the smallest thing that could be forgotten takes. Linux only: what
there is is counted in /proc and /dev/shm.
"""

import argparse
import ctypes
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.readme import markdown
from fastmlp import MLP, ImageInput
from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS, Dataset
from fastmlp.nn.precision import PRECISIONS
from fastmlp.sweep import run_sweep

# What malloc may keep of what it was given back, in pages that are in use for something else too.
SLACK = 4_000_000
# Bytes a piece that are none: a fit forgets no array (1 kB), a run no result, a network no array of weights.
FORGOTTEN = {"fits": 500, "runs": 5_000, "networks": 20_000}
SETTLE_SECONDS = 5.0  # threads and processes that end take a moment
WIDTH, CLASSES, ROWS = 48, 4, 64


@dataclass(frozen=True)
class Counts:
    """What this process has, and has left in shared memory and the temporary folder."""

    memory: int
    threads: int
    descriptors: int
    children: int
    semaphores: int
    files: int


def counts() -> Counts:
    """Count, once what is no longer referred to has gone."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # free pages count for nothing
        libc.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    tasks = list(Path("/proc/self/task").iterdir())
    children = sum(len((task / "children").read_text().split()) for task in tasks)
    return Counts(
        memory=pages * os.sysconf("SC_PAGE_SIZE"),
        threads=len(tasks),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        children=children,
        semaphores=sum(f"-{os.getpid()}-" in path.name for path in Path("/dev/shm").iterdir()),  # noqa: S108 - others have theirs
        files=sum(1 for path in Path(tempfile.gettempdir()).rglob("*")),
    )


def settled(wanted: Counts) -> Counts:
    """Count until there is no more than wanted of what takes a moment to end."""
    end = time.perf_counter() + SETTLE_SECONDS
    while True:
        found = counts()
        if time.perf_counter() > end or (found.threads <= wanted.threads and found.children <= wanted.children):
            return found
        time.sleep(0.5)  # a count of a large process takes as long


@dataclass
class Part:
    """A part of the soak: how many pieces of work, and what was there before most of them and after all."""

    name: str
    count: int
    before: Counts
    after: Counts
    seconds: float

    def wrong(self) -> list[str]:
        """Return what is not flat, in words."""
        before, after = asdict(self.before), asdict(self.after)
        found = [
            f"{name}: {after[name] - n} more" for name, n in before.items() if name != "memory" and after[name] > n
        ]
        grown = self.after.memory - self.before.memory
        if grown > self.allowed():
            found.append(f"memory: {grown / 1e6:.1f} MB more, allowed are {self.allowed() / 1e6:.1f}")
        return found

    def allowed(self) -> int:
        """Bytes that memory may have grown."""
        return SLACK + FORGOTTEN[self.name] * self.count

    def row(self) -> tuple[str, ...]:
        """Return a line of the table."""
        before, after = asdict(self.before), asdict(self.after)
        memory = f"{before.pop('memory') / 1e6:.1f} / {after.pop('memory') / 1e6:.1f} MB"
        numbers = [f"{before[name]} / {after[name]}" for name in before]
        verdict = "; ".join(self.wrong()) or "flat"
        return self.name, f"{self.count:,}", f"{self.seconds:.0f} s", memory, *numbers, verdict


COLUMNS = ("part", "pieces", "wall time", "memory", "threads", "descriptors", "children", "semaphores", "files", "")


def soak(name: str, count: int, pieces: Callable[[int], None]) -> Part:
    """Do `count` pieces of work, pieces(n) of them at a time; return what was measured."""
    began, warm = time.perf_counter(), max(count // 5, 1)
    idle = counts()
    pieces(warm)
    before = settled(idle)
    pieces(count - warm)
    return Part(name, count, before, settled(before), time.perf_counter() - began)


def images(rng: np.random.Generator, precision: str, rows: int = ROWS, width: int = WIDTH) -> ImageInput:
    """Return random images, normalised one by one."""
    pixels, dtype = rng.integers(0, 256, (rows, width), np.uint8), "float64" if precision == "float64" else "float32"
    return ImageInput(pixels, *NORMALIZATIONS["image"](pixels, np.arange(rows), pixels, np.dtype(dtype)))


def network(precision: str, threads: int, rng: np.random.Generator, sizes: Sequence[int]) -> MLP:
    """Return a new network."""
    matmul = PRECISIONS[precision].matmuls[0]
    return MLP(tuple(sizes), "relu", precision=precision, matmul=matmul, threads=threads, rng=rng)


def fits(seed: int) -> Callable[[int], None]:
    """Return what trains networks anew, in each precision in turn, on other rows each time."""
    rng = np.random.default_rng(seed)
    made = cycle([network(precision, 1, rng, (WIDTH, 16, CLASSES)) for precision in PRECISIONS])

    def some(count: int) -> None:
        for model in islice(made, count):
            labels = rng.integers(0, CLASSES, ROWS)
            x = images(rng, model.precision)
            model.fit(x, labels, validation=(x, labels), epochs=2, batch_size=16, patience=2, rng=int(labels.sum()))
            model.predict(x)

    return some


def networks(seed: int) -> Callable[[int], None]:
    """Return what makes networks, has their threads work and drops them."""
    rng = np.random.default_rng(seed)
    kinds = cycle([(precision, threads) for precision in PRECISIONS for threads in (1, 2)])
    inputs = {precision: images(rng, precision, 128, 3072) for precision in PRECISIONS}
    labels = rng.integers(0, CLASSES, 128)

    def some(count: int) -> None:
        for precision, threads in islice(kinds, count):
            model = network(precision, threads, rng, (3072, 64, CLASSES))
            model.loss_and_gradients(inputs[precision], labels)

    return some


def runs(seed: int, ways: Sequence[str], at_once: int = 10) -> Callable[[int], None]:
    """Return what does sweeps of `at_once` runs, each of data of its own, by threads and processes in turn."""
    numbers, kinds = iter(range(seed, seed + 10**9)), cycle(ways)

    def some(count: int) -> None:
        for start in range(0, count, at_once):
            number = next(numbers)
            configs = [replace(CONFIG, seed=i, lr=0.01 + i / 1e4) for i in range(min(at_once, count - start))]
            one_sweep(configs, data(number), next(kinds), keeps=number % 2 == 0)

    return some


def one_sweep(configs: Sequence[RunConfig], dataset: Dataset, way: str, *, keeps: bool) -> None:
    """Run it, and remove what it leaves where that is nothing but results."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        out = Path(folder) / "out" if keeps else None
        more: dict[str, Any] = {"out": out, "jobs": 2}
        if way == "threads":
            with ThreadPoolExecutor(2) as executor:
                results = run_sweep(configs, dataset, executor=executor, **more)
        else:
            results = run_sweep(configs, dataset, **more)
        if bad := [result.error or result.status for result in results if result.status != "done"]:
            raise RuntimeError(f"a run is not done: {bad[0]}")
        left = {path.name for path in out.iterdir()} if out else set()
        if odd := left - {"models", "results.json", "runs.jsonl"}:
            raise RuntimeError(f"a sweep that ended left {', '.join(sorted(odd))}")


CONFIG = RunConfig(
    experiment="relu",
    dataset="noise",
    labels="coarse",
    normalize="image",
    layers=(WIDTH, 8, CLASSES),
    activation="relu",
    init="auto",
    lr=0.01,
    momentum=0.9,
    weight_decay=0.0,
    batch_size=16,
    epochs=2,
    patience=2,
    seed=0,
    precision="float32",
    matmul="packed",
    threads=1,
)


def data(seed: int) -> Dataset:
    """Return noise as a data set, other noise for each seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (2 * ROWS, WIDTH), np.uint8)
    labels = {"coarse": rng.integers(0, CLASSES, 2 * ROWS)}
    names = {"coarse": tuple("abcd")}
    parts = pixels[:ROWS], {"coarse": labels["coarse"][:ROWS]}, pixels[ROWS:], {"coarse": labels["coarse"][ROWS:]}
    return Dataset("noise", *parts, names, source="made for a soak")


def run(fit_count: int, run_count: int, network_count: int, seed: int, ways: Sequence[str]) -> list[Part]:
    """Do all parts."""
    parts = []
    for name, count, pieces in (
        ("fits", fit_count, fits(seed)),
        ("networks", network_count, networks(seed)),
        ("runs", run_count, runs(seed, ways)),
    ):
        if count:
            parts.append(soak(name, count, pieces))
            print(" | ".join(parts[-1].row()), file=sys.stderr, flush=True)
    return parts


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return 1 where something is not flat."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=1_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--networks", type=int, default=500, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="soak-all-") as place:
        before, tempfile.tempdir = tempfile.tempdir, place  # so that nobody else's files are counted
        try:
            parts = run(args.fits, args.runs, args.networks, args.seed, ("threads", "processes"))
        finally:
            tempfile.tempdir = before
    print(markdown(COLUMNS, [part.row() for part in parts]))
    return int(any(part.wrong() for part in parts))


if __name__ == "__main__":
    sys.exit(main())
