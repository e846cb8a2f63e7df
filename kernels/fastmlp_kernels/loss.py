"""Bias, stable softmax, mean cross-entropy, count of correct answers, gradient and bias gradient in one pass.

Sizes: `N` rows (images), `K` columns (classes).

A row's label is taken out of its exponentials before these are summed: p - 1 is minus the others' share, and where the
label is the largest, the loss is log1p of their sum.
"""

import math
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels import _check
from fastmlp_kernels._exponentials import Maybe, block_rows, exponentials, row_sum, shifted_rows
from fastmlp_kernels._jit import PART, kernel, part
from fastmlp_kernels._llvm import multiply_add1
from fastmlp_kernels._loss_table import Criterion
from fastmlp_kernels._scratch import release, work_array
from fastmlp_kernels._sums import add_to_total, begin_total, sum_rows
from fastmlp_kernels._views import matrix_at, row_at, vector_at

# The logarithm of a product of row sums replaces a logarithm a row; each sum lies in [1, K], so this never overflows.
# What is kept is the product less 1, in which a sum of 1 + 1e-20 still counts.
PRODUCT_LIMIT = 1e200
# Elements of rows that are copied at once, which stay in cache, where other rows do not count.
COPIED = 32768
NO_CODE = cast("int", np.int64(0))  # no literal, see `gemm.panels`


@part
def _has_no_zero(row: np.ndarray, end: int) -> bool:
    """Whether no element of a row (K,) before `end` is 0: without a loop of so many, whose end no CPU guesses."""
    zeros = 0
    for k in range(row.size):
        zeros += (row[k] == 0) & (k < end)
    return zeros == 0


@part
def _wide_gap(row: np.ndarray, bias: np.ndarray, at: int) -> float:
    """Return in float64 how far element `at` of a row (K,) of logits + bias (K,) lies below the largest."""
    top = -np.inf
    for k in range(row.size):
        top = max(top, np.float64(row[k] + bias[k]))
    return top - np.float64(row[at] + bias[at])


@part
def _smoothed_gap(row: np.ndarray, gap: float, smoothing: float) -> float:
    """Return the mean over targets of how far each lies below the largest, of which a row (K,) says minus how far.

    gap : that of the label, of which the targets are 1 - smoothing; the rest is spread over all
    """
    if smoothing == 0:
        return gap
    all_gaps = 0.0
    for k in range(row.size):
        all_gaps -= np.float64(row[k])
    return (1 - smoothing) * gap + smoothing / row.size * all_gaps


@part
def _smooth(gradient: np.ndarray, at: int, smoothing: float, weight: float) -> None:
    """Turn a row's gradient (K,) for the label `at` into that for the smoothed target, all of it times `weight`."""
    t = gradient.dtype.type
    spread = t(smoothing / gradient.size) * weight
    for k in range(gradient.size):
        gradient[k] -= spread
    vector_at(gradient, at, 1)[0] += t(smoothing) * weight


@part
def _log1p1(x: float) -> float:
    """Logarithm of 1 + x for x >= 0, faster than the C library's."""
    u = 1.0 + x
    return math.log(u) + (x - (u - 1.0) if u < 2.0 else 0.0)  # what the addition lost, where the logarithm is small


@part
def _lies_between(gap: float, more: float, criterion: Criterion) -> bool:
    """Whether a row's loss, gap + log1p(more), lies within its bounds, as far as that is seen without a logarithm."""
    return gap + more <= criterion.high and (gap - criterion.low) * (1.0 + more) + more >= 0.0


def _is_weighted(weights: Maybe) -> bool:
    return weights is not None and weights.size > 0


@overload(_is_weighted, jit_options=PART)
def _overload_is_weighted(weights):
    if isinstance(weights, types.NoneType | types.Omitted):
        return lambda weights: False  # noqa: ARG005
    return lambda weights: weights.size > 0


def _weight(weights: Maybe, i: int) -> Any:
    return 1 if weights is None else weights[i]


@overload(_weight, jit_options=PART)
def _overload_weight(weights, i):  # noqa: ARG001
    if isinstance(weights, types.NoneType | types.Omitted):
        return lambda weights, i: np.float32(1)  # noqa: ARG005
    return lambda weights, i: weights[i]


