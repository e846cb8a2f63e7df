"""The exponential of one float64 as the sum of two: what further steps start from where one rounding more is too much.

Each function returns (shifted, high, low), and stands for 2**n (high + low), shifted = ROUND + n, high from sqrt 1/2 to
sqrt 2 and rounded to nearest, low what that lost, to 2**-58. Beside them, exp of moderate float64 to 2**-34, for those
who only want a float32 of it.
"""

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._jit import element
from fastmlp_kernels._pieces import ROUND, fused, head, polynomial, power_of_two, product
from fastmlp_kernels._target import fuses

EXP, EXP_LITE = polynomial(of.EXP64), polynomial(of.EXP_LITE)
LOG2_E, _ = of.LOG2_E_FULL_64
LN2_HIGH, LN2_LOW = of.LN2_64


@element
def sum_in_two(x, y):
    """Return x + y, rounded, and what that lost (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


@element
def _lost_by(p, x, y):
    """Return x * y - p exactly, p that product rounded (Dekker)."""
    x_high, y_high = head(x), head(y)
    x_low, y_low = x - x_high, y - y_high
    return (((x_high * y_high - p) + x_high * y_low) + x_low * y_high) + x_low * y_low


@element
def _fused_lost_by(p, x, y):
    """Return x * y - p exactly, p that product rounded."""
    return fused(x, y, -p)


@element
def _product_less(x, y, n):
    """Return x * y - n, rounded once where n is near the product."""
    p = product(x, y)
    less, lost = p - n, _lost_by(p, x, y)
    total = less + lost
    return total if lost != 0.0 else less  # of which a -0 stays one


@element
def _fused_product_less(x, y, n):
    """Return x * y - n, rounded once."""
    return fused(x, y, -n)


# In one step where the CPU has it.
lost_by, product_less = (_fused_lost_by, _fused_product_less) if fuses() else (_lost_by, _product_less)


@element
def line_in_two(c, x, y):
    """Return c + x * y."""
    p = product(x, y)
    total, lost = sum_in_two(c, p)
    return total, lost + lost_by(p, x, y)


@element
def rational_in_two(a, k):
    """Return (u, lost), k / (k + a) = u (1 + lost), a >= 0."""
    w, w_lost = sum_in_two(a, k)
    u = k / w
    return u, -(lost_by(k, u, w) + u * w_lost) / k


@element
def _one_plus(r, rest):
    """Return (high, low) of exp(r + rest), |r| <= ln 2 / 2 and rest a rounding of it."""
    one = 1.0 + r
    p = EXP(r) * (r * r) + (((1.0 - one) + r) + rest * one)
    high = one + p
    return high, (one - high) + p


@element
def exp_in_two(x):
    """Return exp(x)."""
    shifted = x * LOG2_E + ROUND(x)
    n = shifted - ROUND(x)
    upper = x - n * LN2_HIGH
    r = upper - n * LN2_LOW
    rest = (upper - r) - n * LN2_LOW
    high, low = _one_plus(r, rest)
    return shifted, high, low


@element
def gaussian_in_two(a, scale, more, more_low):
    """Return exp(scale * a^2 + more + more_low), scale -1 or -1/2, 0 <= a <= 40, |more| <= 1."""
    square = product(a, a)
    lost = lost_by(square, a, a)
    x = scale * square
    shifted = (x + more) * LOG2_E + ROUND(a)
    n = shifted - ROUND(a)
    upper = x - n * LN2_HIGH  # exact
    both, rest = sum_in_two(upper, more)
    rest = rest + (scale * lost + (more_low - n * LN2_LOW))
    r = both + rest
    high, low = _one_plus(r, (both - r) + rest)
    return shifted, high, low


@element
def times_power(x, shifted):
    """Return x * 2**n, shifted = ROUND + n, n from -1150 to 800: 2**n need be no normal number, nor the result."""
    return x * power_of_two(shifted + 128.0) * 2.0**-128


@element
def exp_lite(x):
    """Return exp(x) of |x| < 700 to 2**-34 of it."""
    shifted = x * LOG2_E + ROUND(x)
    n = shifted - ROUND(x)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    return ((EXP_LITE(r) * (r * r) + r) + 1.0) * power_of_two(shifted)
