"""The micro-kernel by itself: a left operand in each of its forms."""

import numpy as np
import pytest

from fastmlp_kernels._jit import kernel
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.micro import REPLACE, Packed, Picked, SideBySide, Strips, micro_kernel, tile_of
from fastmlp_kernels.gemm.panels import ZERO

MR, ROOM, AT, STRIPS = TILE.mr, 2, 3, 3
DEPTHS = (1, 2, 7)


@kernel
def _of_strips(a, between, b, c, size):
    depth, stride, row = size
    micro_kernel(Strips(a, between), row, b, ZERO, stride, c, ZERO, stride, depth, REPLACE, ())


@kernel
def _of_packed(a, between, b, c, size):
    depth, stride, row = size
    micro_kernel(Packed(a, AT, between), row, b, ZERO, stride, c, ZERO, stride, depth, REPLACE, ())


@kernel
def _of_side_by_side(a, between, b, c, size):
    depth, stride, row = size
    micro_kernel(SideBySide(a, AT, between), row, b, ZERO, stride, c, ZERO, stride, depth, REPLACE, ())


@kernel
def _of_picked(places, between, b, c, size):  # noqa: ARG001
    depth, stride, row = size
    micro_kernel(Picked(places), row, b, ZERO, stride, c, ZERO, stride, depth, REPLACE, ())


def strips_of(a: np.ndarray) -> np.ndarray:
    """Return rows (STRIPS * MR, depth) in strips, with what is between them."""
    out = np.full((STRIPS, a.shape[1] + ROOM, MR), np.nan, a.dtype)
    out[:, : a.shape[1]] = a.reshape(STRIPS, MR, -1).transpose(0, 2, 1)
    return out


def lines_of(a: np.ndarray) -> np.ndarray:
    """Return rows (M, depth) flat, with what is before the first and between them."""
    out = np.full((len(a), a.shape[1] + ROOM), np.nan, a.dtype)
    out[:, : a.shape[1]] = a
    return np.concatenate((np.full(AT, np.nan, a.dtype), out.ravel()))


def places_of(lines: np.ndarray, between: int) -> np.ndarray:
    """Return the address of each row."""
    return lines.ctypes.data + (AT + np.arange(STRIPS * MR) * between) * lines.itemsize


FORMS = {
    "strips": (_of_strips, strips_of, lambda depth: depth + ROOM),
    "packed": (_of_packed, lines_of, lambda depth: depth + ROOM),
    "side by side": (_of_side_by_side, lambda a: lines_of(a.T), lambda depth: STRIPS * MR + ROOM),  # noqa: ARG005
    "picked": (_of_picked, lines_of, lambda depth: depth + ROOM),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_multiplied_where_it_lies(form, precision, rng):
    multiply, packed, between = FORMS[form]
    nr = tile_of(ELEMENTS[precision]).nr
    for depth in DEPTHS:
        a = rng.integers(-9, 9, (STRIPS * MR, depth)).astype(precision)  # small integers: sums are exact
        b = rng.integers(-9, 9, (depth, nr)).astype(precision)
        left = packed(a).ravel()
        places = places_of(left, between(depth))
        for row in range(0, STRIPS * MR, MR):
            c = np.full((MR, nr), np.nan, precision)
            multiply(places if form == "picked" else left, between(depth), b.ravel(), c.ravel(), (depth, nr, row))
            np.testing.assert_array_equal(c, a[row : row + MR] @ b)
