"""The records of training: losses by epoch, its result, and the state from which it can be resumed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class History:
    """Losses in nats and accuracies as fractions, one entry an epoch.

    Those of training are means over the epoch's rows, each batch before its update.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)


@dataclass
class State:
    """The state of training after an epoch: all that is needed to resume it with the same bits.

    parameters : (P,) of the network's dtype; slots : (slots, P) of the same, the state of its optimiser
    best : (P,) of that dtype, the parameters at the lowest loss so far, of validation, or without it of training; see
        `fastmlp.nn.kept.Keeper`
    generator : state of the shuffling's bit generator; seconds : so far, as in FitResult
    began : validation loss and accuracy of the initial weights, where these may be kept
    steps : of the optimiser so far
    """

    history: History
    parameters: np.ndarray
    slots: np.ndarray
    best: np.ndarray
    generator: Mapping[str, Any]
    seconds: float
    began: tuple[float, float] | None = None
    steps: int = 0


@dataclass(frozen=True)
class FitResult:
    """The result of training a network.

    best_epoch : the epoch, from 1, whose weights the network now holds; 0 for the initial ones. A paused network holds
        the latest weights
    epochs : how many were finished, one that diverged among them
    status : "done"; "stopped" by a callback; "paused" by `pause`; "diverged": a loss or a weight was no longer finite,
        or a loss far above that of the first epoch, see `fastmlp.nn.kept.FAR`
    seconds : wall time, with validation and without compilation; images_per_second : training images over that time
    state : from which training can be resumed
    """

    history: History
    best_epoch: int
    epochs: int
    status: str
    seconds: float
    images_per_second: float
    state: State = field(repr=False)

    @property
    def val_loss(self) -> float:
        """Validation loss of the weights that the network now holds; NaN where there is none."""
        return self._of_best(self.history.val_loss, 0)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the weights that the network now holds; NaN where there is none."""
        return self._of_best(self.history.val_accuracy, 1)

    def _of_best(self, series: list[float], at_the_beginning: int) -> float:
        if self.best_epoch:
            return series[self.best_epoch - 1] if series else math.nan
        return math.nan if self.state.began is None else self.state.began[at_the_beginning]

    @property
    def in_words(self) -> str:
        """Two sentences on how training ended and which weights the network now holds."""
        ends = {"done": "ended", "stopped": "was stopped", "paused": "was paused", "diverged": "diverged"}
        kept = f"those after epoch {self.best_epoch}" if self.best_epoch else "those that training began with"
        return f"Training {ends[self.status]} in epoch {self.epochs}. The network's weights are {kept}."
