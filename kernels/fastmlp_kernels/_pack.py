"""Packing: operands copied into the order in which the micro-kernel reads them, converted on the way.

An operand comes as rows of a float32 matrix or of uint8 images, possibly picked by an index. Packed arrays are float32,
or int32 holding two bfloat16 each: neighbours along the inner dimension of the product, the even one in the low half.
Numba compiles each function below for the dtypes it meets; `per_unit` is 1 or 2 accordingly.

Images become (x - mean) * inv_std on the way to float32. On the way to bfloat16 they stay 0..255, which is exact there;
the caller normalises the product instead (see `gemm`). Rounding is to nearest even, and NaN stays NaN. It is done with
integers: packing waits for memory, not for this, and the same bits come out on every CPU.
"""

from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._llvm import (
    F32,
    I8,
    I16,
    I32,
    I64,
    Builder,
    Value,
    call,
    constant,
    element_pointer,
    intrinsic,
    load,
    splat,
    store,
    vector,
)
from fastmlp_kernels._target import TILE

# An array, or None: numba compiles a form of its own for each, in which `is None` takes no time.
Maybe = Any
# Whole runs first, then what is left: a panel of 20 columns is five runs of four.
RUNS = (2 * TILE.lanes, 4, 1)
# numba compiles a function anew for each literal that it is called with, as if that were a type; not so for these.
NR, ZERO, ONE = (cast("int", np.int64(n)) for n in (TILE.nr, 0, 1))
# Picked rows lie anywhere in memory, where no hardware prefetcher guesses them; 8 and 24 rows ahead measured the same.
AHEAD = 16


def _per_unit(packed: np.ndarray) -> int:
    return 2 if packed.dtype == np.int32 else 1


@overload(_per_unit, jit_options=PART)
def _overload_per_unit(packed):
    per_unit = 2 if packed.dtype == types.int32 else 1
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
    return lambda array, i: array[i]


@part
def item(array: Maybe, i: int) -> Maybe:
    """Return array[i], or None of None."""
    return _item(array, i)


def _is_raw(x: np.ndarray, packed: np.ndarray) -> bool:
    return x.dtype == np.uint8 and packed.dtype != np.float32


@overload(_is_raw, jit_options=PART)
def _overload_is_raw(x, packed):
    raw = x.dtype == types.uint8 and packed.dtype != types.float32
    return lambda x, packed: raw  # noqa: ARG005


@part
def is_raw(x: np.ndarray, packed: np.ndarray) -> bool:
    """Return whether images are packed as they are, so that the product has yet to be normalised."""
    return _is_raw(x, packed)


def _round_to_bfloat16(builder: Builder, x: Value) -> Value:
    """Return int32 lanes whose low half is the bfloat16 nearest to the float32 lanes x."""
    lanes = x.type.count
    bits = builder.bitcast(x, vector(I32, lanes))
    half = builder.lshr(bits, constant(I32, 16, lanes))
    odd = builder.and_(half, constant(I32, 1, lanes))
    rounded = builder.lshr(builder.add(bits, builder.add(odd, constant(I32, 0x7FFF, lanes))), constant(I32, 16, lanes))
    quiet = builder.or_(half, constant(I32, 0x40, lanes))  # adding could carry a NaN's mantissa over to infinity
    return builder.select(builder.fcmp_unordered("uno", x, x), quiet, rounded)


def _convert(builder: Builder, source: Value, *, pairs: bool, center: Value, scale: Value) -> Value:
    """Return float32 lanes, or with `pairs` int32 lanes with a bfloat16 in the low half."""
    lanes = source.type.count
    image = isinstance(source.type.element, ir.IntType)
    x = builder.uitofp(builder.zext(source, vector(I32, lanes)), vector(F32, lanes)) if image else source
    if image and pairs:  # exact: the lower half is zero
        return builder.lshr(builder.bitcast(x, vector(I32, lanes)), constant(I32, 16, lanes))
    x = builder.fmul(builder.fsub(x, splat(builder, center, lanes)), splat(builder, scale, lanes))
    return _round_to_bfloat16(builder, x) if pairs else x


def _runs(builder: Builder, count: Value, body: Any) -> None:
    """Emit loops over `count` elements, body(offset, lanes), in the lengths of RUNS."""
    done: Value = I64(0)
    for lanes in RUNS:
        end = builder.sub(count, builder.srem(builder.sub(count, done), I64(lanes)))
        with cgutils.for_range_slice(builder, done, end, I64(lanes), inc=True) as (offset, _):
            body(offset, lanes)
        done = end


