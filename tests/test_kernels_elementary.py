"""The elementary functions against the correctly rounded values, over every float32; and the keys that order floats.

The truth is numpy in a wider type, rounded. For float32 that is float64, in which numpy is within 4 ULP, 2**-27 ULP of
float32: the rounded value is the correct one, or, where the exact result lies that near to the middle of two floats, a
neighbour of it. A measured distance of n is thus at most n + 1 from the correctly rounded value. For float64 it is the
extended type of x87, in which the C library is within 2 ULP, 2**-10 ULP of float64; no walk over all of these ends.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest
from numba import njit, typeof

from arrays import edge_floats, ordered, ulps
from fastmlp_kernels import elementary
from listings import instructions, readable

# The largest distances, with and without fused multiply-add: over all 2**32 patterns of float32, and over
# 5 * 10**7 arguments of float64 each, most of them where the error is largest.
BOUNDS = {
    np.float32: {"exp1": 1, "expm1_1": 2, "log1": 1, "log1p1": 1, "tanh1": 3, "sigmoid1": 2},
    np.float64: {"exp1": 1, "expm1_1": 2, "log1": 1, "log1p1": 1, "tanh1": 2, "sigmoid1": 2},
}
NAMES = list(BOUNDS[np.float32])
WIDER = {np.float32: np.float64, np.float64: np.longdouble}
DTYPES = [
    np.float32,
    pytest.param(
        np.float64,
        marks=pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no type is wider than float64 here"),
    ),
]
TRUTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp1": np.exp,
    "expm1_1": np.expm1,
    "log1": np.log,
    "log1p1": np.log1p,
    "tanh1": np.tanh,
    "sigmoid1": lambda x: 1 / (1 + np.exp(-x)),  # an exponential that overflows gives zero, as it should
}


class Loop:
    """A user's loop over one scalar function, compiled with the options that the kernels have."""

    def __init__(self, function1):
        @njit(error_model="numpy", fastmath={"contract"})
        def loop(x, out):
            for i in range(x.size):
                out[i] = function1(x[i])

        self.compiled = loop

    def __call__(self, x):
        out = np.empty_like(x)
        self.compiled(x, out)
        return out


LOOPS = {
    name: Loop(getattr(elementary, name))
    for name in (*NAMES, "exp_below1", "relu1", "identity1", "key_of", "value_of_key")
}


def truth(name, x):
    with np.errstate(all="ignore"):  # a signalling NaN is an invalid value
        return TRUTHS[name](x.astype(WIDER[x.dtype.type])).astype(x.dtype)


def assert_close(name, x):
    got, want = LOOPS[name](x), truth(name, x)
    integer = np.int32 if x.dtype == np.float32 else np.int64
    unequal = np.flatnonzero(got.view(integer) != want.view(integer))  # few: the walk over all takes half the time
    if unequal.size:
        apart = ulps(got[unequal], want[unequal])
        worst = unequal[apart.argmax()]
        bound = BOUNDS[x.dtype.type][name]
        assert apart.max() <= bound, f"{name}({x[worst]!r}) is {got[worst]!r}, expected {want[worst]!r}"
    return got, want


def floats(patterns):
    return patterns.astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_stride_through_every_float32(name):
    assert_close(name, floats(np.arange(0, 2**32, 997)))  # a prime: low and high mantissa bits both vary


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_the_edges(name, dtype):
    x = edge_floats(dtype)
    x = np.concatenate([x, x[np.abs(x) < 1] + dtype(1), x[np.abs(x) < 1] - dtype(1)])  # where logarithms vanish, or end
    got, want = assert_close(name, x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))  # zeros have one too


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_float32(name):
    chunk = 2**15  # larger temporaries would be fresh pages each time
    for start in range(0, 2**32, chunk):
        assert_close(name, floats(np.arange(start, start + chunk)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_a_sample_of_float64(name, dtype, rng):
    every_exponent = np.repeat(np.arange(2**12, dtype=np.uint64) << np.uint64(52), 64)
    mantissas = rng.integers(0, 2**52, every_exponent.size, dtype=np.uint64)
    count = 100_000
    halves = np.arange(-80, 80) + 0.5  # beside these multiples of ln 2, exp takes another integer
    turns = (np.repeat(halves, 500) + rng.normal(0, 1e-3, 500 * halves.size)) * np.log(2)
    near_one = 1 + np.ldexp(rng.uniform(-1, 1, count), rng.integers(-54, 1, count))
    for x in (
        (every_exponent | mantissas).view(dtype),
        rng.uniform(-750, 750, count),
        rng.uniform(-40, 40, count),
        rng.uniform(-2, 2, count),
        np.ldexp(rng.uniform(-1, 1, count), rng.integers(-56, 4, count)),
        np.concatenate([turns, turns / 2]),
        np.concatenate([near_one, near_one - 2]),
    ):
        assert_close(name, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_below_has_the_bits_of_exp(dtype, rng):
    x = np.concatenate([edge_floats(dtype), -rng.exponential(20, 100_000).astype(dtype)])
    x = x[~(x > 0)]
    np.testing.assert_array_equal(LOOPS["exp_below1"](x), LOOPS["exp1"](x))


@readable
@pytest.mark.parametrize(("dtype", "packed"), [(np.float32, "mulps"), (np.float64, "mulpd")])
@pytest.mark.parametrize("name", [*NAMES, "exp_below1"])
def test_loops_are_vectorised(name, dtype, packed):
    one = np.ones(1, dtype)
    LOOPS[name](one)
    code = LOOPS[name].compiled.inspect_asm()[typeof(one), typeof(one)]
    assert packed in instructions(code)
    assert not re.search(r"\b(exp|expm1|log|log1p|tanh)f?\b", code), "it calls the C library"


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_values_of_logarithms_and_expm1(dtype):
    def values(*of):
        return np.array(of, dtype)

    np.testing.assert_array_equal(
        LOOPS["log1"](values(0, -0.0, 1, np.inf, -1)), values(-np.inf, -np.inf, 0, np.inf, np.nan)
    )
    x, want = values(-1, 0, -0.0, np.inf, -2), values(-np.inf, 0, -0.0, np.inf, np.nan)
    np.testing.assert_array_equal(LOOPS["log1p1"](x), want)
    np.testing.assert_array_equal(LOOPS["expm1_1"](values(-np.inf, 0, np.inf, -200)), values(-1, 0, np.inf, -1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_and_symmetry(dtype):
    x = np.concatenate([np.arange(0, 0x7F800000, 9973).astype(np.uint32).view(np.float32), edge_floats(np.float32)])
    x = np.concatenate([x[~np.isnan(x)].astype(dtype), np.linspace(0, 50, 100_000, dtype=dtype)])
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
