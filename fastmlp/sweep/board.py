"""The progress of running runs: a small table in a file that workers and their parent map into memory.

A row belongs to one worker at a time, and the parent only reads it. Nothing is locked, so that a worker killed at any
moment blocks nobody. A row that is read while it is written may be wrong for a moment; it is for display alone.

Beside the rows stand the losses and scores of the epochs, each under its run and its number, so that one who reads
knows whose they are; `fastmlp.sweep.epochs` reads them.
"""

import time
from errno import EIO
from pathlib import Path
from threading import get_ident

import numpy as np

from fastmlp.errors import OutputError, remedy
from fastmlp.files import write_whole
from fastmlp.nn.history import History
from fastmlp.runs.results import SERIES
from fastmlp_kernels._compiling import seconds_compiling_here

# Columns: epochs done; images trained on, in all before this epoch and in it; the time it began, in seconds since 1970;
# the last epoch's losses; and the errno for which its checkpoint could not be written. Seconds of compilation are added
# to the time it began, which is NaN while a run compiles.
EPOCHS, IMAGES, IN_EPOCH, BEGAN, TRAIN_LOSS, VAL_LOSS, UNSAVED, COLUMNS = range(8)
# Of an epoch: the number of its run, its own, and its values.
WIDTH = 2 + len(SERIES)
MOST_EPOCHS = 1 << 18  # of all runs at once, 12 MiB; where there is no room, a run's later epochs replace its earlier


class Board:
    """The table (slots + 1, 7) float64: row 0 holds the order to stop, row i + 1 the progress of slot i's run.

    values : (7 * (slots + 1) + 6 * slots * epochs,) float64, the table and after it the epochs of each slot's run; the
        numbers of slots and epochs stand beside the order to stop
    """

    def __init__(self, values: np.ndarray) -> None:
        slots, epochs = map(int, values[1:3])
        end = (slots + 1) * COLUMNS
        self._table = values[:end].reshape(slots + 1, COLUMNS)
        self._epochs = values[end:].reshape(slots, epochs, WIDTH)

    @classmethod
    def create(cls, path: Path, slots: int, epochs: int = 0) -> "Board":
        """Make a new file for so many runs at once, of so many epochs at most; OutputError where it cannot be made.

        It does not reuse an old file, to which a worker that outlived its sweep may still write. All of its bytes are
        written: where a sparse file finds no room on a full disk, a worker that touches it would be killed.
        """
        epochs = min(epochs, MOST_EPOCHS // max(1, slots))
        values = np.zeros((slots + 1) * COLUMNS + slots * epochs * WIDTH)
        values[1:3] = slots, epochs
        write_whole(path, values.tobytes())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "Board":
        """Map a file made by `create`; OutputError where it cannot be mapped."""
        try:
            return cls(np.asarray(np.memmap(path, np.float64, "r+")))  # each view of a memmap takes its time
        except (OSError, ValueError) as error:  # ValueError: it is empty, or cut off
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

    def epochs(self, i: int) -> np.ndarray:
        """Return the epochs (epochs, 6) float64 of slot i's run, a view."""
        return self._epochs[i]

    def epochs_after(self, i: int, run_id: str, done: int) -> np.ndarray:
        """Return the values (N, 4) float64 of the run's epochs that slot i holds, in order, from number done + 1 on."""
        held = self._epochs[i]
        new = min(max(0, int(self.slot(i)[EPOCHS]) - done), len(held))
        numbers = np.arange(done + 1, done + 1 + new)
        found = held[(numbers - 1) % max(1, len(held))]
        known = (found[:, 0] == number_of(run_id)) & (found[:, 1] == numbers)
        return np.ascontiguousarray(found[: len(known) if known.all() else int(known.argmin()), 2:])


def number_of(run_id: str) -> float:
    """Return the number under which a run's epochs stand: the first 52 bits of its id, which a float64 holds."""
    return float(int(run_id[:13], 16))


class Reporter:
    """Writes one run's progress to the board; made in the thread that trains it.

    row, epochs : (7,) and (epochs, 6) float64, its slot's; epochs None where nobody reads them; run_id : the run's
    """

    def __init__(self, row: np.ndarray, epochs: np.ndarray | None = None, run_id: str = "0") -> None:
        self._row, self._thread = row, get_ident()
        self._epochs, self._number, self._written = epochs, number_of(run_id), 0
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
        if self._epochs is not None and len(self._epochs):
            # in a run that goes on, those of before as well
            for i in range(max(self._written, epoch - len(self._epochs)), epoch):
                values = [series[i] for series in map(vars(history).__getitem__, SERIES)]
                self._epochs[i % len(self._epochs)] = [self._number, i + 1, *values]
            self._written = epoch

    def on_unsaved(self, error: OutputError) -> None:
        """Write the errno for which a checkpoint could not be written."""
        self._row[UNSAVED] = getattr(error.__cause__, "errno", None) or EIO
