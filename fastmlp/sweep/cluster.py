"""A sweep's runs on the workers of a dask.distributed scheduler: the extra `cluster`.

A worker gets runs only after it was set up: it has this version of fastmlp, cores enough for a run's threads, and data
whose fingerprint it has computed itself. The data are those it holds, or those in the sweep's folder, or else sent to
it, once. Which worker takes which run is decided here, not by dask, so that the death of a worker is noticed and costs
its runs a restart, as in `processes`.

dask sends functions and data as pickles: whoever reaches the scheduler's port can run code on all its machines.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmlp import __version__
from fastmlp.data import Dataset
from fastmlp.errors import ClusterError, ConfigError
from fastmlp.runs.identity import TRAINING_VERSION
from fastmlp.sweep.cluster_worker import Wanted, call, set_up
from fastmlp.sweep.scheduler import CLOSE_SECONDS, SILENT_SECONDS, START, Scheduler

LOOK_SECONDS = 0.2
# How long a sweep's beginning waits for more workers, once one can be used.
SET_UP_SECONDS = 10.0
# dask's words for a run whose worker died.
_LOST = ("KilledWorker", "CommClosedError")
# Python's, for what it is sent that it has not.
_OTHER_VERSION = ("ModuleNotFoundError", "ImportError", "AttributeError")


@dataclass
class _Worker:
    slots: int
    running: dict[Future[Any], Future[Any]] = field(default_factory=dict)  # ours by dask's


@dataclass
class _Call:
    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Cluster(Executor):
    """An executor over the workers of the scheduler at `address`, those that join later included.

    dataset : the runs' data, sent to workers that have none of its fingerprint
    work : the sweep's work folder, which workers may share
    threads : of a run. A worker takes as many runs at once as it has dask threads, and as its cores have room for
    tell(sentence) : called when workers come, go, compile, or cannot be used

    A future whose worker died, or is no longer heard of, raises BrokenExecutor; all of them raise ClusterError once the
    scheduler is gone or silent. Raises ConfigError where the extra `cluster` is not installed, no scheduler answers, or
    none of its workers can be used.
    """

    def __init__(
        self, address: str, dataset: Dataset, work: Path, threads: int, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._scheduler = Scheduler(address)
        version = (__version__, TRAINING_VERSION)
        self._wanted = Wanted(dataset.name, dataset.fingerprint, work.resolve(), threads, version)
        self._dataset, self._tell = dataset, tell
        # By a worker's identity: those in use, those being set up, why the others are not, what was last heard of each.
        self._workers: dict[str, _Worker] = {}
        self._asked: dict[str, Future[int]] = {}
        self._refused: dict[str, str] = {}
        self._heard: dict[str, tuple[float, float]] = {}
        self._waiting: deque[_Call] = deque()
        self._compiling: set[str] = set()  # addresses of workers that told so
        client = self._scheduler.client
        self._topic = f"fastmlp compiles {client.id}"
        client.subscribe_topic(self._topic, self._tell_of_compilation)
        self._lock, self._ends, self._error = threading.Lock(), threading.Event(), None
        try:
            self._await_workers()
        except BaseException:
            self._scheduler.close()
            raise
        self._pump = threading.Thread(target=self._work, daemon=True)
        self._pump.start()

    @property
    def slots(self) -> int:
        """The number of runs that the present workers take at once."""
        return sum(worker.slots for worker in list(self._workers.values()))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run fn on the next worker that has room for it; return its future. Takes no arguments by name."""
        if kwargs:
            raise TypeError(f"arguments by name are not taken: {', '.join(kwargs)}")
        call = _Call(Future(), fn, args)
        with self._lock:
            if self._error is None:
                self._waiting.append(call)
            else:
                call.future.set_exception(self._error)
        return call.future

    def _await_workers(self) -> None:
        """Wait until all present workers are set up, or until one is and the others take too long."""
        began = time.monotonic()
        while True:
            self._look_for_workers()
            if not self._asked or (self._workers and time.monotonic() - began > SET_UP_SECONDS):
                break
            time.sleep(LOOK_SECONDS)
        if not self._workers:
            self._scheduler.check()  # one that has gone meanwhile knows of no worker either
            silent = (f"worker {name.split()[0]}: it does not answer" for name in self._heard if self._is_silent(name))
            reasons = "; ".join([*self._refused.values(), *silent])
            address = self._scheduler.address
            raise ConfigError(
                f"--scheduler {address} has no worker that can be used{': ' * bool(reasons)}{reasons}. Start some with "
                f"`{START.format(address=address)}`."
            )

    def _is_silent(self, name: str) -> bool:
        return time.monotonic() - self._heard[name][1] > SILENT_SECONDS

    def _look_for_workers(self) -> None:
        """Set up new workers; forget those that are gone, and break the futures of their runs."""
        known = self._scheduler.workers().items()
        there = {f"{address} {about['id']}": (address, about) for address, about in known}
        now = time.monotonic()
        before, self._heard = self._heard, {}
        self._refused = {name: why for name, why in self._refused.items() if name in there}
        for name, (_, about) in there.items():
            last = before.get(name, (0, now))
            self._heard[name] = last if last[0] == about["last_seen"] else (about["last_seen"], now)
        for name in [name for name in self._workers if name not in there or self._is_silent(name)]:
            self._lose(name, "no longer answers" if name in there else "is gone")
        for name in [name for name in self._asked if name not in there or self._is_silent(name)]:
            self._asked.pop(name).cancel()
            if name in there:
                self._tell(f"Worker {name.split()[0]} does not answer; it is used once it does.")
        for name, (address, about) in there.items():
            if not (name in self._workers or name in self._asked or name in self._refused or self._is_silent(name)):
                self._asked[name] = self._scheduler.later(self._set_up(address, about["nthreads"]))
        for name in [name for name, asked in self._asked.items() if asked.done()]:
            self._take(name, self._asked.pop(name))

    async def _set_up(self, address: str, threads: int) -> int:
        """Set a worker up; return how many runs it takes at once."""
        found = await self._ask(address, None)
        if not found["has_data"]:
            found = await self._ask(address, self._dataset)
        if not found["has_data"]:
            raise ConfigError("the data that was sent arrived with another fingerprint")
        return min(threads, found["cores"] // self._wanted.threads)

    async def _ask(self, address: str, sent: Dataset | None) -> dict[str, Any]:
        return (await self._scheduler.client.run(set_up, self._wanted, sent, workers=[address]))[address]

    def _take(self, name: str, asked: "Future[int]") -> None:
        """Use a worker whose set-up has ended, or report why not."""
        try:
            self._workers[name] = _Worker(asked.result())
        except (OSError, CancelledError):  # it died meanwhile, or is not yet ready: the next look tells
            return
        except Exception as error:  # whatever another machine's installation raises: the others can go on
            other = any(name in repr(error) for name in _OTHER_VERSION)  # dask makes it an error that quotes it
            hint = f"; is fastmlp {__version__}, which the sweep has, installed there?" if other else ""
            self._refused[name] = f"worker {name.split()[0]}: {error}{hint}"
            self._tell(f"Not used: {self._refused[name]}.")

    def _lose(self, name: str, how: str) -> None:
        self._tell(f"Worker {name.split()[0]} {how}.")
        for remote, future in self._workers.pop(name).running.items():
            remote.cancel()
            future.set_exception(BrokenExecutor(f"the worker {how}"))
        if not self._workers:
            self._tell("No worker is left. The sweep goes on as soon as one joins; Ctrl-C ends it.")

    def _tell_of_compilation(self, event: tuple[float, str]) -> None:
        address = event[1]
        if address not in self._compiling:
            self._compiling.add(address)
            self._tell(f"Worker {address} compiles the kernels for its machine, once; it takes some seconds.")

    def _work(self) -> None:
        """Hand waiting calls to workers and set the futures of those that are done, until the executor ends."""
        while not self._ends.is_set():
            try:
                self._look_for_workers()
                self._collect()
                self._hand_out()
            except ClusterError as error:
                self._break(error)
                return
            except Exception as error:  # of dask, which knows many for a connection that is lost
                self._break(self._scheduler.gone(f"{type(error).__name__}: {error}"))
                return
            self._ends.wait(LOOK_SECONDS)

    def _collect(self) -> None:
        for worker in list(self._workers.values()):
            for remote in [remote for remote in worker.running if remote.done()]:
                error = self._error_of(remote)
                future = worker.running.pop(remote)
                if error is None:
                    future.set_result(remote.result())
                else:
                    future.set_exception(error)

    def _error_of(self, remote: "Future[Any]") -> BaseException | None:
        """Return the error that a call raised, or BrokenExecutor where it was lost with its worker; None for none."""
        error = CancelledError() if remote.cancelled() else remote.exception()
        if isinstance(error, CancelledError) or type(error).__name__ in _LOST:
            self._scheduler.check()  # or with the scheduler
            return BrokenExecutor(f"the run was lost: {error}")
        return error

    def _hand_out(self) -> None:
        for name, worker in self._workers.items():
            while len(worker.running) < worker.slots:
                with self._lock:
                    if not self._waiting:
                        return
                    waiting = self._waiting.popleft()
                if not waiting.future.set_running_or_notify_cancel():
                    continue
                called = self._scheduler.later(self._do(name.split()[0], waiting))
                worker.running[called] = waiting.future

    async def _do(self, address: str, waiting: _Call) -> Any:
        """Run a call on a worker and return its result; dask drops the call once this coroutine is cancelled."""
        where = {"workers": [address], "allow_other_workers": False}
        called = (call, waiting.function, waiting.arguments, self._topic)
        return await self._scheduler.client.submit(*called, pure=False, **where).result()

    def _break(self, error: ClusterError) -> None:
        with self._lock:
            self._error = error
            futures = [future for worker in self._workers.values() for future in worker.running.values()]
            futures += [waiting.future for waiting in self._waiting if waiting.future.set_running_or_notify_cancel()]
            self._waiting.clear()
        for future in futures:
            future.set_exception(error)

    def kill(self) -> None:
        """End without waiting; runs on the workers end there after their epoch, and their results are lost."""
        self.shutdown(wait=False)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as in Executor
        """End, with `wait` once no run is under way; the cluster's workers stay."""
        while wait and self._pump.is_alive() and (self._waiting or any(w.running for w in [*self._workers.values()])):
            time.sleep(LOOK_SECONDS)
        if not self._ends.is_set():
            self._ends.set()
            self._pump.join(CLOSE_SECONDS)
            self._scheduler.close()
