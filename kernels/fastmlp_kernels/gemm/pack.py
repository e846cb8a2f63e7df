"""Packing: operands copied into the order in which the micro-kernel reads them, converted on the way.

An operand comes as rows of a float32 matrix or of uint8 images, possibly picked by an index. Packed arrays are float32,
or int32 holding two bfloat16 each: neighbours along the inner dimension of the product, the even one in the low half.
Numba compiles each function below for the dtypes it meets; `per_unit` is 1 or 2 accordingly.

Images become (x - mean) * inv_std on the way to float32. On the way to bfloat16 they stay 0..255, which is exact there;
the caller normalises the product instead (see `gemm`).
"""

from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels._convert import pack_run, pack_two_runs, prefetch
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._target import TILE
from fastmlp_kernels._views import matrix_at, no_index, read_only, row_at, vector_at

# An array, or None: numba compiles a form of its own for each, in which `is None` takes no time.
Maybe = Any
# Elements of the inner dimension in one of the packed array, by its dtype: pairs of bfloat16, quads of 8-bit integers.
PER_UNIT = {"float32": 1, "int32": 2, "uint32": 4}
# numba compiles a function anew for each literal that it is called with, as if that were a type; not so for these.
NR, ZERO, ONE = (cast("int", np.int64(n)) for n in (TILE.nr, 0, 1))
# No hardware prefetcher guesses where picked rows lie, nor follows short pieces of long rows; 8 and 24 rows ahead
# measured the same.
AHEAD = 16


def _per_unit(packed: np.ndarray) -> int:
    return PER_UNIT[packed.dtype.name]


@overload(_per_unit, jit_options=PART)
def _overload_per_unit(packed):
    per_unit = PER_UNIT[packed.dtype.name]
    return lambda packed: per_unit  # noqa: ARG005


@part
def per_unit(packed: np.ndarray) -> int:
    """Return how many elements of the inner dimension one element of the packed array holds."""
    return _per_unit(packed)


def _item(array: Maybe, i: int) -> Maybe:
    return None if array is None else array[i]


@overload(_item, jit_options=PART)
def _overload_item(array, i):
    # by type: from an `if`, numba would make an optional array, and two forms of everything that takes one
    if isinstance(array, types.NoneType):
        return lambda array, i: None  # noqa: ARG005
    return (lambda array, i: array[i]) if array.ndim == 1 else (lambda array, i: row_at(array, i))


@part
def item(array: Maybe, i: int) -> Maybe:
    """Return array[i], or None of None."""
    return _item(array, i)


def _span(array: Maybe, start: int, stop: int) -> Maybe:
    return None if array is None else array[start:stop]


@overload(_span, jit_options=PART)
def _overload_span(array, start, stop):
    if isinstance(array, types.NoneType):
        return lambda array, start, stop: None  # noqa: ARG005
    return lambda array, start, stop: vector_at(array, start, stop - start)


@part
def span(array: Maybe, start: int, stop: int) -> Maybe:
    """Return array[start:stop], or None of None."""
    return _span(array, start, stop)


@part
def row_of(index: np.ndarray, i: int) -> int:
    """Return the row that is meant by i."""
    return index[i] if index.size > 0 else i


def _even_half(unit: Any) -> Any:
    return np.int32(unit & np.int32(0xFFFF))


@overload(_even_half, jit_options=PART)
def _overload_even_half(unit):
    if unit == types.float32:
        return lambda unit: unit
    return lambda unit: np.int32(unit & np.int32(0xFFFF))


@part
def _clear_odd_half(packed: np.ndarray, at: int, count: int) -> None:
    for i in range(at, at + count):
        packed[i] = _even_half(packed[i])


