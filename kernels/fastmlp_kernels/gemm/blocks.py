"""Products of packed blocks: the loops around the micro-kernel.

The names are those of the BLIS papers (Van Zee and van de Geijn, ACM TOMS 41(3), 2015): mr x nr is the tile in
registers, kc the depth of a block along the inner dimension, mc the rows of a block of A, and the macro-kernel runs the
micro-kernel over a packed block of A and the packed panels of B. Two things differ. B is packed whole, before: weights
serve many blocks of rows, and stay packed from one training step to the next; so there is no nc. And A is packed in the
order of its source, rows as rows: each element is broadcast by itself, so nothing is gained by turning blocks round.

Sizes: kc makes a panel of B (kc x nr) fill the L1 cache, where one pass over a block of A finds it again and again; mc
makes a block of A fill an eighth of the L2 cache, which the block of C and the streaming panels share.
"""

from typing import cast

import numpy as np

from fastmlp_kernels._jit import part
from fastmlp_kernels._target import TILE, cache_bytes
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.gemm.elements import Element
from fastmlp_kernels.gemm.micro import FLAT, micro_kernel
from fastmlp_kernels.gemm.panels import NR, Panels, padded

MR = TILE.mr
FLAT_MR, FLAT_NR = cast("int", np.int64(FLAT.mr)), cast("int", np.int64(FLAT.nr))
LINE = 16  # elements of 4 bytes in a cache line


def _down_to(size: int, multiple: int) -> int:
    return max(size // multiple, 1) * multiple


# at most 8192, whatever the system says of its cache: a block of so many quads of bytes is within their `exact_depth`
KC = min(_down_to(cache_bytes(1) // (4 * NR), 64), 8192)
MC = _down_to(cache_bytes(2) // 8 // (4 * KC), 4 * NR)

# Strides of an odd number of cache lines: with a power of two, the rows of a block would fall into the same L1 sets.
ROW_STRIDE, COLUMN_STRIDE = (cast("int", np.int64(n if n // LINE % 2 else n + LINE)) for n in (KC, MC))


def a_elements() -> int:
    """Elements of the work array for a packed block of A, in either order; the micro-kernel reads whole tiles."""
    return padded(int(max(padded(MC, MR) * ROW_STRIDE, KC * COLUMN_STRIDE + MR)), LINE)


def c_elements(n: int) -> int:
    """Elements of the work array for a block of C of n columns."""
    return padded(MC, MR) * padded(n, NR)


def most_at_once(element: Element) -> int:
    """Return the largest inner dimension, a whole number of blocks, that may be summed in one accumulator."""
    return element.exact_depth // (KC * element.per_unit) * KC * element.per_unit


@part
def macro_kernel(
    a: np.ndarray,
    strides: tuple[int, int],
    b: Panels,
    first: int,
    c: np.ndarray,
    size: tuple[int, int, int],
    add: int,
) -> None:
    """c (rows, columns padded to nr) <- A B, or c + A B, by `add`: REPLACE, GO_ON or ADD.

    a : flat packed block of units of b's dtype, unit (i, k) at i * strides[0] + k * strides[1]
    c : flat, of the element's accumulator dtype
    first : the unit of b that the inner dimension begins with
    size : rows, columns, and units of the inner dimension
    """
    rows, columns, depth = size
    width = (columns + NR - 1) // NR * NR
    begin = b.at + first * b.stride
    for j in range(0, columns, NR):
        for i in range(0, rows, MR):
            micro_kernel(
                a,
                i * strides[0],
                strides[0],
                strides[1],
                b.array,
                begin + j // NR * b.panel,
                b.stride,
                c,
                i * width + j,
                width,
                depth,
                add,
            )


@part
def store_rows(c: np.ndarray, rows: tuple[int, int], add: bool, out: np.ndarray) -> None:
    """`rows` of out (M, N) <- c, or out + c with `add`; c : flat block of accumulators, float32 or int32 as out."""
    kind = out.dtype.type
    count, columns = rows[1] - rows[0], out.shape[1]
    width = (columns + NR - 1) // NR * NR
    for r in range(count):
        row, target = vector_at(c, r * width, columns), vector_at(out, (rows[0] + r) * columns, columns)
        for j in range(columns):
            value = kind(row[j])
            target[j] = target[j] + value if add else value
