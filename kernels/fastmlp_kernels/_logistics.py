"""Softplus, the logarithm of the logistic sigmoid, logit and SiLU of one element, and slopes.

Those of float32 are worked in float64, with short polynomials; those of float64 begin with an exponential in two parts.
Of both SiLU is the quotient of the sigmoid.
"""

import numpy as np

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._elementary32 import BEHIND as BEHIND32
from fastmlp_kernels._elementary32 import SIGMOID_MOST, total32
from fastmlp_kernels._elementary64 import BEHIND, exp64, total64
from fastmlp_kernels._jit import element
from fastmlp_kernels._pieces import ROUND, fields, magnitude, polynomial, power_of_two, product
from fastmlp_kernels._two_parts import LN2_HIGH, LN2_LOW, exp_in_two, exp_lite, lost_by, sum_in_two, times_power

LOG, LOG_LITE = polynomial(of.LOG64), polynomial(of.LOG_LITE)
NEAR_ZERO, (ZERO, _), NEAR = polynomial(of.SILU_NEAR_ZERO64), of.SILU_ZERO_64, of.NEAR
ZERO_TIMES = of.SILU_AT_ZERO_64  # what ZERO lacks, times the slope of 1 + exp(-a) - a there
# Beyond these exp(-a) is 0.
MOST32, MOST64 = 120.0, 760.0
# Beyond it log(1 + exp(-a)) is exp(-a), in float64.
TAIL = 42.0


@element
def _log1p_lite(e):
    """Return log(1 + e) of 0 <= e <= 1 to 2**-40 of it."""
    over = e > 0.4142135623730951
    f = 0.5 * (e - 1.0) if over else e
    s = f / (f + 2.0)
    z = s * s
    return (2.0 * s + s * z * LOG_LITE(z)) + (LN2_HIGH + LN2_LOW if over else 0.0)


@element
def softplus32(x):
    """log(1 + exp(x))."""
    w = np.float64(x)
    return np.float32((w if w > 0.0 else 0.0) + _log1p_lite(exp_lite(-magnitude(w, MOST32))))


@element
def softplus64(x):
    """log(1 + exp(x))."""
    shifted, high, low = exp_in_two(-magnitude(x, MOST64))
    far = times_power(high, shifted)
    s = power_of_two(ROUND(x) - 64.0 if shifted < ROUND(x) - 64.0 else shifted)
    e, e_low = high * s, low * s
    over = e >= 0.5
    f = 0.5 * (e - 1.0) if over else e  # exact
    f_low = 0.5 * e_low if over else e_low
    t = f / (f + 2.0)
    z = t * t
    half = 0.5 * f * f
    # log(1 + f + f_low), f_low / (1 + f) to a part in ten
    rest = t * (half + z * LOG(z)) + (f_low * ((f - 1.0) * f + 1.0) + (LN2_LOW if over else 0.0))
    near = (LN2_HIGH if over else 0.0) - ((half - rest) - f)
    return (x if x > 0.0 else 0.0) + (far if abs(x) > TAIL else near)


@element
def logit32(x):
    """log(x / (1 - x))."""
    w = np.float64(x)
    odds = w / (1.0 - w)
    k, m = fields(odds)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    result = k * (LN2_HIGH + LN2_LOW) + (2.0 * s + s * z * LOG_LITE(z))
    result = result if odds > 0.0 else (-np.inf if w == 0.0 else np.nan)
    return np.float32(result if odds < np.inf else np.inf if w == 1.0 else np.nan)


@element
def logit64(x):
    """log(x / (1 - x))."""
    above = x > 0.5
    q = 1.0 - x if above else x
    b = 1.0 - q
    b_low = (1.0 - b) - q
    subnormal = q < 2.0**-1020
    k, _ = fields((q * 2.0**54 if subnormal else q) / b)
    k = k - (54.0 if subnormal else 0.0)
    # q / (1 - q) = 2**k m, and log m = 2 atanh s with s = (a - b) / (a + b), a = q / 2**k
    half = (0.0 - k) * 0.5 + ROUND(x)
    a = q * power_of_two(half) * power_of_two(((ROUND(x) - k) - half) + ROUND(x))
    s = ((a - b) - b_low) / (a + b)
    z = s * s
    result = k * LN2_HIGH + (2.0 * s + (s * z * LOG(z) + k * LN2_LOW))
    result = result if q > 0.0 else (-np.inf if q == 0.0 else np.nan)
    return -result if above else result


