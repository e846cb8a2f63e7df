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
    An optimiser serves one network: it keeps a velocity for each of its parameters.
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
        self._velocity: dict[int, tuple[Dense, np.ndarray, np.ndarray]] = {}

    def step(self, layer: Dense) -> None:
        """Update the layer's weight and bias in place from its dweight and dbias."""
        key = id(layer)  # safe: the entry keeps the layer alive
        if key not in self._velocity:
            self._velocity[key] = (layer, np.zeros_like(layer.weight), np.zeros_like(layer.bias))
        _, v_weight, v_bias = self._velocity[key]
        jit.momentum_step(layer.weight, v_weight, layer.dweight, self.lr, self.momentum, self.weight_decay)
        jit.momentum_step(layer.bias, v_bias, layer.dbias, self.lr, self.momentum, 0.0)
