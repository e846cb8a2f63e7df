"""exp, tanh and the logistic sigmoid of one element, without branches, so that loops over them vectorise.

numba calls the C library once an element for `math.exp` and `math.tanh`, which no compiler vectorises: thirty times
slower than these. The float32 functions below rest on two polynomials, found for this package by weighted
least-squares (Lawson) minimax fits in extended precision. The largest errors over every finite float32, against the
correctly rounded value, are proved by `tests/test_kernels_elementary.py`:

    exp1      1 ULP     subnormal results included
    tanh1     3 ULP     never above one
    sigmoid1  3 ULP     subnormal results included

Infinities and NaN give what numpy gives. float64 goes to the C library: it is there for checking, not for speed.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels._jit import PART, part, scalar

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
# Adding 1.5 * 2**23 rounds to an integer and leaves it in the low mantissa bits.
ROUND = F(12582912.0)
ROUND_BITS = np.int32(0x4B400000)
ONE_BITS = np.int32(0x3F800000)
# Beyond these exp is 0 or infinite in float32, subnormals included.
EXP_LOW, EXP_HIGH = F(-104.0), F(89.0)
AHEAD, BEHIND = F(2.0**64), F(2.0**-64)
# Beyond this tanh rounds to one.
TANH_HIGH = F(9.02)


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
def _exp_f32(x: F) -> F:
    x = EXP_LOW if x < EXP_LOW else x  # written so that a NaN fails both comparisons and passes through
    x = EXP_HIGH if x > EXP_HIGH else x
    shifted = F(x * LOG2_E + ROUND)
    n = np.int32(shifted.view(np.int32) - ROUND_BITS)
    whole = shifted - ROUND
    r = x - whole * LN2_HIGH
    r = r - whole * LN2_LOW
    # Two factors: 2**n itself overflows at n = 128 and has no normal form below n = -126.
    half = np.int32(n >> np.int32(1))
    return (_expm1_near_zero(r) + F(1.0)) * _power_of_two(half) * _power_of_two(np.int32(n - half))


@part
def _exp_below_f32(x: F) -> F:
    # As `_exp_f32` to the bit, in two thirds of its operations. Times 2**64 no result is below the normal numbers, nor
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
def _tanh_f32(x: F) -> F:
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


@part
def _sigmoid_f32(x: F) -> F:
    # With -|x| = n ln 2 + r and v = 2 tanh(r / 2), exp(-|x|) is 2**n (2 + v) / (2 - v): no division of its own.
    a = -abs(x)
    a = EXP_LOW if a < EXP_LOW else a
    shifted = F(a * LOG2_E + ROUND)
    n = np.int32(shifted.view(np.int32) - ROUND_BITS)
    whole = shifted - ROUND
    r = a - whole * LN2_HIGH
    r = r - whole * LN2_LOW
    t = r * r
    v = (F(0.0625) * T5 * t + F(0.25) * T3) * (t * r) + r
    half = np.int32(n >> np.int32(1))  # two factors, for subnormal results
    upper, lower = F(2.0) - v, (F(2.0) + v) * _power_of_two(half) * _power_of_two(np.int32(n - half))
    return (lower if x < F(0.0) else upper) / (upper + lower)


@part
def _sigmoid_f64(x: float) -> float:
    e = math.exp(-abs(x))  # never overflows, and a small result keeps its precision
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def _exp(x):
    return np.exp(x)


def _tanh(x):
    return np.tanh(x)


def _sigmoid(x):
    e = np.exp(-abs(x))
    return (type(x)(1) if x >= 0 else e) / (type(x)(1) + e)


def _exp_below(x):
    return np.exp(x)


@overload(_exp_below, jit_options=PART)
def _overload_exp_below(x):
    return (lambda x: _exp_below_f32(x)) if x == types.float32 else (lambda x: math.exp(x))


@overload(_exp, jit_options=PART)
def _overload_exp(x):
    return (lambda x: _exp_f32(x)) if x == types.float32 else (lambda x: math.exp(x))


@overload(_tanh, jit_options=PART)
def _overload_tanh(x):
    return (lambda x: _tanh_f32(x)) if x == types.float32 else (lambda x: math.tanh(x))


@overload(_sigmoid, jit_options=PART)
def _overload_sigmoid(x):
    return (lambda x: _sigmoid_f32(x)) if x == types.float32 else (lambda x: _sigmoid_f64(x))


@part
def _flip32(bits: np.int32) -> np.int32:
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@part
def _flip64(bits: np.int64) -> np.int64:
    return np.int64(bits ^ ((bits >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF)))


def _key(x):
    return _flip32(x.view(np.int32)) if x.dtype == np.float32 else _flip64(x.view(np.int64))


def _value(key):
    return _flip32(key).view(np.float32) if key.dtype == np.int32 else _flip64(key).view(np.float64)


@overload(_key, jit_options=PART)
def _overload_key(x):
    if x == types.float32:
        return lambda x: _flip32(np.float32(x).view(np.int32))
    return lambda x: _flip64(np.float64(x).view(np.int64))


@overload(_value, jit_options=PART)
def _overload_value(key):
    if key == types.int32:
        return lambda key: np.int32(_flip32(key)).view(np.float32)
    return lambda key: np.int64(_flip64(key)).view(np.float64)


@part
def key_of(x):
    """Integer whose order is that of floats; NaN lies beyond the infinity of its sign."""
    return _key(x)


@part
def value_of_key(key):
    """Inverse of `key_of`."""
    return _value(key)


@scalar
def exp1(x):
    """Exponential of one float32 or float64."""
    return _exp(x)


@part
def exp_below1(x):
    """Exponential of one x <= 0, or NaN: the bits of `exp1` in two thirds of its operations."""
    return _exp_below(x)


@scalar
def tanh1(x):
    """Hyperbolic tangent of one float32 or float64."""
    return _tanh(x)


@scalar
def sigmoid1(x):
    """Logistic sigmoid 1 / (1 + exp(-x)) of one float32 or float64."""
    return _sigmoid(x)


@scalar
def relu1(x):
    """max(x, 0) of one element; a NaN stays a NaN."""
    zero = type(x)(0)
    return zero if x < zero else x


@scalar
def identity1(x):
    """One element unchanged."""
    return x
