"""Packing, bit for bit against numpy: every length around a vector, rows by index, images, halves of odd lengths."""

import numpy as np
import pytest

from arrays import fenced, images, normal
from fastmlp_kernels._jit import kernel
from fastmlp_kernels.gemm import pack as _pack
from fastmlp_kernels.gemm.pack import NR
from packing import rounded, units

UNTOUCHED = 77
NO_INDEX = np.empty(0, np.int64)
# Lengths of a row: whole runs of vectors, of four, of one, and all that is between.
LENGTHS = [*range(2 * NR + 7), 257]
KINDS = [(x, packed) for x in (np.float32, np.uint8) for packed in (np.float32, np.int32)]


@kernel
def pack_rows(x, index, center, scale, rows, inner, out, stride):
    _pack.pack_rows(x, index, center, scale, rows, inner, out, stride)


@kernel
def pack_columns(x, index, center, scale, columns, inner, out, to, stride):
    _pack.pack_columns(x, index, center, scale, columns, inner, out, to, stride)


@kernel
def pack_panels(x, scale, inner, out, to, panel_units):
    _pack.pack_panels(x, scale, inner, out, to, panel_units)


@kernel
def pack_panels_transposed(x, columns, strip, out, to, panel_units):
    _pack.pack_panels_transposed(x, columns, strip, out, to, panel_units)


@kernel
def add_column_sums(packed, at, panel_units, weight, first, sums):
    _pack.add_column_sums(packed, at, panel_units, weight, first, sums)


def source(rng, kind, shape):
    return images(rng, *shape) if kind == np.uint8 else normal(rng, shape, np.float32)


def moments(rng, kind, packed, n):
    """(center, scale) as the operand's kind takes them: raw images stay raw, rounded rows are only scaled."""
    center, scale = normal(rng, (n,), np.float32, 100), normal(rng, (n,), np.float32)
    if packed == np.int32:
        return None, None if kind == np.uint8 else scale
    return center, scale


def taken(x, index, center, scale):
    """Return the rows of X = (x[index] - center) * scale in float32."""
    rows = x[index].astype(np.float32)
    rows = rows if center is None else rows - center[:, None]
    return rows if scale is None else rows * scale[:, None]


def empty(count, packed):
    return np.full(count, UNTOUCHED, packed)


