"""The command line of `python -m fastmlp.train`: runs in, one table out.

The table goes to stdout, notices and progress to stderr. Exit status: 0 done, 1 where a run failed, 2 where something
given cannot be used, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 where nobody reads the table. Whatever
ends it, the runs that finished are in the table and in `--out`.
"""

import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from rich.console import Console

from fastmlp import signals
from fastmlp.cli.log import Log, logger
from fastmlp.cli.options import parse
from fastmlp.cli.plan import Plan, candidates_of, make_plan, settings_of
from fastmlp.cli.progress import Numbers, download_bar, make_progress
from fastmlp.cli.workers import compile_by, executor_of
from fastmlp.config import RunConfig
from fastmlp.data import Dataset, load_dataset
from fastmlp.data.mapped import write_mapped
from fastmlp.data.places import without_password
from fastmlp.errors import ConfigError, DataError, OutputError
from fastmlp.models.file import load_model
from fastmlp.models.model import Model
from fastmlp.nn.precision import MATMULS
from fastmlp.nn.threads import blas_threads
from fastmlp.report.plots.style import styled
from fastmlp.report.tables import Table, experiments_table, machine, plan_table, results_table, search_table
from fastmlp.runs.autotune import measured, resolve
from fastmlp.runs.environment import environment
from fastmlp.runs.results import ENDED, RunResult, check_folder
from fastmlp.sweep import file as sweep_file
from fastmlp.sweep.cluster import Cluster
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.folder import Folder, opened
from fastmlp.sweep.job import COMPILING, DATA, holding
from fastmlp.sweep.leftovers import remove_leftovers
from fastmlp.sweep.lock import WORK, held
from fastmlp.sweep.loop import Sweep
from fastmlp.sweep.search import best_of, search
from fastmlp.terminal import ERRORS, Compiling, print_table, refused, say


