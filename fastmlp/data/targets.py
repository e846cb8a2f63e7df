"""What a table's target columns are: classes, several labels or numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.encoders import level_texts
from fastmlp.data.frame import Frame, floats
from fastmlp.data.kinds import as_numbers
from fastmlp.data.library import listed
from fastmlp.errors import ConfigError, DataError, suggestion

if TYPE_CHECKING:
    import polars as pl

TASKS = {"classification": "classes", "labels": "labels", "regression": "numbers"}
FEW_LEVELS = 20  # of whole numbers that are classes
MOST_CLASSES = 10_000
_EACH = 2  # rows that a class has on average, at least


class Targets(NamedTuple):
    """Targets of a frame's rows.

    values : (M,) int64 of classes; (M, L) uint8 of labels, 0 or 1; (M,) float64 of one number, (M, T) of T numbers
    """

    kind: str
    """ "classes", "labels" or "numbers"."""
    values: NDArray[np.int64] | NDArray[np.uint8] | NDArray[np.float64]
    names: tuple[str, ...]
    """Names of the classes, in the order of their numbers; else of the columns."""


def targets_of(frame: Frame, names: str | Sequence[str], task: str | None = None) -> Targets:
    """Return the targets that these columns of a frame are, by their values or by a task.

    task : a key of TASKS, None to find it: texts, truth values, and whole numbers of at most 20 values, with two rows
    each on average, are classes, other numbers are numbers; several columns of 0 and 1 are labels, of other numbers
    numbers. DataError for a column that is not there, has a cell that is missing or infinite, one value alone, or is
    none of a task's.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise ConfigError("No target was named. Name the column, or the columns, to predict.")
    if task is not None and task not in TASKS:
        raise ConfigError(f"There is no task {task!r}.{suggestion(task, TASKS)} Tasks are {', '.join(TASKS)}.")
    columns = [frame.column(name) for name in names]
    for column in columns:
        _check_known(frame, column)
    kind = TASKS[task] if task else _kind(columns)
    if kind == "classes":
        if len(columns) > 1:
            raise DataError(
                f"Classes are one column, and {len(columns)} were named: {listed(names)}. Name one of them, or choose "
                "the task labels or regression."
            )
        return _classes(frame, columns[0])
    values = _values(frame, names, kind)
    columns = values.reshape(len(values), -1).T
    same = [name for name, one in zip(names, columns, strict=True) if (one == one[0]).all()]
    if same and (kind == "numbers" or len(same) == len(names)):
        raise DataError(
            f"The target {listed(same)} is {columns[names.index(same[0])][0]:g} in all {len(values):,} rows of "
            f"{frame.source}: nothing can be learnt. Name another."
        )
    return Targets(kind, values, names)


def targets_as(frame: Frame, columns: str | Sequence[str], kind: str, names: Sequence[str]) -> Targets:
    """Return the targets of a frame as those of another, such as of a test file as the training file's.

    kind, names : of the other's `Targets`. DataError for a class that it has not.
    """
    columns = (columns,) if isinstance(columns, str) else tuple(columns)
    for name in columns:
        _check_known(frame, frame.column(name))
    if kind != "classes":
        return Targets(kind, _values(frame, columns, kind), columns)
    column = frame.column(columns[0])
    return Targets(kind, _codes(frame, column, names), tuple(names))


def class_words(targets: Targets) -> list[str]:
    """Return a sentence for what splits of these classes cannot keep: classes with a single row."""
    if targets.kind != "classes":
        return []
    counts = np.bincount(targets.values.astype(np.int64), minlength=len(targets.names))
    single = [targets.names[i] for i in np.flatnonzero(counts == 1)]
    if not single:
        return []
    has = "has" if len(single) == 1 else "have"
    words = f"{len(single):,} of {len(counts):,} classes {has} a single row, which can be in one part alone"
    return [f"{words}: {listed(single, 5)}."]


def _check_known(frame: Frame, column: "pl.Series") -> None:
    import polars as pl

    missing = column.null_count()
    if missing == len(column):
        raise DataError(f"The target {column.name!r} is missing in all rows. Name another.")
    if missing:
        row = int(column.is_null().arg_max() or 0)
        raise DataError(
            f"The target {column.name!r} is missing in {missing:,} rows, first in {frame.place(row)}. Name it when the "
            "table is read, which leaves these rows out."
        )
    if column.dtype == pl.Datetime:
        raise DataError(f"The target {column.name!r} holds times. Name classes or numbers, such as days since a date.")
    if column.dtype.is_float() and not column.is_finite().all():
        row = int((~column.is_finite()).arg_max() or 0)
        raise DataError(
            f"The target {column.name!r} is {column[row]} in {frame.place(row)}. Mend it, or take the row out."
        )


