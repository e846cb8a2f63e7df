"""What a product asks for ahead: the places that the micro-kernel is told."""

import numpy as np
from numba import njit

from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import no_index
from fastmlp_kernels.gemm.ahead import Asking, following, places_ahead
from fastmlp_kernels.gemm.panels import NR, ZERO, Panels


@njit
def _places(x, b):
    rows = Rows(x, no_index(), None, None)
    parts = following(rows, (1, 3), (0, x.shape[1]))
    panels = Panels(b, ZERO, b.size, NR, None, None, None)
    return places_ahead(parts, Asking(4, 8, 0), 0, 0, panels, ZERO)


def test_what_there_is_not_is_not_asked_for():
    x, b = np.zeros((5, 7), np.float32), np.zeros(4 * int(NR), np.float32)
    places = _places(x, b)
    address, row = x.ctypes.data, x.strides[0]
    assert places[:2] == ((address + row, 8), (address + 2 * row, 8))
    assert places[2:] == ((0, 0),) * 4  # no more rows, and nothing of b: the micro-kernel skips a step of 0
