"""Elementary functions of one float32, without branches, so that loops over them vectorise.

They rest on three polynomials, found for this package by weighted least-squares (Lawson) minimax fits and by Remez'
exchange in extended precision. `elementary` states the errors.
"""

import math

import numpy as np

from fastmlp_kernels._jit import element, part
from fastmlp_kernels._pieces import fields, power_of_two, scaled

F = np.float32

LOG2_E = F(1.4426950408889634)
# ln 2 in two parts: the high one has 9 trailing zero bits, so that n * LN2_HIGH is exact for |n| < 512
LN2 = F(0.6931471805599453)
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.1219444e-4)
# exp(r) = 1 + r + C2 r^2 + ... + C6 r^6 for |r| <= ln 2 / 2, to 3e-9 relative
C2, C3, C4 = F(0.4999999337308009), F(0.166665195240448), F(0.041668401085024225)
C5, C6 = F(0.008368851070797108), F(0.0013814320507677216)
# tanh(r) = r + T3 r^3 + T5 r^5 for |r| <= ln 2 / 4, to 6e-8 relative
T3, T5 = F(-0.3333126478356331), F(0.13110233619949876)
# 2 atanh(s) = 2 s + s (L1 s^2 + L2 s^4 + L3 s^6) for |s| <= 3 - sqrt(8), to 1.4e-9 relative
L1, L2, L3 = F(0.6666677859942199), F(0.3997603381315016), F(0.29926854041512846)
# Adding 1.5 * 2**23 rounds to an integer and leaves it in the low mantissa bits.
ROUND = F(12582912.0)
ROUND_BITS = np.int32(0x4B400000)
ONE_BITS = np.int32(0x3F800000)
# Beyond these exp is 0 or infinite in float32, subnormals included; below the last exp - 1 rounds to -1.
EXP_LOW, EXP_HIGH, EXPM1_LOW = F(-104.0), F(89.0), F(-20.0)
AHEAD, BEHIND = F(2.0**64), F(2.0**-64)
# Beyond it x exp(-x) is 0 too.
SIGMOID_MOST = F(112.0)
# Beyond this tanh rounds to one.
TANH_HIGH = F(9.02)
# Below this expm1 and log1p round to x.
NEAR_ZERO = F(2.0**-25)
TINY = F(2.0**-126)


@part
def _power_of_two(n: np.int32) -> F:
    """Return 2**n for n from -126 to 127. The int32 conversions undo numba's widening to int64."""
    return np.int32(np.int32(n << np.int32(23)) + ONE_BITS).view(np.float32)


@part
def _expm1_near_zero(r: F) -> F:
    """Return exp(r) - 1 for |r| <= ln 2 / 2."""
    p = C6 * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    return p * (r * r) + r


@part
def exp32(x: F) -> F:
    """Exponential."""
    x = EXP_LOW if x < EXP_LOW else x  # written so that a NaN fails both comparisons and passes through
    x = EXP_HIGH if x > EXP_HIGH else x
    shifted = F(x * LOG2_E + ROUND)
    whole = shifted - ROUND
    r = x - whole * LN2_HIGH
    r = r - whole * LN2_LOW
    return scaled(_expm1_near_zero(r) + F(1.0), shifted)


@part
def exp_below32(x: F) -> F:
    """Exponential of x <= 0 or NaN."""
    # As `exp32` to the bit, in two thirds of its operations. Times 2**64 no result is below the normal numbers, nor
    # beyond them as x is not positive, so that 2**n is added to the exponent; the way back rounds where it must.
    x = EXP_LOW if x < EXP_LOW else x
    shifted = F(x * LOG2_E + ROUND)
    whole = shifted - ROUND
    r = x - whole * LN2_HIGH
    r = r - whole * LN2_LOW
    large = F(_expm1_near_zero(r) * AHEAD + AHEAD)
    n = np.int32(shifted.view(np.int32) << np.int32(23))  # the bits of ROUND above the integer are shifted out
    back = r * F(0.0) + BEHIND  # in which a NaN stays one, whatever its bits became
    return np.int32(large.view(np.int32) + n).view(np.float32) * back


