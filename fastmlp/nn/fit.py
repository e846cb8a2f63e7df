"""The training loop: shuffled mini-batches, a history, early stopping, and the best weights kept."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.checks import check_count, check_function, check_name, generator
from fastmlp.nn.examples import Examples
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.inputs import EpochInput, Input
from fastmlp.nn.kept import Keeper
from fastmlp.nn.optimizer import Optimizer, check_optimizer
from fastmlp.nn.schedule import Rates, Schedule
from fastmlp.nn.stopping import STOPPING, Stopping
from fastmlp.nn.trainable import Trainable
from fastmlp_kernels._compiling import seconds_compiling_here

# Inputs, targets and, if wanted, weights, as for `fit` itself.
Validation = tuple[Input | np.ndarray, np.ndarray] | tuple[Input | np.ndarray, np.ndarray, npt.ArrayLike | None]


class _StopTraining(Exception):  # noqa: N818 - no error
    """A callback wants training to end within an epoch."""


@np.errstate(over="ignore", invalid="ignore")  # training that diverges says so by its status
def fit(
    model: Trainable,
    x: Input | np.ndarray,
    targets: np.ndarray,
    *,
    sample_weight: npt.ArrayLike | None = None,
    validation: Validation | None = None,
    optimizer: Optimizer,
    epochs: int = 100,
    batch_size: int = 1024,
    patience: int = 5,
    stopping: str = "rises",
    schedule: str | Schedule = "constant",
    rng: np.random.Generator | int = 0,
    start: np.ndarray | None = None,
    keep_start: bool = False,
    on_epoch: Callable[[int, History], bool | None] | None = None,
    on_batch: Callable[[int], bool | None] | None = None,
    pause: Callable[[State], bool] | None = None,
    resume: State | None = None,
) -> FitResult:
    """Train a network by mini-batches, in place, and leave it with the weights of its lowest validation loss.

    x : (M, D) array or an `ImageInput`; targets : (M,) integers in [0, K), or (M, K) numbers, as the loss wants them
    sample_weight : (M,) numbers from 0 on, how much each row counts in the loss; scaled to a mean of 1
    validation : (x, targets) or (x, targets, sample_weight) of other rows, evaluated after each epoch. Without it all
        epochs are run, and the network is left with the weights of the last one
    patience, stopping : when the validation loss ends training, by a rule of `fastmlp.nn.stopping.STOPPING`: "rises",
        after `patience` epochs in a row of rising loss; "best", after more than `patience` in a row without a lower
        one than all before
    schedule : the optimiser's rate, epoch by epoch, as if all epochs were run: a `fastmlp.nn.schedule.Schedule`, or
        its name alone. One of them, "adaptive", may end training
    rng : generator or seed of the shuffling: one permutation an epoch
    start : (P,) weights to begin with; None: the network's own. The optimiser's state begins at zero
    keep_start : whether the weights that training begins with are left where no epoch has a lower validation loss
    on_epoch(epoch, history) after each epoch, counted from 1; on_batch(rows done in this epoch) after some batches.
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
    schedule = schedule if isinstance(schedule, Schedule) else Schedule(schedule)
    check_name("stopping", stopping, STOPPING)
    for name, function in (("on_epoch", on_epoch), ("on_batch", on_batch), ("pause", pause)):
        check_function(name, function)
    check_optimizer(optimizer, model.dtype)
    train, held = model.examples(x, targets, sample_weight), _examples_of(model, validation)
    rng = generator(rng)
    state = _first_state(model, optimizer, rng, start) if resume is None else _resumed(model, optimizer, rng, resume)
    history, memory = state.history, optimizer.memory_of(model.parameters)
    model.history = history
    if keep_start and held is not None and not history.train_loss:
        state.began = _validated(model, held, batch_size)
    rule = _rule_so_far(STOPPING[stopping](patience), state)
    rates = Rates(schedule, epochs, len(train.inputs), history)
    keeper = Keeper(model, state, train, held, batch_size)
    drawn = train.inputs if isinstance(train.inputs, EpochInput) else None  # asked once, as it takes a while
    order, status, seconds = np.arange(len(train.inputs)), "done", stopwatch(state.seconds)
    try:
        while (epoch := len(history.train_loss)) < epochs and not rule.stops and (lr := rates.following(optimizer.lr)):
            if pause is not None and epoch > 0 and pause(state):  # one that is resumed may be there already
                status = "paused"
                break
            order = rng.permutation(len(train.inputs))
            if drawn is not None:
                drawn.begin_epoch(rng)
            with _at_rate(optimizer, lr):
                loss, accuracy = model.train_on(train, order, batch_size, optimizer, _stopping_at(on_batch))
            sound = math.isfinite(loss) and keeper.is_finite()
            if held is not None:
                val_loss, val_accuracy = _validated(model, held, batch_size) if sound else (math.nan, math.nan)
                history.val_loss.append(val_loss)
                history.val_accuracy.append(val_accuracy)
                rule.take(val_loss)
            history.train_loss.append(loss)
            history.train_accuracy.append(accuracy)
            if sound and not keeper.is_far():
                keeper.take()
                state.seconds, state.generator, state.steps = seconds(), rng.bit_generator.state, memory.steps
            else:
                status = "diverged"
            stops = on_epoch is not None and says_stop(on_epoch(epoch + 1, history))
            if status == "diverged":
                break
            if stops:
                status = "stopped"
                break
    except _StopTraining:
        status = "stopped"
        memory.clear()
    except BaseException:
        keeper.leave()
        memory.clear()
        raise
    done = len(history.train_loss)
    best = keeper.epoch if held is not None else done
    if status in ("done", "stopped"):
        best = keeper.leave()
        if not keeper.ends_well(order):
            status = "diverged"
    if status == "diverged":
        best = keeper.leave_best()
        memory.clear()
    took = seconds()
    return FitResult(history, best, done, status, took, done * len(train.inputs) / took, state)


