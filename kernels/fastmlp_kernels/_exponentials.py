"""Blocks of rows of logits: exp(x - max(x)) of each element, and the sums of these by row.

A block that fits the L1 cache is worked on in a scratch array. The exponential, the costly part, runs over the block as
one long run, so that vectors are full whatever the number of columns is.
"""

from typing import Any

import numpy as np

from fastmlp_kernels._jit import part, reduction
from fastmlp_kernels._scratch import SIZE
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.elementary import exp_below1, key_of, value_of_key

# An array, or None: numba compiles a form of its own for each, in which `is None` takes no time.
Maybe = Any
# elements in a block: 16 KiB of float32, half of a small L1 cache
BLOCK = SIZE // 2
# Elements that are added up in their own dtype: 32 in each of 32 lanes. Longer sums go on in float64, and do not drift.
PIECE = 1024


@reduction
def _sum(row: np.ndarray) -> float:
    total = row.dtype.type(0)
    for k in range(row.size):
        total += row[k]
    return total


@part
def row_sum(row: np.ndarray) -> float:
    """Return the sum of a row (K,) in its dtype, float32 or float64."""
    if row.size <= PIECE:
        return _sum(row)
    total = np.float64(0)
    for start in range(0, row.size, PIECE):
        total += np.float64(_sum(vector_at(row, start, min(PIECE, row.size - start))))
    return row.dtype.type(total)


@part
def block_rows(classes: int) -> int:
    """Return how many rows of `classes` elements, and one more for a result, fill a block."""
    return max(1, BLOCK // (classes + 1))


@reduction
def are_finite(x: np.ndarray) -> bool:
    """Return whether no element of x, flat, is infinite or NaN."""
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero
    return total == zero


@part
def keep_larger(tops: np.ndarray, x: np.ndarray) -> None:
    """tops <- the larger of its elements and those of x, flat and as long; a positive NaN is the largest."""
    for i in range(tops.size):  # by keys: a choice by comparing floats is a masked store, very slow on AMD's CPUs
        key, top = key_of(x[i]), key_of(tops[i])
        tops[i] = value_of_key(key if key > top else top)


@part
def shifted_rows(logits: np.ndarray, bias: Maybe, e: np.ndarray) -> None:
    """e (flat) <- the rows of logits (N, K) + bias (K,), each less its largest element; bias None counts as zeros."""
    classes = logits.shape[1]
    for r in range(logits.shape[0]):
        row, source = vector_at(e, r * classes, classes), vector_at(logits, r * classes, classes)
        # by integer keys: compilers keep a floating-point maximum scalar unless NaN is ruled out
        top = key_of(source[0] if bias is None else source[0] + bias[0])
        for k in range(row.size):
            x = source[k] if bias is None else source[k] + bias[k]
            row[k] = x
            key = key_of(x)
            top = key if key > top else top
        shift = value_of_key(top)
        for k in range(row.size):
            row[k] -= shift


@part
def exponentials(e: np.ndarray) -> None:
    """In place: e <- exp(e), for elements x <= 0 or NaN, of any shape."""
    flat = vector_at(e, 0, e.size)
    for i in range(flat.size):
        flat[i] = exp_below1(flat[i])
