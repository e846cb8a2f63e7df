"""Layer normalisation and its way back, in plain numpy and float64."""

import numpy as np

from fastmlp.reference.activations import Array


def layer_norm(x: Array, gain: Array, bias: Array, eps: float = 1e-5) -> Array:
    """(x - mean) / sqrt(var + eps) * gain + bias of each row of x (..., H); gain and bias (H,)."""
    d = x - x.mean(axis=-1, keepdims=True)
    return d / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + eps) * gain + bias


def layer_norm_backward(delta: Array, x: Array, gain: Array, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """(dx (..., H), dgain (H,), dbias (H,)) for the gradient delta (..., H) by the output of `layer_norm`."""
    d = x - x.mean(axis=-1, keepdims=True)
    inv_std = 1 / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + eps)
    normal, g = d * inv_std, delta * gain
    dx = inv_std * (g - g.mean(axis=-1, keepdims=True) - normal * np.mean(g * normal, axis=-1, keepdims=True))
    rows = tuple(range(x.ndim - 1))
    return dx, (delta * normal).sum(axis=rows), delta.sum(axis=rows)
