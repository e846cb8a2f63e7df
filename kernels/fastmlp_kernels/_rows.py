"""The record of a batch's rows, from the data set down to the packing of a product."""

from typing import Any, NamedTuple

import numpy as np

from fastmlp_kernels._align import read_only
from fastmlp_kernels._records import record

# What compiled code is given for an index of None. An empty array, as numba compiles anew for each type: a hidden
# layer's rows, which are never picked, so share the code of the first layer's, which always are.
NO_INDEX = read_only(np.empty(0, np.int64))


@record
class Rows(NamedTuple):
    """The rows (x[index] - center[index]) * scale[index], (N, D), channel by channel.

    x : (M, D) uint8, float32 or float64, C-contiguous
    index : (N,) int64, each in [0, M), in any order, repeated or not; None: all M rows
    center, scale : (M, C) float32 or float64, by row of x and by channel, one of C equal parts of a row (as from
        `image_moments`: mean and 1/std); None where x is taken as it is
    """

    x: np.ndarray
    index: Any = None  # pyright: ignore[reportIncompatibleMethodOverride] - no one looks a value up in it
    center: Any = None
    scale: Any = None

    def compiled(self) -> "Rows":
        """Return these rows with read-only arrays and always an index, as compiled code takes them."""
        index = NO_INDEX if self.index is None else read_only(self.index)
        center, scale = (None if field is None else read_only(field) for field in (self.center, self.scale))
        return Rows(read_only(self.x), index, center, scale)