@part
def cross_entropy_of_rows(
    logits: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    weights: Maybe,
    dbias: Maybe,
    criterion: Criterion,
    total: float,
) -> tuple[float, int]:
    """Return these rows' part of a batch's loss, in nats, and how many are correct; in place, the gradient.

    logits : (N, K) float32 or float64, overwritten with the loss's gradient by them, unless dbias is None
    bias : (K,); labels : (N,) int64 in [0, K); weights : (N,) factors of the rows' losses, None or empty for ones
    dbias : (K,) <- column sums of the gradient; None for no gradient
    criterion : settings of the loss: smoothing of the labels, bounds of a row's loss
    total : what the sum over all rows of the batch is divided by: their number, or the sum of their weights
    """
    # numba leaves out the branches of what is None, so that read-only logits compile.
    t = logits.dtype.type
    n, classes = logits.shape
    rows, weighted = block_rows(classes), _is_weighted(weights)
    smoothing, bounded = criterion.smoothing, criterion.low > 0 or criterion.high < np.inf
    memory = work_array(logits, rows * (classes + 2) + classes)
    if memory.size == 0:
        raise MemoryError("there is no memory for a row of logits")
    labels_own = vector_at(memory, rows * classes, rows)
    gaps = vector_at(memory, rows * (classes + 1), rows)
    excess = vector_at(memory, rows * (classes + 2), classes)
    loss, product, correct = 0.0, 0.0, 0
    if dbias is not None:
        begin_total(dbias, excess)
    for start in range(0, n, rows):
        count = min(rows, n - start)
        e, label = matrix_at(memory, 0, count, classes), vector_at(labels, start, count)
        block = matrix_at(logits, start * classes, count, classes)
        shifted_rows(block, bias, e)
        for r in range(count):
            gap = -np.float64(vector_at(memory, r * classes + label[r], 1)[0])  # also in plain Python
            correct += (gap == 0) & _has_no_zero(row_at(e, r), label[r])  # of equal logits the first counts
            if gap == np.inf:
                gap = _wide_gap(row_at(block, r), bias, label[r])
            gap = _smoothed_gap(row_at(e, r), gap, smoothing)
            if bounded:
                gaps[r] = gap
            else:
                weight = np.float64(_weight(weights, start + r)) if weighted else 1.0
                loss = multiply_add1(weight, gap, loss)
        exponentials(e)
        for r in range(count):
            own = vector_at(memory, r * classes + label[r], 1)
            labels_own[r] = own[0]
            own[0] = t(0)
        for r in range(count):
            row, at = row_at(e, r), label[r]
            weight = _weight(weights, start + r) if weighted else t(1)
            others = row_sum(row)
            over_one = others + (labels_own[r] - t(1))
            more = np.float64(over_one)
            gap = np.float64(gaps[r]) if bounded else 0.0  # else it is in the loss
            if bounded and not _lies_between(gap, more, criterion):
                value = gap + _log1p1(more)
                value = criterion.low if value < criterion.low else value  # a NaN passes
                value = criterion.high if value > criterion.high else value
                loss = multiply_add1(np.float64(weight), value, loss)
            elif weight == 1:
                loss += gap
                product = multiply_add1(product, 1.0 + more, more)
                if not product < PRODUCT_LIMIT:
                    loss += np.log1p(product)
                    product = 0.0
            else:
                loss = multiply_add1(np.float64(weight), gap + _log1p1(more), loss)
            if dbias is not None:
                scale = weight / ((t(1) + over_one) * t(total))
                out = row_at(block, r)
                for k in range(classes):
                    out[k] = row[k] * scale
                vector_at(out, at, 1)[0] = -others * scale
                if smoothing != 0:
                    _smooth(out, at, smoothing, weight / t(total))
        if dbias is not None:
            add_to_total(dbias, excess, sum_rows(block, memory))
    release(memory)
    return (loss + np.log1p(product)) / total, correct


