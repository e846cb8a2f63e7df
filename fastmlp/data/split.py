"""The random split of a training set into training and validation part."""

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import ConfigError


def split_indices(n: int, fraction: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shuffle the row numbers of `n` images and set `fraction` of them aside for validation.

    Returns (train_index, validation_index), int64 of shapes (n - V,) and (V,) for V = round(n * fraction): disjoint,
    together a permutation of 0..n-1. Raises ConfigError when either part would be empty.
    """
    held_out = round(n * fraction)
    if not 0 < held_out < n:
        raise ConfigError(
            f"A validation fraction of {fraction:g} leaves one part of {n} images empty; use one between 0 and 1, "
            "such as 0.2."
        )
    order = rng.permutation(n)
    return order[held_out:], order[:held_out]