def main(argv: Sequence[str] | None = None, *, notes: Sequence[str] = ()) -> int:
    """Run the command on `argv` (default: the process's arguments), `notes` said first; return its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    with Log() as log:
        args = None
        try:
            args = parse(argv)
            if args.list:
                print_table(experiments_table())
                return 0
            logger.info(_again(argv))
            return _command(args, argv, Console(stderr=True, quiet=args.quiet), log, notes)
        except ERRORS as error:
            status = refused(error)
            with suppress(OutputError):  # which was the error, or is second to it
                log.begin(args.log if args else None)
            return status
        except KeyboardInterrupt as error:
            say(Console(stderr=True), signals.told(signals.signum_of(error)) + _how_to_go_on(argv))
            return signals.status_of(error)


def _how_to_go_on(argv: list[str]) -> str:
    if not any(word == "--out" or word.startswith("--out=") for word in argv):
        return " Nothing was kept; with --out DIR the next one can go on from here."
    return f" To go on: {_again(argv)}"


def _again(argv: Sequence[str]) -> str:
    """Return the command line, without the password of an address in it."""
    return f"python -m fastmlp.train {shlex.join(map(without_password, argv))}"


def _command(args: Namespace, argv: list[str], console: Console, log: Log, notes: Sequence[str]) -> int:
    """Check everything that can be checked before training takes its time; then train, print, say where."""
    began, compiling = time.perf_counter(), Compiling(console)
    for note in notes:
        say(console, note)
    settings_of(args)
    if args.clean:
        return _clean(args, console)
    if args.report:
        _check_report(args)
    looking = args.dry_run or args.check_precision
    if args.out and not looking:
        check_folder(args.out, make=False)  # it is made once nothing that is given can be refused any more
    with download_bar(console) as on_progress:
        ways = {"mirror": args.mirror, "download": False if looking else None, "on_progress": on_progress}
        dataset = load_dataset(args.dataset, args.data_dir, **ways)
    _check_fingerprint(args, dataset)
    data = f"Data set: {dataset.name} ({dataset.source}), by --dataset {args.dataset}."
    for note in filter(None, [dataset.notice, data]):
        say(console, note)
    start = load_model(args.init_from) if args.init_from else None
    plan = make_plan(args, dataset, start)
    if not looking:
        _begin_log(args, log)
    with opened(args.out, looking=looking) as folder:
        for note in [*folder.notes, *folder.without_models(plan.configs, dataset.fingerprint)]:
            say(console, note)
        with compiling.here("Measuring packed and BLAS products"):
            plan, found = _resolved(args, plan, folder)
        folder.check_sweep(plan.configs, dataset.fingerprint)
        if args.halving is None and any(result.status == "pruned" for result in folder.known.values()):
            raise ConfigError(f"--out {args.out} holds a search by --halving. Give that too, or choose another --out.")
        to_run = folder.missing(plan.configs, dataset.fingerprint, args.retry, test=not plan.search)
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
                from fastmlp.models.precision_check import precision_table  # here: only this needs it

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
            from fastmlp.report.__main__ import make_report  # here: matplotlib, which only this needs

            with compiling.here("Drawing the figures"):
                page = make_report(args.out, args.data_dir, lambda words: say(console, words))
            say(console, f"The page is {page}.")
        if failed:
            again = _again(argv) + " --retry failed" * (args.out is not None)
            runs = f"{failed} run{'s' * (failed > 1)}"
            say(Console(stderr=True), f"error: {runs} failed; their lines above say why. "
                f"Once that is mended: {again}")  # fmt: skip
        return 1 if failed else 0


def _begin_log(args: Namespace, log: Log) -> None:
    """Make --out, and begin --log: before it, so that one that cannot be written leaves no folder behind."""
    if args.log and not (args.out and args.log.absolute().is_relative_to(args.out.absolute())):
        log.begin(args.log)
    if args.out:
        check_folder(args.out)
    log.begin(args.log)


def _clean(args: Namespace, console: Console) -> int:
    """Remove what dead sweeps left in the folder; ConfigError where there is none, or a sweep holds it."""
    if not any((args.out / name).exists() for name in (WORK, "runs.jsonl")):
        raise ConfigError(f"--out {args.out} holds no sweep, so there is nothing to remove. Give the folder of one.")
    with held(args.out) as notes:
        removed = remove_leftovers(args.out)
    for note in [
        *notes,
        f"Removed from {args.out}: {removed}." if removed.files else f"Nothing to remove in {args.out}.",
    ]:
        say(console, note)
    return 0


def _check_fingerprint(args: Namespace, dataset: Dataset) -> None:
    if args.fingerprint not in ("any", dataset.fingerprint):
        raise DataError(
            f"--fingerprint is {args.fingerprint}, as a sweep.toml keeps it, and that of {dataset.name} as found here "
            f"is {dataset.fingerprint}. Name the place of the right data by --data-dir, or give --fingerprint any."
        )


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
        settings = sweep_file.settings(args) | {"dataset": dataset.name, "fingerprint": dataset.fingerprint}
        sweep_file.write(args.out / sweep_file.SWEEP_FILE, settings, {"data set": dataset.name})

    def keep(result: Any) -> None:
        folder.keep(result)
        if derived:
            derived.now_and_then(lambda: folder.known_of(plan.configs, fingerprint), lambda words: say(console, words))

    fingerprint = dataset.fingerprint
    anew = not folder.known_of(plan.configs, fingerprint)

    def end() -> list[RunResult]:
        """Print the table of what has finished, and write it; OutputError where that fails."""
        known = folder.known_of(plan.configs, fingerprint)
        best = best_of(folder, candidates_of(plan.configs), fingerprint) if plan.search else None
        left = len(plan.configs) - sum(result.status != "interrupted" for result in known)
        if left:
            say(console, f"{len(plan.configs) - left} of {len(plan.configs)} runs have finished.")
        ended = [result for result in known if result.status in (*ENDED, "diverged")]
        if ended:
            wall = time.perf_counter() - began if anew else None
            table = search_table(known, best, described, wall) if plan.search else results_table(ended, described, wall)
            try:
                if derived:
                    derived.write(known, table)
            finally:  # neither may cost the other
                print_table(table)
        return known

    try:
        missing = folder.missing(plan.configs, fingerprint, args.retry, test=not plan.search)
        there = folder.known_of([config for config in plan.configs if config not in missing], fingerprint)
        numbers = Numbers(len(plan.configs), [result.run_id for result in there])
        progress = make_progress(console, None if plan.search else len(missing), numbers)
        if missing or plan.search:
            dataset = write_mapped(dataset, folder.work / DATA)
            with holding(dataset), executor_of(args, plan, dataset, folder.work, progress) as executor:
                jobs = plan.jobs
                if isinstance(executor, Cluster):  # whose workers compile for themselves
                    jobs = min(jobs, executor.slots)
                else:
                    compile_by(executor, plan.configs, folder.work / COMPILING, compiling)
                with progress:
                    weights = None if start is None else start.parameters
                    more = {"models": folder.models, "start": weights}
                    sweep = Sweep(executor, jobs, fingerprint, folder.work, keep, progress, **more)
                    if plan.search:
                        search(sweep, folder, candidates_of(plan.configs), args.retry, args.halving)
                    else:
                        sweep.run(missing)
    except BaseException:
        try:
            end()
        except OutputError as error:  # which must not take the place of what ends the sweep
            say(Console(stderr=True), f"error: {error}")
        raise
    return sum(result.status == "failed" for result in end())
