"""Products of bytes and bfloat16 in Intel's tile registers (AMX), of 16 rows of 64 bytes, far faster than in vectors.

One instruction multiplies a tile of A, 16 rows by 16 units, by a tile of B, 16 units by 16 columns, and adds to a tile
of C, 16 by 16 sums of 32 bits; the units are those of `pack`, quads of bytes or pairs of bfloat16. Four tiles of C are
under way at once, and each tile of A and of B that is loaded serves two products.

B has to lie unit by unit with columns side by side, and A row by row: packed panels and packed rows do. Columns that
are woven into units (`pack.pack_columns`) lie as a B, not as an A: so the product X^T E is formed as (E^T X)^T, from E
column by column, and turned back as it leaves the tiles.

Sums of bfloat16 are float32. An instruction adds up the products of the even elements of its 16 pairs, those of the odd
ones, both, and only then adds to C; what is subnormal counts as zero.

A thread sets up the tiles' shapes before it uses them and clears them afterwards, or else the system would have to
save 8 KiB of them whenever another thread gets the core.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp_kernels._jit import part
from fastmlp_kernels._llvm import (
    I8,
    I32,
    I64,
    Builder,
    Value,
    call,
    element_pointer,
    intrinsic,
    load,
    store,
    vector,
)
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.gemm.blocks import blocking
from fastmlp_kernels.gemm.elements import element_of
from fastmlp_kernels.gemm.panels import NR, SIDE, Maybe, Panels

BLOCK = 2 * SIDE  # of C under way at once
SUMS, ROWS, COLUMNS = (0, 1, 2, 3), (4, 5), (6, 7)  # the eight registers
# Units that a pass goes through, so that a block of A and one of B stay together in the L1 cache.
DEEP = 256

# palette 1; at byte 16 each tile's bytes in a row, two bytes a tile; at byte 48 its rows
_SHAPES = bytes([1] + [0] * 15 + [4 * SIDE, 0] * 8 + [0] * 16 + [SIDE] * 8 + [0] * 8)


def tiles(builder: Builder, name: str, *arguments: Value) -> None:
    """Emit an instruction for tiles; those among the arguments are the registers' numbers."""
    call(builder, f"llvm.x86.{name}", ir.VoidType(), *arguments)


def _bytes_at(builder: Builder, first: Value, offset: Value) -> Value:
    return builder.bitcast(builder.gep(first, [offset]), I8.as_pointer())


@intrinsic
def begin_tiles(typingctx: Any) -> Any:
    """Configure the tile registers of this thread."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        shapes = cgutils.global_constant(builder, "amx_shapes", ir.Constant(ir.ArrayType(I8, 64), bytearray(_SHAPES)))
        tiles(builder, "ldtilecfg", builder.bitcast(shapes, I8.as_pointer()))
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def end_tiles(typingctx: Any) -> Any:
    """Release the tile registers of this thread."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tiles(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


def _multiply(builder: Builder, product: str, a: Value, ars: Value, b: Value, bks: Value, steps: Value) -> None:
    """Add A B to the tiles of C, for `steps` times 16 units; ars, bks : units from row to row."""
    row, column = builder.mul(ars, I64(4)), builder.mul(bks, I64(4))
    with cgutils.for_range(builder, steps) as loop:
        k = builder.mul(loop.index, I64(SIDE))
        b_first = builder.gep(b, [builder.mul(k, bks)])
        for j, tile in enumerate(COLUMNS):
            tiles(builder, "tileloadd64", I8(tile), _bytes_at(builder, b_first, I64(SIDE * j)), column)
        for i, tile in enumerate(ROWS):
            at = builder.add(builder.mul(ars, I64(SIDE * i)), k)
            tiles(builder, "tileloadd64", I8(tile), _bytes_at(builder, a, at), row)
            for j, other in enumerate(COLUMNS):
                tiles(builder, product, I8(SUMS[2 * i + j]), I8(tile), I8(other))