@element
def silu32(x):
    """x / (1 + exp(-x))."""
    ahead, total = total32(x)
    zero = np.float32(0)
    below = x if x > -SIGMOID_MOST else -SIGMOID_MOST
    return (below * ahead if x < zero else x) / total * (BEHIND32 if x < zero else np.float32(1))


@element
def _at_least(shifted):
    """Return 2**n, shifted = ROUND + n, or 2**-64 where it is less: beside 1 that is nothing."""
    least = ROUND(shifted) - 64.0
    return power_of_two(least if shifted < least else shifted)


@element
def silu64(x):
    """x / (1 + exp(-x))."""
    ahead, total = total64(x)
    below = x if x > -MOST64 else -MOST64
    return (below * ahead if x < 0.0 else x) / total * (BEHIND if x < 0.0 else 1.0)


@element
def sigmoid_slope32(x):
    """Slope of the logistic sigmoid."""
    e = exp_lite(-magnitude(np.float64(x), MOST32))
    return np.float32(e / ((1.0 + e) * (1.0 + e)))


@element
def _sigmoid_slope_parts(a):
    """Return (shifted, slope, lost, total, rest) at a >= 0.

    The sigmoid's slope is 2**n slope (1 + lost), and 1 + exp(-a) is total + rest.
    """
    shifted, high, low = exp_in_two(-a)
    s = _at_least(shifted)
    total, rest = sum_in_two(1.0, high * s)
    rest = rest + low * s
    square = product(total, total)
    lost = lost_by(square, total, total) + 2.0 * total * rest
    slope = high / square
    lost = ((low - lost_by(high, slope, square)) - slope * lost) * (2.07 - high)  # nearly over high
    return shifted, slope, lost, total, rest


@element
def sigmoid_slope64(x):
    """Slope of the logistic sigmoid."""
    shifted, slope, lost, _, _ = _sigmoid_slope_parts(magnitude(x, MOST64))
    return times_power(slope + slope * lost, shifted)


@element
def tanh_slope32(x):
    """Slope of the hyperbolic tangent."""
    e = exp_lite(-magnitude(2.0 * np.float64(x), MOST32))
    return np.float32(4.0 * e / ((1.0 + e) * (1.0 + e)))


@element
def tanh_slope64(x):
    """Slope of the hyperbolic tangent."""
    shifted, slope, lost, _, _ = _sigmoid_slope_parts(magnitude(2.0 * x, MOST64))
    return times_power(4.0 * (slope + slope * lost), shifted)


@element
def silu_slope32(x):
    """Slope of SiLU."""
    # near its zero the exponential must be that of float64
    w = np.float64(x)
    a = magnitude(w, 4.0 * MOST32)
    e = exp64(-a)
    below = e * ((1.0 - a) + e) / ((1.0 + e) * (1.0 + e))
    return np.float32(below if w < 0.0 else 1.0 - below)


@element
def silu_slope64(x):
    """Slope of SiLU."""
    a = magnitude(x, MOST64)
    shifted, slope, lost, total, rest = _sigmoid_slope_parts(a)
    d = ZERO - a
    near, near_low = sum_in_two(d, d * NEAR_ZERO(d))
    far, far_low = sum_in_two(total, -a)
    is_near = abs(d) < NEAR  # where what rest lacks is felt
    factor = near if is_near else far
    p = slope * factor
    p = p + (p * lost + slope * (near_low + ZERO_TIMES if is_near else far_low + rest))
    below = times_power(p, shifted)
    return below if x < 0.0 else 1.0 - below


@element
def logit_slope32(x):
    """Slope of logit."""
    w = np.float64(x)
    return np.float32(_inside(1.0 / abs(w * (1.0 - w)), w))


@element
def logit_slope64(x):
    """Slope of logit."""
    b = 1.0 - x
    b_low = (1.0 - b) - x  # what that lost, of x below 1/2
    result = 1.0 / abs(x * b)
    near = x > 0.0  # not where the result is infinite, and the correction NaN
    return _inside(result - result * (b_low * (1.0 + x)) if near & (b > 0.0) else result, x)


@element
def _inside(result, x):
    """Return the result, or NaN where x is no chance."""
    return result if (x >= 0.0) & (x <= 1.0) else np.nan
