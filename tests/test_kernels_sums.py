"""Sums of rows against float64: millions of rows, odd counts, widths beyond the work array, infinities."""

import numpy as np
import pytest

from arrays import assert_within, fenced
from fastmlp_kernels import _sums
from fastmlp_kernels._jit import kernel


@kernel
def _sum_rows(x, work, out):
    sums = _sums.sum_rows(x, work)
    for j in range(out.size):
        out[j] = sums[j]


@kernel
def _sum_apart(x, at, stride, rows, out):
    _sums.sum_apart(x, at, stride, rows, out)


def in_pairs(x):
    work, out = np.empty((len(x) + 1) // 2 * x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    with fenced(x, work, out) as (same, work, out):
        _sum_rows(same, work, out)
        np.testing.assert_array_equal(same, x)
    return out


def apart(x):
    with fenced(x, np.empty(x.shape[1], x.dtype)) as (same, out):
        _sum_apart(same, 0, x.shape[1], len(x), out)
        np.testing.assert_array_equal(same, x)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [in_pairs, apart])
def test_sums_of_whole_numbers_are_exact(function, dtype, rng):
    for shape in [(1, 1), (1, 9), (2, 3), (3, 1), (7, 20), (8, 16), (33, 5), (300, 2), (4, 8195)]:
        x = rng.integers(-9, 10, shape).astype(dtype)
        np.testing.assert_array_equal(function(x), x.sum(axis=0))


@pytest.mark.parametrize("function", [in_pairs, apart])
def test_a_million_rows_do_not_drift(function, rng):
    for x in (np.full((1_000_000, 3), 0.1, np.float32), rng.random((1_000_000, 3), np.float32)):
        # pairs: 20 roundings of half a step each at the most
        assert_within(function(x), x.sum(axis=0, dtype=np.float64), 1e-6 * x.sum(axis=0, dtype=np.float64))


def test_infinities_and_nan_stay():
    x = np.ones((5, 4), np.float32)
    x[0, 0], x[2, 1], x[3, 2], x[[1, 4], 3] = np.inf, -np.inf, np.nan, (np.inf, -np.inf)
    np.testing.assert_array_equal(apart(x), [np.inf, -np.inf, np.nan, np.nan])


def test_rows_may_lie_apart(rng):
    x, out = rng.integers(0, 9, (6, 3, 4)).astype(np.float32), np.empty(4, np.float32)
    _sum_apart(x, 4, 12, 5, out)
    np.testing.assert_array_equal(out, x[:5, 1].sum(axis=0))