@kernel
def cross_entropy_of_batch(
    logits: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    weights: Maybe,
    dbias: Maybe,
    criterion: Criterion,
    total: float,
) -> tuple[float, int]:
    """`cross_entropy_of_rows`, for calls from Python."""
    return cross_entropy_of_rows(logits, bias, labels, weights, dbias, criterion, total)


@part
def _smoothed(label_smoothing: float) -> Criterion:
    return Criterion(NO_CODE, 0.0, label_smoothing, 0.0, np.inf)


@kernel
def _softmax_cross_entropy(
    logits: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    dbias: np.ndarray,
    weights: Maybe = None,
    label_smoothing: float = 0.0,
) -> tuple[float, int]:
    criterion = _smoothed(np.float64(label_smoothing))
    return cross_entropy_of_rows(logits, bias, labels, weights, dbias, criterion, np.float64(len(logits)))


@kernel
def _softmax_cross_entropy_eval(
    logits: np.ndarray, bias: np.ndarray, labels: np.ndarray, weights: Maybe = None, label_smoothing: float = 0.0
) -> tuple[float, int]:
    criterion = _smoothed(np.float64(label_smoothing))
    return cross_entropy_of_rows(logits, bias, labels, weights, None, criterion, np.float64(len(logits)))


@part
def softmax_of_rows(logits: np.ndarray, bias: Maybe, out: np.ndarray) -> None:
    """out (N, K) <- softmax of logits (N, K) + bias (K,), float32 or float64; bias None counts as zeros.

    out may be logits itself.
    """
    n, classes = logits.shape
    t = logits.dtype.type
    rows = block_rows(classes)
    memory = work_array(logits, rows * classes)
    if memory.size == 0:
        raise MemoryError("there is no memory for a row of logits")
    for start in range(0, n, rows):
        count = min(rows, n - start)
        e = matrix_at(memory, 0, count, classes)
        shifted_rows(matrix_at(logits, start * classes, count, classes), bias, e)
        exponentials(e)
        for r in range(count):
            row, result = vector_at(e, r * classes, classes), vector_at(out, (start + r) * classes, classes)
            scale = t(1) / row_sum(row)
            for k in range(classes):
                result[k] = row[k] * scale
    release(memory)


@kernel
def _bias_softmax(logits: np.ndarray, bias: np.ndarray) -> None:
    softmax_of_rows(logits, bias, logits)


def _check_logits(logits: np.ndarray, bias: np.ndarray, *, writes: bool) -> None:
    _check.array("logits", logits, _check.FLOATS, ndim=2, writes=writes)
    if 0 in logits.shape:
        raise ValueError(f"logits has shape {logits.shape}: the batch is empty or there are no classes")
    _check.array("bias", bias, (logits.dtype,), (logits.shape[1],))


def _checked_labels(labels: np.ndarray, logits: np.ndarray, ignore_index: int | None) -> np.ndarray | None:
    """Check the labels; return the numbers of the rows that count, int64, None where they all do."""
    _check.array("labels", labels, _check.INT64, (len(logits),))
    counts = None if ignore_index is None else labels != _check.whole("ignore_index", ignore_index)
    _check.in_range("labels", labels if counts is None else np.where(counts, labels, 0), logits.shape[1])
    return None if counts is None or counts.all() else np.flatnonzero(counts)


