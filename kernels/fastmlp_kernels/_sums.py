"""Sums over many rows that do not drift.

One accumulator for millions of rows stops growing once a row is below its rounding. So the rows of a block are added in
pairs, and each block's sum takes with it what the addition of the one before rounded off (W. Kahan, "Further remarks on
reducing truncation errors", Communications of the ACM 8 (1965)). All of it runs in vector lanes across the columns, in
the arrays' own dtype; the error does not grow with the number of blocks.
"""

import numpy as np

from fastmlp_kernels._jit import part, reduction
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._views import fill, vector_at


@part
def add_up_rows(values: np.ndarray, rows: int, width: int) -> np.ndarray:
    """Return the sum (width,) of `rows` consecutive rows in the flat array `values`, which is overwritten."""
    while rows > 1:
        half = (rows + 1) // 2  # of an odd number the middle one is added in a later round
        lower, upper = vector_at(values, 0, half * width), vector_at(values, half * width, (rows - half) * width)
        for j in range(upper.size):
            lower[j] += upper[j]
        rows = half
    return vector_at(values, 0, width)


@part
def sum_rows(x: np.ndarray, work: np.ndarray) -> np.ndarray:
    """Return the sum (W,) of the rows of x (N, W), N > 0; work : flat, of x's dtype, room for half of these rows."""
    rows, width = x.shape
    if rows == 1:
        return vector_at(x, 0, width)
    half = (rows + 1) // 2
    lower, upper = vector_at(x, 0, half * width), vector_at(x, half * width, (rows - half) * width)
    for j in range(upper.size):
        work[j] = lower[j] + upper[j]
    for j in range(upper.size, lower.size):
        work[j] = lower[j]
    return add_up_rows(work, half, width)


@part
def begin_total(total: np.ndarray, excess: np.ndarray) -> None:
    """Begin a compensated sum of rows (W,): zero `total` (W,), and `excess` (W,), by which the total is too large."""
    fill(total, 0)
    fill(excess, 0)


@part
def add_to_total(total: np.ndarray, excess: np.ndarray, row: np.ndarray) -> None:
    """Add a row (W,) to a compensated sum."""
    for j in range(total.size):
        more = row[j] - excess[j]
        new = total[j] + more
        rounded_up = (new - total[j]) - more
        excess[j] = rounded_up if np.isfinite(rounded_up) else total.dtype.type(0)  # infinity less itself is NaN
        total[j] = new


@part
def sum_apart(values: np.ndarray, at: int, stride: int, rows: int, total: np.ndarray) -> None:
    """total (W,) <- the compensated sum of `rows` rows, row r of which begins at values.flat[at + r * stride]."""
    for first in range(0, total.size, SIZE):
        own = vector_at(total, first, min(SIZE, total.size - first))
        excess = vector_at(work_array(total, SIZE), 0, own.size)
        begin_total(own, excess)
        for r in range(rows):
            add_to_total(own, excess, vector_at(values, at + r * stride + first, own.size))


@reduction
def sum_of(x: np.ndarray) -> float:
    """Return the float64 sum of x (N,), float32 or float64."""
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i])
    return total


@reduction
def sum_of_squares(x: np.ndarray) -> float:
    """Return the float64 sum of the squares of x (N,), float32 or float64."""
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total
