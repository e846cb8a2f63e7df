"""Powers, logarithms, activations, error functions and slopes of one float32 or float64, without branches.

They continue the list of `elementary`, and like those are for loops of compiled code, which LLVM then vectorises. The
largest distances from the exact values, subnormal ones included, are at most 2 ULP, with fused multiply-add and
without; kernels/README.md has what was measured of each. Infinities, zeros and NaN give what numpy gives for the
formula, or its limit where that has none: `silu1(-inf)` is -0.

A slope is the derivative at x, the input.
"""

import math

import numpy as np

from fastmlp_kernels import _circular as circular
from fastmlp_kernels import _exponents as exponents
from fastmlp_kernels import _logistics as logistics
from fastmlp_kernels import _normal as normal
from fastmlp_kernels import _rectifiers as rectifiers
from fastmlp_kernels._elementary32 import sigmoid32
from fastmlp_kernels._elementary64 import sigmoid64
from fastmlp_kernels._jit import by_dtype, long_scalar
from fastmlp_kernels.elementary import exp1


@by_dtype(exponents.exp2, exponents.exp2)
def _exp2(x):
    return np.exp2(x)


@by_dtype(exponents.log2_32, exponents.log2_64)
def _log2(x):
    return np.log2(x)


@by_dtype(exponents.log10_32, exponents.log10_64)
def _log10(x):
    return np.log10(x)


@by_dtype(exponents.rsqrt, exponents.rsqrt)
def _rsqrt(x):
    return 1 / np.sqrt(x)


@by_dtype(exponents.pow32, exponents.pow64)
def _pow(x, y):
    return np.power(x, y)


@by_dtype(logistics.logit32, logistics.logit64)
def _logit(x):
    return np.log(x / (1 - x))


@by_dtype(logistics.logit_slope32, logistics.logit_slope64)
def _logit_slope(x):
    return 1 / (x * (1 - x))


@by_dtype(sigmoid32, sigmoid64)
def _softplus_slope(x):
    e = np.exp(-abs(x))
    return (e if x < 0 else 1) / (1 + e)


@by_dtype(logistics.silu32, logistics.silu64)
def _silu(x):
    return x * _softplus_slope(x)


@by_dtype(logistics.silu_slope32, logistics.silu_slope64)
def _silu_slope(x):
    s = _softplus_slope(x)
    return s * (1 + x * (1 - s))


@by_dtype(logistics.sigmoid_slope32, logistics.sigmoid_slope64)
def _sigmoid_slope(x):
    e = np.exp(-abs(x))
    return e / (1 + e) ** 2


@by_dtype(logistics.tanh_slope32, logistics.tanh_slope64)
def _tanh_slope(x):
    return 4 * _sigmoid_slope(2 * x)


@by_dtype(normal.erf32, normal.erf64)
def _erf(x):
    return type(x)(math.erf(x))


@by_dtype(normal.erf_slope32, normal.erf_slope64)
def _erf_slope(x):
    return type(x)(2 / math.sqrt(math.pi)) * np.exp(-x * x)


@by_dtype(normal.erfc32, normal.erfc64)
def _erfc(x):
    return type(x)(math.erfc(x))


@by_dtype(normal.gelu32, normal.gelu64)
def _gelu(x):
    return type(x)(x * math.erfc(-x / math.sqrt(2)) / 2)


@by_dtype(normal.gelu_slope32, normal.gelu_slope64)
def _gelu_slope(x):
    return type(x)(math.erfc(-x / math.sqrt(2)) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi))


@by_dtype(circular.sin32, circular.sin64)
def _sin(x):
    return np.sin(x)


@by_dtype(circular.cos32, circular.cos64)
def _cos(x):
    return np.cos(x)


@long_scalar
def exp2_1(x):
    """2**x of one float32 or float64."""
    return _exp2(x)


@long_scalar
def log2_1(x):
    """Logarithm to base 2 of one float32 or float64: exact for powers of 2, -inf of zeros, NaN below."""
    return _log2(x)


@long_scalar
def log10_1(x):
    """Logarithm to base 10 of one float32 or float64: -inf of zeros, NaN below."""
    return _log10(x)


