"""The momentum update with weight decay, one pass over each parameter array."""

from typing import cast

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._optimizers import Momentum, step1
from fastmlp_kernels._views import matrix_at, vector_at

ZERO = cast("int", np.int64(0))  # no literal, see `gemm.panels`


@part
def step_parameters(
    parameters: np.ndarray, state: np.ndarray, first: int, gradient: np.ndarray, settings: Momentum
) -> None:
    """In place: elements of parameters (P,) from `first` on, and their state (slots, P), take a step; any float.

    gradient : (N,) of the N elements
    """
    for i in range(gradient.size):
        step1(parameters, state, first + i, gradient[i], settings)


@kernel
def _momentum_step(
    w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float
) -> None:
    settings = Momentum(np.float64(lr), np.float64(momentum), np.float64(weight_decay))
    flat_w, flat_v, flat_g = vector_at(w, 0, w.size), matrix_at(v, 0, 1, v.size), vector_at(g, 0, g.size)
    step_parameters(flat_w, flat_v, ZERO, flat_g, settings)


def checked_momentum(lr: float, momentum: float, weight_decay: float, dtype: np.dtype) -> Momentum:
    """Return the settings of a step on parameters of this dtype. Raises TypeError or ValueError naming the bad one."""
    return Momentum(
        _check.number("lr", lr, dtype),
        _check.number("momentum", momentum, dtype),
        _check.number("weight_decay", weight_decay, dtype),
    )


def momentum_step(w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float) -> None:
    """In place: v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v.

    w : parameters, any shape, float32 or float64, C-contiguous, overwritten
    v : velocity, same shape and dtype, overwritten; zeros before the first step
    g : gradient (of the mean loss over the batch), same shape and dtype
    lr, momentum, weight_decay : numbers that are finite in this dtype

    The learning rate is inside the velocity and the decay inside the gradient, unscaled by the batch size. PyTorch
    keeps the rate outside (v <- momentum v + g + wd w; w <- w - lr v): the two agree while the rate stays the same.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check.array("w", w, _check.FLOATS, writes=True)
    _check.array("v", v, (w.dtype,), w.shape, writes=True)
    _check.array("g", g, (w.dtype,), w.shape)
    _check.apart(w=w, v=v, g=g)
    _momentum_step(w, v, g, *checked_momentum(lr, momentum, weight_decay, w.dtype))
