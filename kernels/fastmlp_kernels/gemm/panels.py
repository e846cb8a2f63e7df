"""The record of a packed right operand, and that of a product's work arrays."""

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
    """A packed right operand B (K, N): panels of nr columns, in each of which one row of units follows the other.

    array : flat, of an element's unit dtype (see `elements`); B begins at array[at]. All other arrays are float32
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
    """The work arrays of a product, for each member of a team, (members, n), or for one, flat.

    a : a packed block of the left operand, of the element's unit dtype; c : a block of the result, of its accumulator's
    """

    a: np.ndarray
    c: np.ndarray


def padded(n: int, multiple: int) -> int:
    """Return n rounded up to a multiple."""
    return -(-n // multiple) * multiple


def column_stride(units: int) -> int:
    """Return the stride in units from column to column of `Panels.by_column`: an odd number of cache lines."""
    return (units + SIDE - 1) // SIDE // 2 * 2 * SIDE + SIDE


def panels(element: Element, depth: int, columns: int, *, transposed_left: bool = False) -> Panels:
    """Allocate a right operand (depth, columns); transposed_left : whether the left operand of its products is."""
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
    """Return numba's type of a field of a named tuple, from numba's type of that."""
    return record[record.fields.index(name)]
