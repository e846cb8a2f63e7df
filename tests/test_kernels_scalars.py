"""The functions of one element in `scalars`: float32 against numpy in float64, float64 against mpmath's 50 digits.

The truth of float32 is rounded from float64, in which it is nearer to the exact value than a thousandth of an ULP of
float32, so that a measured distance of n is at most n + 1 from the correctly rounded value. For float64 what counts is
the distance from the exact value itself, in steps of float64 there.
"""

import platform
import re

import numpy as np
import pytest
from mpmath import mp, mpf
from numba import njit, typeof

from arrays import edge_floats, ordered, ulps
from bench import polynomials
from bench.scalars import BETWEEN, POSITIVE, SCALARS
from fastmlp_kernels import _coefficients, jit
from test_kernels_process import run_python

# The largest distances in ULP, with fused multiply-add; those of float32 without it too.
MOST32, MOST64 = 1, 2
ONE = [name for name in SCALARS if name != "pow1"]
NEAR_ZERO = {"silu_slope1": -1.278464542761074, "gelu_slope1": -0.7517915246935645}


class Loop:
    """A user's loop over one scalar function."""

    def __init__(self, name, **options):
        function1, two = getattr(jit, name), name == "pow1"

        @njit(**options)
        def loop(x, y, out):
            for i in range(x.size):
                out[i] = function1(x[i], y[i]) if two else function1(x[i])

        self.compiled = loop

    def __call__(self, x, y=None):
        out = np.empty_like(x)
        self.compiled(x, x if y is None else y, out)
        return out

    def code(self, dtype):
        one = np.ones(1, dtype)
        self(one)
        kind = typeof(one)
        return self.compiled.inspect_asm()[kind, kind, kind]


LOOPS = {name: Loop(name, fastmath={"contract"}) for name in SCALARS}


def plain(name, *x):
    with np.errstate(all="ignore"):
        return SCALARS[name].plain(*(one.astype(np.float64) for one in x)).astype(np.float32)


def assert_near32(name, *x):
    got, want = LOOPS[name](*x), plain(name, *x)
    unequal = np.flatnonzero(got.view(np.int32) != want.view(np.int32))
    if unequal.size:
        apart = np.abs(ordered(got[unequal]) - ordered(want[unequal]))  # a zero is one step from the other
        nans = np.isnan(got[unequal]).astype(int) + np.isnan(want[unequal])
        apart = np.where(nans == 0, apart, np.where(nans == 2, 0, 2**32))
        worst = unequal[apart.argmax()]
        at = [one[worst] for one in x]
        assert apart.max() <= MOST32, f"{name}{at} is {got[worst]!r}, expected {want[worst]!r}"


def floats(patterns):
    return patterns.astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", ONE)
