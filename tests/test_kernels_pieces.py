"""Pieces of the elementary functions: scaling by powers of two, the parts of a float, and the bits of 2 / pi."""

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels import _pieces, _two_parts
from fastmlp_kernels._target import scales
from listings import ARM64

DTYPES = [np.float32, np.float64]
ROUND = {np.float32: 1.5 * 2.0**23, np.float64: 1.5 * 2.0**52}
# The least and the most n that exponentials scale by.
POWERS = {np.float32: (-151, 128), np.float64: (-1076, 1024)}


def apply(piece, *columns, parts=0):
    """Return a piece's values in a loop: one array, or one for each of its parts."""

    @njit(error_model="numpy")
    def loop(x, y, out):
        for i in range(x.size):
            if parts:
                values = piece(x[i])
                for part in range(parts):
                    out[part, i] = values[part]
            else:
                out[0, i] = piece(x[i], y[i])

    out = np.empty((max(parts, 1), columns[0].size), columns[0].dtype)
    loop(columns[0], columns[-1], out)
    return out if parts else out[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", ["_scaled_in_two", "_scaled_at_once"])
def test_scaling_rounds_once(how, dtype, rng):
    if how == "_scaled_at_once" and not scales():
        pytest.skip("no instruction for it")
    least, most = POWERS[dtype]
    n = np.append(rng.integers(least, most + 1, 100_000), [least, most, most, 0])
    x = np.append(rng.uniform(0.5**0.5, 2**0.5, n.size - 4), [1, 1, 1.4, np.nan]).astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        wanted = np.ldexp(x, n)
    np.testing.assert_array_equal(apply(getattr(_pieces, how), x, (n + ROUND[dtype]).astype(dtype)), wanted)
    assert np.sum((wanted > 0) & (wanted < np.finfo(dtype).tiny)) > 100  # some are subnormal


@pytest.mark.parametrize("dtype", DTYPES)
def test_fields_are_an_exponent_and_a_mantissa_around_one(dtype, rng):
    info = np.finfo(dtype)
    x = np.append(np.ldexp(rng.uniform(1, 2, 10_000), rng.integers(info.minexp, info.maxexp, 10_000)), [1, info.max])
    x = np.append(x.astype(dtype), info.tiny)
    k, m = apply(_pieces.fields, x, parts=2)
    np.testing.assert_array_equal(np.ldexp(m.astype(np.longdouble), k.astype(int)), x)
    assert np.all((m >= np.nextafter(dtype(0.5**0.5), dtype(0))) & (m <= np.nextafter(dtype(2**0.5), dtype(2))))


def test_factors_hold_the_bits_of_two_over_pi_that_matter(rng):
    """Exactly, but for what is below the last one: that is less than 2**-130 of a quarter turn."""
    exponents = np.append(np.arange(-47, 1024), [-1000, -1074])
    x = np.ldexp(rng.uniform(1, 2, exponents.size), exponents) * rng.choice([-1, 1], exponents.size)
    lowest = apply(_pieces.factors_by_exponent, np.array([2.0**-47]), parts=5)[1:, 0]
    for angle, m, *parts in zip(x, *apply(_pieces.factors_by_exponent, x, parts=5), strict=True):
        assert 2 <= m < 2**9
        turns = Fraction(m) * sum(map(Fraction, parts))
        if abs(angle) < 2.0**-47:
            np.testing.assert_array_equal(parts, lowest)
            continue
        wanted = Fraction(abs(angle)) * Fraction(of.TWO_OVER_PI, 1 << of.TWO_OVER_PI_BITS)
        assert abs((wanted - turns + 2) % 4 - 2) < Fraction(1, 2**130)
        for part, unit, end in zip(parts, (1, -51, -103, -139), (53, 1, -51, -103), strict=True):
            assert Fraction(part) % Fraction(2) ** unit == 0
            assert 0 <= part < 2.0**end


# As the kernels are compiled: else nothing would be fused.
CONTRACTING = {"fastmath": {"contract"}, "error_model": "numpy"}


@pytest.mark.skipif(ARM64, reason="there LLVM fuses a product with its only use, whatever its flags")
def test_a_product_is_not_fused_with_a_subtraction(rng):
    @njit(**CONTRACTING)
    def loop(x, y, out):
        for i in range(x.size):
            out[i] = _pieces.product(x[i], y[i]) - 2.0**35

    x, y = rng.uniform(1, 2, 10_000), rng.uniform(2**34, 2**35, 10_000)
    out = np.empty_like(x)
    loop(x, y, out)
    np.testing.assert_array_equal(out, x * y - 2.0**35)


@pytest.mark.parametrize("how", ["_product_less", "_fused_product_less"])
def test_a_product_less_a_number_near_it_is_rounded_once(how, rng):
    x, y = rng.uniform(1, 2, 10_000), rng.uniform(2**30, 2**40, 10_000)
    n = np.rint(x * y)
    piece, out = getattr(_two_parts, how), np.empty_like(x)

    @njit(**CONTRACTING)
    def loop(x, y, n, out):
        for i in range(x.size):
            out[i] = piece(x[i], y[i], n[i])

    loop(x, y, n, out)
    wanted = [float(Fraction(a) * Fraction(b) - Fraction(c)) for a, b, c in zip(x, y, n, strict=True)]
    np.testing.assert_array_equal(out, wanted)
    loop(np.array([-0.0]), y, np.zeros(1), out)
    assert np.signbit(out[0])
