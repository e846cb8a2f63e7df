"""Bias and activation in one pass, and the way back: derivative and bias gradient in one pass.

The derivatives take the activation's output h, not its input: tanh' = 1 - h^2, sigmoid' = h (1 - h), relu' = [h > 0].
Sizes: `N` rows (images), `H` columns (units).

Both passes treat ROWS rows as one long run against the bias repeated ROWS times, so that vectors are full whatever H
is: with 20 columns, one row would be one vector and four single elements that cost more than the vector.
"""

from collections.abc import Callable

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel, scalar
from fastmlp_kernels.elementary import identity1, relu1, sigmoid1, tanh1

# A multiple of every vector width; ROWS repetitions of the bias stay in the L1 cache up to H = WIDE.
ROWS = 16
WIDE = 512


@kernel
def _rows_at_once(width: int) -> int:
    return ROWS if width <= WIDE else 1


@kernel
def _bias_activation(z: np.ndarray, bias: np.ndarray, activation1: Callable) -> None:
    width = z.shape[1]
    rows = _rows_at_once(width)
    tile = np.empty(rows * width, bias.dtype)
    for r in range(rows):
        tile[r * width : (r + 1) * width] = bias
    flat = z.reshape(z.size)
    for start in range(0, flat.size, tile.size):
        run = flat[start : start + tile.size]
        for j in range(run.size):
            run[j] = activation1(run[j] + tile[j])


@kernel
def _activation_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray, times_derivative1: Callable) -> None:
    width = delta.shape[1]
    rows = _rows_at_once(width)
    sums = np.zeros(rows * width, delta.dtype)
    flat, flat_h = delta.reshape(delta.size), h.reshape(h.size)
    for start in range(0, flat.size, sums.size):
        run, run_h = flat[start : start + sums.size], flat_h[start : start + sums.size]
        for j in range(run.size):
            d = times_derivative1(run[j], run_h[j])
            run[j] = d
            sums[j] += d
    dbias[:] = sums[:width]
    for r in range(1, rows):
        for j in range(width):
            dbias[j] += sums[r * width + j]


@scalar
def _times_tanh_derivative1(d, h):
    return d * (type(h)(1) - h * h)


@scalar
def _times_sigmoid_derivative1(d, h):
    return d * (h * (type(h)(1) - h))


@scalar
def _times_relu_derivative1(d, h):
    # d * 0, not 0: a NaN or infinite gradient behind a closed unit still shows
    return d if h > type(h)(0) else d * type(h)(0)


@scalar
def _times_identity_derivative1(d, h):  # noqa: ARG001 - the four share one signature
    return d


@kernel
def _bias_tanh(z: np.ndarray, bias: np.ndarray) -> None:
    _bias_activation(z, bias, tanh1)


@kernel
def _bias_sigmoid(z: np.ndarray, bias: np.ndarray) -> None:
    _bias_activation(z, bias, sigmoid1)


@kernel
def _bias_relu(z: np.ndarray, bias: np.ndarray) -> None:
    _bias_activation(z, bias, relu1)


@kernel
def _bias_identity(z: np.ndarray, bias: np.ndarray) -> None:
    _bias_activation(z, bias, identity1)


@kernel
def _tanh_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _activation_backward(delta, h, dbias, _times_tanh_derivative1)


@kernel
def _sigmoid_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _activation_backward(delta, h, dbias, _times_sigmoid_derivative1)


@kernel
def _relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _activation_backward(delta, h, dbias, _times_relu_derivative1)


@kernel
def _identity_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _activation_backward(delta, h, dbias, _times_identity_derivative1)


def _check_forward(z: np.ndarray, bias: np.ndarray) -> None:
    _check.array("z", z, _check.FLOATS, ndim=2, writes=True)
    _check.array("bias", bias, (z.dtype,), (z.shape[1],))
    _check.apart(z=z, bias=bias)


def _check_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _check.array("delta", delta, _check.FLOATS, ndim=2, writes=True)
    _check.array("h", h, (delta.dtype,), delta.shape)
    _check.array("dbias", dbias, (delta.dtype,), (delta.shape[1],), writes=True)
    _check.apart(delta=delta, h=h, dbias=dbias)


def bias_tanh(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- tanh(z + bias).

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    float32 is within 4 ULP of the correctly rounded value and never above one; NaN stays NaN.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_forward(z, bias)
    _bias_tanh(z, bias)


def bias_sigmoid(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- 1 / (1 + exp(-(z + bias))).

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    float32 is within 4 ULP of the correctly rounded value, subnormal results included; NaN stays NaN.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_forward(z, bias)
    _bias_sigmoid(z, bias)


def bias_relu(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- max(z + bias, 0); NaN stays NaN.

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_forward(z, bias)
    _bias_relu(z, bias)


def bias_identity(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- z + bias.

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_forward(z, bias)
    _bias_identity(z, bias)


def tanh_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * (1 - h^2); dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_tanh`
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, h, dbias)
    _tanh_backward(delta, h, dbias)


def sigmoid_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * h * (1 - h); dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_sigmoid`
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, h, dbias)
    _sigmoid_backward(delta, h, dbias)


def relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta where h > 0, else zero; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_relu`
    dbias : (H,) of the same dtype, overwritten

    At the kink (h = 0) the derivative is taken as zero. Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, h, dbias)
    _relu_backward(delta, h, dbias)


def identity_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """Leaves delta as it is; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh
    h : (N, H) of the same dtype: the output of `bias_identity`, not read
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, h, dbias)
    _identity_backward(delta, h, dbias)
