"""From the arrays of a source, part by part, to `Raw`: rows in planes and of one type, targets of one kind."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastmlp.data.raw import PARTS, Raw
from fastmlp.data.sources.ask import Ask
from fastmlp.data.sources.target import target_of
from fastmlp.errors import DataError

MOST_FEATURES = 1_000_000  # each of which has a name
_CHANNELS = (1, 3, 4)  # grey, colours, colours with transparency


class Given(NamedTuple):
    """Rows x (N, ...) and targets y (N,) or (N, L), of any dtype of numbers or text; part : None where none is said."""

    x: np.ndarray
    y: np.ndarray
    part: int | None


def raw_of(ask: Ask, given: Sequence[Given], target: str, source: str, columns: Sequence[str] = ()) -> Raw:
    """Return the `Raw` of what a source has given; several parts are joined in memory, one is left where it is.

    target, columns : its name, and those of its columns where it has several; source : as `Raw.source`

    Raises DataError where the parts do not fit each other.
    """
    for x, y, part in given:
        where = "" if part is None else f" of the {PARTS[part]} part"
        if x.ndim and y.ndim and len(x) != len(y):
            raise DataError(f"the rows{where} are {len(x):,}, and {target} has {len(y):,} values; each row needs one")
    rows, shapes = zip(*(rows_of(one.x) for one in given), strict=True)
    if len({(one.dtype, one.shape[1], shape) for one, shape in zip(rows, shapes, strict=True)}) > 1:
        kinds = ", ".join(f"{one.x.dtype} of shape {one.x.shape}" for one in given)
        raise DataError(f"the rows of its parts differ: {kinds}. All must have one dtype, and one shape of a row")
    y = _joined_targets([one.y for one in given], target)
    found = target_of(y, target, ask.task, columns)
    shape = shapes[0]
    return Raw(
        rows[0] if len(rows) == 1 else np.concatenate(rows),
        {target: found.values},
        {target: found.kind},
        {target: found.names},
        shape,
        () if shape else numbered(rows[0].shape[1]),
        source,
        part_of([len(one.x) for one in given], [one.part for one in given]),
    )


def numbered(count: int) -> tuple[str, ...]:
    """Return names of so many features that have none; DataError above `MOST_FEATURES`."""
    if count > MOST_FEATURES:
        raise DataError(f"a row has {count:,} features, and at most {MOST_FEATURES:,} are allowed: choose some of them")
    return tuple(f"x{i}" for i in range(count))


def part_of(counts: Sequence[int], parts: Sequence[int | None]) -> np.ndarray | None:
    """Return (M,) uint8, the part of each row, from the rows of each part in their order; None where none is said."""
    if None in parts:
        return None
    return np.repeat(np.array(parts, np.uint8), counts)


def rows_of(x: np.ndarray) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Return the rows (M, D) of x (M, ...), an array of any real dtype, and the shape of one as an image.

    uint8, float32 and float64 stay what they are, and where they are already (M, D) and C-contiguous they are not
    copied; float16 and all other integers become float32, which is exact up to 2^24, longer floats float64.

    (M, height, width) and, with channels first or last, 3 axes a row are images, laid out in planes. Channels are the
    axis of length 1, 3 or 4, else the shorter one.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"the rows are {x.dtype} of shape {x.shape}; allowed are numbers. Words belong into a table")
    if x.ndim and not len(x):
        raise DataError("it holds no row: there is nothing to learn from")
    if not 1 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(
            f"the rows have shape {x.shape}; allowed are (M, D), (M, height, width), (M, height, width, channels) and "
            "(M, channels, height, width), none of them 0"
        )
    if x.ndim == 1:
        x = x[:, None]
    shape = None
    if x.ndim == 3:
        shape = (1, *x.shape[1:])
    if x.ndim == 4:
        if _channels_are_last(x.shape[1:]):
            x = x.transpose(0, 3, 1, 2)
        shape = x.shape[1:]
    dtype = np.dtype(_KEPT.get((x.dtype.kind, x.dtype.itemsize), np.float64 if x.dtype.kind == "f" else np.float32))
    with np.errstate(over="ignore"):  # what becomes infinite is reported by its row
        rows = np.ascontiguousarray(x, dtype=dtype).reshape(len(x), -1)
    return (rows if rows.flags.aligned else rows.copy()), shape


# By kind and bytes, in whatever order of bytes.
_KEPT = {("u", 1): np.uint8, ("f", 2): np.float32, ("f", 4): np.float32, ("f", 8): np.float64}


def _channels_are_last(shape: tuple[int, ...]) -> bool:
    first, _, last = shape
    if (first in _CHANNELS) != (last in _CHANNELS):
        return last in _CHANNELS
    if first == last:
        raise DataError(
            f"rows of shape {shape} may have their channels first or last. Save them as (M, D), or as "
            "(M, channels, height, width) with fewer channels than columns"
        )
    return last < first


def _joined_targets(targets: Sequence[np.ndarray], name: str) -> np.ndarray:
    if len(targets) == 1:
        return np.asarray(targets[0])
    kinds = {"i" if one.dtype.kind in "biu" else one.dtype.kind for one in targets}
    if len(kinds) > 1 or len({one.shape[1:] for one in targets}) > 1:
        shown = ", ".join(f"{one.dtype} of shape {one.shape}" for one in targets)
        raise DataError(f"{name} differs from part to part: {shown}. All must be of one kind and width")
    return np.concatenate(targets)
