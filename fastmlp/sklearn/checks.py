"""The estimator's settings, checked, what a call that fails leaves, and the warnings after training."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import check_count, is_whole
from fastmlp.nn.history import FitResult
from fastmlp.nn.optimizer import SGD

# The share by which a loss is below that of class frequencies where the network has learnt something of the features:
# constant outputs are never below it, save for rounding. A loss of so many nats is none.
LEARNT = 1e-4


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
