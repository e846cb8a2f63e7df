"""Gradients of weights, X^T B: products in two parts, the second of which can end in the step of the weights.

Packed arrays are flat, of units (`elements`); blocks c are flat, of accumulators; weights and gradients are float32, or
float64 where these are; corrections and factors are float32, as nothing in float64 has any.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels._convert import prefetch
from fastmlp_kernels._jit import PART, body_of, part
from fastmlp_kernels._optimizers import Update, step1
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.gemm.ahead import Following, following, nothing
from fastmlp_kernels.gemm.blocks import MR, blocking, macro_kernel, width_of
from fastmlp_kernels.gemm.elements import element_of
from fastmlp_kernels.gemm.micro import ADD, REPLACE, SideBySide, Strips, micro_update
from fastmlp_kernels.gemm.pack import pack_columns, per_unit, units_of
from fastmlp_kernels.gemm.panels import NR, ONE, SIDE, ZERO, Maybe, Panels, Work, field_type
from fastmlp_kernels.gemm.tiles import multiply_turned_tiles

# Columns of a left operand are packed in strips, each as wide as a tile is high: a tile's fill half as many cache lines
# there as they do side by side, which is how the tile registers want them. A strip has room for two rows more, or
# all strips would fall into the same L1 sets.
ROOM = 2


@part
def _pack_strips(rows: Rows, columns: tuple[int, int], inner: tuple[int, int], a: np.ndarray) -> None:
    pack_columns(rows, columns, inner, a, ZERO, MR, (blocking(a).kc + ROOM) * MR)


@part
def _strips(a: np.ndarray) -> Strips:
    return Strips(a, blocking(a).kc + ROOM)


@part
def _pack_side_by_side(rows: Rows, columns: tuple[int, int], inner: tuple[int, int], a: np.ndarray) -> None:
    pack_columns(rows, columns, inner, a, ZERO, blocking(a).column_stride, None)


@part
def _side_by_side(a: np.ndarray) -> SideBySide:
    return SideBySide(a, ZERO, blocking(a).column_stride)


def _lie_side_by_side(a: Any) -> bool:
    element = element_of(a)
    return element.per_unit == 4 or element.in_tiles()


def _pack_left(rows: Rows, columns: Any, inner: Any, a: np.ndarray) -> None:
    raise TypeError("columns can only be packed in compiled code")


@overload(_pack_left, jit_options=PART)
def _overload_pack_left(rows, columns, inner, a):
    return body_of(_pack_side_by_side if _lie_side_by_side(a) else _pack_strips)


def _left(a: np.ndarray) -> SideBySide | Strips:
    """Return columns packed in a as a left operand."""
    raise TypeError("packed operands can only be multiplied in compiled code")


@overload(_left, jit_options=PART)
def _overload_left(a):
    return body_of(_side_by_side if _lie_side_by_side(a) else _strips)


@part
def _in_vectors(
    a: np.ndarray, b: Panels, first: int, c: np.ndarray, size: tuple[int, int, int, int], add: int, parts: Following
) -> None:
    macro_kernel(_left(a), b, first, c, size, add, parts)


@part
def _in_tiles(
    a: np.ndarray, b: Panels, first: int, c: np.ndarray, size: tuple[int, int, int, int], add: int, parts: Following
) -> None:
    """Multiply whole tiles in tile registers, the rest in vectors."""
    (rows, columns, depth, width), stride = size, blocking(a).column_stride
    whole = depth // SIDE * SIDE
    if whole > 0:
        multiply_turned_tiles(a, b, first, c, (rows, columns, whole), add != REPLACE)
    if whole < depth:
        rest, rest_size = SideBySide(a, whole * stride, stride), (rows, columns, depth - whole, width)
        macro_kernel(rest, b, first + whole, c, rest_size, ADD if whole > 0 else add, nothing())


def multiply_packed_columns(
    a: np.ndarray, b: Panels, first: int, c: np.ndarray, size: Any, add: int, parts: Following
) -> None:
    """c <- A B, or c + A B, for packed columns A, in the best instructions.

    a : flat, of units, packed columns; the other arguments as in `macro_kernel`
    """
    raise TypeError("packed operands can only be multiplied in compiled code")


@overload(multiply_packed_columns, jit_options=PART)
def _overload_packed_columns(a, b, first, c, size, add, parts):
    return body_of(_in_vectors if isinstance(field_type(b, "by_column"), types.NoneType) else _in_tiles)


class Columns(NamedTuple):
    """An unfinished product X^T B: c holds all but the last block of the inner dimension, for which A is packed.

    first, depth : first unit of b and number of units of the last block; add : as in `macro_kernel`
    """

    b: Panels
    first: int
    depth: int
    add: int


@part
def begin_columns(
    rows: Rows, columns: tuple[int, int], inner: tuple[int, int], b: Panels, width: int, work: Work
) -> Columns:
    """Begin c <- rows `columns` (at most mc) of X^T B, all of one channel; width : columns of B.

    inner : range of rows of X and B, from a whole number of units on
    """
    per = per_unit(b.array)
    step = blocking(b.array).kc * per
    product = Columns(b, ZERO, ZERO, ZERO)
    for k in range(inner[0], inner[1], step):
        block = (k, min(k + step, inner[1]))
        _multiply(product, columns[1] - columns[0], width, width_of(width), work, following(rows, block, columns))
        _pack_left(rows, columns, block, work.a)
        product = Columns(b, k // per, units_of(block[1] - k, b.array), ADD if k > inner[0] else REPLACE)
    return product


@part
def end_columns(product: Columns, rows: int, width: int, stride: int, work: Work) -> None:
    """Finish a product in c (rows, width); stride : as of `macro_kernel`, from row to row of c."""
    _multiply(product, rows, width, stride, work, nothing())


@part
def _multiply(product: Columns, rows: int, width: int, stride: int, work: Work, parts: Following) -> None:
    b, first, depth, add = product
    if depth > 0:
        alone = Panels(b.array, b.at, b.panel, b.stride, None, None, b.by_column)  # whatever corrects the product
        multiply_packed_columns(work.a, alone, first, work.c, (rows, width, depth, stride), add, parts)


@part
def _corrected(g: Any, less: Maybe, factor: Maybe, j: int) -> Any:
    """Return an element of a gradient: (g - less[j]) * factor[j], without what is None."""
    if less is not None:
        g -= less[j]
    if factor is not None:
        g *= factor[j]
    return g


@part
def update_weights(
    c: np.ndarray, stride: int, rows: tuple[int, int], less: Maybe, factor: Maybe, update: Update
) -> None:
    """In place: `rows` of the weights (D, H) take a step with the gradient (c - less) * factor.

    c : flat block (rows, H), of this stride from row to row
    less, factor : (H,) or longer, or None: the correction for raw images' centers, and the steps of bytes
    """
    kind, count, columns = update.parameters.dtype.type, rows[1] - rows[0], update.columns
    first = update.first + rows[0] * columns
    if stride == columns and less is None and factor is None:
        count, columns = ONE, count * columns  # rows without gaps are one long row, of full vectors
    for r in range(count):
        row, at = vector_at(c, r * stride, columns), first + r * columns
        for j in range(columns):
            g = _corrected(kind(row[j]), less, factor, j)
            step1(update.parameters, update.state, at + j, g, update.settings)


@part
def keep_gradient(c: np.ndarray, rows: tuple[int, int], less: Maybe, factor: Maybe, gradient: np.ndarray) -> None:
    """`rows` of the gradient (D, H) <- (c - less) * factor, as in `update_weights`."""
    kind, count, columns = gradient.dtype.type, rows[1] - rows[0], gradient.shape[1]
    width = width_of(columns)
    for r in range(count):
        row, target = vector_at(c, r * width, columns), vector_at(gradient, (rows[0] + r) * columns, columns)
        for j in range(columns):
            target[j] = _corrected(kind(row[j]), less, factor, j)


@part
def _update_at_the_end(product: Columns, rows: tuple[int, int], update: Update, work: Work, parts: Following) -> None:
    b, columns = product.b, update.columns
    stride = columns if product.add == REPLACE and b.by_column is None else width_of(columns)
    _multiply(product, rows[1] - rows[0], columns, stride, work, parts)
    update_weights(work.c, stride, rows, b.sums, b.steps, update)


@part
def _update_in_registers(product: Columns, rows: tuple[int, int], update: Update, work: Work, parts: Following) -> None:
    b, first, depth, add = product
    w, state, settings = update.parameters, update.state, update.settings
    count, columns = rows[1] - rows[0], update.columns
    width, nr, kc = width_of(columns), blocking(b.array).nr, blocking(b.array).kc
    # As the tiles leave the registers, where all are whole and the panels of B leave room in the L1 cache, so that the
    # weights can be taken in the order they lie in.
    if 0 < 2 * depth * width <= kc * NR and columns == width and count % MR == 0:
        a = _left(work.a)
        for i in range(0, count, MR):
            row = update.first + (rows[0] + i) * columns
            for j in range(0, columns, nr):
                following = row + MR * columns + j * MR
                prefetch(w, following, nr * MR)
                for slot in range(state.shape[0]):
                    prefetch(state, slot * state.shape[1] + following, nr * MR)
                at = b.at + j // NR * b.panel + first * NR + j % NR
                micro_update(
                    a, i, b.array, at, NR, work.c, i * width + j, width, depth, add, (),
                    w, state, row + j, columns, b.sums, j, settings,
                )  # fmt: skip
    else:
        _update_at_the_end(product, rows, update, work, parts)


def update_columns(product: Columns, rows: Any, update: Update, work: Work, parts: Following) -> None:
    """Finish a product, corrected for raw images, and take a step of the weights (D, H) with it as gradient.

    rows : of the weights; parts : what follows, as of `macro_kernel`
    """
    raise TypeError("packed operands can only be multiplied in compiled code")


@overload(update_columns, jit_options=PART)
def _overload_update_columns(product, rows, update, work, parts):
    element = element_of(field_type(field_type(product, "b"), "array"))
    in_registers = element.accumulator == element.storage and not element.in_tiles()
    return body_of(_update_in_registers if in_registers else _update_at_the_end)


@part
def end_gradient(product: Columns, rows: tuple[int, int], gradient: np.ndarray, work: Work) -> None:
    """Finish a product, corrected for raw images, and write it to `rows` of the gradient (D, H)."""
    columns = gradient.shape[1]
    end_columns(product, rows[1] - rows[0], columns, width_of(columns), work)
    keep_gradient(work.c, rows, product.b.sums, product.b.steps, gradient)