def _checked_weights(weights: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
    """Check the weights; return them, empty where there are none: None would be one more type to compile for."""
    if weights is None:
        return np.empty(0, logits.dtype)
    _check.array("weights", weights, (logits.dtype,), (len(logits),))
    return weights


def _of_kept(
    kept: np.ndarray | None,
    logits: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    dbias: np.ndarray | None,
    smoothing: float,
) -> tuple[float, int]:
    """Return loss and count of the rows that count, as of a batch of these alone; in place, the gradient, or zeros."""
    criterion = Criterion(NO_CODE, 0.0, smoothing)
    if kept is None:
        return cross_entropy_of_batch(logits, bias, labels, weights, dbias, criterion, float(len(logits)))
    loss, correct, sums, step = 0.0, 0, np.zeros(bias.shape), max(1, COPIED // len(bias))
    for start in range(0, kept.size, step):
        at = kept[start : start + step]
        rows, own = logits[at], weights[at] if weights.size else weights
        part = cross_entropy_of_batch(rows, bias, labels[at], own, dbias, criterion, float(kept.size))
        loss, correct = loss + part[0], correct + part[1]
        if dbias is not None:
            logits[at] = rows
            sums += dbias
    if dbias is not None:
        others = np.ones(len(logits), np.bool_)
        others[kept] = False
        logits[others], dbias[...] = 0, sums
    return loss, correct


def softmax_cross_entropy(
    logits: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    dbias: np.ndarray,
    weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> tuple[float, int]:
    """Mean cross-entropy of softmax(logits + bias), and in place: logits <- its gradient (softmax - onehot) / N.

    logits : (N, K) float32 or float64, C-contiguous, without the bias, N > 0, overwritten with dLoss/dlogits
    bias : (K,) of the same dtype
    labels : (N,) int64, each in [0, K), or `ignore_index`
    dbias : (K,) of the same dtype, overwritten with the gradient's column sums
    weights : (N,) of the same dtype, or None: what each row's loss and gradient are multiplied by; the sums are still
        divided by N, so that weights of mean 1 give a weighted mean
    label_smoothing : from 0 up to, not including, 1: the share s of each target that is spread over all classes, so
        that the targets are (1 - s) onehot + s / K (C. Szegedy et al., "Rethinking the Inception architecture for
        computer vision", CVPR 2016)
    ignore_index : the label, any whole number, of rows that do not count, whatever their logits and weights: N is the
        number of the others, and the gradient by such a row is 0; None where all rows count. Where none does, the loss
        and the gradients are 0 (PyTorch's mean is NaN there)

    Returns (mean loss in nats, number of rows whose largest logit is the label's; of equal ones the first counts).
    The largest logit is subtracted first, so that logits of any finite size neither overflow nor lose the loss of an
    improbable label, which float64 holds for float32 logits however far apart. The sum of the others than the label
    gives a sure answer's loss and gradient, as exact as `log_softmax`: for float64 logits (40, 0) and label 0 they are
    4.2e-18, not 0. The loss is summed in float64; column sums do not drift. A NaN in a row makes the loss NaN.
    Raises TypeError or ValueError naming the argument at fault, a label outside [0, K) with its index.
    """
    _check_logits(logits, bias, writes=True)
    kept = _checked_labels(labels, logits, ignore_index)
    own = _checked_weights(weights, logits)
    smoothing = _check.share("label_smoothing", label_smoothing)
    _check.array("dbias", dbias, (logits.dtype,), bias.shape, writes=True)
    given = {} if weights is None else {"weights": weights}
    _check.apart(logits=logits, bias=bias, labels=labels, dbias=dbias, **given)
    return _of_kept(kept, logits, bias, labels, own, dbias, smoothing)


def softmax_cross_entropy_eval(
    logits: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> tuple[float, int]:
    """Mean cross-entropy of softmax(logits + bias) and count of correct rows, without a gradient; writes nothing.

    logits : (N, K) float32 or float64, C-contiguous, without the bias, N > 0
    bias : (K,) of the same dtype
    labels : (N,) int64, each in [0, K), or `ignore_index`
    weights : (N,) of the same dtype, or None
    label_smoothing : from 0 up to, not including, 1
    ignore_index : the label of rows that do not count, or None

    Returns (mean loss in nats, correct), as `softmax_cross_entropy` does. Raises the same errors.
    """
    _check_logits(logits, bias, writes=False)
    kept = _checked_labels(labels, logits, ignore_index)
    own = _checked_weights(weights, logits)
    smoothing = _check.share("label_smoothing", label_smoothing)
    return _of_kept(kept, logits, bias, labels, own, None, smoothing)


def bias_softmax(logits: np.ndarray, bias: np.ndarray) -> None:
    """In place, turn logits (N, K) and their bias into the probability of each class.

    logits : (N, K) float32 or float64, C-contiguous, N > 0, overwritten
    bias : (K,) of the same dtype

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check_logits(logits, bias, writes=True)
    _check.apart(logits=logits, bias=bias)
    _bias_softmax(logits, bias)
