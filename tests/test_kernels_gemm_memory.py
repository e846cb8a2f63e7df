"""What products keep in memory from call to call, and right operands that are read where they lie."""

import threading

import numpy as np
import pytest

from fastmlp_kernels import gemm
from fastmlp_kernels._align import LINE_BYTES, MOST_KEPT, give_back, taken
from fastmlp_kernels.gemm.panels import NR
from fastmlp_kernels.gemm.products import FEW_ROWS
from packing import DTYPES, PRECISIONS, U, exact, rounded

# a machine without bfloat16 instructions says so once, in whichever test is the first
pytestmark = pytest.mark.filterwarnings("ignore:this CPU has no bfloat16 instructions")
FLOAT32 = np.dtype(np.float32)


def assert_right(a, b, out, precision):
    want, size = exact(rounded(a, precision), rounded(b, precision))
    assert (np.abs(out - want) <= (a.shape[1] + 2) * U[precision] * size).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("columns", [NR, 2 * NR, 4 * NR, 5 * NR, NR + 1])
def test_a_file_that_cannot_be_written_is_multiplied_by_few_rows(precision, columns, tmp_path, rng):
    values = rng.standard_normal((70, columns)).astype(DTYPES[precision])
    np.save(tmp_path / "b.npy", values)
    b = np.load(tmp_path / "b.npy", mmap_mode="r")
    for rows in (1, 3, FEW_ROWS, FEW_ROWS + 1):
        a = rng.standard_normal((rows, 70)).astype(values.dtype)
        out = np.empty((rows, columns), values.dtype)
        gemm.matmul(a, b, out, precision=precision)
        assert_right(a, b, out, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_what_an_earlier_product_left_comes_into_no_other(precision, transposed, rng):
    wrong = np.full((150, 150), np.nan, DTYPES[precision])
    for m, n, k in ((9, 5, 7), (40, 33, 31), (100, 1, 101)):
        gemm.matmul(wrong, wrong, wrong.copy(), transpose_a=transposed[0], precision=precision)
        a, b = (rng.standard_normal(shape).astype(wrong.dtype) for shape in ((m, k), (k, n)))
        out = np.empty((m, n), wrong.dtype)
        left, right = (np.ascontiguousarray(x.T) if t else x for x, t in zip((a, b), transposed, strict=True))
        gemm.matmul(left, right, out, transpose_a=transposed[0], transpose_b=transposed[1], precision=precision)
        assert_right(a, b, out, precision)


def test_a_layer_of_no_inputs_and_a_batch_of_no_rows_after_others(rng):
    weight, out = rng.standard_normal((40, 50)).astype(np.float32), np.empty((30, 50), np.float32)
    gemm.dense_forward(np.ones((30, 40), np.float32), weight, np.ones(50, np.float32), "identity", out)
    gemm.dense_forward(np.ones((30, 0), np.float32), weight[:0], np.ones(50, np.float32), "identity", out)
    assert (out == 1).all()
    delta, velocity = np.empty((0, 50), np.float32), np.zeros((40, 50), np.float32)
    before, nothing = weight.copy(), np.empty((0, 40), np.float32)
    gemm.dense_update(nothing, delta, weight, velocity, lr=0.1, momentum=0.9, weight_decay=0.0)
    np.testing.assert_array_equal(weight, before)


def test_memory_is_kept_for_the_next_call_of_this_thread_alone():
    first = taken("here", (3, 5), FLOAT32)
    assert first.ctypes.data % LINE_BYTES == 0
    nested = taken("here", (3, 5), FLOAT32)  # as by a signal's handler
    assert not np.may_share_memory(first, nested)
    give_back(here=nested)
    give_back(here=first)  # which is not the last one any more
    again = taken("here", (15,), FLOAT32)
    assert np.may_share_memory(again, nested)
    give_back(here=again)
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(taken("here", (15,), FLOAT32)))
    thread.start()
    thread.join()
    assert not np.may_share_memory(elsewhere[0], nested)


def test_what_another_call_has_taken_is_not_given_back_by_products():
    mine = {name: taken(name, (4,), np.dtype(np.uint32)) for name in ("a", "b", "c", "by_column")}
    ones = np.ones((8, 8), np.float32)
    for precision in ("float32", "bfloat16"):
        gemm.matmul(ones, ones, ones.copy(), precision=precision, transpose_a=True)
        gemm.matmul(ones, ones, ones.copy(), precision=precision)
    for name, array in mine.items():
        assert not np.may_share_memory(array, taken(name, (4,), array.dtype)), name


def test_large_memory_is_not_kept():
    large = taken("large", (MOST_KEPT + 1,), np.dtype(np.uint8))
    give_back(large=large)
    assert not np.may_share_memory(large, taken("large", (MOST_KEPT + 1,), np.dtype(np.uint8)))
