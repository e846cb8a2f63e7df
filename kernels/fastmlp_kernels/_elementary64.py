"""Elementary functions of one float64, without branches, so that loops over them vectorise.

All have the form of their float32 siblings (`_elementary32`), whose steps are explained there:

    exp, expm1   x = n ln 2 + r, and a polynomial in r, |r| <= ln 2 / 2
    sigmoid      s / (s + 1 + (exp r - 1)) with s = 2**-n, in which exp(-x) itself never has to be rounded
    tanh         below 5/8 a rational function; above, 1 - 2 / (exp(2 x) + 1) with exp from the same rational function
    log          x = 2**k (1 + f), and log(1 + f) = 2 atanh s = s (2 + R) of s = f / (2 + f), arranged as f - s (f - R),
                 so that rounding s is felt in what is below f alone
    log1p        the same of 1 + x, arranged as in FreeBSD's libm: f - (f^2 / 2 - s (f^2 / 2 + R)), as f itself is
                 rounded there already

The coefficients were found for this package, by Remez' exchange for the polynomials and by Lawson's weights for the
rational function, in arithmetic of 60 digits. The largest errors seen, in ULP of the exact result, at 5 * 10**7
arguments each, of all exponents and mostly where a formula is weakest, with fused multiply-add and without:

    exp 0.98   expm1 1.62   log 0.97   log1p 1.43   tanh 1.53   sigmoid 2.00

No step needs a fused multiply-add, and none is hurt by one: the products that must be exact, those by powers of two and
by the high part of ln 2, have no bits to round.
"""

import math

import numpy as np

from fastmlp_kernels._jit import element, part
from fastmlp_kernels._pieces import fields, polynomial, power_of_two, scaled

LOG2_E = 1.4426950408889634
# ln 2 in two parts: the high one has 21 trailing zero bits, so that n * LN2_HIGH is exact for every exponent n
LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
# exp(r) = 1 + r + r^2 (c0 + c1 r + ... + c10 r^10) for |r| <= ln 2 / 2; exp(r) - 1 to 2**-61 relative. Not by Horner's
# rule alone, whose steps wait for each other: an exponential took 1.3 times as long on an AMD Zen 3.
BEYOND = polynomial((
    0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321659,
    0.0013888888888962836, 0.0001984126988606239, 2.4801587171800854e-05, 2.755724426675772e-06,
    2.75574031344821e-07, 2.5109019558915524e-08, 2.0875217884260715e-09,
))  # fmt: skip
# tanh(r) = r + r^3 P(r^2) / Q(r^2) for |r| <= 5/8, to 2**-60 relative
P0, P1, P2 = -0.33333333333333326, -0.020496785783682272, -0.00019908889546374158
Q1, Q2, Q3 = 0.4614903573510317, 0.023288647722300975, 0.00020643826705681314
# 2 atanh(s) = 2 s + s (L1 s^2 + ... + L7 s^14) for |s| <= 3 - sqrt(8), to 2**-58 relative
L1, L2, L3, L4 = 0.666666666666671, 0.3999999999951718, 0.2857142873001154, 0.2222219900536931
L5, L6, L7 = 0.18183576432249435, 0.15313030141299594, 0.14811936634164644
# Adding 1.5 * 2**52 rounds to an integer and leaves it in the low mantissa bits.
ROUND = 1.5 * 2.0**52
# Beyond these exp is 0 or infinite, subnormals included; below the last exp - 1 rounds to -1.
EXP_LOW, EXP_HIGH, EXPM1_LOW = -746.0, 710.0, -40.0
AHEAD, BEHIND = 2.0**128, 2.0**-128
# Beyond it x exp(-x) is 0 too.
SIGMOID_MOST = 760.0
# Below this tanh is taken from the rational function alone; beyond the other it rounds to one.
TANH_SMALL, TANH_HIGH = 0.625, 20.0
# Below this expm1 and log1p round to x.
NEAR_ZERO = 2.0**-54
TINY = 2.0**-1022


@part
def _beyond(r: float) -> float:
    """Return exp(r) - 1 - r for |r| <= ln 2 / 2."""
    return BEYOND(r) * (r * r)


@part
def exp64(x: float) -> float:
    """Exponential."""
    x = EXP_LOW if x < EXP_LOW else x  # written so that a NaN fails both comparisons and passes through
    x = EXP_HIGH if x > EXP_HIGH else x
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = x - n * LN2_HIGH
    r = r - n * LN2_LOW
    return scaled(_beyond(r) + r + 1.0, shifted)


@part
def exp_below64(x: float) -> float:
    """Exponential of x <= 0 or NaN: the bits of `exp64`."""
    x = EXP_LOW if x < EXP_LOW else x
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = x - n * LN2_HIGH
    r = r - n * LN2_LOW
    large = (_beyond(r) + r) * AHEAD + AHEAD
    exponent = np.int64(np.float64(shifted).view(np.int64) << np.int64(52))
    back = r * 0.0 + BEHIND  # in which a NaN stays one, whatever its bits became
    return np.int64(np.float64(large).view(np.int64) + exponent).view(np.float64) * back


