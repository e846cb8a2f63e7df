"""Random bits by counters, and dropout with them: who needs the bits again makes them anew, on the way back too.

A path of numbers, here (seed, step, layer, row), leads to a key of 64 bits, and this gives each unit of the row its 32
bits: the unit's number goes through an affine map modulo 2^32 that is the key's own, then through a hash of two
multiplications. Nothing is kept, the order of calls does not matter, and the loop over units runs in vector lanes.

To count instead of to iterate is of J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as
easy as 1, 2, 3" (SC 2011). The hash is C. Wellons's "lowbias32" (2018), found by a search for the least bias: that a
bit of the number turns each bit of the hash in half of all cases. It keeps no secrets.
"""

from typing import NamedTuple

import numpy as np

from fastmlp_kernels._jit import kernel, part, scalar
from fastmlp_kernels._views import row_at

# Products are of 64 bits and cut to 32, which LLVM makes 32-bit lanes of; in plain Python none then overflows.
MASK, ONE, HALF, FIFTEEN, SIXTEEN = (np.uint64(number) for number in (0xFFFFFFFF, 1, 32, 15, 16))
FIRST, SECOND = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)


class Key(NamedTuple):
    """The key of a path of numbers: two of 32 bits."""

    low: np.uint32
    high: np.uint32


class Dropout(NamedTuple):
    """What is dropped in a run, or in a layer of it, see `dropout_of`.

    threshold : below which the bits of a dropped unit are; scale : factor of the others; seed : of the run
    """

    threshold: np.uint32
    scale: float
    seed: np.uint64


def dropout_of(rate: float, seed: int) -> Dropout:
    """Return the record for a rate from 0 to below 1, taken to 2^-32, and a seed from 0 to below 2^64."""
    return Dropout(np.uint32(int(rate * 2.0**32)), 1 / (1 - rate), np.uint64(seed))


@scalar
def bits_of(key: Key, number: np.uint64) -> np.uint32:
    """Return the 32 bits of a number below 2^32; no two numbers of a key have the same."""
    x = np.uint32((number * (key.high | ONE) + key.low) & MASK)
    x = np.uint32(((x ^ (x >> SIXTEEN)) * np.uint64(FIRST)) & MASK)
    x = np.uint32(((x ^ (x >> FIFTEEN)) * np.uint64(SECOND)) & MASK)
    return np.uint32(x ^ (x >> SIXTEEN))


@scalar
def key_below(key: Key, number: np.uint64) -> Key:
    """Return the key of a path that is longer by a number below 2^32."""
    turned = Key(np.uint32(key.high ^ SECOND), np.uint32(key.low ^ FIRST))
    return Key(bits_of(key, number), bits_of(turned, number))


@part
def drop_rows(x: np.ndarray, out: np.ndarray, dropout: Dropout, step: int, layer: int, first: int) -> None:
    """out (N, H) <- x (N, H), float32 or float64, with 0 for dropped units and others scaled; out may be x.

    step, layer, first : below 2^32, the last one is the number of the first row in its batch. The rows of a gradient by
    `out` become those by x in the same way.
    """
    key = key_below(key_below(Key(FIRST, SECOND), dropout.seed & MASK), dropout.seed >> HALF)
    key = key_below(key_below(key, np.uint64(step)), np.uint64(layer))
    scale = x.dtype.type(dropout.scale)
    for i in range(len(x)):
        own, row, target = key_below(key, np.uint64(first + i)), row_at(x, i), row_at(out, i)
        for j in range(row.size):
            scaled = row[j] * scale  # in any case: without masked loads, a loop whose load has a condition stays scalar
            target[j] = scaled if bits_of(own, np.uint64(j)) >= dropout.threshold else x.dtype.type(0)


@kernel
def drop(x: np.ndarray, out: np.ndarray, dropout: Dropout, step: int, layer: int, first: int) -> None:
    """Drop units of rows x (N, H), float32 or float64; see `drop_rows`."""
    drop_rows(x, out, dropout, step, layer, first)
