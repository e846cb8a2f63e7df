"""Losses of each output by itself, of whole batches: bias, value, gradient and bias gradient in one pass.

Sizes: `N` rows, `K` outputs. A row's loss is the sum over its outputs, a batch's the mean over its rows.
"""

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._elementwise_rows import elementwise_of_rows, of_rows
from fastmlp_kernels._exponentials import Maybe
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._loss_table import CODES, Criterion

LOGISTIC, SQUARED_ERROR, POISSON, HUBER = (CODES[name] for name in ("logistic", "squared-error", "poisson", "huber"))
# For one loss, which takes less to compile and to run than all.
_logistic_of_rows, _squared_error_of_rows = of_rows("logistic"), of_rows("squared-error")
_poisson_of_rows, _huber_of_rows = of_rows("poisson"), of_rows("huber")


@part
def _criterion(code: int, parameter: float, smoothing: float) -> Criterion:
    return Criterion(code, np.float64(parameter), np.float64(smoothing), 0.0, np.inf)


@kernel
def elementwise_of_batch(
    z: np.ndarray,
    bias: np.ndarray,
    targets: np.ndarray,
    weights: Maybe,
    dbias: Maybe,
    criterion: Criterion,
    total: float,
) -> tuple[float, int]:
    """`elementwise_of_rows` for calls from Python, one form for all losses: z, targets (N, K), bias (K,) of one dtype.

    dbias : (K,), or None for no gradient; weights : (N,), empty for ones
    """
    return elementwise_of_rows(z, bias, targets, weights, dbias, criterion, total)


@kernel
def _logistic_loss(
    z: np.ndarray,
    bias: np.ndarray,
    targets: np.ndarray,
    dbias: np.ndarray,
    weights: Maybe = None,
    label_smoothing: float = 0.0,
) -> tuple[float, int]:
    criterion = _criterion(LOGISTIC, 0.0, label_smoothing)
    return _logistic_of_rows(z, bias, targets, weights, dbias, criterion, np.float64(len(z)))


@kernel
def _logistic_loss_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: Maybe = None, label_smoothing: float = 0.0
) -> tuple[float, int]:
    criterion = _criterion(LOGISTIC, 0.0, label_smoothing)
    return _logistic_of_rows(z, bias, targets, weights, None, criterion, np.float64(len(z)))


@kernel
def _squared_error(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, dbias: np.ndarray, weights: Maybe = None
) -> tuple[float, int]:
    criterion = _criterion(SQUARED_ERROR, 0.0, 0.0)
    return _squared_error_of_rows(z, bias, targets, weights, dbias, criterion, np.float64(len(z)))


@kernel
def _squared_error_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: Maybe = None
) -> tuple[float, int]:
    criterion = _criterion(SQUARED_ERROR, 0.0, 0.0)
    return _squared_error_of_rows(z, bias, targets, weights, None, criterion, np.float64(len(z)))


@kernel
def _poisson_loss(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, dbias: np.ndarray, weights: Maybe = None
) -> tuple[float, int]:
    criterion = _criterion(POISSON, 0.0, 0.0)
    return _poisson_of_rows(z, bias, targets, weights, dbias, criterion, np.float64(len(z)))


@kernel
def _poisson_loss_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: Maybe = None
) -> tuple[float, int]:
    criterion = _criterion(POISSON, 0.0, 0.0)
    return _poisson_of_rows(z, bias, targets, weights, None, criterion, np.float64(len(z)))


@kernel
def _huber_loss(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, dbias: np.ndarray, weights: Maybe = None, delta: float = 1.0
) -> tuple[float, int]:
    criterion = _criterion(HUBER, delta, 0.0)
    return _huber_of_rows(z, bias, targets, weights, dbias, criterion, np.float64(len(z)))


@kernel
def _huber_loss_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: Maybe = None, delta: float = 1.0
) -> tuple[float, int]:
    criterion = _criterion(HUBER, delta, 0.0)
    return _huber_of_rows(z, bias, targets, weights, None, criterion, np.float64(len(z)))


