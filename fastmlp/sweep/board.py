"""What workers tell while they train: a small table in a file that they and the parent map into memory.

A row belongs to one worker at a time, and the parent only reads it. Nothing is locked, so that a worker killed at any
moment blocks nobody; a row read while it is written shows a wrong number for a moment, and it is only shown.
"""

import time
from errno import EIO
from pathlib import Path
from threading import get_ident

import numpy as np

from fastmlp.errors import OutputError, remedy
from fastmlp.files import write_whole
from fastmlp.nn.history import History
from fastmlp_kernels._compiling import seconds_compiling_here

# Columns: epochs done, images trained on in all and in this epoch, when it began, the last epoch's losses, and the
# system's number of the error for which its checkpoint could not be written. What a run compiles moves its beginning;
# while it compiles that is NaN.
EPOCHS, IMAGES, IN_EPOCH, BEGAN, TRAIN_LOSS, VAL_LOSS, UNSAVED, COLUMNS = range(8)


class Board:
    """Row 0 holds the order to stop, row i + 1 what the run in slot i has come to."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table

    @classmethod
    def create(cls, path: Path, slots: int) -> "Board":
        """Make the file anew, for so many runs at once; OutputError where it cannot be made.

        A worker that outlived its sweep may still write to the old one. The new one is written, not only made long:
        of what a full disk has no room for, a worker would die when it touches it.
        """
        write_whole(path, np.zeros((slots + 1, COLUMNS)).tobytes())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "Board":
        """Map the file that the parent made; OutputError where that cannot be."""
        try:
            return cls(np.memmap(path, np.float64, "r+").reshape(-1, COLUMNS))
        except (OSError, ValueError) as error:  # ValueError: it is empty
            raise OutputError(
                f"{path} could not be mapped ({error}). {remedy(error, 'choose another folder')}"
            ) from error

    def order_stop(self) -> None:
        """Ask all runs to end after the epoch they are in."""
        self._table[0, 0] = 1

    @property
    def stops(self) -> bool:
        """Whether runs are asked to end."""
        return bool(self._table[0, 0])

    def slot(self, i: int) -> np.ndarray:
        """Return the row of slot i."""
        return self._table[i + 1]


class Reporter:
    """Writes one run's progress to its row; made in the thread that the run is in."""

    def __init__(self, row: np.ndarray) -> None:
        self._row, self._thread = row, get_ident()
        row[:] = 0
        row[[TRAIN_LOSS, VAL_LOSS]] = np.nan
        self._start, self._compiled = time.time(), seconds_compiling_here()
        self._begin()

    def _begin(self) -> None:
        self._row[BEGAN] = self._start + (seconds_compiling_here() - self._compiled)

    def on_compilation(self) -> None:
        """Take note that kernels are being compiled, if it is by this run."""
        if get_ident() == self._thread:
            self._row[BEGAN] = np.nan

    def on_batch(self, images: int) -> None:
        """Take note of how many images of the current epoch are done."""
        self._begin()
        self._row[IN_EPOCH] = images

    def on_epoch(self, epoch: int, history: History) -> None:
        """Take note of the end of an epoch."""
        self._begin()
        self._row[IMAGES] += self._row[IN_EPOCH]
        self._row[IN_EPOCH] = 0
        self._row[EPOCHS] = epoch
        self._row[TRAIN_LOSS], self._row[VAL_LOSS] = history.train_loss[-1], history.val_loss[-1]

    def on_unsaved(self, error: OutputError) -> None:
        """Take note that a checkpoint could not be written."""
        self._row[UNSAVED] = getattr(error.__cause__, "errno", None) or EIO
