"""The config of a run: all settings that decide it, in a frozen record that goes to and from JSON."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from fastmlp.data.normalize import AS_THEY_ARE, NORMALIZATIONS, STANDARD
from fastmlp.errors import ConfigError
from fastmlp.files import fields_of
from fastmlp.nn.activations import ACTIVATIONS, own_name, shortest
from fastmlp.nn.augmentations import AUGMENTATIONS
from fastmlp.nn.checks import FROM_0, FROM_0_BELOW_1, Range, Whole, is_real, is_whole, shown
from fastmlp.nn.decay import DECAY_PER
from fastmlp.nn.initializers import INITIALIZERS
from fastmlp.nn.loss import CROSS_ENTROPY, LOSSES, Loss
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.schedule import RANGES, SCHEDULES, Schedule
from fastmlp.nn.stopping import STOPPING

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.nn.network import MLP
    from fastmlp.nn.optimizer import Optimizer

LABELS = ("coarse", "fine")
AUGMENTS = ("none", *AUGMENTATIONS)
# Counts beyond this are typing errors; those below fit all arithmetic that they go through.
MOST = 2**31 - 1
INITS = ("auto", *(name for name in INITIALIZERS if name != "auto"))
# Settings that an optimiser may have, with the range of each. All have a learning rate and a weight decay.
OPTIMIZER_SETTINGS = {name: setting.range for kind in OPTIMIZERS.values() for name, setting in kind.SETTINGS.items()}
# Settings that a schedule may have: as a run calls them, which has a patience of its own, and as the schedule does.
SCHEDULE_SETTINGS = {name if name == "warmup" else f"schedule_{name}": name for name in RANGES}
# Both may be given as None, for the usual value, and stay None where the optimiser or the schedule has no such setting.
_MAY_LACK = (*OPTIMIZER_SETTINGS, *SCHEDULE_SETTINGS)


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


def _number_in(numbers: Range | Whole) -> _Rule:
    if isinstance(numbers, Whole):
        least = numbers.least
        return _Rule(lambda v: _whole(v, least) and v <= MOST, f"a whole number of at least {least} and at most {MOST}")
    return _Rule(lambda v: _real(v) and numbers.holds(v), numbers.rule)


_TEXT = _Rule(lambda v: isinstance(v, str) and bool(v), "a name")
_COUNT = _number_in(Whole(1))


def _are_activations(value: Any) -> bool:
    names = value if isinstance(value, tuple) else (value,)
    return bool(names) and all(isinstance(name, str) and own_name(name) in ACTIVATIONS for name in names)


_RULES: dict[str, _Rule] = {
    "experiment": _TEXT,
    "dataset": _TEXT,
    "labels": _TEXT,
    "normalize": _one_of((*NORMALIZATIONS, STANDARD, AS_THEY_ARE)),
    "layers": _Rule(
        lambda v: isinstance(v, tuple) and len(v) >= 2 and all(_whole(n, 1) and n <= MOST for n in v),
        f"at least two whole numbers of at least 1 and at most {MOST}: inputs, hidden units, outputs",
    ),
    "loss": _one_of(tuple(LOSSES)),
    "activation": _Rule(_are_activations, f"{' or '.join(ACTIVATIONS)}, or several, one a hidden layer"),
    "init": _one_of(INITS),
    "optimizer": _one_of(tuple(OPTIMIZERS)),
    **{name: _number_in(numbers) for name, numbers in OPTIMIZER_SETTINGS.items()},
    "clip_norm": _number_in(FROM_0),
    "label_smoothing": _number_in(FROM_0_BELOW_1),
    "dropout": _number_in(FROM_0_BELOW_1),
    "input_dropout": _number_in(FROM_0_BELOW_1),
    "decay_per": _one_of(DECAY_PER),
    "batch_size": _COUNT,
    "epochs": _COUNT,
    "patience": _COUNT,
    "seed": _Rule(lambda v: _whole(v, 0), "a whole number of at least 0"),
    "precision": _one_of(tuple(PRECISIONS)),
    "matmul": _one_of(PRECISIONS["float32"].matmuls),
    "threads": _COUNT,
    "schedule": _one_of(tuple(SCHEDULES)),
    **{name: _number_in(RANGES[own]) for name, own in SCHEDULE_SETTINGS.items()},
    "stopping": _one_of(tuple(STOPPING)),
    "augment": _one_of(AUGMENTS),
    "validation_fraction": _Rule(lambda v: _real(v) and 0 < v < 1, "a number between 0 and 1"),
    "fold": _number_in(Whole(0)),
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
# Fields that are written only where they are not as usual, so that runs keep the names that they had without them.
_WRITTEN_IF_SET = (
    "loss",
    "optimizer",
    *(name for name in OPTIMIZER_SETTINGS if name not in _WRITTEN_ALWAYS),
    "clip_norm",
    "label_smoothing",
    "dropout",
    "input_dropout",
    *SCHEDULE_SETTINGS,
)
# What is written of a run of a cross-validation alone.
_WRITTEN_IF_TRUE = ("fold",)


def parse_layers(text: str) -> tuple[int, ...]:
    """Return the layers' sizes in a text such as `3072-256-20` or `3072,256,20`; ConfigError for any other."""
    try:
        return tuple(int(part) for part in re.split("[-,]", text))
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a list of layer sizes; give inputs, hidden units and classes as in 3072-256-20 or "
            "3072,256,20"
        ) from None


