"""The command line of `python -m fastmlp.train`: the report's experiments in, one table out.

The table goes to stdout, notices and progress to stderr. Exit status: 0 done, 2 where something given cannot be used,
130 after Ctrl-C. Whatever ends it, the runs that finished are in the table and in `--out`.
"""

import time
from argparse import Namespace
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from fastmlp.config import RunConfig, check_fields
from fastmlp.data import Dataset, load_dataset
from fastmlp.environment import environment
from fastmlp.errors import ConfigError, FastMLPError
from fastmlp.experiments import CUSTOM, make_config, select
from fastmlp.matmul import resolve
from fastmlp.options import build_parser
from fastmlp.precision import MATMULS
from fastmlp.progress import download_bar, make_progress, say
from fastmlp.report import Table, duration, experiments_table, machine, results_table
from fastmlp.results import check_folder, move_aside, write_results, write_whole
from fastmlp.run import compile_for, run_one
from fastmlp.threads import blas_threads, check_threads

_NETWORK = ("layers", "activation", "labels")
_TRAINING = ("lr", "batch_size", "momentum", "weight_decay", "epochs", "patience", "init", "precision", "threads")
_FILES = ("results.json", "table.md")


def main(argv: Sequence[str] | None = None, *, notes: Sequence[str] = ()) -> int:
    """Run the command on `argv` (default: the process's arguments), `notes` said first; return its exit status."""
    args = build_parser().parse_args(argv)
    errors = Console(stderr=True)
    try:
        if args.list:
            _print(experiments_table())
            return 0
        _sweep(args, Console(stderr=True, quiet=args.quiet), notes)
    except FastMLPError as error:
        say(errors, f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say(errors, "Stopped by Ctrl-C.")
        return 130
    return 0


def _sweep(args: Namespace, console: Console, notes: Sequence[str]) -> None:
    """Check everything that can be checked before data and training take their time; then train, print, say where."""
    began = time.perf_counter()
    for note in notes:
        say(console, note)
    settings = {name: getattr(args, name) for name in (*_NETWORK, *_TRAINING) if getattr(args, name) is not None}
    if args.matmul != "auto":
        settings["matmul"] = args.matmul
    check_fields(settings)
    check_threads(args.threads)
    if args.matmul not in ("auto", *MATMULS[args.precision]):
        allowed = " or ".join(("auto", *MATMULS[args.precision]))
        raise ConfigError(f"--matmul is {args.matmul}; allowed with --precision {args.precision} is {allowed}.")
    if args.out:
        check_folder(args.out)
    with download_bar(console) as on_progress:
        dataset = load_dataset(args.dataset, args.data_dir, mirror=args.mirror, on_progress=on_progress)
    configs, left_out = _plan(args, settings, dataset)
    moved = move_aside(args.out, _FILES) if args.out else []
    if args.matmul == "auto" and len(MATMULS[args.precision]) > 1:
        configs, measured = resolve(configs)
        moved += measured
    data = f"Data set: {dataset.name} ({dataset.source}), by --dataset {args.dataset}; runs: {len(configs)}."
    for note in filter(None, [dataset.notice, data, left_out, *moved]):
        say(console, note)
    with blas_threads(args.threads) as libraries:
        if not libraries:
            say(console, "No BLAS was found whose threads can be set: --threads has no effect.")
        _train(args, console, dataset, configs, began)
    if args.out:
        say(console, f"results.json and table.md are in {args.out}.")
    else:
        say(console, "Nothing was written; --out DIR keeps the results.")


def _train(args: Namespace, console: Console, dataset: Dataset, configs: Sequence[RunConfig], began: float) -> None:
    """Train one run after the other, each on disk before the next begins; print the table however it ends."""
    described = environment(dataset)
    say(console, f"Machine: {machine(described)}.")
    progress = make_progress(console, len(configs), quiet=args.quiet)
    try:
        _compile(configs, console)
        with progress:
            for config in configs:
                progress.start(config)
                progress.finish(run_one(config, dataset, on_epoch=progress.on_epoch, on_batch=progress.on_batch))
                if args.out:
                    write_results(args.out / "results.json", described, progress.finished)
    finally:
        finished = progress.finished
        if len(finished) < len(configs):
            say(console, f"{len(finished)} of {len(configs)} runs had finished.")
        if finished:
            _report(results_table(finished, described, time.perf_counter() - began), args.out)


def _report(table: Table, folder: Path | None) -> None:
    try:
        if folder:
            write_whole(folder / "table.md", table.markdown())
    finally:
        _print(table)


def _plan(args: Namespace, settings: dict[str, Any], dataset: Dataset) -> tuple[list[RunConfig], str]:
    """Return one config a run and, in words, what was left out.

    Seeds are outermost: a sweep that is interrupted has the whole table of its first seeds.
    """
    left_out = ""
    if args.experiments is None and any(name in settings for name in _NETWORK):
        experiments = [CUSTOM]
    else:
        experiments, left_out = select(chain.from_iterable(args.experiments or [["all"]]), dataset)
    configs = [
        make_config(experiment, dataset, normalize=normalize, seed=seed, settings=settings)
        for seed in range(args.seed, args.seed + args.seeds)
        for experiment in experiments
        for normalize in dict.fromkeys(chain.from_iterable(args.normalize))
    ]
    return configs, left_out


def _compile(configs: Sequence[RunConfig], console: Console) -> None:
    """Compile what these runs need now, so that no run's time holds it, and say so: it takes some seconds."""
    say(console, "Compiling the kernels, once a process ...")
    start = time.perf_counter()
    for config in {(c.activation, c.precision, c.matmul, len(c.layers) > 2): c for c in configs}.values():
        compile_for(config)
    seconds = time.perf_counter() - start
    hint = "; with FASTMLP_NUMBA_CACHE=1 in the environment the next start finds them on disk" if seconds > 2 else ""
    say(console, f"Compiled in {duration(seconds)}{hint}.")


def _print(table: Table) -> None:
    """Print a table: drawn on a terminal, as Markdown elsewhere."""
    console = Console()
    if not console.is_terminal:
        print(table.markdown(), end="")
        return
    for fact in table.facts:
        say(console, fact)
    console.print(*table.rich(console.width))
