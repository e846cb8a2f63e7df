"""Dropout by random bits that a counter gives, in plain numpy; bits are uint64."""

import numpy as np

from fastmlp.reference.activations import Array


def random_bits(key: tuple, number: Array | int) -> Array | int:
    """32 bits for a number below 2^32, or for uint64 numbers of any shape; key : two such numbers."""
    low, high = key
    x = (number * (high | 1) + low) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def key_below(key: tuple, number: Array | int) -> tuple:
    """Key of a path that is longer by a number, a scalar or uint64 of any shape, than the key's: two such numbers."""
    low, high = key
    return random_bits(key, number), random_bits((high ^ 0x846CA68B, low ^ 0x7FEB352D), number)


def dropout_bits(seed: int, step: int, layer: int, rows: Array, units: int) -> Array:
    """Random bits (N, H) uint64, 32 each, for rows (N,) uint64 of a batch and H units: the path's last two numbers."""
    key = (0x7FEB352D, 0x846CA68B)
    for number in (seed % 2**32, seed >> 32, step, layer):
        key = key_below(key, number)
    return np.asarray(random_bits(key_below(key, rows[:, None]), np.arange(units, dtype=np.uint64)))


def drop_rows(x: Array, rate: float, bits: Array) -> Array:
    """x / (1 - rate) for x (N, H); 0 for units whose 32 bits (N, H) are in the lowest part of their range, the rate."""
    return np.where(bits >= int(rate * 2**32), x / (1 - rate), 0)


def dropout(x: Array, rate: float, seed: int, step: int = 0, layer: int = 0, first: int = 0) -> Array:
    """`drop_rows` of x (N, H), whose first row has the number `first` in its batch, by the bits of these numbers."""
    rows = np.arange(first, first + len(x), dtype=np.uint64)
    return drop_rows(x, rate, dropout_bits(seed, step, layer, rows, x.shape[1]))
