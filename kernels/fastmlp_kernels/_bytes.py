"""Products of uint8 images with a rounded operand, summed in int32: the loops, and what they stand for.

With w_kj near q_j W_kj and s_i d_ij near r_j E_ij, where W and E are integers from -127 to 127 (see `_quads`), and an
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
"""

import numpy as np

from fastmlp_kernels._blocks import COLUMN_STRIDE, KC, ROW_STRIDE, macro_kernel, units_of
from fastmlp_kernels._columns import Columns, end_columns
from fastmlp_kernels._jit import part
from fastmlp_kernels._pack import NR, ONE, ZERO, Maybe
from fastmlp_kernels._quads import EXACT_DEPTH, QUAD, copy_rows, weave_columns

# Rows of B, a whole number of blocks, after which a 32-bit sum is moved on to float32.
SPAN = max(EXACT_DEPTH // (KC * QUAD), 1) * KC * QUAD


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
    block, target = c[: count * width].reshape(count, width), out[rows[0] : rows[1]]
    for r in range(count):
        m, s = np.float32(0), np.float32(1)
        if center is not None:
            m = center[rows[0] + r]
        if scale is not None:
            s = scale[rows[0] + r]
        for j in range(columns):
            value = np.float32(block[r, j])
            if sums is not None:
                value -= m * sums[j]
            if steps is not None:
                value *= s * steps[j]
            target[r, j] = target[r, j] + value if add else value


@part
def multiply_images(
    x: np.ndarray,
    index: Maybe,
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
            macro_kernel(a, (ROW_STRIDE, ONE), count, b, at, panel, NR, c, columns, deep, k % SPAN > 0)
            if inner[1] == depth:
                add = channel > 0 or k >= SPAN
                add_scaled(c, rows, center[channel], scale[channel], steps, sums[channel], add, out)
            elif inner[1] % SPAN == 0:
                add_scaled(c, rows, None, scale[channel], steps, None, channel > 0 or k >= SPAN, out)


@part
def begin_woven_columns(
    x: np.ndarray,
    index: Maybe,
    columns: tuple[int, int],
    n: int,
    b: np.ndarray,
    at: int,
    panel: int,
    width: int,
    a: np.ndarray,
    c: np.ndarray,
) -> Columns:
    """`begin_columns` for uint8 images and packed bytes, for n of at most EXACT_DEPTH rows."""
    product = Columns(b, at, panel, ZERO, False)
    for k in range(0, n, KC * QUAD):
        end_columns(product, columns[1] - columns[0], width, a, c)
        inner = (k, min(k + KC * QUAD, n))
        weave_columns(x, index, columns, inner, a, COLUMN_STRIDE)
        product = Columns(b, at + k // QUAD * NR, panel, units_of(inner[1] - inner[0], b), k > 0)
    return product
