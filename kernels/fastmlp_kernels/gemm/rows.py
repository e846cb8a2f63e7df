"""Products X B of rows that are packed block by block: a layer's forward product, and the backward one of a gradient.

Packed arrays are flat, of units (`elements`); blocks c are flat, of accumulators; out is of their
dtype, or float32 for bytes.

Raw images, which are multiplied as they are (see `gemm`), have each channel's product corrected by itself; else the
channels of an image go on from each other like blocks, so that images and their normalised rows give the same bits.
"""

import sys
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels._jit import PART, body_of, part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import address_of, row_at, vector_at
from fastmlp_kernels.gemm.ahead import Following, following, nothing
from fastmlp_kernels.gemm.blocks import (
    FLAT_MR,
    MC,
    MR,
    Left,
    Sums,
    blocking,
    macro_kernel,
    most_at_once,
    multiply_panels,
    store_rows,
    width_of,
)
from fastmlp_kernels.gemm.elements import element_of
from fastmlp_kernels.gemm.micro import ADD, GO_ON, REPLACE, Packed, Picked, flat_kernel, narrow_flat_kernel
from fastmlp_kernels.gemm.pack import channels_of, pack_rows, per_unit, row_of, units_of
from fastmlp_kernels.gemm.panels import NR, SIDE, ZERO, Maybe, Panels, Work, field_type
from fastmlp_kernels.gemm.tiles import multiply_tiles

LONG = 16  # blocks of a row whose sum is taken in one go
# Rows of B that are read side by side for a few rows of A: as many as a CPU foresees.
FEW_STEP = cast("int", np.int64(8))
EIGHT = cast("int", np.int64(8))  # units, of which blocks are a multiple


