"""Bias and activation in one pass, and the way back: derivative and bias gradient in one pass.

The derivatives take the activation's output h, not its input: tanh' = 1 - h^2, sigmoid' = h (1 - h), relu' = [h > 0].
Sizes: `N` rows (images), `H` columns (units).

Both passes treat ROWS rows as one long run against the bias repeated ROWS times, so that vectors are full whatever H
is: with 20 columns, one row would be one vector and four single elements that cost more than the vector. Each place of
the run has its own sum for the bias gradient, and these are added up before they could drift (`_sums`).
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._sums import add_to_total, add_up_rows, begin_total
from fastmlp_kernels._views import fill, vector_at
from fastmlp_kernels.elementary import identity1, relu1, sigmoid1, tanh1

# A multiple of every vector width. Rows of which so many exceed the work array are long enough one by one.
ROWS = 16
# Additions to one float before sums of sums are taken, so that no sum drifts from its rounding.
GROUP = 16


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
# What compiled code is told an activation by, so that it compiles once for all of them; no literals, see `gemm.pack`.
CODES = {name: cast("int", np.int64(code)) for code, name in enumerate(SCALARS)}
TANH, SIGMOID, RELU, IDENTITY = CODES.values()


@part
def _no_forward(run: np.ndarray, tile: np.ndarray, code: int) -> None:
    pass


@part
def _no_backward(run: np.ndarray, h: np.ndarray, sums: np.ndarray, code: int) -> None:
    pass


def _loops(names: Sequence[str]) -> tuple[Any, Any]:
    """Return the loops of both passes over a run, for an activation whose code is of one of these names."""
    if not names:
        return _no_forward, _no_backward
    own, (forward1, backward1) = CODES[names[0]], SCALARS[names[0]]
    other_forward, other_backward = _loops(names[1:])

    @part
    def forward(run: np.ndarray, tile: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                run[j] = forward1(run[j] + tile[j])
        else:
            other_forward(run, tile, code)

    @part
    def backward(run: np.ndarray, h: np.ndarray, sums: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                d = backward1(run[j], h[j])
                run[j] = d
                sums[j] += d
        else:
            other_backward(run, h, sums, code)

    return forward, backward


def _passes(*names: str) -> tuple[Any, Any]:
    """Return both passes, for an activation whose code is of one of these names."""
    forward, backward = _loops(names)

    @part
    def bias_activation(z: np.ndarray, bias: np.ndarray, code: int) -> None:
        """Z (N, H) <- act(z + bias), for the activation of this code."""
        for first in range(0, bias.size, SIZE):  # once, but for rows that exceed the work array
            width = min(bias.size - first, SIZE)
            rows = ROWS if ROWS * bias.size <= SIZE else 1
            tile = vector_at(work_array(bias, SIZE), 0, rows * width)
            for r in range(rows):
                for j in range(width):
                    tile[r * width + j] = bias[first + j]
            for start in range(first, z.size, rows * bias.size):
                forward(vector_at(z, start, min(tile.size, z.size - start)), tile, code)

    @part
    def activation_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray, code: int) -> None:
        """Delta (N, H) <- delta * act'(h) and dbias (H,) <- its column sums, for the activation of this code."""
        for first in range(0, dbias.size, SIZE):
            width = min(dbias.size - first, SIZE)
            rows = ROWS if ROWS * dbias.size <= SIZE else 1
            sums = vector_at(work_array(dbias, SIZE), 0, rows * width)
            total, excess = vector_at(dbias, first, width), vector_at(work_array(dbias, SIZE), 0, width)
            begin_total(total, excess)
            step = rows * dbias.size
            for group in range(first, delta.size, GROUP * step):
                fill(sums, 0)
                for start in range(group, min(group + GROUP * step, delta.size), step):
                    count = min(sums.size, delta.size - start)
                    backward(vector_at(delta, start, count), vector_at(h, start, count), sums, code)
                add_to_total(total, excess, add_up_rows(sums, rows, width))

    return bias_activation, activation_backward


# For a compiled run that is told its activation.
bias_activation, activation_backward = _passes(*SCALARS)
# The same for one activation, which takes less to compile and to run.
_forward_tanh, _backward_tanh = _passes("tanh")
_forward_sigmoid, _backward_sigmoid = _passes("sigmoid")
_forward_relu, _backward_relu = _passes("relu")
_forward_identity, _backward_identity = _passes("identity")


@kernel
def _bias_tanh(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_tanh(z, bias, TANH)


@kernel
def _bias_sigmoid(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_sigmoid(z, bias, SIGMOID)


@kernel
def _bias_relu(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_relu(z, bias, RELU)


@kernel
def _bias_identity(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_identity(z, bias, IDENTITY)


@kernel
def _tanh_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_tanh(delta, h, dbias, TANH)


@kernel
def _sigmoid_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_sigmoid(delta, h, dbias, SIGMOID)


@kernel
def _relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_relu(delta, h, dbias, RELU)


@kernel
def _identity_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_identity(delta, h, dbias, IDENTITY)


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
