"""A sweep's runs on the workers of a dask.distributed scheduler: the extra `cluster`.

A worker gets a run only after it was set up: it has this version of fastmlp, cores enough for a run's threads, and data
whose fingerprint it worked out itself - its own, or the sweep's folder, or else the data sent to it, once. Which worker
takes which run is decided here, so that a worker that dies is seen and costs its runs a restart, as in `processes`.

dask sends functions and data as pickles: whoever reaches the scheduler's port can run code on all its machines.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastmlp import __version__
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError, FastMLPError
from fastmlp.identity import TRAINING_VERSION
from fastmlp.sweep.job import DATA, hold, holds
from fastmlp_kernels._compiling import when_compiling

LOOK_SECONDS = 0.2
CONNECT_SECONDS = 10
START = "dask worker {address} --nthreads 1 --nworkers auto"


@dataclass(frozen=True)
class _Wanted:
    """What a worker is asked to be ready for."""

    name: str
    fingerprint: str
    work: Path
    threads: int
    version: tuple[str, int]


def _set_up(wanted: _Wanted, sent: Dataset | None) -> dict[str, Any]:
    """Ready this worker. Return its cores and whether it has the data; raises where it can never do the runs."""
    import os

    from threadpoolctl import threadpool_limits

    from fastmlp.data import load_dataset
    from fastmlp.data.cifar import TITLES
    from fastmlp.data.mapped import read_mapped
    from fastmlp.threads import blas_info, usable_cores

    version = (__version__, TRAINING_VERSION)
    if version != wanted.version:
        raise ConfigError(f"it has fastmlp {version[0]}, the sweep's is {wanted.version[0]}: install the same")
    threadpool_limits(wanted.threads, user_api="blas")  # for good: without a `with`, nothing takes it back
    if wrong := [library for library in blas_info() if library["num_threads"] > wanted.threads]:
        raise RuntimeError(f"its {wrong[0]['internal_api']} takes {wrong[0]['num_threads']} threads")
    place = os.environ.get("FASTMLP_DATA_DIR") if wanted.name in TITLES else None
    ways: list[Callable[[], Dataset]] = [
        lambda: read_mapped(wanted.work / DATA, wanted.fingerprint),
        lambda: load_dataset(wanted.name, place, download=False),
    ]
    if sent is not None:
        ways = [lambda: sent]
    for way in () if holds(wanted.fingerprint) else ways:
        try:
            dataset = replace(way())  # a copy, which works its fingerprint out anew, from what it holds
        except FastMLPError as error:
            if place is not None and way is ways[-1]:  # it was told of a place that has none
                raise ConfigError(f"its FASTMLP_DATA_DIR is {place}: {error}") from error
            continue
        if dataset.fingerprint == wanted.fingerprint:
            hold(dataset)
            break
    return {"cores": usable_cores(), "has_data": holds(wanted.fingerprint)}


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], topic: str) -> Any:
    """Call the function on this worker, whose address goes to the topic where it compiles kernels for that."""
    from distributed import get_worker

    worker = get_worker()
    with when_compiling(lambda: worker.log_event(topic, worker.address)):
        return function(*arguments)


@dataclass
class _Worker:
    slots: int
    running: dict[Any, Future[Any]] = field(default_factory=dict)  # by dask's future


@dataclass
class _Call:
    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Cluster(Executor):
    """An executor over the workers of the scheduler at `address`, those that join later included.

    dataset : sent to workers that have none of its fingerprint; work : the sweep's folder, where workers may see it
    threads : of a run; a worker takes as many runs at once as it has threads of its own, and cores for theirs
    tell(sentence) : told of workers that come, go, compile, or cannot be used

    A future whose worker died raises BrokenExecutor. Raises ConfigError where the extra `cluster` is not installed, no
    scheduler answers, or none of its workers can be used.
    """

    def __init__(
        self, address: str, dataset: Dataset, work: Path, threads: int, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ConfigError(
                f"--scheduler needs the package distributed ({error}): pip install 'fastmlp[cluster]'"
            ) from error
        start = START.format(address=address)
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="fastmlp")
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise ConfigError(
                f"--scheduler is {address!r}, and no scheduler answers there ({error}). Start one with `dask "
                "scheduler`, and give the address that it prints, as in tcp://host:8786."
            ) from error
        version = (__version__, TRAINING_VERSION)
        self._wanted = _Wanted(dataset.name, dataset.fingerprint, work.resolve(), threads, version)
        self._dataset, self._tell = dataset, tell
        self._workers: dict[str, _Worker] = {}
        self._refused: dict[str, str] = {}  # why, by the worker's identity
        self._waiting: deque[_Call] = deque()
        self._compiling: set[str] = set()  # addresses of workers that told so
        self._topic = f"fastmlp compiles {self._client.id}"
        self._client.subscribe_topic(self._topic, self._tell_of_compilation)
        self._lock, self._ends = threading.Lock(), False
        try:
            self._look_for_workers()
            if not self._workers:
                reasons = "; ".join(self._refused.values())
                raise ConfigError(
                    f"--scheduler {address} has no worker that can be used{': ' * bool(reasons)}{reasons}. Start some "
                    f"with `{start}`."
                )
        except BaseException:
            self._client.close()
            raise
        self._pump = threading.Thread(target=self._work, daemon=True)
        self._pump.start()

    @property
    def slots(self) -> int:
        """Runs that the workers which are there take at once."""
        return sum(worker.slots for worker in self._workers.values())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run fn on a worker that has room for it; arguments by name are not taken."""
        if kwargs:
            raise TypeError(f"arguments by name are not taken: {', '.join(kwargs)}")
        call = _Call(Future(), fn, args)
        with self._lock:
            self._waiting.append(call)
        return call.future

    def _look_for_workers(self) -> None:
        """Set up those that are new; forget those that are gone, and break the futures of what they did."""
        # Not `scheduler_info()`: its answer is a cache that the client itself empties of workers every two seconds.
        scheduler: Any = self._client.scheduler
        known: Any = self._client.sync(scheduler.identity)
        there = {f"{address} {about['id']}": (address, about) for address, about in known["workers"].items()}
        for name in [name for name in self._workers if name not in there]:
            self._lose(name)
        for name, (address, about) in there.items():
            if name in self._workers or name in self._refused:
                continue
            try:
                found = self._ask(address, None)
                if not found["has_data"]:
                    found = self._ask(address, self._dataset)
                if not found["has_data"]:
                    raise ConfigError("the data that was sent arrived with another fingerprint")
                slots = min(about["nthreads"], found["cores"] // self._wanted.threads)
                if slots == 0:
                    raise ConfigError(f"it may use {found['cores']} cores, a run takes {self._wanted.threads} threads")
            except OSError:
                continue  # it died meanwhile, or is not yet ready: the next look tells
            except Exception as error:  # whatever another machine's installation raises: the others can go on
                self._refused[name] = f"worker {address}: {error}"
                self._tell(f"Not used: {self._refused[name]}.")
            else:
                self._workers[name] = _Worker(slots)

    def _ask(self, address: str, sent: Dataset | None) -> dict[str, Any]:
        answers: Any = self._client.run(_set_up, self._wanted, sent, workers=[address])
        return answers[address]

    def _lose(self, name: str) -> None:
        self._tell(f"Worker {name.split()[0]} is gone.")
        for remote, future in self._workers.pop(name).running.items():
            remote.cancel()
            future.set_exception(BrokenExecutor("the worker is gone"))
        if not self._workers:
            self._tell("No worker is left. The sweep goes on as soon as one joins; Ctrl-C ends it.")

    def _tell_of_compilation(self, event: tuple[float, str]) -> None:
        address = event[1]
        if address not in self._compiling:
            self._compiling.add(address)
            self._tell(f"Worker {address} compiles the kernels for its machine, once; it takes some seconds.")

    def _work(self) -> None:
        """Hand out what waits and bring back what is done, until the end."""
        while not self._ends:
            try:
                self._look_for_workers()
                self._collect()
                self._hand_out()
            except Exception as error:  # the scheduler is gone: nothing will come back
                self._break(error)
                return
            threading.Event().wait(LOOK_SECONDS)

    def _collect(self) -> None:
        for name, worker in list(self._workers.items()):
            for remote in [remote for remote in worker.running if remote.done()]:
                future = worker.running.pop(remote)
                try:
                    future.set_result(remote.result())
                except CancelledError:  # its worker died, which the next look will find
                    future.set_exception(BrokenExecutor(f"the run was lost with worker {name}"))
                except Exception as error:  # the run's own, or dask's word for a worker that died with it
                    lost = type(error).__name__ == "KilledWorker"
                    future.set_exception(BrokenExecutor(str(error)) if lost else error)

    def _hand_out(self) -> None:
        with self._lock:
            for name, worker in self._workers.items():
                while self._waiting and len(worker.running) < worker.slots:
                    call = self._waiting.popleft()
                    if not call.future.set_running_or_notify_cancel():
                        continue
                    where = {"workers": [name.split()[0]], "allow_other_workers": False}
                    called = (_call, call.function, call.arguments, self._topic)
                    remote = self._client.submit(*called, pure=False, **where)
                    worker.running[remote] = call.future

    def _break(self, error: Exception) -> None:
        with self._lock:
            futures = [future for worker in self._workers.values() for future in worker.running.values()]
            waiting = [call.future for call in self._waiting if call.future.set_running_or_notify_cancel()]
            self._waiting.clear()
        for future in [*futures, *waiting]:
            future.set_exception(ConnectionError(f"the scheduler is gone: {error}"))

    def kill(self) -> None:
        """Wait for nothing; what runs on the workers ends there, unseen."""
        self.shutdown(wait=False)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as in Executor
        """End, once no run is under way if `wait`; the cluster's workers stay."""
        while wait and self._pump.is_alive() and (self._waiting or any(w.running for w in self._workers.values())):
            threading.Event().wait(LOOK_SECONDS)
        self._ends = True
        self._pump.join()
        self._client.close()
