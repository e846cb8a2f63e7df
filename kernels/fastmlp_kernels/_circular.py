"""Sine and cosine of one element, of any size.

x in quarter turns is x 2 / pi. Of the bits of 2 / pi those are taken that matter for an x of its exponent, as products
with the others are whole turns (the method of Payne and Hanek, without its branches). What is beyond whole quarter
turns is an angle of at most 45 degrees.

For float32 all is worked in float64, whose bits serve many exponents at once, so that there are five ranges of x to
choose among: that is faster than to read a table. For float64 the bits come from a table, in parts whose products with
parts of x are exact, and the angle is in two parts.
"""

from fractions import Fraction

import numpy as np

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._jit import element
from fastmlp_kernels._pieces import ROUND, by_exponent, head, polynomial, product, turned
from fastmlp_kernels._two_parts import lost_by, sum_in_two

SIN32, COS32, SIN64, COS64 = (polynomial(c) for c in (of.SIN32, of.COS32, of.SIN64, of.COS64))
HALF_PI, HALF_PI_LOW = of.HALF_PI_64
# Below these the sine is x; below that of float64, whose exponent is that of the first row, the cosine is 1.
LOWEST64 = -28
SMALL32, SMALL64 = 2.0**-13, 2.0**LOWEST64


def _rows(lowest: int, highest: int, top: int, cuts: list[int]) -> list[list[float]]:
    """Return 2**e 2 / pi mod 2**top for each e, in parts: above 2**cut for each cut, and the rest."""
    rows = []
    for e in range(lowest, highest + 1):
        left = (of.TWO_OVER_PI << e if e > 0 else of.TWO_OVER_PI >> -e) % (1 << (of.TWO_OVER_PI_BITS + top))
        row = []
        for cut in cuts:
            below = of.TWO_OVER_PI_BITS + cut
            row.append(float(left >> below) * 2.0**cut)
            left %= 1 << below
        rows.append([*row, left / (1 << of.TWO_OVER_PI_BITS)])
    return rows


def _two_over_pi(lowest: int) -> tuple[float, float]:
    """Return 2 / pi in two float64, for multiples of 2**lowest: less what makes whole turns of these."""
    turn = 1 << (of.TWO_OVER_PI_BITS + 2 - lowest)
    left = (of.TWO_OVER_PI + turn // 2) % turn - turn // 2  # at most half a turn, of either sign
    high = float(Fraction(left, 1 << of.TWO_OVER_PI_BITS))
    return high, float(Fraction(left, 1 << of.TWO_OVER_PI_BITS) - Fraction(high))


# Where the ranges of float32 end: x is a multiple of 2**lowest, and its product, less whole turns, below 2**47.
ENDS = tuple(2.0**e for e in range(46, 128, 23))
FACTORS = tuple(_two_over_pi(lowest) for lowest in range(0, 128 - 23, 23))
# m is a multiple of 2**-52, and a turn is 4.
TURNS64 = by_exponent(LOWEST64, _rows(LOWEST64, 1023, 54, [28, 2, -24, -50, -76]))


@element
def _beyond(t):
    """Return what t is beyond the nearest integer, and that integer."""
    n = (t + ROUND(t)) - ROUND(t)
    return t - n, n


@element
def _by_range32(a, at):
    """Return 2 / pi for |x| = a, in the first or the second of two parts."""
    c = FACTORS[0][at] if a < ENDS[0] else FACTORS[1][at]
    c = c if a < ENDS[1] else FACTORS[2][at]
    c = c if a < ENDS[2] else FACTORS[3][at]
    return c if a < ENDS[3] else FACTORS[4][at]


@element
def _angle32(x):
    """Return (shifted, sine, cosine) of the angle beyond n quarter turns, shifted = ROUND + n."""
    a = abs(x)
    c = _by_range32(a, 0)
    turns = product(x, c)
    shifted = turns + ROUND(x)
    t = (turns - (shifted - ROUND(x))) + (x * _by_range32(a, 1) + lost_by(turns, x, c))
    z = t * t
    return shifted, t * SIN32(z), COS32(z)


@element
def sin32(x):
    """Sine."""
    w = np.float64(x)
    shifted, sine, cosine = _angle32(w)
    result = np.float32(turned(sine, cosine, shifted))  # before the choice: LLVM would jump over so much work
    return x if abs(w) < SMALL32 else result


@element
def cos32(x):
    """Cosine."""
    w = np.float64(x)
    shifted, sine, cosine = _angle32(w)
    return np.float32(turned(sine, cosine, shifted + 1.0))


@element
def _angle64(x):
    """Return (shifted, sine, cosine) of the angle beyond n quarter turns, shifted = ROUND + n."""
    m, c1, c2, c3, c4, c5, c6 = TURNS64(x)
    m1 = head(m)
    m2 = m - m1
    # m1 c1 is whole turns; all products but the last are exact, and so are the sums of the first four
    f, first = _beyond(m2 * c1)
    g, second = _beyond(m1 * c2)
    h, third = _beyond(m2 * c2)
    f, fourth = _beyond((f + g) + m1 * c3)
    f, fifth = _beyond(f + h)
    shifted = (((first + second) + (third + fourth)) + fifth) + ROUND(x)
    f, lost = sum_in_two(f, m1 * c4)
    f, more = sum_in_two(f, m2 * c3)
    low, lost = sum_in_two(lost + more, m1 * c5)
    low, more = sum_in_two(low, m2 * c4)
    low, lost = sum_in_two(low, (m2 * c5 + m * c6) + (lost + more))
    f, f_low = sum_in_two(f, low)
    f, f_low = sum_in_two(f, f_low + lost)
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
    result = turned(sine, cosine, shifted) + (x - x)
    return x if abs(x) < SMALL64 else result


@element
def cos64(x):
    """Cosine."""
    shifted, sine, cosine = _angle64(x)
    result = turned(sine, cosine, shifted + 1.0) + (x - x)
    return 1.0 if abs(x) < SMALL64 else result
