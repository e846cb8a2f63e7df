"""What the functions of one element in `fastmlp_kernels.jit` should give, and what else gives it.

Each has an exact form, for mpmath, and a plain one for numpy arrays of float64, which is near enough to the exact value
to be the truth of float32. Rivals are numpy's own function, where it has one, and the C library's, called once an
element by a loop that numba compiles.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf

Array = np.ndarray


class Scalar(NamedTuple):
    """A function of one element: its exact and its plain form, numpy's own function, and one of math.* in a loop."""

    exact: Callable[..., Any]
    plain: Callable[..., Array]
    numpy: Callable[..., Array] | None
    libm: Callable[..., Any]


def _logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _logistic_slope(x: Any) -> Any:
    e = mp.exp(-abs(x))
    return e / (1 + e) ** 2


def _sigmoid_slope(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return e / (1 + e) ** 2


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _silu(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x > 0, x, np.maximum(x, -1e4) * e) / (1 + e)


def _silu_slope(x: Array) -> Array:
    a = np.minimum(np.abs(x), 1e4)
    e = np.exp(-a)
    below = e * ((1 - a) + e) / (1 + e) ** 2
    return np.where(x < 0, below, 1 - below)


def _logit(x: Array) -> Array:
    inside = (x >= 0) & (x <= 1)
    middle = 2 * np.arctanh(2 * np.where(inside, x, 0.5) - 1)
    return np.where(np.abs(x - 0.5) < 0.25, middle, np.log(x) - np.log1p(-x))


def _logit_slope(x: Array) -> Array:
    return np.where((x >= 0) & (x <= 1), 1 / np.abs(x * (1 - x)), np.nan)


def _gelu(x: Array) -> Array:
    from scipy.special import erfc

    a = np.minimum(np.abs(x), 1e4)
    return np.where(x > 0, x, -0.0) - a * erfc(a / math.sqrt(2)) / 2


def _gelu_slope(x: Array) -> Array:
    from scipy.special import erfc

    a = np.minimum(np.abs(x), 1e4)
    below = erfc(a / math.sqrt(2)) / 2 - a * np.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    return np.where(x < 0, below, 1 - below)


def _erf(x: Array) -> Array:
    from scipy.special import erf

    return erf(x)


def _erfc(x: Array) -> Array:
    from scipy.special import erfc

    return erfc(x)


def _exact_gelu(x: Any) -> Any:
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


def _exact_gelu_slope(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _exact_softplus(x: Any) -> Any:
    return max(x, mpf(0)) + mp.log1p(mp.exp(-abs(x)))


SCALARS: dict[str, Scalar] = {
    "exp2_1": Scalar(lambda x: mpf(2) ** x, np.exp2, np.exp2, lambda x: math.exp2(x)),
    "log2_1": Scalar(lambda x: mp.log(x, 2), np.log2, np.log2, lambda x: math.log2(x)),
    "log10_1": Scalar(mp.log10, np.log10, np.log10, lambda x: math.log10(x)),
    "pow1": Scalar(mp.power, np.power, np.power, lambda x, y: math.pow(x, y)),
    "rsqrt1": Scalar(lambda x: 1 / mp.sqrt(x), lambda x: 1 / np.sqrt(x), None, lambda x: 1 / math.sqrt(x)),
    "sin1": Scalar(mp.sin, np.sin, np.sin, lambda x: math.sin(x)),
    "cos1": Scalar(mp.cos, np.cos, np.cos, lambda x: math.cos(x)),
    "softplus1": Scalar(_exact_softplus, _softplus, None, lambda x: max(x, 0) + math.log1p(math.exp(-abs(x)))),
    "log_sigmoid1": Scalar(
        lambda x: -_exact_softplus(-x), lambda x: -_softplus(-x), None,
        lambda x: min(x, 0) - math.log1p(math.exp(-abs(x))),
    ),
    "logit1": Scalar(
        lambda x: mp.log(x / (1 - x)), _logit, None, lambda x: math.log(x) - math.log1p(-x)
    ),
    "silu1": Scalar(lambda x: x * _logistic(x), _silu, None, lambda x: x / (1 + math.exp(-x))),
    "erf1": Scalar(mp.erf, _erf, None, lambda x: math.erf(x)),
    "erfc1": Scalar(mp.erfc, _erfc, None, lambda x: math.erfc(x)),
    "gelu1": Scalar(_exact_gelu, _gelu, None, lambda x: x * math.erfc(x * -math.sqrt(0.5)) / 2),
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
    "logit_slope1": Scalar(lambda x: 1 / (x * (1 - x)), _logit_slope, None, lambda x: 1 / (x * (1 - x))),
    "silu_slope1": Scalar(
        lambda x: _logistic(x) * (1 + x * _logistic(-x)), _silu_slope, None,
        lambda x: (1 + x / (1 + math.exp(x))) / (1 + math.exp(-x)),
    ),
    "erf_slope1": Scalar(
        lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x), None,
        lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x),
    ),
    "gelu_slope1": Scalar(
        _exact_gelu_slope, _gelu_slope, None,
        lambda x: math.erfc(x * -math.sqrt(0.5)) / 2 + x * math.exp(x * x / -2) / math.sqrt(2 * math.pi),
    ),
}  # fmt: skip
# Those of `elementary`, which were there before.
ELEMENTARY: dict[str, Scalar] = {
    "exp1": Scalar(mp.exp, np.exp, np.exp, lambda x: math.exp(x)),
    "expm1_1": Scalar(mp.expm1, np.expm1, np.expm1, lambda x: math.expm1(x)),
    "log1": Scalar(mp.log, np.log, np.log, lambda x: math.log(x)),
    "log1p1": Scalar(mp.log1p, np.log1p, np.log1p, lambda x: math.log1p(x)),
    "tanh1": Scalar(mp.tanh, np.tanh, np.tanh, lambda x: math.tanh(x)),
    "sigmoid1": Scalar(_logistic, _sigmoid, None, lambda x: 1 / (1 + math.exp(-x))),
}
# Those that live between 0 and 1, and those of positive numbers.
BETWEEN, POSITIVE = {"logit1", "logit_slope1"}, {"log2_1", "log10_1", "rsqrt1", "pow1", "log1", "log1p1"}
