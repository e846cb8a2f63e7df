"""Compile every kernel before it is needed."""

import time

import numpy as np
from numpy.typing import DTypeLike

from fastmlp_kernels import (
    _check,
    activations,
    dropping,
    elementwise,
    layernorm,
    log_sum,
    loss,
    normalize,
    pointwise,
    reductions,
    update,
)


def warmup(dtype: DTypeLike = np.float32) -> dict[str, float]:
    """Compile all kernels for one dtype (float32 or float64), so that no later call waits.

    Returns the seconds that each kernel's first call took, by name; a few milliseconds in all once they are compiled.
    Worth calling before timing, before starting worker threads, and in a container's build, whose image then has the
    cache on disk filled: for the user who built it, and for the CPU it was built on.
    Raises TypeError for any other dtype.
    """
    dtype = np.dtype(dtype)
    if dtype not in _check.FLOATS:
        raise TypeError(f"dtype is {dtype}, allowed is float32 or float64")
    z, h = np.zeros((2, 3), dtype), np.ones((2, 3), dtype)
    half = np.full((2, 3), 0.5, dtype)
    bias, dbias = np.zeros(3, dtype), np.zeros(3, dtype)
    labels = np.zeros(2, np.int64)
    images = np.zeros((2, 3), np.uint8)
    mean, inv_std = np.zeros((2, 1), dtype), np.ones((2, 1), dtype)
    calls = [
        *((getattr(activations, f"bias_{name}"), (z, bias)) for name in activations.ALONE),
        *((getattr(activations, f"{name}_backward"), (z, h, dbias)) for name in activations.ALONE),
        (loss.softmax_cross_entropy, (z, bias, labels, dbias)),
        (loss.softmax_cross_entropy_eval, (z, bias, labels)),
        (loss.bias_softmax, (z, bias)),
        *((f, (z, bias, h, dbias)) for f in (elementwise.logistic_loss, elementwise.squared_error)),
        *((f, (z, bias, h, dbias)) for f in (elementwise.poisson_loss, elementwise.huber_loss)),
        *((f, (z, bias, h)) for f in (elementwise.logistic_loss_eval, elementwise.squared_error_eval)),
        *((f, (z, bias, h)) for f in (elementwise.poisson_loss_eval, elementwise.huber_loss_eval)),
        *((function, (half,)) for function in pointwise.POINTWISE.values()),
        (pointwise.pow, (half, half)),
        *((f, (z, None, axis)) for f in (log_sum.softmax, log_sum.log_softmax, log_sum.logsumexp) for axis in (0, -1)),
        *((f, (z, axis)) for f in (reductions.accurate_sum, reductions.accurate_mean) for axis in (None, 0, -1)),
        (layernorm.layer_norm, (z, bias, dbias)),
        (layernorm.layer_norm_backward, (z, h, bias, mean[:, 0], inv_std[:, 0], dbias, dbias.copy())),
        (dropping.dropout, (z, 0.5, 0)),
        *(
            (f, (w, v, np.zeros_like(w), 0.1, 0.9, 0.0))
            for f in (update.momentum_step, update.nesterov_step)
            for w, v in ((z, h), (bias, dbias))  # weights and biases
        ),
        *(
            (f, (w, np.zeros((2, *w.shape), dtype), np.zeros_like(w), 1))
            for f in (update.adam_step, update.adamw_step)
            for w in (z, bias)
        ),
        (normalize.image_moments, (images, 1, mean, inv_std)),
        (normalize.gather_normalize, (images, labels, mean, inv_std, z)),
    ]
    seconds: dict[str, float] = {}
    for function, arguments in calls:
        start = time.perf_counter()
        function(*arguments)
        name = function.__name__
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
    for name in activations.ACTIVATIONS.keys() - activations.ALONE:  # those without kernels of their own share two
        forward, backward = activations.passes_of(name)
        forward(z, bias, h)
        backward(z, h, dbias)
    return seconds
