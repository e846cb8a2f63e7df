"""Targets by what they hold: classes, several labels or numbers, as `Raw` has them."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastmlp.errors import DataError

# A network has an output a class, and the errors of each row over all of them.
MOST_CLASSES = 10_000


class Target(NamedTuple):
    """One target of `Raw`.

    values : (M,) int64 of classes, (M, L) uint8 of labels, (M,) or (M, T) float64 of numbers
    """

    values: np.ndarray
    kind: str
    names: tuple[str, ...]


def target_of(y: np.ndarray, name: str, task: str | None = None, columns: Sequence[str] = ()) -> Target:
    """Return a target from y (M,) or (M, L), of any dtype of integers, booleans, floats or text.

    Integers, booleans and text are classes, named by their values in sorted order; floats are numbers; several columns
    of nothing but 0 and 1 are several labels.

    task : one of `fastmlp.data.raw.KINDS`, in place of what y looks like. As classes are then taken also whole floats,
        and a column a class in which each row has one 1; as labels also one column of 0 and 1; as numbers also integers
    columns : names of the columns of y; by default `name` and a number

    Raises DataError where y cannot be that.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2) or 0 in y.shape or y.dtype.kind not in "biufU":
        raise DataError(
            f"{name} is {y.dtype} of shape {y.shape}; allowed are whole numbers, numbers or text, one a row, or (M, L)"
        )
    if y.dtype.kind == "U" and y.astype(y.dtype.newbyteorder("=")).reshape(-1).view(np.uint32).max() > sys.maxunicode:
        raise DataError(f"{name} holds text that is no Unicode: it is damaged")
    width = y.shape[1] if y.ndim == 2 else 1
    names = tuple(columns) if len(columns) == width else _numbered(name, width)
    return _MAKERS[task or _kind(y, name)](y, name, names)


def _numbered(name: str, width: int) -> tuple[str, ...]:
    return (name,) if width == 1 else tuple(f"{name}{i}" for i in range(width))


def _kind(y: np.ndarray, name: str) -> str:
    if y.ndim == 1:
        return "numbers" if y.dtype.kind == "f" else "classes"
    if _is_zero_or_one(y):
        return "labels"
    if y.dtype.kind == "f":
        return "numbers"
    raise DataError(
        f"{name} is {y.dtype} of shape {y.shape}, which is no class a row, and no labels of 0 and 1. If it is "
        f"{y.shape[1]} amounts a row, say that the task is numbers"
    )


def _is_zero_or_one(y: np.ndarray) -> bool:
    return y.dtype.kind != "U" and bool(((y == 0) | (y == 1)).all())


def _classes(y: np.ndarray, name: str, columns: tuple[str, ...]) -> Target:
    if y.ndim == 2:
        if not _is_zero_or_one(y) or (y.sum(axis=1) != 1).any():
            raise DataError(
                f"{name} has {y.shape[1]} columns; as classes each row must have a 1 in one of them, else 0"
            )
        return Target(y.argmax(axis=1).astype(np.int64), "classes", columns)
    if y.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.isfinite(y) & (y == np.round(y)) & (abs(y) < 2**53)))
        if wrong.size:
            raise DataError(
                f"{name} is {y[wrong[0]]} in row {wrong[0]:,}, which is no class; classes are whole numbers"
            )
        y = y.astype(np.int64)
    found, codes = np.unique(y, return_inverse=True)
    if len(found) > MOST_CLASSES:
        advice = "" if y.dtype.kind == "U" else "; if they are amounts, say that the task is numbers"
        raise DataError(
            f"{name} has {len(found):,} different values, and at most {MOST_CLASSES:,} classes are allowed{advice}"
        )
    names = tuple(map(str, found.tolist()))
    if "" in names:
        row = np.flatnonzero(codes == names.index(""))[0]
        raise DataError(f"{name} is empty in row {row:,}, counted from 0: give it a class, or leave the row out")
    return Target(codes.reshape(-1).astype(np.int64), "classes", names)


def _labels(y: np.ndarray, name: str, columns: tuple[str, ...]) -> Target:
    if not _is_zero_or_one(y):
        raise DataError(f"{name} is {y.dtype} of shape {y.shape}; labels must be 0 or 1, a column each")
    return Target(np.ascontiguousarray(y.reshape(len(y), -1), dtype=np.uint8), "labels", columns)


def _numbers(y: np.ndarray, name: str, columns: tuple[str, ...]) -> Target:
    if y.dtype.kind == "U":
        raise DataError(f"{name} is text, such as {str(y.flat[0])!r}, and the task is numbers")
    return Target(np.ascontiguousarray(y, dtype=np.float64), "numbers", columns)


_MAKERS = {"classes": _classes, "labels": _labels, "numbers": _numbers}
