"""Bias and activation in one pass, and the way back: derivative and bias gradient in one pass.

The derivatives take what the way forward kept (`_activation_table`): the activation's output h, not its input, as
tanh' = 1 - h^2, sigmoid' = h (1 - h), relu' = [h > 0]; but of SiLU and GELU the input x, as no function of h is theirs.
Sizes: `N` rows (images), `H` columns (units).
"""

from collections.abc import Callable

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._activation_passes import Every, activation_backward, bias_activation, passes_for
from fastmlp_kernels._activation_table import ACTIVATIONS, CODES
from fastmlp_kernels._jit import kernel

TANH, SIGMOID, RELU, IDENTITY, LEAKY_RELU, ELU, SOFTPLUS, SILU, GELU = (
    CODES[name] for name in ("tanh", "sigmoid", "relu", "identity", "leaky_relu", "elu", "softplus", "silu", "gelu")
)

# For one activation, which takes less to compile and to run than all.
_forward_tanh, _backward_tanh = passes_for("tanh")
_forward_sigmoid, _backward_sigmoid = passes_for("sigmoid")
_forward_relu, _backward_relu = passes_for("relu")
_forward_identity, _backward_identity = passes_for("identity")
_forward_leaky_relu, _backward_leaky_relu = passes_for("leaky_relu")
_forward_elu, _backward_elu = passes_for("elu")
_forward_softplus, _backward_softplus = passes_for("softplus")
_forward_silu, _backward_silu = passes_for("silu")
_forward_gelu, _backward_gelu = passes_for("gelu")


@kernel
def _bias_activation(z: np.ndarray, bias: np.ndarray, kept: np.ndarray, code: int) -> None:
    bias_activation(z, bias, kept, code, Every())


