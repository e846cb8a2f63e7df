"""accurate_sum and accurate_mean against the exactly rounded sum, math.fsum's, at all sizes around a block."""

import math

import numpy as np
import pytest

import fastmlp_kernels as fk
from arrays import fenced, normal
from fastmlp import reference
from fastmlp_kernels.reductions import BLOCK

DTYPES = [np.float32, np.float64]


def bound(x):
    """What the docstring promises of a sum in float64."""
    return 50 * 2**-53 * math.fsum(np.abs(x.astype(np.float64)).ravel())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 31, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, 100 * BLOCK + 1])
def test_the_whole_array(dtype, size, rng):
    for x in (normal(rng, (size,), dtype), rng.random(size).astype(dtype), np.full(size, 0.1, dtype)):
        total = fk.accurate_sum(x)
        assert isinstance(total, float)
        assert abs(total - reference.accurate_sum(x)) <= bound(x)
        assert abs(fk.accurate_mean(x) - reference.accurate_mean(x)) <= bound(x) / size + 2**-53 * abs(total / size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7,), (1, 1), (33, 20), (3, BLOCK + 5), (2, 3, 70), (0, 4)])
def test_the_last_axis_with_and_without_out(dtype, shape, rng):
    x = normal(rng, shape, dtype)
    wide = x.reshape(-1, shape[-1]).astype(np.float64)
    for function, plain, size in (
        (fk.accurate_sum, reference.accurate_sum, 1),
        (fk.accurate_mean, reference.accurate_mean, shape[-1]),
    ):
        want, result = np.asarray(plain(wide, -1)).reshape(shape[:-1]), function(x, axis=-1)
        assert result.dtype == dtype
        assert result.shape == shape[:-1]
        # the sum's own error and one rounding to the array's dtype
        allowed = 50 * 2**-53 * np.abs(x).sum(-1, dtype=np.float64) / size + float(np.finfo(dtype).eps) * np.abs(want)
        assert (np.abs(result - want) <= allowed).all()
        with fenced(np.zeros(shape[:-1], dtype)) as (out,):
            assert function(x, -1, out) is out
            np.testing.assert_array_equal(out, result)
        np.testing.assert_array_equal(function(x, x.ndim - 1), result)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5, 3), 0), ((1, 4), 0), ((700, 20), 0), ((40, 513), 0), ((70_001, 2), 0), ((1500, 600), 0), ((2, 3, 4), 1),
     ((3, 40, 65), -2), ((3, 5, 1), 1), ((2, 0), 0)],
)  # fmt: skip
def test_any_axis_with_and_without_out(dtype, shape, axis, rng):
    x = normal(rng, shape, dtype) + dtype(1)
    turned = np.moveaxis(x.astype(np.float64), axis, -1)
    want = reference.accurate_sum(turned.reshape(-1, shape[axis]), -1)
    for function, size in ((fk.accurate_sum, 1), (fk.accurate_mean, shape[axis])):
        result = function(x, axis)
        right = np.asarray(want).reshape(result.shape) / size
        allowed = 50 * 2**-53 * np.abs(turned).sum(-1) / size + float(np.finfo(dtype).eps) * np.abs(right)
        assert result.dtype == dtype
        assert result.shape == turned.shape[:-1]
        assert (np.abs(result - right) <= allowed).all()
        with fenced(np.zeros(result.shape, dtype)) as (out,):
            assert function(x, axis, out) is out
            np.testing.assert_array_equal(out, result)


def test_columns_that_cancel_across_groups_keep_the_small_part_and_infinities_and_nan():
    x = np.zeros((60_000, 2))
    x[0], x[30_000], x[59_999] = 1e16, 1.0, -1e16
    np.testing.assert_array_equal(fk.accurate_sum(x, 0), [1, 1])
    x[3, 1] = np.inf
    np.testing.assert_array_equal(fk.accurate_sum(x, 0), [1, np.inf])
    x[50_000, 1] = -np.inf
    np.testing.assert_array_equal(fk.accurate_mean(x, 0), [1 / 60_000, np.nan])


def test_a_sum_that_cancels_across_blocks_keeps_the_small_part():
    x = np.zeros(3 * BLOCK)
    x[0], x[BLOCK], x[2 * BLOCK] = 1e16, 1.0, -1e16  # 1e16 + 1 is no float64
    assert fk.accurate_sum(x) == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("value", "want"), [(np.inf, np.inf), (-np.inf, -np.inf), (np.nan, np.nan)])
@pytest.mark.parametrize("at", [0, BLOCK, 2 * BLOCK])
def test_infinities_and_nan(dtype, value, want, at):
    x = np.ones(2 * BLOCK + 1, dtype)
    x[at] = value
    np.testing.assert_equal(fk.accurate_sum(x), want)
    np.testing.assert_equal(fk.accurate_mean(x), want)
    x[at - 1] = -value
    np.testing.assert_equal(fk.accurate_sum(x), np.nan)  # inf - inf


def test_millions_of_float32(rng):
    """A float32 accumulator would stop at 2**24 = 16.8 million of ones; numpy's pairs drift off by its roundings."""
    count = 2**24 + 1001
    assert fk.accurate_sum(np.ones(count, np.float32)) == count
    x = rng.random(count, dtype=np.float32)
    assert abs(fk.accurate_sum(x) - math.fsum(x)) <= 50 * 2**-53 * count


@pytest.mark.slow
def test_a_hundred_million_float32():
    x = np.full(10**8, 0.1, np.float32)
    exact = 10**8 * float(np.float32(0.1))
    assert abs(fk.accurate_sum(x) - exact) <= 50 * 2**-53 * exact
    assert fk.accurate_mean(x.reshape(2, -1), -1).tolist() == [x[0], x[0]]


@pytest.mark.parametrize("function", [fk.accurate_sum, fk.accurate_mean])
def test_wrong_axes_and_arrays_are_refused(function):
    x = np.ones((2, 3))
    for axis in (2, -3):
        with pytest.raises(ValueError, match=f"axis is {axis}, allowed is -2 to 1 as x has shape"):
            function(x, axis)
    with pytest.raises(ValueError, match="out is for an axis"):
        function(x, None, np.ones(()))
    for shape in ((), (0,), (3, 0)):
        with pytest.raises(ValueError, match=r"expected at least one element along the last axis"):
            function(np.ones(shape))
    with pytest.raises(ValueError, match="x and out overlap in memory"):
        function(x, -1, x.reshape(-1)[:2])
