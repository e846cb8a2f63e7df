"""The micro-kernel: a tile of C that stays in registers while the inner dimension runs.

The tile is mr rows by nr = nv * lanes columns. At each step k it reads one row of the packed B (nv vectors) and mr
elements of the packed A, each broadcast to a vector, and issues mr * nv multiply-adds that do not wait for each other.

"Element" means a unit of 4 bytes here: one float32, or a pair of bfloat16 that are neighbours along the inner dimension
(the even one in the low half), so that K counts units. The dtype of the packed arrays picks the arithmetic: float32, or
int32 for pairs of bfloat16. A third kind (four 8-bit integers a unit, int32 accumulators) needs one more entry below.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types

from fastmlp_kernels._llvm import (
    BF16,
    F32,
    I32,
    I64,
    Builder,
    Value,
    call,
    constant,
    element_pointer,
    intrinsic,
    load,
    multiply_add,
    splat,
    store,
    vector,
)
from fastmlp_kernels._target import BFLOAT16_IN_HARDWARE, TILE


class Element(NamedTuple):
    """What the micro-kernel must know of a kind of unit: its LLVM type, that of a sum, and acc + a * b of vectors."""

    unit: ir.Type
    accumulator: ir.Type
    multiply_add: Callable[[Builder, Value, Value, Value], Value]


def _float32_multiply_add(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    return multiply_add(builder, a, b, acc)


def _bfloat16_pairs_in_hardware(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    lanes = acc.type.count
    pairs = vector(BF16, 2 * lanes)
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}"
    return call(builder, name, acc.type, acc, builder.bitcast(a, pairs), builder.bitcast(b, pairs))


def _bfloat16_pairs_in_float32(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    # A bfloat16 is the upper half of a float32: a shift widens the even one, a mask the odd one, without error.
    lanes = acc.type.count
    shift, mask = constant(I32, 16, lanes), constant(I32, 0xFFFF0000, lanes)
    for widen in (lambda x: builder.shl(x, shift), lambda x: builder.and_(x, mask)):
        acc = multiply_add(builder, builder.bitcast(widen(a), acc.type), builder.bitcast(widen(b), acc.type), acc)
    return acc


_bfloat16_pairs = _bfloat16_pairs_in_hardware if BFLOAT16_IN_HARDWARE else _bfloat16_pairs_in_float32

# by the dtype of the packed arrays
ELEMENTS = {
    types.float32: Element(F32, F32, _float32_multiply_add),
    types.int32: Element(I32, F32, _bfloat16_pairs),
}


def _emit(builder: Builder, element: Element, mr: int, a: Any, b: Any, c: Any, k_end: Value, add: Value) -> None:
    """Emit the loop. a: (pointer, row stride, k stride); b: (pointer, k stride); c: (pointer, row stride)."""
    lanes, nv = TILE.lanes, TILE.nv
    sums, row = vector(element.accumulator, lanes), vector(element.unit, lanes)
    a_rows = [builder.gep(a[0], [builder.mul(a[1], I64(i))]) for i in range(mr)]
    tile = [
        builder.gep(c[0], [builder.add(builder.mul(c[1], I64(i)), I64(lanes * j))])
        for i in range(mr)
        for j in range(nv)
    ]

    entry = builder.block
    resume, loop, done = (builder.append_basic_block(name) for name in ("resume", "k", "done"))
    builder.cbranch(add, resume, loop)
    builder.position_at_end(resume)
    before = [load(builder, p, sums, 4) for p in tile]
    builder.branch(loop)

    # The accumulators are PHI nodes, not memory: so LLVM has no choice but to keep them in registers.
    builder.position_at_end(loop)
    zero = constant(element.accumulator, 0, lanes)
    k = builder.phi(I64)
    acc = [builder.phi(sums) for _ in tile]
    for phi, start, other in ((k, I64(0), I64(0)), *zip(acc, [zero] * len(acc), before, strict=True)):
        phi.add_incoming(start, entry)
        phi.add_incoming(other, resume)
    b_row = builder.gep(b[0], [builder.mul(k, b[1])])
    b_vectors = [load(builder, builder.gep(b_row, [I64(lanes * j)]), row, 4) for j in range(nv)]
    a_offset = builder.mul(k, a[2])
    after = []
    for i in range(mr):
        x = splat(builder, builder.load(builder.gep(a_rows[i], [a_offset])), lanes)
        after += [element.multiply_add(builder, acc[i * nv + j], x, b_vectors[j]) for j in range(nv)]
    following = builder.add(k, I64(1))
    for phi, value in ((k, following), *zip(acc, after, strict=True)):
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, k_end), loop, done)

    builder.position_at_end(done)
    for value, p in zip(after, tile, strict=True):
        store(builder, value, p, 4)


def _micro_kernel(mr: int) -> Any:
    @intrinsic
    def micro(
        typingctx: Any,
        a: Any,
        ao: Any,
        ars: Any,
        aks: Any,
        b: Any,
        bo: Any,
        bks: Any,
        c: Any,
        co: Any,
        cs: Any,
        k_end: Any,
        add: Any,
    ) -> Any:
        i = types.intp
        signature = types.void(a, i, i, i, b, i, i, c, i, i, i, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, ao, ars, aks, b, bo, bks, c, co, cs, k_end, add = args
            kinds = signature.args
            _emit(
                builder, ELEMENTS[kinds[0].dtype], mr,
                (element_pointer(context, builder, kinds[0], a, ao), ars, aks),
                (element_pointer(context, builder, kinds[4], b, bo), bks),
                (element_pointer(context, builder, kinds[7], c, co), cs),
                k_end, add,
            )  # fmt: skip
            return context.get_dummy_value()

        return signature, codegen

    return micro


micro_kernel = _micro_kernel(TILE.mr)