@kernel
def _activation_backward(delta: np.ndarray, kept: np.ndarray, dbias: np.ndarray, code: int) -> None:
    activation_backward(delta, kept, dbias, code, Every())


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
def _bias_leaky_relu(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_leaky_relu(z, bias, z, LEAKY_RELU)


@kernel
def _bias_elu(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_elu(z, bias, z, ELU)


@kernel
def _bias_softplus(z: np.ndarray, bias: np.ndarray) -> None:
    _forward_softplus(z, bias, z, SOFTPLUS)


@kernel
def _bias_silu(z: np.ndarray, bias: np.ndarray, x: np.ndarray) -> None:
    _forward_silu(z, bias, x, SILU)


@kernel
def _bias_gelu(z: np.ndarray, bias: np.ndarray, x: np.ndarray) -> None:
    _forward_gelu(z, bias, x, GELU)


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


@kernel
def _leaky_relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_leaky_relu(delta, h, dbias, LEAKY_RELU)


@kernel
def _elu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_elu(delta, h, dbias, ELU)


@kernel
def _softplus_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    _backward_softplus(delta, h, dbias, SOFTPLUS)


@kernel
def _silu_backward(delta: np.ndarray, x: np.ndarray, dbias: np.ndarray) -> None:
    _backward_silu(delta, x, dbias, SILU)


@kernel
def _gelu_backward(delta: np.ndarray, x: np.ndarray, dbias: np.ndarray) -> None:
    _backward_gelu(delta, x, dbias, GELU)


# Compiled for one activation alone; others of the table share `_bias_activation` and `_activation_backward`.
ALONE: dict[str, tuple[Callable[..., None], Callable[..., None]]] = {
    "tanh": (_bias_tanh, _tanh_backward),
    "sigmoid": (_bias_sigmoid, _sigmoid_backward),
    "relu": (_bias_relu, _relu_backward),
    "identity": (_bias_identity, _identity_backward),
    "leaky_relu": (_bias_leaky_relu, _leaky_relu_backward),
    "elu": (_bias_elu, _elu_backward),
    "softplus": (_bias_softplus, _softplus_backward),
    "silu": (_bias_silu, _silu_backward),
    "gelu": (_bias_gelu, _gelu_backward),
}


def passes_of(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return an activation's unchecked passes, forward(z, bias, kept) and backward(delta, kept, dbias)."""
    if name in ALONE:
        forward, backward = ALONE[name]
        if ACTIVATIONS[name].keeps_input:
            return forward, backward
        return lambda z, bias, kept: forward(z, bias), backward  # noqa: ARG005
    code = CODES[name]
    return (
        lambda z, bias, kept: _bias_activation(z, bias, kept, code),
        lambda delta, kept, dbias: _activation_backward(delta, kept, dbias, code),
    )


def _check_forward(z: np.ndarray, bias: np.ndarray, x: np.ndarray | None = None) -> None:
    if x is None and _check.are_usual(bias, z) and z.ndim == 2 and bias.shape == z.shape[1:]:
        return
    _check.array("z", z, _check.FLOATS, ndim=2, writes=True)
    _check.array("bias", bias, (z.dtype,), (z.shape[1],))
    if x is None:
        _check.apart(z=z, bias=bias)
    else:
        _check.array("x", x, (z.dtype,), z.shape, writes=True)
        _check.apart(z=z, bias=bias, x=x)


def _check_backward(delta: np.ndarray, dbias: np.ndarray, **kept: np.ndarray) -> None:
    """Check the arguments of a way back; kept : the array that the way forward kept, by its name."""
    _check.array("delta", delta, _check.FLOATS, ndim=2, writes=True)
    for name, array in kept.items():
        _check.array(name, array, (delta.dtype,), delta.shape)
    _check.array("dbias", dbias, (delta.dtype,), (delta.shape[1],), writes=True)
    _check.apart(delta=delta, **kept, dbias=dbias)


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


def bias_leaky_relu(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- z + bias where that is positive, else 0.01 (z + bias).

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    float32 is within 1 ULP of the correctly rounded value; NaN stays NaN. Raises TypeError or ValueError naming the
    argument at fault.
    """
    _check_forward(z, bias)
    _bias_leaky_relu(z, bias)


def bias_elu(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- z + bias where that is positive, else exp(z + bias) - 1.

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    float32 is within 2 ULP of the correctly rounded value; NaN stays NaN. Raises TypeError or ValueError naming the
    argument at fault.
    """
    _check_forward(z, bias)
    _bias_elu(z, bias)


def bias_softplus(z: np.ndarray, bias: np.ndarray) -> None:
    """In place: z <- log(1 + exp(z + bias)).

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype

    float32 is within 3 ULP of the correctly rounded value; NaN stays NaN. Raises TypeError or ValueError naming the
    argument at fault.
    """
    _check_forward(z, bias)
    _bias_softplus(z, bias)


def bias_silu(z: np.ndarray, bias: np.ndarray, x: np.ndarray | None = None) -> None:
    """In place: z <- x / (1 + exp(-x)) of x = z + bias.

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype
    x : (N, H) of z's dtype <- z + bias, for `silu_backward`; None where there will be no way back

    float32 is within 3 ULP of the correctly rounded value, or 1e-43 where that is subnormal; minus infinity gives
    0; NaN stays NaN. Raises TypeError or ValueError naming the argument at fault.
    """
    _check_forward(z, bias, x)
    _bias_silu(z, bias, z if x is None else x)


def bias_gelu(z: np.ndarray, bias: np.ndarray, x: np.ndarray | None = None) -> None:
    """In place: z <- x Phi(x) of x = z + bias, Phi being the normal distribution.

    z : (N, H) float32 or float64, C-contiguous, overwritten
    bias : (H,) of z's dtype
    x : (N, H) of z's dtype <- z + bias, for `gelu_backward`; None where there will be no way back

    float32 is within 6 ULP of the correctly rounded value, in the tail too; minus infinity gives 0; NaN stays NaN.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_forward(z, bias, x)
    _bias_gelu(z, bias, z if x is None else x)


def tanh_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * (1 - h^2); dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_tanh`
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, h=h)
    _tanh_backward(delta, h, dbias)


def sigmoid_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * h * (1 - h); dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_sigmoid`
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, h=h)
    _sigmoid_backward(delta, h, dbias)


def relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta where h > 0, else zero; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_relu`
    dbias : (H,) of the same dtype, overwritten

    At the kink (h = 0) the derivative is taken as zero. Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, h=h)
    _relu_backward(delta, h, dbias)


def identity_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """Leaves delta as it is; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh
    h : (N, H) of the same dtype: the output of `bias_identity`, not read
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, h=h)
    _identity_backward(delta, h, dbias)


def leaky_relu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta where h > 0, else 0.01 delta; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_leaky_relu`
    dbias : (H,) of the same dtype, overwritten

    At the kink (h = 0) the derivative is taken as 0.01. Raises TypeError or ValueError naming the argument at
    fault.
    """
    _check_backward(delta, dbias, h=h)
    _leaky_relu_backward(delta, h, dbias)


def elu_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta where h > 0, else delta * (h + 1); dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_elu`
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, h=h)
    _elu_backward(delta, h, dbias)


def softplus_backward(delta: np.ndarray, h: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * (1 - exp(-h)); dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    h : (N, H) of the same dtype: the output of `bias_softplus`
    dbias : (H,) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, h=h)
    _softplus_backward(delta, h, dbias)


def silu_backward(delta: np.ndarray, x: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * s (1 + x (1 - s)), s being the sigmoid of x; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    x : (N, H) of the same dtype: what `bias_silu` kept, z + bias
    dbias : (H,) of the same dtype, overwritten

    float32 is within 3e-7 |delta|. Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, x=x)
    _silu_backward(delta, x, dbias)


def gelu_backward(delta: np.ndarray, x: np.ndarray, dbias: np.ndarray) -> None:
    """In place: delta <- delta * (Phi(x) + x phi(x)), phi being the normal density; dbias <- its column sums.

    delta : (N, H) float32 or float64, C-contiguous: dLoss/dh, overwritten with dLoss/dz
    x : (N, H) of the same dtype: what `bias_gelu` kept, z + bias
    dbias : (H,) of the same dtype, overwritten

    float32 is within 3e-7 |delta|. Raises TypeError or ValueError naming the argument at fault.
    """
    _check_backward(delta, dbias, x=x)
    _gelu_backward(delta, x, dbias)
