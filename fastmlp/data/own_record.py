"""What a command says of anyone's own data, what of that is refused at once, and what is understood of the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset
from fastmlp.data.places import DATASET_NAMES
from fastmlp.errors import ConfigError, suggestion
from fastmlp.files import fields_of

if TYPE_CHECKING:
    from fastmlp.table import Table

# What only a table, or only pictures, can be asked for.
OF_TABLES = ("columns", "weights", "group", "order", "scale")
OF_PICTURES = ("image_size", "grey")


@dataclass(frozen=True, kw_only=True)
class Own:
    """What is said of own data; each field is an option of the command, and they go to and from JSON.

    data : a path, a pattern, or sklearn:NAME; target : columns of a table, or the array of targets; none where there is
        one alone. task : a key of `fastmlp.data.targets.TASKS`, None to tell it from the target
    columns, weights, group, order : of a table: kinds as in "age=number,id=drop", and names of columns
    test_data : the test part, where it lies elsewhere; else test_size is its share of the rows, or a number of rows
    folds : of a cross-validation, in place of one test part; 0 for none
    """

    data: str
    target: tuple[str, ...] = ()
    task: str | None = None
    columns: str = ""
    weights: str | None = None
    group: str | None = None
    order: str | None = None
    test_data: str | None = None
    test_size: float = 0.2
    folds: int = 0
    validation_size: float = 0.2
    split_seed: int = 0
    image_size: int = 32
    grey: bool = False
    scale: str = "standard"

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are not as usual, as values that JSON knows."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in values.items() if name == "data" or value != _usual(name)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave; ConfigError for a key that is unknown, or no data."""
        values = fields_of(cls, data, "What is said of own data", ["data"])
        if not isinstance(values["data"], str):
            raise ConfigError(f"data is {values['data']!r}; expected is a path.")
        return cls(**values)

    @property
    def name(self) -> str:
        """What the data set is called: the path's last part, without its end."""
        from fastmlp.data.table_files import is_packed

        scheme, colon, rest = self.data.partition(":")
        if colon and scheme in ("sklearn", "openml"):
            return rest or scheme
        path = Path(self.data)
        while path.name and not path.stem.strip("*?[]"):  # a pattern of all files is called after their folder
            path = path.parent
        stem = (Path(path.stem) if is_packed(path) else path).stem or path.resolve().stem or "data"
        return f"own {stem}" if stem in DATASET_NAMES else stem  # which are others' names, with figures of their own


def _usual(name: str) -> Any:
    value = next(field.default for field in fields(Own) if field.name == name)
    return list(value) if isinstance(value, tuple) else value


class Loaded(NamedTuple):
    """A data set of one's own, and what was understood of it.

    table : the columns of a table by kind, None for others; notices : what a user should know, a sentence each
    numbers : (M,) int64, which rows of their source those of the test part are, counted from 0
    of_folds : of a cross-validation, the numbers of each fold's test part, of which `numbers` are the first
    """

    dataset: Dataset
    table: "Table | None"
    notices: tuple[str, ...]
    numbers: NDArray[np.int64]
    of_folds: tuple[NDArray[np.int64], ...] = ()


def check(own: Own) -> None:
    """Raise ConfigError for settings that no data can have."""
    from fastmlp.data.targets import TASKS

    if own.task is not None and own.task not in TASKS:
        raise ConfigError(f"There is no task {own.task!r}.{suggestion(own.task, TASKS)} Tasks are {', '.join(TASKS)}.")
    for name in ("test_size", "validation_size"):
        value = getattr(own, name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not value > 0
            or (not isinstance(value, int) and not value < 1)
        ):
            raise ConfigError(
                f"{name} is {value!r}; allowed is a share above 0 and below 1, such as 0.2, or a whole number of rows."
            )
    if isinstance(own.folds, bool) or not isinstance(own.folds, int) or own.folds < 0 or own.folds == 1:
        raise ConfigError(f"folds is {own.folds!r}; allowed is a whole number of at least 2.")
    if own.folds and own.test_data is not None:
        raise ConfigError(f"{own.folds} folds are tested by rows of their own, and --test-data names others. Give one.")
    if own.group is not None and own.order is not None:
        raise ConfigError("group and order are two ways to split rows; give one of them.")
    if isinstance(own.split_seed, bool) or not isinstance(own.split_seed, int) or own.split_seed < 0:
        raise ConfigError(f"split_seed is {own.split_seed!r}; allowed is a whole number from 0 on.")


def check_has_no_use(own: Own, names: tuple[str, ...], what: str) -> None:
    """Raise ConfigError where one of these settings, which `what` alone can have, is not as usual."""
    for name in names:
        value = getattr(own, name)
        if value != next(field.default for field in fields(Own) if field.name == name):
            raise ConfigError(
                f"{name} is {value!r}, which has a meaning for {what} alone; leave it out for {own.name}."
            )


def is_named(data: str) -> bool:
    """Whether data are named by a scheme, such as sklearn:digits, and have no path."""
    return data.partition(":")[0] in ("sklearn", "openml")


def home(path: str) -> str:
    """Return a path with the user's folder in place of ~."""
    return str(Path(path).expanduser()) if path.startswith("~") else path
