"""Products of packed blocks: the loops around the micro-kernel.

The names are those of the BLIS papers (Van Zee and van de Geijn, ACM TOMS 41(3), 2015): mr x nr is the tile in
registers, kc the depth of a block along the inner dimension, mc the rows of a block of A, and the macro-kernel runs the
micro-kernel over a packed block of A and the packed panels of B. Two things differ. B is packed whole, before: weights
serve many blocks of rows, and stay packed from one training step to the next; so there is no nc. And A is packed in the
order of its source, rows as rows: each element is broadcast by itself, so nothing is gained by turning blocks round.

Sizes: kc makes a panel of B (kc x nr) fill the L1 cache, where one pass over a block of A finds it again and again; mc
makes a block of A fill an eighth of the L2 cache, which the block of C and the streaming panels share. They are counted
in units. Of float64, which takes twice the room, a block is half as deep, and half a panel is the width of a tile.
"""

from typing import NamedTuple, cast

import numpy as np
from numba.extending import overload

from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._target import TILE, cache_bytes
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.gemm.elements import Element, element_of
from fastmlp_kernels.gemm.micro import FLAT, micro_kernel, narrow_kernel, tile_of
from fastmlp_kernels.gemm.panels import NR, Panels, padded

MR = TILE.mr
FLAT_MR, FLAT_NR = cast("int", np.int64(FLAT.mr)), cast("int", np.int64(FLAT.nr))
LINE = 64  # bytes


def _down_to(size: int, multiple: int) -> int:
    return max(size // multiple, 1) * multiple


# at most 8192, whatever the system says of its cache: a block of so many quads of bytes is within their `exact_depth`
KC = min(_down_to(cache_bytes(1) // (4 * NR), 64), 8192)
MC = _down_to(cache_bytes(2) // 8 // (4 * KC), 4 * NR)


class Blocking(NamedTuple):
    """What depends on an element in the loops around the micro-kernel, in its units.

    nr : columns of a tile, of which a panel holds one or two; kc : depth of a block
    row_stride, column_stride : of a packed block of A, its rows or its columns as they lie
    """

    nr: int
    kc: int
    row_stride: int
    column_stride: int


def blocking_of(element: Element) -> Blocking:
    """Return an element's sizes, which are no literals (see `panels`)."""
    kc, line = int(KC) * 4 // element.unit.itemsize, LINE // element.unit.itemsize
    # An odd number of cache lines: with a power of two, the rows of a block would fall into the same L1 sets.
    strides = (n if n // line % 2 else n + line for n in (kc, int(MC)))
    return Blocking._make(cast("int", np.int64(n)) for n in (tile_of(element).nr, kc, *strides))


def blocking(packed: np.ndarray) -> Blocking:
    """Return `blocking_of` the element of a packed array, flat, for its dtype."""
    return blocking_of(element_of(packed))


@overload(blocking, jit_options=PART)
def _overload_blocking(packed):
    sizes = blocking_of(element_of(packed))
    return lambda packed: sizes  # noqa: ARG005


def a_elements(element: Element) -> int:
    """Units of the work array for a packed block of A, in either order; the micro-kernel reads whole tiles."""
    _, kc, row_stride, column_stride = map(int, blocking_of(element))
    return padded(max(padded(int(MC), MR) * row_stride, kc * column_stride + MR), LINE // element.unit.itemsize)


def c_elements(n: int) -> int:
    """Elements of the work array for a block of C of n columns."""
    return padded(MC, MR) * padded(n, NR)


def most_at_once(element: Element) -> int:
    """Return the largest inner dimension, a whole number of blocks, that may be summed in one accumulator."""
    block = int(blocking_of(element).kc) * element.per_unit
    return element.exact_depth // block * block


@part
def width_of(columns: int) -> int:
    """Return the columns of a block of C with room for whole tiles."""
    return (columns + NR - 1) // NR * NR


@part
def macro_kernel(
    a: np.ndarray,
    strides: tuple[int, int],
    b: Panels,
    first: int,
    c: np.ndarray,
    size: tuple[int, int, int, int],
    add: int,
) -> None:
    """c (rows, columns) <- A B, or c + A B, by `add`: REPLACE, GO_ON or ADD.

    a : flat packed block of units of b's dtype, unit (i, k) at i * strides[0] + k * strides[1]
    c : flat, of the element's accumulator dtype, with room for whole tiles
    first : the unit of b that the inner dimension begins with
    size : rows, columns, units of the inner dimension, and the stride from row to row of c: `width_of` the columns, or
        where c is replaced also their number, and what is behind the last row is then overwritten
    """
    rows, columns, depth, width = size
    begin, nr = b.at + first * b.stride, blocking(b.array).nr
    # The last tile first: where rows lie close together, what it writes of them too much is where others begin, which
    # are written later.
    for j in range((columns - 1) // nr * nr, -1, -nr):
        at = begin + j // NR * b.panel + j % NR
        if 2 * (columns - j) > nr:
            for i in range(0, rows, MR):
                micro_kernel(
                    a, i * strides[0], strides[0], strides[1], b.array, at, b.stride,
                    c, i * width + j, width, depth, add,
                )  # fmt: skip
        else:
            for i in range(0, rows, MR):
                narrow_kernel(
                    a, i * strides[0], strides[0], strides[1], b.array, at, b.stride,
                    c, i * width + j, width, depth, add,
                )  # fmt: skip


@part
def store_rows(c: np.ndarray, rows: tuple[int, int], add: bool, out: np.ndarray) -> None:
    """`rows` of out (M, N) <- c, or out + c with `add`; c : flat block of accumulators, of out's dtype or int32."""
    kind = out.dtype.type
    count, columns = rows[1] - rows[0], out.shape[1]
    width = width_of(columns)
    for r in range(count):
        row, target = vector_at(c, r * width, columns), vector_at(out, (rows[0] + r) * columns, columns)
        for j in range(columns):
            value = kind(row[j])
            target[j] = target[j] + value if add else value
