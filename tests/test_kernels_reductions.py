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
    for axis in (0, 2, -2):
        with pytest.raises(ValueError, match=f"axis is {axis}, allowed is None .* or -1"):
            function(x, axis)
    with pytest.raises(ValueError, match="out is for axis=-1"):
        function(x, None, np.ones(()))
    for shape in ((), (0,), (3, 0)):
        with pytest.raises(ValueError, match=r"expected at least one element along the last axis"):
            function(np.ones(shape))
    with pytest.raises(ValueError, match="x and out overlap in memory"):
        function(x, -1, x.reshape(-1)[:2])
