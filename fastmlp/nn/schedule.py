"""The schedules of the learning rate, by name: each gives an epoch's rate from how training went before it.

It loads neither numpy nor numba, as a command lists the names before these are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import ABOVE_0_BELOW_1, FROM_0, Range, Whole, check_name

if TYPE_CHECKING:
    from fastmlp.nn.history import History

# Of each setting, in whichever schedule.
RANGES: dict[str, Range | Whole] = {
    "warmup": Whole(0),
    "every": Whole(1),
    "patience": Whole(0),
    "factor": ABOVE_0_BELOW_1,
    "tol": FROM_0,
    "power": FROM_0,
}
# An adaptive rate of so little is not divided again, as in scikit-learn.
LEAST = 1e-6


@dataclass(frozen=True)
class Schedule:
    """A schedule of the learning rate, with its settings; None stands for the schedule's default of SCHEDULES.

    name : key of SCHEDULES, which says what is an epoch's rate, for the optimiser's lr

        constant : lr
        cosine : lr times half a cosine over the epochs, from 1 to nearly 0
        step : lr times `factor` for each `every` epochs that are done
        plateau : lr times `factor` for each plateau of the validation loss, or of the training loss without validation
        invscaling : lr / (t + 1)^power, t being the rows that were seen so far, each as often as it was
        adaptive : lr / 5 for each plateau of the validation accuracy, or of the training loss without validation;
            training ends with the plateau at a rate of 1e-6 or less

    warmup : of the first three, so many epochs before all others, over which the rate rises linearly: the first one has
        1/(warmup + 1) of lr
    tol, patience : more than `patience` epochs in a row, none of which is better by `tol` than all before it, are a
        plateau, and their count begins anew

    "invscaling" and "adaptive" are scikit-learn's, whose names for power and patience are power_t and n_iter_no_change.
    A rate acts on the gradients of its own epochs: the velocity of `SGD` holds those before at the rates that they had.
    Raises ConfigError for a setting that the schedule does not have, or that is out of its range.
    """

    name: str
    warmup: int | None = None
    every: int | None = None
    factor: float | None = None
    patience: int | None = None
    tol: float | None = None
    power: float | None = None

    def __post_init__(self) -> None:
        check_name("schedule", self.name, SCHEDULES)
        defaults = SCHEDULES[self.name].defaults
        for name, value in self._given().items():
            if name not in defaults:
                own = ", ".join(defaults)
                raise ConfigError(f"{name} is no setting of the schedule {self.name!r}, allowed: {own}")
            RANGES[name].check(name, value)

    def _given(self) -> dict[str, float]:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "name"}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def settings(self) -> dict[str, float]:
        """All settings that the schedule has, by name."""
        return {**SCHEDULES[self.name].defaults, **self._given()}


class Progress(NamedTuple):
    """How far training is: epochs done, of how many; rows seen in them; plateaus of what the schedule watches."""

    epoch: int
    epochs: int
    rows: int
    plateaus: int


def _cosine(_: Mapping[str, float], lr: float, now: Progress) -> float:
    # Loshchilov and Hutter (2017), "SGDR", without its restarts
    return lr * (0.5 + 0.5 * math.cos(math.pi * (now.epoch / now.epochs)))


def _step(settings: Mapping[str, float], lr: float, now: Progress) -> float:
    return lr * settings["factor"] ** (now.epoch // settings["every"])


def _plateau(settings: Mapping[str, float], lr: float, now: Progress) -> float:
    return lr * settings["factor"] ** now.plateaus


def _invscaling(settings: Mapping[str, float], lr: float, now: Progress) -> float:
    return lr * (now.rows + 1) ** -settings["power"]  # a quotient's power could overflow


def _adaptive(settings: Mapping[str, float], lr: float, now: Progress) -> float:  # noqa: ARG001 - the same call for all
    for _ in range(now.plateaus):
        if lr <= LEAST:
            return 0.0
        lr /= 5  # as often as scikit-learn does, so that the last division is the same one
    return lr


def _loss(history: History, epoch: int) -> float:
    return (history.val_loss or history.train_loss)[epoch]


def _error(history: History, epoch: int) -> float:
    return -history.val_accuracy[epoch] if history.val_accuracy else history.train_loss[epoch]


class Kind(NamedTuple):
    """What makes a schedule.

    defaults : of the settings that it has, by name
    rate : of (all of them, the optimiser's lr, how far training is): the next epoch's rate; 0 ends training
    watched : of (history, epoch from 0): the figure whose plateaus count, the lower the better
    """

    defaults: Mapping[str, float]
    rate: Callable[[Mapping[str, float], float, Progress], float]
    watched: Callable[[History, int], float] | None = None


SCHEDULES = {
    "constant": Kind({"warmup": 0}, lambda _, lr, __: lr),
    "cosine": Kind({"warmup": 0}, _cosine),
    "step": Kind({"warmup": 0, "every": 30, "factor": 0.1}, _step),
    "plateau": Kind({"factor": 0.2, "patience": 2, "tol": 1e-4}, _plateau, _loss),
    "invscaling": Kind({"power": 0.5}, _invscaling),
    "adaptive": Kind({"patience": 10, "tol": 1e-4}, _adaptive, _error),
}


class Rates:
    """The rates of a training by a schedule, epoch by epoch.

    They depend on the arguments and on the epochs in the history alone, so that training that is resumed has the same.

    epochs : of the whole training; rows : seen in each of them; history : of training, which adds to it
    """

    def __init__(self, schedule: Schedule, epochs: int, rows: int, history: History) -> None:
        self._kind, self._settings = SCHEDULES[schedule.name], schedule.settings
        self._epochs, self._rows, self._history = epochs, rows, history
        self._seen, self._best, self._since, self._plateaus = 0, math.inf, 0, 0

    def following(self, lr: float) -> float:
        """Return the rate of the epoch that follows those in the history; 0 where training ends instead.

        lr : the optimiser's own
        """
        done, warmup = len(self._history.train_loss), int(self._settings.get("warmup", 0))
        if done < warmup:
            return lr * ((done + 1) / (warmup + 1))
        if self._kind.watched is not None:
            for epoch in range(self._seen, done):
                self._take(self._kind.watched(self._history, epoch))
            self._seen = done
        now = Progress(done - warmup, self._epochs - warmup, done * self._rows, self._plateaus)
        return self._kind.rate(self._settings, lr, now)

    def _take(self, figure: float) -> None:
        """Count one more epoch of a plateau, or none."""
        self._since = self._since + 1 if figure > self._best - self._settings["tol"] else 0
        self._best = min(figure, self._best)
        if self._since > self._settings["patience"]:
            self._plateaus, self._since = self._plateaus + 1, 0
