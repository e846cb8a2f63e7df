"""The losses with their gradients, and what they are made of, in plain numpy and float64."""

import math

import numpy as np

from fastmlp.reference.activations import Array, bias_sigmoid


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) for x (..., K), along the last axis; the row's largest is subtracted first, and cancels."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logsumexp(x: Array) -> Array:
    """log(sum(exp(x))) for x (..., K), along the last axis: log1p of the others' sum beside the largest, which is 1."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    np.put_along_axis(e, x.argmax(axis=-1)[..., None], 0, axis=-1)
    return x.max(axis=-1) + np.log1p(e.sum(axis=-1))


def log_softmax(x: Array) -> Array:
    """x - logsumexp(x) for x (..., K), along the last axis; the row's largest goes first, so that nothing cancels."""
    z = x - x.max(axis=-1, keepdims=True)
    return z - logsumexp(z)[..., None]


def bias_softmax(logits: Array, bias: Array) -> Array:
    """softmax(logits + bias) for logits (N, K) and bias (K,): the probability of each class."""
    return softmax(logits + bias)


def accurate_sum(x: Array, axis: int | None = None) -> Array | float:
    """Exactly rounded sum of all elements, or of each row of x (N, K) for axis -1."""
    return math.fsum(x.ravel()) if axis is None else np.array([math.fsum(row) for row in x])


def accurate_mean(x: Array, axis: int | None = None) -> Array | float:
    """Mean of all elements, or of each row of x (N, K) for axis -1."""
    return accurate_sum(x, axis) / (x.size if axis is None else x.shape[-1])


Result = tuple[float, int, Array, Array]


def softmax_cross_entropy(
    logits: Array,
    bias: Array,
    labels: Array,
    weights: Array | None = None,
    smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Result:
    """(mean loss, correct, dlogits (N, K), dbias (K,)) of softmax(logits + bias) against labels (N,) of 0..K-1.

    weights (N,): factors of the rows' losses in the mean, None for ones. smoothing: share of a row's target that is
    spread over all classes. ignore_index: the label of rows that do not count, in the mean neither.
    """
    if ignore_index is not None:
        counts, dlogits = labels != ignore_index, np.zeros(logits.shape)
        if not counts.any():
            return 0.0, 0, dlogits, np.zeros(len(bias))
        own = None if weights is None else weights[counts]
        loss, correct, dlogits[counts], dbias = softmax_cross_entropy(
            logits[counts], bias, labels[counts], own, smoothing
        )
        return loss, correct, dlogits, dbias
    rows, classes = np.arange(len(labels)), logits.shape[1]
    weights = np.ones(len(labels)) if weights is None else weights
    z = logits + bias
    log_p = log_softmax(z)
    losses = (1 - smoothing) * -log_p[rows, labels]
    if smoothing:
        losses = losses + smoothing * -log_p.mean(axis=1)
    correct = np.sum(z.argmax(axis=1) == labels)
    p = softmax(z)
    sharp = p.copy()
    sharp[rows, labels] = 0
    sharp[rows, labels] = -sharp.sum(axis=1)  # p - 1, without what subtracting from 1 rounds off
    dlogits = ((1 - smoothing) * sharp + smoothing * (p - 1 / classes)) * weights[:, None] / len(labels)
    return float(np.mean(weights * losses)), int(correct), dlogits, dlogits.sum(axis=0)


def _mean_over_rows(losses: Array, slopes: Array, correct: int, weights: Array | None) -> Result:
    """Of each output's loss (N, K) and its slope: (the sum over outputs' mean over rows, correct, dz, dbias)."""
    weights = np.ones(len(losses)) if weights is None else weights
    dz = slopes * weights[:, None] / len(losses)
    return float(np.mean(weights * losses.sum(axis=1))), correct, dz, dz.sum(axis=0)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), element by element of x of any shape."""
    return np.logaddexp(0, x)


def logistic_loss(
    z: Array, bias: Array, targets: Array, weights: Array | None = None, smoothing: float = 0.0
) -> Result:
    """(mean loss, correct, dz (N, K), dbias (K,)) of sigmoid(z + bias) against targets (N, K) in [0, 1].

    A row is correct where each of its outputs is on the side of its target. smoothing: share of a target that is spread
    over both answers. Weights as in `softmax_cross_entropy`.
    """
    x, t = z + bias, targets * (1 - smoothing) + smoothing / 2
    losses = t * softplus(-x) + (1 - t) * softplus(x)
    slopes = (1 - t) * bias_sigmoid(x, 0) - t * bias_sigmoid(-x, 0)
    correct = np.all((x > 0) == (targets > 0.5), axis=1).sum()
    return _mean_over_rows(losses, slopes, int(correct), weights)


def squared_error(z: Array, bias: Array, targets: Array, weights: Array | None = None) -> Result:
    """(mean loss, 0, dz (N, K), dbias (K,)) of (z + bias - targets)^2 / 2, for targets (N, K).

    Weights as in `softmax_cross_entropy`.
    """
    d = z + bias - targets
    return _mean_over_rows(d * d / 2, d, 0, weights)


def poisson_loss(z: Array, bias: Array, targets: Array, weights: Array | None = None) -> Result:
    """(mean loss, 0, dz (N, K), dbias (K,)) of half the Poisson deviance of exp(z + bias) from targets (N, K) >= 0.

    Weights as in `softmax_cross_entropy`.
    """
    x, t = z + bias, targets
    log_t = np.log(np.where(t > 0, t, 1))
    return _mean_over_rows(np.exp(x) - t + t * (log_t - x), np.exp(x) - t, 0, weights)


def huber_loss(z: Array, bias: Array, targets: Array, weights: Array | None = None, delta: float = 1.0) -> Result:
    """(mean loss, 0, dz (N, K), dbias (K,)) of errors d = z + bias - targets: d^2 / 2, from delta on in a line.

    Weights as in `softmax_cross_entropy`.
    """
    d = z + bias - targets
    losses = np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))
    return _mean_over_rows(losses, np.clip(d, -delta, delta), 0, weights)


LOSSES = {
    "cross-entropy": softmax_cross_entropy,
    "logistic": logistic_loss,
    "squared-error": squared_error,
    "poisson": poisson_loss,
    "huber": huber_loss,
}
