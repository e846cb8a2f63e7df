"""softmax, log_softmax and logsumexp along the last axis, in float32 and float64.

A row's largest element is subtracted, so that no exponential overflows. Its own exponential, which is 1, stays out of
the sum of the others, and the logarithm is log1p of that sum: where one element dominates, the others' share is kept
however small it is. See P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax
functions", IMA Journal of Numerical Analysis 41 (2021).
"""

from typing import Any

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._exponentials import PIECE
from fastmlp_kernels._jit import kernel, part, reduction
from fastmlp_kernels._scratch import work_array
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.elementary import exp1, key_of, value_of_key
from fastmlp_kernels.loss import softmax_of_rows


@part
def _shift_of(row: np.ndarray) -> Any:
    """Return what is subtracted from a row (K,) before its exponentials are taken: its largest element.

    It is 0 where that is infinite or NaN, so that x - shift still is, and the result becomes what it must be.
    """
    top = key_of(row[0])
    for k in range(row.size):
        key = key_of(row[k])
        top = key if key > top else top
    largest = value_of_key(top)
    return largest if np.isfinite(largest) else row.dtype.type(0)


@part
def _exponentials(row: np.ndarray, shift: float, e: np.ndarray) -> None:
    for k in range(row.size):
        e[k] = exp1(row[k] - shift)


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
def _log_sum(row: np.ndarray, shift: float, e: np.ndarray) -> float:
    """Return log(sum(exp(row - shift))) of a row (K,) in float64, for the shift of `_shift_of`; e (PIECE,) is work."""
    ones, others = np.float64(0), np.float64(0)
    for start in range(0, row.size, PIECE):
        piece = vector_at(row, start, min(PIECE, row.size - start))
        exponentials = vector_at(e, 0, piece.size)
        _exponentials(piece, shift, exponentials)
        count, more = _others(exponentials)
        ones += np.float64(piece.size) - np.float64(count)
        others += np.float64(more)
    return np.log1p(others + (ones - 1.0))  # all -inf: there is no one, and the logarithm of 0 is -inf


@kernel
def _logsumexp(x: np.ndarray, out: np.ndarray) -> None:
    e = work_array(x, PIECE)
    for i in range(x.shape[0]):
        row = vector_at(x, i * x.shape[1], x.shape[1])
        shift = _shift_of(row)
        out[i] = x.dtype.type(np.float64(shift) + _log_sum(row, shift, e))


@kernel
def _log_softmax(x: np.ndarray, out: np.ndarray) -> None:
    e = work_array(x, PIECE)
    for i in range(x.shape[0]):
        row, result = vector_at(x, i * x.shape[1], x.shape[1]), vector_at(out, i * x.shape[1], x.shape[1])
        shift = _shift_of(row)
        log = x.dtype.type(_log_sum(row, shift, e))
        for k in range(row.size):
            result[k] = (row[k] - shift) - log


@kernel
def _softmax(x: np.ndarray, out: np.ndarray) -> None:
    softmax_of_rows(x, None, out)


def softmax(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Softmax exp(x) / sum(exp(x)) along the last axis; returns `out`, or a new array where it is None.

    x : (..., K) float32 or float64, C-contiguous, K > 0
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise

    A row that has a NaN or +inf, or -inf alone, becomes NaN.
    Raises TypeError or ValueError naming the argument at fault.
    """
    rows = _check.of_rows("x", x)
    out = _check.result(out, x.shape, x, in_place=True)
    _softmax(rows, out.reshape(rows.shape))
    return out


def log_softmax(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Logarithm of the softmax, x - log(sum(exp(x))), along the last axis; returns `out`, or a new array.

    x : (..., K) float32 or float64, C-contiguous, K > 0
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise

    The logarithm of a probability near 1 keeps its precision: that of the first of (0, -40) is -exp(-40) in float64.
    A row that has a NaN, or -inf alone, becomes NaN; beside a +inf, which becomes NaN, all others become -inf.
    Raises TypeError or ValueError naming the argument at fault.
    """
    rows = _check.of_rows("x", x)
    out = _check.result(out, x.shape, x, in_place=True)
    _log_softmax(rows, out.reshape(rows.shape))
    return out


def logsumexp(x: np.ndarray, out: np.ndarray | None = None) -> Any:
    """log(sum(exp(x))) along the last axis; returns `out`, or a new array (a scalar for one row) where it is None.

    x : (..., K) float32 or float64, C-contiguous, K > 0
    out : (...) of the same dtype; may not overlap x

    The smaller terms keep their share: of (0, -40) the result is exp(-40) in float64. A row with a NaN gives NaN, one
    of -inf alone -inf, one with +inf and no NaN +inf.
    Raises TypeError or ValueError naming the argument at fault.
    """
    rows = _check.of_rows("x", x)
    result = _check.result(out, x.shape[:-1], x)
    _logsumexp(rows, result.reshape(-1))
    return result if out is not None or result.ndim else result[()]