def _turn(builder: Builder, rows: list[Value]) -> list[Value]:
    """Return the transpose of a square of vectors: halves of pairs change places, then quarters, and so on."""
    lanes = len(rows)
    for half in (1 << bit for bit in range(lanes.bit_length() - 1)):
        for i in range(lanes):
            if not i & half:
                low, high = rows[i], rows[i + half]
                first = [lane if not lane & half else lanes + lane - half for lane in range(lanes)]
                second = [lanes + lane if lane & half else lane + half for lane in range(lanes)]
                for at, order in ((i, first), (i + half, second)):
                    rows[at] = builder.shuffle_vector(low, high, ir.Constant(vector(I32, lanes), order))
    return rows


@intrinsic
def turn_square(typingctx: Any, x: Any, xo: Any, xs: Any, out: Any, to: Any, stride: Any) -> Any:
    """out[to + i * stride + j] <- x[xo + j * xs + i] for i and j up to 16; elements of 4 bytes."""
    i = types.intp
    signature = types.void(x, i, i, out, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (element_pointer(context, builder, signature.args[n], args[n], args[n + 1]) for n in (0, 3))
        rows = [
            load(builder, builder.gep(source, [builder.mul(args[2], I64(n))]), vector(I32, SIDE), 4)
            for n in range(SIDE)
        ]
        for n, row in enumerate(_turn(builder, rows)):
            store(builder, row, builder.gep(target, [builder.mul(args[5], I64(n))]), 4)
        return context.get_dummy_value()

    return signature, codegen


def _place(builder: Builder, c: Value, cs: Value, i: int, j: int) -> Value:
    """Return where row 16 i and column 16 j of a block of C lie; cs : elements from row to row."""
    return builder.gep(c, [builder.add(builder.mul(cs, I64(SIDE * i)), I64(SIDE * j))])


def _move_sums(builder: Builder, move: str, c: Value, cs: Value) -> None:
    """Load the tiles of C, or store them."""
    for tile in SUMS:
        place = builder.bitcast(_place(builder, c, cs, tile // 2, tile % 2), I8.as_pointer())
        tiles(builder, move, I8(tile), place, builder.mul(cs, I64(4)))


def _store_turned(builder: Builder, c: Value, cs: Value, add: Value) -> None:
    """Store the transposes of the tiles of C, or add them to C."""
    accumulator = c.type.pointee
    kind, plus = vector(accumulator, SIDE), builder.add if accumulator == I32 else builder.fadd
    square = cgutils.alloca_once(builder, ir.ArrayType(accumulator, SIDE * SIDE))
    square = builder.bitcast(square, accumulator.as_pointer())
    for tile in SUMS:
        tiles(builder, "tilestored64", I8(tile), _bytes_at(builder, square, I64(0)), I64(4 * SIDE))
        turned = _turn(builder, [load(builder, builder.gep(square, [I64(SIDE * n)]), kind, 4) for n in range(SIDE)])
        at = _place(builder, c, cs, tile % 2, tile // 2)
        targets = [builder.gep(at, [builder.mul(cs, I64(n))]) for n in range(SIDE)]
        with builder.if_else(add) as (resume, begin):
            with resume:
                for row, target in zip(turned, targets, strict=True):
                    store(builder, plus(row, load(builder, target, kind, 4)), target, 4)
            with begin:
                for row, target in zip(turned, targets, strict=True):
                    store(builder, row, target, 4)


def _block_kernel(*, turned: bool) -> Any:
    @intrinsic
    def kernel(
        typingctx: Any,
        a: Any,
        ao: Any,
        ars: Any,
        b: Any,
        bo: Any,
        bks: Any,
        c: Any,
        co: Any,
        cs: Any,
        steps: Any,
        add: Any,
    ) -> Any:
        i = types.intp
        signature = types.void(a, i, i, b, i, i, c, i, i, i, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            product = element_of(kinds[0]).tile_products[turned]
            a, b, c = (element_pointer(context, builder, kinds[n], args[n], args[n + 1]) for n in (0, 3, 6))
            cs, steps, add = args[8:]
            for tile in SUMS:
                tiles(builder, "tilezero", I8(tile))
            if not turned:
                with builder.if_then(add):
                    _move_sums(builder, "tileloadd64", c, cs)
            _multiply(builder, product, a, args[2], b, args[5], steps)
            if turned:
                _store_turned(builder, c, cs, add)
            else:
                _move_sums(builder, "tilestored64", c, cs)
            return context.get_dummy_value()

        return signature, codegen

    return kernel


# C <- A B of one block, or C + A B where `add`. The arguments are, for each operand, an array, the offset where its
# part begins, and its stride from row to row, B's from unit to unit; then how many times 16 units the inner dimension
# has, and `add`.
_kernel = _block_kernel(turned=False)
# C <- (A B)^T, or C + (A B)^T: of bytes, A's are the signed ones here.
_turned_kernel = _block_kernel(turned=True)


@part
def multiply_tiles(a: np.ndarray, b: Panels, first: int, c: np.ndarray, size: tuple[int, int, int], add: bool) -> None:
    """`macro_kernel` for packed rows a and panels of such units; size[2] : a multiple of 16 units.

    c is written in whole blocks.
    """
    (rows, columns, depth), stride = size, blocking(a).row_stride
    width = (columns + NR - 1) // NR * NR
    begin_tiles()
    for k in range(0, depth, DEEP):
        steps = min(DEEP, depth - k) // SIDE
        for i in range(0, rows, BLOCK):
            for j in range(0, columns, NR):
                at = b.at + j // NR * b.panel + (first + k) * NR
                _kernel(
                    a, i * stride + k, stride, b.array, at, NR, c, i * width + j, width, steps, add or k > 0
                )  # fmt: skip
    end_tiles()


@part
def multiply_turned_tiles(
    x: np.ndarray, b: Panels, first: int, c: np.ndarray, size: tuple[int, int, int], add: bool
) -> None:
    """c (rows, columns padded to nr) <- X^T E, or c + X^T E, in whole blocks; size[2] : a multiple of 16 units.

    x : flat, packed columns of X, in the stride of `blocks`; b : E, of which `by_column` is read; c : flat sums
    """
    rows, columns, depth = size
    width = (columns + NR - 1) // NR * NR
    stride, past = b.by_column.shape[1], blocking(x).column_stride
    at = b.at // b.panel * NR * stride + first
    begin_tiles()
    for i in range(0, rows, BLOCK):
        for j in range(0, columns, NR):
            _turned_kernel(
                b.by_column, at + j * stride, stride, x, i, past, c, i * width + j, width, depth // SIDE, add
            )  # fmt: skip
    end_tiles()


@part
def turn_panel(packed: np.ndarray, at: int, units: int, out: np.ndarray, to: int, stride: int) -> None:
    """Transpose a panel: each of its columns, from packed[at] on, becomes a row, from out[to] on.

    packed, out : flat, of units of 4 bytes; units : of the panel; stride : from row to row of out
    """
    whole = units // SIDE * SIDE
    for k in range(0, whole, SIDE):
        for j in range(0, NR, SIDE):
            turn_square(packed, at + k * NR + j, NR, out, to + j * stride + k, stride)
    for k in range(whole, units):
        for j in range(NR):
            out[to + j * stride + k] = packed[at + k * NR + j]


@part
def _turn_panels(b: Panels, by_column: Maybe, columns: tuple[int, int], first: int, units: int) -> None:
    if by_column is not None:
        stride = by_column.shape[1]
        for j in range(columns[0], columns[1], NR):
            at, row = b.at + j // NR * b.panel + first * NR, b.at // b.panel * NR + j
            turn_panel(b.array, at, units, vector_at(by_column, 0, by_column.size), row * stride + first, stride)


@part
def keep_by_column(b: Panels, columns: tuple[int, int], first: int, units: int) -> None:
    """Update `b.by_column`, if it is not None, from these columns of b, `units` of them from unit `first` on."""
    _turn_panels(b, b.by_column, columns, first, units)