def _examples_of(model: Trainable, validation: Validation | None) -> Examples | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        what = f"{len(validation)} parts" if isinstance(validation, tuple | list) else f"a {type(validation).__name__}"
        raise DataError(f"validation is {what}, expected (inputs, targets), or (inputs, targets, weights)")
    return model.examples(validation[0], validation[1], validation[2] if len(validation) == 3 else None)


def _validated(model: Trainable, held: Examples, batch_size: int) -> tuple[float, float]:
    """Return validation loss and accuracy, by the network's public method, to the same bits as a user's call."""
    return model.evaluate(held.inputs, held.targets, batch_size, sample_weight=held.weights)


def _rule_so_far(rule: Stopping, state: State) -> Stopping:
    """Return the rule of early stopping after it has taken all losses of a state."""
    if state.began is not None:
        rule.begin(state.began[0])
    for loss in state.history.val_loss:
        rule.take(loss)
    return rule


def says_stop(answer: object) -> bool:
    """Whether a callback returned True; any other value does not stop training."""
    return isinstance(answer, bool | np.bool_) and bool(answer)


def _stopping_at(on_batch: Callable[[int], bool | None] | None) -> Callable[[int], None] | None:
    """Return a callback that calls this one, and raises where it returns True, to end training."""

    def after_batch(rows: int) -> None:
        if on_batch is not None and says_stop(on_batch(rows)):
            raise _StopTraining

    return on_batch and after_batch


def stopwatch(before: float) -> Callable[[], float]:
    """Return a function that gives `before` plus the seconds since now, without those of compilation in this thread."""

    def now() -> float:
        return time.perf_counter() - seconds_compiling_here()

    began = now()
    return lambda: before + now() - began


@contextmanager
def _at_rate(optimizer: Optimizer, lr: float) -> Iterator[None]:
    """Set the optimiser's learning rate within the body."""
    before, optimizer.lr = optimizer.lr, lr
    try:
        yield
    finally:
        optimizer.lr = before


def _first_state(model: Trainable, optimizer: Optimizer, rng: np.random.Generator, start: np.ndarray | None) -> State:
    """Return the state of a network that begins with the weights `start`, or its own; the optimiser's becomes zero."""
    parameters = model.parameters
    memory = optimizer.memory_of(parameters)
    memory.clear()
    if start is not None:
        np.copyto(parameters, start)
    return State(History(), parameters, memory.slots, parameters.copy(), rng.bit_generator.state, 0.0)


def _resumed(model: Trainable, optimizer: Optimizer, rng: np.random.Generator, state: State) -> State:
    """Set network, optimiser and generator to a state; return it with their arrays."""
    if not isinstance(state, State):
        raise ConfigError(f"resume is {state!r}, allowed is the state of a paused run, `FitResult.state`")
    parameters, memory = model.parameters, optimizer.memory_of(model.parameters)
    own = {"parameters": parameters, "slots": memory.slots, "best": np.empty_like(parameters)}
    for name, array in own.items():
        given = getattr(state, name)
        if (given.shape, given.dtype) != (array.shape, array.dtype):
            raise ConfigError(
                f"the state's {name} are {given.dtype} of shape {given.shape}, this network's {array.dtype} of shape "
                f"{array.shape}: resume with the network that the state was taken from"
            )
    for name, array in own.items():
        np.copyto(array, getattr(state, name))  # the array itself, if the state is live
    memory.steps = state.steps
    rng.bit_generator.state = state.generator
    history = History(**{name: list(figures) for name, figures in vars(state.history).items()})
    return replace(state, history=history, **own)