def _kind(columns: "list[pl.Series]") -> str:
    import polars as pl

    if len(columns) > 1:
        if all(_is_truth(column) for column in columns):
            return "labels"
        if all(column.dtype.is_numeric() for column in columns):
            return "numbers"
        texts = [
            repr(column.name) for column in columns if not (column.dtype.is_numeric() or column.dtype == pl.Boolean)
        ]
        raise DataError(
            f"Several targets are labels, all 0 and 1, or all numbers; {', '.join(texts) or 'some of them'} "
            f"{'is' if len(texts) == 1 else 'are'} neither. Name one column of classes, or columns of one sort."
        )
    (column,) = columns
    if not column.dtype.is_numeric():
        return "classes"
    if column.dtype.is_float():
        return "classes" if _is_truth(column) else "numbers"
    levels = column.n_unique()
    return "classes" if levels <= 2 or (levels <= FEW_LEVELS and levels * _EACH <= len(column)) else "numbers"


def _is_truth(column: "pl.Series") -> bool:
    import polars as pl

    return column.dtype == pl.Boolean or (column.dtype.is_numeric() and bool(((column == 0) | (column == 1)).all()))


def _classes(frame: Frame, column: "pl.Series") -> Targets:
    name, levels = column.name, column.n_unique()
    if levels == 1:
        raise DataError(
            f"The target {name!r} is {level_texts(column)[0]!r} in all {len(column):,} rows: one class is nothing to "
            "learn. Name another target, or give rows of other classes."
        )
    if levels > MOST_CLASSES or (levels > FEW_LEVELS and levels * _EACH > len(column)):
        advice = "Choose the task regression, or" if column.dtype.is_numeric() else "It may be an id or a text:"
        raise DataError(
            f"The target {name!r} has {levels:,} classes in {len(column):,} rows; allowed are {MOST_CLASSES:,}, with "
            f"{_EACH} rows each on average. {advice} name another target."
        )
    # Numbers in their own order; texts by their letters.
    names = list(dict.fromkeys(level_texts(column.unique().sort()).to_list()))
    return Targets("classes", _codes(frame, column, names), tuple(names))


def _codes(frame: Frame, column: "pl.Series", names: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each row's class (M,) int64."""
    import polars as pl

    texts = level_texts(column)
    numbers = pl.Series(range(len(names)), dtype=pl.Int64)
    codes = texts.replace_strict(pl.Series(names, dtype=pl.String), numbers, default=-1, return_dtype=pl.Int64)
    codes = codes.to_numpy()
    if codes.min() < 0:
        row = int(codes.argmin())
        raise DataError(
            f"The target {column.name!r} is {texts[row]!r} in {frame.place(row)}, a class that training has not; it "
            f"has {listed(names, 10)}. Mend it, or train with rows of it."
        )
    return np.array(codes)


def _values(frame: Frame, names: tuple[str, ...], kind: str) -> NDArray[np.uint8] | NDArray[np.float64]:
    """Return labels (M, L) uint8, or numbers (M,) or (M, T) float64."""
    if kind == "labels":
        return np.stack([_truth(frame, frame.column(name)) for name in names], axis=1)
    values = np.stack([_numbers(frame, name) for name in names], axis=1)
    return values[:, 0].copy() if len(names) == 1 else values


def _truth(frame: Frame, column: "pl.Series") -> NDArray[np.uint8]:
    """Return a label's (M,) uint8; DataError where it is neither 0 nor 1."""
    if not _is_truth(column):
        import polars as pl

        wrong = ~column.cast(pl.String).is_in(["0", "1", "0.0", "1.0"])
        row = int(wrong.arg_max() or 0)
        raise DataError(
            f"The label {column.name!r} is {column[row]!r} in {frame.place(row)}; labels are 0 or 1, true or false. "
            "Mend it, or choose another task."
        )
    return floats(column).astype(np.uint8)


def _numbers(frame: Frame, name: str) -> NDArray[np.float64]:
    """Return a target of numbers (M,) float64; DataError where a cell is none."""
    numbers = floats(as_numbers(frame, name))
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise DataError(f"The target {name!r} is {numbers[wrong[0]]} in {frame.place(wrong[0])}. Mend it.")
    return np.array(numbers)
