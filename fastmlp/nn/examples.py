"""Rows with their targets, checked once for a network: inputs, targets and weights."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp.errors import DataError
from fastmlp.nn.inputs import Input
from fastmlp.nn.loss import RANGES, Loss
from fastmlp_kernels import _check


class Examples(NamedTuple):
    """M rows with their targets, checked for a network by `MLP.examples`.

    inputs : M rows of D values
    targets : (M,) int64 in [0, K), or (M, K) of the network's dtype, as the network's loss wants them
    weights : (M,) of the network's dtype and of mean 1; None where all rows count the same
    spread : mean losses of answers that know nothing of the inputs, and of the best ones, see `Loss.spread_of`
    """

    inputs: Input
    targets: np.ndarray
    weights: np.ndarray | None = None
    spread: tuple[float, float] = (1.0, 0.0)


def checked_targets(loss: Loss, targets: npt.ArrayLike, rows: int, outputs: int, dtype: np.dtype) -> np.ndarray:
    """Return the targets as a loss wants them: (M,) int64 in [0, K), or (M, K) of this dtype; DataError otherwise.

    Numbers for a single output may be (M,).
    """
    if loss.of_classes:
        return checked_labels(targets, rows, outputs)
    _check.unmasked(targets=targets)
    given = np.asarray(targets)
    if given.ndim == 1 and outputs == 1:
        given = given[:, None]
    if given.shape != (rows, outputs) or given.dtype.kind not in "fiub":
        raise DataError(
            f"targets are {given.dtype} of shape {np.shape(targets)}, expected {rows} rows of {outputs} number"
            f"{'s' if outputs > 1 else ''}, one an output unit, for loss {loss.name}"
        )
    with np.errstate(over="ignore"):  # what overflows is told below
        numbers = np.ascontiguousarray(given, dtype=dtype)
    low, high, allowed = RANGES[loss.targets]
    least, most = numbers.min(), numbers.max()
    if not (low <= least and most <= high and np.isfinite(least) and np.isfinite(most)):
        wrong = ~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high))
        row, k = (int(at) for at in np.unravel_index(wrong.argmax(), wrong.shape))
        raise DataError(f"targets[{row}, {k}] is {given[row, k]}, allowed for loss {loss.name} is {allowed} in {dtype}")
    return numbers


def checked_labels(labels: npt.ArrayLike, rows: int, classes: int) -> np.ndarray:
    """Return the labels as contiguous (M,) int64; raises DataError unless they are `rows` integers in [0, classes)."""
    _check.unmasked(labels=labels)
    labels = np.asarray(labels)
    if labels.shape != (rows,) or labels.dtype.kind not in "iu":
        raise DataError(f"labels are {labels.dtype} of shape {labels.shape}, expected {rows} integers")
    labels = np.ascontiguousarray(labels, dtype=np.int64)
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(f"labels[{at}] is {labels[at]}, allowed is 0 to {classes - 1}: one class an output unit")
    return labels


def checked_weights(weights: npt.ArrayLike, rows: int, dtype: np.dtype) -> np.ndarray:
    """Return the weights (M,) in this dtype, scaled to a mean of 1: the mean of a loss is then a weighted mean.

    Raises DataError unless they are `rows` finite numbers, none negative, not all zero.
    """
    _check.unmasked(sample_weight=weights)
    array = np.asarray(weights)
    if array.shape != (rows,) or array.dtype.kind not in "fiub":
        raise DataError(f"sample_weight is {array.dtype} of shape {array.shape}, expected {rows} numbers")
    scaled = array.astype(np.float64)
    least, most = scaled.min(), scaled.max()
    if not (least >= 0 and 0 < most < np.inf):
        raise DataError(f"sample_weight holds {least} to {most}, allowed are finite numbers from 0 on, not all 0")
    scaled /= most  # so that their sum cannot overflow
    return (scaled / scaled.mean()).astype(dtype)
