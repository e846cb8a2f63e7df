"""The work of `python -m fastmlp.train` once its options are parsed: data, plan, training, table and page."""

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from fastmlp.cli import own
from fastmlp.cli.log import Log
from fastmlp.cli.output import Output
from fastmlp.cli.plan import AUTO, make_plan
from fastmlp.cli.progress import Numbers, Silent, download_bar, make_progress
from fastmlp.cli.shell import Call
from fastmlp.config import RunConfig
from fastmlp.data import Dataset, load_dataset
from fastmlp.errors import ConfigError, DataError
from fastmlp.models.file import load_model
from fastmlp.models.model import Model
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.threads import blas_threads, usable_cores
from fastmlp.report.baselines import Baseline, baselines_of
from fastmlp.report.plots.style import styled
from fastmlp.report.tables import Table, machine, plan_table
from fastmlp.report.words import duration
from fastmlp.runs import autoprecision
from fastmlp.runs.autotune import measured, resolve
from fastmlp.runs.fits import check_fits
from fastmlp.runs.results import check_folder
from fastmlp.sweep import file as sweep_file
from fastmlp.sweep.conduct import conduct, ending
from fastmlp.sweep.folder import Folder, opened
from fastmlp.sweep.leftovers import remove_leftovers
from fastmlp.sweep.lock import WORK, held
from fastmlp.sweep.loggers import Logged, Loggers, opened_loggers
from fastmlp.sweep.plan import Plan
from fastmlp.terminal import Compiling, print_table, say


def train(call: Call, note: str | None, args: Namespace, console: Console) -> int:
    """Check all that can be checked before training takes its time; then train and print the table.

    note : a line to print first, or None. Returns the exit status.
    """
    began, compiling = time.perf_counter(), Compiling(console)
    if note is not None:
        say(console, note)
    if args.clean:
        return _clean(args, console)
    if args.report:
        check_report(args)
    looking = args.dry_run or args.check_precision
    loggers = opened_loggers([] if looking else getattr(args, "loggers", []), args.out)
    if args.out and not looking:
        check_folder(args.out, make=False)  # it is made once nothing that is given can be refused any more
    dataset = _data(args, console, looking=looking)
    start = load_model(args.init_from) if args.init_from else None
    plan = make_plan(args, dataset, start)
    check_fits(plan.configs, dataset)
    if args.data is not None:
        say(console, own.network_words(plan.configs))
    if not looking:
        _begin_log(args, call.log)
    with opened(args.out, looking=looking) as folder:
        chosen: list[str] = []
        if args.precision == AUTO:
            with compiling.here("Measuring precisions"):
                args, plan, chosen = with_precision(args, plan, dataset, folder, start)
        if args.data is not None:
            say(console, own.memory_words(plan, dataset))
        for note in [*folder.notes, *folder.without_models(plan.configs, dataset.fingerprint)]:
            say(console, note)
        with compiling.here("Measuring packed and BLAS products"):
            plan, found = resolved_plan(args, plan, folder)
        check_sweep(args, plan, dataset, folder)
        to_run = folder.missing(plan.configs, dataset.fingerprint, args.retry, test=not plan.search)
        before = len(plan.configs) - len(to_run)
        there = f", {before} of them finished before" if before else ""
        if args.data is not None and found and not args.dry_run:
            seconds = _seconds(plan, to_run, dataset)
            say(console, f"Estimated time: {duration(max([sum(seconds) / plan.jobs, *seconds]))} at most.")
        for note in filter(None, [plan.left_out, *chosen, *found, f"Runs: {len(plan.configs)}{there}."]):
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
            output = Output(console, folder, plan, dataset, began)
            where = f"Scheduler: {args.scheduler}" if args.scheduler else f"Jobs: {plan.jobs} of {plan.threads} threads"
            say(console, f"Machine: {machine(output.environment)}. {where}.")
            if args.out:
                write_sweep_file(args, dataset)
            progress = _progress(console, plan, to_run, folder, dataset)
            with ending(output.end, _say_error), _logging(loggers, console), progress:
                for result in output.known():  # what an earlier sweep could not log, or was not asked to
                    loggers.finish(result)
                weights = None if start is None else start.parameters
                told = {"watcher": Logged(progress, loggers), "kept": output.now_and_then, "compiling": compiling}
                conduct(plan, dataset, folder, start=weights, **told)
                if args.data is not None:
                    output.baselines = more_baselines(args, dataset, console)
        say(console, f"runs.jsonl and what is made of it are in {args.out}." if args.out else
            "Nothing was written; --out DIR keeps the results.")  # fmt: skip
        if args.report:
            from fastmlp.report.make import make_report  # here: matplotlib, which only this needs

            with compiling.here("Drawing the figures"):
                others = output.baselines or None
                page = make_report(args.out, args.data_dir, lambda words: say(console, words), others=others)
            say(console, f"The page is {page}.")
        if failed := sum(result.status == "failed" for result in output.known()):
            again = call.line + " --retry failed" * (args.out is not None)
            runs = f"{failed} run{'s' * (failed > 1)}"
            _say_error(f"{runs} failed; their lines above say why. Once that is mended: {again}")
        return 1 if failed else 0


