"""The training loop: shuffled mini-batches, a history, early stopping, and the best weights kept."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.checks import check_count, check_function, check_name, generator
from fastmlp.nn.inputs import EpochInput, Input
from fastmlp.nn.kept import Checked, Keeper
from fastmlp.nn.network import MLP
from fastmlp.nn.optimizer import Optimizer, check_optimizer
from fastmlp.nn.schedule import SCHEDULES
from fastmlp.nn.stopping import STOPPING
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
    state: "State" = field(repr=False)

    @property
    def val_loss(self) -> float:
        """Validation loss of the weights that the network now holds; NaN where there is none."""
        return self._held(0)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the weights that the network now holds; NaN where there is none."""
        return self._held(1)

    def _held(self, which: int) -> float:
        if not self.best_epoch:
            return math.nan if self.state.began is None else self.state.began[which]
        series = (self.history.val_loss, self.history.val_accuracy)[which]
        return series[self.best_epoch - 1] if series else math.nan

    @property
    def in_words(self) -> str:
        """How training ended and which weights the network now holds, in two sentences."""
        ends = {"done": "ended", "stopped": "was stopped", "paused": "was paused", "diverged": "diverged"}
        kept = f"those after epoch {self.best_epoch}" if self.best_epoch else "those that training began with"
        return f"Training {ends[self.status]} in epoch {self.epochs}. The network's weights are {kept}."


@dataclass
class State:
    """Where training stands after an epoch: all that it needs to go on to the same bits.

    parameters : flat, of the network; slots : (slots, P) state of its optimiser
    best : the parameters at the lowest loss so far, of validation, or without it of training, see
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


class _StopTraining(Exception):  # noqa: N818 - no error
    """A callback wants training to end within an epoch."""


def _says_stop(answer: object) -> bool:
    """Whether a callback returned True: what else it returns is no answer."""
    return isinstance(answer, bool | np.bool_) and bool(answer)


@np.errstate(over="ignore", invalid="ignore")  # training that diverges says so by its status
def fit(
    model: MLP,
    x: Input | np.ndarray,
    labels: np.ndarray,
    *,
    sample_weight: npt.ArrayLike | None = None,
    validation: Validation | None = None,
    optimizer: Optimizer,
    epochs: int = 100,
    batch_size: int = 1024,
    patience: int = 5,
    stopping: str = "rises",
    schedule: str = "constant",
    rng: np.random.Generator | int = 0,
    start: np.ndarray | None = None,
    keep_start: bool = False,
    on_epoch: Callable[[int, History], bool | None] | None = None,
    on_batch: Callable[[int], bool | None] | None = None,
    pause: Callable[[State], bool] | None = None,
    resume: State | None = None,
) -> FitResult:
    """Train the network in place and leave it with the weights of its best validation loss.

    x : (M, D) array or an `ImageInput`; labels : (M,) integers in [0, K)
    sample_weight : (M,) numbers from 0 on, how much each row counts in the loss; scaled to a mean of 1
    validation : such a pair, or with its weights three, evaluated after each epoch; without it nothing stops early and
        the last weights stay
    patience, stopping : when the validation loss ends training, by a rule of `fastmlp.nn.stopping.STOPPING`: "rises",
        after `patience` epochs in a row of rising loss; "best", after more than `patience` in a row without a lower
        one than all before
    schedule : key of `fastmlp.nn.schedule.SCHEDULES`: the optimiser's rate, epoch by epoch, as if all epochs were run
    rng : generator or seed of the shuffling: one permutation an epoch
    start : (P,) the weights to begin with; those that are there where None. The velocity begins at zero
    keep_start : whether they are kept where no epoch has a lower validation loss
    on_epoch(epoch, history) after each epoch, counted from 1; on_batch(images done in this epoch) after some batches.
        True ends training with the status "stopped"; an epoch that was under way is dropped
    pause(state) before each epoch but the first: True ends training for now. The state's arrays are the live ones
    resume : such a state, to go on from with the same arguments, to the bits of training that was never paused

    A last, smaller batch is used as it is. Training that diverges ends early with that status: its history is kept, and
    the weights of its best epoch, by training loss where there is no validation, or else those that it began with.
    An exception that ends training, such as KeyboardInterrupt, leaves the network with the weights that are kept so
    far, and `model.history`. Raises ConfigError or DataError for arguments that do not fit, and then changes nothing.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        check_count(name, value)
    check_name("schedule", schedule, SCHEDULES)
    check_name("stopping", stopping, STOPPING)
    for name, function in (("on_epoch", on_epoch), ("on_batch", on_batch), ("pause", pause)):
        check_function(name, function)
    check_optimizer(optimizer, model.dtype)
    train, held = Checked(*model._checked_rows(x, labels, sample_weight)), _checked_validation(model, validation)
    rng = generator(rng)
    state = _first_state(model, optimizer, rng, start) if resume is None else _resumed(model, optimizer, rng, resume)
    history, rule = state.history, STOPPING[stopping](patience)
    if keep_start and held is not None and not history.train_loss:
        state.began = model.evaluate(*held[:2], batch_size, sample_weight=held.weights)
    model.history = history
    if state.began is not None:
        rule.begin(state.began[0])
    for loss in history.val_loss:
        rule.take(loss)

    def told(images: int) -> None:
        if on_batch is not None and _says_stop(on_batch(images)):
            raise _StopTraining

    keeper = Keeper(model, state, train, held, batch_size)
    drawn = train.inputs if isinstance(train.inputs, EpochInput) else None  # asked once, as it takes a while
    status, before, began = "done", state.seconds, _now()
    order = np.arange(len(train.inputs))
    epoch = len(history.train_loss)
    try:
        while epoch < epochs and not rule.stops:
            if pause is not None and epoch > 0 and pause(state):  # one that is resumed may be there already
                status = "paused"
                break
            order = rng.permutation(len(train.inputs))
            if drawn is not None:
                drawn.begin_epoch(rng)
            with _at_rate(optimizer, optimizer.lr * SCHEDULES[schedule](epoch / epochs)):
                figures = model._train_epoch(*train[:2], order, batch_size, optimizer, on_batch and told, train.weights)
            sound = math.isfinite(figures[0]) and keeper.is_finite()
            if held is not None:
                seen = (math.nan, math.nan)
                if sound:
                    seen = model.evaluate(*held[:2], batch_size, sample_weight=held.weights)
                history.val_loss.append(seen[0])
                history.val_accuracy.append(seen[1])
                rule.take(seen[0])
            epoch += 1
            history.train_loss.append(figures[0])
            history.train_accuracy.append(figures[1])
            if not sound or keeper.is_far():
                status = "diverged"
            else:
                keeper.take()
                state.seconds, state.generator = before + _now() - began, rng.bit_generator.state
            stops = on_epoch is not None and _says_stop(on_epoch(epoch, history))
            if status == "diverged":
                break
            if stops:
                status = "stopped"
                break
    except _StopTraining:
        status, state.slots[...] = "stopped", 0
    except BaseException:
        keeper.leave()
        state.slots[...] = 0
        raise
    best = keeper.epoch if held is not None else epoch
    if status in ("done", "stopped"):
        best = keeper.leave()
        if not keeper.ends_well(order):
            status = "diverged"
    if status == "diverged":
        best = keeper.leave_best()
        state.slots[...] = 0
    seconds = before + _now() - began
    return FitResult(history, best, epoch, status, seconds, epoch * len(train.inputs) / seconds, state)


