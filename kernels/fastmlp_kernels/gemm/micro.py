"""The micro-kernel: a tile of C that stays in registers while the inner dimension runs.

The tile is mr rows by nr = nv * lanes columns. At each step k it reads one row of the packed B (nv vectors) and mr
elements of the packed A, each broadcast to a vector, and issues mr * nv multiply-adds that do not wait for each other.

Elements of the packed operands are units here (see `elements`), so that K counts units. The dtype of the packed arrays
picks the arithmetic and the dtype of C, which is that of the sums.

A left operand of floats need not be packed where it is multiplied row by row: each element is broadcast by itself, so
a tile needs no more than the addresses of its rows.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.numpy_support import from_dtype

from fastmlp_kernels._llvm import (
    I8,
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
from fastmlp_kernels._optimizers import emit_step, settings_numbers, slot_pointers
from fastmlp_kernels._target import TILE, Tile
from fastmlp_kernels.gemm.elements import Element, element_of

# What a product does with what C holds: replaces it; goes on from it in the registers, as if both were one long block;
# or is added to it at the end, as sums over millions would not grow by single terms.
REPLACE, GO_ON, ADD = range(3)

# For few rows, of which the usual tile would compute some in vain: about eight sums, as fewer wait for each other.
_FLAT_MR = max(TILE.mr // 4, 1)
FLAT = Tile(TILE.lanes, _FLAT_MR, 8 // _FLAT_MR)
# Tiles by the bytes of a sum: that of doubles takes the same registers, and is half as wide.
TILES = {4: TILE, 8: TILE._replace(lanes=TILE.lanes // 2)}
NARROW_TILES = {size: tile._replace(nv=tile.nv // 2) for size, tile in TILES.items()}
FLAT_TILES = {4: FLAT, 8: FLAT._replace(lanes=FLAT.lanes // 2)}
NARROW_FLAT_TILES = {size: tile._replace(nv=tile.nv // 2) for size, tile in FLAT_TILES.items()}


def tile_of(element: Element) -> Tile:
    """Return the tile in which an element's sums stay in registers."""
    return TILES[element.accumulator.itemsize]


LINE = 64  # bytes
LINES = 4  # of memory that are asked for at once from each place: one at a time, the loop is left too often


# Forms of a left operand A of units, each with one stride at most that is told at run time, so that the micro-kernel's
# registers suffice for its addresses.
class Packed(NamedTuple):
    """A left operand A packed row by row: element (i, k) is array[at + i * stride + k].

    array : flat, of units
    """

    array: np.ndarray
    at: int
    stride: int


class SideBySide(NamedTuple):
    """A left operand A packed column by column: element (i, k) is array[at + k * stride + i].

    array : flat, of units
    """

    array: np.ndarray
    at: int
    stride: int


class Strips(NamedTuple):
    """A left operand A packed in strips of mr rows, those of a unit side by side: that of row i at array[i * between].

    array : flat, of units
    """

    array: np.ndarray
    between: int


class Picked(NamedTuple):
    """A left operand A of floats that is read where it lies, each row by itself.

    rows : (rows padded to mr or more,) int64, the address of each; those that pad are some row's
    """

    rows: np.ndarray


class _Block(NamedTuple):
    """A tile in registers: where its vectors lie in memory, row by row, and what they hold after the loop."""

    pointers: list[Value]
    sums: list[Value]


def _vectors(builder: Builder, tile: Tile, first: Value, stride: Value) -> list[Value]:
    """Return the addresses of a tile's vectors."""
    return [
        builder.gep(first, [builder.add(builder.mul(stride, I64(i)), I64(tile.lanes * j))])
        for i in range(tile.mr)
        for j in range(tile.nv)
    ]


def _rows_of(
    context: Any, builder: Builder, tile: Tile, kind: Any, left: Value, i: Value, unit: ir.Type
) -> tuple[list[Value], Value]:
    """Return the addresses of a tile's rows in a left operand, from row i on, and the stride along them."""
    form, (array, *numbers) = kind.instance_class, cgutils.unpack_tuple(builder, left)
    if form is Picked:
        first = element_pointer(context, builder, kind[0], array, i)
        places = [builder.load(builder.gep(first, [I64(n)])) for n in range(tile.mr)]
        return [builder.inttoptr(place, unit.as_pointer()) for place in places], I64(1)
    if form is Packed:
        at, stride = numbers
        first = element_pointer(context, builder, kind[0], array, builder.add(at, builder.mul(i, stride)))
        return [builder.gep(first, [builder.mul(stride, I64(n))]) for n in range(tile.mr)], I64(1)
    if form is SideBySide:
        at, stride = numbers
        start = builder.add(at, i)
    else:
        start, stride = builder.mul(i, numbers[0]), I64(tile.mr)
    first = element_pointer(context, builder, kind[0], array, start)
    return [builder.gep(first, [I64(n)]) for n in range(tile.mr)], stride


