"""exp1, tanh1 and sigmoid1 against the correctly rounded values, over every float32; and the keys that order floats.

The truth is numpy in float64 rounded to float32. numpy is within 4 ULP of float64, 2**-27 ULP of float32: the rounded
value is the correct one, or, where the exact result lies that near to the middle of two floats, a neighbour of it.
A measured distance of n is thus at most n + 1 from the correctly rounded value: within 2 (exp) and 4 ULP in any case.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numba import njit

from arrays import assert_ulps, edge_floats, ordered, ulps
from fastmlp_kernels import elementary

# The largest distances over all 2**32 patterns, with and without fused multiply-add.
BOUNDS = {"exp1": 1, "tanh1": 3, "sigmoid1": 3}
TRUTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp1": np.exp,
    "tanh1": np.tanh,
    "sigmoid1": lambda x: 1 / (1 + np.exp(-x)),  # an exponential that overflows gives zero, as it should
}


def _loop(function1):
    """Compile a user's loop over one scalar function, with the options that the kernels have."""

    @njit(error_model="numpy", fastmath={"contract"})
    def loop(x, out):
        for i in range(x.size):
            out[i] = function1(x[i])

    def apply(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return apply


LOOPS = {
    name: _loop(getattr(elementary, name))
    for name in ("exp1", "tanh1", "sigmoid1", "relu1", "identity1", "key_of", "value_of_key")
}


def truth(name, x):
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # a signalling NaN is an invalid value
        return TRUTHS[name](x.astype(np.float64)).astype(np.float32)


def assert_close_over(name, patterns):
    x = patterns.astype(np.uint32).view(np.float32)
    got, want = LOOPS[name](x), truth(name, x)
    unequal = np.flatnonzero(got.view(np.int32) != want.view(np.int32))  # few: the walk over all takes half the time
    if unequal.size:
        apart = ulps(got[unequal], want[unequal])
        worst = unequal[apart.argmax()]
        assert apart.max() <= BOUNDS[name], f"{name}({x[worst]!r}) is {got[worst]!r}, expected {want[worst]!r}"
    return got


@pytest.mark.parametrize("name", BOUNDS)
def test_a_stride_through_every_float32(name):
    assert_close_over(name, np.arange(0, 2**32, 997))  # a prime: low and high mantissa bits both vary


@pytest.mark.parametrize("name", BOUNDS)
def test_the_edges_of_float32(name):
    x = edge_floats(np.float32)
    got = assert_close_over(name, x.view(np.uint32))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOUNDS)
def test_every_float32(name):
    chunk = 2**15  # larger temporaries would be fresh pages each time
    for start in range(0, 2**32, chunk):
        assert_close_over(name, np.arange(start, start + chunk))


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.filterwarnings("ignore:.*in exp:RuntimeWarning")
def test_float64_is_the_c_librarys(name):
    x = np.concatenate([edge_floats(np.float64), np.random.default_rng(0).normal(0, 20, 10_000)])
    # two libraries of at most 1 or 2 ULP each; the sigmoid adds an addition and a division
    assert_ulps(LOOPS[name](x), TRUTHS[name](x), 4)


def f32(*values):
    return np.array(values, np.float32)


def test_exact_values():
    x = f32(0, -0.0, np.inf, -np.inf, 200, -200, 3e38, -3e38)
    np.testing.assert_array_equal(LOOPS["exp1"](x), f32(1, 1, np.inf, 0, np.inf, 0, np.inf, 0))
    np.testing.assert_array_equal(LOOPS["tanh1"](x), f32(0, -0.0, 1, -1, 1, -1, 1, -1))
    np.testing.assert_array_equal(LOOPS["sigmoid1"](x), f32(0.5, 0.5, 1, 0, 1, 0, 1, 0))
    # the largest finite result and the first infinite one; the smallest subnormal and zero; one subnormal in between
    np.testing.assert_array_equal(np.isinf(LOOPS["exp1"](f32(88.72283, 88.72284))), [False, True])
    np.testing.assert_array_equal(LOOPS["exp1"](f32(-103.27893, -104)), f32(1e-45, 0))
    assert 0 < LOOPS["exp1"](f32(-88))[0] < np.finfo(np.float32).tiny


def test_bounds_and_symmetry():
    x = np.concatenate([np.arange(0, 0x7F800000, 9973).astype(np.uint32).view(np.float32), edge_floats(np.float32)])
    x = x[~np.isnan(x)]
    tanh = LOOPS["tanh1"](x)
    assert np.abs(tanh).max() == 1
    np.testing.assert_array_equal(ordered(LOOPS["tanh1"](-x)), ordered(-tanh))  # odd in every bit
    sigmoid = LOOPS["sigmoid1"](np.concatenate([x, -x]))
    assert sigmoid.min() == 0
    assert sigmoid.max() == 1
    assert LOOPS["exp1"](-x[x > 0]).max() <= 1


def test_relu_and_identity():
    x = edge_floats(np.float32)
    want = np.maximum(x, np.float32(0))
    np.testing.assert_array_equal(LOOPS["relu1"](x), want)  # NaN included
    np.testing.assert_array_equal(LOOPS["identity1"](x).view(np.int32), x.view(np.int32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_order_all_floats_and_come_back(dtype):
    x = edge_floats(dtype)
    integer = np.int32 if dtype == np.float32 else np.int64
    key_of, value_of_key = elementary.key_of, elementary.value_of_key

    @njit
    def there_and_back(values, keys, back):
        for i in range(values.size):
            key = key_of(values[i])
            keys[i], back[i] = key, value_of_key(key)

    keys, back = np.empty(x.size, integer), np.empty_like(x)
    there_and_back(x, keys, back)
    np.testing.assert_array_equal(back.view(integer), x.view(integer))  # bits, so -0 and NaN too
    numbers = ~np.isnan(x)
    in_order = x[numbers][np.argsort(keys[numbers], kind="stable")]
    assert (in_order[1:] >= in_order[:-1]).all()
    assert keys[x == np.inf].min() == keys[numbers].max()
    assert keys[x == -np.inf].max() == keys[numbers].min()
    positive_nan = np.isnan(x) & ~np.signbit(x)
    assert keys[positive_nan].min() > keys[numbers].max()
    assert keys[np.isnan(x) & np.signbit(x)].max() < keys[numbers].min()
    assert keys.dtype == integer
    assert ((ordered(x) == keys) | np.isnan(x)).all()  # neighbours are one apart
