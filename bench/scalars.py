"""What the functions of one element in `fastmlp_kernels.jit` should give, and what else gives it.

Each has an exact form, for mpmath, and one for numbers that are wider than its result (`bench.wide`), which is right to
a hundredth of an ULP. Rivals are numpy's own function, where it has one, and the C library's, called once an element by
a loop that numba compiles.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf

from bench.wide import Wide

Array = np.ndarray


class Scalar(NamedTuple):
    """A function of one element: its exact and its wide form, numpy's own function, and one of math.* in a loop."""

    exact: Callable[..., Any]
    wide: Callable[..., Wide]
    numpy: Callable[..., Array] | None
    libm: Callable[..., Any]


# Near these the wide forms of two slopes lose too much, and what is right comes from the exact one.
ZEROS = {"silu_slope1": -1.278464542761074, "gelu_slope1": -0.7517915246935645}
NEAR_ZERO = {np.float32: 2.0**-18, np.float64: 2.0**-4}
_ROOT_HIGH = 1448 / 2048  # of 1/2, in so few bits that its product with a float64 is exact in the wide type
with mp.workdps(50):
    _ROOT_LOW = mp.sqrt(0.5) - _ROOT_HIGH
    _TWO_OVER_ROOT_PI, _ROOT_TWO_PI = 2 / mp.sqrt(mp.pi), mp.sqrt(2 * mp.pi)


def _logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _sigmoid(x: Wide) -> Wide:
    return 1 / (1 + (-x).exp())


def _logistic_slope(x: Any) -> Any:
    e = mp.exp(-abs(x))
    return e / (1 + e) ** 2


def _sigmoid_slope(x: Wide) -> Wide:
    return 1 / (2 + x.exp() + (-x).exp())


def _softplus(x: Wide) -> Wide:
    return (x + abs(x)) * 0.5 + (-abs(x)).exp().log1p()


def _silu_slope(x: Wide) -> Wide:
    e = x.exp()
    below = e * ((1 + x) + e) / ((1 + e) * (1 + e))
    return x.below(0, below, _sigmoid(x) * (1 + x / (1 + e)))


def _logit(x: Wide) -> Wide:
    return abs(x - 0.5).below(0.25, (2 * x - 1).atanh() * 2, (x / (1 - x)).log())


def _gaussian(x: Wide, scale: float) -> Wide:
    """Return exp(scale x^2): x in two, as the rounding of its square would be felt."""
    shift = x * 2.0**38
    high = (x + shift) - shift
    result = (high * high * scale).exp() * ((x - high) * (x + high) * scale).exp()
    return (100 - abs(x)).below(0, 0, result)  # not infinity times 0


def _upper(x: Wide) -> Wide:
    """Return the chance that a normal number is above x: its root of 1/2 in two, likewise."""
    large, small = x * _ROOT_HIGH, x * _ROOT_LOW
    a = large + small
    rest = (large - a) + small
    return (a.erfc() - rest * _TWO_OVER_ROOT_PI * (-a * a).exp()) * 0.5


def _gelu_slope(x: Wide) -> Wide:
    return _upper(-x) + x * _gaussian(x, -0.5) / _ROOT_TWO_PI


def _exact_gelu(x: Any) -> Any:
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


