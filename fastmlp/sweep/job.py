"""One run as a worker gets it: what is sent, and the function that runs it there.

A worker finds its data by the fingerprint: held in its process (a thread's parent, a cluster's set-up), or else mapped
from the sweep's work folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.mapped import read_mapped
from fastmlp.errors import DataError, OutputError
from fastmlp.files import temporary_folder
from fastmlp.identity import run_id
from fastmlp.results import RunResult
from fastmlp.run import run_one
from fastmlp.sweep.board import Board, Reporter
from fastmlp_kernels._compiling import when_compiling

DATA, BOARD, CHECKPOINTS, COMPILING = "data", "board", "checkpoints", "compiling"
MODELS = "models"

_held: dict[str, Dataset] = {}


@dataclass(frozen=True)
class Job:
    """A run, or a part of it.

    fingerprint : of its data; work : the sweep's work folder, which a worker on another machine may not see
    slot : the row of the board that it writes to while it runs; until, test, start : as in `run_one`
    models : folder in which its network is saved, None: nowhere
    """

    config: RunConfig
    fingerprint: str
    work: Path
    slot: int = 0
    until: int | None = None
    test: bool = True
    start: np.ndarray | None = None
    models: Path | None = None

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return run_id(self.config, self.fingerprint)

    @property
    def checkpoint(self) -> Path:
        """Where the run's state is kept."""
        return self.work / CHECKPOINTS / f"{self.run_id}.npz"


class Outcome(NamedTuple):
    """What comes back: the result, and its model's file where the worker could not save it in the sweep's folder."""

    result: RunResult
    model: bytes = b""


def model_path(models: Path, name: str) -> Path:
    """Return where the network of the run of this name is saved."""
    return models / f"{name}.npz"


def hold(dataset: Dataset) -> None:
    """Keep a data set in this process for the jobs to come."""
    _held[dataset.fingerprint] = dataset


def holds(fingerprint: str) -> bool:
    """Whether this process keeps the data set of this fingerprint."""
    return fingerprint in _held


def _dataset(job: Job) -> Dataset:
    if not holds(job.fingerprint):
        try:
            hold(read_mapped(job.work / DATA, job.fingerprint))
        except DataError as error:
            if (job.work / BOARD).exists():  # the sweep's own copy, which it makes anew the next time
                raise OutputError(f"{error}. The same command again goes on.") from error
            raise DataError(
                f"This worker has no data set of fingerprint {job.fingerprint}: {error}. Share the sweep's folder with "
                "it, or have it call fastmlp.sweep.hold(dataset) first."
            ) from error
    return _held[job.fingerprint]


def run(job: Job) -> Outcome:
    """Train the job's network in this process, from its checkpoint on, and tell of it on the board."""
    dataset = _dataset(job)
    if not (job.work / BOARD).exists():  # on another machine: nobody sees it, and nothing can be kept
        with temporary_folder("fastmlp-") as folder:
            file = None if job.models is None else model_path(folder, job.run_id)
            result = run_one(job.config, dataset, until=job.until, test=job.test, start=job.start, model_file=file)
            return Outcome(result, file.read_bytes() if file is not None and file.exists() else b"")
    board = Board.open(job.work / BOARD)
    reporter = Reporter(board.slot(job.slot))
    with when_compiling(reporter.on_compilation):
        result = run_one(
            job.config,
            dataset,
            on_epoch=reporter.on_epoch,
            on_batch=reporter.on_batch,
            kept=job.checkpoint,
            on_unsaved=reporter.on_unsaved,
            until=job.until,
            stop=lambda: board.stops,
            test=job.test,
            start=job.start,
            model_file=None if job.models is None else model_path(job.models, job.run_id),
        )
    return Outcome(result)
