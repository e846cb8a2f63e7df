"""Bias and activation in one pass, and the way back: derivative and bias gradient in one pass.

The derivatives take what the way forward kept (`_activation_table`): of these four the activation's output h, not its
input, as tanh' = 1 - h^2, sigmoid' = h (1 - h), relu' = [h > 0].
Sizes: `N` rows (images), `H` columns (units).

Both passes treat ROWS rows as one long run against the bias repeated ROWS times, so that vectors are full whatever H
is: with 20 columns, one row would be one vector and four single elements that cost more than the vector. Each place of
the run has its own sum for the bias gradient, and these are added up before they could drift (`_sums`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._activation_table import ACTIVATIONS, code_of
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._sums import add_to_total, add_up_rows, begin_total
from fastmlp_kernels._views import fill, vector_at

# A multiple of every vector width. Rows of which so many exceed the work array are long enough one by one.
ROWS = 16
# Additions to one float before sums of sums are taken, so that no sum drifts from its rounding.
GROUP = 16


# What compiled code is told an activation by.
CODES = {name: code_of(name) for name in ACTIVATIONS}
TANH, SIGMOID, RELU, IDENTITY = (CODES[name] for name in ("tanh", "sigmoid", "relu", "identity"))


@part
def _no_forward(run: np.ndarray, tile: np.ndarray, kept: np.ndarray, code: int) -> None:
    pass


@part
def _no_backward(run: np.ndarray, kept: np.ndarray, sums: np.ndarray, code: int) -> None:
    pass


def _loops(names: Sequence[str]) -> tuple[Any, Any]:
    """Return the loops of both passes over a run, for an activation whose code is of one of these names."""
    if not names:
        return _no_forward, _no_backward
    own, (forward1, backward1, keeps_input) = CODES[names[0]], ACTIVATIONS[names[0]]
    other_forward, other_backward = _loops(names[1:])

    @part
    def forward(run: np.ndarray, tile: np.ndarray, kept: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                x = run[j] + tile[j]
                if keeps_input:
                    kept[j] = x
                run[j] = forward1(x)
        else:
            other_forward(run, tile, kept, code)

    @part
    def backward(run: np.ndarray, kept: np.ndarray, sums: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                d = backward1(run[j], kept[j])
                run[j] = d
                sums[j] += d
        else:
            other_backward(run, kept, sums, code)

    return forward, backward


def _passes(*names: str) -> tuple[Any, Any]:
    """Return both passes, for an activation whose code is of one of these names."""
    forward, backward = _loops(names)

    @part
    def bias_activation(z: np.ndarray, bias: np.ndarray, kept: np.ndarray, code: int) -> None:
        """In place: z (N, H) <- act(z + bias), for the activation of this code.

        kept : (N, H) <- z + bias, where the activation keeps its input; may be z, where nothing is to be kept
        """
        for first in range(0, bias.size, SIZE):  # once, but for rows that exceed the work array
            width = min(bias.size - first, SIZE)
            rows = ROWS if ROWS * bias.size <= SIZE else 1
            tile = vector_at(work_array(bias, SIZE), 0, rows * width)
            for r in range(rows):
                for j in range(width):
                    tile[r * width + j] = bias[first + j]
            for start in range(first, z.size, rows * bias.size):
                count = min(tile.size, z.size - start)
                forward(vector_at(z, start, count), tile, vector_at(kept, start, count), code)

    @part
    def activation_backward(delta: np.ndarray, kept: np.ndarray, dbias: np.ndarray, code: int) -> None:
        """In place: delta (N, H) <- delta * act', and dbias (H,) <- its column sums, for the activation of this code.

        kept : (N, H) what `bias_activation` kept, or its output where the activation keeps none else
        """
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
                    backward(vector_at(delta, start, count), vector_at(kept, start, count), sums, code)
                add_to_total(total, excess, add_up_rows(sums, rows, width))

    return bias_activation, activation_backward


# For a compiled run that is told its activation.
bias_activation, activation_backward = _passes(*ACTIVATIONS)
# The same for one activation, which takes less to compile and to run.
_forward_tanh, _backward_tanh = _passes("tanh")
_forward_sigmoid, _backward_sigmoid = _passes("sigmoid")
_forward_relu, _backward_relu = _passes("relu")
_forward_identity, _backward_identity = _passes("identity")


@kernel
def _bias_activation(z: np.ndarray, bias: np.ndarray, kept: np.ndarray, code: int) -> None:
    bias_activation(z, bias, kept, code)


@kernel
def _activation_backward(delta: np.ndarray, kept: np.ndarray, dbias: np.ndarray, code: int) -> None:
    activation_backward(delta, kept, dbias, code)


@kernel
def _bias_tanh(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_tanh(z, bias, z, TANH)


@kernel
def _bias_sigmoid(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_sigmoid(z, bias, z, SIGMOID)


@kernel
def _bias_relu(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_relu(z, bias, z, RELU)


@kernel
def _bias_identity(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_identity(z, bias, z, IDENTITY)


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


# Compiled for one activation alone; the others of the table share `_bias_activation` and `_activation_backward`.
ALONE: dict[str, tuple[Callable[..., None], Callable[..., None]]] = {
    "tanh": (_bias_tanh, _tanh_backward),
    "sigmoid": (_bias_sigmoid, _sigmoid_backward),
    "relu": (_bias_relu, _relu_backward),
    "identity": (_bias_identity, _identity_backward),
}


def passes_of(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return an activation's unchecked passes, forward(z, bias, kept) and backward(delta, kept, dbias)."""
    if name in ALONE:
        forward, backward = ALONE[name]
        return lambda z, bias, kept: forward(z, bias), backward  # noqa: ARG005 - these four keep their output
    code = CODES[name]
    return (
        lambda z, bias, kept: _bias_activation(z, bias, kept, code),
        lambda delta, kept, dbias: _activation_backward(delta, kept, dbias, code),
    )


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