def parse_activation(text: str) -> str | tuple[str, ...]:
    """Return the activation in a text such as `relu`, or those of the hidden layers in one such as `relu-tanh`."""
    names = tuple(own_name(name) for name in re.split("[-,]", text))
    return names[0] if len(names) == 1 else names


def dashed(value: Any) -> str:
    """Return a field's value as `parse_layers` and `parse_activation` read it: several with dashes between them."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def check_fields(values: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first of these values, by field of RunConfig, that its field may not have."""
    for name, value in values.items():
        if not (_RULES[name].holds(value) or (value is None and name in _MAY_LACK)):
            raise ConfigError(f"{name} is {shown(value)}; allowed is {_RULES[name].allowed}.")


def check_belongs(values: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first of these values, by field, that their own optimiser or schedule does not have.

    Where the optimiser, or the schedule, is not among them, its settings are not looked at.
    """
    for owner, every, settings_of in (
        ("optimizer", OPTIMIZERS, _of_optimizer),
        ("schedule", SCHEDULES, _of_schedule),
    ):
        if owner not in values:
            continue
        own = settings_of(values[owner])
        foreign = {name for kind in every for name in settings_of(kind)} - set(own)
        for name in values:
            if name in foreign:
                having = " or ".join(kind for kind in every if name in settings_of(kind))
                raise ConfigError(
                    f"{name} is {shown(values[name])}, and {owner} {values[owner]} has no {name}; allowed with it: "
                    f"{', '.join(own)}. Leave {name} away, or choose {owner} {having}."
                )


def _of_optimizer(name: str) -> dict[str, float]:
    """Return the settings of an optimiser with their usual values; the decay's is the same for all."""
    usual = {name: setting.default for name, setting in OPTIMIZERS[name].SETTINGS.items()}
    return usual | {"weight_decay": RunConfig.weight_decay}


def _of_schedule(name: str) -> dict[str, float]:
    """Return the settings of a schedule, as a run calls them, with their usual values."""
    usual = SCHEDULES[name].defaults
    return {field: usual[own] for field, own in SCHEDULE_SETTINGS.items() if own in usual}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run. The same config gives the same bits again on the same machine.

    `dataset` is the name of the data set that was loaded, never "auto"; `labels` that of the target in it; `normalize`
    is a key of `fastmlp.data.NORMALIZATIONS` for images, and for features "standard", each less its mean over its
    deviation, both of the run's training part, or "none"; `layers` counts inputs, hidden units and outputs; `loss` is
    a key of `fastmlp.nn.loss.LOSSES`, one of those of the target's kind, see `LOSSES_OF` there; `matmul` and `threads`
    say how products are computed, and on how many threads: see `fastmlp.MLP`; `activation` is one for all hidden
    layers, or a tuple, one each. `optimizer` is a key of
    `fastmlp.nn.optimizer.OPTIMIZERS`: `lr`, `momentum`, `beta1`, `beta2` and `eps` are those that it has, `clip_norm`
    is the largest norm of its gradients, or 0. `label_smoothing` is the share of each label that the loss, in
    validation and test too, spreads over all classes; `dropout` and `input_dropout` say how often outputs of hidden
    layers, and inputs, are dropped in training. `schedule` and `augment` are keys of `fastmlp.nn.schedule.SCHEDULES`
    and of `fastmlp.nn.augmentations.AUGMENTATIONS`, or "none"; `warmup`, `schedule_every` and so on are settings of
    `fastmlp.nn.schedule.Schedule`; `stopping`, by which rule `patience` ends a run, is one of
    `fastmlp.nn.stopping.STOPPING`. `weight_decay` is added to the gradient of the *mean* loss: as it is, so that it
    does not depend on the batch's size, where `decay_per` is "update"; divided by the batch's rows where it is "batch".
    `init_from` is the SHA-256 of the weights that training starts from, empty where they are drawn. `fold` is the
    number of the fold whose parts it learns from and is tested on, from 1; 0 where the data set has none.
    The defaults are the command's; `matmul` is then the first way that its precision has, and a setting of the
    optimiser or the schedule what its table says; one that they do not have is None, which `dataclasses.replace` must
    be given for the old one's settings together with another `optimizer` or `schedule`. Raises ConfigError for a value
    that is not allowed, or that belongs to another optimiser or schedule.
    """

    experiment: str = "custom"
    dataset: str
    labels: str = "coarse"
    normalize: str = "image"
    layers: tuple[int, ...]
    loss: str = CROSS_ENTROPY.name
    activation: str | tuple[str, ...] = "tanh"
    init: str = "auto"
    optimizer: str = "sgd"
    lr: float = None  # pyright: ignore[reportAssignmentType] - each optimiser has one, which is then put here
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    eps: float | None = None
    weight_decay: float = 0.01
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    dropout: float = 0.0
    input_dropout: float = 0.0
    batch_size: int = 1024
    epochs: int = 100
    patience: int = 5
    seed: int = 0
    precision: str = "float32"
    matmul: str = ""
    threads: int = 1
    schedule: str = "constant"
    warmup: int | None = None
    schedule_every: int | None = None
    schedule_factor: float | None = None
    schedule_patience: int | None = None
    schedule_tol: float | None = None
    schedule_power: float | None = None
    augment: str = "none"
    validation_fraction: float = 0.2
    init_from: str = ""
    decay_per: str = "update"
    stopping: str = "rises"
    fold: int = 0

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        if isinstance(self.activation, list):
            put("activation", tuple(self.activation))
        if not self.matmul and self.precision in list(PRECISIONS):  # what is wrong may not be hashable
            put("matmul", PRECISIONS[self.precision].matmuls[0])
        check_fields({name: getattr(self, name) for name in _RULES})
        given = {name: value for name, value in vars(self).items() if value is not None}
        check_belongs(given)
        for name, usual in self._usual().items():
            if name not in given:
                put(name, usual)
        put("activation", shortest(self.activation, len(self.layers) - 2))
        if self.matmul not in PRECISIONS[self.precision].matmuls:
            allowed = " or ".join(PRECISIONS[self.precision].matmuls)
            raise ConfigError(f"matmul is {self.matmul!r}; allowed for {self.precision} is {allowed}.")
        if self.input_dropout and self.precision == "int8":
            raise ConfigError(
                f"input_dropout is {self.input_dropout}, and precision int8 multiplies the images' own bytes; allowed "
                "with it is 0. Choose another precision, or dropout, of hidden layers."
            )
        if self.precision == "int8" and not self.of_images:
            raise ConfigError(
                f"precision int8 multiplies images' own bytes, and normalize {self.normalize!r} is of rows of "
                "features, as a table's; allowed for these are float32, float64 and bfloat16."
            )
        self.new_loss()  # which refuses settings that it does not have
        OPTIMIZERS[self.optimizer].check(vars(self), float32=self.precision != "float64")

    def _usual(self) -> dict[str, Any]:
        """Return what each field of _MAY_LACK is unless it is set, as far as optimiser and schedule have it."""
        return _of_optimizer(self.optimizer) | _of_schedule(self.schedule)

    @property
    def of_images(self) -> bool:
        """Whether the run learns from images, bytes; else from features, real numbers."""
        return self.normalize in NORMALIZATIONS

    @property
    def candidate(self) -> "RunConfig":
        """The run without what differs within one candidate: seed, fold, and inputs, of which folds may have more."""
        return replace(self, seed=0, fold=0, layers=(1, *self.layers[1:]))

    @property
    def changed(self) -> dict[str, Any]:
        """By field, what makes this another training than by plain SGD at a constant rate, and is not as usual."""
        usual = {name: getattr(type(self), name) for name in _WRITTEN_IF_SET} | self._usual()
        return {name: value for name in _WRITTEN_IF_SET if (value := getattr(self, name)) not in (None, usual[name])}

    def new_network(self, rng: "np.random.Generator | int", *, threads: int | None = None) -> "MLP":
        """Return the run's network with new weights; rng : generator or seed; threads : None for the config's."""
        from fastmlp.nn.network import MLP  # here, as a command's parser knows this class, and need not wait for numpy

        network = MLP(
            self.layers,
            self.activation,
            loss=self.new_loss(),
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            init=self.init,
            precision=self.precision,
            matmul=self.matmul,
            threads=threads or self.threads,
            rng=rng,
        )
        network.expect(self.new_optimizer())
        return network

    def new_loss(self) -> Loss:
        """Return the run's loss, with its label smoothing."""
        return replace(LOSSES[self.loss], smoothing=self.label_smoothing)

    def new_optimizer(self) -> "Optimizer":
        """Return the run's optimiser, which has seen no network yet."""
        kind: Any = OPTIMIZERS[self.optimizer]
        settings = {name: getattr(self, name) for name in kind.SETTINGS}
        return kind(**settings, decay_per=self.decay_per, clip_norm=self.clip_norm)

    def new_schedule(self) -> Schedule:
        """Return the run's schedule of the learning rate, with its settings."""
        settings: dict[str, Any] = {own: getattr(self, name) for name, own in SCHEDULE_SETTINGS.items()}
        return Schedule(self.schedule, **settings)

    @property
    def decay_an_update(self) -> float:
        """What a full batch's update decays by, as `weight_decay` says it where `decay_per` is "update"."""
        return self.weight_decay / self.batch_size if self.decay_per == "batch" else self.weight_decay

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values that JSON knows; those of `changed` only where they are in it."""
        values, changed = asdict(self), self.changed
        for name in ("layers", "activation"):
            values[name] = list(values[name]) if isinstance(values[name], tuple) else values[name]
        return {
            name: value
            for name, value in values.items()
            if value is not None
            and (name in changed or name not in _WRITTEN_IF_SET)
            and (value or name not in _WRITTEN_IF_TRUE)
        }

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
        # A momentum may be none of another optimiser's settings.
        lacks = "momentum" if isinstance(data, Mapping) and data.get("optimizer", "sgd") != "sgd" else ""
        return cls(**fields_of(cls, data, "A run's config", (name for name in _WRITTEN_ALWAYS if name != lacks)))
