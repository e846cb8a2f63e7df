"""Cutting of long compiled work into short calls, between which Python can handle Ctrl-C and draw a progress bar."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from fastmlp.nn.engine import Totals

# Seconds between looks at Ctrl-C and the progress bar: short for a person, long against a call's own cost.
SLICE = 0.1


class Slices:
    """Cuts long work into calls of about SLICE seconds, as compiled code cannot be interrupted.

    The totals do not depend on the cuts. The number of batches in a call follows from the times of the calls before.
    """

    def __init__(self) -> None:
        self._batches: dict[tuple[str, int], int] = {}  # by kind of work and batch size

    def run(
        self, kind: str, work: Callable[[np.ndarray, float], Totals], order: np.ndarray, batch_size: int
    ) -> Iterator[Totals]:
        """Call work on successive parts of `order`; yield the totals after each.

        kind : of work, whose calls take alike long; order : (m,) int64
        work(rows, loss) : goes through the rows, part of `order`, in batches, and adds their losses to this sum
        """
        done, batches = Totals(0.0, 0, 0), self._batches.get((kind, batch_size), 1)
        while done.rows < len(order):
            start = time.perf_counter()
            part = work(order[done.rows : done.rows + batches * batch_size], done.loss)
            seconds = time.perf_counter() - start
            done = Totals(part.loss, done.correct + part.correct, done.rows + part.rows, done.penalty + part.penalty)
            yield done
            worked = -(-part.rows // batch_size)  # fewer than allowed at the end
            batches = min(2 * batches, 1 + int(worked * SLICE / seconds)) if seconds > 0 else 2 * batches
            self._batches[kind, batch_size] = batches
