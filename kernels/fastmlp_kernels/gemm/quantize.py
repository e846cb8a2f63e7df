"""Quantisation: operands as integers of 8 bits times a step, and what products of them stand for.

The right operand is float32, and each of its columns is divided by a step of its own and rounded to the nearest
integer, ties to even: with peak_j the largest magnitude of column j, its step is peak_j / 127, and no rounded value
exceeds 127. Signed bytes are kept as their two's complement, four neighbours along the inner dimension in one uint32.
Where a column holds NaN or infinity, so does its peak, and its step: what is scaled by it is not finite.

With w_kj near q_j W_kj and s_i d_ij near r_j E_ij, where W and E are these integers, and an image normalised by its
mean m_i and inverse deviation s_i, channel by channel:

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

import numpy as np

from fastmlp_kernels._jit import part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import row_at, vector_at
from fastmlp_kernels.gemm.elements import BRIGHTEST
from fastmlp_kernels.gemm.pack import moment
from fastmlp_kernels.gemm.panels import NR, Maybe, Panels
from fastmlp_kernels.gemm.quad_runs import round_four_runs

QUAD = 4
# The largest magnitude of a rounded value, the same on both sides of zero.
MOST = 127
# 2^23: a float32 below it that is added to it is rounded to an integer, which are the lowest bits of the sum.
ROUNDER = 8388608.0
# Columns below this count as zero: 127 divided by much less is infinite.
LEAST_PEAK = 1e-30


@part
def _scale_of(scale: Maybe, k: int, last: int) -> np.float32:
    """Return the factor of row k: scale[k], 1 without a scale, and 0 behind the last row."""
    return np.float32(0) if k > last else moment(scale, k, 0, np.float32(1))


@part
def quantize_panels(rows: Rows, inverse: np.ndarray, inner: tuple[int, int], b: Panels, first: int) -> None:
    """Pack rows `inner` of a right operand (K, N), times their scale, as bytes, from unit `first` of b on.

    rows : all of x float32, center None, scale (K, 1) or None; inverse : (N,) 127 / peak. A last unit that is not full
    gets zeros; columns beyond N are left as they are.
    """
    n, last, scale = rows.x.shape[1], inner[1] - 1, rows.scale
    flat = vector_at(rows.x, 0, rows.x.size)
    to = b.at + first * NR
    for column in range(0, n, NR):
        count = min(NR, n - column)
        at = to
        for k in range(inner[0], inner[1], QUAD):
            round_four_runs(
                flat,
                k * n + column,
                _scale_of(scale, k, last),
                min(k + 1, last) * n + column,
                _scale_of(scale, k + 1, last),
                min(k + 2, last) * n + column,
                _scale_of(scale, k + 2, last),
                min(k + 3, last) * n + column,
                _scale_of(scale, k + 3, last),
                inverse,
                column,
                b.array,
                at,
                count,
            )
            at += NR
        to += b.panel


@part
def quantize_rows(x: np.ndarray, out: np.ndarray, steps: np.ndarray) -> None:
    """out (N, D) uint8 <- the rows of x (N, D) float32, >= 0, each in steps (N,) float32 of a 255th of its largest."""
    for r in range(x.shape[0]):
        row, target = row_at(x, r), row_at(out, r)
        top = np.int32(0)
        for j in range(row.size):
            # by bits, as in `raise_peaks`; without the sign, which a NaN may have
            top = max(top, np.float32(row[j]).view(np.int32) & np.int32(0x7FFFFFFF))
        peak = np.int32(top).view(np.float32)
        zero = peak < np.float32(LEAST_PEAK)
        steps[r] = np.float32(0) if zero else peak / np.float32(BRIGHTEST)
        inverse = np.float32(0) if zero else np.float32(BRIGHTEST) / peak
        for j in range(row.size):
            bits = np.float32(row[j] * inverse + np.float32(ROUNDER)).view(np.int32)
            target[j] = np.uint8(bits & np.int32(0xFF))


@part
def raise_peaks(x: np.ndarray, scale: Maybe, peaks: np.ndarray) -> None:
    """Raise peaks (N,) to the largest magnitudes of x (K, N), each row times its scale, as the bits of a float32.

    scale : (K,) or None. By bits, because integers are compared in vector lanes and a NaN, larger than infinity, is
    never passed over.
    """
    for r in range(x.shape[0]):
        row = row_at(x, r)
        s = np.float32(1) if scale is None else scale[r]
        for j in range(row.size):
            bits = np.float32(row[j] * s).view(np.int32) & np.int32(0x7FFFFFFF)
            peaks[j] = max(peaks[j], bits)


@part
def set_steps(peaks: np.ndarray, steps: np.ndarray, inverse: np.ndarray) -> None:
    """Set steps <- peak / 127 and inverse <- 127 / peak, both zero for a column that is zero; peaks (N,) are bits."""
    for j in range(peaks.size):
        peak = np.int32(peaks[j]).view(np.float32)
        zero = peak < np.float32(LEAST_PEAK)
        steps[j] = np.float32(0) if zero else peak / np.float32(MOST)
        inverse[j] = np.float32(0) if zero else np.float32(MOST) / peak
