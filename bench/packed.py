"""This package's products without their packing, and with all that a training step does for them.

The compiled bodies are the package's own; here only their arrays are made beforehand, as for a training run, where the
public functions of `fastmlp_kernels.gemm` make them in each call.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fastmlp_kernels._jit import kernel
from fastmlp_kernels._team import Team, next_task
from fastmlp_kernels._views import no_index
from fastmlp_kernels.activations import CODES
from fastmlp_kernels.gemm import PRECISIONS
from fastmlp_kernels.gemm.blocks import (
    COLUMN_STRIDE,
    KC,
    MC,
    ROW_STRIDE,
    a_elements,
    c_elements,
    macro_kernel,
    padded,
    store_rows,
    units_of,
)
from fastmlp_kernels.gemm.pack import NR, pack_columns, pack_panels, pack_rows, per_unit
from fastmlp_kernels.gemm.products import Source, Work, dense_forward, dense_update

if TYPE_CHECKING:
    from bench.products import Operands

BLOCK = a_elements()  # room for one packed block of the left operand


@kernel
def _pack_left(x: np.ndarray, transposed: bool, a: np.ndarray, blocks: int) -> None:
    """Pack so many blocks of mc rows by kc units of the left operand, which is x or its transpose, one by one."""
    deep = KC * per_unit(a)
    m, k = (x.shape[1], x.shape[0]) if transposed else x.shape
    at = 0
    for i in range(0, m, MC):
        for j in range(0, k, deep):
            if at == blocks * BLOCK:
                return
            rows, inner, block = (i, min(i + MC, m)), (j, min(j + deep, k)), a[at : at + BLOCK]
            if transposed:
                pack_columns(x, no_index(), None, None, rows, inner, block, 0, COLUMN_STRIDE)
            else:
                pack_rows(x, no_index(), None, None, rows, inner, block, ROW_STRIDE)
            at += BLOCK


@kernel
def _pack_right(x: np.ndarray, b: np.ndarray) -> None:
    pack_panels(x, None, (0, x.shape[0]), b, 0, units_of(x.shape[0], b))


@kernel
def _multiply(
    member: int,
    members: int,  # noqa: ARG001 - every function of a team takes it
    sync: np.ndarray,
    a: np.ndarray,
    step: int,
    transposed: bool,
    b: np.ndarray,
    units: int,
    c: np.ndarray,
    out: np.ndarray,
) -> None:
    """out (m, n) <- A B, both packed, `units` of the inner dimension, a block of A each `step` elements of a."""
    m, n = out.shape
    strides = (1, COLUMN_STRIDE) if transposed else (ROW_STRIDE, 1)
    blocks = (units + KC - 1) // KC
    task = next_task(sync)
    while task * MC < m:
        rows = (task * MC, min((task + 1) * MC, m))
        for j in range(blocks):
            first = (task * blocks + j) * step
            depth = min(KC, units - j * KC)
            block = a[first : first + BLOCK]
            macro_kernel(block, strides, rows[1] - rows[0], b, j * KC * NR, units * NR, NR, c[member], n, depth, j > 0)
        store_rows(c[member], rows, out)
        task = next_task(sync)


def multiply_packed(o: "Operands", precision: str, threads: int, *, one_block: bool) -> Callable[[], np.ndarray]:
    """Pack both operands; return the call that multiplies them.

    one_block : make all blocks of the left operand alike, so that one stands for all, and lies in the cache as in a
        training step, where it has just been packed; otherwise each is packed, and comes from memory
    """
    product, (dtype, per) = o.product, PRECISIONS[precision]
    units = padded(product.k, per) // per
    step, blocks = (0, 1) if one_block else (BLOCK, -(-product.m // MC) * -(-units // KC))
    if one_block:
        rows, columns = (np.arange(size) % block for size, block in zip(o.left(o.a).shape, (MC, KC * per), strict=True))
        o.a[...] = o.left(o.left(o.a)[np.ix_(rows, columns)])
    a = np.zeros(blocks * BLOCK, dtype)
    b = np.zeros(padded(product.n, NR) * units, dtype)
    c = np.zeros((threads, c_elements(product.n)), np.float32)
    _pack_left(o.a, product.transposed, a, blocks)
    _pack_right(o.b, b)
    team = Team(threads)

    def multiply() -> np.ndarray:
        team.run(_multiply, a, step, product.transposed, b, units, c, o.out)
        return o.out

    return multiply


def multiply_images(o: "Operands", precision: str, threads: int) -> Callable[[], np.ndarray]:
    """Return the call that gathers, converts, normalises, packs and multiplies.

    The transposed product is that of a gradient and goes on into an update of weights, as in training: with a rate of
    -1 and no momentum, the new velocity is the product.
    """
    product, (dtype, per) = o.product, PRECISIONS[precision]
    width = padded(product.n, NR)
    work = Work(
        packed=np.zeros(padded(product.k, per) // per * width, dtype),
        sums=np.zeros((1, width), np.float32) if per > 1 else None,
        a=np.zeros((threads, BLOCK), dtype),
        c=np.zeros((threads, c_elements(product.n)), np.float32),
    )
    pixels, mean, inv_std = o.images
    bias, weight, team = np.zeros(product.n, np.float32), np.zeros_like(o.out), Team(threads)
    o.out[...] = 0  # the velocity before: no momentum times NaN would be NaN

    def multiply() -> np.ndarray:
        moments = (np.ascontiguousarray(x[o.index].T) for x in (mean, inv_std))
        source = Source(pixels, o.index, *moments)
        if work.sums is not None:
            work.sums[...] = 0
        if product.transposed:
            team.run(dense_update, source, o.b, weight, o.out, (-1.0, 0.0, 0.0), MC, work)
        else:
            team.run(dense_forward, source, o.b, bias, CODES["identity"], o.out, MC, work)
        return o.out

    return multiply
