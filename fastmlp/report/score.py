"""The score of runs in words, by the kind of their targets: an accuracy in %, or for numbers R2 or D2."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from fastmlp.config import RunConfig
from fastmlp.data.normalize import AS_THEY_ARE, STANDARD
from fastmlp.nn.loss import LOSSES

_HUGE = 1e4  # a score beyond which decimals say nothing
_LOSSES = {
    "cross-entropy": "cross-entropy in nats",
    "logistic": "logistic loss in nats",
    "squared-error": "squared error / 2",
    "huber": "Huber loss",
    "poisson": "Poisson loss",
}


@dataclass(frozen=True)
class Score:
    """What a run's `val_accuracy` and `test_accuracy` are, and how they are written.

    name : of it; factor : from it to what is shown; unit : of what is shown, with a blank before it, or empty
    floor : the lowest, as shown, that is drawn; form : of it, for `format`; short : within a small cell
    """

    name: str
    factor: float = 1.0
    unit: str = ""
    floor: float = -1.0
    form: str = ".4f"
    short: str = ".3f"

    @property
    def heading(self) -> str:
        """Its name with its unit, for a column or an axis."""
        return f"{self.name} in{self.unit}" if self.unit else self.name

    @property
    def one(self) -> str:
        """Its name after "a" or "an"."""
        return f"a{'n' * (self.name[0] in 'aR')} {self.name}"

    def cell(self, value: float) -> str:
        """Return a value as it stands under the heading."""
        return self.text(self.factor * value)

    def text(self, shown: float) -> str:
        """Return what is shown of a value, its factor applied, as it is written."""
        return f"{shown:.5g}" if abs(shown) >= _HUGE else format(shown, self.form)

    def words(self, value: float) -> str:
        """Return the name with a value and the unit."""
        return f"{self.name} {self.cell(value)}{self.unit}"

    def drawn(self, value: float) -> float:
        """Return the value that a figure shows."""
        return max(self.floor, self.factor * value)

    def about_floor(self, values: Iterable[float]) -> str:
        """Return a sentence on those of the values of a figure that are below the lowest; empty where none is."""
        if all(self.factor * value >= self.floor for value in values):
            return ""
        return f" A{self.one[1:]} below {self.floor:g} is drawn as {self.floor:g}."


ACCURACY = Score("accuracy", 100.0, " %", 0.0, ".2f", ".1f")
_SUBSET = Score("subset accuracy", 100.0, " %", 0.0, ".2f", ".1f")
_OF_NUMBERS = {name: Score(name) for name in ("R2", "D2")}
_MEANING = {
    "subset accuracy": " (the share of the rows of which all labels are right)",
    "R2": " (1 is exact, 0 as good as the mean)",
    "D2": " (1 is exact, 0 as good as the best constant)",
}


def score_of(config: RunConfig) -> Score:
    """Return the score of a run."""
    loss = LOSSES[config.loss]
    if loss.score != "accuracy":
        return _OF_NUMBERS[loss.score]
    return ACCURACY if loss.of_classes or config.layers[-1] == 1 else _SUBSET


def meaning(score: Score) -> str:
    """Return in brackets, after a blank, what a score says; empty for an accuracy."""
    return _MEANING.get(score.name, "")


def loss_words(configs: Sequence[RunConfig]) -> str:
    """Return what the loss of these runs is, for an axis."""
    names = {config.loss for config in configs}
    return _LOSSES[names.pop()] if len(names) == 1 else "loss"


def about_loss(config: RunConfig) -> str:
    """Return a sentence on the unit of a loss of numbers; empty for others."""
    units = {"squared-error": "deviations", "huber": "deviations", "poisson": "means"}
    unit = units.get(config.loss)
    return f" The loss is of numbers in {unit} of the training rows." if unit else ""


def guess(config: RunConfig) -> float:
    """Return about the loss of an answer that knows nothing of its row."""
    if config.loss == "cross-entropy":
        return log(config.layers[-1])
    return config.layers[-1] * {"logistic": log(2), "poisson": 1.0}.get(config.loss, 0.5)


def rows_of(config: RunConfig) -> str:
    """Return what the rows of a run are called: images, or rows."""
    return "rows" if config.normalize in (AS_THEY_ARE, STANDARD) else "images"