def _checked_validation(model: MLP, validation: Validation | None) -> Checked | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        what = f"{len(validation)} parts" if isinstance(validation, tuple | list) else f"a {type(validation).__name__}"
        raise DataError(f"validation is {what}, expected (inputs, labels), or (inputs, labels, weights)")
    return Checked(*model._checked_rows(validation[0], validation[1], validation[2] if len(validation) == 3 else None))


def _now() -> float:
    """Return the time on a clock that stands still while this thread compiles kernels."""
    return time.perf_counter() - seconds_compiling_here()


@contextmanager
def _at_rate(optimizer: Optimizer, lr: float) -> Iterator[None]:
    before, optimizer.lr = optimizer.lr, lr
    try:
        yield
    finally:
        optimizer.lr = before


def _first_state(model: MLP, optimizer: Optimizer, rng: np.random.Generator, start: np.ndarray | None = None) -> State:
    parameters = model.parameters
    slots = optimizer.state_of(parameters)
    slots[...] = 0
    if start is not None:
        np.copyto(parameters, start)
    return State(History(), parameters, slots, parameters.copy(), rng.bit_generator.state, 0.0)


def _resumed(model: MLP, optimizer: Optimizer, rng: np.random.Generator, state: State) -> State:
    """Set network, optimiser and generator to a state; return it with their arrays."""
    if not isinstance(state, State):
        raise ConfigError(f"resume is {state!r}, allowed is the state of a paused run, `FitResult.state`")
    parameters, slots = model.parameters, optimizer.state_of(model.parameters)  # the state's own, if it is live
    own = {"parameters": parameters, "slots": slots, "best": np.empty_like(parameters)}
    for name, mine in own.items():
        given = getattr(state, name)
        if (given.shape, given.dtype) != (mine.shape, mine.dtype):
            raise ConfigError(
                f"the state's {name} are {given.dtype} of shape {given.shape}, this network's {mine.dtype} of shape "
                f"{mine.shape}: resume with the network that the state was taken from"
            )
    for name, mine in own.items():
        np.copyto(mine, getattr(state, name))
    rng.bit_generator.state = state.generator
    history = History(**{name: list(figures) for name, figures in vars(state.history).items()})
    return replace(state, history=history, **own)
