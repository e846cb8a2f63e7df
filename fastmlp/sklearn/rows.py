"""The rows that the estimator is given, with encoded labels and with weights of rows and classes in one."""

from collections.abc import Mapping
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, compute_class_weight

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.checks import is_real


class Rows(NamedTuple):
    """Checked rows X (M, D), labels y (M,) as they were given or encoded, and weights (M,) float64 above 0."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray


def weighted(X: np.ndarray, y: np.ndarray, sample_weight: Any) -> Rows:
    """Return the rows with their weights, without those of weight 0; a number is the weight of all, None stands for 1.

    Leaving them out keeps classes and batches from being of rows alone that do not count. Raises DataError for weights
    that are none.
    """
    if sample_weight is None or (is_real(sample_weight) and sample_weight > 0):
        return Rows(X, y, np.full(len(y), 1.0 if sample_weight is None else float(sample_weight)))
    if isinstance(sample_weight, Number | np.generic | str):
        raise DataError(f"sample_weight is {sample_weight!r}, allowed is a number above 0, or one for each row")
    weights = check_array(sample_weight, ensure_2d=False, dtype="float64", input_name="sample_weight")
    if weights.shape != y.shape:
        raise DataError(f"sample_weight has shape {weights.shape}, expected {y.shape}")
    if weights.min() < 0 or not weights.any():
        raise DataError("sample_weight holds a negative number or only zeros, allowed are numbers from 0 on")
    kept = weights > 0
    return Rows(X, y, weights) if kept.all() else Rows(X[kept], y[kept], weights[kept])


def class_factors(class_weight: Any, classes: np.ndarray, rows: Rows) -> np.ndarray:
    """Return what `class_weight` multiplies the weights of each class by, (K,).

    Raises DataError for a single class, ConfigError for factors that are none.
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


def encoded(rows: Rows, classes: np.ndarray, factors: np.ndarray) -> Rows:
    """Return the rows with labels that are indices of `classes`, and with the factors of these in their weights."""
    codes = LabelEncoder().fit(classes).transform(rows.y)
    return Rows(rows.X, codes, rows.weights * factors[codes])


def split(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to train on and those that are held out."""
    parts = train_test_split(np.arange(len(rows.y)), test_size=fraction, stratify=rows.y, random_state=seed)
    train, held = (Rows(*(array[part] for array in rows)) for part in parts)
    return train, held


def loss_of_frequencies(rows: Rows) -> float:
    """Return the lowest mean loss of predicting the same for all (encoded) rows: each class by its share of weight."""
    shares = np.bincount(rows.y, rows.weights / rows.weights.max())
    shares = shares[shares > 0] / shares.sum()
    return float(0.0 - (shares * np.log(shares)).sum())  # of one class 0, not -0
