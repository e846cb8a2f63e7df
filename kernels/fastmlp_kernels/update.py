"""The momentum update with weight decay, one pass over each parameter array."""

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._llvm import multiply_add1
from fastmlp_kernels._views import vector_at


@part
def velocity1(w, v, g, rate, keep, decay):
    """Return keep * v - rate * (g + decay * w): the new velocity of one parameter, which is also its step.

    Both additions are fused, in vectors and in what is left over, as in `micro_update` of `gemm.micro`: of a sum of two
    products the compiler would choose which one to round first, here so and there so.
    """
    return multiply_add1(-rate, multiply_add1(decay, w, g), keep * v)


@part
def step_parameters(
    w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float
) -> None:
    """Take the step of `momentum_step`."""
    t = w.dtype.type  # a bare Python float would widen the whole loop to float64
    rate, keep, decay = t(lr), t(momentum), t(weight_decay)
    flat_w, flat_v, flat_g = vector_at(w, 0, w.size), vector_at(v, 0, v.size), vector_at(g, 0, g.size)
    for i in range(flat_w.size):
        step = velocity1(flat_w[i], flat_v[i], flat_g[i], rate, keep, decay)
        flat_v[i] = step
        flat_w[i] += step


@kernel
def _momentum_step(
    w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float
) -> None:
    step_parameters(w, v, g, lr, momentum, weight_decay)


def check_rates(lr: float, momentum: float, weight_decay: float, dtype: np.dtype) -> tuple[float, float, float]:
    """Return the settings of a step on parameters of this dtype. Raises TypeError or ValueError naming the bad one."""
    return (
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
    _momentum_step(w, v, g, *check_rates(lr, momentum, weight_decay, w.dtype))
