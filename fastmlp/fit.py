"""The training loop: shuffled mini-batches, a history, early stopping, and the best weights kept."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.errors import ConfigError
from fastmlp.inputs import EpochInput, Input
from fastmlp.network import MLP
from fastmlp.optimizer import SGD
from fastmlp.schedule import SCHEDULES
from fastmlp_kernels._compiling import seconds_compiling_here

# Inputs, labels and, if wanted, weights, as for `fit` itself.
Validation = tuple[Input | np.ndarray, np.ndarray] | tuple[Input | np.ndarray, np.ndarray, npt.ArrayLike]


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

    best_epoch : 1-based, the one whose weights the network now holds; 0 where none was finished. A paused network
        holds its latest
    status : "done", "paused" where `pause` asked for it, or "diverged" when a loss was no longer finite
    seconds : wall time, with validation and without compilation; images_per_second : training images over that time
    state : to resume from where it was paused
    """

    history: History
    best_epoch: int
    epochs: int
    status: str
    seconds: float
    images_per_second: float
    state: "State" = field(repr=False)


@dataclass
class State:
    """Where training stands after an epoch: all that it needs to go on to the same bits.

    parameters, velocity : flat, of the network and of its optimiser; best : the parameters at the lowest validation
        loss so far, the latest ones where there is no validation
    generator : state of the shuffling's bit generator; seconds : so far, as in FitResult
    """

    history: History
    parameters: np.ndarray
    velocity: np.ndarray
    best: np.ndarray
    generator: Mapping[str, Any]
    seconds: float


class EarlyStopping:
    """Training stops after `patience` consecutive epochs, each with a higher validation loss than the one before it."""

    def __init__(self, patience: int, losses: Iterable[float] = ()) -> None:
        """Begin with the losses of the epochs before, if any."""
        self._patience, self._previous, self._rising = patience, math.inf, 0
        for loss in losses:
            self.take(loss)

    def take(self, loss: float) -> None:
        """Take the validation loss of one more epoch."""
        self._rising = self._rising + 1 if loss > self._previous else 0
        self._previous = loss

    @property
    def stops(self) -> bool:
        """Whether it is time to stop."""
        return self._rising >= self._patience