@contextmanager
def _logging(loggers: Loggers, console: Console) -> Iterator[None]:
    """Have the loggers work within the body, and tell of those that failed at its end."""
    try:
        with loggers:
            yield
    finally:
        for note in loggers.notes():
            say(console, note)


def _data(args: Namespace, console: Console, *, looking: bool) -> Dataset:
    """Load the data of the options, and print what they are; looking : whether nothing is to be downloaded."""
    if args.data is not None:
        found = own.loaded(args, console)
        own.show(console, found)
        _check_fingerprint(args, found.dataset)
        return found.dataset
    with download_bar(console) as on_progress:
        ways = {"mirror": args.mirror, "download": False if looking else None, "on_progress": on_progress}
        dataset = load_dataset(args.dataset, args.data_dir, **ways)
    _check_fingerprint(args, dataset)
    data = f"Data set: {dataset.name} ({dataset.source}), by --dataset {args.dataset}."
    for note in filter(None, [dataset.notice, data]):
        say(console, note)
    return dataset


def more_baselines(args: Namespace, dataset: Dataset, console: Console) -> list[Baseline]:
    """Return what the best constant answer reaches on own data, and by `--baselines` two models of scikit-learn's."""
    (target,) = dataset.label_names
    return baselines_of(
        dataset,
        target,
        threads=args.threads or usable_cores(),
        seed=args.seed,
        tell=lambda line: say(console, line),
        models=args.baselines,
    )


def check_sweep(args: Namespace, plan: Plan, dataset: Dataset, folder: Folder) -> None:
    """Raise ConfigError for a folder that holds another sweep."""
    folder.check_sweep(plan.configs, dataset.fingerprint)
    if plan.eta is None and any(result.status == "pruned" for result in folder.known.values()):
        raise ConfigError(f"--out {args.out} holds a search by --halving. Give that too, or choose another --out.")


def _progress(console: Console, plan: Plan, to_run: Sequence[RunConfig], folder: Folder, dataset: Dataset) -> Silent:
    """Return the display for the runs that are to be done, numbered after those that were done before."""
    before = folder.known_of([config for config in plan.configs if config not in to_run], dataset.fingerprint)
    numbers = Numbers(len(plan.configs), [result.run_id for result in before])
    return make_progress(console, None if plan.search else len(to_run), numbers)


def write_sweep_file(args: Namespace, dataset: Dataset) -> None:
    """Write the options into the folder of `--out`, from which the same sweep can be run again."""
    name = {} if args.data is not None else {"dataset": dataset.name}
    settings = sweep_file.settings(args) | name | {"fingerprint": dataset.fingerprint}
    if args.data is not None:
        settings["dataset"] = None
    sweep_file.write(args.out / sweep_file.SWEEP_FILE, settings, {"data set": dataset.name})


