"""Functions of each element in careful in-place float32 numpy, as `bench.inplace` has the kernels of rows."""

from collections.abc import Callable

import numpy as np

from bench.inplace import HALF, ONE, ROOT_2, SLOPE, Array, Scratch, sigmoid_of, two_tails


def _own(function: np.ufunc) -> Callable[[Array, Array, Scratch], None]:
    """Return the form of what numpy has itself."""

    def form(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
        function(x, out=out)

    return form


exp, exp2, expm1 = _own(np.exp), _own(np.exp2), _own(np.expm1)
log, log2, log10, log1p = _own(np.log), _own(np.log2), _own(np.log10), _own(np.log1p)
sin, cos, tanh = _own(np.sin), _own(np.cos), _own(np.tanh)


def pow(x: Array, y: Array, out: Array, s: Scratch) -> None:  # noqa: A001, ARG001
    np.power(x, y, out=out)


def rsqrt(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
    np.sqrt(x, out=out)
    np.reciprocal(out, out=out)


def sigmoid(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
    sigmoid_of(x, out)


def logit(x: Array, out: Array, s: Scratch) -> None:
    np.negative(x, out=s.full)
    np.log1p(s.full, out=s.full)
    np.log(x, out=out)
    np.subtract(out, s.full, out=out)


def _log1p_exp(x: Array, out: Array) -> None:
    """Set out to log(1 + exp(-|x|))."""
    np.abs(x, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)


def softplus(x: Array, out: Array, s: Scratch) -> None:
    _log1p_exp(x, out)
    np.maximum(x, s.zeros_h, out=s.full)
    np.add(s.full, out, out=out)


def log_sigmoid(x: Array, out: Array, s: Scratch) -> None:
    _log1p_exp(x, out)
    np.minimum(x, s.zeros_h, out=s.full)
    np.subtract(s.full, out, out=out)


def relu(x: Array, out: Array, s: Scratch) -> None:
    np.maximum(x, s.zeros_h, out=out)


def leaky_relu(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
    np.multiply(x, SLOPE, out=out)
    np.maximum(x, out, out=out)


def elu(x: Array, out: Array, s: Scratch) -> None:
    np.minimum(x, s.zeros_h, out=out)
    np.expm1(out, out=out)
    np.maximum(x, out, out=out)


def silu(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
    sigmoid_of(x, out)
    np.multiply(x, out, out=out)


def erf(x: Array, out: Array, s: Scratch) -> None:
    np.multiply(x, ROOT_2, out=s.full)
    two_tails(s.full, out, s.turned.reshape(x.shape))
    np.subtract(ONE, out, out=out)
    np.copysign(out, x, out=out)


def erfc(x: Array, out: Array, s: Scratch) -> None:
    erf(x, out, s)
    np.subtract(ONE, out, out=out)


def gelu(x: Array, out: Array, s: Scratch) -> None:
    other = s.turned.reshape(x.shape)
    two_tails(x, out, other)
    np.abs(x, out=other)
    np.multiply(other, HALF, out=other)
    np.multiply(out, other, out=other)
    np.maximum(x, s.zeros_h, out=out)
    np.subtract(out, other, out=out)
