"""Bias and activation in one pass, and the way back: derivative and bias gradient in one pass.

The derivatives take the activation's output h, not its input: tanh' = 1 - h^2, sigmoid' = h (1 - h), relu' = [h > 0].
Sizes: `N` rows (images), `H` columns (units).

Both passes treat ROWS rows as one long run against the bias repeated ROWS times, so that vectors are full whatever H
is: with 20 columns, one row would be one vector and four single elements that cost more than the vector.
"""

import numpy as np
from numba import types
from numba.extending import overload
from numba.misc.special import literally

from fastmlp_kernels import _check
from fastmlp_kernels._jit import PART, kernel, part
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels.elementary import identity1, relu1, sigmoid1, tanh1

# A multiple of every vector width. Rows of which so many exceed the work array are long enough one by one.
ROWS = 16


@part
def _times_tanh_derivative1(d, h):
    return d * (type(h)(1) - h * h)


@part
def _times_sigmoid_derivative1(d, h):
    return d * (h * (type(h)(1) - h))


@part
def _times_relu_derivative1(d, h):
    # d * 0, not 0: a NaN or infinite gradient behind a closed unit still shows
    return d if h > type(h)(0) else d * type(h)(0)


@part
def _times_identity_derivative1(d, h):  # noqa: ARG001 - the four share one signature
    return d


SCALARS = {
    "tanh": (tanh1, _times_tanh_derivative1),
    "sigmoid": (sigmoid1, _times_sigmoid_derivative1),
    "relu": (relu1, _times_relu_derivative1),
    "identity": (identity1, _times_identity_derivative1),
}


def _activate(x, name):
    return SCALARS[name][0](x)


def _times_derivative(d, h, name):
    return SCALARS[name][1](d, h)


# One loop serves four activations: the name is a literal, so that numba picks the scalar while it compiles. (A compiled
# function as an argument would do as well, but numba keeps no such caller in its disk cache.)
@overload(_activate, jit_options=PART)
def _overload_activate(x, name):  # noqa: ARG001
    if isinstance(name, types.StringLiteral):
        function1 = SCALARS[name.literal_value][0]
        return lambda x, name: function1(x)  # noqa: ARG005
    return None


@overload(_times_derivative, jit_options=PART)
def _overload_times_derivative(d, h, name):  # noqa: ARG001
    if isinstance(name, types.StringLiteral):
        function1 = SCALARS[name.literal_value][1]
        return lambda d, h, name: function1(d, h)  # noqa: ARG005
    return None


@part
def bias_activation(z: np.ndarray, bias: np.ndarray, name: str) -> None:
    """Z <- act(z + bias) for the activation of this literal name."""
    literally(name)
    width = bias.size
    rows = ROWS if ROWS * width <= SIZE else 1
    memory = work_array(bias) if width <= SIZE else np.empty(width, bias.dtype)
    tile = memory[: rows * width]
    repeated, flat = tile.reshape(rows, width), z.reshape(z.size)
    for r in range(rows):
        for j in range(width):
            repeated[r, j] = bias[j]
    for start in range(0, flat.size, max(tile.size, 1)):
        run = flat[start : start + tile.size]
        for j in range(run.size):
            run[j] = _activate(run[j] + tile[j], name)


@part
def activation_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray, name: str) -> None:
    """Delta <- delta * act'(h) and dbias <- its column sums, for the activation of this literal name."""
    literally(name)
    width = dbias.size
    rows = ROWS if ROWS * width <= SIZE else 1
    memory = work_array(dbias) if width <= SIZE else np.empty(width, dbias.dtype)
    sums = memory[: rows * width]
    for j in range(sums.size):
        sums[j] = 0
    flat, flat_h = delta.reshape(delta.size), h.reshape(h.size)
    for start in range(0, flat.size, max(sums.size, 1)):
        run, run_h = flat[start : start + sums.size], flat_h[start : start + sums.size]
        for j in range(run.size):
            d = _times_derivative(run[j], run_h[j], name)
            run[j] = d
            sums[j] += d
    partial = sums.reshape(rows, width)
    for j in range(width):
        dbias[j] = partial[0, j]
    for r in range(1, rows):
        for j in range(width):
            dbias[j] += partial[r, j]


@kernel
def _bias_tanh(z: np.ndarray, bias: np.ndarray) -> None:
    bias_activation(z, bias, "tanh")


@kernel
def _bias_sigmoid(z: np.ndarray, bias: np.ndarray) -> None:
    bias_activation(z, bias, "sigmoid")


@kernel
def _bias_relu(z: np.ndarray, bias: np.ndarray) -> None:
    bias_activation(z, bias, "relu")


@kernel
def _bias_identity(z: np.ndarray, bias: np.ndarray) -> None:
    bias_activation(z, bias, "identity")


@kernel
def _tanh_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    activation_backward(delta, h, dbias, "tanh")


@kernel
def _sigmoid_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    activation_backward(delta, h, dbias, "sigmoid")


@kernel
def _relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    activation_backward(delta, h, dbias, "relu")


@kernel
def _identity_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    activation_backward(delta, h, dbias, "identity")


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
