"""The functions of one element in `scalars`: float32 against float64, that against 80 bits and against 50 digits.

The bounds are distances from the exact value, in steps of the dtype there.
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from numba import njit, typeof

from arrays import edge_floats, ordered, ulps
from bench import polynomials
from bench.kernels_scalars import furthest_of, own_loop_of, walk32, walk64
from bench.scalars import BETWEEN, ELEMENTARY, NEAR_ZERO, POSITIVE, SCALARS, ZEROS
from bench.wide import HAS_EXTENDED
from fastmlp_kernels import _coefficients, jit
from listings import ON_ARM64, X86, arm64_known, instructions, readable
from test_kernels_process import run_python

# With fused multiply-add and without.
MOST = 2
MOST32 = {"tanh1": 2.6}
ONE = [name for name in SCALARS if name != "pow1"]
ALL = SCALARS | ELEMENTARY


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


def values(name, *x):
    """Return what a function gives in the loop of the walks, so that all its proofs share one compilation."""
    out = np.empty_like(x[0])
    own_loop_of(name)(out, *x)
    return out


def assert_near(name, *x):
    x = [one[np.isfinite(x).all(axis=0)] for one in x]
    dtype, got = x[0].dtype.type, values(name, *x)
    at, most = furthest_of(name)(got, x[0], x[-1], dtype(ZEROS.get(name, np.inf)), dtype(NEAR_ZERO[dtype]))
    assert most <= MOST, f"{name}{[one[at] for one in x]} is {got[at]!r}: {most} ULP"


def floats(patterns):
    return patterns.astype(np.uint32).view(np.float32)


def inside(name, x):
    return x[(x > 0) & (x < 1)] if name in BETWEEN else x


@pytest.mark.parametrize("name", SCALARS)
def test_a_stride_through_every_float32(name):
    most, at = walk32(name, 2003)  # a prime: low and high mantissa bits both vary
    assert 0 <= most <= MOST, f"{most} at {at}"
    x = inside(name, edge_floats(np.float32))
    if name != "pow1":
        assert_near(name, np.concatenate([x, x + np.float32(0.5)])[: x.size if name in BETWEEN else None])


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_float32(name):
    most, at = walk32(name, 1)
    assert 0 <= most <= MOST32.get(name, MOST), f"{most} at {at}"


@pytest.mark.parametrize("name", ["sin1", "cos1"])
def test_large_angles_of_float32(name, rng):
    largest = rng.integers(0x4C000000, 0x7F800000, 1_000_000)
    assert_near(name, floats(np.append(largest, 1676017857)))  # the last is 6e-8 beside a quarter turn


def powers32(rng, count):
    """Return bases of every exponent and exponents for which the power is a number, and some for which it is not."""
    x = floats(rng.integers(0, 2**31 - 2**23, count))
    with np.errstate(divide="ignore"):
        y = rng.uniform(-155, 133, count) / np.log2(x.astype(np.float64))
    near_one = np.float32(1) + np.ldexp(rng.uniform(-1, 1, count), rng.integers(-24, 0, count)).astype(np.float32)
    return np.concatenate([x, near_one]), np.concatenate([y, rng.normal(0, 1e4, count)]).astype(np.float32)


def test_powers_of_float32(rng):
    assert_near("pow1", *powers32(rng, 500_000))


@pytest.mark.slow
def test_many_powers_of_float32(rng):
    for _ in range(100):
        assert_near("pow1", *powers32(rng, 1_000_000))


extended = pytest.mark.skipif(not HAS_EXTENDED, reason="the C library's long double has no 80 bits here")


@extended
def test_powers_of_float64_lose_little_to_the_logarithm():
    """The exponent multiplies its error by up to a thousand: beyond the last steps' own there is half an ULP."""
    most, at = walk64("pow1", 1_000_000)
    assert most <= 1.5, f"{most} at {at}"


@pytest.mark.slow
@extended
@pytest.mark.parametrize("name", ALL)
def test_many_float64_against_80_bits(name):
    most, at = walk64(name, 100_000_000)
    assert 0 <= most <= MOST, f"{most} at {at}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_at_the_edges_are_those_of_numpy(dtype):
    base = np.array([0, 1, 2, 0.5, np.inf, np.nan, 1e-30, 1e30, 3], dtype)
    info = np.finfo(dtype)
    base = np.concatenate([base, np.array([info.smallest_subnormal, info.tiny, info.max, 1 + info.eps], dtype)])
    most = [0, -0.0, 1, -1, 2, -2, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1e30, -1e30, info.max, -info.max]
    x, y = (one.ravel() for one in np.meshgrid(base, np.array(most, dtype)))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    assert ulps(values("pow1", x, y), want).max() <= 1
    assert np.isnan(values("pow1", -np.ones(3, dtype), np.array([1, 0.5, np.inf], dtype))).all()


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
    if name in ZEROS:
        x = np.concatenate([x, ZEROS[name] + small / 16])
    if name in ("sin1", "cos1"):
        x = np.concatenate([x, np.pi / 2 * rng.integers(1, 2**40, 4 * count), [6381956970095103 * 2.0**797]])
    else:  # mpmath has no end of an exponential
        x = x[np.abs(x) < 1100] if name not in POSITIVE else x
    return x[(x != 0) & np.isfinite(x) & ((x != 1) | (name not in BETWEEN))]


