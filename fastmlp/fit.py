"""The training loop: shuffled mini-batches, a history, early stopping, and the best weights kept."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.inputs import Input
from fastmlp.network import MLP
from fastmlp.optimizer import SGD


@dataclass
class History:
    """One entry an epoch. Training figures are means over the epoch's batches, each taken before its update."""

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class FitResult:
    """What a training run did.

    best_epoch : 1-based, the one whose weights the network now holds; 0 where none was finished
    status : "done", or "diverged" when a loss was no longer finite
    seconds : wall time, validation included; images_per_second : training images over that time
    """

    history: History
    best_epoch: int
    epochs: int
    status: str
    seconds: float
    images_per_second: float


class _BestWeights:
    """A copy of the parameters at the lowest validation loss so far, in memory allocated once."""

    def __init__(self, model: MLP) -> None:
        self._live, self._kept = model.parameters, np.empty_like(model.parameters)
        self.loss, self.epoch = math.inf, 0

    def offer(self, loss: float, epoch: int) -> None:
        if loss < self.loss:
            self.loss, self.epoch = loss, epoch
            np.copyto(self._kept, self._live)

    def restore(self) -> None:
        if self.epoch:
            np.copyto(self._live, self._kept)


class EarlyStopping:
    """Says stop after `patience` consecutive epochs, each with a higher validation loss than the one before it."""

    def __init__(self, patience: int) -> None:
        self._patience, self._previous, self._rising = patience, math.inf, 0

    def should_stop(self, loss: float) -> bool:
        """Take the validation loss of one more epoch."""
        self._rising = self._rising + 1 if loss > self._previous else 0
        self._previous = loss
        return self._rising >= self._patience


@np.errstate(over="ignore", invalid="ignore")  # training that diverges says so by its status
def fit(
    model: MLP,
    x: Input | np.ndarray,
    labels: np.ndarray,
    *,
    validation: tuple[Input | np.ndarray, np.ndarray] | None = None,
    optimizer: SGD,
    epochs: int = 100,
    batch_size: int = 1024,
    patience: int = 5,
    rng: np.random.Generator | int = 0,
    on_epoch: Callable[[int, History], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> FitResult:
    """Train the network in place and leave it with the weights of its best validation loss.

    x : (M, D) array or an `ImageInput`; labels : (M,) integers in [0, K)
    validation : such a pair, evaluated after each epoch; without it nothing stops early and the last weights stay
    patience : stop after so many consecutive epochs of rising validation loss
    rng : generator or seed of the shuffling: one permutation an epoch
    on_epoch(epoch, history) after each epoch, counted from 1; on_batch(images done in this epoch) after some batches

    A last, smaller batch is used as it is. Training that diverges ends early with that status; its history is kept.
    Raises ConfigError or DataError for arguments that do not fit.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name} is {value!r}, allowed is a whole number from 1 on")
    inputs, labels = model._checked_rows(x, labels)
    if validation is not None:
        validation = model._checked_rows(*validation)  # now, rather than after the first epoch
    rng = np.random.default_rng(rng)
    history, best, stopping = History(), _BestWeights(model), EarlyStopping(patience)
    status, epoch = "done", 0
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(inputs))
        loss, accuracy = model._train_epoch(inputs, labels, order, batch_size, optimizer, on_batch)
        history.train_loss.append(loss)
        history.train_accuracy.append(accuracy)
        diverged = not math.isfinite(loss)
        if validation is not None:
            val_loss, val_accuracy = (math.nan, math.nan) if diverged else model.evaluate(*validation, batch_size)
            history.val_loss.append(val_loss)
            history.val_accuracy.append(val_accuracy)
            diverged = not math.isfinite(val_loss)
        if on_epoch is not None:
            on_epoch(epoch, history)
        if diverged:
            status = "diverged"
            break
        if validation is not None:
            best.offer(history.val_loss[-1], epoch)
            if stopping.should_stop(history.val_loss[-1]):
                break
    seconds = time.perf_counter() - start
    best.restore()
    best_epoch = best.epoch if validation is not None else epoch - (status == "diverged")
    return FitResult(history, best_epoch, epoch, status, seconds, epoch * len(inputs) / seconds)
