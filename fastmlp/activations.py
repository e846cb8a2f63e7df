"""The table of activations: each a compiled pair, forward with the bias and backward with the bias gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp_kernels import jit


@dataclass(frozen=True)
class Activation:
    """`forward(z, bias)` and `backward(delta, h, dbias)`, both in place; see `fastmlp_kernels.activations`."""

    forward: Callable[[np.ndarray, np.ndarray], None]
    backward: Callable[[np.ndarray, np.ndarray, np.ndarray], None]


ACTIVATIONS = {
    "tanh": Activation(jit.bias_tanh, jit.tanh_backward),
    "sigmoid": Activation(jit.bias_sigmoid, jit.sigmoid_backward),
    "relu": Activation(jit.bias_relu, jit.relu_backward),
    "identity": Activation(jit.bias_identity, jit.identity_backward),
}


def activation_named(name: str) -> Activation:
    """Look an activation up; an unknown name raises ConfigError with the allowed ones."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"unknown activation {name!r}, allowed: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
