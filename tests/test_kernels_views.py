"""Parts of arrays and work arrays in compiled code: what they hold, and where they end."""

import gc

import numpy as np
import pytest

from arrays import fenced
from fastmlp_kernels import _scratch, _views
from fastmlp_kernels._jit import kernel


@kernel
def _vector_at(x, at, size):
    part = _views.vector_at(x, at, size)
    part[:] = -1
    return part.shape, part.strides


@kernel
def _matrix_at(x, at, rows, columns):
    part = _views.matrix_at(x, at, rows, columns)
    part[rows - 1, columns - 1] = -1
    return part.shape, part.strides


@kernel
def _row_at(x, i):
    part = _views.row_at(x, i)
    part[...] = -1
    return part.shape, part.strides


@kernel
def _rows_at(x, first, last):
    part = _views.rows_at(x, (first, last))
    part[...] = -1
    return part.shape, part.strides


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_parts_are_those_of_numpy(dtype):
    x = np.arange(2 * 3 * 4, dtype=dtype).reshape(2, 3, 4)
    for compiled, arguments, plain in (
        (_vector_at, (5, 7), lambda a: a.reshape(-1)[5:12]),
        (_matrix_at, (2, 3, 5), lambda a: a.reshape(-1)[2:17].reshape(3, 5)),
        (_row_at, (1,), lambda a: a[1]),
        (_rows_at, (0, 1), lambda a: a[0:1]),
    ):
        got, want = x.copy(), x.copy()
        shape, strides = compiled(got, *arguments)
        part = plain(want)
        part[(part.shape[0] - 1, part.shape[1] - 1) if compiled is _matrix_at else ...] = np.array(-1).astype(dtype)
        assert (shape, strides) == (part.shape, part.strides), compiled
        np.testing.assert_array_equal(got, want, err_msg=str(compiled))


@kernel
def _fill(x):
    _views.fill(x, 7)


@kernel
def _copy(x, out):
    _views.copy(x, out)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 1, 3)])
def test_an_array_of_any_dimensions_is_filled_and_copied_and_nothing_beside_it(shape):
    with fenced(np.zeros(shape, np.float32), np.arange(6, dtype=np.float32).reshape(shape)) as (out, x):
        _fill(out)
        assert (out == 7).all()
        _copy(x, out)
        np.testing.assert_array_equal(out, x)


@kernel
def _recast(x):
    bits = _views.as_int32(x)
    for i in range(bits.size):
        bits[i] += 1
    return _views.as_uint32(x)[0], _views.no_index().size


def test_bits_are_seen_as_integers():
    x = np.array([1.0, -2.0], np.float32)
    bits, none = _recast(x)
    np.testing.assert_array_equal(x, np.nextafter(np.array([1, -2], np.float32), np.array([2, -3], np.float32)))
    assert (bits, none) == (np.float32(x[0]).view(np.uint32), 0)


@kernel
def _sum_of_work(like, size):
    work = _scratch.work_array(like, size)
    if work.size < size:
        return -1.0
    for i in range(size):
        work[i] = 1
    total = 0.0
    for i in range(size):
        total += work[i]
    _scratch.release(work)
    return total


@pytest.mark.parametrize("size", [1, _scratch.SIZE, _scratch.SIZE + 1, 3_000_000])
def test_a_work_array_has_room_from_the_stack_or_the_heap(size):
    like = np.empty(0, np.float64)
    for _ in range(50):  # 24 MB each: what is not given back would show
        assert _sum_of_work(like, size) == size


def test_a_work_array_that_the_heap_has_no_room_for_is_empty():
    assert _sum_of_work(np.empty(0, np.float64), 1 << 58) == -1


def test_compiling_leaves_the_garbage_collector_as_it_was():
    def twice(x):
        for i in range(x.size):
            x[i] *= 2

    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            kernel(twice)(np.ones(1))
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