@intrinsic
def pack_run(typingctx: Any, x: Any, at: Any, center: Any, scale: Any, out: Any, to: Any, count: Any) -> Any:
    """Convert `count` elements from x.flat[at] on to as many elements, not units, of `out` from `to` on."""
    i, f = types.intp, types.float32
    signature = types.void(x, i, f, f, out, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, center, scale, out, to, count = args
        kind, target = signature.args[0], signature.args[4]
        pairs = target.dtype == types.int32
        source = element_pointer(context, builder, kind, x, at)
        first = element_pointer(context, builder, target, out, I64(0))
        first = builder.gep(builder.bitcast(first, (I16 if pairs else F32).as_pointer()), [to])

        def body(offset: Value, lanes: int) -> None:
            element = vector(context.get_value_type(kind.dtype), lanes)
            run = load(builder, builder.gep(source, [offset]), element, 1)
            value = _convert(builder, run, pairs=pairs, center=center, scale=scale)
            value = builder.trunc(value, vector(I16, lanes)) if pairs else value
            store(builder, value, builder.gep(first, [offset]), 2 if pairs else 4)

        _runs(builder, count, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pack_two_runs(
    typingctx: Any, x: Any, at: Any, scale: Any, at2: Any, scale2: Any, out: Any, to: Any, count: Any
) -> Any:
    """Convert `count` elements of two rows, each times its scale, to pairs of bfloat16 in out[to:]."""
    i, f = types.intp, types.float32
    signature = types.void(x, i, f, i, f, out, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, scale, at2, scale2, out, to, count = args
        kind, target = signature.args[0], signature.args[5]
        rows = [(element_pointer(context, builder, kind, x, a), s) for a, s in ((at, scale), (at2, scale2))]
        first = element_pointer(context, builder, target, out, to)

        def body(offset: Value, lanes: int) -> None:
            element = vector(context.get_value_type(kind.dtype), lanes)
            low, high = (
                _convert(
                    builder, load(builder, builder.gep(row, [offset]), element, 1), pairs=True, center=F32(0), scale=s
                )
                for row, s in rows
            )
            both = builder.or_(low, builder.shl(high, constant(I32, 16, lanes)))
            store(builder, both, builder.gep(first, [offset]), 4)

        _runs(builder, count, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _prefetch(typingctx: Any, x: Any, at: Any, count: Any) -> Any:
    """Ask for the cache lines of x.flat[at : at + count]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, count = args
        kind = signature.args[0]
        line = 64 // (kind.dtype.bitwidth // 8)
        source = element_pointer(context, builder, kind, x, at)
        read, keep, data = I32(0), I32(3), I32(1)
        with cgutils.for_range_slice(builder, I64(0), count, I64(line), inc=True) as (offset, _):
            pointer = builder.bitcast(builder.gep(source, [offset]), I8.as_pointer())
            call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, keep, data)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen


@part
def _row(index: Maybe, i: int) -> int:
    return i if index is None else index[i]


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
    index: Maybe,
    center: Maybe,
    scale: Maybe,
    rows: tuple[int, int],
    inner: tuple[int, int],
    out: np.ndarray,
    stride: int,
) -> None:
    """Pack rows of x, the inner dimension along each row: out[r * stride + k].

    index : (N,) which row of x is meant, or None; center, scale : (N,) for (x - center) * scale, or None
    """
    per = per_unit(out)
    first, count = inner[0], inner[1] - inner[0]
    for r in range(rows[0], rows[1]):
        at = _row(index, r) * x.shape[1] + first
        if index is not None and r + AHEAD < rows[1]:
            _prefetch(x, index[r + AHEAD] * x.shape[1] + first, count)
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
    index: Maybe,
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
        at = _row(index, k) * width + first
        c, s = np.float32(0), np.float32(1)
        if center is not None:
            c = center[k]
        if scale is not None:
            s = scale[k]
        if per == 1:
            pack_run(x, at, c, s, out, to, count)
        elif k + 1 < inner[1]:
            at2 = _row(index, k + 1) * width + first
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
        pack_columns(x, None, None, scale, (column, min(column + NR, n)), inner, out, to, NR)
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
            pack_rows(x, None, None, None, (first, last), (k, k + count), strip, width)
            rows = strip[: (last - first) * width].reshape(last - first, width)
            at = to + first // NR * units * NR + k // per * NR
            panel = out[at : at + width * NR].reshape(width, NR)
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
    panel = packed[at : at + units * NR].reshape(units, NR)
    for unit in range(units):
        low, high = np.float32(1), np.float32(1)
        if weight is not None:
            k = first + unit * per
            low, high = weight[k], weight[min(k + 1, weight.size - 1)]  # where there is no next row, its half is zero
        for c in range(NR):
            even, odd = _halves(panel[unit, c])
            sums[c] += low * even + high * odd
