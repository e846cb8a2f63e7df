"""A run as it is sent to a worker, and the function that does it there.

A worker finds its data by the fingerprint: held in its process (by the parent of a thread, or by a cluster's set-up),
or else mapped from the sweep's work folder.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.mapped import read_mapped
from fastmlp.errors import DataError, WorkerError
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import RunResult
from fastmlp.runs.run import run_one
from fastmlp.sweep.board import Board, Reporter
from fastmlp_kernels._compiling import when_compiling

DATA, BOARD, CHECKPOINTS, COMPILING = "data", "board", "checkpoints", "compiling"
MODELS = "models"

_held: dict[str, Dataset] = {}
# The last data set that a worker has mapped by itself. One that works for many sweeps must not keep all of theirs.
_mapped: dict[str, Dataset] = {}


@dataclass(frozen=True)
class Job:
    """A run, or a part of it, as it is sent to a worker.

    fingerprint : of its data; work : the sweep's work folder, which a worker on another machine may not see
    slot : the slot of the board that it writes to; until, test, start : as in `run_one`
    models : folder in which its network is saved; None: it is not saved
    """

    config: RunConfig
    fingerprint: str
    work: Path
    slot: int = 0
    until: int | None = None
    test: bool = True
    start: np.ndarray | None = None
    models: Path | None = None

    @cached_property
    def run_id(self) -> str:
        """The name of the run, a hash of its config."""
        return run_id(self.config, self.fingerprint)

    @property
    def checkpoint(self) -> Path:
        """Path of the run's checkpoint."""
        return self.work / CHECKPOINTS / f"{self.run_id}.npz"


class Outcome(NamedTuple):
    """What a worker returns: the result and, where it cannot reach the sweep's folder, its model's file as bytes."""

    result: RunResult
    model: bytes = b""


def model_path(models: Path, name: str) -> Path:
    """Return the path of the saved network of a run; name : its run id."""
    return models / f"{name}.npz"


def hold(dataset: Dataset) -> None:
    """Keep a data set in this process, for all jobs with its fingerprint."""
    _held[dataset.fingerprint] = dataset


@contextmanager
def holding(dataset: Dataset) -> Iterator[None]:
    """Keep a data set in this process within the body; one of its fingerprint that `hold` keeps is restored after."""
    before = _held.get(dataset.fingerprint)
    hold(dataset)
    try:
        yield
    finally:
        if before is not None:
            hold(before)
        else:
            _held.pop(dataset.fingerprint, None)


def holds(fingerprint: str) -> bool:
    """Whether this process keeps the data set of this fingerprint."""
    return fingerprint in _held


def held_data(fingerprint: str) -> Dataset | None:
    """Return the data set of this fingerprint that this process keeps, None where it keeps none."""
    return _held.get(fingerprint)


def _dataset(job: Job) -> Dataset:
    dataset = _held.get(job.fingerprint, _mapped.get(job.fingerprint))
    if dataset is None:
        _mapped.clear()
        try:
            dataset = _mapped[job.fingerprint] = read_mapped(job.work / DATA, job.fingerprint)
        except DataError as error:
            raise WorkerError(
                f"A worker has no data set of fingerprint {job.fingerprint}: {error}. Its runs stay to be done. Share "
                "the sweep's folder with it, or have it call fastmlp.sweep.hold(dataset) first."
            ) from error
    return dataset


def run(job: Job, stop: Callable[[], bool] = lambda: False) -> Outcome:
    """Train a job's network in this process, from its checkpoint if it has one, with its progress on the board.

    stop() : asked after each epoch, as the board is: whether to end there
    """
    dataset = _dataset(job)
    if not (job.work / BOARD).exists():  # on another machine: nobody sees it, and nothing can be kept
        from fastmlp.sweep.leftovers import temporary  # here: it knows this module

        with temporary() as folder:
            file = None if job.models is None else model_path(folder, job.run_id)
            more = {"until": job.until, "test": job.test, "start": job.start}
            result = run_one(job.config, dataset, stop=stop, model_file=file, **more)
            return Outcome(result, file.read_bytes() if file is not None and file.exists() else b"")
    board = Board.open(job.work / BOARD)
    reporter = Reporter(board.slot(job.slot), board.epochs(job.slot), job.run_id)
    with when_compiling(reporter.on_compilation):
        result = run_one(
            job.config,
            dataset,
            on_epoch=reporter.on_epoch,
            on_batch=reporter.on_batch,
            kept=job.checkpoint,
            on_unsaved=reporter.on_unsaved,
            until=job.until,
            stop=lambda: board.stops or stop(),
            test=job.test,
            start=job.start,
            model_file=None if job.models is None else model_path(job.models, job.run_id),
        )
    return Outcome(result)
