"""Sine and cosine of one element, of any size.

x is turned into half or quarter turns, as x / pi or x 2 / pi. Of the bits of that factor those are taken that matter
for an x of its exponent, as products with the others are whole turns (the method of Payne and Hanek, without its
branches).

For float32 all is worked in float64, whose bits serve many exponents at once, so that there are four ranges of x to
choose among: that is faster than to read a table. What is beyond whole half turns is an angle of at most a quarter
turn, whose sine is one polynomial. For float64 the bits are read from a string of them, as three words that become
four factors, and the angle beyond whole quarter turns is in two parts.
"""

import math
from fractions import Fraction

import numpy as np

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._jit import element
from fastmlp_kernels._pieces import ROUND, factors_by_exponent, negated_if_odd, polynomial, product, turned
from fastmlp_kernels._two_parts import lost_by, product_less, sum_in_two

SIN32, SIN64, COS64 = (polynomial(c) for c in (of.SIN32, of.SIN64, of.COS64))
HALF_PI, HALF_PI_LOW = of.HALF_PI_64
# Below it the sine of float64 is x.
SMALL64 = 2.0**-28


def _over_pi(lowest: int) -> tuple[float, float]:
    """Return 1 / pi in two float64, for multiples of 2**lowest: less what makes whole turns of these."""
    turn = 1 << (of.TWO_OVER_PI_BITS + 2 - lowest)
    left = (of.TWO_OVER_PI + turn // 2) % turn - turn // 2  # at most half a turn, of either sign
    half_turns = Fraction(left, 2 << of.TWO_OVER_PI_BITS)
    high = math.nextafter(float(half_turns), 0)  # so that both have one sign, and -0 keeps its own
    return high, float(half_turns - Fraction(high))


# Where the ranges of float32 end: chosen so that products, less whole turns, are below 2**48.4 in all.
ENDS = (2.0**50, 2.0**77, 2.0**102)
FACTORS = (_over_pi(0), *(_over_pi(int(np.log2(end)) - 23) for end in ENDS))
# Of p >= 0, which is a multiple of 4 or below 2**54: (p - FOURS) + FOURS is the nearest multiple of 4.
FOURS = 2.0**55


@element
def _by_range32(a, at):
    """Return 1 / pi for |x| = a, in the first or the second of two parts."""
    c = FACTORS[0][at] if a < ENDS[0] else FACTORS[1][at]
    c = c if a < ENDS[1] else FACTORS[2][at]
    return c if a < ENDS[2] else FACTORS[3][at]


@element
def _sine_beyond(x, n):
    """Return the sine of what x is beyond n half turns, n an integer or midway between two."""
    a = abs(x)
    t = product_less(x, _by_range32(a, 0), n) + x * _by_range32(a, 1)
    return t * SIN32(t * t)


@element
def sin32(x):
    """Sine."""
    w = np.float64(x)
    shifted = w * _by_range32(abs(w), 0) + ROUND(w)
    return np.float32(negated_if_odd(_sine_beyond(w, shifted - ROUND(w)), shifted))


@element
def cos32(x):
    """Cosine."""
    w = np.float64(x)
    shifted = (w * _by_range32(abs(w), 0) + 0.5) + ROUND(w)
    return np.float32(negated_if_odd(_sine_beyond(w, (shifted - ROUND(w)) - 0.5), shifted))


@element
def _angle64(x):
    """Return (shifted, sine, cosine) of the angle of |x| beyond n quarter turns, shifted = ROUND + n."""
    # |x| is m (c1 + c2 + c3 + c4), less whole turns. What is beside a multiple of 4 of the first product is exact.
    m, c1, c2, c3, c4 = factors_by_exponent(x)
    p = product(m, c1)
    f = product_less(m, c1, (p - FOURS) + FOURS)
    p = product(m, c2)
    f, low = sum_in_two(f, p)
    shifted = f + ROUND(x)
    f = f - (shifted - ROUND(x))
    # what is left is as small as 2**-62, for an x that is nearly whole quarter turns
    low, lost = sum_in_two(low, lost_by(p, m, c2))
    p = product(m, c3)
    low, more = sum_in_two(low, p)
    f, f_low = sum_in_two(f, low)
    f_low = f_low + ((lost + more) + (m * c4 + lost_by(p, m, c3)))
    r = product(f, HALF_PI)
    r_low = lost_by(r, f, HALF_PI) + (f * HALF_PI_LOW + f_low * HALF_PI)
    z = r * r
    half = 0.5 * z
    sine = r + (r * (z * SIN64(z)) + r_low * (1.0 - half))
    one = 1.0 - half
    cosine = one + (((1.0 - one) - half) + (z * z * COS64(z) - r * r_low))
    return shifted, sine, cosine


@element
def sin64(x):
    """Sine."""
    shifted, sine, cosine = _angle64(x)
    result = turned(sine, cosine, shifted, x) + (x - x)
    return x if abs(x) < SMALL64 else result


@element
def cos64(x):
    """Cosine."""
    shifted, sine, cosine = _angle64(x)
    return turned(sine, cosine, shifted + 1.0, 1.0) + (x - x)
