"""Products of uint8 images with a rounded operand, summed in int32: the loops, and what they stand for.

With w_kj near q_j W_kj and s_i d_ij near r_j E_ij, where W and E are integers from -127 to 127 (see `quads`), and an
image normalised by its mean m_i and inverse deviation s_i, channel by channel:

    sum_k s_i (x_ik - m_i) w_kj  ~  s_i q_j (sum_k x_ik W_kj - m_i sum_k W_kj)
    sum_i s_i (x_ik - m_i) d_ij  ~  r_j (sum_i x_ik E_ij - sum_i m_i E_ij)

The sums over pixels are exact integers; float32 holds them to 2^-24 of their size. What remains is the rounding of
W and E: at most half a step each, q_j / 2 = max_k |w_kj| / 254, so that, with z the normalised image,
whose mean square is 1,

    |error of the sum over k|  <=  |z_i|_1 q_j / 2  <=  K max_k |w_kj| / 254,

and, as the roundings of different pixels have random signs, about sqrt(K / 12) q_j as a rule. This is the scheme of
gemmlowp (Jacob et al., CVPR 2018, arXiv:1712.05877) with steps by column and without an offset, since the pixels bring
their own; the sums are those of VNNI's `vpdpbusd`.

A ReLU layer's outputs h_ik are not negative: in steps t_i of a 255th of row i's largest they are bytes X_ik, and the
same formulas hold with m_i = 0 and s_i = t_i, but for an error of half a step, t_i / 2, in each h_ik.

Rounding to the nearest has the same error again as long as a weight does not move; that of stochastic rounding (Gupta
et al., ICML 2015, arXiv:1502.02551) is zero on average, but sqrt(2) times as large. It was tried and gained nothing:
the weights that take the steps stay float32, so that small steps are not lost.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._target import amx_int8
from fastmlp_kernels._views import row_at, vector_at
from fastmlp_kernels.gemm.blocks import COLUMN_STRIDE, KC, ROW_STRIDE, macro_kernel, padded, units_of
from fastmlp_kernels.gemm.pack import NR, ONE, Maybe
from fastmlp_kernels.gemm.quads import EXACT_DEPTH, QUAD, copy_rows, weave_columns
from fastmlp_kernels.gemm.tiles import SIDE, multiply_tiles, multiply_turned_tiles, turn_panel, turned_stride

# Rows of B, a whole number of blocks, after which a 32-bit sum is moved on to float32.
SPAN = EXACT_DEPTH // (KC * QUAD) * KC * QUAD


class Quads(NamedTuple):
    """A right operand of bytes (K, N), packed, or several in one, each in panels of its own.

    packed : uint32 panels, as for `macro_kernel`, `panel` elements from one to the next
    turned : with AMX, for products with woven columns, the same turned, see `tiles`; else, and for others, empty
    """

    packed: np.ndarray
    panel: int
    turned: np.ndarray
    stride: int


def quads(depth: int, columns: int, *, woven: bool = False) -> Quads:
    """Return room for a right operand of this size; `woven`: for products with woven columns."""
    units, width = -(-depth // QUAD), padded(columns, NR)
    stride = turned_stride(units) if woven and amx_int8() else 0
    return Quads(
        packed=aligned_zeros(units * width, np.uint32),
        panel=units * NR,
        turned=aligned_zeros(stride * width, np.uint32),
        stride=stride,
    )


@part
def turn_rows(b: Quads, at: int, first: int, units: int, columns: int) -> None:
    """Keep `turned` in step with `units` of each panel from unit `first` on; at : where the part begins in `packed`."""
    if b.turned.size > 0:
        for j in range(0, columns, NR):
            panel = at + j // NR * b.panel + first * NR
            turn_panel(b.packed, panel, units, b.turned, (at // b.panel * NR + j) * b.stride + first, b.stride)


@part
def _rows_in_vectors(
    a: np.ndarray, rows: int, b: np.ndarray, at: int, panel: int, c: np.ndarray, columns: int, depth: int, add: bool
) -> None:
    """C <- A B, or C + A B, for packed rows of bytes A and panels b; see `macro_kernel`."""
    macro_kernel(a, (ROW_STRIDE, ONE), rows, b, at, panel, NR, c, columns, depth, add)


@part
def _rows_in_tiles(
    a: np.ndarray, rows: int, b: np.ndarray, at: int, panel: int, c: np.ndarray, columns: int, depth: int, add: bool
) -> None:
    """`_rows_in_vectors`, but what makes whole tiles."""
    whole = depth // SIDE * SIDE
    if whole > 0:
        multiply_tiles(a, rows, b, at, panel, c, columns, whole, add)
    if whole < depth:
        rest, first = vector_at(a, whole, a.size - whole), at + whole * NR
        macro_kernel(rest, (ROW_STRIDE, ONE), rows, b, first, panel, NR, c, columns, depth - whole, add or whole > 0)


def multiply_rows_of_bytes(
    a: np.ndarray, rows: int, b: np.ndarray, at: int, panel: int, c: np.ndarray, columns: int, depth: int, add: bool
) -> None:
    """C <- A B, or C + A B, in tiles where the system grants them; exists only compiled, see `_rows_in_vectors`."""
    raise TypeError("products of bytes can only be called from compiled code")


@overload(multiply_rows_of_bytes, jit_options=PART)
def _overload_rows_of_bytes(a, rows, b, at, panel, c, columns, depth, add):
    product = _rows_in_tiles if amx_int8() else _rows_in_vectors
    return lambda a, rows, b, at, panel, c, columns, depth, add: product(a, rows, b, at, panel, c, columns, depth, add)


@part
def _columns_in_vectors(
    a: np.ndarray, rows: int, b: Quads, at: int, first: int, c: np.ndarray, columns: int, depth: int, add: bool
) -> None:
    """C <- A B, or C + A B, for woven columns A, and rows of b from unit `first` of the part that begins at `at`."""
    macro_kernel(
        a, (ONE, COLUMN_STRIDE), rows, b.packed, at + first * NR, b.panel, NR, c, columns, depth, add
    )  # fmt: skip


@part
def _columns_in_tiles(
    a: np.ndarray, rows: int, b: Quads, at: int, first: int, c: np.ndarray, columns: int, depth: int, add: bool
) -> None:
    """`_columns_in_vectors`, but what makes whole tiles."""
    whole = depth // SIDE * SIDE
    if whole > 0:
        turned = at // b.panel * NR * b.stride + first
        multiply_turned_tiles(b.turned, turned, b.stride, a, rows, c, columns, whole, add)
    if whole < depth:
        past = whole * COLUMN_STRIDE
        rest, start = vector_at(a, past, a.size - past), at + (first + whole) * NR
        macro_kernel(
            rest, (ONE, COLUMN_STRIDE), rows, b.packed, start, b.panel, NR, c, columns, depth - whole, add or whole > 0
        )  # fmt: skip


def multiply_columns_of_bytes(
    a: np.ndarray, rows: int, b: Quads, at: int, first: int, c: np.ndarray, columns: int, depth: int, add: bool
) -> None:
    """C <- A B, or C + A B, in tiles where the system grants them; exists only compiled, see `_columns_in_vectors`."""
    raise TypeError("products of bytes can only be called from compiled code")


@overload(multiply_columns_of_bytes, jit_options=PART)
def _overload_columns_of_bytes(a, rows, b, at, first, c, columns, depth, add):
    product = _columns_in_tiles if amx_int8() else _columns_in_vectors
    return lambda a, rows, b, at, first, c, columns, depth, add: product(a, rows, b, at, first, c, columns, depth, add)


@part
def add_scaled(
    c: np.ndarray,
    rows: tuple[int, int],
    center: Maybe,
    scale: Maybe,
    steps: Maybe,
    sums: Maybe,
    add: bool,
    out: np.ndarray,
) -> None:
    """Rows of out <- or += scale_i * steps_j * (c_ij - center_i * sums_j); what is None is left out."""
    columns = out.shape[1]
    count, width = rows[1] - rows[0], (columns + NR - 1) // NR * NR
    for r in range(count):
        row, target = vector_at(c, r * width, columns), vector_at(out, (rows[0] + r) * columns, columns)
        m, s = np.float32(0), np.float32(1)
        if center is not None:
            m = center[rows[0] + r]
        if scale is not None:
            s = scale[rows[0] + r]
        for j in range(columns):
            value = np.float32(row[j])
            if sums is not None:
                value -= m * sums[j]
            if steps is not None:
                value *= s * steps[j]
            target[j] = target[j] + value if add else value


@part
def multiply_images(
    x: np.ndarray,
    index: np.ndarray,
    center: np.ndarray,
    scale: np.ndarray,
    rows: tuple[int, int],
    b: np.ndarray,
    steps: np.ndarray,
    sums: np.ndarray,
    a: np.ndarray,
    c: np.ndarray,
    out: np.ndarray,
) -> None:
    """Rows (at most mc) of out (N, H) <- (x[index] - center) * scale times the rounded right operand.

    x : (M, K) uint8; center, scale : (C, N), a row a channel
    b : packed panels, each channel by itself; steps : (H,); sums : (C, H padded to nr) column sums of b, by channel
    a : uint32, c : int32 work arrays
    """
    channels, count, columns = center.shape[0], rows[1] - rows[0], out.shape[1]
    depth = x.shape[1] // channels
    units = units_of(depth, b)
    for channel in range(channels):
        first = channel * depth
        for k in range(0, depth, KC * QUAD):
            inner = (k, min(k + KC * QUAD, depth))
            copy_rows(x, index, rows, (first + inner[0], first + inner[1]), a, ROW_STRIDE)
            at = (channel * units + k // QUAD) * NR
            panel = channels * units * NR
            deep = units_of(inner[1] - inner[0], b)
            multiply_rows_of_bytes(a, count, b, at, panel, c, columns, deep, k % SPAN > 0)
            if inner[1] == depth:
                add = channel > 0 or k >= SPAN
                add_scaled(
                    c, rows, row_at(center, channel), row_at(scale, channel), steps, row_at(sums, channel), add, out
                )
            elif inner[1] % SPAN == 0:
                add_scaled(c, rows, None, row_at(scale, channel), steps, None, channel > 0 or k >= SPAN, out)


@part
def multiply_woven_columns(
    x: np.ndarray,
    index: np.ndarray,
    columns: tuple[int, int],
    n: int,
    b: Quads,
    at: int,
    width: int,
    a: np.ndarray,
    c: np.ndarray,
) -> None:
    """C <- `columns` (at most mc) of x[index], turned, times a part of B (N, width), for N of at most EXACT_DEPTH."""
    for k in range(0, n, KC * QUAD):
        inner = (k, min(k + KC * QUAD, n))
        weave_columns(x, index, columns, inner, a, COLUMN_STRIDE)
        deep = units_of(inner[1] - inner[0], b.packed)
        multiply_columns_of_bytes(a, columns[1] - columns[0], b, at, k // QUAD, c, width, deep, k > 0)
