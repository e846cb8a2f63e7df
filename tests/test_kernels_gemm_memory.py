"""What products keep in memory from call to call, and right operands that are read where they lie."""

import threading

import numpy as np
import pytest

from fastmlp_kernels import gemm
from fastmlp_kernels._align import LINE_BYTES
from fastmlp_kernels.gemm.panels import NR
from fastmlp_kernels.gemm.products import FEW_ROWS
from packing import DTYPES, PRECISIONS, U, exact, rounded


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


def plans():
    """Return this thread's kept plans."""
    return dict(gemm._KEPT.plans)


def multiply(size, precision="float32", **options):
    ones = np.ones((size, size), np.float32)
    gemm.matmul(ones, ones, ones.copy(), precision=precision, **options)


def test_work_arrays_are_kept_for_the_next_call_of_these_sizes_and_this_thread_alone():
    multiply(23)
    kept = plans()
    multiply(23)
    assert plans() == kept
    _, right, work = kept[next(reversed(kept))].plan
    assert all(array.ctypes.data % LINE_BYTES == 0 for array in (right[0], *work))
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(plans()))
    thread.start()
    thread.join()
    assert elsewhere == [{}]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_call_within_a_call_has_work_arrays_of_its_own(precision, monkeypatch):
    seen = []

    def run(*arguments):
        seen.append(arguments[-1])
        if len(seen) == 1:  # as by a signal's handler
            multiply(23, precision, transpose_a=True)

    monkeypatch.setattr(gemm, "_matmul", run)
    monkeypatch.setattr(gemm, "_CODES", {})
    monkeypatch.setattr(gemm, "machine_code", lambda function, *_: function)
    multiply(23, precision, transpose_a=True)
    (_, (outer, *_), work), (_, (inner, *_), own) = seen
    for one, other in ((outer, inner), *zip(work, own, strict=True)):
        assert not np.may_share_memory(one, other)


def test_so_much_is_kept_and_of_that_what_was_used_last():
    size, most = 600, gemm.MOST_KEPT
    for columns in range(size, size + 20):
        gemm.matmul(
            np.ones((2, size), np.float32), np.ones((size, columns), np.float32), np.empty((2, columns), np.float32)
        )
        assert sum(one.size for one in plans().values()) <= most
    widths = [one.sizes.width for one in plans().values()]
    assert size not in widths
    assert widths[-1] == size + 19
    large = 2200
    multiply(large)
    assert large not in [one.sizes.width for one in plans().values()]
