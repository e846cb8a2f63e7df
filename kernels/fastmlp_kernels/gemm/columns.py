"""Gradients of weights, X^T B: products in two parts, so that the end can be the step that the weights take."""

from typing import NamedTuple

import numpy as np

from fastmlp_kernels._convert import prefetch
from fastmlp_kernels._jit import part
from fastmlp_kernels._optimizers import Update, step1
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.gemm.blocks import COLUMN_STRIDE, KC, MR, macro_kernel, store_rows, units_of
from fastmlp_kernels.gemm.micro import ADD, REPLACE, micro_update
from fastmlp_kernels.gemm.pack import NR, ONE, ZERO, Maybe, pack_columns, per_unit


class Columns(NamedTuple):
    """A product X^T B under way: all is in C but the last block along the inner dimension, of which A is packed.

    b, at, panel : the right operand, as for `macro_kernel`; depth : units of the last block; add : what it does with C
    """

    b: np.ndarray
    at: int
    panel: int
    depth: int
    add: int


@part
def begin_columns(
    x: np.ndarray,
    index: np.ndarray,
    center: Maybe,
    scale: Maybe,
    columns: tuple[int, int],
    n: int,
    b: np.ndarray,
    at: int,
    panel: int,
    width: int,
    a: np.ndarray,
    c: np.ndarray,
) -> Columns:
    """Begin C <- rows `columns` (at most mc) of X^T B, for n rows of X as in `multiply_rows`, all of one channel."""
    per = per_unit(b)
    product = Columns(b, at, panel, ZERO, ZERO)
    for k in range(0, n, KC * per):
        end_columns(product, columns[1] - columns[0], width, a, c)
        inner = (k, min(k + KC * per, n))
        pack_columns(x, index, center, scale, columns, inner, a, ZERO, COLUMN_STRIDE)
        product = Columns(b, at + k // per * NR, panel, units_of(inner[1] - inner[0], b), ADD if k > 0 else REPLACE)
    return product


@part
def end_columns(product: Columns, rows: int, width: int, a: np.ndarray, c: np.ndarray) -> None:
    """Finish the product: C (rows, width padded to nr) gets its last part, if there is one."""
    b, at, panel, depth, add = product
    if depth > 0:
        macro_kernel(a, (ONE, COLUMN_STRIDE), rows, b, at, panel, NR, c, width, depth, add)


@part
def update_weights(
    c: np.ndarray,
    rows: tuple[int, int],
    less: Maybe,
    factor: Maybe,
    update: Update,
) -> None:
    """In place: `rows` of the weights (D, H) take a step with (C - less) * factor as gradient.

    less, factor : (H,) or longer, or None
    """
    count, columns = rows[1] - rows[0], update.columns
    width = (columns + NR - 1) // NR * NR
    for r in range(count):
        row, at = vector_at(c, r * width, columns), update.first + (rows[0] + r) * columns
        for j in range(columns):
            g = np.float32(row[j])
            if less is not None:
                g -= less[j]
            if factor is not None:
                g *= factor[j]
            step1(update.parameters, update.state, at + j, g, update.settings)


@part
def keep_gradient(c: np.ndarray, rows: tuple[int, int], less: Maybe, factor: Maybe, gradient: np.ndarray) -> None:
    """`rows` of the gradient (D, H) <- (C - less) * factor, as in `update_weights`."""
    store_rows(c, rows, gradient)
    if less is not None:
        for r in range(rows[0], rows[1]):
            for j in range(gradient.shape[1]):
                gradient[r, j] -= less[j]
                if factor is not None:
                    gradient[r, j] *= factor[j]


@part
def update_columns(
    product: Columns,
    rows: tuple[int, int],
    less: Maybe,
    update: Update,
    a: np.ndarray,
    c: np.ndarray,
) -> None:
    """Finish the product and take it, less a row of values, as the gradient of a step of the weights (D, H).

    rows : of the weights; less : (H,) or longer, or None
    """
    b, at, panel, depth, add = product
    w, state, settings = update.parameters, update.state, update.settings
    count, columns = rows[1] - rows[0], update.columns
    width = (columns + NR - 1) // NR * NR
    # As the tiles leave the registers, where all are whole and the panels of B leave room in the L1 cache, so that the
    # weights can be taken in the order they lie in.
    if 0 < 2 * depth * width <= KC * NR and columns == width and count % MR == 0:
        for i in range(0, count, MR):
            row = update.first + (rows[0] + i) * columns
            for j in range(0, columns, NR):
                following = row + MR * columns + j * MR
                prefetch(w, following, NR * MR)
                for slot in range(state.shape[0]):
                    prefetch(state, slot * state.shape[1] + following, NR * MR)
                micro_update(
                    a, i, ONE, COLUMN_STRIDE, b, at + j // NR * panel, NR, c, i * width + j, width, depth, add,
                    w, state, row + j, columns, less, j, settings,
                )  # fmt: skip
    else:
        end_columns(product, count, columns, a, c)
        update_weights(c, rows, less, None, update)
