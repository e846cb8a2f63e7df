"""Products of 8-bit integers, exact against int64, and the rounding of their operands against plain numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrays import fenced
from fastmlp_kernels import gemm
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm.blocks import KC, MC, most_at_once
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.pack import as_rows, pack_panels
from fastmlp_kernels.gemm.panels import NR, Panels
from fastmlp_kernels.gemm.quantize import quantize_panels, raise_peaks, set_steps
from fastmlp_kernels.gemm.raw import add_column_sums

EXACT_DEPTH, QUAD = ELEMENTS["int8"].exact_depth, ELEMENTS["int8"].per_unit
SPAN = most_at_once(ELEMENTS["int8"])
EDGES = sorted({1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129}
               | {edge + i for edge in (TILE.mr, NR, MC) for i in (-1, 0, 1)})  # fmt: skip
DEPTHS = sorted({1, 2, 3, 4, 5, 31, 33, 257} | {QUAD * KC + i for i in range(-4, 5)})


def operands(rng, m, n, k):
    return rng.integers(0, 256, (m, k), np.uint8), rng.integers(-128, 128, (k, n), np.int8)


def product(a, b, dtype: type = np.int32, threads=1, *, transposed=False):
    """Return A B, each array between fences; A is stored transposed where asked for."""
    stored = np.ascontiguousarray(a.T if transposed else a)
    with fenced(stored, b, np.full((len(a), b.shape[1]), -77, dtype)) as (left, right, out):
        gemm.matmul_int8(left, right, out, transpose_a=transposed, threads=threads)
        np.testing.assert_array_equal(left, stored)
        np.testing.assert_array_equal(right, b)
    return out


@settings(max_examples=150)
@given(
    shape=st.tuples(st.sampled_from(EDGES), st.sampled_from(EDGES), st.sampled_from(DEPTHS)),
    transposed=st.booleans(),
    dtype=st.sampled_from([np.int32, np.float32]),
    seed=st.integers(0, 9),
)
def test_products_are_exact_at_the_edges_of_every_block(shape, transposed, dtype, seed):
    a, b = operands(np.random.default_rng(seed), *shape)
    want = a.astype(np.int64) @ b.astype(np.int64)
    # an integer becomes the float32 next to it
    np.testing.assert_array_equal(product(a, b, dtype, transposed=transposed), want.astype(dtype))


@pytest.mark.parametrize("transposed", [False, True])
def test_no_sum_overflows_at_the_bound(transposed):
    assert 0 < SPAN <= EXACT_DEPTH == 65_793
    for low, high in ((-128, 127), (127, -128), (127, 127), (-128, -128)):
        a = np.full((TILE.mr + 1, EXACT_DEPTH), 255, np.uint8)
        b = np.stack([np.full(EXACT_DEPTH, low, np.int8), np.full(EXACT_DEPTH, high, np.int8)], 1)
        want = np.broadcast_to(255 * EXACT_DEPTH * np.array([low, high], np.int64), (len(a), 2))
        assert abs(want).max() < 2**31 <= 255 * (EXACT_DEPTH + 1) * 128
        np.testing.assert_array_equal(product(a, b, transposed=transposed), want)


@pytest.mark.parametrize("transposed", [False, True])
def test_beyond_the_bound_sums_go_on_in_float32(transposed, rng):
    for depth in (EXACT_DEPTH + 1, 2 * SPAN, 2 * SPAN + 5, 200_000):
        a, b = np.full((3, depth), 255, np.uint8), np.full((depth, 3), 127, np.int8)
        a[0], b[:, 1], b[:, 2] = rng.integers(0, 256, depth), rng.integers(-128, 128, depth), -128
        want = a.astype(np.int64) @ b.astype(np.int64)
        # each exact sum is rounded to float32 and added up: 2^-24 of their sizes each time
        size = a.astype(np.int64) @ np.abs(b.astype(np.int64))
        got = product(a, b, np.float32, transposed=transposed)
        assert (np.abs(got - want) <= 2 * -(-depth // SPAN) * 2.0**-24 * size).all()
        with pytest.raises(ValueError, match="allowed for an int32 result is at most 65,793: give a float32 out"):
            product(a, b, transposed=transposed)


def test_products_have_the_same_bits_for_any_number_of_threads(rng):
    a, b = operands(rng, 3 * MC + 7, 2 * NR + 5, QUAD * KC + 9)
    for transposed in (False, True):
        for threads in (2, 3):
            got = product(a, b, threads=threads, transposed=transposed)
            np.testing.assert_array_equal(got, product(a, b, transposed=transposed))


def test_an_inner_dimension_of_zero_gives_zeros_and_an_empty_result_is_left_alone(rng):
    for m, n, k in ((5, 40, 0), (0, 5, 3), (5, 0, 3), (0, 0, 0)):
        np.testing.assert_array_equal(product(*operands(rng, m, n, k)), np.zeros((m, n)))


def test_wrong_arguments_are_refused(rng):
    (a, b), out = operands(rng, 4, 5, 6), np.zeros((4, 5), np.int32)
    wrong = [
        ((a.view(np.int8), b, out), {}, TypeError, "a has dtype int8, allowed is uint8"),
        ((a, b.view(np.uint8), out), {}, TypeError, "b has dtype uint8, allowed is int8"),
        ((a, b, out.astype(np.int64)), {}, TypeError, "out has dtype int64, allowed is int32 or float32"),
        ((a, b[:5], out), {}, ValueError, "inner dimensions differ"),
        ((a, b, out), {"transpose_a": True}, ValueError, "inner dimensions differ"),
        ((a, b, out[:3]), {}, ValueError, r"out has shape \(3, 5\), expected \(4, 5\)"),
        ((a, b, out), {"threads": 0}, ValueError, "threads is 0"),
    ]
    for arguments, options, error, message in wrong:
        with pytest.raises(error, match=message):
            gemm.matmul_int8(*arguments, **options)


@kernel
def _quantize(x, scale, steps, inverse, peaks, b):
    raise_peaks(x, None if scale is None else scale[:, 0], peaks)
    set_steps(peaks, steps, inverse)
    quantize_panels(as_rows(x, scale), inverse, (0, x.shape[0]), b, 0)


@kernel
def _pack(x, b):
    pack_panels(as_rows(x, None), (0, x.shape[1]), (0, x.shape[0]), b, 0)


@kernel
def _add_sums(b, n, units, weight, sums):
    add_column_sums(b, (0, n), 0, units, weight, sums)


def room(k, n):
    """Return panels of zeros for bytes (K, N)."""
    units = -(-k // QUAD)
    return Panels(np.zeros(-(-n // NR) * NR * units, np.uint32), 0, units * int(NR), int(NR), None, None, None)


def unpacked(packed, k, n):
    """Return the bytes (K, N) of packed panels, and those behind the K-th row."""
    panels = packed.view(np.int8).reshape(-1, len(packed) // (-(-n // NR) * NR), NR, QUAD)
    rows = panels.transpose(1, 3, 0, 2).reshape(-1, panels.shape[0] * NR)
    return rows[:k, :n], rows[k:, :n]


@pytest.mark.parametrize("scaled", [False, True])
def test_columns_are_rounded_to_the_nearest_of_255_steps(scaled, rng):
    for k, n in ((1, 1), (4, 5), (7, NR), (130, NR + 3), (61, 2 * NR + 1)):
        x = (rng.normal(size=(k, n)) * 10.0 ** rng.integers(-20, 20, n)).astype(np.float32)
        x[:, 0] = 0
        scale = rng.normal(size=k).astype(np.float32) if scaled else None
        values = x if scale is None else x * scale[:, None]
        steps, inverse, peaks = np.empty(n, np.float32), np.empty(n, np.float32), np.zeros(n, np.int32)
        b = room(k, n)
        _quantize(x, None if scale is None else scale[:, None], steps, inverse, peaks, b)
        peak = np.abs(values).max(0)
        np.testing.assert_array_equal(peaks.view(np.float32), peak)
        np.testing.assert_array_equal(steps, peak / np.float32(127))
        got, behind = unpacked(b.array, k, n)
        assert not behind.any()
        assert np.abs(got.astype(int)).max() <= 127
        # half a step, and what float32 adds in two products of up to 127: 127 * 3 * 2^-24 of a step
        assert (np.abs(got * steps.astype(np.float64) - values) <= (0.5 + 127 * 3 * 2**-24) * steps).all()
        assert (np.abs(got).max(0) == 127 * (peak > 0)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_column_that_is_not_finite_has_no_finite_step(value, rng):
    x = rng.normal(size=(9, 5)).astype(np.float32)
    x[4, 2] = value
    steps, inverse, peaks = np.empty(5, np.float32), np.empty(5, np.float32), np.zeros(5, np.int32)
    _quantize(x, None, steps, inverse, peaks, room(9, 5))
    np.testing.assert_array_equal(np.isfinite(steps), [True, True, False, True, True])


def test_bytes_are_packed_as_they_are(rng):
    for k, n in ((1, 1), (4, 4), (5, NR + 1), (130, 70)):
        x = rng.integers(-128, 128, (k, n), np.int8)
        b = room(k, n)
        _pack(x, b)
        got, behind = unpacked(b.array, k, n)
        np.testing.assert_array_equal(got, x)
        assert not behind.any()


def test_column_sums_of_bytes_are_exact(rng):
    for k, n in ((1, 1), (5, NR + 1), (130, 70)):
        x, b, weight = rng.integers(-128, 128, (k, n), np.int8), room(k, n), rng.integers(-3, 4, k).astype(np.float32)
        _pack(x, b)
        for counts, by in ((None, np.ones(k)), (weight, weight)):
            sums = np.ones(-(-n // NR) * NR, np.float32)
            _add_sums(b, n, -(-k // QUAD), counts, sums)
            np.testing.assert_array_equal(sums[:n], 1 + by @ x)
