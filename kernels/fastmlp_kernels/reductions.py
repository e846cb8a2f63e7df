"""Sum and mean of float32 and float64 arrays, as accurate as memory is fast.

Blocks are summed in float64, in vector lanes; the blocks' sums are added with Knuth's TwoSum, which keeps what each
addition rounds off (T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM Journal on Scientific
Computing 26 (2005)). No element goes through more than some fifty roundings, however many there are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._columns import RUN, sum_down
from fastmlp_kernels._jit import kernel, part, reduction
from fastmlp_kernels._views import vector_at

# 32 additions in each of 32 lanes; the addition of a block's sum is nothing beside them
BLOCK = 1024


@reduction
def _sum_of_block(block: np.ndarray) -> float:
    total = np.float64(0)
    for i in range(block.size):
        total += np.float64(block[i])
    return total


@part
def exact_sum(row: np.ndarray) -> float:
    """Return the float64 sum of a row (K,), float32 or float64, to fifty roundings."""
    total, lost = np.float64(0), np.float64(0)
    for start in range(0, row.size, BLOCK):
        more = _sum_of_block(vector_at(row, start, min(BLOCK, row.size - start)))
        new = total + more
        added = new - total
        lost += (total - (new - added)) + (more - added)
        total = new
    return total + lost if np.isfinite(total) else total  # what infinity "lost" is NaN


@kernel
def _accurate_sum(x: np.ndarray, out: np.ndarray) -> None:
    for i in range(x.shape[0]):
        out[i] = out.dtype.type(exact_sum(vector_at(x, i * x.shape[1], x.shape[1])))


@kernel
def _accurate_mean(x: np.ndarray, out: np.ndarray) -> None:
    for i in range(x.shape[0]):
        out[i] = out.dtype.type(exact_sum(vector_at(x, i * x.shape[1], x.shape[1])) / np.float64(x.shape[1]))


def _reduce(
    body: Callable[[np.ndarray, np.ndarray], None],
    x: np.ndarray,
    axis: int | None,
    out: np.ndarray | None,
    over: float | None,
) -> Any:
    """Reduce rows by a loop over them, or columns by `sum_down`; over : what the sums are divided by, None for K."""
    if axis is None:
        rows = _check.of_rows("x", x)
        if out is not None:
            raise ValueError("out is for an axis: with axis=None the result is returned as a float")
        whole = np.empty(1)
        body(rows.reshape(1, -1), whole)
        return float(whole[0])
    outer, length, inner = _check.along("x", x, axis)
    result = _check.result(out, _check.without(x.shape, axis), x)
    if inner == 1:
        body(x.reshape(outer, length), _check.flat(result))
    else:
        work = np.empty(3 * RUN)
        sum_down(_check.flat(x), _check.flat(result), outer, length, inner, float(over or length), work)
    return result if out is not None or result.ndim else result[()]


def accurate_sum(x: np.ndarray, axis: int | None = None, out: np.ndarray | None = None) -> Any:
    """Sum of all elements (axis None, as a float of 64 bits) or along an axis (in the dtype of x).

    x : (...) of any number of dimensions but none, float32 or float64, C-contiguous, with an element along the axis
    axis : from the front, or if negative from the end
    out : of x's shape without the axis, and of its dtype, where there is an axis; may not overlap x. None makes a new
        array; what is returned is `out`

    The error is at most 50 * 2**-53 * sum(|x|), beside the rounding to float32 where the result is one; |x| that sum
    to more than float64 holds overflow. Raises TypeError or ValueError naming the argument at fault.
    """
    return _reduce(_accurate_sum, x, axis, out, 1)


def accurate_mean(x: np.ndarray, axis: int | None = None, out: np.ndarray | None = None) -> Any:
    """Mean of all elements (axis None, as a float of 64 bits) or along an axis (in the dtype of x).

    x : (...) of any number of dimensions but none, float32 or float64, C-contiguous, with an element along the axis
    axis : from the front, or if negative from the end
    out : of x's shape without the axis, and of its dtype, where there is an axis; may not overlap x. None makes a new
        array; what is returned is `out`

    The error is that of `accurate_sum` over the number of elements, and one rounding. Raises the same errors.
    """
    return _reduce(_accurate_mean, x, axis, out, None)
