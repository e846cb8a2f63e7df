"""exp2, log2, log10, pow and the inverse square root of one element.

Logarithms of x = 2**k (1 + f) are k + f P(f) in float32, without the quotient that others begin with; in float64 that
takes longer. pow of float32 is worked in float64; that of float64 has the logarithm, and its product with the exponent,
in two float64 each.
"""

import math

import numpy as np

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._elementary64 import below_f
from fastmlp_kernels._jit import element
from fastmlp_kernels._pieces import ROUND, constant, fields, polynomial, power_of_two, product, scaled
from fastmlp_kernels._two_parts import lost_by, product_less

EXP2, LOG_REST = polynomial(of.EXP2_32, of.EXP2_64), polynomial(of.LOG_REST64)
LOG2, LOG2_LITE = polynomial(of.LOG2_32), polynomial(of.LOG2_LITE)
LOG10, EXP2_LITE = polynomial(of.LOG10_32), polynomial(of.EXP2_32)
# Beyond these exp2 is 0 or infinite.
LOW, HIGH = constant(-151.0, -1076.0), constant(128.0, 1024.0)
TINY = constant(2.0**-126, 2.0**-1022)
# What makes subnormal numbers normal, and its exponent.
UP, UP_BY = constant(2.0**24, 2.0**54), constant(24.0, 54.0)
LOG10_2_HIGH, LOG10_2_LOW = map(constant, of.LOG10_2_32, of.LOG10_2_64)
THIRDS, THIRDS_LOW = of.TWO_THIRDS_64
LOG2_E, LOG2_E_REST = of.LOG2_E_FULL_64
LOG10_E, LOG10_E_REST = of.LOG10_E_64
# As an exponent of pow, beyond it every base but 1 has 0 or infinity.
MOST_Y = 2.0**66


@element
def exp2(x):
    """2**x."""
    x = LOW(x) if x < LOW(x) else x  # written so that a NaN fails both comparisons and passes through
    x = HIGH(x) if x > HIGH(x) else x
    shifted = x + ROUND(x)
    r = x - (shifted - ROUND(x))
    return scaled(EXP2(r) * r + type(r)(1), shifted)


@element
def _at_limits(result, x):
    """Return the result for x, or what a logarithm is at and below zero, at infinity and for NaN."""
    result = result if x < type(x)(np.inf) else x
    return result if x > type(x)(0) else type(x)(-np.inf if x == type(x)(0) else np.nan)


@element
def _fields(x):
    """Return (k, f): x = 2**k (1 + f), which is from sqrt 1/2 to sqrt 2."""
    subnormal = x < TINY(x)
    k, m = fields(x * UP(x) if subnormal else x)
    return k - (UP_BY(x) if subnormal else type(x)(0)), m - type(x)(1)


@element
def log2_32(x):
    """Logarithm to base 2."""
    k, f = _fields(x)
    return _at_limits(f * LOG2(f) + k, x)


@element
def log2_64(x):
    """Logarithm to base 2."""
    k, f = _fields(x)
    return _at_limits(product_less(f, LOG2_E, below_f(f) * LOG2_E - f * LOG2_E_REST) + k, x)


@element
def log10_32(x):
    """Logarithm to base 10."""
    k, f = _fields(x)
    return _at_limits(k * LOG10_2_HIGH(x) + (f * LOG10(f) + k * LOG10_2_LOW(x)), x)


@element
def log10_64(x):
    """Logarithm to base 10."""
    k, f = _fields(x)
    less = below_f(f) * LOG10_E - (f * LOG10_E_REST + k * LOG10_2_LOW(x))
    return _at_limits(k * LOG10_2_HIGH(x) + product_less(f, LOG10_E, less), x)


@element
def pow32(x, y):
    """x**y, of x >= 0."""
    w, one = np.float64(x), np.float64(1)
    k, m = fields(w)
    s = (m - one) / (m + one)
    t = s * LOG2_LITE(s * s) + k
    q = np.float64(y) * _at_limits(t, w)
    q = -200.0 if q < -200.0 else q
    q = 200.0 if q > 200.0 else q
    shifted = q + ROUND(q)
    r = q - (shifted - ROUND(q))
    result = np.float32((EXP2_LITE(r) * r + one) * power_of_two(shifted))
    return np.float32(1) if (x == np.float32(1)) | (y == np.float32(0)) else result


@element
def _log2_in_two(x):
    """Return log2 of a positive x as high + low, to 2**-64 of it."""
    subnormal = x < 2.0**-1022
    k, m = fields(x * 2.0**54 if subnormal else x)
    k = k - (54.0 if subnormal else 0.0)
    f, d = m - 1.0, m + 1.0
    d_low = (1.0 - d) + m
    inverse = 1.0 / d
    s = product(f, inverse)
    p = product(s, d)
    s_low = (((f - p) - lost_by(p, s, d)) - s * d_low) * inverse
    # 2 atanh s = 2 s + 2/3 s^3 + s^5 (...), the first two in two parts
    z = product(s, s)
    z_low = lost_by(z, s, s) + 2.0 * s * s_low
    t = product(s, z)
    t_low = lost_by(t, s, z) + (s * z_low + s_low * z)
    u = product(t, THIRDS)
    u_low = lost_by(u, t, THIRDS) + (t * THIRDS_LOW + t_low * THIRDS)
    first = 2.0 * s + u
    fifth = t * z + (t_low * z + t * z_low)  # s may be off by three of its last bits, and s^5 by fifteen
    rest = ((2.0 * s - first) + u) + (fifth * LOG_REST(z) + (u_low + 2.0 * s_low))
    high = first + rest
    low = (first - high) + rest
    p = product(high, LOG2_E)
    p_low = lost_by(p, high, LOG2_E) + (high * LOG2_E_REST + low * LOG2_E)
    result = k + p
    return result, ((k - result) + p) + p_low


@element
def pow64(x, y):
    """x**y, of x >= 0."""
    high, low = _log2_in_two(x)
    bounded = MOST_Y if y > MOST_Y else y
    bounded = -MOST_Y if y < -MOST_Y else bounded
    q = product(bounded, high)
    q_low = lost_by(q, bounded, high) + bounded * low
    q_low = q_low if (q > LOW(q)) & (q < HIGH(q)) else 0.0
    q = LOW(q) if q < LOW(q) else q
    q = HIGH(q) if q > HIGH(q) else q
    shifted = q + ROUND(q)
    r = (q - (shifted - ROUND(q))) + q_low
    result = scaled(EXP2(r) * r + 1.0, shifted)
    end = np.inf if (x == 0.0) == (y < 0.0) else 0.0
    result = end if ((x == 0.0) | (x == np.inf)) & (y == y) else result  # y is NaN where it is not y
    result = result if x >= 0.0 else np.nan
    return 1.0 if (x == 1.0) | (y == 0.0) else result


@element
def rsqrt(x):
    """1 / sqrt(x)."""
    return type(x)(1) / math.sqrt(x)
