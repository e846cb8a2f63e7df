"""The config of a run: all settings that decide it, in a frozen record that goes to and from JSON."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

from fastmlp.data.normalize import NORMALIZATIONS
from fastmlp.errors import ConfigError
from fastmlp.nn.activations import ACTIVATIONS, own_name
from fastmlp.nn.augmentations import AUGMENTATIONS
from fastmlp.nn.checks import Range, is_real, is_whole, shown
from fastmlp.nn.decay import DECAY_PER
from fastmlp.nn.initializers import INITIALIZERS
from fastmlp.nn.optimizer import SGD
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.schedule import SCHEDULES
from fastmlp.nn.stopping import STOPPING

LABELS = ("coarse", "fine")
AUGMENTS = ("none", *AUGMENTATIONS)
# Counts beyond this are typing errors; those below fit all arithmetic that they go through.
MOST = 2**31 - 1
INITS = ("auto", *(name for name in INITIALIZERS if name != "auto"))


# Python's own numbers alone: a config goes to JSON.
def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and is_whole(value, least)


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and is_real(value)


class _Rule(NamedTuple):
    holds: Callable[[Any], bool]
    allowed: str


def _one_of(names: tuple[str, ...]) -> _Rule:
    return _Rule(lambda v: isinstance(v, str) and v in names, " or ".join(names))


def _number_in(numbers: Range) -> _Rule:
    return _Rule(lambda v: _real(v) and numbers.holds(v), numbers.rule)


_TEXT = _Rule(lambda v: isinstance(v, str) and bool(v), "a name")
_COUNT = _Rule(lambda v: _whole(v, 1) and v <= MOST, f"a whole number of at least 1 and at most {MOST}")

_RULES: dict[str, _Rule] = {
    "experiment": _TEXT,
    "dataset": _TEXT,
    "labels": _one_of(LABELS),
    "normalize": _one_of(tuple(NORMALIZATIONS)),
    "layers": _Rule(
        lambda v: isinstance(v, tuple) and len(v) >= 2 and all(_whole(n, 1) and n <= MOST for n in v),
        f"at least two whole numbers of at least 1 and at most {MOST}: inputs, hidden units, classes",
    ),
    "activation": _one_of(tuple(ACTIVATIONS)),
    "init": _one_of(INITS),
    **{name: _number_in(setting.range) for name, setting in SGD.SETTINGS.items()},
    "decay_per": _one_of(DECAY_PER),
    "batch_size": _COUNT,
    "epochs": _COUNT,
    "patience": _COUNT,
    "seed": _Rule(lambda v: _whole(v, 0), "a whole number of at least 0"),
    "precision": _one_of(tuple(PRECISIONS)),
    "matmul": _one_of(PRECISIONS["float32"].matmuls),
    "threads": _COUNT,
    "schedule": _one_of(tuple(SCHEDULES)),
    "stopping": _one_of(tuple(STOPPING)),
    "augment": _one_of(AUGMENTS),
    "validation_fraction": _Rule(lambda v: _real(v) and 0 < v < 1, "a number between 0 and 1"),
    "init_from": _Rule(
        lambda v: isinstance(v, str) and (not v or bool(re.fullmatch("[0-9a-f]{64}", v))),
        "empty, or a SHA-256 of weights",
    ),
}


# Fields that the first version had: later ones take their default where they are missing in what it wrote.
_WRITTEN_ALWAYS = (
    "experiment", "dataset", "labels", "normalize", "layers", "activation", "init", "lr", "momentum", "weight_decay",
    "batch_size", "epochs", "patience", "seed", "precision", "matmul", "threads",
)  # fmt: skip


def parse_layers(text: str) -> tuple[int, ...]:
    """Return the layers' sizes in a text such as `3072-256-20` or `3072,256,20`; ConfigError for any other."""
    try:
        return tuple(int(part) for part in re.split("[-,]", text))
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a list of layer sizes; give inputs, hidden units and classes as in 3072-256-20 or "
            "3072,256,20"
        ) from None


