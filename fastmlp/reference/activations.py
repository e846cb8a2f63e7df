"""The activations and their derivatives, each with the bias before it, in plain numpy and float64."""

import math

import numpy as np

Array = np.ndarray
Pair = tuple[np.ndarray, np.ndarray]


def bias_tanh(z: Array, bias: Array) -> Array:
    """tanh(z + bias), for z (N, H) and bias (H,)."""
    return np.tanh(z + bias)


def bias_sigmoid(z: Array, bias: Array | float) -> Array:
    """1 / (1 + exp(-(z + bias))) for z (N, H) and bias (H,), in the form whose exponential cannot overflow."""
    x = z + bias
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def bias_relu(z: Array, bias: Array) -> Array:
    """max(z + bias, 0), for z (N, H) and bias (H,)."""
    return np.maximum(z + bias, 0)


def bias_identity(z: Array, bias: Array) -> Array:
    """z + bias, for z (N, H) and bias (H,)."""
    return z + bias


def tanh_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_tanh`."""
    dz = delta * (1 - h * h)
    return dz, dz.sum(axis=0)


def sigmoid_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_sigmoid`."""
    dz = delta * h * (1 - h)
    return dz, dz.sum(axis=0)


def relu_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_relu`; 0 at the kink."""
    dz = delta * (h > 0)
    return dz, dz.sum(axis=0)


def identity_backward(delta: Array, h: Array) -> Pair:  # noqa: ARG001 - the same call for every activation
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_identity`."""
    return delta, delta.sum(axis=0)


def bias_leaky_relu(z: Array, bias: Array) -> Array:
    """z + bias where that is positive, else a hundredth of it, for z (N, H) and bias (H,)."""
    x = z + bias
    return np.where(x > 0, x, 0.01 * x)


def bias_elu(z: Array, bias: Array) -> Array:
    """z + bias where that is positive, else exp(z + bias) - 1, for z (N, H) and bias (H,)."""
    x = z + bias
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def bias_softplus(z: Array, bias: Array) -> Array:
    """log(1 + exp(z + bias)) for z (N, H) and bias (H,), in the form whose exponential cannot overflow."""
    x = z + bias
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _limited(x: Array) -> Array:
    """x, or -1000 below that, where exp(x) is 0: minus infinity times it would be NaN."""
    return np.maximum(x, -1000)


def bias_silu(z: Array, bias: Array) -> Array:
    """x times its sigmoid, for x = z + bias, z (N, H) and bias (H,)."""
    x = z + bias
    return _limited(x) * bias_sigmoid(x, np.zeros(()))


def normal_distribution(x: Array) -> Array:
    """Chance that a standard normal number is below x, of any shape."""
    return np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2)) / 2


def bias_gelu(z: Array, bias: Array) -> Array:
    """x times the chance that a standard normal number is below it, for x = z + bias, z (N, H) and bias (H,)."""
    x = z + bias
    return _limited(x) * normal_distribution(x)


def leaky_relu_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_leaky_relu`."""
    dz = delta * np.where(h > 0, 1, 0.01)
    return dz, dz.sum(axis=0)


def elu_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_elu`."""
    dz = delta * np.where(h > 0, 1, h + 1)
    return dz, dz.sum(axis=0)


def softplus_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_softplus`."""
    dz = delta * -np.expm1(-h)
    return dz, dz.sum(axis=0)


def silu_backward(delta: Array, x: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output of `bias_silu`, x (N, H) being z + bias."""
    x = np.clip(x, -1000, 1000)
    s = bias_sigmoid(x, np.zeros(()))
    dz = delta * (s + x * s * bias_sigmoid(-x, np.zeros(())))
    return dz, dz.sum(axis=0)


def gelu_backward(delta: Array, x: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output of `bias_gelu`, x (N, H) being z + bias."""
    x = np.clip(x, -1000, 1000)
    dz = delta * (normal_distribution(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    return dz, dz.sum(axis=0)


ACTIVATIONS = {
    "tanh": (bias_tanh, tanh_backward),
    "sigmoid": (bias_sigmoid, sigmoid_backward),
    "relu": (bias_relu, relu_backward),
    "identity": (bias_identity, identity_backward),
    "leaky_relu": (bias_leaky_relu, leaky_relu_backward),
    "elu": (bias_elu, elu_backward),
    "softplus": (bias_softplus, softplus_backward),
    "silu": (bias_silu, silu_backward),
    "gelu": (bias_gelu, gelu_backward),
}


# Those whose backward is of (delta, z + bias), as their slope is no function of the output.
KEEP_INPUT = {"silu", "gelu"}
