"""Packing for products of 8-bit integers: four neighbours along the inner dimension in one uint32, the first lowest.

The left operand is uint8 images, as they are: rows are copied, columns woven together from four rows. The right operand
is float32, and each of its columns is divided by a step of its own and rounded to the nearest integer, ties to even:
with peak_j the largest magnitude of column j, its step is peak_j / 127, and no rounded value exceeds 127. Signed bytes
are kept as their two's complement.

Where a column holds NaN or infinity, so does its peak, and its step: what is scaled by it is not finite.
"""

import numpy as np

from fastmlp_kernels._convert import prefetch
from fastmlp_kernels._jit import part
from fastmlp_kernels._views import no_index, row_at, vector_at
from fastmlp_kernels.gemm.pack import AHEAD, NR, ZERO, Maybe, row_of
from fastmlp_kernels.gemm.quad_runs import copy_run, round_four_runs, weave_run

QUAD = 4
# The largest magnitude of a rounded value, the same on both sides of zero.
MOST = 127
# The largest magnitude of any signed byte: whoever brings bytes of their own may bring -128.
LARGEST = 128
# The largest unsigned byte.
BRIGHTEST = 255
# 2^23: a float32 below it that is added to it is rounded to an integer, which are the lowest bits of the sum.
ROUNDER = 8388608.0
# A product of at most so many pairs cannot leave the range of a 32-bit sum: 255 * 128 * 65,793 < 2^31.
EXACT_DEPTH = (2**31 - 1) // (BRIGHTEST * LARGEST)
# Columns below this count as zero: 127 divided by much less is infinite.
LEAST_PEAK = 1e-30


@part
def copy_rows(
    x: np.ndarray, index: np.ndarray, rows: tuple[int, int], inner: tuple[int, int], out: np.ndarray, stride: int
) -> None:
    """Pack rows of uint8 x, the inner dimension along each row; the bytes after a row's last unit's are left as is."""
    first, count = inner[0], inner[1] - inner[0]
    for r in range(rows[0], rows[1]):
        if r + AHEAD < rows[1]:
            prefetch(x, row_of(index, r + AHEAD) * x.shape[1] + first, count)
        copy_run(x, row_of(index, r) * x.shape[1] + first, out, (r - rows[0]) * stride, count)


@part
def weave_columns(
    x: np.ndarray,
    index: np.ndarray,
    columns: tuple[int, int],
    inner: tuple[int, int],
    out: np.ndarray,
    stride: int,
) -> None:
    """Pack columns of bytes x, the inner dimension from row to row; the last unit repeats its last row."""
    width, last = x.shape[1], inner[1] - 1
    first, count = columns[0], columns[1] - columns[0]
    to = 0
    for k in range(inner[0], inner[1], QUAD):
        at = row_of(index, k) * width + first
        at2 = row_of(index, min(k + 1, last)) * width + first
        at3 = row_of(index, min(k + 2, last)) * width + first
        at4 = row_of(index, min(k + 3, last)) * width + first
        for ahead in range(AHEAD, AHEAD + QUAD):
            if k + ahead <= last:
                prefetch(x, row_of(index, k + ahead) * width + first, count)
        weave_run(x, at, at2, at3, at4, out, to, count)
        to += stride


@part
def pack_bytes(x: np.ndarray, columns: tuple[int, int], out: np.ndarray, to: int) -> None:
    """Pack one panel of the right operand x (K, N) int8; a last unit that is not full gets zeros."""
    depth = x.shape[0]
    units = (depth + QUAD - 1) // QUAD
    panel = vector_at(out, to, units * NR)
    weave_columns(x, no_index(), columns, (ZERO, depth), panel, NR)
    if depth % QUAD:
        kept = np.uint32((1 << 8 * (depth % QUAD)) - 1)
        for c in range((units - 1) * NR, units * NR):
            panel[c] &= kept


@part
def _scale_of(scale: Maybe, k: int, last: int) -> np.float32:
    """Return what row k is multiplied by, 0 behind the last one."""
    if k > last:
        return np.float32(0)
    return np.float32(1) if scale is None else scale[k]


@part
def round_panels(
    x: np.ndarray,
    scale: Maybe,
    inverse: np.ndarray,
    inner: tuple[int, int],
    out: np.ndarray,
    to: int,
    units: int,
) -> None:
    """Pack rows `inner` of the right operand x (K, N), rounded: out[to + (panel * units + unit) * nr + column].

    scale : (K,) for the rows, or None; inverse : (N,) 127 / peak. A last unit that is not full gets zeros; columns
    beyond N are left as they are.
    """
    n, last = x.shape[1], inner[1] - 1
    flat = vector_at(x, 0, x.size)
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
                out,
                at,
                count,
            )
            at += NR
        to += units * NR


@part
def round_rows(x: np.ndarray, out: np.ndarray, steps: np.ndarray) -> None:
    """Out (N, D) uint8 <- rows of x (N, D), none of it negative, in steps (N,) of a 255th of each one's largest."""
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

    By bits, because integers are compared in vector lanes and a NaN, larger than infinity, is never passed over.
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


@part
def add_weighted_sums(packed: np.ndarray, at: int, units: int, weight: np.ndarray, sums: np.ndarray) -> None:
    """Add to sums (nr,) the columns of one panel from packed[at] on, row k times weight[k]."""
    last = weight.size - 1
    for unit in range(units):
        k = unit * QUAD
        # where there is no such row, its byte is zero
        w, w2, w3, w4 = weight[k], weight[min(k + 1, last)], weight[min(k + 2, last)], weight[min(k + 3, last)]
        row = vector_at(packed, at + unit * NR, NR)
        for c in range(NR):
            bits = np.int32(row[c])
            sums[c] += (
                w * np.float32(np.int32(bits << np.int32(24)) >> np.int32(24))
                + w2 * np.float32(np.int32(bits << np.int32(16)) >> np.int32(24))
                + w3 * np.float32(np.int32(bits << np.int32(8)) >> np.int32(24))
                + w4 * np.float32(bits >> np.int32(24))
            )
