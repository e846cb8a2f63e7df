"""A small trained-looking model of each kind, and rows for it: for the tests of what is done with models."""

from itertools import pairwise

import numpy as np

from fastmlp.models.model import Model
from fastmlp.nn.loss import Loss

KINDS = [
    ("image", "float32"),
    ("channel", "bfloat16"),
    ("dataset", "float32"),
    ("none", "float64"),
    ("none", "bfloat16"),
    ("image", "int8"),
    ("channel", "int8"),
]


def small_model(
    normalize: str = "image",
    precision: str = "float32",
    layers=(48, 7, 5, 3),
    activation: str | tuple[str, ...] = "tanh",
    loss: str | Loss = "cross-entropy",
) -> Model:
    """Return a model of random weights and biases."""
    rng, dtype = np.random.default_rng(5), np.float64 if precision == "float64" else np.float32
    count = sum((d + 1) * h for d, h in pairwise(layers))
    moments = np.array([[99, 128, 151], [1 / 50, 1 / 60, 1 / 70]], dtype) if normalize == "dataset" else None
    names = ("cat", "dog, small", 'the "other"')[: layers[-1]] if layers[-1] == 3 else ()
    parameters = rng.normal(0, 0.5, count).astype(dtype)
    origin = names, None, "0123456789abcdef"
    return Model(tuple(layers), activation, precision, parameters, normalize, moments, *origin, loss)


def rows_for(model: Model, count: int = 20) -> np.ndarray:
    """Return rows that the model takes, for images one of a single colour among them."""
    rng = np.random.default_rng(6)
    if model.normalize == "none":
        return rng.standard_normal((count, model.layers[0])).astype(model.parameters.dtype)
    x = rng.integers(0, 256, (count, model.layers[0]), np.uint8)
    x[1] = 77
    return x
