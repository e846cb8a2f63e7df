"""What does a sweep's runs, as the command's options ask for, and what it compiles before them."""

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path

from fastmlp.cli.plan import Plan
from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.errors import FastMLPError
from fastmlp.runs.run import compile_for, kinds
from fastmlp.sweep.cluster import Cluster
from fastmlp.sweep.loop import LOOK_SECONDS, Watcher, submit
from fastmlp.sweep.processes import Processes
from fastmlp.terminal import Compiling


@contextmanager
def executor_of(args: Namespace, plan: Plan, dataset: Dataset, work: Path, watcher: Watcher) -> "Iterator[Executor]":
    """Yield what does the runs; a second Ctrl-C does not wait for them."""
    if args.scheduler:
        executor = Cluster(args.scheduler, dataset, work, plan.threads, watcher.tell)
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


def _unmark(mark: Path) -> None:
    with suppress(OSError):  # it is only shown
        mark.unlink()


def compile_by(executor: Executor, configs: Sequence[RunConfig], mark: Path, compiling: Compiling) -> None:
    """Have workers compile what these runs need, before the runs: what one has compiled the others load.

    mark : a file that a worker makes when it begins; one that only loads what is kept on disk does not
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