@np.errstate(over="ignore", invalid="ignore")  # training that diverges says so by its status
def fit(
    model: MLP,
    x: Input | np.ndarray,
    labels: np.ndarray,
    *,
    sample_weight: npt.ArrayLike | None = None,
    validation: Validation | None = None,
    optimizer: SGD,
    epochs: int = 100,
    batch_size: int = 1024,
    patience: int = 5,
    schedule: str = "constant",
    rng: np.random.Generator | int = 0,
    on_epoch: Callable[[int, History], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
    pause: Callable[[State], bool] | None = None,
    resume: State | None = None,
) -> FitResult:
    """Train the network in place and leave it with the weights of its best validation loss.

    x : (M, D) array or an `ImageInput`; labels : (M,) integers in [0, K)
    sample_weight : (M,) numbers from 0 on, how much each row counts in the loss; scaled to a mean of 1
    validation : such a pair, or with its weights three, evaluated after each epoch; without it nothing stops early and
        the last weights stay
    patience : stop after so many consecutive epochs of rising validation loss
    schedule : key of `fastmlp.schedule.SCHEDULES`: the optimiser's rate, epoch by epoch, as if all epochs were run
    rng : generator or seed of the shuffling: one permutation an epoch
    on_epoch(epoch, history) after each epoch, counted from 1; on_batch(images done in this epoch) after some batches
    pause(state) before each epoch but the first: True ends training for now. The state's arrays are the live ones
    resume : such a state, to go on from with the same arguments, to the bits of training that was never paused

    A last, smaller batch is used as it is. Training that diverges ends early with that status; its history is kept.
    Raises ConfigError or DataError for arguments that do not fit.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name} is {value!r}, allowed is a whole number from 1 on")
    if schedule not in SCHEDULES:
        raise ConfigError(f"schedule is {schedule!r}, allowed: {', '.join(SCHEDULES)}")
    inputs, labels, weights = model._checked_rows(x, labels, sample_weight)
    held = None  # checked now, rather than after the first epoch
    if validation is not None:
        held = model._checked_rows(validation[0], validation[1], validation[2] if len(validation) == 3 else None)
    rng = np.random.default_rng(rng)
    state = _first_state(model, optimizer, rng) if resume is None else _resumed(model, optimizer, rng, resume)
    history, stopping = state.history, EarlyStopping(patience, state.history.val_loss)
    status, before, start = "done", state.seconds, _now()
    epoch = len(history.train_loss)
    while epoch < epochs and not stopping.stops:
        if pause is not None and epoch > 0 and pause(state):  # one that is resumed may be there already
            status = "paused"
            break
        order = rng.permutation(len(inputs))
        if isinstance(inputs, EpochInput):
            inputs.begin_epoch(rng)
        with _at_rate(optimizer, optimizer.lr * SCHEDULES[schedule](epoch / epochs)):
            loss, accuracy = model._train_epoch(inputs, labels, order, batch_size, optimizer, on_batch, weights)
        epoch += 1
        history.train_loss.append(loss)
        history.train_accuracy.append(accuracy)
        val_loss = loss
        if held is not None:
            val_loss, val_accuracy = math.nan, math.nan
            if math.isfinite(loss):
                val_loss, val_accuracy = model.evaluate(*held[:2], batch_size, sample_weight=held[2])
            history.val_loss.append(val_loss)
            history.val_accuracy.append(val_accuracy)
        if on_epoch is not None:
            on_epoch(epoch, history)
        if not math.isfinite(val_loss):
            status = "diverged"
            break
        if held is None or val_loss < min(history.val_loss[:-1], default=math.inf):
            np.copyto(state.best, model.parameters)
        if held is not None:
            stopping.take(val_loss)
        state.seconds, state.generator = before + _now() - start, rng.bit_generator.state
    seconds = before + _now() - start
    if status != "paused":
        np.copyto(model.parameters, state.best)
    speed = epoch * len(inputs) / seconds
    return FitResult(history, _best_epoch(history, status), epoch, status, seconds, speed, state)


def _now() -> float:
    """Return the time on a clock that stands still while this thread compiles kernels."""
    return time.perf_counter() - seconds_compiling_here()


@contextmanager
def _at_rate(optimizer: SGD, lr: float) -> Iterator[None]:
    before, optimizer.lr = optimizer.lr, lr
    try:
        yield
    finally:
        optimizer.lr = before


def _first_state(model: MLP, optimizer: SGD, rng: np.random.Generator) -> State:
    parameters = model.parameters
    velocity = optimizer.velocity_of(parameters)
    return State(History(), parameters, velocity, parameters.copy(), rng.bit_generator.state, 0.0)


def _resumed(model: MLP, optimizer: SGD, rng: np.random.Generator, state: State) -> State:
    """Set network, optimiser and generator to a state; return it with their arrays."""
    own = _first_state(model, optimizer, rng)
    for name in ("parameters", "velocity", "best"):
        mine, given = getattr(own, name), getattr(state, name)
        if (given.shape, given.dtype) != (mine.shape, mine.dtype):
            raise ConfigError(
                f"the state's {name} are {given.dtype} of shape {given.shape}, this network's {mine.dtype} of shape "
                f"{mine.shape}: resume with the network that the state was taken from"
            )
        np.copyto(mine, given)
    rng.bit_generator.state = state.generator
    return replace(own, history=deepcopy(state.history), generator=state.generator, seconds=state.seconds)


def _best_epoch(history: History, status: str) -> int:
    if not history.val_loss:
        return len(history.train_loss) - (status == "diverged")
    finite = [loss if math.isfinite(loss) else math.inf for loss in history.val_loss]
    best = min(finite)
    return 1 + finite.index(best) if best < math.inf else 0
