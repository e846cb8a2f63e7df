"""The estimator's rows, with their labels encoded and the weights of rows and classes multiplied."""

from collections.abc import Mapping
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, compute_class_weight

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.checks import is_real


class Rows(NamedTuple):
    """Checked rows: X (M, D) float32 or float64, targets y, as given or encoded, weights (M,) float64 above 0.

    y : (M,) labels of any dtype, encoded int64, or (M,) or (M, K) numbers, encoded (M, K) of the dtype of X
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray


def weighted(X: np.ndarray, y: np.ndarray, sample_weight: Any) -> Rows:
    """Return rows X (M, D) and targets y, (M,) or (M, K) of any dtype, with their weights, without those of weight 0.

    sample_weight : (M,) numbers, one number for all, or None for 1

    Rows of weight 0 are left out so that no class and no batch consists of them alone. Raises DataError for wrong
    weights.
    """
    if sample_weight is None or (is_real(sample_weight) and sample_weight > 0):
        return Rows(X, y, np.full(len(y), 1.0 if sample_weight is None else float(sample_weight)))
    if isinstance(sample_weight, Number | np.generic | str):
        raise DataError(f"sample_weight is {sample_weight!r}, allowed is a number above 0, or one for each row")
    weights = check_array(sample_weight, ensure_2d=False, dtype="float64", input_name="sample_weight")
    if weights.shape != y.shape[:1]:
        raise DataError(f"sample_weight has shape {weights.shape}, expected {y.shape[:1]}")
    if weights.min() < 0 or not weights.any():
        raise DataError("sample_weight holds a negative number or only zeros, allowed are numbers from 0 on")
    kept = weights > 0
    return Rows(X, y, weights) if kept.all() else Rows(X[kept], y[kept], weights[kept])


def class_factors(class_weight: Any, classes: np.ndarray, rows: Rows) -> np.ndarray:
    """Return the factors (K,) float64 that `class_weight` gives for the weights of rows of each class.

    classes : (K,) of any dtype

    Raises DataError for a single class, ConfigError for wrong factors.
    """
    if len(classes) < 2:
        raise DataError(f"there is only 1 class, {classes[0]!r}: a classifier needs rows of two or more classes")
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, Mapping):
        for label, factor in class_weight.items():
            if not (is_real(factor) and factor >= 0):
                raise ConfigError(f"class_weight[{label!r}] is {factor!r}, allowed is a finite number from 0 on")
        if len(rows.y) and not any(class_weight.get(label, 1) for label in np.unique(rows.y).tolist()):
            raise ConfigError("class_weight is 0 for all classes that there are, so that no row counts")
    return compute_class_weight(class_weight, classes=classes, y=rows.y, sample_weight=rows.weights)


def split(rows: Rows, fraction: float, seed: int, *, by_class: bool) -> tuple[Rows, Rows]:
    """Return the rows to train on and those that are held out.

    fraction : of the rows that are held out; by_class : whether of each class, y being encoded labels
    """
    strata = rows.y if by_class else None
    parts = train_test_split(np.arange(len(rows.y)), test_size=fraction, stratify=strata, random_state=seed)
    train, held = (Rows(*(array[part] for array in rows)) for part in parts)
    return train, held


def loss_of_frequencies(rows: Rows, smoothing: float, classes: int) -> float:
    """Return the lowest mean cross-entropy, in nats, of one prediction for all (encoded) rows.

    It is that of the classes' shares of weight, after as much of them as `smoothing` was spread over all classes.
    """
    shares = np.bincount(rows.y, rows.weights / rows.weights.max(), classes)
    shares = (1 - smoothing) * shares / shares.sum() + smoothing / classes
    shares = shares[shares > 0]
    return float(0.0 - (shares * np.log(shares)).sum())  # of one class 0, not -0
