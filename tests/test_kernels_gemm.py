"""Matrix products against float64, over shapes at the edges of every block. `packing` says what the bounds are."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrays import assert_within, fenced, normal
from fastmlp_kernels import gemm
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm.blocks import KC, MC
from fastmlp_kernels.gemm.panels import NR
from packing import DTYPES, PRECISIONS, TWO_ROUNDINGS, U, exact, rounded

EDGES = sorted({1, 2, 3, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 511, 512, 513}
               | {edge + i for edge in (TILE.mr, NR, MC, KC) for i in (-1, 0, 1)})  # fmt: skip


def product(a, b, precision="float32", threads=1, *, transpose_a=False, transpose_b=False):
    """Return A B from the operands A and B, stored as they are or transposed; each array between fences, and alone."""
    stored = [np.array(x.T if t else x, order="C") for x, t in ((a, transpose_a), (b, transpose_b))]
    alone = np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)
    multiply = partial(
        gemm.matmul, transpose_a=transpose_a, transpose_b=transpose_b, precision=precision, threads=threads
    )
    with fenced(*stored, alone) as (left, right, out):
        multiply(left, right, out)
        np.testing.assert_array_equal(left, stored[0])
        np.testing.assert_array_equal(right, stored[1])
    multiply(stored[0], stored[1], alone)  # goes past numba's look at the types, but for the first time
    np.testing.assert_array_equal(alone, out)
    return out


def assert_product(got, a, b, precision):
    want, size = exact(rounded(a, precision), rounded(b, precision))
    assert_within(got, want, (a.shape[1] + 2) * U[precision] * size)
    if precision == "bfloat16":
        want, size = exact(a, b)
        assert_within(got, want, (TWO_ROUNDINGS + (a.shape[1] + 2) * 2 * U[precision]) * size)


@settings(max_examples=120)
@given(
    shape=st.tuples(*[st.sampled_from(EDGES)] * 3),
    transposed=st.tuples(st.booleans(), st.booleans()),
    precision=st.sampled_from(PRECISIONS),
    seed=st.integers(0, 9),
)
def test_products_of_shapes_at_the_edges_of_blocks(shape, transposed, precision, seed):
    m, n, k = shape
    rng = np.random.default_rng(seed)
    a, b = normal(rng, (m, k), DTYPES[precision]), normal(rng, (k, n), DTYPES[precision])
    got = product(a, b, precision, transpose_a=transposed[0], transpose_b=transposed[1])
    assert_product(got, a, b, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_the_inner_dimension_in_several_blocks(precision, transposed, rng):
    for k in (2 * KC - 1, 2 * KC, 2 * KC + 1, 4 * KC + 3, 6 * KC):
        a, b = normal(rng, (MC + 1, k), DTYPES[precision]), normal(rng, (k, NR + 1), DTYPES[precision])
        got = product(a, b, precision, transpose_a=transposed[0], transpose_b=transposed[1])
        assert_product(got, a, b, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_an_inner_dimension_of_zero_gives_zeros_and_an_empty_result_is_left_alone(precision, transposed, rng):
    # few rows, whole tiles of them, and some blocks; columns that fill panels, and that do not
    zeros = [(m, n, 0) for m in (5, 4 * TILE.mr, 2 * MC) for n in (3, 40, NR, 3 * NR)]
    for m, n, k in (*zeros, (0, 5, 3), (5, 0, 3), (0, 0, 0)):
        a, b = normal(rng, (m, k), DTYPES[precision]), normal(rng, (k, n), DTYPES[precision])
        got = product(a, b, precision, transpose_a=transposed[0], transpose_b=transposed[1])
        np.testing.assert_array_equal(got, np.zeros((m, n)))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("transposed", [False, True])
def test_nan_and_infinity_stay_in_their_row_and_column(precision, transposed, rng):
    dtype = DTYPES[precision]
    infinity = np.array(np.inf, dtype).view(f"u{np.dtype(dtype).itemsize}")
    for k in (1, 5, KC + 1, 2 * KC + 1):  # odd: the last pair of bfloat16 is half empty
        a, b = (np.abs(normal(rng, shape, dtype)) + dtype(0.1) for shape in ((MC + 3, k), (k, NR + 3)))
        a[0, -1], a[2, 0], a[MC + 2, k // 2] = np.nan, np.inf, -np.inf
        a.view(infinity.dtype)[5, -1] = infinity + 1  # NaN by its last bit alone, which bfloat16 has not
        b[-1, 1], b[0, NR + 2], b[k // 2, 4] = np.inf, np.nan, 0.97 * np.finfo(dtype).max
        with np.errstate(all="ignore"):
            want = rounded(a, precision).astype(np.float64) @ rounded(b, precision).astype(np.float64)
        got = product(a, b, precision, transpose_a=transposed, transpose_b=transposed)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        infinite = np.isinf(want)
        np.testing.assert_array_equal(got[infinite], want[infinite])
        usual = np.setdiff1d(np.arange(NR + 3), [1, 4, NR + 2])
        assert np.isfinite(got[3:5, usual]).all()


def test_infinity_times_zero_is_nan():
    for precision in PRECISIONS:
        a, b = np.array([[np.inf, 1]], DTYPES[precision]), np.array([[0], [1]], DTYPES[precision])
        assert np.isnan(product(a, b, precision)).all()


def test_whole_numbers_are_multiplied_exactly(rng):
    for precision in PRECISIONS:  # below 2^8, exact in bfloat16; sums below 2^24, exact in float32
        a = rng.integers(-9, 10, (MC + 5, 3 * KC)).astype(DTYPES[precision])
        b = rng.integers(-9, 10, (3 * KC, NR + 5)).astype(DTYPES[precision])
        np.testing.assert_array_equal(product(a, b, precision), a @ b)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_where_sums_are_kept_does_not_show_in_their_bits(precision, rng):
    """Those of whole panels are taken in the result, others in work arrays; few rows and many read B differently."""
    few = [(rows, panels, k) for rows in (1, 2, 3) for panels in (2, 3, 4, 6) for k in (1, 3 * KC + 5, 20 * KC + 3)]
    for rows, panels, k in (*few, (MC + TILE.mr + 1, 2, 3 * KC + 5), (MC - 1, 2, 20 * KC + 3)):
        a, b = normal(rng, (rows, k), DTYPES[precision]), normal(rng, (k, panels * NR + 1), DTYPES[precision])
        want, got = product(a, b, precision), product(a, np.ascontiguousarray(b[:, : panels * NR]), precision)
        np.testing.assert_array_equal(got, want[:, : panels * NR])


@pytest.fixture
def all_work(monkeypatch):
    """Products of any size are shared, among as many threads as they ask for."""
    monkeypatch.setattr(gemm, "SHARED_FLOP", 0)
    monkeypatch.setattr(gemm, "LOOK_FLOP", 0.1)  # some time for a thread to come, but an end


@pytest.mark.usefixtures("all_work")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_have_the_same_bits_for_any_number_of_threads(precision, rng):
    for m, n, k in ((3 * MC + 7, 2 * NR + 5, KC + 9), (4, 5, 6), (1, 200, 33)):
        a, b = normal(rng, (m, k), DTYPES[precision]), normal(rng, (k, n), DTYPES[precision])
        for transposed in (False, True):
            run = partial(product, a, b, precision, transpose_a=transposed, transpose_b=transposed)
            for threads in (2, 3):
                np.testing.assert_array_equal(run(threads=threads), run())


@pytest.mark.usefixtures("all_work")
def test_products_from_several_python_threads_at_once(rng):
    a, b = normal(rng, (2 * MC + 1, 300), np.float32), normal(rng, (300, 70), np.float32)
    want = product(a, b)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda threads: product(a, b, threads=threads), [1, 2, 3] * 8):
            np.testing.assert_array_equal(got, want)


def test_operands_may_share_memory_and_be_read_only(rng):
    x = normal(rng, (40, 30), np.float32)
    x.flags.writeable = False
    out = np.empty((30, 30), np.float32)
    gemm.matmul(x, x, out, transpose_a=True)
    assert_product(out, x.T, x, "float32")


def test_whether_an_operand_is_transposed_is_asked_once(rng):
    class Fickle:
        asked = 0

        def __bool__(self):
            self.asked += 1
            return self.asked == 1

    a, b, out = normal(rng, (4, 6), np.float32), normal(rng, (4, 5), np.float32), np.empty((6, 5), np.float32)
    fickle: Any = Fickle()
    gemm.matmul(a, b, out, transpose_a=fickle)
    assert_product(out, a.T, b, "float32")
    pixels, weights = rng.integers(0, 256, (4, 6), np.uint8), rng.integers(-128, 128, (4, 5), np.int8)
    exactly = np.empty((6, 5), np.int32)
    fickle = Fickle()
    gemm.matmul_int8(pixels, weights, exactly, transpose_a=fickle)
    np.testing.assert_array_equal(exactly, pixels.T.astype(np.int32) @ weights)


def test_wrong_arguments_are_refused(rng):
    a, b, out = (normal(rng, shape, np.float32) for shape in ((4, 6), (6, 5), (4, 5)))
    frozen = out.copy()
    frozen.flags.writeable = False
    both, square = np.zeros(64, np.float32), np.zeros((6, 6), np.float32)
    for _ in range(2):
        gemm.matmul(a, b, out)
    wrong = [
        ((a.tolist(), b, out), {}, TypeError, "a must be a numpy array"),
        ((a.astype(np.float64), b, out), {}, TypeError, "a has dtype float64, allowed is float32"),
        ((a, b.astype(np.float16), out), {}, TypeError, "b has dtype float16"),
        ((a[0], b, out), {}, ValueError, r"a has shape \(6,\), expected 2 dimensions"),
        ((np.asfortranarray(a), b, out), {}, ValueError, "a is not C-contiguous"),
        ((a, normal(rng, (6, 10), np.float32)[:, ::2], out), {}, ValueError, "b is not C-contiguous"),
        ((a, b, out.T), {}, ValueError, r"out has shape \(5, 4\), expected \(4, 5\)"),
        ((a, b, np.asfortranarray(out)), {}, ValueError, "out is not C-contiguous"),
        ((a, b, frozen), {}, ValueError, "out is read-only"),
        ((a, b[:5], out), {}, ValueError, r"inner dimensions differ: A is \(4, 6\) and B is \(5, 5\)"),
        ((a, b, out), {"transpose_a": True}, ValueError, r"A is \(6, 4\) and B is \(6, 5\), transposed where"),
        ((a, b, out), {"transpose_b": True}, ValueError, r"A is \(4, 6\) and B is \(5, 6\)"),
        ((both[:24].reshape(4, 6), b, both[4:24].reshape(4, 5)), {}, ValueError, "out and a overlap"),
        ((a, both[:30].reshape(6, 5), both[29:49].reshape(4, 5)), {}, ValueError, "out and b overlap"),
        ((square, b, square), {}, ValueError, r"out has shape \(6, 6\), expected \(6, 5\)"),
        ((square, square.copy(), square), {}, ValueError, "out and a overlap"),
        ((square.copy(), square, square), {}, ValueError, "out and b overlap"),
        ((a, b, out), {"precision": "float64"}, TypeError, "a has dtype float32, allowed is float64"),
        ((a, b, out), {"precision": "float16"}, ValueError, "precision is 'float16', allowed is 'float32' or "),
        ((a, b, out), {"precision": np.float32}, ValueError, "precision is <class"),
        *(((a, b, out), {"threads": n}, ValueError, "threads is .*, allowed is a whole number from 1 to 256")
          for n in (0, -1, 257, 10**5000)),
        *(((a, b, out), {"threads": n}, TypeError, "threads is .*, allowed is a whole number")
          for n in (1.0, None, "2", True, np.True_)),
    ]  # fmt: skip
    before = out.copy()
    for arguments, options, error, message in wrong:
        with pytest.raises(error, match=message):
            gemm.matmul(*arguments, **options)
    np.testing.assert_array_equal(out, before)


def test_a_product_of_millions_of_terms_keeps_growing():
    """Terms are added up in blocks, as in any BLAS: one sum alone is off by 1 % and more here."""
    depth, term = 3_000_000, np.float32(0.1)
    a, b, out = np.full((depth, 4), term), np.full((depth, 2), term), np.empty((4, 2), np.float32)
    wanted = depth * float(term) ** 2
    gemm.matmul(a, b, out, transpose_a=True)
    np.testing.assert_allclose(out, wanted, rtol=3e-4)  # 7,800 sums of blocks, each rounded by up to 6e-8 of the whole
    gemm.matmul(a.reshape(4, depth), b.reshape(depth, 2), out)
    np.testing.assert_allclose(out, wanted, rtol=3e-4)
    weight, velocity = np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)
    gemm.dense_update(a, b, weight, velocity, lr=1.0, momentum=0.0, weight_decay=0.0)
    np.testing.assert_allclose(weight, -wanted, rtol=3e-4)
