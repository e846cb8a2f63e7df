"""Rows of floats that a product reads where they lie: picked ones have the bits of the same rows copied together."""

import ctypes
import mmap
import sys

import numpy as np
import pytest

from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import no_index, read_only
from fastmlp_kernels.gemm.blocks import KC, MC, MR, a_elements, c_elements
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.pack import as_rows, pack_panels
from fastmlp_kernels.gemm.panels import NR, Work, panels
from fastmlp_kernels.gemm.rows import multiply_rows

DTYPES = ["float32", "float64"]
SIZES = [(1, 1, 1), (3, 7, NR), (MR + 1, KC, 20), (MC, KC + 1, NR + 1), (MC - 3, 3 * KC + 5, 2 * NR), (MR, 100, 5)]


@kernel
def _multiply(x, index, weight, b, work, out):
    pack_panels(as_rows(weight, None), (0, weight.shape[1]), (0, weight.shape[0]), b, 0)
    picks = index if index.size > 0 else no_index()
    for first in range(0, out.shape[0], MC):
        rows = Rows(read_only(x), picks, None, None)
        block = (first, min(first + MC, out.shape[0]))
        multiply_rows(rows, block, (block[1], min(block[1] + MC, out.shape[0])), b, work, out)


def multiply(x, index, weight):
    """Return x[index] @ weight, or x @ weight where the index is empty."""
    element, (d, h) = ELEMENTS[x.dtype.name], weight.shape
    work = Work(aligned_zeros(a_elements(element), x.dtype), aligned_zeros(c_elements(h), x.dtype))
    out = np.full((len(index) or len(x), h), np.nan, x.dtype)
    index = np.array(index, np.int64)  # C-contiguous
    index.flags.writeable = False
    _multiply(x, index, weight, panels(element, d, h), work, out)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "d", "h"), SIZES)
def test_picked_rows_have_the_bits_of_a_copy(n, d, h, dtype, rng):
    x, weight = rng.standard_normal((n + 50, d)).astype(dtype), rng.standard_normal((d, h)).astype(dtype)
    index = rng.integers(0, len(x), n)
    picked, copied = multiply(x, index, weight), multiply(x[index], [], weight)
    assert picked.tobytes() == copied.tobytes()
    # each of D products and sums rounds by half a unit at most
    bound = d * np.finfo(dtype).eps * (np.abs(x[index]) @ np.abs(weight)).astype(np.float64)
    assert (np.abs(picked - x[index].astype(np.float64) @ weight) <= bound).all()


def before_a_wall(shape, dtype):
    """Return an array of zeros whose end is the end of memory that may be read; what it rests on lives as long."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, whole + mmap.PAGESIZE)
    wall = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + whole
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(wall), mmap.PAGESIZE, 0) == 0
    return np.frombuffer(memory, dtype, int(np.prod(shape)), whole - size).reshape(shape)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect as on Linux")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "d", "h"), SIZES)
def test_nothing_behind_the_last_row_is_read(n, d, h, dtype, rng):
    x, weight = before_a_wall((n, d), dtype), rng.standard_normal((d, h)).astype(dtype)
    x[...] = rng.standard_normal((n, d))
    for index in ([], np.arange(n)[::-1], np.full(n, n - 1)):
        rows = x[np.asarray(index, np.int64)] if len(index) else x
        assert multiply(x, index, weight).tobytes() == multiply(rows.copy(), [], weight).tobytes()


@kernel
def _multiply_rows(x, index, b, work, out):
    multiply_rows(Rows(x, index, None, None), (0, len(out)), (0, 0), b, work, out)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_addresses_of_rows_lie_behind_what_is_packed(precision, rng):
    """Packed columns that fill no tile would be multiplied along with their bits, which are subnormal numbers."""
    element, x = ELEMENTS[precision], rng.standard_normal((MC, 3)).astype(precision)
    b = panels(element, 3, NR)
    b.array.fill(1)
    work = Work(np.full(a_elements(element), 7, precision), np.zeros(c_elements(NR), precision))
    out = np.empty((MC, NR), precision)
    _multiply_rows(x, np.arange(int(MC))[::-1].copy(), b, work, out)
    np.testing.assert_allclose(out[:, 0], x[::-1].sum(axis=1), rtol=1e-5, atol=1e-5)
    addresses = MC * 8 // work.a.itemsize
    assert (work.a[:-addresses] == 7).all()
    assert (work.a[-addresses:] != 7).any()
