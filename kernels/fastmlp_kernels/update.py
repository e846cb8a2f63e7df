"""The steps of optimisers, with weight decay, one pass over each array of parameters."""

from typing import cast

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._clipping import clipping_factor, scale
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._optimizers import Adam, Momentum, Nesterov, Settings, settings_of_step, step1, with_decay
from fastmlp_kernels._sums import sum_of_squares
from fastmlp_kernels._views import matrix_at, vector_at

ZERO, ONE, TWO = (cast("int", np.int64(i)) for i in range(3))  # no literals, see `gemm.panels`


@part
def step_parameters(
    parameters: np.ndarray, state: np.ndarray, first: int, gradient: np.ndarray, settings: Settings
) -> None:
    """In place: elements of parameters (P,) from `first` on, and their state (slots, P), take a step; any float.

    gradient : (N,) of the N elements
    """
    for i in range(gradient.size):
        step1(parameters, state, first + i, gradient[i], settings)


@kernel
def take_step(
    parameters: np.ndarray, state: np.ndarray, first: int, gradient: np.ndarray, settings: Settings, weight_decay: float
) -> None:
    """Take the step of `step_parameters` with arrays of one float dtype, flat but for the state, and another decay."""
    step_parameters(parameters, state, first, gradient, with_decay(settings, weight_decay))


@kernel
def clip(gradient: np.ndarray, most: float) -> None:
    """In place: scale a gradient (P,), float32 or float64, to a norm of `most` where it is larger; unchecked."""
    scale(gradient, clipping_factor(sum_of_squares(gradient), most))


@part
def _step_all(w: np.ndarray, state: np.ndarray, g: np.ndarray, settings: Settings, slots: int) -> None:
    flat_w, flat_state, flat_g = vector_at(w, 0, w.size), matrix_at(state, 0, slots, w.size), vector_at(g, 0, g.size)
    step_parameters(flat_w, flat_state, ZERO, flat_g, settings)


@kernel
def _momentum_step(
    w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float
) -> None:
    _step_all(w, v, g, Momentum(np.float64(lr), np.float64(momentum), np.float64(weight_decay)), ONE)


@kernel
def _nesterov_step(
    w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float
) -> None:
    _step_all(w, v, g, Nesterov(np.float64(lr), np.float64(momentum), np.float64(weight_decay)), ONE)


@part
def _adam(numbers: tuple[float, ...], decoupled: bool) -> Adam:
    lr, beta1, beta2, eps, weight_decay = numbers
    return Adam(
        np.float64(lr),
        np.float64(beta1),
        np.float64(beta2),
        np.float64(eps),
        np.float64(weight_decay),
        decoupled,
        False,
    )


@kernel
def _adam_step(w: np.ndarray, state: np.ndarray, g: np.ndarray, step: int, settings: tuple[float, ...]) -> None:
    _step_all(w, state, g, settings_of_step(_adam(settings, False), step), TWO)


@kernel
def _adamw_step(w: np.ndarray, state: np.ndarray, g: np.ndarray, step: int, settings: tuple[float, ...]) -> None:
    _step_all(w, state, g, settings_of_step(_adam(settings, True), step), TWO)


def checked_momentum(lr: float, momentum: float, weight_decay: float, dtype: np.dtype) -> Momentum:
    """Return the settings of a step on parameters of this dtype. Raises TypeError or ValueError naming the bad one."""
    return Momentum(
        _check.number("lr", lr, dtype),
        _check.number("momentum", momentum, dtype),
        _check.number("weight_decay", weight_decay, dtype),
    )


def _check_arrays(w: np.ndarray, name: str, state: np.ndarray, shape: tuple[int, ...], g: np.ndarray) -> None:
    _check.array("w", w, _check.FLOATS, writes=True)
    _check.array(name, state, (w.dtype,), shape, writes=True)
    _check.array("g", g, (w.dtype,), w.shape)
    _check.apart(**{"w": w, name: state, "g": g})


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
    _check_arrays(w, "v", v, np.shape(w), g)
    _momentum_step(w, v, g, *checked_momentum(lr, momentum, weight_decay, w.dtype))


def nesterov_step(w: np.ndarray, v: np.ndarray, g: np.ndarray, lr: float, momentum: float, weight_decay: float) -> None:
    """In place: v <- momentum * v - lr * g', then w <- w + momentum * v - lr * g', where g' = g + weight_decay * w.

    Arrays, settings and errors are those of `momentum_step`. The form is scikit-learn's; PyTorch's, whose velocity has
    no rate in it, takes the same steps while the rate stays the same. The weights are those of Y. Nesterov's "A method
    of solving a convex programming problem with convergence rate O(1/k^2)" (1983) after the look ahead.
    """
    _check_arrays(w, "v", v, np.shape(w), g)
    _nesterov_step(w, v, g, *checked_momentum(lr, momentum, weight_decay, w.dtype))


def _checked_adam(step: int, settings: dict[str, float], dtype: np.dtype) -> tuple[int, tuple[float, ...]]:
    number = _check.count("step", step, 2**53)
    lr, beta1, beta2, eps, weight_decay = (_check.number(name, value, dtype) for name, value in settings.items())
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        if not 0 <= beta < 1:
            raise ValueError(f"{name} is {beta!r}, allowed is a number from 0 up to, not including, 1")
    return number, (lr, beta1, beta2, eps, weight_decay)


def adam_step(
    w: np.ndarray,
    state: np.ndarray,
    g: np.ndarray,
    step: int,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """In place: a step of Adam, w <- w - lr * (m / (1 - beta1**step)) / (sqrt(v / (1 - beta2**step)) + eps).

    Before it m <- beta1 m + (1 - beta1) g' and v <- beta2 v + (1 - beta2) g' g', where g' = g + weight_decay * w.

    w : parameters, any shape, float32 or float64, C-contiguous, overwritten
    state : (2, *shape of w), m and v, same dtype, overwritten; zeros before the first step
    g : gradient (of the mean loss over the batch), same shape and dtype as w
    step : the number of this step, from 1 on
    lr, beta1, beta2, eps, weight_decay : numbers that are finite in this dtype; both betas from 0 to below 1. Where eps
        is 0 in this dtype, an element that never had a gradient becomes NaN

    The method is D. Kingma's and J. Ba's ("Adam: a method for stochastic optimization", ICLR 2015), as PyTorch has it.
    Compiled code (`fastmlp_kernels.jit`) takes the five settings as one tuple.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_arrays(w, "state", state, (2, *np.shape(w)), g)
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
    _adam_step(w, state, g, *_checked_adam(step, settings, w.dtype))


def adamw_step(
    w: np.ndarray,
    state: np.ndarray,
    g: np.ndarray,
    step: int,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> None:
    """In place: w <- w - lr * weight_decay * w, then a step of Adam without weight decay.

    Arrays, of any shape, settings and errors are those of `adam_step`. The method is I. Loshchilov's and F. Hutter's
    ("Decoupled weight decay regularization", ICLR 2019), as PyTorch has it.
    """
    _check_arrays(w, "state", state, (2, *np.shape(w)), g)
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
    _adamw_step(w, state, g, *_checked_adam(step, settings, w.dtype))
