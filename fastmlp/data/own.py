"""Anyone's own data, from what a command says of them to the record that training takes.

A table's columns are learnt on its training rows alone, and kept with the data set, so that a model can read others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset
from fastmlp.data.folds import Folds, joined
from fastmlp.data.places import DATASET_NAMES
from fastmlp.data.reading import Reading
from fastmlp.data.room import check_room
from fastmlp.errors import ConfigError, DataError, suggestion
from fastmlp.files import fields_of

if TYPE_CHECKING:
    from fastmlp.data.frame import Frame
    from fastmlp.data.raw import Raw
    from fastmlp.data.splits import Split
    from fastmlp.data.targets import Targets
    from fastmlp.table import Table

Tell = Callable[[str], None]
_BLOCK = 1 << 16  # rows of a table that become features at a time
# What only a table, or only pictures, can be asked for.
_OF_TABLES = ("columns", "weights", "group", "order", "scale")
_OF_PICTURES = ("image_size", "grey")


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


def load_own(own: Own, tell: Tell = lambda _: None) -> Dataset:
    """Return own data as a data set with a training, a validation and a test part; see `load_understood`."""
    return load_understood(own, tell).dataset


def load_understood(own: Own, tell: Tell = lambda _: None, data: Any = None, targets: Any = None) -> Loaded:
    """Read own data, split them, and learn a table's columns on the training rows.

    tell(line) : told what takes long and what is left out
    data, targets : in place of the path: a DataFrame or columns by name, of which `own.target` are the targets, or an
        array (M, ...) of rows and one (M,) or (M, L) of targets

    The data's own folder is never written to. Raises MissingDataError, DataError, ConfigError or MissingExtraError.
    """
    _check(own)
    if data is None:
        from fastmlp.data.sources.read import is_table

        if not _is_named(own.data) and is_table(own.data):
            return _of_table(own, tell=tell)
        return _of_raw(own, _read_raw(own, own.data, tell), tell)
    if targets is None:
        return _of_table(own, data)
    return _of_raw(own, _raw_of(own, data, targets), tell)


def _check(own: Own) -> None:
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


def _check_has_no_use(own: Own, names: tuple[str, ...], what: str) -> None:
    for name in names:
        value = getattr(own, name)
        if value != next(field.default for field in fields(Own) if field.name == name):
            raise ConfigError(
                f"{name} is {value!r}, which has a meaning for {what} alone; leave it out for {own.name}."
            )


def _is_named(data: str) -> bool:
    return data.partition(":")[0] in ("sklearn", "openml")


# Tables


def _of_table(own: Own, data: Any = None, tell: Tell = lambda _: None) -> Loaded:
    from fastmlp.data.frame import frame_of, read_frame
    from fastmlp.data.kinds import parse_columns
    from fastmlp.data.library import listed
    from fastmlp.data.targets import class_words, targets_of

    _check_has_no_use(own, _OF_PICTURES, "pictures")
    given = parse_columns(own.columns) if own.columns else {}
    # What rows are ordered by must be read, also where it is to be no input.
    read = {name: kind for name, kind in given.items() if name != own.order}
    asked: dict[str, Any] = {"columns": read, "weights": own.weights, "group": own.group, "target": own.target}
    frame = read_frame(_home(own.data), **asked, tell=tell) if data is None else frame_of(data, **asked)
    if not own.target:
        raise ConfigError(
            f"Which column is to be predicted? Name it by --target. {frame.source} has {listed(frame.table.columns)}."
        )
    frame = replace(frame, overrides=given)
    targets = targets_of(frame, own.target, own.task)
    order = None if own.order is None else frame.order_values(own.order)
    ways = _ways(targets.kind, targets.values, frame.group_values(), order)
    notices = (*frame.notices, *class_words(targets))
    if own.folds:
        return _over_folds(own, frame.rows, ways, partial(_of_frame, own, frame, targets), notices)
    found = _of_frame(own, frame, targets, _split(own, frame.rows, ways))
    return found._replace(notices=(*notices, *found.notices))


def _of_frame(own: Own, frame: "Frame", targets: "Targets", split: "Split") -> Loaded:
    """Return a table by its parts, with the notices that depend on them; columns are learnt on the training part."""
    from fastmlp.data.columns import Columns, dropped
    from fastmlp.data.describe import describe
    from fastmlp.data.frame import read_frame
    from fastmlp.data.kinds import find_kinds
    from fastmlp.data.reading import numbers_of
    from fastmlp.data.targets import targets_as

    kinds = find_kinds(frame, split.train)
    columns = Columns.learn(frame, split.train, kinds, scale=own.scale)
    columns.check_room(frame.rows, frame.source)
    weights = frame.weight_values()
    notices = [*dropped(kinds)]
    key = own.target[0] if len(own.target) == 1 else "targets"
    test, test_values, words = features_of(columns, frame, split.test), targets.values[split.test], split.words
    test_numbers = numbers_of(frame)[split.test]
    counts: dict[str, Any] = {
        "weights": split.train,
        "validation_weights": split.validation,
        "test_weights": split.test,
    }
    counts = {} if weights is None else {name: weights[rows] for name, rows in counts.items()}
    if own.test_data is not None:
        texts = dict.fromkeys(own.target, "category") if targets.kind == "classes" else {}
        known = {**columns.reading, **texts}
        other = read_frame(_home(own.test_data), target=own.target, weights=own.weights, known=known)
        test, test_values = columns.apply(other), targets_as(other, own.target, targets.kind, targets.names).values
        test_numbers = numbers_of(other)
        counts |= {} if weights is None else {"test_weights": other.weight_values()}
        words = f"{words} {other.rows:,} rows of {other.source} for the test."
        notices += [f"{other.source}: {notice}" for notice in other.notices]
    words += _counting(own)
    dataset = Dataset(
        name=own.name,
        train_images=features_of(columns, frame, split.train),
        train_labels={key: targets.values[split.train]},
        validation_images=features_of(columns, frame, split.validation),
        validation_labels={key: targets.values[split.validation]},
        test_images=test,
        test_labels={key: test_values},
        label_names={key: targets.names},
        kinds={key: targets.kind},
        source=frame.source,
        features=columns.feature_names,
        **counts,
        reading=Reading(form="table", columns=columns),
        words=words,
    )
    return Loaded(dataset, describe(frame, kinds, columns, split.train), tuple(notices), test_numbers)


def features_of(columns: Any, frame: "Frame", rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the features (N, D) float32 of some rows of a frame, of learnt columns; rows : (N,) int64.

    It takes what it returns, and not a copy of the rows beside it.
    """
    out = np.empty((len(rows), len(columns.feature_names)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        columns.apply(frame.taken(rows[part]), out[part])
    return out


# Parts and folds


def _ways(
    kind: str,
    values: np.ndarray,
    groups: NDArray[np.int64] | None = None,
    order: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return what rows are split by, as of `split_rows`: groups, an order, or else what targets have alike."""
    alike = groups is None and order is None and kind != "labels" and values.ndim == 1
    return {"groups": groups, "order": order, "strata": values if alike else None}


def _split(own: Own, rows: int, ways: Mapping[str, Any], *, test: bool = True, validation: bool = True) -> "Split":
    """Return the parts of some rows; where the test rows lie elsewhere, none is for the test."""
    from fastmlp.data.splits import split_rows

    sizes = {
        "test": own.test_size if test and own.test_data is None else 0,
        "validation": own.validation_size if validation else 0,
    }
    return split_rows(rows, **sizes, seed=own.split_seed, **ways)


def _over_folds(
    own: Own,
    rows: int,
    ways: Mapping[str, Any],
    make: "Callable[[Split], Loaded]",
    notices: Sequence[str] = (),
) -> Loaded:
    """Return a cross-validation of some rows; make(split) : returns the data of a fold, with its own notices.

    Each fold is made here once, so that what is wrong with one is told before any is trained.
    """
    from fastmlp.data.splits import about_folds, folds

    splits = folds(rows, own.folds, validation=own.validation_size, seed=own.split_seed, **ways)
    numbers, told, table = list[NDArray[np.int64]](), dict[str, list[int]](), None

    def made(i: int) -> Dataset:
        nonlocal table
        found = make(splits[i])
        if i == len(numbers):  # the first time
            numbers.append(found.numbers)
            for notice in found.notices:
                told.setdefault(notice, []).append(i + 1)
            table = found.table if i == 0 else table
        return found.dataset

    words = about_folds(splits, rows) + _counting(own)
    dataset = joined(Folds([partial(made, i) for i in range(len(splits))]), words)
    some = [notice if len(of) == len(splits) else f"In {_numbered(of)}: {notice}" for notice, of in told.items()]
    return Loaded(dataset, table, (*notices, *some), numbers[0], tuple(numbers))


def _counting(own: Own) -> str:
    counts = f" Rows count by their {own.weights!r}, in every loss and in the metrics of the test."
    return "" if own.weights is None else counts


def _numbered(folds: Sequence[int]) -> str:
    return f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"


# All others


def _home(path: str) -> str:
    return str(Path(path).expanduser()) if path.startswith("~") else path


def _read_raw(own: Own, path: str, tell: Tell) -> "Raw":
    from fastmlp.data.sources.read import read_raw
    from fastmlp.data.targets import TASKS

    if len(own.target) > 1:
        raise ConfigError(
            f"Several targets are columns of a table, which {path} is not; name one array of targets, (M, L)."
        )
    _check_has_no_use(own, _OF_TABLES, "tables")
    target = own.target[0] if own.target else None
    task = None if own.task is None else TASKS[own.task]
    return read_raw(path, target=target, task=task, image_size=own.image_size, grey=own.grey, tell=tell)


def _raw_of(own: Own, data: Any, targets: Any) -> "Raw":
    """Return arrays in memory as a source."""
    from fastmlp.data.sources.ask import Ask
    from fastmlp.data.sources.build import Given, raw_of
    from fastmlp.data.targets import TASKS

    _check_has_no_use(own, (*_OF_TABLES, *_OF_PICTURES), "tables and pictures")
    x, y = np.asarray(data), np.asarray(targets)
    if y.dtype == object:
        y = y.astype(str)
    name = own.target[0] if own.target else "target"
    task = None if own.task is None else TASKS[own.task]
    try:
        return raw_of(Ask(Path(), name, task, 32, False, None, print), [Given(x, y, None)], name, "arrays in memory")
    except DataError as error:
        raise DataError(f"The arrays cannot be used: {error}{'' if str(error).endswith('.') else '.'}") from error


def _of_raw(own: Own, raw: "Raw", tell: Tell) -> Loaded:
    from fastmlp.data.raw import PARTS, TEST, TRAIN, VALIDATION
    from fastmlp.data.sources.read import is_pictures

    pictures = not _is_named(own.data) and is_pictures(own.data)
    if not pictures:
        _check_has_no_use(own, _OF_PICTURES, "pictures")
    (key,) = raw.targets
    kind, values = raw.kinds[key], raw.targets[key]
    part = np.full(len(values), TRAIN, np.uint8) if raw.part is None else raw.part
    if own.test_data is not None and (part == TEST).any():
        raise ConfigError(f"{own.data} has a test part of its own; leave --test-data out, or give the rest alone.")
    if own.folds:
        if (part != TRAIN).any():
            there = " and ".join(PARTS[one] for one in np.unique(part) if one != TRAIN)
            raise ConfigError(
                f"{own.data} has rows for {there}, and --folds {own.folds} deals out rows without such parts; "
                "leave it out, or give all rows as one part."
            )

        def make(split: "Split") -> Loaded:
            return _of_parts(own, raw, split.train, split.validation, split.test, split.words, pictures=pictures)

        return _over_folds(own, len(part), _ways(kind, values), make)
    train, validation, test = (np.flatnonzero(part == one) for one in (TRAIN, VALIDATION, TEST))
    words = [f"{len(rows):,} for {name}" for name, rows in (("validation", validation), ("test", test)) if len(rows)]
    words = [f"As the data say, {' and '.join(words)}."] if words else []
    wanted, numbers = {"test": not len(test), "validation": not len(validation)}, test[:0]
    if any(wanted.values()) and not (own.test_data is not None and len(validation)):
        split = _split(own, len(train), _ways(kind, values[train]), **wanted)
        words.append(split.words)
        parts = f"The {len(raw.rows):,} rows of {own.name}, copied into parts,"
        check_room(raw.rows.nbytes, parts, "Give fewer rows, or float32 in place of float64.")
        numbers = split.test
        test = train[split.test] if len(split.test) else test
        validation = train[split.validation] if len(split.validation) else validation
        train = train[split.train]
    other = None
    if own.test_data is not None:
        other = _read_raw(own, own.test_data, tell)
        words.append(f"{len(other.rows):,} of --test-data for the test.")
    found = _of_parts(own, raw, train, validation, test, " ".join(words), other, pictures=pictures)
    # Within the part that they were found in.
    return found._replace(numbers=numbers if len(numbers) else np.arange(len(found.dataset.test_images)))


def _of_parts(
    own: Own,
    raw: "Raw",
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    words: str,
    other: "Raw | None" = None,
    *,
    pictures: bool,
) -> Loaded:
    """Return a source by the numbers of the rows of each part; other : of which all rows are for the test instead."""
    (key,) = raw.targets
    kind, values = raw.kinds[key], raw.targets[key]
    test_rows, test_values = _taken(raw.rows, test), values[test]
    if other is not None:
        test_rows, test_values = other.rows, _as_of(raw, other, key)
    if kind == "classes":
        _check_trained(raw.names[key], values[train], own)
    shape = raw.shape
    dataset = Dataset(
        name=own.name,
        train_images=_taken(raw.rows, train),
        train_labels={key: values[train]},
        validation_images=_taken(raw.rows, validation),
        validation_labels={key: values[validation]},
        test_images=test_rows,
        test_labels={key: test_values},
        label_names={key: raw.names[key]},
        kinds={key: kind},
        source=raw.source,
        shape=shape,  # pyright: ignore[reportArgumentType] - three numbers, as its docstring says
        features=raw.features,
        reading=_reading(own, raw, pictures=pictures),
        words=words,
    )
    return Loaded(dataset, None, (), test)


def _reading(own: Own, raw: "Raw", *, pictures: bool) -> Reading:
    if pictures:
        return Reading(form="pictures", size=own.image_size, grey=own.grey)
    width, dtype = raw.rows.shape[1], raw.rows.dtype.name
    return Reading(form="arrays", dtype=dtype, width=width, shape=raw.shape, features=raw.features)


def _check_trained(names: tuple[str, ...], classes: np.ndarray, own: Own) -> None:
    if len(np.unique(classes)) < 2:
        raise DataError(
            f"All rows of {own.name} for training are of one class, {names[classes[0]]!r}. Give rows of others, or "
            "another split seed."
        )


def _taken(rows: np.ndarray, index: NDArray[np.int64]) -> np.ndarray:
    """Return these rows, ascending; where they are one after the other, as they lie, without a copy."""
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return rows[index[0] : index[-1] + 1]
    return rows[index]


def _as_of(raw: "Raw", other: "Raw", key: str) -> np.ndarray:
    """Return the targets of another source as those of the first; DataError where it is none of the same form."""
    (name,) = other.targets
    if (other.rows.shape[1], other.rows.dtype, other.kinds[name]) != (
        raw.rows.shape[1],
        raw.rows.dtype,
        raw.kinds[key],
    ):
        raise DataError(
            f"The rows of --test-data are {other.rows.dtype}, {other.rows.shape[1]:,} a row with {other.kinds[name]}, "
            f"and those for training {raw.rows.dtype}, {raw.rows.shape[1]:,} with {raw.kinds[key]}. Give the same."
        )
    values = other.targets[name]
    if raw.kinds[key] != "classes":
        if len(other.names[name]) != len(raw.names[key]):
            raise DataError(f"--test-data has {len(other.names[name])} targets, and training {len(raw.names[key])}.")
        return values
    codes = {one: code for code, one in enumerate(raw.names[key])}
    used = [other.names[name][code] for code in np.unique(values)]
    if lacks := [one for one in used if one not in codes]:
        raise DataError(f"--test-data has the class {lacks[0]!r}, which training has not. Leave its rows out.")
    return np.array([codes.get(one, -1) for one in other.names[name]], np.int64)[values]