@part
def _in_place(rows: Rows, block: tuple[int, int], inner: tuple[int, int], a: np.ndarray, stride: int) -> Left:
    index, numbers = vector_at(rows.index, 0, rows.index.size), a.view(np.int64)  # `vector_at` refuses one with gaps
    places = vector_at(numbers, numbers.size - MC, MC)
    for i in range((block[1] - block[0] + MR - 1) // MR * MR):
        row = min(block[0] + i, block[1] - 1)
        places[i] = address_of(rows.x, row_of(index, row) * rows.x.shape[1] + inner[0])
    return Picked(places)


@part
def _packed(rows: Rows, block: tuple[int, int], inner: tuple[int, int], a: np.ndarray, stride: int) -> Left:
    pack_rows(rows, block, inner, a, stride)
    return Packed(a, ZERO, stride)


def _left(rows: Rows, block: Any, inner: Any, a: np.ndarray, stride: int) -> Left:
    """Return `block` of the rows as a left operand, in the columns `inner`: packed in a, but for floats as they are.

    Of these a has the addresses at its end.
    """
    raise TypeError("products can only be formed in compiled code")


@overload(_left, jit_options=PART)
def _overload_left(rows, block, inner, a, stride):
    element, corrections = element_of(a), (field_type(rows, "center"), field_type(rows, "scale"))
    as_they_are = element.unit == element.storage and field_type(rows, "x").dtype.name == element.storage.name
    plain = all(isinstance(kind, types.NoneType) for kind in corrections)
    return body_of(_in_place if as_they_are and plain else _packed)


@part
def _multiply_few(
    rows: Rows, block: tuple[int, int], first: int, inner: tuple[int, int], b: Panels, work: Work, add: int
) -> None:
    """C (rows, columns) of work <- X B, or C + X B, for a few rows X in the columns `inner`, and B as it lies.

    first : the row of b that the inner dimension begins with
    B is read in its own order, some rows side by side, so that the CPU sees what comes next.
    """
    columns, nr, stride = b.stride, blocking(b.array).flat_nr, blocking(b.array).row_stride
    step = inner[1] - inner[0] if add == ADD else FEW_STEP
    for k in range(inner[0], inner[1], step):
        end = min(k + step, inner[1])
        left = _left(rows, block, (k, end), work.a, stride)
        for j in range(0, columns, nr):
            at = b.at + (first + k - inner[0]) * columns + j
            for i in range(0, block[1] - block[0], FLAT_MR):
                to, how = i * columns + j, add if k == inner[0] else GO_ON
                if columns - j >= nr:
                    flat_kernel(left, i, b.array, at, columns, work.c, to, columns, end - k, how, ())
                else:
                    narrow_flat_kernel(left, i, b.array, at, columns, work.c, to, columns, end - k, how, ())


@part
def _in_tiles(
    a: Packed, b: Panels, first: int, c: np.ndarray, size: tuple[int, int, int, int], add: int, parts: Following
) -> None:
    """Multiply whole tiles in tile registers, the rest in vectors."""
    rows, columns, depth, width = size
    whole = depth // SIDE * SIDE
    if whole > 0:
        multiply_tiles(a.array, b, first, c, (rows, columns, whole), add != REPLACE)
    if whole < depth:
        rest, rest_size = Packed(a.array, whole, a.stride), (rows, columns, depth - whole, width)
        macro_kernel(rest, b, first + whole, c, rest_size, GO_ON if whole > 0 else add, nothing())


def multiply_left(a: Left, b: Panels, first: int, c: np.ndarray, size: Any, add: int, parts: Following) -> None:
    """c <- A B, or c + A B, in the best instructions; arguments as in `macro_kernel`."""
    raise TypeError("packed operands can only be multiplied in compiled code")


@overload(multiply_left, jit_options=PART)
def _overload_left_product(a, b, first, c, size, add, parts):
    element = element_of(field_type(b, "array"))
    return body_of(_in_tiles if element.in_tiles() else macro_kernel)


@part
def _joins(block: int, more: bool) -> int:
    """Return `add` of `macro_kernel` for a block of the inner dimension; more : c holds another channel's product."""
    if block >= LONG:
        return ADD
    return GO_ON if block > 0 or more else REPLACE


def span_of(packed: np.ndarray, out: np.ndarray) -> int:
    """Return after how many elements of the inner dimension c is added to out (N, H); packed : flat, for its dtype."""
    raise TypeError("products can only be formed in compiled code")


@overload(span_of, jit_options=PART)
def _overload_span(packed, out):
    # a result in the accumulators' own dtype is asked for where they can hold it
    element = element_of(packed)
    span = np.int64(sys.maxsize if element.accumulator.name == out.dtype.name else most_at_once(element))
    return lambda packed, out: span  # noqa: ARG005


@part
def _step(steps: Maybe, j: int) -> Any:
    if steps is None:
        return np.float32(1)
    return steps[j]


@part
def _store_as_it_is(
    c: np.ndarray, rows: Rows, channel: int, block: tuple[int, int], b: Panels, how: tuple[bool, bool], out: np.ndarray
) -> None:
    store_rows(c, block, how[0], out)


@part
def _store_corrected(
    c: np.ndarray, rows: Rows, channel: int, block: tuple[int, int], b: Panels, how: tuple[bool, bool], out: np.ndarray
) -> None:
    columns = out.shape[1]
    count, width = block[1] - block[0], (columns + NR - 1) // NR * NR
    sums = row_at(b.sums, channel)
    for r in range(count):
        row, target = vector_at(c, r * width, columns), vector_at(out, (block[0] + r) * columns, columns)
        i = row_of(rows.index, block[0] + r)
        center, scale = rows.center[i, channel] if how[1] else np.float32(0), rows.scale[i, channel]
        for j in range(columns):
            value = np.float32(row[j])
            value -= center * sums[j]
            value *= scale * _step(b.steps, j)
            target[j] = target[j] + value if how[0] else value


def _store_product(
    c: np.ndarray, rows: Rows, channel: int, block: Any, b: Panels, how: tuple[bool, bool], out: np.ndarray
) -> None:
    """Rows `block` of out <- c, or out + c; for raw images of scale_i * steps_j * (c_ij - center_i * sums_j).

    how : whether to add to what is there; whether C completes the channel, of which center and sums are
    """
    raise TypeError("products can only be formed in compiled code")


@overload(_store_product, jit_options=PART)
def _overload_store_product(c, rows, channel, block, b, how, out):
    return body_of(_store_corrected if _raw(b) else _store_as_it_is)


def _raw(b: Any) -> bool:
    return not isinstance(field_type(b, "sums"), types.NoneType)


def _is_raw(b: Panels) -> bool:
    return b.sums is not None


@overload(_is_raw, jit_options=PART)
def _overload_is_raw(b):
    raw = _raw(b)
    return lambda b: raw  # noqa: ARG005


def multiply_rows(
    rows: Rows, block: tuple[int, int], after: tuple[int, int], b: Panels, work: Work, out: np.ndarray
) -> None:
    """Rows `block` (at most mc) of out (N, H) <- X B, for X of these rows, normalised by channel.

    after : the block that is probably next, maybe empty, whose rows are asked for
    b : packed panels, each channel by itself, or an unpacked matrix; for raw images with the sums of `Panels`:
        sum_k s (x_k - m) B_kj = s (sum_k x_k B_kj - m sum_k B_kj)
    """
    raise TypeError("products can only be formed in compiled code")


@overload(multiply_rows, jit_options=PART)
def _overload_multiply_rows(rows, block, after, b, work, out):
    element = element_of(field_type(b, "array"))
    floats = element.unit == element.storage and element.accumulator.name == out.dtype.name and not _raw(b)
    return body_of(_in_result if floats else _by_blocks)


@part
def _rows_in_result(rows: int, columns: int, blocks: int) -> int:
    """Return how many rows of a product, of whole tiles, can be summed up where the result is.

    What tiles have too many columns goes to the row behind them: that must be of this block, and be stored later.
    Without an inner dimension there is nothing to sum up: the zeros are those of the block's work array.
    """
    if blocks == 0:
        return 0
    if columns % NR == 0:
        return rows // MR * MR
    return (rows - 1) // MR * MR if blocks == 1 and columns >= NR else 0


@part
def _in_result(
    rows: Rows, block: tuple[int, int], after: tuple[int, int], b: Panels, work: Work, out: np.ndarray
) -> None:
    """`multiply_rows` whose accumulators are, but for what only fills tiles, the result itself."""
    (a, c), channels, kc, stride = work, channels_of(rows.center), blocking(b.array).kc, blocking(b.array).row_stride
    depth, count, columns = rows.x.shape[1] // channels, block[1] - block[0], out.shape[1]
    blocks, step = (depth + kc - 1) // kc, kc
    if 0 < blocks <= LONG:  # blocks of about one size: the sums are the same, as each goes on from the one before
        step = (depth + blocks * EIGHT - 1) // (blocks * EIGHT) * EIGHT
    # columns of a B that is read as it lies fill panels, so that c has no gaps
    few = b.stride != NR and count <= MR // 2 and columns % (blocking(b.array).flat_nr // 2) == 0
    whole = _rows_in_result(count, columns, blocks * channels)
    sums = Sums(vector_at(out, block[0] * columns, whole * columns), columns, whole, c)
    for channel in range(channels):
        begin = channel * depth
        for k in range(0, depth, step):
            end, size = min(k + step, depth), (count, columns, min(step, depth - k))
            add = _joins(k // step, channel > 0)
            if few:
                _multiply_few(rows, block, begin + k, (begin + k, begin + end), b, work, add)
                continue
            left = _left(rows, block, (begin + k, begin + end), a, stride)
            next_first = begin + end if end < depth or channel + 1 < channels else ZERO
            next_end = min(next_first + step, begin + depth if end < depth else begin + 2 * depth)
            if next_first == 0:
                next_end = min(step, depth)
            parts = following(rows, block if next_first > 0 else after, (next_first, next_end))
            multiply_panels(left, b, begin + k, sums, size, add, parts)
    store_rows(c, (block[0] + whole, block[1]), False, out)


@part
def _by_blocks(
    rows: Rows, block: tuple[int, int], after: tuple[int, int], b: Panels, work: Work, out: np.ndarray
) -> None:
    """`multiply_rows` through blocks of accumulators, which are corrected or converted when they are complete."""
    (a, c), per, channels, raw = work, per_unit(b.array), channels_of(rows.center), _is_raw(b)
    depth, span = rows.x.shape[1] // channels, span_of(b.array, out)
    step, stride = blocking(b.array).kc * per, blocking(b.array).row_stride
    units, count, columns = units_of(depth, b.array), block[1] - block[0], out.shape[1]
    alone = Panels(b.array, b.at, b.panel, b.stride, None, None, None)  # of one type, whatever corrects the product
    for channel in range(channels):
        begin = channel * depth
        for k in range(0, depth, step):
            end = min(k + step, depth)
            left = _left(rows, block, (begin + k, begin + end), a, stride)
            add = _joins(k % span // step, channel > 0 and not raw)
            size = (count, columns, units_of(end - k, b.array), width_of(columns))
            next_first = begin + end if end < depth or channel + 1 < channels else ZERO
            next_end = min(next_first + step, begin + depth if end < depth else begin + 2 * depth)
            if next_first == 0:
                next_end = min(step, depth)
            parts = following(rows, block if next_first > 0 else after, (next_first, next_end))
            multiply_left(left, alone, channel * units + k // per, c, size, add, parts)
            if end % span == 0 or (end == depth and (raw or channel == channels - 1)):
                how = (k >= span or (raw and channel > 0), end == depth)
                _store_product(c, rows, channel, block, b, how, out)
    if depth == 0:
        _store_product(c, rows, ZERO, block, b, (False, False), out)