def test_a_stride_through_every_float32(name):
    assert_near32(name, floats(np.arange(0, 2**32, 2003)))  # a prime: low and high mantissa bits both vary
    x = edge_floats(np.float32)
    assert_near32(name, np.concatenate([x, x + np.float32(0.5)]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE)
def test_every_float32(name):
    chunk = 2**15  # larger temporaries would be fresh pages each time
    for start in range(0, 2**32, chunk):
        assert_near32(name, floats(np.arange(start, start + chunk)))


@pytest.mark.parametrize("name", ["sin1", "cos1"])
def test_large_angles_of_float32(name, rng):
    largest = rng.integers(0x4C000000, 0x7F800000, 1_000_000)
    assert_near32(name, floats(np.append(largest, 1676017857)))  # the last is 6e-8 beside a quarter turn


def powers32(rng, count):
    """Return bases of every exponent and exponents for which the power is a number, and some for which it is not."""
    x = floats(rng.integers(0, 2**31 - 2**23, count))
    with np.errstate(divide="ignore"):
        y = rng.uniform(-155, 133, count) / np.log2(x.astype(np.float64))
    near_one = np.float32(1) + np.ldexp(rng.uniform(-1, 1, count), rng.integers(-24, 0, count)).astype(np.float32)
    return np.concatenate([x, near_one]), np.concatenate([y, rng.normal(0, 1e4, count)]).astype(np.float32)


def test_powers_of_float32(rng):
    assert_near32("pow1", *powers32(rng, 500_000))


@pytest.mark.slow
def test_many_powers_of_float32(rng):
    for _ in range(1000):
        assert_near32("pow1", *powers32(rng, 1_000_000))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_at_the_edges_are_those_of_numpy(dtype):
    base = np.array([0, 1, 2, 0.5, np.inf, np.nan, 1e-30, 1e30, 3], dtype)
    info = np.finfo(dtype)
    base = np.concatenate([base, np.array([info.smallest_subnormal, info.tiny, info.max, 1 + info.eps], dtype)])
    most = [0, -0.0, 1, -1, 2, -2, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1e30, -1e30, info.max, -info.max]
    x, y = (one.ravel() for one in np.meshgrid(base, np.array(most, dtype)))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    assert ulps(LOOPS["pow1"](x, y), want).max() <= 1
    assert np.isnan(LOOPS["pow1"](-np.ones(3, dtype), np.array([1, 0.5, np.inf], dtype))).all()


def exact_error(name, got, *x):
    """Return the distance from the exact value in steps of float64 there."""
    with mp.workdps(50):
        want = SCALARS[name].exact(*map(mpf, x))
        rounded = float(want)
        if np.isinf(rounded):  # beyond the largest number
            return 0.0 if got == rounded else np.inf
        return float(abs(mpf(got) - want) / mpf(float(np.spacing(abs(rounded)))))


def sample(name, rng, count):
    """Return arguments of every exponent, and more where formulas change."""
    every = rng.permutation(np.arange(2**12, dtype=np.uint64) << np.uint64(52))[: 8 * count]
    patterns = (every | rng.integers(0, 2**52, every.size, dtype=np.uint64)).view(np.float64)
    small = np.ldexp(rng.uniform(-1, 1, 2 * count), rng.integers(-56, 4, 2 * count))
    x = np.concatenate([patterns, rng.uniform(-750, 750, count), rng.uniform(-40, 40, 2 * count), small])
    x = np.concatenate([x, rng.uniform(-2, 2, 4 * count), 1 + small, edge_floats(np.float64)[:: max(1, 2000 // count)]])
    if name in BETWEEN:
        x = np.concatenate([x % 1, 0.5 + small / 32, rng.uniform(0.25, 0.75, 4 * count)])
    if name in POSITIVE:
        x = np.abs(x)
    if name in NEAR_ZERO:
        x = np.concatenate([x, NEAR_ZERO[name] + small / 16])
    if name in ("sin1", "cos1"):
        x = np.concatenate([x, np.pi / 2 * rng.integers(1, 2**40, 4 * count), [6381956970095103 * 2.0**797]])
    else:  # mpmath has no end of an exponential
        x = x[np.abs(x) < 1100] if name not in POSITIVE else x
    return x[(x != 0) & np.isfinite(x) & ((x != 1) | (name not in BETWEEN))]


def worst_of(name, *x):
    got = LOOPS[name](*x)
    errors = [exact_error(name, *map(float, values)) for values in zip(got, *x, strict=True)]
    at = int(np.argmax(errors))
    return errors[at], [float(one[at]) for one in x]


def powers64(rng, count):
    x = np.concatenate([np.exp(rng.uniform(-745, 709, count)), 1 + np.ldexp(rng.uniform(-1, 1, count), -20)])
    y = rng.uniform(-1080, 1030, 2 * count) / np.log2(x)
    return np.concatenate([x, rng.uniform(0.5, 2, count)]), np.concatenate([y, rng.uniform(-3, 3, count)])


@pytest.mark.parametrize("name", SCALARS)
def test_float64_against_many_digits(name, rng):
    x = powers64(rng, 500) if name == "pow1" else (sample(name, rng, 100),)
    worst, at = worst_of(name, *x)
    assert worst <= MOST64, f"{worst} at {at}"


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALARS)
def test_many_float64_against_many_digits(name, rng):
    for _ in range(20):
        x = powers64(rng, 10_000) if name == "pow1" else (sample(name, rng, 2000),)
        worst, at = worst_of(name, *x)
        assert worst <= MOST64, f"{worst} at {at}"


INF, NAN = np.inf, np.nan
X = [0.0, -0.0, INF, -INF, NAN]
EDGES = {
    "exp2_1": [1, 1, INF, 0, NAN],
    "log2_1": [-INF, -INF, INF, NAN, NAN],
    "log10_1": [-INF, -INF, INF, NAN, NAN],
    "rsqrt1": [INF, -INF, 0, NAN, NAN],
    "sin1": [0, -0.0, NAN, NAN, NAN],
    "cos1": [1, 1, NAN, NAN, NAN],
    "softplus1": [np.log(2), np.log(2), INF, 0, NAN],
    "log_sigmoid1": [-np.log(2), -np.log(2), -0.0, -INF, NAN],
    "logit1": [-INF, -INF, NAN, NAN, NAN],
    "silu1": [0, -0.0, INF, -0.0, NAN],
    "erf1": [0, -0.0, 1, -1, NAN],
    "erfc1": [1, 1, 0, 2, NAN],
    "gelu1": [0, -0.0, INF, -0.0, NAN],
    "tanh_slope1": [1, 1, 0, 0, NAN],
    "sigmoid_slope1": [0.25, 0.25, 0, 0, NAN],
    "softplus_slope1": [0.5, 0.5, 1, 0, NAN],
    "log_sigmoid_slope1": [0.5, 0.5, 0, 1, NAN],
    "logit_slope1": [INF, INF, NAN, NAN, NAN],
    "silu_slope1": [0.5, 0.5, 1, -0.0, NAN],
    "erf_slope1": [2 / np.sqrt(np.pi)] * 2 + [0, 0, NAN],
    "gelu_slope1": [0.5, 0.5, 1, -0.0, NAN],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ONE)
def test_zeros_infinities_and_nan(name, dtype):
    got, want = LOOPS[name](np.array(X, dtype)), np.array(EDGES[name], dtype)
    np.testing.assert_array_equal(got, want)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_exact(dtype):
    info = np.finfo(dtype)
    n = np.arange(info.minexp - info.nmant, info.maxexp)
    powers = np.ldexp(dtype(1), n)  # the subnormal ones too
    np.testing.assert_array_equal(LOOPS["log2_1"](powers), n)
    np.testing.assert_array_equal(LOOPS["exp2_1"](n.astype(dtype)), powers)
    tens = np.arange(0, 11 if dtype == np.float32 else 23)
    np.testing.assert_array_equal(LOOPS["log10_1"]((10.0**tens).astype(dtype)), tens)
    ends = LOOPS["exp2_1"](np.array([info.maxexp, info.minexp - info.nmant - 1], dtype))
    np.testing.assert_array_equal(ends, [np.inf, 0])
    np.testing.assert_array_equal(LOOPS["logit1"](np.array([0.5, 1, 1.5, -1], dtype)), [0, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(LOOPS["logit_slope1"](np.array([0.5, 1, 1.5], dtype)), [4, np.inf, np.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_symmetry(dtype, rng):
    x = np.concatenate([rng.normal(0, 3, 100_000).astype(dtype), edge_floats(dtype)])
    x = x[np.isfinite(x)]
    for name in ("sin1", "erf1"):  # odd in every bit
        np.testing.assert_array_equal(ordered(LOOPS[name](-x)), ordered(-LOOPS[name](x)))
    for name in ("cos1", "tanh_slope1", "sigmoid_slope1", "erf_slope1"):
        np.testing.assert_array_equal(LOOPS[name](-x), LOOPS[name](x))
    assert np.max(np.abs(LOOPS["erf1"](x))) == 1
    assert np.max(np.abs(LOOPS["sin1"](x))) <= 1


on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names of x86's instructions")
LIBRARY = r"\b(?:exp2|log2|log10|pow|sin|cos|erfc?|fma|exp|log1p|sqrt)f?\b"
PACKED = {np.float32: r"mulp[sd]", np.float64: "mulpd"}


@on_x86
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SCALARS)
def test_loops_are_vectorised_under_a_callers_own_options(name, dtype):
    for options in ({}, {"fastmath": True, "error_model": "numpy"}):
        code = Loop(name, **options).code(dtype)
        packed = "divp[sd]" if name == "rsqrt1" else PACKED[dtype]
        assert re.search(rf"\bv?{packed}\b", code)
        assert not re.search(LIBRARY, code), "it calls the C library"


def test_a_caller_s_fastmath_changes_no_nan(rng):
    x = np.concatenate([np.array(X), rng.normal(0, 3, 1000)])
    for name in ONE:
        got = Loop(name, fastmath=True)(x)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(LOOPS[name](x)))


WIDTHS = """
import re
import numpy as np
from numba import njit, typeof
from fastmlp_kernels import _coefficients, jit

for name in {names!r}:
    function1, two = getattr(jit, name), name == "pow1"
    for dtype in (np.float32, np.float64):

        @njit
        def loop(x, out):
            for i in range(x.size):
                out[i] = function1(x[i], x[i]) if two else function1(x[i])

        kind = typeof(np.ones(1, dtype))
        loop.compile((kind, kind))
        (code,) = loop.inspect_asm().values()
        packed = set(re.findall(r"\\bv?(?:mul|fn?m\\w+|div)p[sd]\\b.*%([xyz]mm)", code))
        called = re.findall({library!r}, code)
        if {register!r} not in packed or called:
            print(name, dtype.__name__, sorted(packed), called)
"""
TARGETS = [("xmm", "x86-64", ""), ("ymm", "haswell", ""), ("zmm", "skylake-avx512", "-prefer-256-bit")]


@on_x86
@pytest.mark.process
@pytest.mark.parametrize(("register", "cpu", "features"), TARGETS)
def test_loops_are_vectorised_for_each_width(register, cpu, features):
    code = WIDTHS.format(names=list(SCALARS), register=register, library=LIBRARY)
    assert run_python(code, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=features) == ""


@pytest.mark.parametrize("name", ["EXP2_32", "LOG64", "ERF32", "GELU32", "SIN64"])
def test_coefficients_come_out_of_the_script(name):
    with mp.workdps(polynomials.DIGITS):
        found, error = polynomials.remez(polynomials.fits()[name])
    assert tuple(map(float, found)) == getattr(_coefficients, name)
    assert error < 2**-24


@pytest.mark.slow
def test_the_coefficients_are_those_of_the_script():
    assert polynomials.PAGE.read_text(encoding="utf-8") == polynomials.text()
