"""Write bench/README.md's block on large tables: memory and time from Parquet to a model, and beside them arrays'.

    python -m bench.own_scale --readme bench/README.md      (without --readme the table is printed)
    python -m bench.own_scale --rows 1000000                (10,000,000 by default, for which the disk needs 13 GB)

Rows of 50 float32 columns - normal, skewed, whole numbers and sums of others - and a class that depends on some of them
are written as Parquet, in one file and in ten, and as .npy. Then `python -m fastmlp.train` is run on each in a process
of its own, its worker a thread of it, so that the functions of each phase can be watched from within. Memory is that of
the process without the pages of files, which others may take at any time. Steps of training are those of a run, on one
thread, on the rows of either source in turns; shown are medians of the CPU time. Linux only: memory is read in /proc.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bench.machine import cpu
from bench.readme import give_block, markdown

BLOCK = "own-scale"
COLUMNS, FILES = 50, 10
HIDDEN = "32"  # units of the command's network: a small one, as its rows are what is measured
ROUNDS, STEPS = 12, 100  # of training the usual network
# Module, what it calls, and the phase that the row of the table is called by.
PHASES = (
    ("fastmlp.data.frame", "read_frame", "read the files"),
    ("fastmlp.data.own", "read_own_raw", "read the files"),
    ("fastmlp.data.kinds", "find_kinds", "find the kinds of columns"),
    ("fastmlp.data.columns", "Columns.learn", "learn the columns"),
    ("fastmlp.data.own_table", "split_of", "split the rows"),
    ("fastmlp.data.own_raw", "split_of", "split the rows"),
    ("fastmlp.data.own_table", "features_of", "write the features"),
    ("fastmlp.data.own_raw", "_taken", "write the features"),
    ("fastmlp.data.describe", "describe", "describe the columns"),
    ("fastmlp.sweep.conduct", "write_mapped", "write the rows for the workers"),
    ("fastmlp.runs.run", "_parts", "prepare the run"),
    ("fastmlp.runs.run", "fit", f"train an epoch of 50-{HIDDEN}-2, and validate"),
    ("fastmlp.nn.network", "MLP.evaluate", "test"),
    ("fastmlp.runs.run", "_metrics", "test"),
    ("fastmlp.runs.run", "save_model", "save the model"),
)
_BUSY = 1.5  # times the CPU time that the clock says
PREPARED = 9  # of the names above, those before training is planned
SOURCES = {"one Parquet file": "big.parquet", "ten, by a pattern": "part-*.parquet", "arrays, .npy": "arrays"}


class Watched(NamedTuple):
    """What a run of the command took: seconds, of the clock and of all its CPUs, by phase; and bytes of memory at most.

    before : the bytes that it had before it began
    """

    seconds: dict[str, tuple[float, float]]
    memory: dict[str, int]
    total: tuple[float, float]
    peak: int
    before: int


def make(folder: Path, rows: int) -> None:
    """Write the rows into a folder in the forms of SOURCES, a part after the other."""
    import polars as pl

    (folder / "arrays").mkdir()
    x = np.lib.format.open_memmap(folder / "arrays/x.npy", "w+", np.float32, (rows, COLUMNS))
    y = np.lib.format.open_memmap(folder / "arrays/y.npy", "w+", np.int64, (rows,))
    for i, index in enumerate(np.array_split(np.arange(rows), FILES)):
        rng, part = np.random.default_rng(i), slice(index[0], index[-1] + 1)
        some = rng.standard_normal((len(index), COLUMNS), np.float32)
        some[:, 40:] += some[:, :10]
        score = some[:, 0] * some[:, 10] + np.sin(2 * some[:, 20]) + some[:, 30] - some[:, 1]
        some[:, 10:20] = np.exp(some[:, 10:20])
        some[:, 20:30] = np.round(some[:, 20:30] * 20 + 50)
        x[part], y[part] = some, score + rng.standard_normal(len(index)) > 0
        columns = {f"x{j}": some[:, j] for j in range(COLUMNS)} | {"y": y[part]}
        pl.DataFrame(columns).write_parquet(folder / f"part-{i}.parquet")
    x.flush()
    pl.scan_parquet(folder / "part-*.parquet").sink_parquet(folder / SOURCES["one Parquet file"])


@contextmanager
def _sampled(peaks: list[list[int]]) -> Iterator[None]:
    """Raise the last number of each list to the memory of this process, again and again while the body runs."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            now = memory()
            for peak in list(peaks):
                peak[0] = max(peak[0], now)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def memory() -> int:
    """Return the bytes of memory of this process that are no pages of files."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def watch(argv: Sequence[str]) -> Watched:
    """Run `python -m fastmlp.train` with these options in this process, and watch its phases."""
    from fastmlp import train

    seconds, most, peaks = dict.fromkeys((name for *_, name in PHASES), (0.0, 0.0)), {}, [[before := memory()]]
    within: list[str] = []

    def watched(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if within:  # `fit` evaluates too
                return function(*args, **kwargs)
            peaks.append(peak := [memory()])
            within.append(name)
            since = _stopwatch()
            try:
                return function(*args, **kwargs)
            finally:
                within.clear()
                seconds[name] = _sum([seconds[name], since()])
                peaks.remove(peak)
                most[name] = max(most.get(name, 0), peak[0])

        return call

    for module, path, name in PHASES:
        owner, (*outer, last) = import_module(module), path.split(".")
        for one in outer:
            owner = getattr(owner, one)
        setattr(owner, last, watched(getattr(owner, last), name))
    since = _stopwatch()
    with _sampled(peaks):
        status = train.main(list(argv))
    if status:
        raise SystemExit(status)
    return Watched(seconds, most, since(), peaks[0][0], before)


def _stopwatch() -> Callable[[], tuple[float, float]]:
    began = time.perf_counter(), time.process_time()
    return lambda: (time.perf_counter() - began[0], time.process_time() - began[1])


def _sum(times: Iterable[tuple[float, float]]) -> tuple[float, float]:
    clock, cpu = zip(*times, strict=True)
    return sum(clock), sum(cpu)


def watched_apart(path: Path, folder: Path, *options: str) -> Watched:
    """Return what the command takes on the data at a path, in a process of its own whose kernels were compiled before.

    folder : for its temporary files, beside the data
    """
    target = [] if path.name == SOURCES["arrays, .npy"] else ["--target", "y"]
    argv = ["--data", str(path), *target, "--epochs", "1", "--hidden", HIDDEN, "--workers", "threads"]
    argv += ["--matmul", "packed", *options]
    argv += [] if options else ["--out", str(folder / f"out {path.name}")]
    command = [sys.executable, "-m", "bench.own_scale", "--watch", json.dumps(argv)]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=_environment(folder))
    return Watched(**json.loads(made.stdout.splitlines()[-1]))


def _environment(folder: Path) -> dict[str, str]:
    import os

    return {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def steps(folder: Path, rounds: int = ROUNDS, count: int = STEPS) -> dict[str, list[float]]:
    """Return the seconds of a step in each round, on the rows of one Parquet file, and on the same of arrays."""
    from fastmlp.cli.options import build_parser, parse
    from fastmlp.cli.plan import make_plan
    from fastmlp.data.mapped import write_mapped
    from fastmlp.data.own import Own, load_own
    from fastmlp.models.preparation import Preparation

    cases, found = {}, {}
    for name, path, target in (("Parquet", SOURCES["one Parquet file"], ("y",)), ("arrays", "arrays", ())):
        data = str(folder / path)
        dataset = load_own(Own(data=data, target=target))
        (config,) = make_plan(parse(build_parser(), ["--data", data]), dataset).configs
        dataset = write_mapped(dataset, folder / f"mapped {name}")  # as a worker has them
        rows, dtype = np.arange(len(dataset.train_images)), np.dtype(np.float32)
        inputs = Preparation.learnt(config, dataset, rows, dtype).inputs(dataset.train_images, dtype, rows)
        model = config.new_network(0, threads=1)
        examples = model.examples(inputs, dataset.train_labels["y"])
        cases[name], found[name] = (model, examples, config.batch_size, config.new_optimizer()), []
    rng = np.random.default_rng(0)
    for i in range(rounds + 1):
        for name, (model, examples, batch, optimizer) in cases.items():
            order = rng.permutation(len(examples.inputs))[: count * batch]
            began = time.process_time()
            model.train_on(examples, order, batch, optimizer)
            found[name] += [(time.process_time() - began) * batch / len(order)] if i else []  # the first one compiles
    return found


def render(rows: int, folder: Path) -> str:
    """Make the rows, measure, and return the block."""
    make(folder, rows)
    _compile()
    runs = {}
    for name, path in SOURCES.items():
        runs[name] = watched_apart(folder / path, folder, *["--dry-run"] * ("*" in path))
    command = [sys.executable, "-m", "bench.own_scale", "--steps", str(folder)]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=_environment(folder))
    found = json.loads(made.stdout.splitlines()[-1])
    return table(rows, runs, found)


def _compile() -> None:
    """Compile what the runs need, by one on few rows."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), 10_000)
        watched_apart(Path(folder) / SOURCES["arrays, .npy"], Path(folder))