def _say_error(error: object) -> None:
    say(Console(stderr=True), f"error: {error}")  # however quiet the command is


def _begin_log(args: Namespace, log: Log | None) -> None:
    """Begin --log, then make the folder of --out, so that a log that cannot be written leaves no folder behind.

    A log inside that folder is begun after it.
    """
    inside = args.log and args.out and args.log.absolute().is_relative_to(args.out.absolute())
    if log is not None and not inside:
        log.begin(args.log)
    if args.out:
        check_folder(args.out)
    if log is not None and inside:
        log.begin(args.log)


def _clean(args: Namespace, console: Console) -> int:
    """Remove the leftovers of dead sweeps in a folder; ConfigError where it is missing, or a sweep holds it."""
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
            f"is {dataset.fingerprint}. Name the place of the right data by --data{'-dir' * (args.data is None)}, or "
            "give --fingerprint any."
        )


def check_report(args: Namespace) -> None:
    """Raise an error for --report before training takes its time, where the page could not be written."""
    if args.out is None:
        raise ConfigError("--report writes its page into the folder of --out, which is missing; give --out DIR too.")
    with styled():  # raises where matplotlib is not installed
        pass


def with_precision(
    args: Namespace, plan: Plan, dataset: Dataset, folder: Folder, start: Model | None = None
) -> tuple[Namespace, Plan, list[str]]:
    """Return options and plan with a precision in the place of `--precision auto`, and a sentence on it.

    A folder of a sweep keeps the precision that it has; else it is measured.
    """
    if args.precision != AUTO:
        return args, plan, []
    kept = _kept_precision(folder)
    configs = autoprecision.in_precision(plan.configs, kept) if kept else None
    note = f"Precision: {kept}, as the sweep in {folder.out} has it."
    if configs is None:
        free = not _is_matmul_given(args)
        configs, note = autoprecision.choose(plan.configs, dataset, start, any_matmul=free)
    args = Namespace(**vars(args) | {"precision": configs[0].precision})
    return args, replace(plan, configs=configs), [note]


def _kept_precision(folder: Folder) -> str | None:
    """Return the precision of a folder's results, or of its sweep's file where it has none yet; None for neither."""
    if folder.known:
        return next(iter(folder.known.values())).precision
    kept = None if folder.out is None else sweep_file.kept(folder.out / sweep_file.SWEEP_FILE, "precision")
    return kept if kept in tuple(PRECISIONS) else None


def _is_matmul_given(args: Namespace) -> bool:
    return args.matmul != AUTO or any(text.startswith("matmul=") for text in (args.grid or args.random or ()))


def resolved_plan(args: Namespace, plan: Plan, folder: Folder) -> tuple[Plan, list[str]]:
    """Return the plan with packed or BLAS products chosen by measurement, where the options ask for that, and notes."""
    if _is_matmul_given(args) or len(PRECISIONS[args.precision].matmuls) == 1:
        return plan, []
    configs, found = resolve(plan.configs, [result.config for result in folder.known.values()])
    return replace(plan, configs=configs), found


def _planned(plan: Plan, to_run: Sequence[RunConfig], dataset: Dataset) -> Table:
    """Return the table of planned runs with the longest time of each."""
    return plan_table(plan.configs, _seconds(plan, to_run, dataset), plan.jobs)


def _seconds(plan: Plan, to_run: Sequence[RunConfig], dataset: Dataset) -> list[float]:
    """Return the longest time of each planned run, 0 of a finished one: all of its steps, at the measured time of one.

    A row of the validation part passes each layer once, where one that is trained on passes it three times.
    """
    seconds = []
    for config in plan.configs:
        _, images, own_part, _ = dataset.outlines[config.fold]
        held_out = own_part or config.validation_fraction * images
        passes = images - held_out * (not own_part) + held_out / 3
        step = measured(config)[config.matmul]
        seconds.append(config.epochs * passes / config.batch_size * step if config in to_run else 0.0)
    return seconds
