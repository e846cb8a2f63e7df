"""The random split of a training set into training and validation part."""

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import ConfigError


def split_indices(
    n: int, fraction: float, rng: np.random.Generator, groups: NDArray[np.integer] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shuffle the row numbers of `n` rows and set `fraction` of them aside for validation.

    groups : (n,) integers: rows of one group stay together, and V is then as near to round(n * fraction) as the groups,
        in their random order, allow

    Returns (train_index, validation_index), int64 of shapes (n - V,) and (V,) for V = round(n * fraction): disjoint,
    together a permutation of 0..n-1. Raises ConfigError when either part would be empty.
    """
    held_out = round(n * fraction)
    if not 0 < held_out < n:
        raise ConfigError(
            f"A validation fraction of {fraction:g} leaves one part of {n} rows empty; use one between 0 and 1, "
            "such as 0.2."
        )
    order = rng.permutation(n)
    if groups is not None:
        order, held_out = _together(order, held_out, groups)
    return order[held_out:], order[:held_out]


def _together(order: NDArray[np.int64], held_out: int, groups: NDArray[np.integer]) -> tuple[NDArray[np.int64], int]:
    """Return the row numbers with each group's next to each other, and where a group ends that is nearest to a row.

    The groups stand in the order of their first rows in `order`.
    """
    _, first, group, sizes = np.unique(groups[order], return_index=True, return_inverse=True, return_counts=True)
    if len(first) < 2:
        raise ConfigError("All rows are of one group, which cannot be split; allowed are two groups or more.")
    ends = np.cumsum(sizes[np.argsort(first)])[:-1]
    return order[np.argsort(first[group], kind="stable")], int(ends[np.argmin(np.abs(ends - held_out))])
