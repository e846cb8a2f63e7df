"""Dropout: units of rows set to 0 at random, the others scaled up, by bits that counters give.

The bits are those of `_random`, which compiled training takes too. Nothing is kept between the two ways: who gives the
same numbers drops the same units.
"""

from typing import Any

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._random import Dropout, drop_rows


@kernel
def _dropout(
    x: np.ndarray, out: np.ndarray, rate: float, seed: int | np.uint64, step: int, layer: int, first: int
) -> None:
    drop_rows(x, out, Dropout(np.uint32(rate * 2.0**32), 1 / (1 - rate), np.uint64(seed)), step, layer, first)


def _below(name: str, value: Any, bits: int) -> int:
    number = _check.whole(name, value)
    if not 0 <= number < 2**bits:
        raise ValueError(f"{name} is {_check.shown(value)}, allowed is a whole number from 0 to 2**{bits} - 1")
    return number


def dropout(
    x: np.ndarray,
    rate: float,
    seed: int,
    step: int = 0,
    layer: int = 0,
    first: int = 0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Dropout: 0 at a rate, at random, and x / (1 - rate) elsewhere; returns `out`, or a new array where it is None.

    x : (..., H) float32 or float64, C-contiguous, H > 0, as N rows of H units
    rate : of dropped units, from 0 up to, not including, 1; taken to 2**-32
    seed : from 0 up to, not including, 2**64
    step, layer, first : from 0 up to, not including, 2**32; `first` is the number of the first row in its batch
    out : of x's shape and dtype; may be x itself, and may not overlap it otherwise

    Seed, step, layer, a row's number and a unit's decide alone what is dropped. So the way back is the same call on the
    gradient, and rows in parts, each with its `first`, in any number of threads, drop what all at once do. A dropped
    unit is 0 also where it was infinite or NaN. The method is of N. Srivastava et al., "Dropout: a simple way to
    prevent neural networks from overfitting" (JMLR 15, 2014), with outputs scaled up in training, as PyTorch has it.
    Raises TypeError or ValueError naming the argument at fault.
    """
    rows = _check.of_rows("x", x)
    share = _check.share("rate", rate)
    numbers = (_below("seed", seed, 64), _below("step", step, 32), _below("layer", layer, 32))
    if _below("first", first, 32) + len(rows) > 2**32:
        raise ValueError(f"first is {first}, allowed is a whole number from 0 to 2**32 less the {len(rows)} rows of x")
    result = _check.result(out, x.shape, x, in_place=True)
    _dropout(rows, _check.in_rows(result), share, np.uint64(numbers[0]), *numbers[1:], int(first))
    return result