def worst_of(name, *x):
    got = values(name, *x)
    errors = [exact_error(name, *map(float, each)) for each in zip(got, *x, strict=True)]
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
    assert worst <= MOST, f"{worst} at {at}"


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALARS)
def test_many_float64_against_many_digits(name, rng):
    for _ in range(20):
        x = powers64(rng, 10_000) if name == "pow1" else (sample(name, rng, 2000),)
        worst, at = worst_of(name, *x)
        assert worst <= MOST, f"{worst} at {at}"


def domain(name):
    """Return finite arguments where mpmath has an end of the work."""
    if name in BETWEEN:
        return st.floats(0, 1, exclude_min=True, exclude_max=True)
    if name in POSITIVE:
        return st.floats(0, exclude_min=True, allow_infinity=False)
    return st.floats(allow_nan=False, allow_infinity=False) if name in ("sin1", "cos1") else st.floats(-1100, 1100)


@pytest.mark.parametrize("name", ONE)
def test_any_float64_is_near(name):
    @given(st.lists(domain(name), min_size=8, max_size=8))
    @settings(max_examples=15, deadline=None, database=None)
    def near(values):
        worst, at = worst_of(name, np.array(values))
        assert worst <= MOST, f"{worst} at {at}"

    near()


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
    "leaky_relu1": [0, -0.0, INF, -INF, NAN],
    "elu1": [0, -0.0, INF, -1, NAN],
    "relu_slope1": [0, 0, 1, 0, NAN],
    "leaky_relu_slope1": [0.01, 0.01, 1, 0.01, NAN],
    "elu_slope1": [1, 1, 1, 0, NAN],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ONE)
