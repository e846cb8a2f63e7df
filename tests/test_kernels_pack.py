"""Packing, bit for bit against numpy: every length around a vector, rows by index, images, halves of odd lengths."""

import numpy as np
import pytest

from arrays import fenced, images, normal
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._rows import NO_INDEX, Rows
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm import pack as _pack
from fastmlp_kernels.gemm import raw
from fastmlp_kernels.gemm.columns import ROOM
from fastmlp_kernels.gemm.panels import NR, Panels
from packing import rounded, units

UNTOUCHED = 77
# Lengths of a row: whole runs of vectors, of four, of one, and all that is between.
LENGTHS = [*range(2 * NR + 7), 257]
KINDS = [(x, packed) for x in (np.float32, np.uint8) for packed in (np.float32, np.int32)]
KINDS += [(np.float64, np.float64), (np.uint8, np.float64)]
# Of packed arrays without images.
UNITS = (np.float32, np.float64, np.int32)


@kernel
def pack_rows(rows, block, inner, out, stride):
    _pack.pack_rows(rows, block, inner, out, stride)


@kernel
def pack_columns(rows, columns, inner, out, to, stride):
    _pack.pack_columns(rows, columns, inner, out, to, stride, None)


@kernel
def pack_strips(rows, columns, inner, out, stride, strip):
    _pack.pack_columns(rows, columns, inner, out, 0, stride, strip)


@kernel
def pack_panels(rows, columns, inner, b, first):
    _pack.pack_panels(rows, columns, inner, b, first)


@kernel
def pack_panels_transposed(x, columns, strip, b):
    _pack.pack_panels_transposed(x, columns, strip, b)


@kernel
def add_column_sums(b, columns, first, panel_units, weight, sums):
    raw.add_column_sums(b, columns, first, panel_units, weight, sums)


def laid(out, at, panel_units):
    """Return flat panels of so many units each from `at` on."""
    return Panels(out, at, panel_units * int(NR), int(NR), None, None, None)


def source(rng, kind, shape):
    return images(rng, *shape) if kind == np.uint8 else normal(rng, shape, kind)


def float_of(packed):
    """Return the float type that operands come in."""
    return np.float64 if packed == np.float64 else np.float32


def moments(rng, kind, packed, m):
    """(center, scale) of one channel as the operand's kind takes them: raw images stay raw, rounded rows are scaled."""
    center, scale = normal(rng, (m, 1), float_of(packed), 100), normal(rng, (m, 1), float_of(packed))
    if packed == np.int32:
        return None, None if kind == np.uint8 else scale
    return center, scale


def taken(x, index, center, scale, packed):
    """Return the rows of X = (x[index] - center[index]) * scale[index]."""
    rows = x[index].astype(float_of(packed))
    rows = rows if center is None else rows - center[index]
    return rows if scale is None else rows * scale[index]


def empty(count, packed):
    return np.full(count, UNTOUCHED, packed)


