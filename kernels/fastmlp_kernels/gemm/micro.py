"""The micro-kernel: a tile of C that stays in registers while the inner dimension runs.

The tile is mr rows by nr = nv * lanes columns. At each step k it reads one row of the packed B (nv vectors) and mr
elements of the packed A, each broadcast to a vector, and issues mr * nv multiply-adds that do not wait for each other.

Elements of the packed operands are units here (see `elements`), so that K counts units. The dtype of the packed arrays
picks the arithmetic and the dtype of C, which is that of the sums.
"""

from typing import Any, NamedTuple

from numba import types
from numba.np.numpy_support import from_dtype

from fastmlp_kernels._llvm import (
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
from fastmlp_kernels._optimizers import emit_step, settings_numbers, slot_pointers
from fastmlp_kernels._target import TILE, Tile
from fastmlp_kernels.gemm.elements import Element, element_of

# What a product does with what C holds: replaces it; goes on from it in the registers, as if both were one long block;
# or is added to it at the end, as sums over millions would not grow by single terms.
REPLACE, GO_ON, ADD = range(3)

# For few rows, of which the usual tile would compute some in vain.
FLAT = Tile(TILE.lanes, max(TILE.mr // 4, 1), 2 * TILE.nv)
# Tiles by the bytes of a sum: that of doubles takes the same registers, and is half as wide.
TILES = {4: TILE, 8: TILE._replace(lanes=TILE.lanes // 2)}
NARROW_TILES = {size: tile._replace(nv=tile.nv // 2) for size, tile in TILES.items()}
FLAT_TILES = {4: FLAT, 8: FLAT._replace(lanes=FLAT.lanes // 2, nv=2 * FLAT.nv)}


def tile_of(element: Element) -> Tile:
    """Return the tile in which an element's sums stay in registers."""
    return TILES[element.accumulator.itemsize]


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


def _multiply(context: Any, builder: Builder, tile: Tile, kinds: Any, args: Any) -> _Block:
    """Emit the loop over the inner dimension; the arguments are those of `micro_kernel`."""
    a, ao, ars, aks, b, bo, bks, c, co, cs, k_end, add = args
    element, lanes = element_of(kinds[0]), tile.lanes
    unit, accumulator = (context.get_data_type(from_dtype(kind)) for kind in (element.unit, element.accumulator))
    sums, row = vector(accumulator, lanes), vector(unit, lanes)
    a_first, b_first, c_first = (
        element_pointer(context, builder, kinds[n], array, at) for n, array, at in ((0, a, ao), (4, b, bo), (7, c, co))
    )
    a_rows = [builder.gep(a_first, [builder.mul(ars, I64(i))]) for i in range(tile.mr)]
    pointers = _vectors(builder, tile, c_first, cs)

    entry = builder.block
    names = ("resume", "k", "done", "join", "end")
    resume, loop, done, join, end = (builder.append_basic_block(name) for name in names)
    builder.cbranch(builder.icmp_signed("==", add, I64(GO_ON)), resume, loop)
    builder.position_at_end(resume)
    before = [load(builder, p, sums, 4) for p in pointers]
    builder.branch(loop)

    # The accumulators are PHI nodes, not memory: so LLVM has no choice but to keep them in registers.
    builder.position_at_end(loop)
    zero = constant(accumulator, 0, lanes)
    k = builder.phi(I64)
    acc = [builder.phi(sums) for _ in pointers]
    for phi, start, other in ((k, I64(0), I64(0)), *zip(acc, [zero] * len(acc), before, strict=True)):
        phi.add_incoming(start, entry)
        phi.add_incoming(other, resume)
    b_row = builder.gep(b_first, [builder.mul(k, bks)])
    b_vectors = [load(builder, builder.gep(b_row, [I64(lanes * j)]), row, 4) for j in range(tile.nv)]
    a_offset = builder.mul(k, aks)
    after = []
    for i in range(tile.mr):
        x = splat(builder, builder.load(builder.gep(a_rows[i], [a_offset])), lanes)
        after += [element.multiply_add(builder, acc[i * tile.nv + j], x, b_vectors[j]) for j in range(tile.nv)]
    following = builder.add(k, I64(1))
    for phi, value in ((k, following), *zip(acc, after, strict=True)):
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, k_end), loop, done)

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
        signature = types.void(a, i, i, i, b, i, i, c, i, i, i, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            tile = tiles[element_of(signature.args[0]).accumulator.itemsize]
            block = _multiply(context, builder, tile, signature.args, args)
            for value, p in zip(block.sums, block.pointers, strict=True):
                store(builder, value, p, 4)
            return context.get_dummy_value()

        return signature, codegen

    return micro


# C <- A B of one tile, or C + A B as `add` says: REPLACE, GO_ON or ADD. The arguments are, for each operand, an array,
# the offset where its part begins, and strides: A's by row and by k, B's by k, C's by row; then the end of k, at least
# 1, and `add`.
micro_kernel = _micro_kernel(TILES)
flat_kernel = _micro_kernel(FLAT_TILES)
# The same for the last columns, where these fill half a tile at most.
narrow_kernel = _micro_kernel(NARROW_TILES)


@intrinsic
def micro_update(
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
    signature = types.void(a, i, i, i, b, i, i, c, i, i, i, i, w, state, i, i, less, i, settings)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        tile = tile_of(element_of(kinds[0]))
        w, state, wo, ws, less, lo, settings = args[12:]
        gradient = _multiply(context, builder, tile, kinds, args[:12]).sums
        kind = gradient[0].type
        if not isinstance(kinds[16], types.NoneType):
            first = element_pointer(context, builder, kinds[16], less, lo)
            row = [load(builder, builder.gep(first, [I64(tile.lanes * j)]), kind, 4) for j in range(tile.nv)]
            gradient = [builder.fsub(g, row[n % tile.nv]) for n, g in enumerate(gradient)]
        numbers = settings_numbers(builder, kinds[18], settings, kind.element, tile.lanes)
        first = element_pointer(context, builder, kinds[12], w, wo)
        slots = slot_pointers(context, builder, kinds[13], state, kinds[18].instance_class.SLOTS, wo)
        places = [_vectors(builder, tile, pointer, ws) for pointer in (first, *slots)]
        for g, *pointers in zip(gradient, *places, strict=True):
            weight, *before = (load(builder, p, kind, 4) for p in pointers)
            weight, after = emit_step(numbers, weight, before, g)
            for value, p in zip((weight, *after), pointers, strict=True):
                store(builder, value, p, 4)
        return context.get_dummy_value()

    return signature, codegen
