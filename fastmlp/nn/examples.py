"""Rows with their targets, checked once for a network: inputs, targets and weights."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp.errors import DataError
from fastmlp.nn.inputs import Input
from fastmlp_kernels import _check


class Examples(NamedTuple):
    """M rows with their targets, checked for a network by `MLP.examples`.

    inputs : M rows of D values
    targets : (M,) int64 in [0, K), or (M, K) of the network's dtype, as the network's loss wants them
    weights : (M,) of the network's dtype and of mean 1; None where all rows count the same
    spread : mean losses of the best constant answer, and of the best answers that there can be
    """

    inputs: Input
    targets: np.ndarray
    weights: np.ndarray | None = None
    spread: tuple[float, float] = (1.0, 0.0)


def checked_targets(loss, targets, rows, outputs, dtype):
    return checked_labels(targets, rows, outputs)


def checked_labels(labels: np.ndarray, rows: int, classes: int) -> np.ndarray:
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