def _exact_gelu_slope(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _exact_softplus(x: Any) -> Any:
    return max(x, mpf(0)) + mp.log1p(mp.exp(-abs(x)))


SCALARS: dict[str, Scalar] = {
    "exp2_1": Scalar(lambda x: mpf(2) ** x, lambda x: x.exp2(), np.exp2, lambda x: math.exp2(x)),
    "log2_1": Scalar(lambda x: mp.log(x, 2), lambda x: x.log2(), np.log2, lambda x: math.log2(x)),
    "log10_1": Scalar(mp.log10, lambda x: x.log10(), np.log10, lambda x: math.log10(x)),
    "pow1": Scalar(mp.power, lambda x, y: x.pow(y), np.power, lambda x, y: math.pow(x, y)),
    "rsqrt1": Scalar(lambda x: 1 / mp.sqrt(x), lambda x: 1 / x.sqrt(), None, lambda x: 1 / math.sqrt(x)),
    "sin1": Scalar(mp.sin, lambda x: x.sin(), np.sin, lambda x: math.sin(x)),
    "cos1": Scalar(mp.cos, lambda x: x.cos(), np.cos, lambda x: math.cos(x)),
    "softplus1": Scalar(_exact_softplus, _softplus, None, lambda x: max(x, 0) + math.log1p(math.exp(-abs(x)))),
    "log_sigmoid1": Scalar(
        lambda x: -_exact_softplus(-x), lambda x: -_softplus(-x), None,
        lambda x: min(x, 0) - math.log1p(math.exp(-abs(x))),
    ),
    "logit1": Scalar(
        lambda x: mp.log(x / (1 - x)), _logit, None, lambda x: math.log(x) - math.log1p(-x)
    ),
    "silu1": Scalar(lambda x: x * _logistic(x), lambda x: x / (1 + (-x).exp()), None, lambda x: x / (1 + math.exp(-x))),
    "erf1": Scalar(mp.erf, lambda x: x.erf(), None, lambda x: math.erf(x)),
    "erfc1": Scalar(mp.erfc, lambda x: x.erfc(), None, lambda x: math.erfc(x)),
    "gelu1": Scalar(_exact_gelu, lambda x: x * _upper(-x), None, lambda x: x * math.erfc(x * -math.sqrt(0.5)) / 2),
    "tanh_slope1": Scalar(
        lambda x: 4 * _logistic_slope(2 * x), lambda x: 4 * _sigmoid_slope(2 * x), None,
        lambda x: 1 - math.tanh(x) ** 2,
    ),
    "sigmoid_slope1": Scalar(
        _logistic_slope, _sigmoid_slope, None, lambda x: math.exp(-abs(x)) / (1 + math.exp(-abs(x))) ** 2
    ),
    "softplus_slope1": Scalar(_logistic, _sigmoid, None, lambda x: 1 / (1 + math.exp(-x))),
    "log_sigmoid_slope1": Scalar(
        lambda x: _logistic(-x), lambda x: _sigmoid(-x), None, lambda x: 1 / (1 + math.exp(x))
    ),
    "logit_slope1": Scalar(lambda x: 1 / (x * (1 - x)), lambda x: 1 / (x * (1 - x)), None, lambda x: 1 / (x * (1 - x))),
    "silu_slope1": Scalar(
        lambda x: _logistic(x) * (1 + x * _logistic(-x)), _silu_slope, None,
        lambda x: (1 + x / (1 + math.exp(x))) / (1 + math.exp(-x)),
    ),
    "erf_slope1": Scalar(
        lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), lambda x: _gaussian(x, -1.0) * _TWO_OVER_ROOT_PI, None,
        lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x),
    ),
    "gelu_slope1": Scalar(
        _exact_gelu_slope, _gelu_slope, None,
        lambda x: math.erfc(x * -math.sqrt(0.5)) / 2 + x * math.exp(x * x / -2) / math.sqrt(2 * math.pi),
    ),
    "leaky_relu1": Scalar(
        lambda x: x if x > 0 else x * mpf("0.01"), lambda x: x.below(0, x * mpf("0.01"), x), None,
        lambda x: x if x > 0 else x * type(x)(0.01),
    ),
    "elu1": Scalar(
        lambda x: x if x > 0 else mp.expm1(x), lambda x: x.below(0, x.expm1(), x), None,
        lambda x: x if x > 0 else math.expm1(x),
    ),
    "relu_slope1": Scalar(
        lambda x: mpf(x > 0), lambda x: (-x).below(0, 1, 0 * x), None, lambda x: type(x)(x > 0)
    ),
    "leaky_relu_slope1": Scalar(
        lambda x: mpf(1 if x > 0 else "0.01"), lambda x: (-x).below(0, 1, 0 * x + mpf("0.01")), None,
        lambda x: type(x)(1 if x > 0 else 0.01),
    ),
    "elu_slope1": Scalar(
        lambda x: mp.exp(min(x, mpf(0))), lambda x: x.below(0, x.exp(), 0 * x + 1), None,
        lambda x: math.exp(x) if x < 0 else 1.0,
    ),
}  # fmt: skip
# Those of `elementary`, which were there before.
ELEMENTARY: dict[str, Scalar] = {
    "exp1": Scalar(mp.exp, lambda x: x.exp(), np.exp, lambda x: math.exp(x)),
    "expm1_1": Scalar(mp.expm1, lambda x: x.expm1(), np.expm1, lambda x: math.expm1(x)),
    "log1": Scalar(mp.log, lambda x: x.log(), np.log, lambda x: math.log(x)),
    "log1p1": Scalar(mp.log1p, lambda x: x.log1p(), np.log1p, lambda x: math.log1p(x)),
    "tanh1": Scalar(mp.tanh, lambda x: x.tanh(), np.tanh, lambda x: math.tanh(x)),
    "sigmoid1": Scalar(_logistic, _sigmoid, None, lambda x: 1 / (1 + math.exp(-x))),
    "relu1": Scalar(lambda x: max(x, mpf(0)), lambda x: x.below(0, 0, x), None, lambda x: max(x, type(x)(0))),
}
# Those that live between 0 and 1, and those of positive numbers.
BETWEEN, POSITIVE = {"logit1", "logit_slope1"}, {"log2_1", "log10_1", "rsqrt1", "pow1", "log1", "log1p1"}
