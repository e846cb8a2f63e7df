"""The record of a source's rows and targets as they were read, before any split; it checks itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from fastmlp.errors import DataError

TRAIN, VALIDATION, TEST = range(3)
PARTS = ("training", "validation", "test")
_AT_ONCE = 1 << 22  # numbers that are looked at together


@dataclass(frozen=True, eq=False)
class Raw:
    """What a source held, before any split: M rows of D numbers, and the targets of each row.

    rows : (M, D) uint8, float32 or float64, C-contiguous; it may be mapped from a file, and images lie in planes
    part : (M,) uint8, one of `TRAIN`, `VALIDATION`, `TEST`, where the source says it; else None

    Raises DataError where they do not fit each other, a number is not finite, or no target varies over training rows.
    """

    rows: np.ndarray
    targets: Mapping[str, np.ndarray]
    """By name of the target: (M,) int64 of classes, (M, L) uint8 of labels, (M,) or (M, T) float64 of numbers."""
    kinds: Mapping[str, str]
    """By name of the target: "classes", "labels" or "numbers"."""
    names: Mapping[str, tuple[str, ...]]
    """By name of the target: names of the classes, of the labels or of the numbers."""
    shape: tuple[int, ...] | None
    """(channels, height, width) of a row that is an image; None for features."""
    features: tuple[str, ...]
    """Names of the D features; empty for images."""
    source: str
    """Where the data came from, in words, without a path."""
    part: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_rows(self.rows)
        count, width = self.rows.shape
        if (self.shape is None) != bool(self.features):
            raise DataError("rows are either images, with a shape, or features, with names")
        if (prod(self.shape) if self.shape is not None else len(self.features)) != width:
            raise DataError(f"rows have {width:,} numbers, which do not fit {self.shape or len(self.features)}")
        _check_names(self.features, "feature")
        if not self.targets or not set(self.targets) == set(self.kinds) == set(self.names):
            raise DataError("each target must have its kind and its names, and there must be one")
        if self.part is not None:
            _check_part(self.part, count)
        trains = slice(None) if self.part is None else self.part == TRAIN
        for name, target in self.targets.items():
            if self.kinds[name] not in _CHECKS:
                raise DataError(f"{name} is of kind {self.kinds[name]!r}; allowed are {', '.join(_CHECKS)}")
            if len(target) != count:
                raise DataError(f"there are {count:,} rows, and {name} has {len(target):,} values; each row needs one")
            _check_names(self.names[name], f"target {name}")
            _CHECKS[self.kinds[name]](name, target, self.names[name])
            _check_varies(name, self.kinds[name], target[trains], self.names[name])


def _check_rows(rows: np.ndarray) -> None:
    if rows.dtype not in (np.uint8, np.float32, np.float64) or rows.ndim != 2 or not rows.flags.c_contiguous:
        raise DataError(
            f"rows are {rows.dtype} of shape {rows.shape}; they must be uint8, float32 or float64 (M, D), C-contiguous"
        )
    if 0 in rows.shape:
        raise DataError(f"it holds {rows.shape[0]:,} rows of {rows.shape[1]:,} numbers: there is nothing to learn from")
    if (place := first_not_finite(rows)) is not None:
        row, column = place
        raise DataError(
            f"row {row:,} has {rows[row, column]} in column {column:,}, counted from 0. Every number must be finite: "
            "leave such rows out, or fill them in"
        )


def first_not_finite(rows: np.ndarray) -> tuple[int, int] | None:
    """Return row and column of the first NaN or infinity in rows (M, D) of any real dtype; None where there is none."""
    if rows.dtype.kind != "f":
        return None
    step = max(1, _AT_ONCE // rows.shape[1])
    for first in range(0, len(rows), step):
        finite = np.isfinite(rows[first : first + step])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            return first + int(row), int(column)
    return None


def _check_part(part: np.ndarray, count: int) -> None:
    if part.dtype != np.uint8 or part.shape != (count,) or part.max() > TEST:
        raise DataError(f"the parts are {part.dtype} of shape {part.shape}; they must be one of 0, 1 and 2 a row")
    if not (part == TRAIN).any():
        raise DataError("no row is for training; give some rows to that part")


def _check_names(names: tuple[str, ...], of: str) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise DataError(f"two names of the {of} are {twice!r}; each must have its own")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(f"a name of the {of}, {name!r}, is no text of Unicode; rename it") from None


def _check_classes(name: str, target: np.ndarray, names: tuple[str, ...]) -> None:
    if target.dtype != np.int64 or target.ndim != 1:
        raise DataError(f"{name} is {target.dtype} of shape {target.shape}; classes must be int64 (M,)")
    wrong = np.flatnonzero((target < 0) | (target >= len(names)))
    if wrong.size:
        raise DataError(f"{name} is {target[wrong[0]]} in row {wrong[0]:,}; its {len(names)} classes are 0 and up")


def _check_labels(name: str, target: np.ndarray, names: tuple[str, ...]) -> None:
    if target.dtype != np.uint8 or target.ndim != 2 or target.shape[1] != len(names) or target.max(initial=0) > 1:
        raise DataError(
            f"{name} is {target.dtype} of shape {target.shape}; its {len(names)} labels must be uint8 (M, L), 0 or 1"
        )


def _check_numbers(name: str, target: np.ndarray, names: tuple[str, ...]) -> None:
    columns = target[:, None] if target.ndim == 1 else target
    if target.dtype != np.float64 or columns.ndim != 2 or columns.shape[1] != len(names) or not names:
        raise DataError(
            f"{name} is {target.dtype} of shape {target.shape}; its {len(names)} numbers must be float64 (M,) or (M, T)"
        )
    if (place := first_not_finite(columns)) is not None:
        raise DataError(
            f"{name} is {columns[place]} in row {place[0]:,}, counted from 0. Every target must be a finite number: "
            "leave such rows out"
        )


_CHECKS: dict[str, Callable[[str, np.ndarray, tuple[str, ...]], None]] = {
    "classes": _check_classes,
    "labels": _check_labels,
    "numbers": _check_numbers,
}
KINDS = tuple(_CHECKS)


def _check_varies(name: str, kind: str, target: np.ndarray, names: tuple[str, ...]) -> None:
    if (target != target[0]).any():
        return
    one = f"of one class, {names[target[0]]!r}" if kind == "classes" else f"the same, {target[0].tolist()}"
    rows = "the only row" if len(target) == 1 else f"all {len(target):,} training rows"
    raise DataError(f"{name} is {one}, in {rows}: there is nothing to learn. Two different values are needed at least")
