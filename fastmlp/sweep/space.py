"""The space of a search: axes over fields of a run's config, and the candidates on a grid or drawn at random."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_type_hints

from fastmlp.config import (
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
    RunConfig,
    check_fields,
    dashed,
    parse_activation,
    parse_layers,
)
from fastmlp.errors import ConfigError, suggestion

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.runs.results import RunResult

# The other fields say which run it is and where, not how it trains.
_FIXED = ("experiment", "dataset", "seed", "threads", "init_from", "fold")
FIELDS: dict[str, Any] = {
    name: get_args(kind)[0] if NoneType in get_args(kind) else kind
    for name, kind in get_type_hints(RunConfig).items()
    if name not in _FIXED
}

_FORM = "An axis is FIELD=VALUE,VALUE,... (layers=3072-128-20,3072-256-20) or, of numbers, FIELD=LOW..HIGH."
# Draws a wanted candidate: with so many, even the last of N equally likely ones is missed once in e**100.
_DRAWS = 100
# A sweep's list of runs fits the memory, and its results a table.
MOST_RUNS = 100_000


@dataclass(frozen=True)
class Axis:
    """The values that one field of RunConfig takes in a search: `choices`, or all between two `bounds`.

    A range includes both bounds, and is uniform in the logarithm.
    """

    field: str
    choices: tuple[Any, ...] = ()
    bounds: tuple[float, float] | None = None


class Preset(NamedTuple):
    """A sweep with a name: the axes of its search as texts, if it is one, and the command's options that it sets."""

    description: str
    axes: tuple[str, ...]
    defaults: dict[str, Any]


# The report states the values of lambda, in its section 6, and the best learning rate and batch size. The others of
# these two are not in its text: those here are ours, around the best ones. The section's accuracies are those
# of the report's normalisation per channel.
PRESETS: dict[str, Preset] = {
    "report-grid": Preset(
        "its search for lr, batch size and lambda",
        ("lr=0.001,0.005,0.01", "batch_size=256,1024", "weight_decay=0.01,0.001,0.0001"),
        {"experiments": [["l2"]], "normalize": [["channel"]]},
    ),
    "best": Preset(
        "the most accurate MLPs found",
        (),
        {
            "experiments": [["best20", "best100"]],
            "normalize": [["image"]],
            "lr": 0.05,
            "batch_size": 256,
            "epochs": 100,
            "patience": 100,
            "schedule": "cosine",
            "augment": "mirror-shift",
            "precision": "bfloat16",
        },
    ),
}


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    tuple[int, ...]: parse_layers,
    str | tuple[str, ...]: parse_activation,
}


def parse_axis(text: str) -> Axis:
    """Return the axis that a text stands for: `lr=0.001,0.01`, `layers=3072-128-20,3072-256-20` or `lr=1e-4..1e-1`.

    The fields are those of `FIELDS`. Raises ConfigError for another field and for values that it may not have, for
    none, for one that repeats, and for a range of names or one whose ends are not 0 < low < high.
    """
    field, _, values = text.partition("=")
    if field not in FIELDS:
        meant = suggestion(field.strip("-").replace("-", "_"), (*FIELDS, "hidden"))
        raise ConfigError(
            f"{text!r} names no field that a search can vary; these are {', '.join(FIELDS)}, and of own data hidden."
            f"{meant} {_FORM}"
        )
    low, is_range, high = values.partition("..")
    parts = [low, high] if is_range else values.split(",")
    if field == "layers" and not is_range and "-" not in values:
        parts = [values]  # one network, with commas between its layers
    if not all(parts):
        raise ConfigError(f"{text!r} lacks a value. {_FORM}")
    if is_range and FIELDS[field] not in (int, float):
        raise ConfigError(f"{text!r} is a range, but {field} is not a number; list its values. {_FORM}")
    read = tuple(_value(field, part) for part in parts)
    if is_range:
        if not 0 < read[0] < read[1]:
            raise ConfigError(f"{text!r} is no range: its ends must be above 0, the lower one first. {_FORM}")
        return Axis(field, bounds=(read[0], read[1]))
    if repeated := [part for part, value in zip(parts, read, strict=True) if read.count(value) > 1]:
        raise ConfigError(f"{text!r} has the same value more than once: {', '.join(repeated)}. Give each once.")
    return Axis(field, choices=read)


def _value(field: str, text: str) -> Any:
    try:
        value = _READERS[FIELDS[field]](text)
    except ValueError:  # ConfigError is one
        value = text  # which the field's own check refuses
    try:
        check_fields({field: value})
    except ConfigError as error:
        raise ConfigError(f"{error} {_FORM}") from None
    return value


