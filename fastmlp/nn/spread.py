"""How far targets lie apart, in the terms of a loss: the mean loss of the best constant answer to them.

Sizes: `M` rows, `K` outputs. A row's loss is the sum over its outputs.
"""

import numpy as np

STEPS = 100


def _means(x: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the means (K,) of x (M, K), float64; weights : (M,) of mean 1, or None."""
    return x.mean(axis=0) if weights is None else weights.astype(np.float64) @ x / len(x)


def _squared_error(targets: np.ndarray, weights: np.ndarray | None, delta: float) -> float:  # noqa: ARG001
    t = targets.astype(np.float64)
    return float(_means(0.5 * (t - _means(t, weights)) ** 2, weights).sum())


def _poisson(targets: np.ndarray, weights: np.ndarray | None, delta: float) -> float:  # noqa: ARG001
    t = targets.astype(np.float64)
    mean = _means(t, weights)
    ratio = np.where(t > 0, t / np.where(mean > 0, mean, 1), 1)
    return max(0.0, float(_means(t * np.log(ratio) - (t - mean), weights).sum()))


def _huber(targets: np.ndarray, weights: np.ndarray | None, delta: float) -> float:
    total = 0.0
    for t in targets.astype(np.float64).T:
        apart = np.abs(t - _huber_constant(t, weights, delta))
        near = np.minimum(apart, delta)
        total += float(_means((near * (apart - 0.5 * near))[:, None], weights)[0])
    return total


def _huber_constant(t: np.ndarray, weights: np.ndarray | None, delta: float) -> float:
    """Return the constant of least Huber loss for t (M,): its slope rises in straight lines, and Newton finds where.

    Where a step would leave what is known to hold the constant, which is halved instead.
    """
    w = np.ones(len(t)) if weights is None else weights.astype(np.float64)
    low, high, at = t.min(), t.max(), np.median(t)
    for _ in range(STEPS):
        d = at - t
        slope, rise = w @ np.clip(d, -delta, delta), w @ (np.abs(d) < delta)
        if slope == 0 or not low < high:
            break
        low, high = (low, at) if slope > 0 else (at, high)
        new = at - slope / rise if rise > 0 else low
        new = new if low < new < high else 0.5 * (low + high)
        if new == at:
            break
        at = new
    return float(at)


# Of (targets (M, K), weights (M,) of mean 1 or None, delta), by the name of the loss; targets of classes need none.
BEST_CONSTANTS = {"squared-error": _squared_error, "poisson": _poisson, "huber": _huber}
