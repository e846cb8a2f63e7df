"""The command line of `python -m fastmlp.train`: runs in, one table out.

The table goes to stdout, notices and progress to stderr. Exit status: 0 done, 1 where a run failed, 2 where something
given cannot be used, 130 after Ctrl-C. Whatever ends it, the runs that finished are in the table and in `--out`.
"""

import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from fastmlp.config import RunConfig
from fastmlp.data import Dataset, load_dataset
from fastmlp.data.mapped import write_mapped
from fastmlp.environment import environment
from fastmlp.errors import ConfigError, FastMLPError
from fastmlp.matmul import measured, resolve
from fastmlp.model import Model
from fastmlp.model_file import load_model
from fastmlp.options import parse
from fastmlp.plan import Plan, candidates_of, make_plan, settings_of
from fastmlp.plots.style import styled
from fastmlp.precision import MATMULS
from fastmlp.progress import download_bar, make_progress
from fastmlp.results import ENDED, check_folder
from fastmlp.run import compile_for, kinds
from fastmlp.sweep import file as sweep_file
from fastmlp.sweep import hold
from fastmlp.sweep.choose import best_of, search
from fastmlp.sweep.cluster import Cluster
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.folder import Folder, opened
from fastmlp.sweep.job import DATA
from fastmlp.sweep.loop import LOOK_SECONDS, Sweep, Watcher
from fastmlp.sweep.processes import Processes
from fastmlp.tables import Table, experiments_table, machine, plan_table, results_table, search_table
from fastmlp.terminal import Compiling, print_table, say
from fastmlp.threads import blas_threads

# Options that do not say what a sweep is, only how and where it is worked on.
_NOT_IN_FILE = (
    "config",
    "out",
    "jobs",
    "workers",
    "scheduler",
    "dry_run",
    "check_precision",
    "list",
    "quiet",
    "report",
    "retry",
    "data_dir",
    "mirror",
)


