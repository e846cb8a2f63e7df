"""Stochastic gradient descent with momentum and weight decay."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import check_name, check_rates
from fastmlp.nn.decay import DECAY_PER
from fastmlp_kernels import jit
from fastmlp_kernels._align import aligned_zeros


class SGD:
    """v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v; biases are not decayed.

    g is the gradient of the mean loss over the batch. With decay_per "update" the decay is not divided by the batch's
    rows: PyTorch's `SGD` takes the same steps as long as lr stays constant. With "batch" it is weight_decay / rows, as
    scikit-learn's `alpha` is; an epoch's last, smaller batch decays more then.

    lr : > 0; momentum : in [0, 1); weight_decay : >= 0; decay_per : one of DECAY_PER. Raises ConfigError outside, also
        when it trains a network that computes in float32 and cannot hold the number: a rate above 3.4e38, or a momentum
        that rounds to 1.
    An optimiser keeps the velocity of each network that it trains. Copied or pickled together with the network, as in
    `copy.deepcopy((model, optimizer))`, it goes on from there; copied alone, its copy knows the old network only.
    """

    def __init__(
        self, lr: float = 0.005, momentum: float = 0.9, weight_decay: float = 0.0, decay_per: str = "update"
    ) -> None:
        check_rates(lr, momentum, weight_decay)
        check_name("decay_per", decay_per, DECAY_PER)
        self.lr, self.momentum, self.weight_decay = float(lr), float(momentum), float(weight_decay)
        self.decay_per = decay_per
        self._checked: tuple[float, float, float, np.dtype, str] | None = None
        self._velocity: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def velocity_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the velocity of an array of parameters, of its shape: zeros at first."""
        key = id(parameters)  # safe: the entry keeps the array alive
        if key not in self._velocity:
            self._velocity[key] = (parameters, aligned_zeros(parameters.shape, parameters.dtype))
        return self._velocity[key][1]

    def check_for(self, dtype: np.dtype) -> None:
        """Raise ConfigError where a setting, as it is now, is out of its range or out of this dtype's."""
        now = self.lr, self.momentum, self.weight_decay, dtype, self.decay_per
        if now != self._checked:  # asked in each step
            check_rates(*now[:3], float32=dtype.itemsize < 8)
            check_name("decay_per", self.decay_per, DECAY_PER)
            self._checked = now

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_velocity": list(self._velocity.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        velocity = {id(pair[0]): pair for pair in state["_velocity"]}  # the arrays are others now
        self.__dict__.update(state, _velocity=velocity)

    def step(
        self, parameters: np.ndarray, gradient: np.ndarray, parts: Iterable[tuple[slice, bool]], rows: int = 1
    ) -> None:
        """Update flat parameters in place from their gradient (P,), the mean over a batch of so many rows.

        parts : (where, whether it decays)
        """
        self.check_for(parameters.dtype)
        velocity = self.velocity_of(parameters)
        weight_decay = self.weight_decay / rows if self.decay_per == "batch" else self.weight_decay
        for at, decays in parts:
            decay = weight_decay if decays else 0.0
            jit.momentum_step(parameters[at], velocity[at], gradient[at], self.lr, self.momentum, decay)


def check_optimizer(optimizer: object, dtype: np.dtype) -> None:
    """Raise ConfigError unless it is an optimiser that can train in this dtype."""
    if not isinstance(optimizer, SGD):
        raise ConfigError(f"optimizer is {optimizer!r}, allowed is an optimiser such as SGD(lr=0.01)")
    optimizer.check_for(dtype)