def _check_batch(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, **dbias: np.ndarray
) -> np.ndarray:
    """Check the arrays of a batch; return the weights, empty where there are none: None would be one more type."""
    _check.array("z", z, _check.FLOATS, ndim=2, writes=bool(dbias))
    if 0 in z.shape:
        raise ValueError(f"z has shape {z.shape}: the batch is empty or there are no outputs")
    _check.array("bias", bias, (z.dtype,), (z.shape[1],))
    _check.array("targets", targets, (z.dtype,), z.shape)
    given = {"z": z, "bias": bias, "targets": targets}
    if weights is not None:
        _check.array("weights", weights, (z.dtype,), (len(z),))
        given["weights"] = weights
    for name, array in dbias.items():  # none, where there is no gradient
        _check.array(name, array, (z.dtype,), bias.shape, writes=True)
        _check.apart(**given, **dbias)
    return np.empty(0, z.dtype) if weights is None else weights


def _above_0(name: str, value: float) -> float:
    real = _check.number(name, value, np.dtype(np.float64))
    if not real > 0:
        raise ValueError(f"{name} is {_check.shown(value)}, allowed is a number above 0")
    return real


def logistic_loss(
    z: np.ndarray,
    bias: np.ndarray,
    targets: np.ndarray,
    dbias: np.ndarray,
    weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, int]:
    """Mean over the rows of the summed logistic losses log(1 + exp(x)) - t x, and in place: z <- the gradient.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0, overwritten with dLoss/dz
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype, each in [0, 1]
    dbias : (K,) of the same dtype, overwritten with the gradient's column sums
    weights : (N,) of the same dtype, or None: what each row's loss and gradient are multiplied by; the sums are still
        divided by N
    label_smoothing : from 0 up to, not including, 1: the share s of each target that is spread over both answers, so
        that the targets are t (1 - s) + s / 2

    Here x = z + bias, and t is the target; the gradient is (sigmoid(x) - t) / N. Returns (mean loss, number of rows
    whose every output is on the side of its target: x > 0 for t > 0.5).
    This is the cross-entropy of sigmoid(x), for two classes (K = 1) or for K labels that do not exclude each other. Its
    exponentials cannot overflow, and a sure answer keeps its loss and gradient: for x = 40 in float64 and t = 1 these
    are 4.2e-18 and -4.2e-18, not 0.
    The loss is summed in float64; column sums do not drift. A NaN makes the loss NaN.
    Raises TypeError or ValueError naming the argument at fault, a target out of range with its index.
    """
    weights = _check_batch(z, bias, targets, weights, dbias=dbias)
    _check.in_bounds("targets", targets, 0, 1)
    smoothing = _check.share("label_smoothing", label_smoothing)
    return elementwise_of_batch(z, bias, targets, weights, dbias, Criterion(LOGISTIC, 0.0, smoothing), float(len(z)))


def logistic_loss_eval(
    z: np.ndarray,
    bias: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, int]:
    """Mean logistic loss as `logistic_loss` gives, without a gradient; writes nothing.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype, each in [0, 1]
    weights : (N,) of the same dtype, or None
    label_smoothing : from 0 up to, not including, 1

    Returns (mean loss, rows whose every output is on the side of its target). Raises the same errors.
    """
    weights = _check_batch(z, bias, targets, weights)
    _check.in_bounds("targets", targets, 0, 1)
    smoothing = _check.share("label_smoothing", label_smoothing)
    return elementwise_of_batch(z, bias, targets, weights, None, Criterion(LOGISTIC, 0.0, smoothing), float(len(z)))


def squared_error(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, dbias: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, int]:
    """Mean over the rows of the summed squared errors (x - t)^2 / 2, and in place: z <- the gradient.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0, overwritten with dLoss/dz
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype
    dbias : (K,) of the same dtype, overwritten with the gradient's column sums
    weights : (N,) of the same dtype, or None: what each row's loss and gradient are multiplied by; the sums are still
        divided by N

    Here x = z + bias, and t is the target; the gradient is (x - t) / N. Returns (mean loss, 0).
    It is half of PyTorch's `mse_loss` for K = 1, and K / 2 times it else.
    The loss is summed in float64; column sums do not drift. A NaN makes the loss NaN.
    Raises TypeError or ValueError naming the argument at fault.
    """
    weights = _check_batch(z, bias, targets, weights, dbias=dbias)
    return elementwise_of_batch(z, bias, targets, weights, dbias, Criterion(SQUARED_ERROR), float(len(z)))


