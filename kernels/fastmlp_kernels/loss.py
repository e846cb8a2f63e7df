"""Bias, stable softmax, mean cross-entropy, count of correct answers, gradient and bias gradient in one pass.

Sizes: `N` rows (images), `K` columns (classes).

Rows are taken LANES at a time and turned on their side, (K, LANES): maximum, exponentials and sums then run down the
classes with a row in each vector lane, so that vectors are full for any K and no sum changes its order.
"""

import math

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel
from fastmlp_kernels.elementary import exp1

LANES = 64
# The logarithm of a product of row sums replaces a logarithm a row; each sum lies in [1, K], so this never overflows.
PRODUCT_LIMIT = 1e200


@kernel
def _turn(logits: np.ndarray, bias: np.ndarray, start: int, lanes: int, e: np.ndarray) -> None:
    for r in range(lanes):
        row = logits[start + r]
        for k in range(bias.size):
            e[k, r] = row[k] + bias[k]


@kernel
def _exponentials(e: np.ndarray, top: np.ndarray, best: np.ndarray, total: np.ndarray) -> None:
    """In place: e (K, LANES) <- exp(e - top), where top is each lane's maximum, best its first class, total its sum."""
    t = e.dtype.type
    for r in range(LANES):
        top[r] = e[0, r]
        best[r] = 0
        total[r] = t(0)
    for k in range(1, e.shape[0]):
        row = e[k]
        for r in range(LANES):
            higher = row[r] > top[r]
            top[r] = row[r] if higher else top[r]
            best[r] = np.int32(k) if higher else best[r]
    for k in range(e.shape[0]):
        row = e[k]
        for r in range(LANES):
            row[r] = exp1(row[r] - top[r])
            total[r] += row[r]


@kernel
def _cross_entropy(
    logits: np.ndarray, bias: np.ndarray, labels: np.ndarray, dbias: np.ndarray, gradient: bool
) -> tuple[float, int]:
    t = logits.dtype.type
    n, classes = logits.shape
    e = np.zeros((classes, LANES), logits.dtype)
    top, total = np.empty(LANES, logits.dtype), np.empty(LANES, logits.dtype)
    best = np.empty(LANES, np.int32)
    one_nth = t(1.0 / n)
    loss, correct = 0.0, 0
    if gradient:
        dbias[:] = t(0)
    for start in range(0, n, LANES):
        lanes = min(LANES, n - start)
        _turn(logits, bias, start, lanes, e)
        _exponentials(e, top, best, total)
        product = 1.0
        for r in range(lanes):
            label = labels[start + r]
            correct += best[r] == label
            loss -= float(logits[start + r, label]) + float(bias[label]) - float(top[r])
            product *= total[r]
            if not product < PRODUCT_LIMIT:
                loss += math.log(product)
                product = 1.0
        loss += math.log(product)
        if gradient:
            for r in range(lanes):
                row = logits[start + r]
                scale = one_nth / total[r]
                for k in range(classes):
                    row[k] = e[k, r] * scale
                row[labels[start + r]] -= one_nth
                for k in range(classes):
                    dbias[k] += row[k]
    return loss / n, correct


@kernel
def _softmax_cross_entropy(
    logits: np.ndarray, bias: np.ndarray, labels: np.ndarray, dbias: np.ndarray
) -> tuple[float, int]:
    return _cross_entropy(logits, bias, labels, dbias, True)


@kernel
def _softmax_cross_entropy_eval(logits: np.ndarray, bias: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
    return _cross_entropy(logits, bias, labels, bias, False)


@kernel
def _softmax(logits: np.ndarray, bias: np.ndarray) -> None:
    t = logits.dtype.type
    n, classes = logits.shape
    e = np.zeros((classes, LANES), logits.dtype)
    top, total = np.empty(LANES, logits.dtype), np.empty(LANES, logits.dtype)
    best = np.empty(LANES, np.int32)
    for start in range(0, n, LANES):
        lanes = min(LANES, n - start)
        _turn(logits, bias, start, lanes, e)
        _exponentials(e, top, best, total)
        for r in range(lanes):
            row = logits[start + r]
            scale = t(1) / total[r]
            for k in range(classes):
                row[k] = e[k, r] * scale


def _check_logits(logits: np.ndarray, bias: np.ndarray, *, writes: bool) -> None:
    _check.array("logits", logits, _check.FLOATS, ndim=2, writes=writes)
    if 0 in logits.shape:
        raise ValueError(f"logits has shape {logits.shape}: the batch is empty or there are no classes")
    _check.array("bias", bias, (logits.dtype,), (logits.shape[1],))


def _check_labels(labels: np.ndarray, logits: np.ndarray) -> None:
    _check.array("labels", labels, _check.INT64, (len(logits),))
    _check.in_range("labels", labels, logits.shape[1])


def softmax_cross_entropy(
    logits: np.ndarray, bias: np.ndarray, labels: np.ndarray, dbias: np.ndarray
) -> tuple[float, int]:
    """Mean cross-entropy of softmax(logits + bias), and in place: logits <- its gradient (softmax - onehot) / N.

    logits : (N, K) float32 or float64, C-contiguous, without the bias, N > 0, overwritten with dLoss/dlogits
    bias : (K,) of the same dtype
    labels : (N,) int64, each in [0, K)
    dbias : (K,) of the same dtype, overwritten with the gradient's column sums

    Returns (mean loss in nats, number of rows whose largest logit is the label's; of equal ones the first counts).
    The largest logit is subtracted first, so that logits of any finite size neither overflow nor lose the loss of an
    improbable label; the loss is summed in float64. A NaN in a row makes the loss NaN.
    Raises TypeError or ValueError naming the argument at fault, a label outside [0, K) with its index.
    """
    _check_logits(logits, bias, writes=True)
    _check_labels(labels, logits)
    _check.array("dbias", dbias, (logits.dtype,), bias.shape, writes=True)
    _check.apart(logits=logits, bias=bias, labels=labels, dbias=dbias)
    return _softmax_cross_entropy(logits, bias, labels, dbias)


def softmax_cross_entropy_eval(logits: np.ndarray, bias: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
    """Mean cross-entropy of softmax(logits + bias) and count of correct rows, without a gradient; writes nothing.

    logits : (N, K) float32 or float64, C-contiguous, without the bias, N > 0
    bias : (K,) of the same dtype
    labels : (N,) int64, each in [0, K)

    Returns (mean loss in nats, correct), as `softmax_cross_entropy` does. Raises the same errors.
    """
    _check_logits(logits, bias, writes=False)
    _check_labels(labels, logits)
    return _softmax_cross_entropy_eval(logits, bias, labels)


def softmax(logits: np.ndarray, bias: np.ndarray) -> None:
    """In place: logits <- softmax(logits + bias), the probability of each class.

    logits : (N, K) float32 or float64, C-contiguous, N > 0, overwritten
    bias : (K,) of the same dtype

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_logits(logits, bias, writes=True)
    _check.apart(logits=logits, bias=bias)
    _softmax(logits, bias)
