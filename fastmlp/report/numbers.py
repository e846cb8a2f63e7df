"""Numbers of one unit as text: all with as many decimals as their spread asks for."""

from collections.abc import Callable
from math import floor, isfinite, log10

import numpy as np
from numpy.typing import ArrayLike

DIGITS = 4  # by which the spread is written
MOST_DECIMALS, LARGE = 6, 1e12


def writer(values: ArrayLike) -> Callable[[float], str]:
    """Return what writes a number in the unit of these values (...), of any real dtype: 1,234.5 and 0.7, or 1.2e-09."""
    every = np.asarray(values, np.float64)
    most = float(np.abs(every).max(initial=0))
    unit = float(np.std(every / most)) * most if most and isfinite(most) else 0.0
    size = unit if isfinite(unit) and unit > 0 else most
    decimals = DIGITS - 1 - floor(log10(size)) if size > 0 and isfinite(size) else 0
    if decimals > MOST_DECIMALS or most >= LARGE:
        return lambda value: f"{value:.5g}"
    decimals = max(0, decimals)
    return lambda value: f"{value:z,.{decimals}f}" if abs(value) < LARGE else f"{value:.5g}"