@part
def tanh32(x: F) -> F:
    """Hyperbolic tangent."""
    # With |x| = n (ln 2) / 2 + r and u = tanh r, the addition theorem gives, for s = 2**n,
    # tanh |x| = ((s - 1) + (s + 1) u) / ((s + 1) + (s - 1) u), which is u itself, to full precision, for n = 0.
    a = abs(x)
    a = TANH_HIGH if a > TANH_HIGH else a
    shifted = F(a * (F(2.0) * LOG2_E) + ROUND)
    # The error of the rounded ln 2 grows with the exponent, while its weight in the quotient shrinks much faster.
    r = a - (shifted - ROUND) * (F(0.5) * LN2)
    s = _power_of_two(shifted.view(np.int32))  # the bits of ROUND above the integer are shifted out
    below, above = s - F(1.0), s + F(1.0)
    t = r * r
    u = (T5 * t + T3) * (t * r) + r
    return F(math.copysign((above * u + below) / (below * u + above), x))


@element
def total32(x: F) -> tuple[F, F]:
    """Return (AHEAD s, total): the sigmoid is 1 / total above zero, and s / total below."""
    # With |x| = n ln 2 + r and s = 2**-n: s / (s + exp r) below zero, 1 / (1 + s exp(-r)) above.
    a = abs(x)
    a = SIGMOID_MOST if a > SIGMOID_MOST else a
    shifted = F(a * LOG2_E + ROUND)
    whole = shifted - ROUND
    r = a - whole * LN2_HIGH
    r = r - whole * LN2_LOW
    below = x < F(0.0)
    e = _expm1_near_zero(r if below else -r)
    ahead = _power_of_two(np.int32(np.int32(64) - np.int32(shifted.view(np.int32) - ROUND_BITS)))
    s = ahead * BEHIND  # need be no normal number, nor the result
    return ahead, ((e if below else e * s) + s) + F(1.0)


@part
def sigmoid32(x: F) -> F:
    """Logistic sigmoid."""
    ahead, total = total32(x)
    return (ahead if x < F(0.0) else AHEAD) / total * BEHIND


@part
def expm1_32(x: F) -> F:
    """exp(x) - 1."""
    a = EXPM1_LOW if x < EXPM1_LOW else x
    a = EXP_HIGH if a > EXP_HIGH else a
    shifted = F(a * LOG2_E + ROUND)
    whole = shifted - ROUND
    r = a - whole * LN2_HIGH
    r = r - whole * LN2_LOW
    half = _power_of_two(np.int32(shifted.view(np.int32) - np.int32(1)))  # 2**n itself overflows at n = 128
    result = (_expm1_near_zero(r) * half + (half - F(0.5))) * F(2.0)  # before the choice: LLVM would jump over it
    return x if abs(x) < NEAR_ZERO else result


@part
def _log_sum(k: F, f: F) -> F:
    """Return k ln 2 + log(1 + f), 1 + f from sqrt 1/2 to sqrt 2."""
    s = f / (f + F(2.0))
    z = s * s
    p = (L3 * z + L2) * z + L1
    half = F(0.5) * f * f  # f - s (f - p z) takes less, but would have log1p off by 1.56 ULP
    return k * LN2_HIGH - ((half - ((p * z + half) * s + k * LN2_LOW)) - f)


@part
def _at_limits(result: F, x: F, pole: F) -> F:
    """Return the result for x, or what log or log1p is at and below its pole, at infinity and for NaN."""
    result = result if x < F(np.inf) else x
    return result if x > pole else F(-np.inf if x == pole else np.nan)


@part
def log32(x: F) -> F:
    """Natural logarithm."""
    subnormal = x < TINY
    k, m = fields(x * F(2.0**24) if subnormal else x)
    return _at_limits(_log_sum(k - (F(24.0) if subnormal else F(0.0)), m - F(1.0)), x, F(0.0))


@part
def log1p32(x: F) -> F:
    """Natural logarithm of 1 + x."""
    # f = 2**-k (1 + x) - 1 is formed from x itself and rounded once: what 1 + x lost is in it.
    k, _ = fields(x + F(1.0))
    scale = power_of_two((ROUND + F(2.0)) - k)  # 2**-k itself is no normal number at k = 128
    f = (F(0.25) * x) * scale + (F(0.25) * scale - F(1.0))
    result = _at_limits(_log_sum(k, f), x, F(-1.0))
    return x if abs(x) < NEAR_ZERO else result
