"""Worker processes for a sweep: each in a pool of its own, so that one that is killed takes no other with it.

A process starts with its thread limits in the environment, before numpy loads there. What one has compiled, the next
ones load from the cache of kernels.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from types import TracebackType
from typing import Any

from loky import ProcessPoolExecutor

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# How often a worker looks whether its parent is there: an idle one waits for jobs for ever and would not notice.
ORPHAN_SECONDS = 1.0


def _end_with(parent: int) -> None:
    """End this process, whatever it does, once the one that started it is gone: the sweep may run again elsewhere."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin(threads: int, parent: int) -> None:
    """Set a new worker up, and check that its limits hold."""
    _end_with(parent)
    from fastmlp.signals import STOPS

    for signum in STOPS:  # terminals and batch systems send them to all; the parent decides what they mean
        signal.signal(signum, signal.SIG_IGN)
    from fastmlp.threads import blas_info

    wrong = [library for library in blas_info() if library["num_threads"] > threads]
    if wrong:
        raise RuntimeError(f"{wrong[0]['internal_api']} took {wrong[0]['num_threads']} threads, not {threads}")


class Processes(Executor):
    """`jobs` processes of `threads` threads each, started as they are needed.

    A future whose process died raises BrokenExecutor; the next job in its place gets a new process.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        self._environment = dict.fromkeys(_THREADS, str(threads))
        self._threads = threads
        self._pools: list[ProcessPoolExecutor | None] = [None] * jobs
        self._busy: list[Future[Any] | None] = [None] * jobs

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run fn in a process that has nothing else to do, or else behind the first one's job."""
        slot = next((i for i, future in enumerate(self._busy) if future is None or future.done()), 0)
        try:
            future = self._pool(slot).submit(fn, *args, **kwargs)
        except BrokenExecutor:  # its process died between two jobs
            self._drop(slot)
            future = self._pool(slot).submit(fn, *args, **kwargs)
        self._busy[slot] = future
        return future

    def _pool(self, slot: int) -> ProcessPoolExecutor:
        busy, pool = self._busy[slot], self._pools[slot]
        if pool is not None and busy is not None and busy.done() and isinstance(busy.exception(), BrokenExecutor):
            self._drop(slot)
        if (pool := self._pools[slot]) is None:
            pool = self._pools[slot] = ProcessPoolExecutor(
                max_workers=1,
                timeout=None,
                env=self._environment,
                initializer=_begin,
                initargs=(self._threads, os.getpid()),
            )
        return pool

    def _drop(self, slot: int) -> None:
        pool, self._pools[slot] = self._pools[slot], None
        if pool is not None:
            # waits for loky's thread, which must not meet the end of the interpreter while it takes semaphores down
            pool.shutdown(wait=True, kill_workers=True)

    def kill(self) -> None:
        """End all processes at once, whatever they do."""
        for slot in range(len(self._pools)):
            self._drop(slot)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as in Executor
        """End the processes once their jobs are done."""
        for pool in self._pools:
            if pool is not None:
                pool.shutdown(wait=wait)
        self._pools = [None] * len(self._pools)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes: once their jobs are done, or at once where something went wrong or was stopped."""
        if kind is not None:
            self.kill()
        self.shutdown()
