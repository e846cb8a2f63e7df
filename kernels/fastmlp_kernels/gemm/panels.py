"""The record of an operand that lies packed, and that of the arrays in which a product is under way."""

from typing import Any, NamedTuple, cast

import numpy as np

from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm.elements import Element

# An array, or None: numba compiles a form of its own for each, in which `is None` takes no time.
Maybe = Any
# numba compiles a function anew for each literal that it is called with, as if that were a type; not so for these.
NR, ZERO, ONE = (cast("int", np.int64(n)) for n in (TILE.nr, 0, 1))
SIDE = 16  # rows of a tile register, its units or columns


class Panels(NamedTuple):
    """A right operand B (K, N) as it lies packed: panels of nr columns, in which a row of units follows the other.

    array : flat, of an element's units (see `elements`); B begins at array[at]
    panel, stride : units from one panel to the next, and from row to row: nr, but N, a multiple of nr, for a matrix
        that is read as it lies
    steps : (N,) for bytes that stand for multiples of a step, column by column; else None
    sums : what corrects a product of raw images. B right of images: (C, N padded to nr) column sums by channel; right
        of their transpose: (N,) or longer, the column sums of the part of B for one channel, each row times its
        image's center. None where the left operand is multiplied as it is meant
    by_column : the same once more for products in tile registers with a transposed left operand, see `tiles`: a row for
        each column of all that `array` holds; else None
    """

    array: np.ndarray
    at: int
    panel: int
    stride: int
    steps: Maybe
    sums: Maybe
    by_column: Maybe


class Work(NamedTuple):
    """Work arrays: a packed block of the left operand, in units, and a block of the result, in accumulators.

    Either those of all members of a team, (members, ...), or one's own.
    """

    a: np.ndarray
    c: np.ndarray


def padded(n: int, multiple: int) -> int:
    """Return n rounded up."""
    return -(-n // multiple) * multiple


def column_stride(units: int) -> int:
    """Return units from one column to the next of `Panels.by_column`: an odd number of cache lines, see `blocks`."""
    return (units + SIDE - 1) // SIDE // 2 * 2 * SIDE + SIDE


def panels(element: Element, depth: int, columns: int, *, transposed_left: bool = False) -> Panels:
    """Return room for a right operand of this size; transposed_left : whether the left one of its products is so."""
    units, width = -(-depth // element.per_unit), padded(columns, int(NR))
    tiles = transposed_left and element.in_tiles()
    return Panels(
        array=aligned_zeros(units * width, element.unit),
        at=0,
        panel=units * int(NR),
        stride=int(NR),
        steps=None,
        sums=None,
        by_column=aligned_zeros((width, column_stride(units)), element.unit) if tiles else None,
    )


def field_type(record: Any, name: str) -> Any:
    """Return numba's type of a field, of its type of a named tuple."""
    return record[record.fields.index(name)]
