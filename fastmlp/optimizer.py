"""Stochastic gradient descent with momentum and weight decay."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastmlp.checks import check_rates
from fastmlp.errors import ConfigError
from fastmlp_kernels import jit
from fastmlp_kernels._align import aligned_zeros


class SGD:
    """v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v; biases are not decayed.

    g is the gradient of the mean loss over the batch, and the decay is not divided by the batch size. PyTorch's `SGD`
    takes the same steps as long as lr stays constant; scikit-learn's `alpha` is divided by the batch's size.

    lr : > 0; momentum : in [0, 1); weight_decay : >= 0. Raises ConfigError outside, also when it trains a network that
        computes in float32 and cannot hold the number: a rate above 3.4e38, or a momentum that rounds to 1.
    An optimiser keeps the velocity of each network that it trains. Copied or pickled together with the network, as in
    `copy.deepcopy((model, optimizer))`, it goes on from there; copied alone, its copy knows the old network only.
    """

    def __init__(self, lr: float = 0.005, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        check_rates(lr, momentum, weight_decay)
        self.lr, self.momentum, self.weight_decay = float(lr), float(momentum), float(weight_decay)
        self._checked: tuple[float, float, float, np.dtype] | None = None
        self._velocity: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def velocity_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the velocity of an array of parameters, of its shape: zeros at first."""
        key = id(parameters)  # safe: the entry keeps the array alive
        if key not in self._velocity:
            self._velocity[key] = (parameters, aligned_zeros(parameters.shape, parameters.dtype))
        return self._velocity[key][1]

    def check_for(self, dtype: np.dtype) -> None:
        """Raise ConfigError where a setting, as it is now, is out of its range or out of this dtype's."""
        now = self.lr, self.momentum, self.weight_decay, dtype
        if now != self._checked:  # asked in each step
            check_rates(*now[:3], float32=dtype.itemsize < 8)
            self._checked = now

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_velocity": list(self._velocity.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        velocity = {id(pair[0]): pair for pair in state["_velocity"]}  # the arrays are others now
        self.__dict__.update(state, _velocity=velocity)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, parts: Iterable[tuple[slice, bool]]) -> None:
        """Update flat parameters in place from their gradient (P,), part by part: (where, whether it decays)."""
        self.check_for(parameters.dtype)
        velocity = self.velocity_of(parameters)
        for at, decays in parts:
            decay = self.weight_decay if decays else 0.0
            jit.momentum_step(parameters[at], velocity[at], gradient[at], self.lr, self.momentum, decay)


def check_optimizer(optimizer: object, dtype: np.dtype) -> None:
    """Raise ConfigError unless it is an optimiser that can train in this dtype."""
    if not isinstance(optimizer, SGD):
        raise ConfigError(f"optimizer is {optimizer!r}, allowed is an optimiser such as SGD(lr=0.01)")
    optimizer.check_for(dtype)
