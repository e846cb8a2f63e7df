"""When training stops early: rules, by name, that look at the validation loss of each epoch."""

import math
from typing import Protocol


class Stopping(Protocol):
    """A rule, made with its patience. All that it knows are the losses that it took, so a run that is resumed can give
    them anew.
    """  # noqa: D205

    stops: bool
    """Whether it is time to stop."""

    def __init__(self, patience: int) -> None: ...

    def begin(self, loss: float) -> None:
        """Take the loss of the weights that training begins with, where they are not new ones."""
        ...

    def take(self, loss: float) -> None:
        """Take the loss of one more epoch."""
        ...


class Rises:
    """Stop after `patience` consecutive epochs, each with a higher loss than the one before it."""

    def __init__(self, patience: int) -> None:
        self._patience, self._previous, self._rising = patience, math.inf, 0
        self.stops = False

    def begin(self, loss: float) -> None:
        """Leave it: rises are counted between epochs."""

    def take(self, loss: float) -> None:
        """Take the loss of one more epoch."""
        self._rising = self._rising + 1 if loss > self._previous else 0
        self._previous = loss
        self.stops = self._rising >= self._patience


class Best:
    """Stop after more than `patience` consecutive epochs that do not lower the best loss so far.

    So scikit-learn counts `n_iter_no_change`. A noisy loss, which falls a little in every other epoch, ends by this.
    """

    def __init__(self, patience: int) -> None:
        self._patience, self._best, self._since = patience, math.inf, 0
        self.stops = False

    def begin(self, loss: float) -> None:
        """Take the loss of the weights that training begins with: the best so far."""
        self._best = loss

    def take(self, loss: float) -> None:
        """Take the loss of one more epoch."""
        self._since = 0 if loss < self._best else self._since + 1
        self._best = min(loss, self._best)
        self.stops = self._since > self._patience


STOPPING: dict[str, type[Stopping]] = {"rises": Rises, "best": Best}