@pytest.mark.parametrize(("kind", "packed"), KINDS)
def test_rows(kind, packed, rng):
    per_unit = 2 if packed == np.int32 else 1
    for length in LENGTHS:
        x = source(rng, kind, (40, length + 5))
        index = rng.integers(0, 40, 30)  # some twice; more rows than the prefetch looks ahead
        center, scale = moments(rng, kind, packed, 40)
        count = -(-length // per_unit)
        stride, first, last, start = count + 3, 2, 29, 4
        with fenced(empty(27 * stride, packed)) as (out,):
            pack_rows(Rows(x, index, center, scale), (first, last), (start, start + length), out, stride)
            got = out.reshape(27, stride)
        want = units(taken(x, index, center, scale, packed)[first:last, start : start + length], packed)
        np.testing.assert_array_equal(got[:, :count], want)
        assert (got[:, count:] == UNTOUCHED).all()


@pytest.mark.parametrize(("kind", "packed"), KINDS)
def test_columns(kind, packed, rng):
    per_unit = 2 if packed == np.int32 else 1
    for width in LENGTHS:
        x = source(rng, kind, (20, width + 5))
        index = rng.integers(0, 20, 12)
        center, scale = moments(rng, kind, packed, 20)
        stride, at, first = width + 3, 6, 3
        for depth in (0, 1, 6, 9):  # the last odd row has no partner: its units' upper halves are zero
            count = -(-depth // per_unit)
            with fenced(empty(at + count * stride, packed)) as (out,):
                pack_columns(Rows(x, index, center, scale), (first, first + width), (2, 2 + depth), out, at, stride)
                before, got = out[:at], out[at:].reshape(count, stride)
            rows = taken(x, index, center, scale, packed)[2 : 2 + depth, first : first + width]
            np.testing.assert_array_equal(got[:, :width], units(rows.T, packed).T)
            assert (got[:, width:] == UNTOUCHED).all()
            assert (before == UNTOUCHED).all()


@pytest.mark.parametrize(("kind", "packed"), KINDS)
def test_columns_are_packed_in_strips(kind, packed, rng):
    mr, depth = TILE.mr, 10
    count = depth // (2 if packed == np.int32 else 1)
    strip = (count + ROOM) * mr
    for width in range(5 * mr):
        x = source(rng, kind, (20, width + 5))
        index = rng.integers(0, 20, 12)
        center, scale = moments(rng, kind, packed, 20)
        strips = -(-width // mr)
        with fenced(empty(strips * strip, packed)) as (out,):
            pack_strips(Rows(x, index, center, scale), (3, 3 + width), (2, 2 + depth), out, mr, strip)
            got = out.reshape(strips, count + ROOM, mr)[:, :count].swapaxes(0, 1).reshape(count, strips * mr)
        rows = taken(x, index, center, scale, packed)[2 : 2 + depth, 3 : 3 + width]
        np.testing.assert_array_equal(got[:, :width], units(rows.T, packed).T)


@pytest.mark.parametrize("packed", UNITS)
def test_rows_and_columns_without_index_or_moments(packed, rng):
    x = normal(rng, (9, 21), float_of(packed))
    rows, columns = empty(9 * 21, packed), empty(9 * 21, packed)
    pack_rows(Rows(x, NO_INDEX), (0, 9), (0, 21), rows, 21)
    pack_columns(Rows(x, NO_INDEX), (0, 21), (0, 9), columns, 0, 21)
    want = units(x, packed)
    np.testing.assert_array_equal(rows.reshape(9, 21)[:, : want.shape[1]], want)
    want = units(x.T, packed).T
    np.testing.assert_array_equal(columns.reshape(9, 21)[: len(want)], want)


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_nan_and_infinity_are_packed_as_they_are(packed):
    x = np.array([[np.nan, np.inf, -np.inf, 3.4e38, 0]], np.float32)
    x.view(np.uint32)[0, 4] = 0x7F800001  # NaN by its last bit alone, which bfloat16 has not
    out = np.zeros(5, packed)
    pack_rows(Rows(x, NO_INDEX), (0, 1), (0, 5), out, 5)
    bits = out.view(np.int32)
    halves = np.stack([bits << np.int32(16), bits & np.int32(-65536)], axis=1).ravel()
    got = (bits if packed == np.float32 else halves).view(np.float32)
    beyond = 3.4e38 if packed == np.float32 else np.inf  # it rounds up
    np.testing.assert_array_equal(got[:5], np.array([np.nan, np.inf, -np.inf, beyond, np.nan], np.float32))


def panels(x, packed, at, panel_units):
    """Return the packed array of the right operand x (K, N), zeros where there is nothing."""
    k, n = x.shape
    count = -(-n // NR)
    wide = np.zeros((k, count * NR), x.dtype)
    wide[:, :n] = x
    inner = units(wide.T, packed).T
    out = np.zeros((count, panel_units, NR), packed)
    out[:, : len(inner)] = inner.reshape(len(inner), count, NR).transpose(1, 0, 2)
    return np.concatenate([np.zeros(at, packed), out.ravel()])


@pytest.mark.parametrize("packed", UNITS)
def test_panels(packed, rng):
    scale = normal(rng, (50, 1), float_of(packed))
    for n in (1, 4, NR - 1, NR, NR + 1, 2 * NR + 20):
        for first, last in ((0, 50), (4, 33), (6, 7)):
            x = normal(rng, (50, n), float_of(packed))
            depth = last - first
            for factor in (None, scale):
                with fenced(np.zeros(len(panels(x, packed, 5, 60)), packed)) as (out,):
                    pack_panels(Rows(x, NO_INDEX, None, factor), (0, n), (first, last), laid(out, 5, 60), 0)
                rows = x[first:last] if factor is None else x[first:last] * scale[first:last]
                np.testing.assert_array_equal(out, panels(rows, packed, 5, 60), f"{n} columns, {depth} rows")


@pytest.mark.parametrize("packed", UNITS)
def test_transposed_panels_are_the_panels_of_the_transpose(packed, rng):
    for n in (1, NR - 1, NR, 3 * NR + 5):
        for k in (1, 2, 7, 64, 101):
            x = normal(rng, (n, k), float_of(packed))
            want = panels(np.ascontiguousarray(x.T), packed, 3, 105)
            for strip in (NR, 5 * NR, 200 * NR):  # the inner dimension in many steps, in some, in one
                with fenced(np.zeros(len(want), packed)) as (out,):
                    # two tasks: the second begins at a whole panel
                    half = n // NR // 2 * NR
                    pack_panels_transposed(x, (0, half), empty(strip, packed), laid(out, 3, 105))
                    pack_panels_transposed(x, (half, n), empty(strip, packed), laid(out, 3, 105))
                np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("packed", UNITS)
def test_images_are_normalised_by_channel_unless_they_stay_raw(packed, channels, rng):
    x, index = images(rng, 20, 3 * 50), rng.integers(0, 20, 12)
    center, scale = (normal(rng, (20, channels), float_of(packed)) for _ in range(2))
    rows, size = Rows(x, index, center, scale), 150 // channels
    values = x[index].astype(float_of(packed))
    if packed != np.int32:
        values = (values - np.repeat(center[index], size, 1)) * np.repeat(scale[index], size, 1)
    for first in range(0, 150, size):
        out = empty(12 * size, packed)
        pack_rows(rows, (0, 12), (first, first + size), out, size)
        want = units(values[:, first : first + size], packed)
        np.testing.assert_array_equal(out.reshape(12, size)[:, : want.shape[1]], want)
        pack_columns(rows, (first, first + size), (0, 12), out, 0, size)
        want = units(values[:, first : first + size].T, packed).T
        np.testing.assert_array_equal(out.reshape(12, size)[: len(want)], want)


def test_bytes_stay_as_they_are_and_what_is_behind_them_is_zero(rng):
    x, index = images(rng, 20, 41), rng.integers(0, 20, 13)
    rows = Rows(x, index)
    for count in (1, 3, 4, 5, 13):
        packed, want = np.full(13 * 5, UNTOUCHED, np.uint32), np.zeros((13, 4 * -(-count // 4)), np.uint8)
        pack_rows(rows, (0, 13), (7, 7 + count), packed, 5)
        want[:, :count] = x[index, 7 : 7 + count]
        np.testing.assert_array_equal(packed.view(np.uint8).reshape(13, 20)[:, : want.shape[1]], want)
        packed, want = np.zeros((-(-count // 4), 9), np.uint32), np.zeros((9, 4 * -(-count // 4)), np.uint8)
        pack_columns(rows, (30, 39), (0, count), packed.ravel(), 0, 9)
        want[:, :count] = x[index[:count], 30:39].T
        np.testing.assert_array_equal(np.ascontiguousarray(packed.T).view(np.uint8), want)


@pytest.mark.parametrize("packed", [np.float32, np.int32])
def test_column_sums(packed, rng):
    weight = rng.integers(-3, 4, 30).astype(np.float32)
    for depth in (1, 2, 9, 24):
        x = rng.integers(-9, 10, (depth, NR + 3)).astype(np.float32)  # whole numbers: every sum is exact
        b, columns = laid(panels(x, packed, 4, 30), 4, 30), (0, int(NR) + 3)
        panel_units = depth if packed == np.float32 else -(-depth // 2)
        for first in (0, 30 - depth):  # at the end the odd row's partner would lie beyond the weights
            sums = np.ones(2 * NR, np.float32)
            add_column_sums(b, columns, 0, panel_units, weight[first:], sums)
            np.testing.assert_array_equal(sums[: NR + 3], 1 + weight[first : first + depth] @ x)
        sums = np.ones(2 * NR, np.float32)
        add_column_sums(b, columns, 0, panel_units, None, sums)
        np.testing.assert_array_equal(sums[: NR + 3], 1 + x.sum(axis=0))


def test_column_sums_are_of_the_rounded_values():
    x = np.full((1, NR), np.float32(1 + 2**-9))
    sums = np.zeros(NR, np.float32)
    add_column_sums(laid(panels(x, np.int32, 0, 1), 0, 1), (0, int(NR)), 0, 1, None, sums)
    np.testing.assert_array_equal(sums, rounded(x)[0])
    np.testing.assert_array_equal(sums, np.ones(NR))