def check_fields(values: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first of these values, by field of RunConfig, that its field may not have."""
    for name, value in values.items():
        if not _RULES[name].holds(value):
            raise ConfigError(f"{name} is {shown(value)}; allowed is {_RULES[name].allowed}.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run. The same config gives the same bits again on the same machine.

    `dataset` is the name of the data set that was loaded, never "auto"; `layers` counts inputs, hidden units and
    classes; `matmul` and `threads` say how products are computed, and on how many threads: see
    `fastmlp.MLP`. `schedule` and `augment` are keys of `fastmlp.nn.schedule.SCHEDULES` and of
    `fastmlp.nn.augmentations.AUGMENTATIONS`, or "none"; `stopping`, by which rule `patience` ends a run, is one of
    `fastmlp.nn.stopping.STOPPING`. `weight_decay` is added to the gradient of the *mean* loss: as it is, so that it
    does not depend on the batch's size, where `decay_per` is "update"; divided by the batch's rows where it is "batch".
    `init_from` is the SHA-256 of the weights that training starts from, empty where they are drawn.
    The defaults are the command's; `matmul` is then the first way that its precision has. Raises ConfigError for a
    value that is not allowed.
    """

    experiment: str = "custom"
    dataset: str
    labels: str = "coarse"
    normalize: str = "image"
    layers: tuple[int, ...]
    activation: str = "tanh"
    init: str = "auto"
    lr: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 0.01
    batch_size: int = 1024
    epochs: int = 100
    patience: int = 5
    seed: int = 0
    precision: str = "float32"
    matmul: str = ""
    threads: int = 1
    schedule: str = "constant"
    augment: str = "none"
    validation_fraction: float = 0.2
    init_from: str = ""
    decay_per: str = "update"
    stopping: str = "rises"

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", own_name(self.activation))
        if not self.matmul and self.precision in list(PRECISIONS):  # what is wrong may not be hashable
            object.__setattr__(self, "matmul", PRECISIONS[self.precision].matmuls[0])
        check_fields({name: getattr(self, name) for name in _RULES})
        if self.matmul not in PRECISIONS[self.precision].matmuls:
            allowed = " or ".join(PRECISIONS[self.precision].matmuls)
            raise ConfigError(f"matmul is {self.matmul!r}; allowed for {self.precision} is {allowed}.")
        SGD.check(vars(self), float32=self.precision != "float64")

    @property
    def decay_an_update(self) -> float:
        """What a full batch's update decays by, as `weight_decay` says it where `decay_per` is "update"."""
        return self.weight_decay / self.batch_size if self.decay_per == "batch" else self.weight_decay

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values that JSON knows."""
        return asdict(self) | {"layers": list(self.layers)}

    def to_sklearn(self, parameters: Any = None) -> Any:
        """Return the same network as scikit-learn's `MLPClassifier`; see `fastmlp.models.translate.to_sklearn`."""
        from fastmlp.models.translate import to_sklearn  # here, as it knows this class

        return to_sklearn(self, parameters)

    def to_torch(self, parameters: Any = None) -> tuple[Any, Any]:
        """Return the same network in PyTorch, and its optimiser; see `fastmlp.models.translate.to_torch`."""
        from fastmlp.models.translate import to_torch

        return to_torch(self, parameters)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the config that `to_json` gave, here or by an older version that had fewer fields.

        ConfigError for a key that is unknown, or one that each version wrote and that is missing.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"A run's config is a {type(data).__name__}, expected an object.")
        known = [field.name for field in fields(cls)]
        unknown = [key for key in data if key not in known]
        missing = [name for name in _WRITTEN_ALWAYS if name not in data]
        if unknown or missing:
            raise ConfigError(
                f"A run's config has the keys {', '.join(known)}; "
                f"unknown: {', '.join(map(repr, unknown)) or 'none'}; missing: {', '.join(missing) or 'none'}."
            )
        layers = data["layers"]
        return cls(**{**data, "layers": tuple(layers) if isinstance(layers, list) else layers})
