"""`bench.packed` for bytes: images as they are, times a right operand that is rounded column by column.

The compiled bodies are the package's own; the product is normalised and scaled as in a training run (`gemm.bytes`), so
that it is that of the float32 operands but for the rounding.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from fastmlp_kernels.gemm.bytes import (
    Quads,
    add_scaled,
    multiply_columns_of_bytes,
    multiply_images,
    multiply_rows_of_bytes,
    multiply_woven_columns,
    quads,
    turn_rows,
)
from fastmlp_kernels.gemm.quads import (
    QUAD,
    add_weighted_sums,
    copy_rows,
    raise_peaks,
    round_panels,
    set_steps,
    weave_columns,
)

from bench.packed import BLOCK
from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._team import Team, barrier, next_task
from fastmlp_kernels._views import no_index
from fastmlp_kernels.gemm.blocks import COLUMN_STRIDE, KC, MC, ROW_STRIDE, c_elements, padded
from fastmlp_kernels.gemm.columns import update_weights
from fastmlp_kernels.gemm.pack import NR, ZERO, Maybe, span

if TYPE_CHECKING:
    from bench.products import Operands


class Right(NamedTuple):
    """The right operand b (K, N) and its bytes.

    scale : (K,) by which its rows are multiplied first, or None; weight : (K,) how much each counts in `sums`
    steps : (2, N) steps and their inverses; sums : (N padded to nr)
    peaks, parts : (blocks of mc rows, ...) of the columns and of the sums
    """

    b: np.ndarray
    scale: Maybe
    weight: np.ndarray
    quads: Quads
    steps: np.ndarray
    sums: np.ndarray
    peaks: np.ndarray
    parts: np.ndarray


class Left(NamedTuple):
    """Images x[index], their means and 1/std in the order of index; the work arrays of each member."""

    x: np.ndarray
    index: np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride] - no one looks a value up in it
    center: np.ndarray
    scale: np.ndarray
    a: np.ndarray
    c: np.ndarray


def _right(b: np.ndarray, scale: np.ndarray | None, weight: np.ndarray, *, woven: bool) -> Right:
    (k, n), blocks = b.shape, -(-len(b) // MC)
    steps, sums = aligned_zeros((2, n), np.float32), aligned_zeros(padded(n, NR), np.float32)
    peaks, parts = aligned_zeros((blocks, n), np.int32), aligned_zeros((blocks, padded(n, NR)), np.float32)
    return Right(b, scale, weight, quads(k, n, woven=woven), steps, sums, peaks, parts)


@part
def _rows(task: int, n: int) -> tuple[int, int]:
    return task * MC, min((task + 1) * MC, n)


@part
def _keep_peaks(right: Right, task: int) -> None:
    first, last = _rows(task, right.b.shape[0])
    right.peaks[task] = 0
    raise_peaks(right.b[first:last], span(right.scale, first, last), right.peaks[task])


@part
def _set_steps(right: Right) -> None:
    for task in range(1, right.peaks.shape[0]):
        for j in range(right.peaks.shape[1]):
            right.peaks[0, j] = max(right.peaks[0, j], right.peaks[task, j])
    set_steps(right.peaks[0], right.steps[0], right.steps[1])


@part
def _round(right: Right, task: int) -> None:
    (k, n), b = right.b.shape, right.quads
    rows = _rows(task, k)
    first, units = rows[0] // QUAD, (rows[1] - rows[0] + QUAD - 1) // QUAD
    round_panels(right.b, right.scale, right.steps[1], rows, b.packed, first * NR, b.panel // NR)
    turn_rows(b, ZERO, first, units, n)
    right.parts[task] = 0
    for j in range(0, n, NR):
        at, sums = first * NR + j // NR * b.panel, right.parts[task, j : j + NR]
        add_weighted_sums(b.packed, at, units, right.weight[rows[0] : rows[1]], sums)


@part
def _add_up(right: Right) -> None:
    right.sums[:] = 0
    for task in range(right.parts.shape[0]):
        for j in range(right.sums.size):
            right.sums[j] += right.parts[task, j]


@kernel
def _pack_right(right: Right) -> None:
    tasks = right.peaks.shape[0]
    for task in range(tasks):
        _keep_peaks(right, task)
    _set_steps(right)
    for task in range(tasks):
        _round(right, task)
    _add_up(right)


@kernel
def _pack_left(x: np.ndarray, transposed: bool, a: np.ndarray, blocks: int) -> None:
    """Pack so many blocks of mc rows by kc units of the left operand, which is x or its transpose, one by one."""
    m, k = (x.shape[1], x.shape[0]) if transposed else x.shape
    at = 0
    for i in range(0, m, MC):
        for j in range(0, k, KC * QUAD):
            if at == blocks * BLOCK:
                return
            rows, inner, block = (i, min(i + MC, m)), (j, min(j + KC * QUAD, k)), a[at : at + BLOCK]
            if transposed:
                weave_columns(x, no_index(), rows, inner, block, COLUMN_STRIDE)
            else:
                copy_rows(x, no_index(), rows, inner, block, ROW_STRIDE)
            at += BLOCK


@kernel
def _multiply(
    member: int,
    members: int,  # noqa: ARG001 - every function of a team takes it
    sync: np.ndarray,
    left: Left,
    step: int,
    transposed: bool,
    right: Right,
    out: np.ndarray,
) -> None:
    """out (m, n) <- A B, a block of A, already packed, each `step` elements of left.a."""
    (m, n), b, c = out.shape, right.quads, left.c[member]
    units = b.panel // NR
    blocks = (units + KC - 1) // KC
    task = next_task(sync)
    while task * MC < m:
        rows = _rows(task, m)
        for j in range(blocks):
            first = (task * blocks + j) * step
            depth, block, count = min(KC, units - j * KC), left.a[0, first : first + BLOCK], rows[1] - rows[0]
            if transposed:
                multiply_columns_of_bytes(block, count, b, ZERO, j * KC, c, n, depth, j > 0)
            else:
                multiply_rows_of_bytes(block, count, b.packed, j * KC * NR, b.panel, c, n, depth, j > 0)
        add_scaled(c, rows, left.center, left.scale, right.steps[0], right.sums, False, out)
        task = next_task(sync)


@kernel
def _multiply_images(
    member: int,
    members: int,
    sync: np.ndarray,
    left: Left,
    transposed: bool,
    right: Right,
    weight: np.ndarray,
    out: np.ndarray,
) -> None:
    """Round the right operand and multiply; with `transposed` go on into an update of weights, see `bench.packed`."""
    (m, n), tasks, taken = out.shape, right.peaks.shape[0], 0
    task = next_task(sync)
    while task < tasks:
        _keep_peaks(right, task)
        task = next_task(sync)
    taken += tasks + members
    if not barrier(sync, members, 1):
        return
    if member == 0:
        _set_steps(right)
    if not barrier(sync, members, 2):
        return
    task = next_task(sync) - taken
    while task < tasks:
        _round(right, task)
        task = next_task(sync) - taken
    taken += tasks + members
    if not barrier(sync, members, 3):
        return
    if member == 0:
        _add_up(right)
    if not barrier(sync, members, 4):
        return
    b, a, c = right.quads, left.a[member], left.c[member]
    sums = right.sums.reshape(1, right.sums.size)
    task = next_task(sync) - taken
    while task * MC < m:
        rows = _rows(task, m)
        if transposed:
            multiply_woven_columns(left.x, left.index, rows, left.index.size, b, ZERO, n, a, c)
            update_weights(c, rows, right.sums, right.steps[0], weight, out, (-1.0, 0.0, 0.0))
        else:
            multiply_images(
                left.x, left.index, left.center, left.scale, rows, b.packed, right.steps[0], sums, a, c, out
            )  # fmt: skip
        task = next_task(sync) - taken


def multiply_packed(o: "Operands", threads: int, *, one_block: bool) -> Callable[[], np.ndarray]:
    """Pack both operands; return the call that multiplies them; one_block : as for `bench.packed.multiply_packed`."""
    product, transposed = o.product, o.product.transposed
    pixels, mean, inv_std = (x[o.index] for x in o.images)
    rows, columns = np.arange(product.m), np.arange(product.k)
    if one_block:
        rows, columns = rows % MC, columns % (KC * QUAD)
        o.a[...] = o.left(o.left(o.a)[np.ix_(rows, columns)])
    x = np.ascontiguousarray(o.left(o.left(pixels)[np.ix_(rows, columns)]))
    mean, inv_std = (values[columns if transposed else rows, 0] for values in (mean, inv_std))
    units, ones = -(-product.k // QUAD), np.ones(product.m, np.float32)
    step, blocks = (0, 1) if one_block else (BLOCK, -(-product.m // MC) * -(-units // KC))
    a = aligned_zeros((1, blocks * BLOCK), np.uint32)
    c = aligned_zeros((threads, c_elements(product.n)), np.int32)
    _pack_left(x, transposed, a[0], blocks)
    if transposed:
        right, left = _right(o.b, inv_std, mean, woven=True), Left(x, o.index, ones, ones, a, c)
    else:
        right = _right(o.b, None, np.ones(product.k, np.float32), woven=False)
        left = Left(x, o.index, mean, inv_std, a, c)
    _pack_right(right)
    team = Team(threads)

    def multiply() -> np.ndarray:
        team.run(_multiply, left, step, transposed, right, o.out)
        return o.out

    return multiply


def multiply_gathered(o: "Operands", threads: int) -> Callable[[], np.ndarray]:
    """Return the call that gathers images, packs them, rounds the right operand and multiplies."""
    product, team = o.product, Team(threads)
    pixels, mean, inv_std = o.images
    a = aligned_zeros((threads, BLOCK), np.uint32)
    c = aligned_zeros((threads, c_elements(product.n)), np.int32)
    scale, weight = np.zeros(product.k, np.float32), np.ones(product.k, np.float32)  # of the rows of the right operand
    right = _right(o.b, scale if product.transposed else None, weight, woven=product.transposed)
    updated = np.zeros_like(o.out)
    o.out[...] = 0

    def multiply() -> np.ndarray:
        center, inverse = (np.ascontiguousarray(x[o.index].T) for x in (mean, inv_std))
        if product.transposed:
            scale[:], weight[:] = inverse[0], center[0]
        left = Left(pixels, o.index, center, inverse, a, c)
        team.run(_multiply_images, left, product.transposed, right, updated, o.out)
        return o.out

    return multiply
