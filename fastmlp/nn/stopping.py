"""The rules of early stopping, by name: each decides from the validation losses of all epochs so far."""

import math
from typing import Protocol


class Stopping(Protocol):
    """A rule of early stopping, made with its patience.

    It depends on the losses that it has taken alone, so that a resumed run can give them anew.
    """

    stops: bool
    """Whether it is time to stop."""

    def __init__(self, patience: int) -> None: ...

    def begin(self, loss: float) -> None:
        """Take the loss of the initial weights, where these are not newly drawn."""
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
        """Ignore the loss, as rises are counted between epochs."""

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
        """Take the loss of the initial weights as the best so far."""
        self._best = loss

    def take(self, loss: float) -> None:
        """Take the loss of one more epoch."""
        self._since = 0 if loss < self._best else self._since + 1
        self._best = min(loss, self._best)
        self.stops = self._since > self._patience


STOPPING: dict[str, type[Stopping]] = {"rises": Rises, "best": Best}