def _check_fields_differ(axes: Sequence[Axis]) -> None:
    names = [axis.field for axis in axes]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"There is more than one axis of {repeated[0]}; put its values into one.")


def grid(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return the settings of all combinations, the last axis fastest; ConfigError for ranges, or axes of one field."""
    _check_fields_differ(axes)
    for axis in axes:
        if axis.bounds:
            low, high = axis.bounds
            raise ConfigError(f"{axis.field}={low}..{high} is a range. A grid needs values; --random takes ranges.")
    names = [axis.field for axis in axes]
    if (count := math.prod(len(axis.choices) for axis in axes)) > MOST_RUNS:
        raise ConfigError(f"--grid has {count:,} combinations; allowed are {MOST_RUNS:,}. Give fewer values.")
    return [dict(zip(names, values, strict=True)) for values in product(*(axis.choices for axis in axes))]


def sample(axes: Sequence[Axis], count: int, seed: int) -> list[dict[str, Any]]:
    """Return the settings of `count` different candidates, drawn independently; a repeated one is drawn again.

    Choices are equally likely. Ranges are log-uniform, rounded to 4 significant digits or, for a field of whole
    numbers, to one. The same seed draws the same candidates, and of more of them the same ones first. Raises
    ConfigError where there are not that many, and for two axes of one field.
    """
    _check_fields_differ(axes)
    if not 1 <= count <= MOST_RUNS:
        raise ConfigError(
            f"--random is to draw {count} candidates; allowed is a whole number of at least 1 and at most {MOST_RUNS}."
        )
    import numpy as np  # here: a command's parser knows PRESETS, and need not wait for it

    rng = np.random.default_rng(seed)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for _ in range(_DRAWS * count):
        settings = {axis.field: _draw(axis, rng) for axis in axes}
        found.setdefault(tuple(settings.values()), settings)
        if len(found) == count:
            return list(found.values())
    raise ConfigError(
        f"--random is to draw {count} candidates, but these axes make only {len(found)} different ones. "
        "Draw fewer, or add values."
    )


def _draw(axis: Axis, rng: "np.random.Generator") -> Any:
    if axis.bounds is None:
        return axis.choices[int(rng.integers(len(axis.choices)))]
    low, high = axis.bounds
    whole = FIELDS[axis.field] is int
    margin = 0.5 if whole else 0.0  # without it, rounding leaves the ends half as likely as their neighbours
    drawn = math.exp(rng.uniform(math.log(low - margin), math.log(high + margin)))
    rounded = round(drawn) if whole else float(f"{drawn:.4g}")
    return min(max(rounded, low), high)


def label(settings: Mapping[str, Any]) -> str:
    """Return the name of a candidate in tables, as in `lr 0.005, layers 3072-128-20`."""
    return ", ".join(f"{name} {dashed(value)}" for name, value in settings.items())


def setting(config: "RunConfig", field: str) -> Any:
    """Return a field's value; of a fold's layers those after the inputs, which differ between folds."""
    value = getattr(config, field)
    return value[1:] if field == "layers" and config.fold else value


def differing(configs: "Sequence[RunConfig]") -> list[str]:
    """Return the fields in which runs differ, without those that follow from their optimisers and schedules."""
    owners = dict.fromkeys(OPTIMIZER_SETTINGS, "optimizer") | dict.fromkeys(SCHEDULE_SETTINGS, "schedule")
    found = []
    for field in FIELDS:
        values: dict[Any, set[Any]] = {}
        for config in configs:
            values.setdefault(getattr(config, owners[field]) if field in owners else None, set()).add(
                setting(config, field)
            )
        if any(len(own) > 1 for own in values.values()):
            found.append(field)
    return found


def apart(runs: "Sequence[RunResult]") -> "dict[str, list[RunResult]]":
    """Return runs in groups, by experiment and by the settings, but for normalisation, in which its runs differ.

    So a mean over the runs of a group with one normalisation is over their seeds and folds alone.
    """
    experiments: dict[str, list[RunResult]] = {}
    for run in runs:
        experiments.setdefault(run.experiment, []).append(run)
    found: dict[str, list[RunResult]] = {}
    for name, some in experiments.items():
        fields = [field for field in differing([run.config for run in some]) if field != "normalize"]
        for run in some:
            values = {field: setting(run.config, field) for field in fields}
            settings = label({field: value for field, value in values.items() if value is not None})
            found.setdefault(f"{name}, {settings}" if settings else name, []).append(run)
    return found
