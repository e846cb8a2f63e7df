"""Products of packed blocks: the loops around the micro-kernel.

The names are those of the BLIS papers (Van Zee and van de Geijn, ACM TOMS 41(3), 2015): mr x nr is the tile in
registers, kc the depth of a block along the inner dimension, mc the rows of a block of A, and the macro-kernel runs the
micro-kernel over a block of A and the packed panels of B. Two things differ. B is packed whole, before: weights serve
many blocks of rows, and stay packed from one training step to the next; so there is no nc. And A is packed only where
that pays, as each of its elements is broadcast by itself: rows of floats are read where they lie (`micro.Picked`), what
must be converted is packed as rows, and columns in strips of mr.

Sizes: kc is at most 256, so that a panel of B (kc x nr) stays in the L1 cache, where one pass over a block of A finds
it again and again, and leaves room for A: a panel as wide as AVX2 has it then takes 16 of the 32 KiB of most cores. mc
is 128 rows, or the next number of which tiles are whole and panels too, 144 for AVX2: with half as many, and a panel
that filled the L1 cache, a step of 10-1024-1024-10 at batch 128 took 1.3 times as long on an AMD Zen 3. Of larger
blocks there are too few for many threads. They are counted in units. Of float64, which takes twice the room, a block is
half as deep, and half a panel is the width of a tile.
"""

import math
from functools import cache
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from numba.extending import overload

from fastmlp_kernels._convert import copy_panel
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._target import TILE, cache_bytes
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.gemm.ahead import LARGE, Following, ask_for_rows, asking_of, asks_by_line, places_ahead
from fastmlp_kernels.gemm.elements import Element, element_of
from fastmlp_kernels.gemm.micro import (
    FLAT,
    FLAT_TILES,
    LINE,
    Packed,
    Picked,
    SideBySide,
    Strips,
    micro_kernel,
    narrow_kernel,
    tile_of,
)
from fastmlp_kernels.gemm.panels import NR, ZERO, Panels, padded

Left: TypeAlias = Packed | SideBySide | Strips | Picked
MR = TILE.mr
FLAT_MR = cast("int", np.int64(FLAT.mr))


# Rows of A up to which an unpacked B is read as it lies: a copy in the order of the micro-kernel pays once many tiles
# read it.
FEW_ROWS = 4 * MR


