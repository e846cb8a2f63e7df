"""softmax, log_softmax and logsumexp along an axis, in float32 and float64: here the last one, in `_columns` others.

A row's largest element is subtracted, so that no exponential overflows. Its own exponential, which is 1, stays out of
the sum of the others, and the logarithm is log1p of that sum: where one element dominates, the others' share is kept
however small it is. See P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax
functions", IMA Journal of Numerical Analysis 41 (2021).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._columns import log_softmax_down, logsumexp_down, softmax_down
from fastmlp_kernels._exponentials import BLOCK, PIECE, are_finite, exponentials, keep_larger
from fastmlp_kernels._jit import kernel, part, reduction
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._transpose import transpose
from fastmlp_kernels._views import matrix_at, vector_at
from fastmlp_kernels.elementary import key_of, log1p1, value_of_key
from fastmlp_kernels.loss import softmax_of_rows

# Up to so many elements rows are turned, so that vectors lie across rows: their ends take longer than the work. And how
# many elements are turned at once: with their exponentials, half of an L1 cache in float32.
SHORT, TURNED = 24, 2048


@part
def _largest(row: np.ndarray) -> Any:
    """Return the largest element of a row (K,), which is subtracted before exponentials are taken; NaN if one is."""
    top = key_of(row[0])
    for k in range(row.size):
        key = key_of(row[k])
        top = key if key > top else top
    return value_of_key(top)


@part
def _shifted(row: np.ndarray, shift: float, out: np.ndarray) -> None:
    for k in range(row.size):
        out[k] = row[k] - shift


@reduction
def _others(e: np.ndarray) -> tuple[float, float]:
    """Return how many of the exponentials e (W,) are not exactly 1, NaN among them, and the sum of these."""
    t = e.dtype.type
    count, total = t(0), t(0)
    for k in range(e.size):
        other = t(e[k] != t(1))  # multiplied rather than branched on: the loop stays in vector lanes
        count += other
        total += e[k] * other
    return count, total


@part
def _less_one(row: np.ndarray, shift: float, e: np.ndarray) -> float:
    """Return sum(exp(row - shift)) - 1 of a long row (K,), whose largest element is `shift`; e (PIECE,) is work."""
    ones, others = np.float64(0), np.float64(0)
    for start in range(0, row.size, PIECE):
        piece = vector_at(row, start, min(PIECE, row.size - start))
        own = vector_at(e, 0, piece.size)
        _shifted(piece, shift, own)
        exponentials(own)
        count, more = _others(own)
        ones += np.float64(piece.size) - np.float64(count)
        others += np.float64(more)
    return others + (ones - 1.0)


@part
def _sum_less_one(row: np.ndarray, largest: float) -> Any:
    """Return sum(exp(row)) - 1 of a row (K,) whose largest element is not finite, which a negative NaN lies below."""
    t = row.dtype.type
    total = t(-1) if largest == -np.inf else t(largest)
    for k in range(row.size):
        total += row[k] * t(0) if row[k] != row[k] else t(0)
    return total


@part
def _block_of(x: np.ndarray) -> int:
    """Return how many rows of x (N, K) share a block of exponentials, with two numbers of each; 1 for long ones."""
    return max(1, BLOCK // (x.shape[1] + 2)) if x.shape[1] <= PIECE else 1


@part
def _shifts_and_sums(x: np.ndarray, memory: np.ndarray, shifts: np.ndarray, sums: np.ndarray) -> None:
    """shifts (N,) <- the largest elements of rows x (N, K), a block of them; sums (N,) <- sum(exp(row - shift)) - 1.

    Where a row's largest element is infinite or NaN, the shift is 0, and 1 + sum is 0, infinite or NaN.
    """
    t, (n, width) = x.dtype.type, x.shape
    for r in range(n):
        shifts[r] = _largest(vector_at(x, r * width, width))
    if width > PIECE:
        sums[0] = t(_less_one(vector_at(x, 0, width), shifts[0], memory))
    else:
        for r in range(n):
            _shifted(vector_at(x, r * width, width), shifts[r], vector_at(memory, r * width, width))
        exponentials(vector_at(memory, 0, n * width))  # of all rows as one, so that vectors are full whatever K is
        for r in range(n):
            count, others = _others(vector_at(memory, r * width, width))
            sums[r] = others + ((t(width) - count) - t(1))
    if not are_finite(shifts):
        for r in range(n):
            if not np.isfinite(shifts[r]):
                sums[r] = _sum_less_one(vector_at(x, r * width, width), shifts[r])
                shifts[r] = t(0)


@part
def _of_block(x: np.ndarray, start: int, rows: int, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `_shifts_and_sums` of at most `rows` rows of x from `start` on; memory (SIZE,) is work, and holds them."""
    count, width = min(rows, x.shape[0] - start), x.shape[1]
    shifts, sums = vector_at(memory, BLOCK, count), vector_at(memory, BLOCK + rows, count)
    _shifts_and_sums(matrix_at(x, start * width, count, width), memory, shifts, sums)
    return shifts, sums