def table(rows: int, runs: dict[str, Watched], found: dict[str, list[float]]) -> str:
    """Return the block of what was measured."""
    size = 4 * rows * COLUMNS
    names = list(dict.fromkeys(name for *_, name in PHASES))

    def cell(run: Watched, name: str) -> str:
        if name not in run.memory:
            return "-"
        return f"{seconds(run.seconds[name])}, {(run.memory[name] - run.before) / 1e9:.1f} GB"

    def seconds(times: tuple[float, float]) -> str:
        return f"{times[0]:.1f} s ({times[1]:.1f})"

    def prepared(run: Watched) -> str:
        early = dict.fromkeys(name for *_, name in PHASES[:PREPARED])
        return seconds(_sum(run.seconds[name] for name in early))

    lines = [[name, *(cell(run, name) for run in runs.values())] for name in names]
    lines.append(["of these, from the files to features", *map(prepared, runs.values())])
    lines.append(["the whole command", *(seconds(run.total) for run in runs.values())])
    most = [f"{(run.peak - run.before) / 1e9:.1f} GB, {(run.peak - run.before) / size:.2f} x" for run in runs.values()]
    lines.append(["memory at most, and over that of the rows", *most])
    ratio = median(a / b for a, b in zip(found["Parquet"], found["arrays"], strict=True))
    each = [f"{1e3 * median(found[name]):.2f} ms" for name in ("Parquet", "arrays")]
    lines.append([f"a step of the usual network on one thread ({ratio:.3f} of that on arrays)", each[0], "-", each[1]])
    facts = (
        f"{rows:,} rows of {COLUMNS} float32 columns and a class of two, {size / 1e9:.1f} GB, on {cpu()}, "
        "two threads; the second run ends before training. In brackets the CPU time of all threads, which neighbours "
        "hardly change; beside it the most memory within each phase, above the "
        f"{next(iter(runs.values())).before / 1e6:.0f} MB of a process that has done nothing."
    )
    if any(clock > _BUSY * cpu for clock, cpu in (run.total for run in runs.values())):
        facts += " The machine was busy with other work, without which the clock would tell shorter times."
    return f"{facts}\n\n{markdown(['', *runs], lines)}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the block or print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.own_scale", description=__doc__.splitlines()[0])  # pyright: ignore[reportOptionalMemberAccess]
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--readme", type=Path)
    parser.add_argument("--folder", type=Path, help="where a folder for the data is made, and removed in the end")
    parser.add_argument("--watch", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.watch is not None:
        print(json.dumps(watch(args.watch)._asdict()))
    elif args.steps is not None:
        print(json.dumps(steps(args.steps)))
    else:
        if args.folder is not None:
            Path(args.folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            give_block(args.readme, BLOCK, render(args.rows, Path(folder)))


if __name__ == "__main__":
    main()