KC = min(1 << (int(max(cache_bytes(1) // (4 * NR), 64)).bit_length() - 1), 256)
MC = cast("int", np.int64(padded(128, math.lcm(int(MR), int(NR)))))


class Blocking(NamedTuple):
    """What depends on an element in the loops around the micro-kernel, in its units.

    nr : columns of a tile, of which a panel holds one or two; flat_nr : of one for few rows; kc : depth of a block
    row_stride, column_stride : of a packed block of A, its rows or its columns as they lie
    """

    nr: int
    flat_nr: int
    kc: int
    row_stride: int
    column_stride: int


@cache
def blocking_of(element: Element) -> Blocking:
    """Return an element's sizes, which are no literals (see `panels`)."""
    kc, line = int(KC) * 4 // element.unit.itemsize, LINE // element.unit.itemsize
    # An odd number of cache lines: with a power of two, the rows of a block would fall into the same L1 sets.
    strides = (n if n // line % 2 else n + line for n in (kc, int(MC)))
    widths = tile_of(element).nr, FLAT_TILES[element.accumulator.itemsize].nr
    return Blocking._make(cast("int", np.int64(n)) for n in (*widths, kc, *strides))


def blocking(packed: np.ndarray) -> Blocking:
    """Return `blocking_of` the element of a packed array, flat, for its dtype."""
    return blocking_of(element_of(packed))


@overload(blocking, jit_options=PART)
def _overload_blocking(packed):
    sizes = blocking_of(element_of(packed))
    return lambda packed: sizes  # noqa: ARG005


@cache
def a_elements(element: Element) -> int:
    """Units of the work array for a packed block of A, in either order, or behind it the addresses of its rows.

    The micro-kernel reads whole tiles: what pads them was packed once. Addresses there would be subnormal numbers.
    """
    _, _, kc, row_stride, column_stride = map(int, blocking_of(element))
    packed, size = max(padded(int(MC), MR) * row_stride, kc * column_stride + MR), element.unit.itemsize
    return padded(packed, LINE // size) + padded(int(MC) * 8, LINE) // size


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
def _packs(b: Panels, rows: int, depth: int) -> bool:
    """Whether a product of so many rows with an unpacked B packs each panel of it by itself, just before it is read."""
    return b.stride != NR and rows > FEW_ROWS and depth * NR <= SIZE


@part
def _pack_panel(b: Panels, at: int, size: tuple[int, int], panel: np.ndarray) -> None:
    """Pack a block of an unpacked B, of this size, which begins at b.array[at]."""
    depth, columns = size
    if columns == NR:
        copy_panel(b.array, at, b.stride, panel, ZERO, depth)
    else:
        for k in range(depth):
            row, target = vector_at(b.array, at + k * b.stride, columns), vector_at(panel, k * NR, columns)
            for j in range(columns):
                target[j] = row[j]


class Sums(NamedTuple):
    """Where a product C goes: its first rows, of whole tiles, to one array, those below to another.

    c : flat, of the accumulators' dtype, `stride` from row to row: `width_of` the columns, or where c is replaced also
        their number, and what is behind the last row is then overwritten
    whole : rows that go there
    rest : flat, of the same dtype, with room for whole tiles, `width_of` the columns from row to row
    """

    c: np.ndarray
    stride: int
    whole: int
    rest: np.ndarray


@part
def macro_kernel(
    a: Left,
    b: Panels,
    first: int,
    c: np.ndarray,
    size: tuple[int, int, int, int],
    add: int,
    parts: Following,
) -> None:
    """c (rows, columns) <- A B, or c + A B: `multiply_panels` with one array for all rows.

    c : (N,) of the accumulators' dtype, with room for whole tiles
    size : rows, columns, units of the inner dimension, and the stride of c
    """
    rows, columns, depth, width = size
    multiply_panels(a, b, first, Sums(c, width, rows, c), (rows, columns, depth), add, parts)


@part
def multiply_panels(
    a: Left, b: Panels, first: int, sums: Sums, size: tuple[int, int, int], add: int, parts: Following
) -> None:
    """C (rows, columns) <- A B, or C + A B, by `add`: REPLACE, GO_ON or ADD.

    first : the unit of b that the inner dimension begins with
    size : rows, columns, and units of the inner dimension
    parts : what A is read from in the block that follows
    """
    rows, columns, depth = size
    begin, nr, packs, width = b.at + first * b.stride, blocking(b.array).nr, _packs(b, rows, depth), width_of(columns)
    call, calls = 0, max((rows + MR - 1) // MR * (columns // nr), 1)
    asking = asking_of(parts, b, depth, calls, packs or b.stride == NR)
    own = work_array(b.array, ZERO)
    # The last tile first: where rows lie close together, what it writes of them too much is where others begin, which
    # are written later.
    for j in range((columns - 1) // nr * nr, -1, -nr):
        place = begin + j // NR * b.panel + j % NR
        array, at, stride = b.array, place, b.stride
        if packs:
            _pack_panel(b, place, (depth, min(nr, columns - j)), own)
            array, at, stride = own, ZERO, NR
        # The same panel in the next block, where those of this block fit the L2 cache; else the next one of this.
        same = depth * columns * b.array.itemsize <= LARGE
        following = place + depth * b.stride if same else place - b.panel
        for i in range(0, rows, MR):
            c, to, gap = (sums.c, i * sums.stride, sums.stride)
            if i >= sums.whole:
                c, to, gap = sums.rest, (i - sums.whole) * width, width
            if 2 * (columns - j) <= nr:
                narrow_kernel(a, i, array, at, stride, c, to + j, gap, depth, add, ())
            elif asks_by_line(parts, asking):
                ahead = places_ahead(parts, asking, call, i, b, following)
                micro_kernel(a, i, array, at, stride, c, to + j, gap, depth, add, ahead)
                call += 1
            else:
                if asking.share > 0:
                    ask_for_rows(parts, asking, call)
                    call += 1
                micro_kernel(a, i, array, at, stride, c, to + j, gap, depth, add, ())


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