@kernel
def _logsumexp(x: np.ndarray, out: np.ndarray) -> None:
    rows, memory = _block_of(x), work_array(x, SIZE)
    for start in range(0, x.shape[0], rows):
        shifts, sums = _of_block(x, start, rows, memory)
        result = vector_at(out, start, sums.size)
        for r in range(result.size):
            result[r] = x.dtype.type(np.float64(shifts[r]) + log1p1(np.float64(sums[r])))


@part
def _shift_and_sum_turned(
    turned: np.ndarray, e: np.ndarray, shifts: np.ndarray, sums: np.ndarray, ones: np.ndarray
) -> None:
    """As `_shifts_and_sums`, of rows turned into columns of `turned` (flat), which are shifted, too.

    e, as large, and ones (N,) are work.
    """
    t, n = turned.dtype.type, shifts.size
    for r in range(n):
        shifts[r] = turned[r]
    for at in range(n, turned.size, n):
        keep_larger(shifts, vector_at(turned, at, n))
    for at in range(0, turned.size, n):
        column, own = vector_at(turned, at, n), vector_at(e, at, n)
        for r in range(n):
            column[r] -= shifts[r]
            own[r] = column[r]
    exponentials(e)
    for r in range(n):
        sums[r], ones[r] = t(0), t(-1)
    for at in range(0, turned.size, n):
        own = vector_at(e, at, n)
        for r in range(n):
            other = t(own[r] != t(1))
            sums[r] += own[r] * other
            ones[r] += t(1) - other
    for r in range(n):
        sums[r] += ones[r]


@part
def _log_softmax_turned(x: np.ndarray, out: np.ndarray) -> None:
    memory, width = work_array(x, SIZE), x.shape[1]
    most = TURNED // max(width, 2)
    for start in range(0, x.shape[0], most):
        n, at = min(most, x.shape[0] - start), start * width
        turned, e = vector_at(memory, 0, n * width), vector_at(memory, TURNED, n * width)
        shifts, sums = vector_at(memory, 2 * TURNED, n), vector_at(memory, 2 * TURNED + most, n)
        transpose(x, at, width, (n, width), turned, 0, n)
        _shift_and_sum_turned(turned, e, shifts, sums, vector_at(memory, 2 * TURNED + 2 * most, n))
        if not are_finite(shifts):
            for r in range(n):
                if not np.isfinite(shifts[r]):
                    row = vector_at(x, at + r * width, width)
                    sums[r] = _sum_less_one(row, shifts[r])
                    for k in range(width):
                        turned[k * n + r] = row[k]
        for r in range(n):
            sums[r] = log1p1(sums[r])
        for first in range(0, n * width, n):
            column = vector_at(turned, first, n)
            for r in range(n):
                column[r] -= sums[r]
        transpose(turned, 0, n, (width, n), out, at, width)


@kernel
def _log_softmax(x: np.ndarray, out: np.ndarray) -> None:
    if x.shape[1] <= SHORT:
        _log_softmax_turned(x, out)
        return
    rows, memory, width = _block_of(x), work_array(x, SIZE), x.shape[1]
    for start in range(0, x.shape[0], rows):
        shifts, sums = _of_block(x, start, rows, memory)
        for r in range(sums.size):
            sums[r] = log1p1(sums[r])
        for r in range(sums.size):
            at = (start + r) * width
            row, result, shift, log = vector_at(x, at, width), vector_at(out, at, width), shifts[r], sums[r]
            for k in range(width):
                result[k] = (row[k] - shift) - log


