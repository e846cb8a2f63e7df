"""Checks of an estimator's settings, rows, labels and weights, and its warnings."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, compute_class_weight

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.checks import check_count, is_real, is_whole
from fastmlp.nn.history import FitResult
from fastmlp.nn.optimizer import SGD

# The share by which a loss is below that of class frequencies where the network has learnt something of the features:
# constant outputs are never below it, save for rounding. A loss of so many nats is none.
LEARNT = 1e-4


class Rows(NamedTuple):
    """Checked rows X (M, D) float32 or float64, labels y (M,), as given or encoded, weights (M,) float64 above 0."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray


@contextmanager
def restored(estimator: Any, before: Mapping[str, Any], after: type[BaseException]) -> Iterator[None]:
    """Restore the attributes `before` of an estimator where the body raises an exception of the type `after`."""
    try:
        yield
    except after:
        for name in set(vars(estimator)) - set(before):
            delattr(estimator, name)
        vars(estimator).update(before)
        raise


def check_settings(estimator: Any, *, float32: bool) -> None:
    """Raise ConfigError for settings that scikit-learn's own checks of parameters let through."""
    settings = {"lr": estimator.learning_rate_init} | vars(estimator)
    SGD.check(settings, float32=float32, lr_name="learning_rate_init")
    for name in ("batch_size", "max_iter", "patience", "threads"):
        value = getattr(estimator, name)
        if not (value is None or isinstance(value, str)):  # "auto"
            check_count(name, value)
    if isinstance(estimator.random_state, bool):
        raise ConfigError(f"random_state is {estimator.random_state}, allowed is a number, a RandomState or None")
    hidden_units(estimator.hidden_layer_sizes)


def hidden_units(sizes: Any) -> list[int]:
    """Return the units of each hidden layer; ConfigError where a size is none."""
    units = list(sizes) if np.iterable(sizes) else [sizes]
    if not all(is_whole(size, 1) for size in units):
        raise ConfigError(f"hidden_layer_sizes is {sizes!r}, allowed are whole numbers from 1 on, such as (100, 50)")
    return [int(size) for size in units]


def weighted(X: np.ndarray, y: np.ndarray, sample_weight: Any) -> Rows:
    """Return rows X (M, D) and labels y (M,) of any dtype with their weights, without those of weight 0.

    sample_weight : (M,) numbers, one number for all, or None for 1

    Rows of weight 0 are left out so that no class and no batch consists of them alone. Raises DataError for wrong
    weights.
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


def encoded(rows: Rows, classes: np.ndarray, factors: np.ndarray) -> Rows:
    """Return rows with labels encoded as indices of classes (K,), and weights times factors (K,) float64 of these."""
    codes = LabelEncoder().fit(classes).transform(rows.y)
    return Rows(rows.X, codes, rows.weights * factors[codes])


def split(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to train on and those that are held out, which are `fraction` of all, by class."""
    parts = train_test_split(np.arange(len(rows.y)), test_size=fraction, stratify=rows.y, random_state=seed)
    train, held = (Rows(*(array[part] for array in rows)) for part in parts)
    return train, held


def loss_of_frequencies(rows: Rows) -> float:
    """Return the lowest mean loss, in nats, of one prediction for all (encoded) rows: the classes' shares of weight."""
    shares = np.bincount(rows.y, rows.weights / rows.weights.max())
    shares = shares[shares > 0] / shares.sum()
    return float(0.0 - (shares * np.log(shares)).sum())  # of one class 0, not -0


def warn_of(result: FitResult, loss: float = -math.inf, usual: float = 0.0) -> None:
    """Warn of a fit that diverged or learnt nothing; loss : over the training rows, usual : of class frequencies."""
    advice = "lower learning_rate_init, or scale the features, as with StandardScaler."
    if result.status == "diverged":
        text = f"{result.in_words} A loss or a weight was not finite, or far above what it was: {advice}"
    elif not loss <= max((1 - LEARNT) * usual, LEARNT):
        text = (
            f"The training loss is {loss:.6g}, no better than {usual:.6g}, which the frequencies of the classes alone "
            "give: nothing was learnt from the features. Scale them, as with StandardScaler; where they are scaled, "
            "change learning_rate_init, or raise max_iter."
        )
    else:
        return
    warnings.warn(text, ConvergenceWarning, stacklevel=4)  # above the estimator's method and scikit-learn's wrapper
