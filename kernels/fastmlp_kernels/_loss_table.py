"""The elementwise losses as compiled code knows them: a name, and two functions of one output and its target.

A new one is an entry here, with its functions, a record in `fastmlp.nn.loss`, and its plain form in
`fastmlp.reference`. The loops over rows are written once, for all of them, in `_elementwise_rows`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from fastmlp_kernels._jit import element
from fastmlp_kernels._records import record
from fastmlp_kernels.elementary import exp1, exp_below1, log1, log1p1


class Loss(NamedTuple):
    """An elementwise loss's functions of (z, t, parameter), inlined into loops.

    value1 : the loss of an output z, its bias added, and a target t; slope1 : its derivative by z
    """

    value1: Callable[[Any, Any, Any], Any]
    slope1: Callable[[Any, Any, Any], Any]


@record
class Criterion(NamedTuple):
    """A loss and its settings as numbers, which compiled code is told at run time.

    code : one of `CODES`; softmax cross-entropy, which goes by its labels, does not read it
    parameter : the loss's own setting: delta for "huber"
    smoothing : share of a target that is spread over all answers: t (1 - s) + s / 2 for "logistic", 0 for the others of
        the table, and (1 - s) onehot + s / K for softmax cross-entropy
    low, high : bounds of an element's value (for softmax cross-entropy, of a row's), in the sum alone, not in the
        gradient; 0 and infinity for none
    """

    code: int
    parameter: float = 0.0
    smoothing: float = 0.0
    low: float = 0.0
    high: float = math.inf


@element
def _missing1(z, t):
    """Share of the target that is not on the side of z, which has 1 / (1 + exp(-|z|)): 1 - t for z >= 0, else t."""
    return t if z < type(z)(0) else type(z)(1) - t


# log(1 + exp(z)) - t z is log(1 + exp(-|z|)) + |z| m, m being what is missing: no term is negative, and m is exactly 0
# for a sure answer that is right. So it is with the slope, +-(m - 1 / (1 + exp(|z|))).
@element
def _logistic1(z, t, parameter):
    missing = _missing1(z, t)
    wrong = abs(z) * missing
    # infinity times 0, unless the target is NaN; to ask whether it is 0 would make branches, and keep loops scalar
    return log1p1(exp_below1(-abs(z))) + (wrong if wrong == wrong else missing - missing)


@element
def _logistic_slope1(z, t, parameter):
    e = exp_below1(-abs(z))
    slope = _missing1(z, t) - e / (type(z)(1) + e)
    return -slope if z < type(z)(0) else slope


@element
def _squared_error1(z, t, parameter):
    d = z - t
    return type(z)(0.5) * d * d


@element
def _squared_error_slope1(z, t, parameter):
    return z - t


@element
def _poisson1(z, t, parameter):
    # exp(z) - t z, less what it is for exp(z) = t
    rest = t * (z - log1(t))  # 0 times infinity for a target of 0
    return exp1(z) - t - (rest if rest == rest else t - t)


@element
def _poisson_slope1(z, t, parameter):
    return exp1(z) - t


@element
def _huber1(z, t, parameter):
    distance = abs(z - t)
    near = parameter if distance > parameter else distance
    return near * (distance - type(z)(0.5) * near)


@element
def _huber_slope1(z, t, parameter):
    d = z - t
    d = parameter if d > parameter else d  # written so that a NaN fails both comparisons and passes through
    return -parameter if d < -parameter else d


LOSSES = {
    "logistic": Loss(_logistic1, _logistic_slope1),
    "squared-error": Loss(_squared_error1, _squared_error_slope1),
    "poisson": Loss(_poisson1, _poisson_slope1),
    "huber": Loss(_huber1, _huber_slope1),
}


def code_of(name: str) -> int:
    """Return the number that stands for a loss in compiled code, which so compiles once for all of them."""
    return cast("int", np.int64(list(LOSSES).index(name)))  # no literal, see `gemm.panels`


# What compiled code is told a loss by.
CODES = {name: code_of(name) for name in LOSSES}
