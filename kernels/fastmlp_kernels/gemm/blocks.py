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
from fastmlp_kernels._views import row_at, vector_at
from fastmlp_kernels.gemm.micro import ADD, FLAT, GO_ON, REPLACE, flat_kernel, micro_kernel
from fastmlp_kernels.gemm.pack import NR, ONE, Maybe, item, pack_rows, per_unit

MR = TILE.mr
FLAT_MR, FLAT_NR = cast("int", np.int64(FLAT.mr)), cast("int", np.int64(FLAT.nr))
LINE = 16  # elements of 4 bytes in a cache line
LONG = 16  # blocks of a row whose sum is taken in one go


def _down_to(size: int, multiple: int) -> int:
    return max(size // multiple, 1) * multiple


# at most 8192, whatever the system says of its cache: a block of so many quads of bytes is within `EXACT_DEPTH`
KC = min(_down_to(cache_bytes(1) // (4 * NR), 64), 8192)
MC = _down_to(cache_bytes(2) // 8 // (4 * KC), 4 * NR)

# Strides of an odd number of cache lines: with a power of two, the rows of a block would fall into the same L1 sets.
ROW_STRIDE, COLUMN_STRIDE = (cast("int", np.int64(n if n // LINE % 2 else n + LINE)) for n in (KC, MC))


def padded(n: int, multiple: int) -> int:
    """Return n rounded up."""
    return -(-n // multiple) * multiple


def a_elements() -> int:
    """Elements of the work array for a packed block of A, in either order; the micro-kernel reads whole tiles."""
    return padded(int(max(padded(MC, MR) * ROW_STRIDE, KC * COLUMN_STRIDE + MR)), LINE)


def c_elements(n: int) -> int:
    """Elements of the work array for a block of C of n columns."""
    return padded(MC, MR) * padded(n, NR)


@part
def units_of(count: int, packed: np.ndarray) -> int:
    """Return how many elements of the packed array hold `count` of the inner dimension."""
    per = per_unit(packed)
    return (count + per - 1) // per


@part
def macro_kernel(
    a: np.ndarray,
    strides: tuple[int, int],
    rows: int,
    b: np.ndarray,
    at: int,
    panel: int,
    stride: int,
    c: np.ndarray,
    columns: int,
    depth: int,
    add: int,
) -> None:
    """C (rows, columns padded to nr) <- A B, or C + A B as `add` says: REPLACE, GO_ON or ADD.

    a : packed block, element (i, k) at i * strides[0] + k * strides[1]
    b : panels from b[at] on, `panel` elements from one to the next and `stride` from row to row
    depth : units of the inner dimension
    """
    width = (columns + NR - 1) // NR * NR
    for j in range(0, columns, NR):
        for i in range(0, rows, MR):
            micro_kernel(
                a,
                i * strides[0],
                strides[0],
                strides[1],
                b,
                at + j // NR * panel,
                stride,
                c,
                i * width + j,
                width,
                depth,
                add,
            )


@part
def _few_rows_kernel(
    a: np.ndarray, rows: int, b: np.ndarray, at: int, c: np.ndarray, columns: int, depth: int, add: int
) -> None:
    """C (rows, columns) <- A B, or C + A B, for packed rows A and rows of B as they lie, `columns` long."""
    for j in range(0, columns, FLAT_NR):
        for i in range(0, rows, FLAT_MR):
            flat_kernel(
                a,
                i * ROW_STRIDE,
                ROW_STRIDE,
                ONE,
                b,
                at + j,
                columns,
                c,
                i * columns + j,
                columns,
                depth,
                add,
            )


@part
def store_rows(c: np.ndarray, rows: tuple[int, int], out: np.ndarray) -> None:
    """`rows` of out (M, N) <- the block C."""
    kind = out.dtype.type
    count, columns = rows[1] - rows[0], out.shape[1]
    width = (columns + NR - 1) // NR * NR
    for r in range(count):
        row, target = vector_at(c, r * width, columns), vector_at(out, (rows[0] + r) * columns, columns)
        for j in range(columns):
            target[j] = kind(row[j])


@part
def _normalize_product(
    c: np.ndarray,
    center: np.ndarray,
    scale: np.ndarray,
    rows: tuple[int, int],
    sums: np.ndarray,
    add: bool,
    out: np.ndarray,
) -> None:
    """Rows of out <- or += scale_i * (c_i - center_i * sums)."""
    columns = out.shape[1]
    for r in range(rows[1] - rows[0]):
        row, target = vector_at(c, r * sums.size, columns), vector_at(out, (rows[0] + r) * columns, columns)
        m, s = center[rows[0] + r], scale[rows[0] + r]
        for j in range(columns):
            value = s * (row[j] - m * sums[j])
            target[j] = target[j] + value if add else value


@part
def _joins(block: int, more: bool) -> int:
    """Return what a block of the inner dimension does with C; more : C holds another channel's product.

    Channels of an image go on from each other like blocks, so that images and their normalised rows give the same bits.
    """
    if block >= LONG:
        return ADD
    return GO_ON if block > 0 or more else REPLACE


@part
def multiply_rows(
    x: np.ndarray,
    index: np.ndarray,
    center: Maybe,
    scale: Maybe,
    rows: tuple[int, int],
    b: np.ndarray,
    at: int,
    stride: int,
    sums: Maybe,
    a: np.ndarray,
    c: np.ndarray,
    out: np.ndarray,
) -> None:
    """Rows (at most mc) of out (N, H) <- X B, for X = (x[index] - center) * scale, normalised by channel.

    x : (M, K) float32 or uint8; index : (N,), or empty; center, scale : (C, N), a row a channel, or None
    b : from b[at] on, with stride nr: packed panels, each channel by itself; with stride H, a multiple of nr: rows of a
        float32 matrix as they lie
    sums : (C, H padded to nr) column sums of B by channel, for images that are multiplied as they are:
        sum_k s (x_k - m) B_kj = s (sum_k x_k B_kj - m sum_k B_kj)
    """
    per = per_unit(b)
    channels = 1 if center is None else center.shape[0]
    depth = x.shape[1] // channels
    channel_units = units_of(depth, b)
    panel = channels * channel_units * NR if stride == NR else NR
    columns = out.shape[1]
    count = rows[1] - rows[0]
    for channel in range(channels):
        end = (channel + 1) * depth
        for k in range(channel * depth, end, KC * per):
            inner = (k, min(k + KC * per, end))
            pack_rows(x, index, item(center, channel), item(scale, channel), rows, inner, a, ROW_STRIDE)
            first = channel * channel_units + (k - channel * depth) // per
            add = _joins((k - channel * depth) // (KC * per), channel > 0 and sums is None)
            if stride != NR and count <= MR // 2 and columns % FLAT_NR == 0:
                _few_rows_kernel(a, count, b, at + first * stride, c, columns, inner[1] - inner[0], add)
            else:
                macro_kernel(
                    a,
                    (ROW_STRIDE, ONE),
                    count,
                    b,
                    at + first * stride,
                    panel,
                    stride,
                    c,
                    columns,
                    units_of(inner[1] - inner[0], b),
                    add,
                )
        if sums is not None:
            _normalize_product(
                c, item(center, channel), item(scale, channel), rows, row_at(sums, channel), channel > 0, out
            )
    if sums is None:
        store_rows(c, rows, out)