def main(argv: Sequence[str] | None = None, *, notes: Sequence[str] = ()) -> int:
    """Run the command on `argv` (default: the process's arguments), `notes` said first; return its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    errors = Console(stderr=True)
    try:
        args = parse(argv)
        if args.list:
            print_table(experiments_table())
            return 0
        return _command(args, argv, Console(stderr=True, quiet=args.quiet), notes)
    except FastMLPError as error:
        say(errors, f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say(errors, "Stopped by Ctrl-C." + _how_to_go_on(argv))
        return 130


def _how_to_go_on(argv: list[str]) -> str:
    if not any(word == "--out" or word.startswith("--out=") for word in argv):
        return " Nothing was kept; with --out DIR the next one can go on from here."
    return f" To go on: python -m fastmlp.train {shlex.join(argv)}"


def _command(args: Namespace, argv: list[str], console: Console, notes: Sequence[str]) -> int:
    """Check everything that can be checked before data and training take their time; then train, print, say where."""
    began, compiling = time.perf_counter(), Compiling(console)
    for note in notes:
        say(console, note)
    settings_of(args)
    if args.report:
        _check_report(args)
    if args.out:
        check_folder(args.out)
    with opened(args.out) as folder:
        for note in folder.notes:
            say(console, note)
        with download_bar(console) as on_progress:
            dataset = load_dataset(args.dataset, args.data_dir, mirror=args.mirror, on_progress=on_progress)
        data = f"Data set: {dataset.name} ({dataset.source}), by --dataset {args.dataset}."
        for note in filter(None, [dataset.notice, data]):
            say(console, note)
        start = load_model(args.init_from) if args.init_from else None
        plan = make_plan(args, dataset, start)
        with compiling.here("Measuring packed and BLAS products"):
            plan, found = _resolved(args, plan, folder)
        folder.check_sweep(plan.configs, dataset.fingerprint)
        if args.halving is None and any(result.status == "pruned" for result in folder.known.values()):
            raise ConfigError(f"--out {args.out} holds a search by --halving. Give that too, or choose another --out.")
        to_run = folder.missing(
            plan.configs, dataset.fingerprint, () if args.dry_run else args.retry, test=not plan.search
        )
        before = len(plan.configs) - len(to_run)
        there = f", {before} of them finished before" if before else ""
        for note in filter(None, [plan.left_out, *found, f"Runs: {len(plan.configs)}{there}."]):
            say(console, note)
        if args.dry_run:
            with compiling.here("Measuring a step of each network"):
                planned = _planned(plan, to_run, dataset)
            print_table(planned)
            return 0
        with blas_threads(plan.threads) as libraries:
            if args.check_precision:
                from fastmlp.precision_check import precision_table  # here: only this needs it

                with compiling.here("Comparing gradients"):
                    compared = precision_table(plan.configs, dataset, start)
                print_table(compared)
                return 0
            if not libraries:
                say(console, "No BLAS was found whose threads can be set: --threads has no effect.")
            failed = _run(args, console, compiling, folder, dataset, plan, began, start)
        say(console, f"runs.jsonl and what is made of it are in {args.out}." if args.out else
            "Nothing was written; --out DIR keeps the results.")  # fmt: skip
        if args.report:
            from fastmlp.report import make_report  # here: matplotlib, which only this needs

            with compiling.here("Drawing the figures"):
                page = make_report(args.out, args.data_dir, lambda words: say(console, words))
            say(console, f"The page is {page}.")
        if failed:
            again = f"{shlex.join(argv)} --retry failed"
            say(Console(stderr=True), f"error: {failed} runs failed; their lines above say why. "
                f"Once that is mended: python -m fastmlp.train {again}")  # fmt: skip
        return 1 if failed else 0


def _check_report(args: Namespace) -> None:
    """Refuse --report before training takes its time, where it could not be written."""
    if args.out is None:
        raise ConfigError("--report writes its page into the folder of --out, which is missing; give --out DIR too.")
    with styled():  # raises where matplotlib is not installed
        pass


def _resolved(args: Namespace, plan: Plan, folder: Folder) -> tuple[Plan, list[str]]:
    """Choose packed or BLAS products, where that is to be measured."""
    is_axis = any(text.startswith("matmul=") for text in (args.grid or args.random or ()))
    if args.matmul != "auto" or is_axis or len(MATMULS[args.precision]) == 1:
        return plan, []
    configs, found = resolve(plan.configs, [result.config for result in folder.known.values()])
    return replace(plan, configs=configs), found


def _planned(plan: Plan, to_run: Sequence[RunConfig], dataset: Dataset) -> Table:
    """Return the runs with what each takes at most: as many steps as it may do, each as long as was measured.

    An image of the validation part passes each layer once, where one that is trained on passes it three times.
    """
    images = len(dataset.train_images)
    seconds = []
    for config in plan.configs:
        held_out = config.validation_fraction
        passes = images * (1 - held_out) + images * held_out / 3
        step = measured(config)[config.matmul]
        seconds.append(config.epochs * passes / config.batch_size * step if config in to_run else 0.0)
    return plan_table(plan.configs, seconds, plan.jobs)


def _run(
    args: Namespace,
    console: Console,
    compiling: Compiling,
    folder: Folder,
    dataset: Dataset,
    plan: Plan,
    began: float,
    start: Model | None,
) -> int:
    """Train what is missing; print the table however it ends; return how many runs failed."""
    described = environment(dataset)
    where = f"Scheduler: {args.scheduler}" if args.scheduler else f"Jobs: {plan.jobs} of {plan.threads} threads"
    say(console, f"Machine: {machine(described)}. {where}.")
    derived = Derived(args.out, described) if args.out else None
    if args.out:
        settings = {name: value for name, value in vars(args).items() if name not in _NOT_IN_FILE}
        sweep_file.write(
            args.out / "sweep.toml", _flat(settings), {"data set": f"{dataset.name} {dataset.fingerprint}"}
        )

    def keep(result: Any) -> None:
        folder.keep(result)
        if derived:
            derived.now_and_then(lambda: folder.known_of(plan.configs, fingerprint))

    fingerprint, best = dataset.fingerprint, None
    anew = not folder.known_of(plan.configs, fingerprint)
    try:
        missing = folder.missing(plan.configs, fingerprint, args.retry, test=not plan.search)
        progress = make_progress(console, None if plan.search else len(missing), quiet=args.quiet)
        if missing or plan.search:
            dataset = write_mapped(dataset, folder.work / DATA)
            hold(dataset)
            with _executor(args, plan, dataset, folder, progress) as executor:
                jobs = plan.jobs
                if isinstance(executor, Cluster):  # whose workers compile for themselves
                    jobs = min(jobs, executor.slots)
                else:
                    _compile(plan.configs, executor, folder.work / "compiling", compiling)
                with progress:
                    weights = None if start is None else start.parameters
                    more = {"models": folder.models, "start": weights}
                    sweep = Sweep(executor, jobs, fingerprint, folder.work, keep, progress, **more)
                    if plan.search:
                        search(sweep, folder, candidates_of(plan.configs), args.retry, args.halving)
                    else:
                        sweep.run(missing)
        folder.clean()
    finally:
        known = folder.known_of(plan.configs, fingerprint)
        if plan.search:
            best = best_of(folder, candidates_of(plan.configs), fingerprint)
        ended = [result for result in known if result.status in (*ENDED, "diverged")]
        left = len(plan.configs) - sum(result.status != "interrupted" for result in known)
        if left:
            say(console, f"{len(plan.configs) - left} of {len(plan.configs)} runs have finished.")
        if ended:
            wall = time.perf_counter() - began if anew else None
            table = search_table(known, best, described, wall) if plan.search else results_table(ended, described, wall)
            try:
                if derived:
                    derived.write(known, table)
            finally:
                print_table(table)
    return sum(result.status == "failed" for result in known)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Return options as a sweep file has them: names that were given in several words are one list."""
    lists = ("experiments", "normalize")
    return {
        name: [word for words in value for word in words] if name in lists and value else value
        for name, value in settings.items()
    }


@contextmanager
def _executor(args: Namespace, plan: Plan, dataset: Dataset, folder: Folder, watcher: Watcher) -> "Iterator[Executor]":
    """Yield what does the runs; a second Ctrl-C does not wait for them."""
    if args.scheduler:
        executor = Cluster(args.scheduler, dataset, folder.work, plan.threads, watcher.tell)
    elif args.workers == "processes":
        executor = Processes(plan.jobs, plan.threads)
    else:
        executor = ThreadPoolExecutor(plan.jobs, "fastmlp")
    try:
        yield executor
    except BaseException:
        if isinstance(executor, Processes | Cluster):
            executor.kill()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def _compile(configs: Sequence[RunConfig], executor: Executor, mark: Path, compiling: Compiling) -> None:
    """Have workers compile what these runs need, before the runs: what one has compiled the others load.

    mark : a file that a worker makes when it begins; one that only loads what is kept on disk does not
    """
    mark.unlink(missing_ok=True)
    futures = [executor.submit(compile_for, config, mark) for config in kinds(configs)]
    try:
        while wait(futures, LOOK_SECONDS).not_done:
            if mark.exists():
                compiling.show(lambda: time.time() - mark.stat().st_mtime)
    finally:
        compiling.end()
        mark.unlink(missing_ok=True)
    for future in futures:
        with suppress(BrokenExecutor):  # killed: the run itself will compile it
            future.result()