@part
def expm1_64(x: float) -> float:
    """exp(x) - 1."""
    a = EXPM1_LOW if x < EXPM1_LOW else x
    a = EXP_HIGH if a > EXP_HIGH else a
    shifted = a * LOG2_E + ROUND
    n = shifted - ROUND
    high = a - n * LN2_HIGH
    r = high - n * LN2_LOW
    rest = (high - r) - n * LN2_LOW  # what rounding r lost counts here, twofold for n = 1
    e = _beyond(r) + rest + r
    half = power_of_two(shifted - 1.0)  # 2**n itself overflows at n = 1024
    result = (e * half + (half - 0.5)) * 2.0  # before the choice: LLVM would jump over so much work
    return x if abs(x) < NEAR_ZERO else result


@part
def tanh64(x: float) -> float:
    """Hyperbolic tangent."""
    a = abs(x)
    a = TANH_HIGH if a > TANH_HIGH else a
    small = a < TANH_SMALL
    shifted = a * (2.0 * LOG2_E) + ROUND
    n = shifted - ROUND
    r = a - n * (0.5 * LN2_HIGH)
    r = a if small else r - n * (0.5 * LN2_LOW)
    t = r * r
    p = (P2 * t + P1) * t + P0
    q = ((Q3 * t + Q2) * t + Q1) * t + 1.0
    # tanh r is v / q, so exp(2 r) is (q + v) / (q - v). One division serves both forms.
    v = (p * t + q) * r
    above = (q + v) * power_of_two(shifted) + (q - v)
    share = (p * (t * r) if small else (q - v) * -2.0) / (q if small else above)
    return math.copysign(share + (r if small else 1.0), x)


@element
def total64(x: float) -> tuple[float, float]:
    """Return (AHEAD s, total): the sigmoid is 1 / total above zero, and s / total below."""
    # With |x| = n ln 2 + r and s = 2**-n: s / (s + exp r) below zero, 1 / (1 + s exp(-r)) above.
    a = abs(x)
    a = SIGMOID_MOST if a > SIGMOID_MOST else a
    shifted = a * LOG2_E + ROUND
    n = shifted - ROUND
    r = a - n * LN2_HIGH
    r = r - n * LN2_LOW
    r = r if x < 0.0 else -r
    e = _beyond(r) + r
    ahead = power_of_two((ROUND + 128.0) - n)  # s itself need be no normal number, nor the result
    s = ahead * BEHIND
    return ahead, ((e if x < 0.0 else e * s) + s) + 1.0


@part
def sigmoid64(x: float) -> float:
    """Logistic sigmoid."""
    ahead, total = total64(x)
    return (ahead if x < 0.0 else AHEAD) / total * BEHIND


@element
def _atanh_terms(f: float) -> tuple[float, float]:
    """Return (s, R), log(1 + f) = 2 atanh s = s (2 + R), 1 + f from sqrt 1/2 to sqrt 2."""
    s = f / (f + 2.0)
    z = s * s
    p = L7 * z + L6
    p = p * z + L5
    p = p * z + L4
    p = p * z + L3
    p = p * z + L2
    p = p * z + L1
    return s, p * z


@element
def below_f(f: float) -> float:
    """Return f - log(1 + f), 1 + f from sqrt 1/2 to sqrt 2."""
    s, rest = _atanh_terms(f)
    return s * (f - rest)


@part
def _at_limits(result: float, x: float, pole: float) -> float:
    """Return the result for x, or what log or log1p is at and below its pole, at infinity and for NaN."""
    result = result if x < np.inf else x
    return result if x > pole else (-np.inf if x == pole else np.nan)


@part
def log64(x: float) -> float:
    """Natural logarithm."""
    subnormal = x < TINY
    k, m = fields(x * 2.0**54 if subnormal else x)
    k, f = (k - 54.0 if subnormal else k), m - 1.0
    return _at_limits(k * LN2_HIGH - ((below_f(f) - k * LN2_LOW) - f), x, 0.0)


@part
def log1p64(x: float) -> float:
    """Natural logarithm of 1 + x."""
    # f = 2**-k (1 + x) - 1 is formed from x itself and rounded once: what 1 + x lost is in it.
    k, _ = fields(x + 1.0)
    scale = power_of_two((ROUND + 2.0) - k)  # 2**-k itself is no normal number at k = 1024
    f = (0.25 * x) * scale + (0.25 * scale - 1.0)
    # as f - s (f - R) it takes less, but would be off by 1.55 ULP
    s, rest = _atanh_terms(f)
    half = 0.5 * f * f
    result = _at_limits(k * LN2_HIGH - ((half - ((rest + half) * s + k * LN2_LOW)) - f), x, -1.0)
    return x if abs(x) < NEAR_ZERO else result
