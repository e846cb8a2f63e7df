"""softmax and its kin, and exact sums, along another axis than the last: down columns, without turning them into rows.

An array is three numbers here: `outer` matrices of `length` rows and `inner` columns, the rows being what is reduced.
Columns are taken in blocks that stay in cache from one pass over them to the next. The loops run along memory: over
some columns of a row, or, where rows are short, over several rows as one long run. Each place of the run then has its
own largest element and its own sums, of which those of one column are put together at the end. Sums are taken in groups
that are too small to drift, and these added up as in `_sums`.
"""

import numpy as np

from fastmlp_kernels._exponentials import are_finite, keep_larger
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._sums import add_to_total, add_up_rows, begin_total
from fastmlp_kernels._views import fill, vector_at
from fastmlp_kernels.elementary import exp_below1, log1p1

# Elements of a run, at most.
RUN = 512
# Columns of a block at least, as long as there are so many, and its elements at most, if they allow.
NARROW, BLOCK = 64, 65536
# Runs that are added up one by one.
GROUP = 32


@part
def _columns_of(length: int, inner: int) -> int:
    """Return how many columns are a block."""
    return max(1, inner) if inner <= RUN else min(RUN, max(NARROW, BLOCK // length))


@part
def _rows_of(length: int, inner: int) -> int:
    """Return how many rows are a run."""
    return min(length, RUN // inner) if 0 < inner < RUN else 1


@part
def _repeat(run: np.ndarray, width: int) -> None:
    """Give all rows of a run the values of its first one (width,)."""
    for at in range(width, run.size, width):
        row, first = vector_at(run, at, width), vector_at(run, 0, width)
        for j in range(width):
            row[j] = first[j]


@part
def _largest(x: np.ndarray, at: int, stride: int, length: int, tops: np.ndarray, rows: int) -> None:
    """tops (rows * width,) <- the largest element of each column, repeated; of a NaN the sum will be NaN anyhow."""
    width, run = tops.size // rows, vector_at(x, at, tops.size)
    for j in range(tops.size):
        tops[j] = run[j]
    for k in range(rows, length, rows):
        size = min(rows, length - k) * width
        keep_larger(vector_at(tops, 0, size), vector_at(x, at + k * stride, size))
    for start in range(width, tops.size, width):
        keep_larger(vector_at(tops, 0, width), vector_at(tops, start, width))
    _repeat(tops, width)


@part
def _exponentials(run: np.ndarray, tops: np.ndarray, out: np.ndarray, sums: np.ndarray) -> None:
    for j in range(run.size):
        e = exp_below1(run[j] - tops[j])
        out[j] = e
        sums[j] += e


@part
def _count_exponentials(run: np.ndarray, tops: np.ndarray, others: np.ndarray, ones: np.ndarray) -> None:
    """Add to `others` the exponentials that are not exactly 1, NaN among them, and to `ones` how many are 1."""
    t = run.dtype.type
    for j in range(run.size):
        e = exp_below1(run[j] - tops[j])
        other = t(e != t(1))
        others[j] += e * other
        ones[j] += t(1) - other


@kernel
def softmax_down(x: np.ndarray, out: np.ndarray, outer: int, length: int, inner: int) -> None:
    """out <- softmax of x, both flat, of one float dtype; out may be x."""
    block, rows = _columns_of(length, inner), _rows_of(length, inner)
    memory = work_array(x, SIZE)
    for o in range(outer):
        for first in range(0, inner, block):
            width = min(block, inner - first)
            at = o * length * inner + first
            tops, sums = vector_at(memory, 0, rows * width), vector_at(memory, RUN, rows * width)
            total, excess = vector_at(memory, 2 * RUN, width), vector_at(memory, 3 * RUN, width)
            _largest(x, at, inner, length, tops, rows)
            begin_total(total, excess)
            for group in range(0, length, GROUP * rows):
                fill(sums, 0)
                for k in range(group, min(group + GROUP * rows, length), rows):
                    start, count = at + k * inner, min(rows, length - k) * width
                    _exponentials(vector_at(x, start, count), tops, vector_at(out, start, count), sums)
                add_to_total(total, excess, add_up_rows(sums, rows, width))
            for j in range(width):
                tops[j] = x.dtype.type(1) / total[j]
            _repeat(tops, width)
            for k in range(0, length, rows):
                run = vector_at(out, at + k * inner, min(rows, length - k) * width)
                for j in range(run.size):
                    run[j] *= tops[j]


@part
def _shifts_and_sums(
    x: np.ndarray, at: int, length: int, inner: int, width: int, rows: int, memory: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return of each column (width,) from x[at] on the largest element and sum(exp(x - largest)) - 1.

    Where the largest is infinite or NaN it is given as 0, and 1 + the sum is 0, infinite or NaN.
    """
    t = x.dtype.type
    tops, others = vector_at(memory, 0, rows * width), vector_at(memory, RUN, rows * width)
    ones, total = vector_at(memory, 2 * RUN, rows * width), vector_at(memory, 3 * RUN, width)
    excess, count = vector_at(memory, 4 * RUN, width), vector_at(memory, 5 * RUN, width)
    rest = vector_at(memory, 6 * RUN, width)
    _largest(x, at, inner, length, tops, rows)
    begin_total(total, excess)
    begin_total(count, rest)
    for group in range(0, length, GROUP * rows):
        fill(others, 0)
        fill(ones, 0)
        for k in range(group, min(group + GROUP * rows, length), rows):
            run = vector_at(x, at + k * inner, min(rows, length - k) * width)
            _count_exponentials(run, tops, others, ones)
        add_to_total(total, excess, add_up_rows(others, rows, width))
        add_to_total(count, rest, add_up_rows(ones, rows, width))
    for j in range(width):
        total[j] += count[j] - t(1)
    if not are_finite(vector_at(tops, 0, width)):
        for j in range(width):
            if not np.isfinite(tops[j]):
                total[j] = t(-1) if tops[j] == -np.inf else tops[j]
                for k in range(length):
                    value = x[at + k * inner + j]
                    total[j] += value * t(0) if value != value else t(0)
                tops[j] = t(0)
    return tops, total


@kernel
def logsumexp_down(x: np.ndarray, out: np.ndarray, outer: int, length: int, inner: int) -> None:
    """out (outer * inner,) <- the logarithms of sums of exponentials of x, flat, of one float dtype."""
    block, rows = _columns_of(length, inner), _rows_of(length, inner)
    memory = work_array(x, SIZE)
    for o in range(outer):
        for first in range(0, inner, block):
            width, at = min(block, inner - first), o * length * inner + first
            shifts, sums = _shifts_and_sums(x, at, length, inner, width, rows, memory)
            result = vector_at(out, o * inner + first, width)
            for j in range(width):
                result[j] = x.dtype.type(np.float64(shifts[j]) + log1p1(np.float64(sums[j])))


@kernel
def log_softmax_down(x: np.ndarray, out: np.ndarray, outer: int, length: int, inner: int) -> None:
    """out <- logarithm of the softmax of x, both flat, of one float dtype; out may be x."""
    block, rows = _columns_of(length, inner), _rows_of(length, inner)
    memory = work_array(x, SIZE)
    for o in range(outer):
        for first in range(0, inner, block):
            width, at = min(block, inner - first), o * length * inner + first
            _, sums = _shifts_and_sums(x, at, length, inner, width, rows, memory)
            logs, tops = vector_at(memory, RUN, rows * width), vector_at(memory, 0, rows * width)
            for j in range(width):
                logs[j] = x.dtype.type(log1p1(np.float64(sums[j])))
            _repeat(logs, width)
            _repeat(tops, width)
            for k in range(0, length, rows):
                start, count = at + k * inner, min(rows, length - k) * width
                run, result = vector_at(x, start, count), vector_at(out, start, count)
                for j in range(count):
                    result[j] = (run[j] - tops[j]) - logs[j]


@kernel
def sum_down(
    x: np.ndarray, out: np.ndarray, outer: int, length: int, inner: int, over: float, work: np.ndarray
) -> None:
    """out (outer * inner,) <- sums of x, flat, of one float dtype, divided by `over`; work : (3 * RUN,) float64."""
    block, rows = _columns_of(length, inner), _rows_of(length, inner)
    for o in range(outer):
        for first in range(0, inner, block):
            width, at = min(block, inner - first), o * length * inner + first
            sums = vector_at(work, 0, rows * width)
            total, lost = vector_at(work, RUN, width), vector_at(work, 2 * RUN, width)
            fill(total, 0)
            fill(lost, 0)
            for group in range(0, length, GROUP * rows):
                fill(sums, 0)
                for k in range(group, min(group + GROUP * rows, length), rows):
                    run = vector_at(x, at + k * inner, min(rows, length - k) * width)
                    for j in range(run.size):
                        sums[j] += np.float64(run[j])
                more = add_up_rows(sums, rows, width)
                for j in range(width):  # Knuth's TwoSum, as in `reductions`
                    new = total[j] + more[j]
                    added = new - total[j]
                    lost[j] += (total[j] - (new - added)) + (more[j] - added)
                    total[j] = new
            result = vector_at(out, o * inner + first, width)
            for j in range(width):  # what infinity "lost" is NaN
                result[j] = x.dtype.type((total[j] + lost[j] if np.isfinite(total[j]) else total[j]) / over)
