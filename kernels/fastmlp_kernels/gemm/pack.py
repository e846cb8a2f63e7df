"""Packing: operands copied into the order in which the micro-kernel reads them, converted on the way.

An operand comes as `Rows`: of a matrix of floats, or of uint8 images, possibly picked by an index. Packed arrays
consist of units (see `elements`): one float32 or float64; two bfloat16 in an int32; four bytes in a uint32. What is
behind the last element of the inner dimension in a unit is zero.

Images become (x - center) * scale on the way to these. On the way to bfloat16 they stay 0..255, which is exact there,
and bytes stay as they are; the product is corrected instead (see `gemm`).
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels._convert import copy_panel, pack_run, pack_two_runs, prefetch
from fastmlp_kernels._jit import PART, body_of, part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._target import TILE
from fastmlp_kernels._transpose import transpose
from fastmlp_kernels._views import no_index, read_only, row_at
from fastmlp_kernels.gemm.elements import element_of
from fastmlp_kernels.gemm.panels import NR, ONE, ZERO, Maybe, Panels, field_type
from fastmlp_kernels.gemm.quad_runs import weave_run

# No hardware prefetcher guesses where picked rows lie, nor follows short pieces of long rows; 8 and 24 rows ahead
# measured the same.
AHEAD = 16
MR = TILE.mr


def per_unit(packed: np.ndarray) -> int:
    """Return how many elements of the inner dimension a unit holds; packed : flat, any packed array, for its dtype."""
    return element_of(packed).per_unit


@overload(per_unit, jit_options=PART)
def _overload_per_unit(packed):
    per_unit = element_of(packed).per_unit
    return lambda packed: per_unit  # noqa: ARG005


@part
def units_of(count: int, packed: np.ndarray) -> int:
    """Return how many units hold `count` elements of the inner dimension; packed : as in `per_unit`."""
    per = per_unit(packed)
    return (count + per - 1) // per


def item(array: Maybe, i: int) -> Maybe:
    """Return array[i], or None of None."""
    return None if array is None else array[i]


@overload(item, jit_options=PART)
def _overload_item(array, i):
    # by type: from an `if`, numba would make an optional array, and two forms of everything that takes one
    if isinstance(array, types.NoneType):
        return lambda array, i: None  # noqa: ARG005
    return (lambda array, i: array[i]) if array.ndim == 1 else (lambda array, i: row_at(array, i))


@part
def row_of(index: np.ndarray, i: int) -> int:
    """Return the row of x that row i of a batch is: index[i], or i where index (N,) int64 is empty."""
    return index[i] if index.size > 0 else i


@part
def channels_of(center: Maybe) -> int:
    """Return C, the number of channels with moments of their own; 1 without moments."""
    return 1 if center is None else center.shape[1]


@part
def _channel_of(rows: Rows, column: int) -> int:
    return column // (rows.x.shape[1] // channels_of(rows.center))


@part
def moment(moments: Maybe, row: int, channel: int, otherwise: Any) -> Any:
    """Return center or scale of a row of x in a channel; `otherwise` where moments is None."""
    if moments is None:
        return otherwise
    return moments[row, channel]


def _keep(unit: Any, filled: int) -> Any:
    raise TypeError("units can only be cut in compiled code")


@overload(_keep, jit_options=PART)
def _overload_keep(unit, filled):
    if isinstance(unit, types.Float):
        return lambda unit, filled: unit  # noqa: ARG005
    kind, bits = (np.int32, 16) if unit == types.int32 else (np.uint32, 8)
    return lambda unit, filled: kind(unit & kind((1 << bits * filled) - 1))


@part
def _clear_rest(packed: np.ndarray, at: int, count: int, filled: int, strip: Maybe) -> None:
    """Clear all but the first `filled` elements of each of `count` units, in strips as of `pack_columns`."""
    for c in range(count):
        i = at + c if strip is None else at + c // MR * strip + c % MR
        packed[i] = _keep(packed[i], filled)


@part
def pack_rows(rows: Rows, block: tuple[int, int], inner: tuple[int, int], out: np.ndarray, stride: int) -> None:
    """Pack the rows `block`, the inner dimension along each row: out[r * stride + unit].

    inner : range of columns, all of one channel; out : flat, of an element's unit dtype
    """
    x, index = rows.x, rows.index
    per, width = per_unit(out), x.shape[1]
    first, count, channel = inner[0], inner[1] - inner[0], _channel_of(rows, inner[0])
    for r in range(block[0], block[1]):
        row = row_of(index, r)
        if r + AHEAD < block[1]:
            prefetch(x, row_of(index, r + AHEAD) * width + first, count)
        center = moment(rows.center, row, channel, np.float32(0))
        scale = moment(rows.scale, row, channel, np.float32(1))
        to = (r - block[0]) * stride
        pack_run(x, row * width + first, center, scale, out, to * per, count, None)
        if count % per:
            _clear_rest(out, to + count // per, ONE, count % per, None)


@part
def _columns_one_by_one(
    rows: Rows, columns: tuple[int, int], inner: tuple[int, int], out: np.ndarray, to: int, stride: int, strip: Maybe
) -> None:
    x, index, channel = rows.x, rows.index, _channel_of(rows, columns[0])
    first, count = columns[0], columns[1] - columns[0]
    for k in range(inner[0], inner[1]):
        row = row_of(index, k)
        center = moment(rows.center, row, channel, np.float32(0))
        scale = moment(rows.scale, row, channel, np.float32(1))
        pack_run(x, row * x.shape[1] + first, center, scale, out, to, count, strip)
        to += stride


@part
def _columns_in_pairs(
    rows: Rows, columns: tuple[int, int], inner: tuple[int, int], out: np.ndarray, to: int, stride: int, strip: Maybe
) -> None:
    x, index, channel = rows.x, rows.index, _channel_of(rows, columns[0])
    first, count = columns[0], columns[1] - columns[0]
    for k in range(inner[0], inner[1], 2):
        row, row2 = row_of(index, k), row_of(index, min(k + 1, inner[1] - 1))
        scale = moment(rows.scale, row, channel, np.float32(1))
        scale2 = moment(rows.scale, row2, channel, np.float32(1))
        pack_two_runs(x, row * x.shape[1] + first, scale, row2 * x.shape[1] + first, scale2, out, to, count, strip)
        if k + 1 == inner[1]:
            _clear_rest(out, to, count, ONE, strip)
        to += stride


@part
def _columns_in_quads(
    rows: Rows, columns: tuple[int, int], inner: tuple[int, int], out: np.ndarray, to: int, stride: int, strip: Maybe
) -> None:
    x, index, last = rows.x, rows.index, inner[1] - 1
    width, first, count = x.shape[1], columns[0], columns[1] - columns[0]
    for k in range(inner[0], inner[1], 4):
        at = row_of(index, k) * width + first
        at2 = row_of(index, min(k + 1, last)) * width + first
        at3 = row_of(index, min(k + 2, last)) * width + first
        at4 = row_of(index, min(k + 3, last)) * width + first
        for ahead in range(AHEAD, AHEAD + 4):
            if k + ahead <= last:
                prefetch(x, row_of(index, k + ahead) * width + first, count)
        weave_run(x, at, at2, at3, at4, out, to, count)
        if k + 4 > inner[1]:
            _clear_rest(out, to, count, inner[1] - k, None)
        to += stride


_COLUMNS = {1: _columns_one_by_one, 2: _columns_in_pairs, 4: _columns_in_quads}


def pack_columns(rows: Rows, columns: Any, inner: Any, out: np.ndarray, to: int, stride: int, strip: Maybe) -> None:
    """Pack columns, all of one channel, the inner dimension from row to row: out[to + unit * stride + c].

    columns, inner : ranges of columns and of rows; out : flat, of an element's unit dtype
    strip : None, or units from one strip of mr columns to the next: out[to + c // mr * strip + unit * stride + c % mr];
        quads are never packed so
    """
    raise TypeError("columns can only be packed in compiled code")


@overload(pack_columns, jit_options=PART)
def _overload_pack_columns(rows, columns, inner, out, to, stride, strip):
    return body_of(_COLUMNS[element_of(out).per_unit])


@part
def as_rows(x: np.ndarray, scale: Maybe) -> Rows:
    """Return all rows of a matrix x (N, D) of floats, each times its scale (N, 1), or as they are where it is None."""
    return Rows(read_only(x), no_index(), None, scale)


@part
def _convert_panel(rows: Rows, columns: tuple[int, int], inner: tuple[int, int], out: np.ndarray, to: int) -> None:
    pack_columns(rows, columns, inner, out, to, NR, None)


@part
def _copy_panel(rows: Rows, columns: tuple[int, int], inner: tuple[int, int], out: np.ndarray, to: int) -> None:
    if columns[1] - columns[0] == NR and rows.index.size == 0:
        width = rows.x.shape[1]
        copy_panel(rows.x, inner[0] * width + columns[0], width, out, to, inner[1] - inner[0])
    else:
        pack_columns(rows, columns, inner, out, to, NR, None)


def _pack_panel(rows: Rows, columns: Any, inner: Any, out: np.ndarray, to: int) -> None:
    """Pack columns, at most nr, of rows `inner` in out[to:]."""
    raise TypeError("panels can only be packed in compiled code")


@overload(_pack_panel, jit_options=PART)
def _overload_pack_panel(rows, columns, inner, out, to):
    moments = field_type(rows, "center"), field_type(rows, "scale")
    same = field_type(rows, "x").dtype == out.dtype and all(isinstance(kind, types.NoneType) for kind in moments)
    return body_of(_copy_panel if same else _convert_panel)


@part
def pack_panels(rows: Rows, columns: tuple[int, int], inner: tuple[int, int], b: Panels, first: int) -> None:
    """Pack columns, from a multiple of nr on, of rows `inner` of a right operand (K, N), from unit `first` of b on.

    Columns beyond N are left as they are: allocate the panels with zeros.
    """
    to = b.at + first * NR + columns[0] // NR * b.panel
    for column in range(columns[0], columns[1], NR):
        _pack_panel(rows, (column, min(column + NR, columns[1])), inner, b.array, to)
        to += b.panel


def _transpose_rows(x: np.ndarray, rows: tuple[int, int], strip: np.ndarray, b: Panels, to: int) -> None:
    """Pack rows of x (N, K), at most nr, as columns of a panel, which begins at b.array[to]."""
    raise TypeError("operands can only be packed in compiled code")


@overload(_transpose_rows, jit_options=PART)
def _overload_transpose_rows(x, rows, strip, b, to):
    return body_of(_transpose_units if field_type(b, "array").dtype == x.dtype else _transpose_packed)


@part
def _transpose_units(x: np.ndarray, rows: tuple[int, int], strip: np.ndarray, b: Panels, to: int) -> None:
    width = x.shape[1]
    transpose(x, rows[0] * width, width, (rows[1] - rows[0], width), b.array, to, NR)


@part
def _transpose_packed(x: np.ndarray, rows: tuple[int, int], strip: np.ndarray, b: Panels, to: int) -> None:
    per = per_unit(b.array)
    step = strip.size // NR * per
    for k in range(0, x.shape[1], step):
        count = min(step, x.shape[1] - k)
        width = (count + per - 1) // per
        pack_rows(as_rows(x, None), rows, (k, k + count), strip, width)
        transpose(strip, ZERO, width, (rows[1] - rows[0], width), b.array, to + k // per * NR, NR)


@part
def pack_panels_transposed(x: np.ndarray, columns: tuple[int, int], strip: np.ndarray, b: Panels) -> None:
    """Pack rows `columns` of x (N, K), floats, from a multiple of nr on, as columns of the right operand x^T (K, N).

    strip : work array of the dtype of the panels, at least nr elements
    """
    for first in range(columns[0], columns[1], NR):
        rows = first, min(first + NR, columns[1])
        _transpose_rows(x, rows, strip, b, b.at + first // NR * b.panel)
