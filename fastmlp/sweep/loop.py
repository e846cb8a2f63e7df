"""The loop of a sweep: it hands runs to an executor, keeps their results, and restarts the runs of dead workers.

Results never depend on how many runs work at once, nor on the order in which they end.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.errors import ClusterError, OutputError, WorkerError, remedy
from fastmlp.files import make_folder, write_whole
from fastmlp.runs.results import RunResult, failed_result, now
from fastmlp.signals import Requests, Stopped, handled
from fastmlp.sweep.board import UNSAVED, Board
from fastmlp.sweep.deaths import WorkerDied
from fastmlp.sweep.job import BOARD, CHECKPOINTS, Job, Outcome, held_data, model_path, run
from fastmlp.sweep.size import out_of_memory

# A run whose worker dies is started again so often: a worker can be killed for another's memory, or by its own run.
MOST_RESTARTS = 2
LOOK_SECONDS = 0.25


class Watcher(Protocol):
    """The observer of a sweep: its methods are called as runs begin, go on and end."""

    def start(self, job: Job) -> None:
        """Show that a run, or a part of it, begins."""
        ...

    def look(self, board: Board, running: Sequence[Job]) -> None:
        """Show the progress of the running jobs, which is on the board; called every quarter of a second."""
        ...

    def finish(self, result: RunResult) -> None:
        """Show the result of a run, or of a part of it, that has ended."""
        ...

    def tell(self, sentence: str) -> None:
        """Show a sentence to the user."""
        ...


@contextmanager
def _stop_on_signals() -> Iterator[Requests]:
    stop = Requests()
    with handled(stop):
        yield stop


class Quiet:
    """The observer that shows nothing."""

    def start(self, job: Job) -> None:
        """Say nothing."""

    def look(self, board: Board, running: Sequence[Job]) -> None:
        """Say nothing."""

    def finish(self, result: RunResult) -> None:
        """Say nothing."""

    def tell(self, sentence: str) -> None:
        """Say nothing."""


class Sweep:
    """Runs on one data set by one executor, `jobs` at a time.

    fingerprint : of the data; work : folder for the board and the checkpoints
    keep(result) : called with each result, before anything else is done with it
    epochs : of each run at most, for which the board has room
    models : folder in which the network of each tested run is saved; None: they are not saved
    start : (P,) of the runs' dtype, weights to begin all runs with; None: they are drawn
    """

    def __init__(
        self,
        executor: Executor,
        jobs: int,
        fingerprint: str,
        work: Path,
        keep: Callable[[RunResult], None],
        watcher: Watcher,
        *,
        epochs: int = 0,
        models: Path | None = None,
        start: np.ndarray | None = None,
    ) -> None:
        self._executor, self._jobs, self.fingerprint, self._work = executor, jobs, fingerprint, work
        self._keep, self._watcher, self._models, self._start = keep, watcher, models, start
        for folder in filter(None, (models, work / CHECKPOINTS)):
            try:
                make_folder(folder)
            except OSError as error:
                raise OutputError(
                    f"{folder} could not be made ({error}). {remedy(error, 'choose another folder')}"
                ) from error
        self._board = Board.create(work / BOARD, jobs, epochs)
        self._unsaved = set[str]()

    def run(self, configs: Sequence[RunConfig], *, until: int | None = None, test: bool = True) -> list[RunResult]:
        """Do these runs, each up to the epoch `until` or to its end; return their results in this order.

        test : whether the networks are tested at their end. A run that raises, or whose worker dies too often, has the
        status "failed". The first Ctrl-C, SIGTERM or SIGHUP lets the epochs under way end and be saved, and then raises
        KeyboardInterrupt; a second Ctrl-C or SIGTERM raises it at once.
        """
        every: dict[str, Any] = {"until": until, "test": test, "start": self._start, "models": self._models}
        waiting = deque(Job(config, self.fingerprint, self._work, **every) for config in configs)
        order, results = [job.run_id for job in waiting], {}
        with _stop_on_signals() as stop:
            try:
                for result, model in self._outcomes(waiting, stop):
                    if model and self._models is not None:
                        write_whole(model_path(self._models, result.run_id), model)
                    self._keep(result)
                    results[result.run_id] = result
                    self._watcher.finish(result)
            except BaseException:
                self._board.order_stop()  # threads cannot be killed
                raise
            if stop.asked:
                raise Stopped(stop.signum)
        return [results[name] for name in order]

    def _outcomes(self, waiting: deque[Job], stop: Requests) -> Iterator[Outcome]:
        free, running, deaths = list(range(self._jobs)), dict[Future[Outcome], Job](), Counter[str]()
        began: dict[str, str] = {}  # by this machine's clock, whichever a run is on
        while running or (waiting and not stop.asked):
            while waiting and free and not stop.asked:
                job = replace(waiting.popleft(), slot=free.pop(0))
                began.setdefault(job.run_id, now())
                running[submit(self._executor, run, job)] = job
                self._watcher.start(job)
            for future in sorted(wait(running, LOOK_SECONDS, FIRST_COMPLETED).done, key=_ends_the_sweep):
                job, error = running.pop(future), future.exception()
                if error is not None and _ends_the_sweep(future):  # what else is done was kept before it
                    raise error
                self._look_whether_saved([job])
                free.append(job.slot)
                if isinstance(error, BrokenExecutor):
                    deaths[job.run_id] += 1
                    if deaths[job.run_id] <= MOST_RESTARTS:
                        self._watcher.tell(f"A worker died: {error}. Its run starts again from its last checkpoint.")
                        waiting.appendleft(job)
                        continue
                result, model = _outcome(future, job)
                yield Outcome(replace(result, started=began[job.run_id], finished=now()), model)
            self._look_whether_saved(running.values())
            self._watcher.look(self._board, list(running.values()))
            if stop.asked == 1 and not self._board.stops:
                self._board.order_stop()
                self._watcher.tell(
                    "Stopping: the epochs under way end first and are saved. Ctrl-C again stops at once."
                )
            if stop.asked > 1:
                raise Stopped(stop.signum)

    def _look_whether_saved(self, jobs: Iterable[Job]) -> None:
        """Report, once a run, that its checkpoint could not be written."""
        for job in jobs:
            number = int(self._board.slot(job.slot)[UNSAVED])
            if number and job.run_id not in self._unsaved:
                self._unsaved.add(job.run_id)
                error = OSError(number, os.strerror(number))
                self._watcher.tell(
                    f"The checkpoint {job.checkpoint} could not be written ({error.strerror}). Its run goes on, but "
                    f"would lose more than usual if it were stopped now. {remedy(error, 'look at the disk')}"
                )


def submit(executor: Executor, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
    """Submit a call to an executor and return its future; WorkerError where it takes no more, or has no thread left."""
    try:
        return executor.submit(function, *arguments)
    except RuntimeError as error:  # a broken executor's error is one
        if isinstance(error, WorkerError):
            raise
        raise WorkerError(
            f"No worker takes a run any more ({type(error).__name__}: {error}). The runs that are left stay to be "
            "done: give the same command again, or another executor."
        ) from error


def _ends_the_sweep(future: "Future[Outcome]") -> bool:
    """Whether a future has an error that is no fault of its run, which stays to be done."""
    return isinstance(future.exception(), OutputError | ClusterError | WorkerError)


def _outcome(future: "Future[Outcome]", job: Job) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, BrokenExecutor):
        text = f"its worker died {MOST_RESTARTS + 1} times, the last time: {error}"
    if isinstance(error, MemoryError) or (isinstance(error, WorkerDied) and error.for_memory):
        text = f"{text}. {out_of_memory(job.config, held_data(job.fingerprint))}"
    return Outcome(failed_result(job.config, job.run_id, text))
