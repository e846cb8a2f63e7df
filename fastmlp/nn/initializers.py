"""Initial weights: a table of scales for independent normal draws. Biases start at zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import activation_named

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

# standard deviation as a function of (fan_in, fan_out)
INITIALIZERS: dict[str, Callable[[int, int], float]] = {
    "lecun": lambda fan_in, fan_out: 1 / math.sqrt(fan_in),  # noqa: ARG005
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),  # noqa: ARG005
    "glorot": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "small": lambda fan_in, fan_out: 0.01,  # noqa: ARG005
}


def resolve(init: str, activation: str) -> str:
    """Return the name of an initialiser; "auto" is the activation's usual one, such as "he" for relu.

    Raises ConfigError for an unknown name.
    """
    if init == "auto":
        return activation_named(activation).init
    if not (isinstance(init, str) and init in INITIALIZERS):
        raise ConfigError(f"unknown init {init!r}, allowed: auto, {', '.join(INITIALIZERS)}")
    return init


def initial_weight(init: str, fan_in: int, fan_out: int, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """Draw a (fan_in, fan_out) weight array, normal with mean 0 and the named scale.

    lecun: std 1/sqrt(fan_in) (LeCun et al., Efficient BackProp, 1998); he: sqrt(2/fan_in) (He et al., 2015);
    glorot: sqrt(2/(fan_in + fan_out)) (Glorot and Bengio, 2010); small: 0.01. Drawn in float64 and rounded, so that
    float32 and float64 networks of one seed start alike.
    """
    return (rng.standard_normal((fan_in, fan_out)) * INITIALIZERS[init](fan_in, fan_out)).astype(dtype)
