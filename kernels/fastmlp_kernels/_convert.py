"""Conversion of a run of elements on its way into a packed operand: intrinsics, in vectors as wide as the CPU has.

Sources are floats or uint8, targets float32, float64 or bfloat16: alone, or in pairs of two rows, the first in the low
half. Bytes for products of bytes are copied.
Rounding to bfloat16 is to nearest even, and NaN stays NaN. Whole vectors are rounded by the CPU's own instruction where
it has one, to which subnormal numbers are zero, as they are to its products; all else with integers, by the same rule.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp_kernels._llvm import (
    BF16,
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
from fastmlp_kernels._target import BFLOAT16_IN_HARDWARE, TILE

# Whole runs first, then what is left: a panel of 20 columns is five runs of four.
RUNS = (2 * TILE.lanes, 4, 1)


def round_to_bfloat16(builder: Builder, x: Value) -> Value:
    """Return int32 lanes whose low half is the bfloat16 nearest to the float32 lanes x."""
    lanes = x.type.count
    bits = builder.bitcast(x, vector(I32, lanes))
    half = builder.lshr(bits, constant(I32, 16, lanes))
    odd = builder.and_(half, constant(I32, 1, lanes))
    rounded = builder.lshr(builder.add(bits, builder.add(odd, constant(I32, 0x7FFF, lanes))), constant(I32, 16, lanes))
    quiet = builder.or_(half, constant(I32, 0x40, lanes))  # adding could carry a NaN's mantissa over to infinity
    return builder.select(builder.fcmp_unordered("uno", x, x), quiet, rounded)


def _nearest_half(builder: Builder, x: Value) -> Value:
    """Return `round_to_bfloat16`, in the CPU's instruction where there is one."""
    lanes = x.type.count
    if not BFLOAT16_IN_HARDWARE or lanes % TILE.lanes:
        return round_to_bfloat16(builder, x)
    half = builder.bitcast(builder.fptrunc(x, vector(BF16, lanes)), vector(I16, lanes))
    return builder.zext(half, vector(I32, lanes))


def _convert(builder: Builder, source: Value, *, pairs: bool, center: Value, scale: Value) -> Value:
    """Return lanes of the type of center and scale, or with `pairs` int32 lanes with a bfloat16 in the low half."""
    lanes = source.type.count
    image = isinstance(source.type.element, ir.IntType)
    x = builder.uitofp(builder.zext(source, vector(I32, lanes)), vector(center.type, lanes)) if image else source
    if image and pairs:  # exact: the lower half is zero
        return builder.lshr(builder.bitcast(x, vector(I32, lanes)), constant(I32, 16, lanes))
    x = builder.fmul(builder.fsub(x, splat(builder, center, lanes)), splat(builder, scale, lanes))
    return _nearest_half(builder, x) if pairs else x


def runs(builder: Builder, count: Value, body: Any, lengths: tuple[int, ...] = RUNS) -> None:
    """Emit loops over `count` elements, body(offset, lanes), in runs of these lengths, the last of which is 1."""
    done: Value = I64(0)
    for lanes in lengths:
        end = builder.sub(count, builder.srem(builder.sub(count, done), I64(lanes)))
        with cgutils.for_range_slice(builder, done, end, I64(lanes), inc=True) as (offset, _):
            body(offset, lanes)
        done = end


def _strips(builder: Builder, count: Value, strip: Value, body: Any) -> None:
    """Emit loops over `count` elements, body(offset, to, lanes), in runs of mr, which go `strip` apart.

    A run of 6 goes as one of 8 where there are as many left: what it writes too much is where the next row goes, or in
    the room that a strip has behind its last one.
    """
    lanes, mr = 1 << (TILE.mr - 1).bit_length(), I64(TILE.mr)
    whole, wide = (builder.sdiv(builder.sub(count, I64(n)), mr) for n in (0, lanes - TILE.mr))
    done: Value = I64(0)
    for end, length in [(wide, lanes), (whole, TILE.mr)][lanes == TILE.mr :]:
        with cgutils.for_range_slice(builder, done, end, I64(1), inc=True) as (i, _):
            body(builder.mul(i, mr), builder.mul(i, strip), length)
        done = builder.select(builder.icmp_signed(">", end, done), end, done)
    first, to = builder.mul(whole, mr), builder.mul(whole, strip)
    with cgutils.for_range_slice(builder, first, count, I64(1), inc=True) as (i, _):
        body(i, builder.add(to, builder.sub(i, first)), 1)


def _runs_or_strips(builder: Builder, count: Value, strip: Value | None, body: Any) -> None:
    """Emit loops over `count` elements, body(offset, to, lanes): in one run, or in strips where there are such."""
    if strip is None:
        runs(builder, count, lambda offset, lanes: body(offset, offset, lanes))
    else:
        _strips(builder, count, strip, body)


