"""erf, erfc and GELU of one element, and slopes.

The tails are those of the normal distribution: exp(-x^2) (or exp(-x^2 / 2)) times a function that changes slowly, here
in t = u - 1/2, u = k / (k + x) (Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc x, Math.
Comp. 36, 1981). In float64 the logarithm of that function over u is what the polynomial gives: it goes into the
exponent, where its rounding counts least. Elements of float32 are worked in float64, with short polynomials. erf needs
less, as there the tail is the small part: 1 - exp(-P), the polynomial P near -log(erfc x), with neither a quotient nor
a number in two parts.
"""

import math

import numpy as np

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._elementary32 import exp_below32
from fastmlp_kernels._elementary64 import exp_below64
from fastmlp_kernels._jit import element
from fastmlp_kernels._pieces import magnitude, polynomial, product
from fastmlp_kernels._two_parts import (
    exp_lite,
    gaussian_in_two,
    line_in_two,
    lost_by,
    rational_in_two,
    sum_in_two,
    times_power,
)

F = np.float32

ERF32, ERF64 = polynomial(of.ERF32), polynomial(of.ERF64)
ERF_REST32, ERF_REST64 = polynomial(of.ERF_REST32), polynomial(of.ERF_REST64)
ERFC32, GELU32, GELU_SLOPE32 = polynomial(of.ERFC32), polynomial(of.GELU32), polynomial(of.GELU_SLOPE32)
# These are of logarithms, whose rounding is felt: those of the first two begin with a constant of their own.
(ERFC_FIRST, *_erfc64), (GELU_FIRST, *_gelu64) = of.ERFC64, of.GELU64
ERFC64, GELU64, GELU_SLOPE64 = polynomial(_erfc64), polynomial(_gelu64), polynomial(of.GELU_SLOPE64)
# What a relative change of u changes: the derivatives of the logarithms of these tails by log u.
ERFC_CHANGE, GELU_CHANGE = polynomial(of.ERFC_CHANGE), polynomial(of.GELU_CHANGE)
SLOPE_CHANGE = polynomial(of.SLOPE_CHANGE)
PHI64 = polynomial(of.PHI64)
ERFC_K, GELU_K, SLOPE_K, SMALL = of.ERFC_K, of.GELU_K, of.SLOPE_K, of.SMALL
ZERO, ZERO_LOW = of.GELU_ZERO_64
LOG_ERF_SLOPE, LOG_ERF_SLOPE_LOW = of.LOG_ERF_SLOPE_64
# Beyond these exp(-a^2), and exp(-a^2 / 2) times a, are 0.
ERFC_MOST32, GELU_MOST32 = 10.3, 14.6
ERFC_MOST64, GELU_MOST64 = 27.3, 38.7
# Of erf: where its form changes, and where it is 1.
ERF_CHANGE32, ERF_MOST32 = F(0.921875), F(4.0)
ERF_CHANGE64, ERF_MOST64 = 1.0, 6.0


@element
def erf32(x):
    """Error function."""
    a = magnitude(x, ERF_MOST32)
    z = a * a
    small = x + x * ERF32(z)
    large = F(math.copysign(F(1.0) - exp_below32(-ERF_REST32(a)), x))
    return small if a < ERF_CHANGE32 else large


@element
def erf64(x):
    """Error function."""
    a = magnitude(x, ERF_MOST64)
    small = x + x * ERF64(a * a)
    large = math.copysign(1.0 - exp_below64(-ERF_REST64(a - ERF_CHANGE64)), x)
    return small if a < ERF_CHANGE64 else large


@element
def _erfc_tail64(a):
    u, lost = rational_in_two(a, ERFC_K)
    t = u - 0.5
    shifted, high, low = gaussian_in_two(a, -1.0, *line_in_two(ERFC_FIRST, t, ERFC64(t)))
    factor = 0.5 * u
    return times_power(factor * high + factor * (low + high * (lost * ERFC_CHANGE(t))), shifted)


@element
def erfc32(x):
    """1 - erf(x)."""
    w = np.float64(x)
    a = magnitude(w, ERFC_MOST32)
    u = ERFC_K / (ERFC_K + a)
    tail = exp_lite(-a * a) * u * ERFC32(u - 0.5)
    return F(2.0 - tail if w < 0.0 else tail)


@element
def erfc64(x):
    """1 - erf(x)."""
    a = magnitude(x, ERFC_MOST64)
    tail = _erfc_tail64(a)
    small = (1.0 - x) - x * ERF64(a * a)
    large = 2.0 - tail if x < 0.0 else tail
    return small if a < SMALL else large


@element
def gelu32(x):
    """x times the chance that a normal number is below x."""
    w = np.float64(x)
    a = magnitude(w, GELU_MOST32)
    u = GELU_K / (GELU_K + a)
    return F((w if w >= 0.0 else -0.0) - a * (exp_lite(-0.5 * a * a) * u * GELU32(u - 0.5)))


@element
def gelu64(x):
    """x times the chance that a normal number is below x."""
    a = magnitude(x, GELU_MOST64)
    small = x * (0.5 + x * PHI64(a * a))
    u, lost = rational_in_two(a, GELU_K)
    t = u - 0.5
    shifted, high, low = gaussian_in_two(a, -0.5, *line_in_two(GELU_FIRST, t, GELU64(t)))
    factor = product(a, u)
    rest = factor * (low + high * (lost * GELU_CHANGE(t))) + lost_by(factor, a, u) * high
    tail = times_power(0.25 * (factor * high + rest), shifted)
    large = (x if x >= 0.0 else -0.0) - tail
    return small if a < SMALL else large


@element
def erf_slope32(x):
    """Slope of the error function."""
    a = magnitude(np.float64(x), ERFC_MOST32)
    return F(exp_lite(LOG_ERF_SLOPE - a * a))


@element
def erf_slope64(x):
    """Slope of the error function."""
    shifted, high, low = gaussian_in_two(magnitude(x, ERFC_MOST64), -1.0, LOG_ERF_SLOPE, LOG_ERF_SLOPE_LOW)
    return times_power(high + low, shifted)


@element
def gelu_slope32(x):
    """Slope of GELU."""
    w = np.float64(x)
    a = magnitude(w, GELU_MOST32)
    u = SLOPE_K / (SLOPE_K + a)
    below = exp_lite(-0.5 * a * a) * (ZERO - a) * GELU_SLOPE32(u - 0.5)
    return F(below if w < 0.0 else 1.0 - below)


@element
def gelu_slope64(x):
    """Slope of GELU."""
    a = magnitude(x, GELU_MOST64)
    u, lost = rational_in_two(a, SLOPE_K)
    t = u - 0.5
    shifted, high, low = gaussian_in_two(a, -0.5, GELU_SLOPE64(t), 0.0)
    low = low + high * (lost * SLOPE_CHANGE(t))
    factor, factor_low = sum_in_two(ZERO, -a)
    p = factor * high
    below = times_power(0.5 * (p + (factor * low + (factor_low + ZERO_LOW) * high)), shifted)
    return below if x < 0.0 else 1.0 - below
