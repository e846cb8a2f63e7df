"""The conduct of a sweep: the runs that are still to do, their executor, and the files written however it ends.

`run_sweep` is its form for Python; `python -m fastmlp.train` conducts its sweeps by the same parts.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.mapped import write_mapped
from fastmlp.errors import FastMLPError, OutputError
from fastmlp.nn.threads import usable_cores
from fastmlp.runs.environment import environment
from fastmlp.runs.fits import check_fits
from fastmlp.runs.results import RunResult, write_results
from fastmlp.runs.run import compile_for, kinds
from fastmlp.sweep.epochs import OnEpoch, calling
from fastmlp.sweep.folder import Folder, opened
from fastmlp.sweep.job import COMPILING, DATA, holding
from fastmlp.sweep.loop import LOOK_SECONDS, Quiet, Sweep, Watcher, submit
from fastmlp.sweep.plan import WORKERS, Plan, candidates_of
from fastmlp.sweep.processes import Processes
from fastmlp.sweep.search import search
from fastmlp.terminal import Compiling


def conduct(
    plan: Plan,
    dataset: Dataset,
    folder: Folder,
    *,
    start: np.ndarray | None = None,
    watcher: Watcher | None = None,
    kept: Callable[[], None] = lambda: None,
    compiling: Compiling | None = None,
) -> None:
    """Do those runs of a plan that are not finished in the folder, and all of a search.

    start : (P,) of the runs' dtype, weights to begin with, whose hash each config has in `init_from`
    watcher : called as runs begin, go on and end; kept() : called after each result is in the folder
    compiling : shows the compilation by this machine's workers before the runs; None: each run compiles what it needs
    """
    fingerprint, watcher = dataset.fingerprint, watcher or Quiet()
    missing = folder.missing(plan.configs, fingerprint, plan.retry, test=not plan.search)
    if not missing and not plan.search:
        return

    def keep(result: RunResult) -> None:
        folder.keep(result)
        kept()

    dataset = write_mapped(dataset, folder.work / DATA)
    with holding(dataset), _executor(plan, dataset, folder.work, watcher) as (executor, jobs):
        if compiling is not None and plan.workers in WORKERS:  # a cluster's compile for themselves
            compile_by(executor, plan.configs, folder.work / COMPILING, compiling)
        more = {"epochs": max(config.epochs for config in plan.configs), "models": folder.models, "start": start}
        sweep = Sweep(executor, jobs, fingerprint, folder.work, keep, watcher, **more)
        if plan.search:
            search(sweep, folder, candidates_of(plan.configs), plan.retry, plan.eta)
        else:
            sweep.run(missing)


@contextmanager
def _executor(plan: Plan, dataset: Dataset, work: Path, watcher: Watcher) -> Iterator[tuple[Executor, int]]:
    """Yield the executor and how many runs it does at once; where the body raises, runs are not waited for."""
    workers, jobs = plan.workers, plan.jobs
    if not isinstance(workers, str):
        yield workers, jobs
        return
    if workers == "processes":
        executor = Processes(jobs, plan.threads)
    elif workers == "threads":
        executor = ThreadPoolExecutor(jobs, "fastmlp")
    else:
        from fastmlp.sweep.cluster import Cluster  # here: few sweeps have one

        executor = Cluster(workers, dataset, work, plan.threads, watcher.tell)
        jobs = min(jobs, executor.slots)
    try:
        yield executor, jobs
    except BaseException:
        if not isinstance(executor, ThreadPoolExecutor):  # threads cannot be killed
            executor.kill()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def compile_by(executor: Executor, configs: Sequence[RunConfig], mark: Path, compiling: Compiling) -> None:
    """Compile the kernels of these runs in workers before the runs: what one has compiled the others load.

    mark : a file that a worker makes when it begins to compile, and not where it loads all from the disk
    """
    _unmark(mark)
    futures = [submit(executor, compile_for, config, mark) for config in kinds(configs)]
    try:
        while wait(futures, LOOK_SECONDS).not_done:
            if mark.exists():
                compiling.show(lambda: time.time() - mark.stat().st_mtime)
    finally:
        compiling.end()
        _unmark(mark)
    for future in futures:
        if isinstance(error := future.exception(), FastMLPError):
            raise error
        # killed, or without memory: the run itself will compile it, or say why it cannot


def _unmark(mark: Path) -> None:
    with suppress(OSError):  # it is only shown
        mark.unlink()


@contextmanager
def ending(write: Callable[[], None], lost: Callable[[OutputError], None] = lambda _: None) -> Iterator[None]:
    """Call `write` however the body ends.

    lost(error) : called with an OutputError of `write` where the body has raised, whose error goes on instead
    """
    try:
        yield
    except BaseException:
        try:
            write()
        except OutputError as error:
            lost(error)
        raise
    write()


def run_sweep(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    out: str | Path | None = None,
    retry: Collection[str] = (),
    watcher: Watcher | None = None,
    start: np.ndarray | None = None,
    on_epoch: OnEpoch | None = None,
) -> list[RunResult]:
    """Train and test a network for each config; return the results in the order of the configs.

    executor : any `concurrent.futures.Executor`, which stays open. Its workers find the data in the sweep's folder; on
        other machines they call `fastmlp.sweep.hold(dataset)` first. None: processes on this machine
    jobs : runs at a time; None: as many as have cores for their threads on this machine, or all with an executor
    out : folder of the results, `runs.jsonl` and `results.json`, and of the networks, `models/RUN_ID.npz`; runs that it
        holds are not run again. None keeps nothing
    retry : statuses of runs in `out` to begin anew: "failed", "diverged", "interrupted"
    watcher : called as runs begin, go on and end, see `Watcher`
    start : (P,) of the runs' dtype, weights to begin with, whose hash each config has in `init_from`
    on_epoch(config, epoch, history) : called in this process for all epochs of each run that is done, in order, counted
        from 1, each about half a second after its end; the history is the run's up to there. Those from before a run
        goes on come first, and all come at its end where its worker, on another machine, cannot reach the sweep's
        folder. What it raises ends the sweep; a run it cannot end, so True is refused

    The rows may be images of any shape or features, the targets of any kind, see `fastmlp.data.Dataset`.

    Raises ConfigError where `out` holds another sweep, or another sweep holds it, or a config does not fit the data,
    and DataError for data that `Dataset.check` refuses. After Ctrl-C the epochs under way end and are saved, and
    KeyboardInterrupt is raised.
    """
    watcher = calling(on_epoch, watcher or Quiet())
    check_fits(configs, dataset)
    out = None if out is None else Path(out)
    with opened(out) as folder:
        fingerprint = dataset.fingerprint
        folder.check_sweep(configs, fingerprint)

        def write() -> None:
            if out is not None:
                write_results(out / "results.json", environment(dataset), folder.known_of(configs, fingerprint))

        with ending(write):
            if missing := folder.missing(configs, fingerprint, retry):
                threads = max(config.threads for config in missing)
                if jobs is None:
                    jobs = len(missing) if executor is not None else max(1, usable_cores() // threads)
                workers = WORKERS[0] if executor is None else executor
                plan = Plan(configs, min(jobs, len(missing)), threads, workers, retry=retry)
                conduct(plan, dataset, folder, start=start, watcher=watcher)
        return folder.known_of(configs, fingerprint)
