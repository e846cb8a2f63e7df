"""The estimator's settings, checked, what a call that fails leaves, and the warnings after training."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import hidden_activations
from fastmlp.nn.checks import FROM_0, check_count, is_whole
from fastmlp.nn.dropout import dropout_of
from fastmlp.nn.history import FitResult
from fastmlp.nn.optimizer import OPTIMIZERS, Optimizer

# The learning rate of each optimiser, where "auto" leaves the choice: see the estimators for how they were chosen.
RATES = {"sgd": 1e-2, "nesterov": 1e-2, "adam": 2e-3, "adamw": 2e-3}
# Parameters of the estimators that the optimisers' settings of these names have another name for.
PARAMETERS = {"lr": "learning_rate_init", "beta1": "betas[0]", "beta2": "betas[1]", "eps": "epsilon"}

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
    values = _settings(estimator)
    for kind in OPTIMIZERS.values():  # also of those that are not chosen: a wrong value is a mistake
        for name, setting in kind.SETTINGS.items():
            setting.range.check(PARAMETERS.get(name, name), values[name], float32=float32)
    FROM_0.check("clip_norm", estimator.clip_norm)
    for name in ("batch_size", "max_iter", "patience", "threads"):
        value = getattr(estimator, name)
        if not (value is None or isinstance(value, str)):  # "auto"
            check_count(name, value)
    if isinstance(estimator.random_state, bool):
        raise ConfigError(f"random_state is {estimator.random_state}, allowed is a number, a RandomState or None")
    layers = len(hidden_units(estimator.hidden_layer_sizes))
    hidden_activations(estimator.activation, layers)
    dropout_of(estimator.dropout, estimator.input_dropout, layers)


def _settings(estimator: Any) -> dict[str, Any]:
    """Return the settings of all optimisers, by their names there."""
    betas = estimator.betas
    if len(betas) != 2:
        raise ConfigError(f"betas is {betas!r}, allowed are two numbers from 0 to below 1, such as (0.9, 0.999)")
    rate = estimator.learning_rate_init
    return {
        "lr": RATES[estimator.optimizer] if isinstance(rate, str) else rate,  # "auto"
        "momentum": estimator.momentum,
        "beta1": betas[0],
        "beta2": betas[1],
        "eps": estimator.epsilon,
        "weight_decay": estimator.weight_decay,
    }


def optimizer_of(estimator: Any) -> Optimizer:
    """Return the optimiser that an estimator's parameters name, with its settings."""
    kind, values = OPTIMIZERS[estimator.optimizer], _settings(estimator)
    own = {name: values[name] for name in kind.SETTINGS}
    return kind(**own, decay_per=estimator.decay_per, clip_norm=estimator.clip_norm)


def hidden_units(sizes: Any) -> list[int]:
    """Return the units of each hidden layer; ConfigError where a size is none."""
    units = list(sizes) if np.iterable(sizes) else [sizes]
    if not all(is_whole(size, 1) for size in units):
        raise ConfigError(f"hidden_layer_sizes is {sizes!r}, allowed are whole numbers from 1 on, such as (100, 50)")
    return [int(size) for size in units]


def warn_of(result: FitResult, *, scaled: bool, loss: float = -math.inf, usual: float = 0.0) -> None:
    """Warn of a fit that diverged or learnt nothing.

    scaled : whether it had its rows standardised
    loss : over the training rows; usual : of the best constant answer
    """
    scaling = "" if scaled else "standardize=True, "
    if result.status == "diverged":
        text = (
            f"{result.in_words} A loss or a weight was not finite, or far above what it was. What may help: {scaling}"
            "a lower learning_rate_init, clip_norm."
        )
    elif not loss <= max((1 - LEARNT) * usual, LEARNT):
        text = (
            f"The training loss is {loss:.6g}, no better than {usual:.6g}, which the best constant answer gives: "
            f"nothing was learnt from the features. What may help: {scaling}another learning_rate_init, "
            "a higher max_iter."
        )
    else:
        return
    warnings.warn(text, ConvergenceWarning, stacklevel=4)  # above the estimator's method and scikit-learn's wrapper