@part
def pack_rows(
    x: np.ndarray,
    index: np.ndarray,
    center: Maybe,
    scale: Maybe,
    rows: tuple[int, int],
    inner: tuple[int, int],
    out: np.ndarray,
    stride: int,
) -> None:
    """Pack rows of x, the inner dimension along each row: out[r * stride + k].

    index : (N,) which row of x is meant, or empty: all in their order
    center, scale : (N,) for (x - center) * scale, or None
    """
    per = per_unit(out)
    first, count = inner[0], inner[1] - inner[0]
    for r in range(rows[0], rows[1]):
        at = row_of(index, r) * x.shape[1] + first
        if r + AHEAD < rows[1]:
            prefetch(x, row_of(index, r + AHEAD) * x.shape[1] + first, count)
        c, s = np.float32(0), np.float32(1)
        if center is not None:
            c = center[r]
        if scale is not None:
            s = scale[r]
        to = (r - rows[0]) * stride
        pack_run(x, at, c, s, out, to * per, count)
        if count % per:
            _clear_odd_half(out, to + count // per, ONE)


@part
def pack_columns(
    x: np.ndarray,
    index: np.ndarray,
    center: Maybe,
    scale: Maybe,
    columns: tuple[int, int],
    inner: tuple[int, int],
    out: np.ndarray,
    to: int,
    stride: int,
) -> None:
    """Pack columns of x, the inner dimension from row to row: out[to + k * stride + c]. Arguments as in `pack_rows`."""
    per = per_unit(out)
    width = x.shape[1]
    first, count = columns[0], columns[1] - columns[0]
    for k in range(inner[0], inner[1], per):
        at = row_of(index, k) * width + first
        c, s = np.float32(0), np.float32(1)
        if center is not None:
            c = center[k]
        if scale is not None:
            s = scale[k]
        if per == 1:
            pack_run(x, at, c, s, out, to, count)
        elif k + 1 < inner[1]:
            at2 = row_of(index, k + 1) * width + first
            pack_two_runs(x, at, s, at2, np.float32(1) if scale is None else scale[k + 1], out, to, count)
        else:
            pack_two_runs(x, at, s, at, s, out, to, count)
            _clear_odd_half(out, to, count)
        to += stride


@part
def pack_panels(x: np.ndarray, scale: Maybe, inner: tuple[int, int], out: np.ndarray, to: int, units: int) -> None:
    """Pack rows `inner` of the right operand x (K, N): panels of nr columns, out[to + (panel * units + k) * nr + c].

    Columns beyond N are left as they are: allocate `out` with zeros.
    """
    n = x.shape[1]
    for column in range(0, n, NR):
        pack_columns(read_only(x), no_index(), None, scale, (column, min(column + NR, n)), inner, out, to, NR)
        to += units * NR


@part
def pack_panels_transposed(
    x: np.ndarray, columns: tuple[int, int], strip: np.ndarray, out: np.ndarray, to: int, units: int
) -> None:
    """Pack rows `columns` of x (N, K), from a multiple of nr on, as columns of the right operand x^T (K, N).

    strip : work array of the dtype of `out`, at least nr elements
    """
    per = per_unit(out)
    k_end = x.shape[1]
    step = strip.size // NR * per
    for first in range(columns[0], columns[1], NR):
        last = min(first + NR, columns[1])
        for k in range(0, k_end, step):
            count = min(step, k_end - k)
            width = (count + per - 1) // per
            pack_rows(read_only(x), no_index(), None, None, (first, last), (k, k + count), strip, width)
            rows = matrix_at(strip, 0, last - first, width)
            panel = matrix_at(out, to + first // NR * units * NR + k // per * NR, width, NR)
            for unit in range(width):
                for c in range(last - first):
                    panel[unit, c] = rows[c, unit]


def _halves(unit: Any) -> tuple[Any, Any]:
    bits = np.int32(unit)
    return (bits << np.int32(16)).view(np.float32), (bits & np.int32(-65536)).view(np.float32)


@overload(_halves, jit_options=PART)
def _overload_halves(unit):
    if unit == types.float32:
        return lambda unit: (unit, np.float32(0))
    return lambda unit: (
        np.int32(unit << np.int32(16)).view(np.float32),
        np.int32(unit & np.int32(-65536)).view(np.float32),
    )


@part
def add_column_sums(packed: np.ndarray, at: int, units: int, weight: Maybe, first: int, sums: np.ndarray) -> None:
    """Add to sums (nr,) the columns of one panel from packed[at] on; row k counts weight[first + k] times, or once."""
    per = per_unit(packed)
    for unit in range(units):
        row = vector_at(packed, at + unit * NR, NR)
        low, high = np.float32(1), np.float32(1)
        if weight is not None:
            k = first + unit * per
            low, high = weight[k], weight[min(k + 1, weight.size - 1)]  # where there is no next row, its half is zero
        for c in range(NR):
            even, odd = _halves(row[c])
            sums[c] += low * even + high * odd
