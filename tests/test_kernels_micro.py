"""The micro-kernel by itself: a left operand in strips."""

import numpy as np
import pytest

from fastmlp_kernels._jit import kernel
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.micro import REPLACE, Strips, micro_kernel, tile_of
from fastmlp_kernels.gemm.panels import ZERO


@kernel
def _multiply(a, between, b, c, size):
    depth, stride, row = size
    micro_kernel(Strips(a, between), row, b, ZERO, stride, c, ZERO, stride, depth, REPLACE, ())


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_strips_are_multiplied_where_they_lie(precision, rng):
    mr, nr, room = TILE.mr, tile_of(ELEMENTS[precision]).nr, 2
    for depth in (1, 2, 7):
        a = rng.integers(-9, 9, (3, depth + room, mr)).astype(precision)  # small integers: sums are exact
        b = rng.integers(-9, 9, (depth, nr)).astype(precision)
        for strip in range(3):
            c = np.full((mr, nr), np.nan, precision)
            _multiply(a.ravel(), depth + room, b.ravel(), c.ravel(), (depth, nr, strip * mr))
            np.testing.assert_array_equal(c, a[strip, :depth].T @ b)
