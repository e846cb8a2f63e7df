"""The progress of running runs: a small table in a file that workers and their parent map into memory.

A row belongs to one worker at a time, and the parent only reads it. Nothing is locked, so that a worker killed at any
moment blocks nobody. A row that is read while it is written may be wrong for a moment; it is for display alone.
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

# Columns: epochs done; images trained on, in all before this epoch and in it; the time it began, in seconds since 1970;
# the last epoch's losses; and the errno for which its checkpoint could not be written. Seconds of compilation are added
# to the time it began, which is NaN while a run compiles.
EPOCHS, IMAGES, IN_EPOCH, BEGAN, TRAIN_LOSS, VAL_LOSS, UNSAVED, COLUMNS = range(8)


class Board:
    """The table (slots + 1, 7) float64: row 0 holds the order to stop, row i + 1 the progress of slot i's run."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table

    @classmethod
    def create(cls, path: Path, slots: int) -> "Board":
        """Make a new file for so many runs at once; OutputError where it cannot be made.

        It does not reuse an old file, to which a worker that outlived its sweep may still write. All of its bytes are
        written: where a sparse file finds no room on a full disk, a worker that touches it would be killed.
        """
        write_whole(path, np.zeros((slots + 1, COLUMNS)).tobytes())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "Board":
        """Map a file made by `create`; OutputError where it cannot be mapped."""
        try:
            return cls(np.memmap(path, np.float64, "r+").reshape(-1, COLUMNS))
        except (OSError, ValueError) as error:  # ValueError: it is empty
            raise OutputError(
                f"{path} could not be mapped ({error}). {remedy(error, 'choose another folder')}"
            ) from error

    def order_stop(self) -> None:
        """Order all runs to end after their present epoch."""
        self._table[0, 0] = 1

    @property
    def stops(self) -> bool:
        """Whether all runs are ordered to end."""
        return bool(self._table[0, 0])

    def slot(self, i: int) -> np.ndarray:
        """Return the row (7,) float64 of slot i, a view."""
        return self._table[i + 1]


class Reporter:
    """Writes one run's progress to its row (7,) float64 of the board; made in the thread that trains it."""

    def __init__(self, row: np.ndarray) -> None:
        self._row, self._thread = row, get_ident()
        row[:] = 0
        row[[TRAIN_LOSS, VAL_LOSS]] = np.nan
        self._start, self._compiled = time.time(), seconds_compiling_here()
        self._begin()

    def _begin(self) -> None:
        self._row[BEGAN] = self._start + (seconds_compiling_here() - self._compiled)

    def on_compilation(self) -> None:
        """Mark the run as compiling, if the compilation is in its thread."""
        if get_ident() == self._thread:
            self._row[BEGAN] = np.nan

    def on_batch(self, images: int) -> None:
        """Write how many images of the present epoch are done."""
        self._begin()
        self._row[IN_EPOCH] = images

    def on_epoch(self, epoch: int, history: History) -> None:
        """Write the number of an epoch that has ended, counted from 1, and its losses."""
        self._begin()
        self._row[IMAGES] += self._row[IN_EPOCH]
        self._row[IN_EPOCH] = 0
        self._row[EPOCHS] = epoch
        self._row[TRAIN_LOSS], self._row[VAL_LOSS] = history.train_loss[-1], history.val_loss[-1]

    def on_unsaved(self, error: OutputError) -> None:
        """Write the errno for which a checkpoint could not be written."""
        self._row[UNSAVED] = getattr(error.__cause__, "errno", None) or EIO
