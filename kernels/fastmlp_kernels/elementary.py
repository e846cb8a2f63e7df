"""exp, expm1, log, log1p, tanh and the logistic sigmoid of one element, branch-free, so that loops vectorise.

numba calls the C library once an element for `math.exp` and `math.tanh`, which no compiler vectorises: four to thirty
times slower than these in float32 (`_elementary32`), two to nine times in float64 (`_elementary64`). The largest
distances from the correctly rounded values, subnormal ones included, in ULP:

              float32  float64
    exp1            1        1
    expm1_1         2        2
    log1            1        1
    log1p1          1        1
    tanh1           3        2
    sigmoid1        2        2

Those of float32 are proved over every float32 by `tests/test_kernels_elementary.py`; those of float64 were measured at
5 * 10**7 arguments each, with fused multiply-add and without. Infinities and NaN give what numpy gives.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels import _elementary32 as single
from fastmlp_kernels import _elementary64 as double
from fastmlp_kernels._jit import PART, body_of, part, scalar


def _exp(x):
    return np.exp(x)


def _exp_below(x):
    return np.exp(x)


def _expm1(x):
    return np.expm1(x)


def _log(x):
    return np.log(x)


def _log1p(x):
    return np.log1p(x)


def _tanh(x):
    return np.tanh(x)


def _sigmoid(x):
    e = np.exp(-abs(x))
    return (type(x)(1) if x >= 0 else e) / (type(x)(1) + e)


def _by_dtype(plain: Callable[..., Any], of_float32: Any, of_float64: Any) -> None:
    """Compile a plain function of one element as one of these two parts."""

    @overload(plain, jit_options=PART)
    def choose(x):
        return body_of(of_float32 if x == types.float32 else of_float64)


_by_dtype(_exp, single.exp32, double.exp64)
_by_dtype(_exp_below, single.exp_below32, double.exp_below64)
_by_dtype(_expm1, single.expm1_32, double.expm1_64)
_by_dtype(_log, single.log32, double.log64)
_by_dtype(_log1p, single.log1p32, double.log1p64)
_by_dtype(_tanh, single.tanh32, double.tanh64)
_by_dtype(_sigmoid, single.sigmoid32, double.sigmoid64)


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
def expm1_1(x):
    """exp(x) - 1 of one float32 or float64, to full relative precision near zero."""
    return _expm1(x)


@scalar
def log1(x):
    """Natural logarithm of one float32 or float64: -inf of zeros, NaN below."""
    return _log(x)


@scalar
def log1p1(x):
    """log(1 + x) of one float32 or float64, to full relative precision near zero: -inf of -1, NaN below."""
    return _log1p(x)


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
