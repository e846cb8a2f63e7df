"""The activations as compiled code knows them: a name, and two functions of one element.

A new one is an entry here, with its functions, a record in `fastmlp.nn.activations`, and its plain form in
`fastmlp.reference`. The loops over rows are written once, for all of them, in `_activation_passes`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from fastmlp_kernels._jit import part
from fastmlp_kernels._rectifiers import (
    elu1,
    gelu1,
    leaky_relu1,
    silu1,
    softplus1,
    times_elu_slope1,
    times_gelu_slope1,
    times_leaky_relu_slope1,
    times_silu_slope1,
    times_softplus_slope1,
)
from fastmlp_kernels.elementary import identity1, relu1, sigmoid1, tanh1


class Activation(NamedTuple):
    """An activation's functions of one element, inlined into loops.

    forward1 : act(x)
    backward1 : d * act'(x), of (d, kept), d being the gradient by act(x)
    keeps_input : what the way forward keeps for the way back: x, or else act(x), which needs no memory of its own
    """

    forward1: Callable[[Any], Any]
    backward1: Callable[[Any, Any], Any]
    keeps_input: bool = False


@part
def _times_tanh_derivative1(d, h):
    return d * (type(h)(1) - h * h)


@part
def _times_sigmoid_derivative1(d, h):
    return d * (h * (type(h)(1) - h))


@part
def _times_relu_derivative1(d, h):
    # d * 0, not 0: a NaN or infinite gradient behind a closed unit still shows
    return d * (type(h)(1) if h > type(h)(0) else type(h)(0))


@part
def _times_identity_derivative1(d, h):
    return d


ACTIVATIONS = {
    "tanh": Activation(tanh1, _times_tanh_derivative1),
    "sigmoid": Activation(sigmoid1, _times_sigmoid_derivative1),
    "relu": Activation(relu1, _times_relu_derivative1),
    "identity": Activation(identity1, _times_identity_derivative1),
    "leaky_relu": Activation(leaky_relu1, times_leaky_relu_slope1),
    "elu": Activation(elu1, times_elu_slope1),
    "softplus": Activation(softplus1, times_softplus_slope1),
    "silu": Activation(silu1, times_silu_slope1, keeps_input=True),
    "gelu": Activation(gelu1, times_gelu_slope1, keeps_input=True),
}


def code_of(name: str) -> int:
    """Return the number that stands for an activation in compiled code, which so compiles once for all of them."""
    return cast("int", np.int64(list(ACTIVATIONS).index(name)))  # no literal, see `gemm.panels`


# What compiled code is told an activation by.
CODES = {name: code_of(name) for name in ACTIVATIONS}
