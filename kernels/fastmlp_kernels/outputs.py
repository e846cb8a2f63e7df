"""What outputs say: the logistic sigmoid, its logarithm and the exponential, of arrays of any shape.

Those of rows, softmax and its logarithm, are in `log_sum`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.elementary import exp1, exp_below1, log1p1, sigmoid1


@kernel
def _sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    source, result = vector_at(x, 0, x.size), vector_at(out, 0, x.size)
    for i in range(source.size):
        result[i] = sigmoid1(source[i])


@kernel
def _log_sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    source, result = vector_at(x, 0, x.size), vector_at(out, 0, x.size)
    for i in range(source.size):
        z = source[i]
        result[i] = (type(z)(0) if z > type(z)(0) else z) - log1p1(exp_below1(-abs(z)))


@kernel
def _exp(x: np.ndarray, out: np.ndarray) -> None:
    source, result = vector_at(x, 0, x.size), vector_at(out, 0, x.size)
    for i in range(source.size):
        result[i] = exp1(source[i])


def _of_elements(body: Callable[..., None], x: np.ndarray, out: np.ndarray | None) -> Any:
    _check.array("x", x, _check.FLOATS)
    result = _check.result(out, x.shape, x, in_place=True)
    body(x, result)
    return result


def sigmoid(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Logistic sigmoid 1 / (1 + exp(-x)); returns `out`, or a new array where it is None.

    x : (...) float32 or float64, C-contiguous
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise

    float32 is within 4 ULP, subnormal results included. Raises TypeError or ValueError naming the argument at fault.
    """
    return _of_elements(_sigmoid, x, out)


def log_sigmoid(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Logarithm of the sigmoid, -log(1 + exp(-x)); returns `out`, or a new array where it is None.

    x : (...) float32 or float64, C-contiguous
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise

    No result rounds to 0 for large x, and none overflows for small. Raises the errors of `sigmoid`.
    """
    return _of_elements(_log_sigmoid, x, out)


def exp(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Exponential; returns `out`, or a new array where it is None.

    x : (...) float32 or float64, C-contiguous
    out : of the same shape and dtype; may be x itself, and may not overlap it otherwise

    float32 is within 1 ULP, subnormal results included. Raises the errors of `sigmoid`.
    """
    return _of_elements(_exp, x, out)
