"""Stochastic gradient descent with momentum and weight decay."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp_kernels import jit
from fastmlp_kernels._align import aligned_zeros


class SGD:
    """v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v; biases are not decayed.

    g is the gradient of the mean loss over the batch, and the decay is not divided by the batch size. PyTorch's `SGD`
    takes the same steps as long as lr stays constant; scikit-learn's `alpha` is divided by the batch's size.

    lr : > 0; momentum : in [0, 1); weight_decay : >= 0. Raises ConfigError outside.
    An optimiser keeps the velocity of each network that it trains. Copied or pickled together with the network, as in
    `copy.deepcopy((model, optimizer))`, it goes on from there; copied alone, its copy knows the old network only.
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
            self._velocity[key] = (parameters, aligned_zeros(parameters.shape, parameters.dtype))
        return self._velocity[key][1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_velocity": list(self._velocity.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        velocity = {id(pair[0]): pair for pair in state["_velocity"]}  # the arrays are others now
        self.__dict__.update(state, _velocity=velocity)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, parts: Iterable[tuple[slice, bool]]) -> None:
        """Update flat parameters in place from their gradient (P,), part by part: (where, whether it decays)."""
        velocity = self.velocity_of(parameters)
        for at, decays in parts:
            decay = self.weight_decay if decays else 0.0
            jit.momentum_step(parameters[at], velocity[at], gradient[at], self.lr, self.momentum, decay)