def squared_error_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, int]:
    """Mean half squared error as `squared_error` gives, without a gradient; writes nothing.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype
    weights : (N,) of the same dtype, or None

    Returns (mean loss, 0). Raises the same errors.
    """
    weights = _check_batch(z, bias, targets, weights)
    return elementwise_of_batch(z, bias, targets, weights, None, Criterion(SQUARED_ERROR), float(len(z)))


def poisson_loss(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, dbias: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, int]:
    """Mean over the rows of the summed half Poisson deviances, and in place: z <- the gradient.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0, overwritten with dLoss/dz
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype, each 0 or more
    dbias : (K,) of the same dtype, overwritten with the gradient's column sums
    weights : (N,) of the same dtype, or None: what each row's loss and gradient are multiplied by; the sums are still
        divided by N

    Such a one is t log(t / exp(x)) - t + exp(x) for x = z + bias and the target t; the gradient is (exp(x) - t) / N.
    Returns (mean loss, 0).
    The outputs are logarithms of the expected counts exp(x). The part that depends on the target alone makes the loss
    0 where these are the targets; rounding does not take it below.
    The loss is summed in float64; column sums do not drift. A NaN makes the loss NaN.
    Raises TypeError or ValueError naming the argument at fault, a target out of range with its index.
    """
    weights = _check_batch(z, bias, targets, weights, dbias=dbias)
    _check.in_bounds("targets", targets, 0, np.inf)
    return elementwise_of_batch(z, bias, targets, weights, dbias, Criterion(POISSON), float(len(z)))


def poisson_loss_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, int]:
    """Mean half Poisson deviance as `poisson_loss` gives, without a gradient; writes nothing.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype, each 0 or more
    weights : (N,) of the same dtype, or None

    Returns (mean loss, 0). Raises the same errors.
    """
    weights = _check_batch(z, bias, targets, weights)
    _check.in_bounds("targets", targets, 0, np.inf)
    return elementwise_of_batch(z, bias, targets, weights, None, Criterion(POISSON), float(len(z)))


def huber_loss(
    z: np.ndarray,
    bias: np.ndarray,
    targets: np.ndarray,
    dbias: np.ndarray,
    weights: np.ndarray | None = None,
    delta: float = 1.0,
) -> tuple[float, int]:
    """Mean over the rows of the summed Huber losses, and in place: z <- the gradient.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0, overwritten with dLoss/dz
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype
    dbias : (K,) of the same dtype, overwritten with the gradient's column sums
    weights : (N,) of the same dtype, or None: what each row's loss and gradient are multiplied by; the sums are still
        divided by N
    delta : above 0; errors beyond it count by their size, no more by its square

    With d = z + bias - t, t being the target, such a one is d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2); the
    gradient is d clipped to [-delta, delta], / N. Returns (mean loss, 0).
    See P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).
    The loss is summed in float64; column sums do not drift. A NaN makes the loss NaN.
    Raises TypeError or ValueError naming the argument at fault.
    """
    weights = _check_batch(z, bias, targets, weights, dbias=dbias)
    delta = _above_0("delta", delta)
    return elementwise_of_batch(z, bias, targets, weights, dbias, Criterion(HUBER, delta), float(len(z)))


def huber_loss_eval(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, delta: float = 1.0
) -> tuple[float, int]:
    """Mean Huber loss as `huber_loss` gives, without a gradient; writes nothing.

    z : (N, K) float32 or float64, C-contiguous, without the bias, N > 0
    bias : (K,) of the same dtype
    targets : (N, K) of the same dtype
    weights : (N,) of the same dtype, or None
    delta : above 0

    Returns (mean loss, 0). Raises the same errors.
    """
    weights = _check_batch(z, bias, targets, weights)
    delta = _above_0("delta", delta)
    return elementwise_of_batch(z, bias, targets, weights, None, Criterion(HUBER, delta), float(len(z)))