@kernel
def _softmax(x: np.ndarray, out: np.ndarray) -> None:
    softmax_of_rows(x, None, out)


def _fit(x: np.ndarray, out: np.ndarray, *, reduces: bool) -> bool:
    """Return whether x is rows (N, K), K > 0, and out has the shape of a result for these."""
    return x.ndim == 2 and x.shape[1] > 0 and out.shape == (x.shape[:1] if reduces else x.shape)


def _along(
    rows: Callable[..., None],
    down: Callable[..., None],
    x: np.ndarray,
    out: np.ndarray | None,
    axis: int,
    *,
    reduces: bool = False,
) -> np.ndarray:
    """Return `out`, or a new array, with what one of two loops makes of x along an axis.

    reduces : whether the result is without the axis
    """
    if type(axis) is int and axis == -1:  # as a rule; to ask about others takes a microsecond
        if out is not None and _check.are_usual(x, out) and _fit(x, out, reduces=reduces):
            rows(x, out)
            return out
        of_rows = _check.of_rows("x", x)
        result = _check.result(out, x.shape[:-1] if reduces else x.shape, x, in_place=not reduces)
        rows(of_rows, _check.flat(result) if reduces else _check.in_rows(result))
        return result
    outer, length, inner = _check.along("x", x, axis)
    result = _check.result(out, _check.without(x.shape, axis) if reduces else x.shape, x, in_place=not reduces)
    if inner == 1:
        rows(x.reshape(outer, length), _check.flat(result) if reduces else result.reshape(outer, length))
    else:
        down(_check.flat(x), _check.flat(result), outer, length, inner)
    return result


def softmax(x: np.ndarray, out: np.ndarray | None = None, axis: int = -1) -> np.ndarray:
    """Softmax exp(x) / sum(exp(x)) along an axis, the last if none is given; returns `out`, or a new array.

    x : (...) of any number of dimensions but none, float32 or float64, C-contiguous, with an element along the axis
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise
    axis : from the front, or if negative from the end; no array is turned for another one than the last

    What has a NaN or +inf, or -inf alone, along the axis becomes NaN there.
    Raises TypeError or ValueError naming the argument at fault.
    """
    return _along(_softmax, softmax_down, x, out, axis)


def log_softmax(x: np.ndarray, out: np.ndarray | None = None, axis: int = -1) -> np.ndarray:
    """Logarithm of the softmax, x - log(sum(exp(x))), along an axis; returns `out`, or a new array where it is None.

    x : (...) of any number of dimensions but none, float32 or float64, C-contiguous, with an element along the axis
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise
    axis : from the front, or if negative from the end

    The logarithm of a probability near 1 keeps its precision: that of the first of (0, -40) is -exp(-40) in float64.
    What has a NaN, or -inf alone, along the axis becomes NaN; beside a +inf, which becomes NaN, all others become -inf.
    Raises TypeError or ValueError naming the argument at fault.
    """
    return _along(_log_softmax, log_softmax_down, x, out, axis)


def logsumexp(x: np.ndarray, out: np.ndarray | None = None, axis: int = -1) -> Any:
    """log(sum(exp(x))) along an axis; returns `out`, or a new array (a scalar for one row) where it is None.

    x : (...) of any number of dimensions but none, float32 or float64, C-contiguous, with an element along the axis
    out : of x's shape without the axis, and of its dtype; may not overlap x
    axis : from the front, or if negative from the end

    The smaller terms keep their share: of (0, -40) the result is exp(-40) in float64. A NaN along the axis gives NaN,
    -inf alone -inf, +inf and no NaN +inf.
    Raises TypeError or ValueError naming the argument at fault.
    """
    result = _along(_logsumexp, logsumexp_down, x, out, axis, reduces=True)
    return result if out is not None or result.ndim else result[()]