@intrinsic
def pack_run(
    typingctx: Any, x: Any, at: Any, center: Any, scale: Any, out: Any, to: Any, count: Any, strip: Any
) -> Any:
    """Convert `count` elements from x.flat[at] on to as many elements, not units, of `out` from `to` on; copy bytes.

    strip : elements from one strip of mr to the next; None for one run
    """
    i, f = types.intp, types.float64 if out.dtype == types.float64 else types.float32
    signature = types.void(x, i, f, f, out, i, i, strip)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, center, scale, out, to, count, strip = args
        kind, target = signature.args[0], signature.args[4]
        strip = None if isinstance(signature.args[7], types.NoneType) else strip
        pairs = target.dtype == types.int32
        source = element_pointer(context, builder, kind, x, at)
        first = element_pointer(context, builder, target, out, I64(0))
        if target.dtype == types.uint32:
            cgutils.raw_memcpy(builder, builder.gep(builder.bitcast(first, I8.as_pointer()), [to]), source, count, 1)
            return context.get_dummy_value()
        first = builder.gep(builder.bitcast(first, I16.as_pointer()) if pairs else first, [to])

        def body(offset: Value, to: Value, lanes: int) -> None:
            element = vector(context.get_value_type(kind.dtype), lanes)
            run = load(builder, builder.gep(source, [offset]), element, 1)
            value = _convert(builder, run, pairs=pairs, center=center, scale=scale)
            value = builder.trunc(value, vector(I16, lanes)) if pairs else value
            store(builder, value, builder.gep(first, [to]), 2 if pairs else 4)

        _runs_or_strips(builder, count, strip, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pack_two_runs(
    typingctx: Any, x: Any, at: Any, scale: Any, at2: Any, scale2: Any, out: Any, to: Any, count: Any, strip: Any
) -> Any:
    """Convert `count` elements of two rows, each times its scale, to pairs of bfloat16 in out[to:].

    strip : as of `pack_run`
    """
    i, f = types.intp, types.float32
    signature = types.void(x, i, f, i, f, out, i, i, strip)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, scale, at2, scale2, out, to, count, strip = args
        kind, target = signature.args[0], signature.args[5]
        strip = None if isinstance(signature.args[8], types.NoneType) else strip
        rows = [(element_pointer(context, builder, kind, x, a), s) for a, s in ((at, scale), (at2, scale2))]
        first = element_pointer(context, builder, target, out, to)

        def body(offset: Value, to: Value, lanes: int) -> None:
            element = vector(context.get_value_type(kind.dtype), lanes)
            low, high = (
                _convert(
                    builder, load(builder, builder.gep(row, [offset]), element, 1), pairs=True, center=F32(0), scale=s
                )
                for row, s in rows
            )
            both = builder.or_(low, builder.shl(high, constant(I32, 16, lanes)))
            store(builder, both, builder.gep(first, [to]), 4)

        _runs_or_strips(builder, count, strip, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_panel(typingctx: Any, x: Any, at: Any, stride: Any, out: Any, to: Any, rows: Any) -> Any:
    """Copy rows of a panel's width, of floats of one dtype, `stride` apart from x.flat[at] on, to out.flat[to:]."""
    i = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, stride, out, to, rows = args
        kinds, element = signature.args, context.get_data_type(signature.args[0].dtype)
        source, first = (element_pointer(context, builder, kinds[n], a, b) for n, a, b in ((0, x, at), (3, out, to)))
        with cgutils.for_range(builder, rows) as loop:
            row = builder.gep(source, [builder.mul(loop.index, stride)])
            target = builder.gep(first, [builder.mul(loop.index, I64(TILE.nr))])
            for j in range(0, TILE.nr, TILE.lanes):
                value = load(builder, builder.gep(row, [I64(j)]), vector(element, TILE.lanes), 4)
                store(builder, value, builder.gep(target, [I64(j)]), 4)
        return context.get_dummy_value()

    return types.void(x, i, i, out, i, i), codegen


def _prefetch(builder: Builder, source: Value, count: Value, step: int, keep: int) -> None:
    """Ask for every `step`th element of `count`; keep : 3 for the L1 cache, 2 for the L2 cache."""
    with cgutils.for_range_slice(builder, I64(0), count, I64(step), inc=True) as (offset, _):
        pointer = builder.bitcast(builder.gep(source, [offset]), I8.as_pointer())
        call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, I32(0), I32(keep), I32(1))


@intrinsic
def prefetch(typingctx: Any, x: Any, at: Any, count: Any) -> Any:
    """Ask for the cache lines of x.flat[at : at + count]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, at, count = args
        kind = signature.args[0]
        line = 64 // (kind.dtype.bitwidth // 8)
        _prefetch(builder, element_pointer(context, builder, kind, x, at), count, line, keep=3)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen


@intrinsic
def prefetch_bytes(typingctx: Any, address: Any, size: Any) -> Any:
    """Ask for `size` bytes at an address, into the L2 cache."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _prefetch(builder, builder.inttoptr(args[0], I8.as_pointer()), args[1], 64, keep=2)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen
