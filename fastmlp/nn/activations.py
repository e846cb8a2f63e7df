"""The table of activations: each a compiled pair, forward with the bias and backward with the bias gradient.

Kernels load when one is first used: a command that only tells the names, which are this table's keys, needs no numba.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fastmlp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@dataclass(frozen=True)
class Activation:
    """`forward(z, bias)` and `backward(delta, h, dbias)`, both in place, by their names in `fastmlp_kernels.jit`."""

    forward_kernel: str
    backward_kernel: str

    @cached_property
    def forward(self) -> Callable[[np.ndarray, np.ndarray], None]:
        """Apply the activation to z + bias."""
        from fastmlp_kernels import jit

        return getattr(jit, self.forward_kernel)

    @cached_property
    def backward(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
        """Multiply delta by the derivative at h, the activation's value, and sum its columns."""
        from fastmlp_kernels import jit

        return getattr(jit, self.backward_kernel)


ACTIVATIONS = {
    "tanh": Activation("bias_tanh", "tanh_backward"),
    "sigmoid": Activation("bias_sigmoid", "sigmoid_backward"),
    "relu": Activation("bias_relu", "relu_backward"),
    "identity": Activation("bias_identity", "identity_backward"),
}


def activation_named(name: str) -> Activation:
    """Look an activation up; an unknown name raises ConfigError with the allowed ones."""
    if not (isinstance(name, str) and name in ACTIVATIONS):
        raise ConfigError(f"unknown activation {name!r}, allowed: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