@long_scalar
def pow1(x, y):
    """x**y of two float32 or float64, x >= 0: 1 where y is 0 or x is 1, NaN for x < 0, whatever y; -0.0 counts as 0."""
    return _pow(x, y)


@long_scalar
def rsqrt1(x):
    """1 / sqrt(x) of one float32 or float64; without the test for 0 that keeps it scalar in code of Python's errors."""
    return _rsqrt(x)


@long_scalar
def softplus1(x):
    """log(1 + exp(x)) of one float32 or float64."""
    return rectifiers.softplus(x)


@long_scalar
def log_sigmoid1(x):
    """Logarithm of the logistic sigmoid of one float32 or float64: -log(1 + exp(-x))."""
    return -rectifiers.softplus(-x)


@long_scalar
def logit1(x):
    """log(x / (1 - x)) of one float32 or float64 between 0 and 1, whose ends give infinities; NaN elsewhere."""
    return _logit(x)


@long_scalar
def silu1(x):
    """x / (1 + exp(-x)) of one float32 or float64: x times its logistic sigmoid."""
    return _silu(x)


@long_scalar
def erf1(x):
    """Error function of one float32 or float64."""
    return _erf(x)


@long_scalar
def erfc1(x):
    """1 - erf(x) of one float32 or float64, to full relative precision far above 0 too."""
    return _erfc(x)


@long_scalar
def gelu1(x):
    """x (1 + erf(x / sqrt 2)) / 2 of one float32 or float64: x times the chance of a normal number below it."""
    return _gelu(x)


@long_scalar
def sin1(x):
    """Sine of one float32 or float64 in radians, of any size; NaN of infinities."""
    return _sin(x)


@long_scalar
def cos1(x):
    """Cosine of one float32 or float64 in radians, of any size; NaN of infinities."""
    return _cos(x)


@long_scalar
def tanh_slope1(x):
    """Slope of tanh at one float32 or float64, 1 - tanh(x)^2."""
    return _tanh_slope(x)


@long_scalar
def sigmoid_slope1(x):
    """Slope of the logistic sigmoid s at one float32 or float64, s(x) (1 - s(x))."""
    return _sigmoid_slope(x)


@long_scalar
def softplus_slope1(x):
    """Slope of softplus at one float32 or float64, the logistic sigmoid 1 / (1 + exp(-x))."""
    return _softplus_slope(x)


@long_scalar
def log_sigmoid_slope1(x):
    """Slope of the logistic sigmoid's logarithm at one float32 or float64, 1 / (1 + exp(x))."""
    return _softplus_slope(-x)


@long_scalar
def logit_slope1(x):
    """Slope of logit at one float32 or float64 between 0 and 1, 1 / (x (1 - x)); NaN elsewhere."""
    return _logit_slope(x)


@long_scalar
def silu_slope1(x):
    """Slope of SiLU at one float32 or float64."""
    return _silu_slope(x)


@long_scalar
def erf_slope1(x):
    """Slope of erf at one float32 or float64, 2 / sqrt(pi) exp(-x^2)."""
    return _erf_slope(x)


@long_scalar
def gelu_slope1(x):
    """Slope of GELU at one float32 or float64."""
    return _gelu_slope(x)


@long_scalar
def leaky_relu1(x):
    """x of one float32 or float64 where it is positive, and 0.01 x elsewhere."""
    return rectifiers.leaky_relu1(x)


@long_scalar
def elu1(x):
    """x of one float32 or float64 where it is positive, and exp(x) - 1 elsewhere."""
    return rectifiers.elu1(x)


@long_scalar
def relu_slope1(x):
    """Slope of max(x, 0) at one float32 or float64: 1 where that is positive, and 0 elsewhere."""
    return rectifiers.stepped(x, type(x)(0))


@long_scalar
def leaky_relu_slope1(x):
    """Slope of leaky ReLU at one float32 or float64: 1 where that is positive, and 0.01 elsewhere."""
    return rectifiers.stepped(x, type(x)(rectifiers.SLOPE))


@long_scalar
def elu_slope1(x):
    """Slope of ELU at one float32 or float64: 1 where that is positive, and exp(x) elsewhere."""
    return exp1(type(x)(0) if x > type(x)(0) else x)