def _ask_ahead(builder: Builder, ahead: Value, k: Value, k_end: Value, line: int) -> Value:
    """Ask for some lines of memory from each place with a step but 0; return when the next ones are due, or the end."""
    places = [cgutils.unpack_tuple(builder, place) for place in cgutils.unpack_tuple(builder, ahead)]
    for place, step in places:
        with builder.if_then(builder.icmp_signed("!=", step, I64(0))):
            for i in range(LINES):
                offset = builder.mul(builder.add(k, I64(i * line)), step)
                pointer = builder.inttoptr(builder.add(place, offset), I8.as_pointer())
                call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, I32(0), I32(2), I32(1))  # into the L2 cache
    if not places:
        return k_end
    due = builder.add(k, I64(LINES * line))
    return builder.select(builder.icmp_signed("<", due, k_end), due, k_end)


def _ask_for_next(builder: Builder, tile: Tile, first: Value, stride: Value) -> None:
    """Ask for the tile of C below this one: a large C is in no near cache when its sums are wanted."""
    for i in range(tile.mr):
        pointer = builder.bitcast(builder.gep(first, [builder.mul(stride, I64(tile.mr + i))]), I8.as_pointer())
        call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, I32(0), I32(3), I32(1))


def _multiply(context: Any, builder: Builder, tile: Tile, kinds: Any, args: Any) -> _Block:
    """Emit the loop over the inner dimension; the arguments are those of `micro_kernel`."""
    a, ai, b, bo, bks, c, co, cs, k_end, add, ahead = args
    element, lanes = element_of(kinds[2]), tile.lanes
    unit, accumulator = (context.get_data_type(from_dtype(kind)) for kind in (element.unit, element.accumulator))
    sums, row = vector(accumulator, lanes), vector(unit, lanes)
    b_first, c_first = (
        element_pointer(context, builder, kinds[n], array, at) for n, array, at in ((2, b, bo), (5, c, co))
    )
    a_rows, aks = _rows_of(context, builder, tile, kinds[0], a, ai, unit)
    pointers = _vectors(builder, tile, c_first, cs)
    _ask_for_next(builder, tile, c_first, cs)

    entry = builder.block
    names = ("resume", "line", "k", "next", "done", "join", "end")
    resume, line, loop, following, done, join, end = (builder.append_basic_block(name) for name in names)
    builder.cbranch(builder.icmp_signed("==", add, I64(GO_ON)), resume, line)
    builder.position_at_end(resume)
    before = [load(builder, p, sums, 4) for p in pointers]
    builder.branch(line)

    # The accumulators are PHI nodes, not memory: so LLVM has no choice but to keep them in registers.
    kinds_of_state = [I64] + [sums] * len(pointers)
    builder.position_at_end(line)
    zero = constant(accumulator, 0, lanes)
    at_line = [builder.phi(kind) for kind in kinds_of_state]
    for phi, start, other in zip(at_line, [I64(0)] + [zero] * len(pointers), [I64(0), *before], strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(other, resume)
    line_end = _ask_ahead(builder, ahead, at_line[0], k_end, LINE // element.unit.itemsize)
    asked = builder.block
    builder.branch(loop)

    builder.position_at_end(loop)
    k, *acc = state = [builder.phi(kind) for kind in kinds_of_state]
    b_row = builder.gep(b_first, [builder.mul(k, bks)])
    b_vectors = [load(builder, builder.gep(b_row, [I64(lanes * j)]), row, 4) for j in range(tile.nv)]
    a_offset = builder.mul(k, aks)
    after = []
    for i in range(tile.mr):
        x = splat(builder, builder.load(builder.gep(a_rows[i], [a_offset])), lanes)
        after += [element.multiply_add(builder, acc[i * tile.nv + j], x, b_vectors[j]) for j in range(tile.nv)]
    next_k = builder.add(k, I64(1))
    for phi, start, value in zip(state, at_line, [next_k, *after], strict=True):
        phi.add_incoming(start, asked)
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", next_k, line_end), loop, following)

    builder.position_at_end(following)
    for phi, value in zip(at_line, [next_k, *after], strict=True):
        phi.add_incoming(value, following)
    builder.cbranch(builder.icmp_signed("<", next_k, k_end), line, done)

    builder.position_at_end(done)
    builder.cbranch(builder.icmp_signed("==", add, I64(ADD)), join, end)
    builder.position_at_end(join)
    plus = builder.add if element.accumulator.kind == "i" else builder.fadd
    with_before = [plus(load(builder, p, sums, 4), value) for p, value in zip(pointers, after, strict=True)]
    builder.branch(end)
    builder.position_at_end(end)
    totals = [builder.phi(sums) for _ in pointers]
    for phi, alone, both in zip(totals, after, with_before, strict=True):
        phi.add_incoming(alone, done)
        phi.add_incoming(both, join)
    return _Block(pointers, totals)


def _micro_kernel(tiles: dict[int, Tile]) -> Any:
    @intrinsic
    def micro(
        typingctx: Any,
        a: Any,
        ai: Any,
        b: Any,
        bo: Any,
        bks: Any,
        c: Any,
        co: Any,
        cs: Any,
        k_end: Any,
        add: Any,
        ahead: Any,
    ) -> Any:
        i = types.intp
        signature = types.void(a, i, b, i, i, c, i, i, i, i, ahead)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            tile = tiles[element_of(signature.args[2]).accumulator.itemsize]
            block = _multiply(context, builder, tile, signature.args, args)
            for value, p in zip(block.sums, block.pointers, strict=True):
                store(builder, value, p, 4)
            return context.get_dummy_value()

        return signature, codegen

    return micro


# C <- A B of one tile, or C + A B as `add` says: REPLACE, GO_ON or ADD. The arguments are A, in one of its forms, and
# the first of its rows; for B and C an array, the offset where its part begins, and a stride, B's by k,
# C's by row; the end of k, at least 1, and `add`; at last the places to ask for memory ahead (see `ahead`), maybe none.
micro_kernel = _micro_kernel(TILES)
flat_kernel = _micro_kernel(FLAT_TILES)
# The same for the last columns, where these fill half a tile at most.
narrow_kernel = _micro_kernel(NARROW_TILES)
narrow_flat_kernel = _micro_kernel(NARROW_FLAT_TILES)


@intrinsic
def micro_update(
    typingctx: Any,
    a: Any,
    ai: Any,
    b: Any,
    bo: Any,
    bks: Any,
    c: Any,
    co: Any,
    cs: Any,
    k_end: Any,
    add: Any,
    ahead: Any,
    w: Any,
    state: Any,
    wo: Any,
    ws: Any,
    less: Any,
    lo: Any,
    settings: Any,
) -> Any:
    """Multiply as `micro_kernel`; the sums less a row of values are a gradient, with which the weights take a step.

    w, state, settings : as of `_optimizers.Update`; wo, ws : offset and row stride of the tile in w, and in each row of
    the state; less, lo : a row and its offset, or None
    """
    i = types.intp
    signature = types.void(a, i, b, i, i, c, i, i, i, i, ahead, w, state, i, i, less, i, settings)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        tile = tile_of(element_of(kinds[2]))
        w, state, wo, ws, less, lo, settings = args[11:]
        gradient = _multiply(context, builder, tile, kinds, args[:11]).sums
        kind = gradient[0].type
        if not isinstance(kinds[15], types.NoneType):
            first = element_pointer(context, builder, kinds[15], less, lo)
            row = [load(builder, builder.gep(first, [I64(tile.lanes * j)]), kind, 4) for j in range(tile.nv)]
            gradient = [builder.fsub(g, row[n % tile.nv]) for n, g in enumerate(gradient)]
        numbers = settings_numbers(builder, kinds[17], settings, kind.element, tile.lanes)
        first = element_pointer(context, builder, kinds[11], w, wo)
        slots = slot_pointers(context, builder, kinds[12], state, kinds[17].instance_class.SLOTS, wo)
        places = [_vectors(builder, tile, pointer, ws) for pointer in (first, *slots)]
        for g, *pointers in zip(gradient, *places, strict=True):
            weight, *before = (load(builder, p, kind, 4) for p in pointers)
            weight, after = emit_step(numbers, weight, before, g)
            for value, p in zip((weight, *after), pointers, strict=True):
                store(builder, value, p, 4)
        return context.get_dummy_value()

    return signature, codegen
