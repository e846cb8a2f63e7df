"""Anyone's own pictures, arrays and published files as a data set, by the parts that they have or are dealt out to."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset
from fastmlp.data.own_parts import over_folds, split_of, ways_of
from fastmlp.data.own_record import OF_PICTURES, OF_TABLES, Loaded, Own, check_has_no_use, is_named
from fastmlp.data.reading import Reading
from fastmlp.data.room import check_room
from fastmlp.errors import ConfigError, DataError

if TYPE_CHECKING:
    from fastmlp.data.raw import Raw
    from fastmlp.data.splits import Split

Tell = Callable[[str], None]


def read_own_raw(own: Own, path: str, tell: Tell) -> "Raw":
    """Return the source of a path, as own data are to be read."""
    from fastmlp.data.sources.read import read_raw
    from fastmlp.data.targets import TASKS

    if len(own.target) > 1:
        raise ConfigError(
            f"Several targets are columns of a table, which {path} is not; name one array of targets, (M, L)."
        )
    check_has_no_use(own, OF_TABLES, "tables")
    target = own.target[0] if own.target else None
    task = None if own.task is None else TASKS[own.task]
    return read_raw(path, target=target, task=task, image_size=own.image_size, grey=own.grey, tell=tell)


def raw_in_memory(own: Own, data: Any, targets: Any) -> "Raw":
    """Return arrays in memory as a source."""
    from fastmlp.data.sources.ask import Ask
    from fastmlp.data.sources.build import Given, raw_of
    from fastmlp.data.targets import TASKS

    check_has_no_use(own, (*OF_TABLES, *OF_PICTURES), "tables and pictures")
    x, y = np.asarray(data), np.asarray(targets)
    if y.dtype == object:
        y = y.astype(str)
    name = own.target[0] if own.target else "target"
    task = None if own.task is None else TASKS[own.task]
    try:
        return raw_of(Ask(Path(), name, task, 32, False, None, print), [Given(x, y, None)], name, "arrays in memory")
    except DataError as error:
        raise DataError(f"The arrays cannot be used: {error}{'' if str(error).endswith('.') else '.'}") from error


def of_raw(own: Own, raw: "Raw", tell: Tell) -> Loaded:
    """Return a source as a data set, by its own parts where it has some."""
    from fastmlp.data.raw import PARTS, TEST, TRAIN, VALIDATION
    from fastmlp.data.sources.read import is_pictures

    pictures = not is_named(own.data) and is_pictures(own.data)
    if not pictures:
        check_has_no_use(own, OF_PICTURES, "pictures")
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

        return over_folds(own, len(part), ways_of(kind, values), make)
    train, validation, test = (np.flatnonzero(part == one) for one in (TRAIN, VALIDATION, TEST))
    words = [f"{len(rows):,} for {name}" for name, rows in (("validation", validation), ("test", test)) if len(rows)]
    words = [f"As the data say, {' and '.join(words)}."] if words else []
    wanted, numbers = {"test": not len(test), "validation": not len(validation)}, test[:0]
    if any(wanted.values()) and not (own.test_data is not None and len(validation)):
        split = split_of(own, len(train), ways_of(kind, values[train]), **wanted)
        words.append(split.words)
        parts = f"The {len(raw.rows):,} rows of {own.name}, copied into parts,"
        check_room(raw.rows.nbytes, parts, "Give fewer rows, or float32 in place of float64.")
        numbers = split.test
        test = train[split.test] if len(split.test) else test
        validation = train[split.validation] if len(split.validation) else validation
        train = train[split.train]
    other = None
    if own.test_data is not None:
        other = read_own_raw(own, own.test_data, tell)
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
