"""Stochastic gradient descent with momentum and weight decay."""

import math

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.layers import Dense
from fastmlp_kernels import jit


class SGD:
    """v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v; biases are not decayed.

    g is the gradient of the mean loss over the batch, and the decay is not divided by the batch size. PyTorch's `SGD`
    takes the same steps as long as lr stays constant; scikit-learn's `alpha` is divided by the batch's size.

    lr : > 0; momentum : in [0, 1); weight_decay : >= 0. Raises ConfigError outside.
    An optimiser serves one network, computed in one way (`matmul`): it keeps the velocities of its parameters.
    """

    def __init__(self, lr: float = 0.005, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        for name, value, fits, allowed in (
            ("lr", lr, lr > 0, "above 0"),
            ("momentum", momentum, 0 <= momentum < 1, "from 0 up to, not including, 1"),
            ("weight_decay", weight_decay, weight_decay >= 0, "0 or more"),
        ):
            if not (fits and math.isfinite(value)):
                raise ConfigError(f"{name} is {value}, allowed is a finite number {allowed}")
        self.lr, self.momentum, self.weight_decay = float(lr), float(momentum), float(weight_decay)
        self._velocity: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def velocity_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the velocity of an array of parameters, of its shape: zeros at first."""
        key = id(parameters)  # safe: the entry keeps the array alive
        if key not in self._velocity:
            self._velocity[key] = (parameters, np.zeros_like(parameters))
        return self._velocity[key][1]

    def step(self, layer: Dense) -> None:
        """Update the layer's weight and bias in place from its dweight and dbias."""
        for parameter, gradient, decay in (
            (layer.weight, layer.dweight, self.weight_decay),
            (layer.bias, layer.dbias, 0.0),
        ):
            velocity = self.velocity_of(parameter)
            jit.momentum_step(parameter, velocity, gradient, self.lr, self.momentum, decay)