def test_zeros_infinities_and_nan(name, dtype):
    got, want = values(name, np.array(X, dtype)), np.array(EDGES[name], dtype)
    np.testing.assert_array_equal(got, want)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_exact(dtype):
    info = np.finfo(dtype)
    n = np.arange(info.minexp - info.nmant, info.maxexp)
    powers = np.ldexp(dtype(1), n)  # the subnormal ones too
    np.testing.assert_array_equal(values("log2_1", powers), n)
    np.testing.assert_array_equal(values("exp2_1", n.astype(dtype)), powers)
    tens = np.arange(0, 11 if dtype == np.float32 else 23)
    np.testing.assert_array_equal(values("log10_1", (10.0**tens).astype(dtype)), tens)
    ends = values("exp2_1", np.array([info.maxexp, info.minexp - info.nmant - 1], dtype))
    np.testing.assert_array_equal(ends, [np.inf, 0])
    np.testing.assert_array_equal(values("logit1", np.array([0.5, 1, 1.5, -1], dtype)), [0, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(values("logit_slope1", np.array([0.5, 1, 1.5], dtype)), [4, np.inf, np.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_symmetry(dtype, rng):
    x = np.concatenate([rng.normal(0, 3, 100_000).astype(dtype), edge_floats(dtype)])
    x = x[np.isfinite(x)]
    for name in ("sin1", "erf1"):  # odd in every bit
        np.testing.assert_array_equal(ordered(values(name, -x)), ordered(-values(name, x)))
    for name in ("cos1", "tanh_slope1", "sigmoid_slope1", "erf_slope1"):
        np.testing.assert_array_equal(values(name, -x), values(name, x))
    assert np.max(np.abs(values("erf1", x))) == 1
    assert np.max(np.abs(values("sin1", x))) <= 1


LIBRARY = r"\b(?:exp2|log2|log10|pow|sin|cos|erfc?|fma|exp|ldexp|log1p|sqrt)f?\b"
NO_PRODUCTS = {"relu1", "relu_slope1", "leaky_relu_slope1"}
PACKED = r"\bv?(?:mul|fn?m\w+|div|max|min|cmp\w*|and)p[sd]\b"


@readable
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SCALARS)
def test_loops_are_vectorised_under_a_callers_own_options(name, dtype, rng):
    usual = np.concatenate([np.array(X), edge_floats(dtype)[::5], rng.normal(0, 3, 1000)]).astype(dtype)
    for options in ({}, {"fastmath": True, "error_model": "numpy"}):
        loop = Loop(name, **options)
        code = loop.code(dtype)
        # many of float32 are computed in float64
        packed = {f"{what}p{kind}" for what in ("mul", "div") for kind in ("sd" if dtype is np.float32 else "d")}
        assert name in NO_PRODUCTS or packed & instructions(code)
        assert not re.search(LIBRARY, code), "it calls the C library"
        x = (np.abs(usual), usual) if name == "pow1" else (usual,)
        np.testing.assert_array_equal(loop(*x), values(name, *x))  # infinities and NaN too


@readable
@pytest.mark.parametrize("name", ["silu1", "softplus_slope1", "log_sigmoid_slope1"])
def test_quotients_of_float32_fill_vectors_of_float32(name):
    assert not {"mulpd", "divpd"} & instructions(Loop(name).code(np.float32))


@readable
@pytest.mark.parametrize("name", ["sin1", "cos1"])
def test_angles_of_float32_read_no_table(name):
    assert "two_over_pi" not in Loop(name).code(np.float32)
    assert "two_over_pi" in Loop(name).code(np.float64)


WIDTHS = """
import re
import numpy as np
from numba import njit, typeof
from listings import compile_for_arm64

if {arm64}:
    compile_for_arm64()
from fastmlp_kernels import jit

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
        called = re.findall({library!r}, code)
        if called or not re.search({packed!r}, code):
            print(name, dtype.__name__, called)
"""


def not_vectorised(names, packed, cpu, features, arm64=False):
    code = WIDTHS.format(names=names, packed=packed, library=LIBRARY, arm64=arm64)
    return sorted(run_python(code, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=features).splitlines())


# The features are those by which this package chooses its code; LLVM knows the others by the name.
TARGETS = [
    ("xmm", "x86-64", ""),
    ("ymm", "haswell", "+avx2,+fma"),
    ("zmm", "skylake-avx512", "+avx2,+fma,+avx512f,-prefer-256-bit"),
]


@pytest.mark.skipif(not X86, reason="the names of x86's processors")
@pytest.mark.process
@pytest.mark.parametrize(("register", "cpu", "features"), TARGETS)
def test_loops_are_vectorised_for_each_width(register, cpu, features):
    packed = rf"{PACKED}.*%{register}"
    assert not_vectorised(list(ALL), packed, cpu, features) == []


@pytest.mark.skipif(not arm64_known(), reason="this LLVM makes no code for arm64")
@pytest.mark.process
def test_loops_are_vectorised_for_arm64():
    packed = "|".join(ON_ARM64[name] for name in ("mulps", "mulpd", "divps", "divpd"))
    names = [name for name in ALL if name not in NO_PRODUCTS]
    assert not_vectorised(names, packed, "generic", "", arm64=True) == []


WIDEST = """
import numpy as np
from numba import njit, typeof
from fastmlp_kernels import jit

for asks in (False, True):

    @njit
    def loop(x, out):
        if asks:
            jit.widest_vectors()
        for i in range(x.size):
            out[i] = jit.log2_1(x[i])

    kind = typeof(np.ones(1))
    loop.compile((kind, kind))
    (code,) = loop.inspect_asm().values()
    print("zmm" in code)
"""


@pytest.mark.skipif(not X86, reason="the names of x86's processors")
@pytest.mark.process
def test_a_function_asks_for_the_widest_vectors():
    printed = run_python(WIDEST, NUMBA_CPU_NAME="skylake-avx512", NUMBA_CPU_FEATURES="+prefer-256-bit")
    assert printed.split() == ["False", "True"]


@pytest.mark.parametrize("name", ["EXP2_32", "LOG10_32", "ERF32", "GELU32", "SIN64"])
def test_coefficients_come_out_of_the_script(name):
    with mp.workdps(polynomials.DIGITS):
        found, error = polynomials.remez(polynomials.fits()[name])
    assert tuple(map(float, found)) == getattr(_coefficients, name)
    assert error < 2**-24


def test_other_coefficients_make_up_for_the_rounding_of_the_first():
    fit = polynomials.Fit(lambda x: mp.exp(x / 8) / 3, -0.5, 0.5, 8)  # 1/3 is 2**-55.6 beside a float64

    def error_at_the_ends(rounded):
        found, _ = polynomials.remez(fit._replace(rounded=rounded))
        first = [mpf(float(c)) for c in found[:2]]
        assert rounded == 0 or first == found[:2]
        return max(abs(mp.polyval([*found[:1:-1], *first[::-1]], x) - fit.value(x)) for x in (fit.low, fit.high))

    with mp.workdps(polynomials.DIGITS):
        assert error_at_the_ends(2) < 2**-58 < 2**-56 < error_at_the_ends(0)


@pytest.mark.slow
def test_the_coefficients_are_those_of_the_script():
    assert polynomials.PAGE.read_text(encoding="utf-8") == polynomials.text()