@pytest.mark.parametrize(("kind", "packed"), KINDS)
def test_rows(kind, packed, rng):
    per_unit = 1 if packed == np.float32 else 2
    for length in LENGTHS:
        x = source(rng, kind, (40, length + 5))
        index = rng.integers(0, 40, 30)  # some twice; more rows than the prefetch looks ahead
        center, scale = moments(rng, kind, packed, 30)
        count = -(-length // per_unit)
        stride, first, last, start = count + 3, 2, 29, 4
        with fenced(empty(27 * stride, packed)) as (out,):
            pack_rows(x, index, center, scale, (first, last), (start, start + length), out, stride)
            got = out.reshape(27, stride)
        want = units(taken(x, index, center, scale)[first:last, start : start + length], packed)
        np.testing.assert_array_equal(got[:, :count], want)
        assert (got[:, count:] == UNTOUCHED).all()


@pytest.mark.parametrize(("kind", "packed"), KINDS)
def test_columns(kind, packed, rng):
    per_unit = 1 if packed == np.float32 else 2
    for width in LENGTHS:
        x = source(rng, kind, (20, width + 5))
        index = rng.integers(0, 20, 12)
        center, scale = moments(rng, kind, packed, 12)
        stride, at, first = width + 3, 6, 3
        for depth in (0, 1, 6, 9):  # the last odd row has no partner: its units' upper halves are zero
            count = -(-depth // per_unit)
            with fenced(empty(at + count * stride, packed)) as (out,):
                pack_columns(x, index, center, scale, (first, first + width), (2, 2 + depth), out, at, stride)
                before, got = out[:at], out[at:].reshape(count, stride)
            rows = taken(x, index, center, scale)[2 : 2 + depth, first : first + width]
            np.testing.assert_array_equal(got[:, :width], units(rows.T, packed).T)
            assert (got[:, width:] == UNTOUCHED).all()
            assert (before == UNTOUCHED).all()


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_rows_and_columns_without_index_or_moments(packed, rng):
    x = normal(rng, (9, 21), np.float32)
    rows, columns = empty(9 * 21, packed), empty(9 * 21, packed)
    pack_rows(x, NO_INDEX, None, None, (0, 9), (0, 21), rows, 21)
    pack_columns(x, NO_INDEX, None, None, (0, 21), (0, 9), columns, 0, 21)
    want = units(x, packed)
    np.testing.assert_array_equal(rows.reshape(9, 21)[:, : want.shape[1]], want)
    want = units(x.T, packed).T
    np.testing.assert_array_equal(columns.reshape(9, 21)[: len(want)], want)


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_nan_and_infinity_are_packed_as_they_are(packed):
    x = np.array([[np.nan, np.inf, -np.inf, 3.4e38, 0]], np.float32)
    x.view(np.uint32)[0, 4] = 0x7F800001  # NaN by its last bit alone, which bfloat16 has not
    out = np.zeros(5, packed)
    pack_rows(x, NO_INDEX, None, None, (0, 1), (0, 5), out, 5)
    bits = out.view(np.int32)
    halves = np.stack([bits << np.int32(16), bits & np.int32(-65536)], axis=1).ravel()
    got = (bits if packed == np.float32 else halves).view(np.float32)
    beyond = 3.4e38 if packed == np.float32 else np.inf  # it rounds up
    np.testing.assert_array_equal(got[:5], np.array([np.nan, np.inf, -np.inf, beyond, np.nan], np.float32))


def panels(x, packed, at, panel_units):
    """Return the packed array of the right operand x (K, N), zeros where there is nothing."""
    k, n = x.shape
    count = -(-n // NR)
    wide = np.zeros((k, count * NR), np.float32)
    wide[:, :n] = x
    inner = units(wide.T, packed).T
    out = np.zeros((count, panel_units, NR), packed)
    out[:, : len(inner)] = inner.reshape(len(inner), count, NR).transpose(1, 0, 2)
    return np.concatenate([np.zeros(at, packed), out.ravel()])


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_panels(packed, rng):
    scale = normal(rng, (50,), np.float32)
    for n in (1, 4, NR - 1, NR, NR + 1, 2 * NR + 20):
        for first, last in ((0, 50), (4, 33), (6, 7)):
            x = normal(rng, (50, n), np.float32)
            depth = last - first
            for factor in (None, scale):
                with fenced(np.zeros(len(panels(x, packed, 5, 60)), packed)) as (out,):
                    pack_panels(x, factor, (first, last), out, 5, 60)
                rows = x[first:last] if factor is None else x[first:last] * scale[first:last, None]
                np.testing.assert_array_equal(out, panels(rows, packed, 5, 60), f"{n} columns, {depth} rows")


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_transposed_panels_are_the_panels_of_the_transpose(packed, rng):
    for n in (1, NR - 1, NR, 3 * NR + 5):
        for k in (1, 2, 7, 64, 101):
            x = normal(rng, (n, k), np.float32)
            want = panels(np.ascontiguousarray(x.T), packed, 3, 105)
            for strip in (NR, 5 * NR, 200 * NR):  # the inner dimension in many steps, in some, in one
                with fenced(np.zeros(len(want), packed)) as (out,):
                    # two tasks: the second begins at a whole panel
                    half = n // NR // 2 * NR
                    pack_panels_transposed(x, (0, half), empty(strip, packed), out, 3, 105)
                    pack_panels_transposed(x, (half, n), empty(strip, packed), out, 3, 105)
                np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_column_sums(packed, rng):
    weight = rng.integers(-3, 4, 30).astype(np.float32)
    for depth in (1, 2, 9, 24):
        x = rng.integers(-9, 10, (depth, NR)).astype(np.float32)  # whole numbers: every sum is exact
        out = panels(x, packed, 4, 30)
        panel_units = depth if packed == np.float32 else -(-depth // 2)
        for first in (0, 30 - depth):  # at the end the odd row's partner would lie beyond the weights
            sums = np.ones(NR, np.float32)
            add_column_sums(out, 4, panel_units, weight, first, sums)
            np.testing.assert_array_equal(sums, 1 + weight[first : first + depth] @ x)
        sums = np.ones(NR, np.float32)
        add_column_sums(out, 4, panel_units, None, 0, sums)
        np.testing.assert_array_equal(sums, 1 + x.sum(axis=0))


def test_column_sums_are_of_the_rounded_values():
    x = np.full((1, NR), np.float32(1 + 2**-9))
    sums = np.zeros(NR, np.float32)
    add_column_sums(panels(x, np.int32, 0, 1), 0, 1, None, 0, sums)
    np.testing.assert_array_equal(sums, rounded(x)[0])
    np.testing.assert_array_equal(sums, np.ones(NR))
