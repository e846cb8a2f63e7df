"""Runs of bytes on their way into packed quads: intrinsics, in vectors as wide as the CPU has; see `quantize`."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp_kernels._convert import runs
from fastmlp_kernels._llvm import (
    F32,
    I8,
    I16,
    I32,
    I64,
    Builder,
    Value,
    constant,
    element_pointer,
    intrinsic,
    load,
    splat,
    store,
    vector,
)
from fastmlp_kernels._target import TILE
from fastmlp_kernels.gemm.elements import ELEMENTS

# 1.5 * 2^23: a float32 of magnitude up to 2^22 that is added to it is rounded to an integer, which are its lowest bits.
_ROUNDER = 12582912.0


def _interleave(builder: Builder, a: Value, b: Value) -> Value:
    lanes = a.type.count
    order = [i + half * lanes for i in range(lanes) for half in (0, 1)]
    return builder.shuffle_vector(a, b, ir.Constant(vector(I32, 2 * lanes), order))


@intrinsic
def weave_run(typingctx: Any, x: Any, at: Any, at2: Any, at3: Any, at4: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to + i] <- the bytes x.flat[at + i], x.flat[at2 + i], x.flat[at3 + i], x.flat[at4 + i]."""
    i = types.intp
    signature = types.void(x, i, i, i, i, out, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, *starts, out, to, count = args
        rows = [element_pointer(context, builder, signature.args[0], x, at) for at in starts]
        first = element_pointer(context, builder, signature.args[5], out, to)

        def body(offset: Value, lanes: int) -> None:
            a, b, c, d = (load(builder, builder.gep(row, [offset]), vector(I8, lanes), 1) for row in rows)
            low, high = (builder.bitcast(_interleave(builder, *pair), vector(I16, lanes)) for pair in ((a, b), (c, d)))
            store(builder, _interleave(builder, low, high), builder.gep(first, [offset]), 4)

        runs(builder, count, body, (4 * TILE.lanes, 4, 1))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def round_four_runs(
    typingctx: Any,
    x: Any,
    at: Any,
    scale: Any,
    at2: Any,
    scale2: Any,
    at3: Any,
    scale3: Any,
    at4: Any,
    scale4: Any,
    inverse: Any,
    io: Any,
    out: Any,
    to: Any,
    count: Any,
) -> Any:
    """Round `count` elements of four rows, times their row's scale and their column's inverse, to bytes in out[to:]."""
    i, f = types.intp, types.float32
    signature = types.void(x, i, f, i, f, i, f, i, f, inverse, i, out, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        rows = [(element_pointer(context, builder, kinds[0], args[0], args[n]), args[n + 1]) for n in (1, 3, 5, 7)]
        columns = element_pointer(context, builder, kinds[9], args[9], args[10])
        first = element_pointer(context, builder, kinds[11], args[11], args[12])

        def body(offset: Value, lanes: int) -> None:
            kind, units = vector(F32, lanes), vector(I32, lanes)
            inverse = load(builder, builder.gep(columns, [offset]), kind, 4)
            unit = constant(I32, 0, lanes)
            for n, (row, scale) in enumerate(rows):
                value = load(builder, builder.gep(row, [offset]), kind, 4)
                value = builder.fmul(builder.fmul(value, splat(builder, scale, lanes)), inverse)
                bits = builder.bitcast(builder.fadd(value, constant(F32, _ROUNDER, lanes)), units)
                byte = builder.and_(bits, constant(I32, 0xFF, lanes))
                unit = builder.or_(unit, builder.shl(byte, constant(I32, 8 * n, lanes)))
            store(builder, unit, builder.gep(first, [offset]), 4)

        runs(builder, args[13], body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def sum_panel(typingctx: Any, packed: Any, at: Any, units: Any, sums: Any) -> Any:
    """Add to float32 sums (nr,) the columns of one panel from packed[at] on: its product with ones."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        packed, at, units, sums = args
        kind, element = vector(I32, TILE.lanes), ELEMENTS["int8"]
        zero, ones = (constant(I32, value, TILE.lanes) for value in (0, 0x01010101))
        source = element_pointer(context, builder, signature.args[0], packed, at)
        target = element_pointer(context, builder, signature.args[3], sums, I64(0))
        totals = [cgutils.alloca_once_value(builder, zero) for _ in range(TILE.nv)]
        with cgutils.for_range_slice(builder, I64(0), builder.mul(units, I64(TILE.nr)), I64(TILE.nr), inc=True) as (
            k,
            _,
        ):
            for j, total in enumerate(totals):
                b = load(builder, builder.gep(source, [builder.add(k, I64(TILE.lanes * j))]), kind, 4)
                builder.store(element.multiply_add(builder, builder.load(total), ones, b), total)
        for j, total in enumerate(totals):
            p, floats = builder.gep(target, [I64(TILE.lanes * j)]), vector(F32, TILE.lanes)
            value = builder.sitofp(builder.load(total), floats)
            store(builder, builder.fadd(load(builder, p, floats, 4), value), p, 4)
        return context.get_dummy_value()

    return types.void(packed, types.intp, types.intp, sums), codegen
