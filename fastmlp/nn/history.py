"""What training leaves behind: losses by epoch, its result, and the state that it can go on from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class History:
    """Losses in nats and accuracies as fractions, one entry an epoch.

    Training figures are means over the epoch's batches, each taken before its update.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)


@dataclass
class State:
    """Where training stands after an epoch: all that it needs to go on to the same bits.

    parameters : (P,) of the network; slots : (slots, P) state of its optimiser
    best : (P,) the parameters at the lowest loss so far, of validation, or without it of training, see
        `fastmlp.nn.kept.Keeper`
    generator : state of the shuffling's bit generator; seconds : so far, as in FitResult
    began : validation loss and accuracy of the weights that training began with, where these may be kept
    """

    history: History
    parameters: np.ndarray
    slots: np.ndarray
    best: np.ndarray
    generator: Mapping[str, Any]
    seconds: float
    began: tuple[float, float] | None = None


@dataclass(frozen=True)
class FitResult:
    """What a training run did.

    best_epoch : 1-based, the one whose weights the network now holds; 0 stands for those that training began with.
        A paused network holds its latest
    epochs : how many were finished, one that diverged among them
    status : "done"; "stopped" where a callback asked for it; "paused" where `pause` did; "diverged" where a loss or a
        weight was no longer finite, or a loss far above that of the first epoch, see `fastmlp.nn.kept.FAR`
    seconds : wall time, with validation and without compilation; images_per_second : training images over that time
    state : to resume from where it was paused
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
        """How training ended and which weights the network now holds, in two sentences."""
        ends = {"done": "ended", "stopped": "was stopped", "paused": "was paused", "diverged": "diverged"}
        kept = f"those after epoch {self.best_epoch}" if self.best_epoch else "those that training began with"
        return f"Training {ends[self.status]} in epoch {self.epochs}. The network's weights are {kept}."
