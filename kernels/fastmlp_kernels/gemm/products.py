"""The compiled bodies of `gemm`: whole matrix products, which a team of threads shares.

Each has two phases: the right operand is packed, a task a panel; then, behind a barrier, the left operand is packed and
multiplied, a task a block of rows of the result, at most mc. A task's arithmetic does not depend on who does it.
"""

from typing import NamedTuple

import numpy as np

from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._optimizers import Update
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import no_index, row_at, rows_at, vector_at
from fastmlp_kernels.activations import bias_activation
from fastmlp_kernels.gemm.blocks import (
    COLUMN_STRIDE,
    KC,
    ROW_STRIDE,
    multiply_rows,
    store_rows,
    units_of,
)
from fastmlp_kernels.gemm.bytes import Quads, add_scaled, multiply_columns_of_bytes, multiply_rows_of_bytes, turn_rows
from fastmlp_kernels.gemm.columns import begin_columns, end_columns, update_columns
from fastmlp_kernels.gemm.pack import NR, ONE, ZERO, Maybe, add_column_sums, item, pack_columns, pack_panels_transposed
from fastmlp_kernels.gemm.quads import QUAD, copy_rows, pack_bytes, weave_columns

# The phase that is followed by another one.
PACK = 0


class Source(NamedTuple):
    """A left operand X (N, D): x (M, D) float32 and index empty, or uint8, index (N,), center and scale (C, N)."""

    x: np.ndarray
    index: np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride] - no one looks a value up in it
    center: Maybe
    scale: Maybe


class Work(NamedTuple):
    """Work arrays of one call.

    packed : the right operand's panels
    sums : for raw images, else None: (C, columns padded to nr) zeros, which become the column sums that normalise them
    a, c : (threads, ...) a block of the left operand and of the result; c zeros, as an inner dimension of 0 leaves it
    """

    packed: np.ndarray
    sums: Maybe
    a: np.ndarray
    c: np.ndarray


@part
def _channels(center: Maybe) -> int:
    return 1 if center is None else center.shape[0]


@part
def _panels(columns: int) -> int:
    return (columns + NR - 1) // NR


@part
def _panel(j: int, columns: int) -> tuple[int, int]:
    return j * NR, min((j + 1) * NR, columns)


@part
def _block(i: int, step: int, rows: int) -> tuple[int, int]:
    return i * step, min((i + 1) * step, rows)


@part
def _pack_weights(weight: np.ndarray, channels: int, j: int, packed: np.ndarray, sums: Maybe) -> None:
    """Pack panel j of the right operand (D, H), the rows of each channel by themselves, for `multiply_rows`."""
    depth = weight.shape[0] // channels
    units = units_of(depth, packed)
    for channel in range(channels):
        at = (j * channels + channel) * units * NR
        inner = (channel * depth, (channel + 1) * depth)
        pack_columns(weight, no_index(), None, None, _panel(j, weight.shape[1]), inner, packed, at, NR)
        if sums is not None:
            add_column_sums(packed, at, units, None, ZERO, vector_at(sums, channel * sums.shape[1] + j * NR, NR))


@part
def _pack_delta(delta: np.ndarray, center: Maybe, scale: Maybe, j: int, packed: np.ndarray, sums: Maybe) -> None:
    """Pack panel j of delta (N, H); for raw images once a channel, times scale, and sum up center times that."""
    n, h = delta.shape
    units = units_of(n, packed)
    if sums is None:
        pack_columns(delta, no_index(), None, None, _panel(j, h), (ZERO, n), packed, j * units * NR, NR)
    else:
        for channel in range(sums.shape[0]):
            at = _channel_at(sums, channel, units * NR) + j * units * NR
            pack_columns(delta, no_index(), None, row_at(scale, channel), _panel(j, h), (ZERO, n), packed, at, NR)
            add_column_sums(
                packed, at, units, row_at(center, channel), ZERO, vector_at(sums, channel * sums.shape[1] + j * NR, NR)
            )


@part
def _channel_at(sums: Maybe, channel: int, panel: int) -> int:
    """Return where the packed delta of a channel begins: raw images have one each, others share one."""
    return ZERO if sums is None else channel * (sums.shape[1] // NR) * panel


@kernel
def matmul(
    member: Member,
    a: np.ndarray,
    b: np.ndarray,
    transposed: tuple[bool, bool],
    out: np.ndarray,
    step: int,
    work: Work,
) -> None:
    """Out <- A B, with A, B or both as the transposes of a and b; `step` rows a task."""
    rows, columns = out.shape
    depth = a.shape[0] if transposed[0] else a.shape[1]
    own_a, own_c = row_at(work.a, member.number), row_at(work.c, member.number)
    panels = _panels(columns)
    for task in tasks(member, panels):
        if transposed[1]:
            pack_panels_transposed(b, _panel(task, columns), own_a, work.packed, ZERO, units_of(depth, work.packed))
        else:
            _pack_weights(b, ONE, task, work.packed, None)
    if not meet(member, PACK):
        return
    for task in tasks(member, (rows + step - 1) // step):
        block = _block(task, step, rows)
        if transposed[0]:
            panel = units_of(depth, work.packed) * NR
            product = begin_columns(
                a, no_index(), None, None, block, depth, work.packed, ZERO, panel, columns, own_a, own_c
            )
            end_columns(product, block[1] - block[0], columns, own_a, own_c)
            store_rows(own_c, block, out)
        else:
            multiply_rows(a, no_index(), None, None, block, work.packed, ZERO, NR, None, own_a, own_c, out)


@kernel
def matmul_int8(
    member: Member,
    a: np.ndarray,
    b: np.ndarray,
    transposed: bool,
    out: np.ndarray,
    step: int,
    span: int,
    right: Quads,
    work: tuple[np.ndarray, np.ndarray],
) -> None:
    """Out <- A B for int8 b and uint8 A, a or its transpose; every `span` of the inner dimension, out += c.

    right : room for b; work : the work arrays a and c, as in `Work`
    """
    (rows, columns), depth = out.shape, b.shape[0]
    own_a, own_c = row_at(work[0], member.number), row_at(work[1], member.number)
    panels = _panels(columns)
    for task in tasks(member, panels):
        panel = _panel(task, columns)
        pack_bytes(b, panel, right.packed, task * right.panel)
        turn_rows(right, task * right.panel, ZERO, right.panel // NR, panel[1] - panel[0])
    if not meet(member, PACK):
        return
    for task in tasks(member, (rows + step - 1) // step):
        block = _block(task, step, rows)
        for k in range(0, depth, KC * QUAD):
            inner = (k, min(k + KC * QUAD, depth))
            first, deep, count = k // QUAD, units_of(inner[1] - k, right.packed), block[1] - block[0]
            if transposed:
                weave_columns(a, no_index(), block, inner, own_a, COLUMN_STRIDE)
                multiply_columns_of_bytes(own_a, count, right, ZERO, first, own_c, columns, deep, k % span > 0)
            else:
                copy_rows(a, no_index(), block, inner, own_a, ROW_STRIDE)
                at = first * NR
                multiply_rows_of_bytes(
                    own_a, count, right.packed, at, right.panel, own_c, columns, deep, k % span > 0
                )  # fmt: skip
            if inner[1] == depth or inner[1] % span == 0:
                if k >= span:
                    add_scaled(own_c, block, None, None, None, None, True, out)
                else:
                    store_rows(own_c, block, out)


@kernel
def dense_forward(
    member: Member,
    source: Source,
    weight: np.ndarray,
    bias: np.ndarray,
    activation: int,
    out: np.ndarray,
    step: int,
    work: Work,
) -> None:
    """Out <- act(X W + bias), for the activation of this code; `step` rows a task."""
    x, index, center, scale = source
    rows, columns = out.shape
    panels = _panels(columns)
    for task in tasks(member, panels):
        _pack_weights(weight, _channels(center), task, work.packed, work.sums)
    if not meet(member, PACK):
        return
    own_a, own_c = row_at(work.a, member.number), row_at(work.c, member.number)
    for task in tasks(member, (rows + step - 1) // step):
        block = _block(task, step, rows)
        multiply_rows(x, index, center, scale, block, work.packed, ZERO, NR, work.sums, own_a, own_c, out)
        bias_activation(rows_at(out, block), bias, rows_at(out, block), activation)


@kernel
def dense_update(
    member: Member,
    source: Source,
    delta: np.ndarray,
    update: Update,
    step: int,
    work: Work,
) -> None:
    """In place: the weights take a step with the gradient X^T delta; `step` rows a task."""
    x, index, center, scale = source
    (n, h), channels = delta.shape, _channels(center)
    panels, panel = _panels(h), units_of(n, work.packed) * NR
    for task in tasks(member, panels):
        _pack_delta(delta, center, scale, task, work.packed, work.sums)
    if not meet(member, PACK):
        return
    own_a, own_c = row_at(work.a, member.number), row_at(work.c, member.number)
    depth = x.shape[1] // channels
    blocks = (depth + step - 1) // step  # a block lies in one channel
    for task in tasks(member, channels * blocks):
        channel, (first, last) = task // blocks, _block(task % blocks, step, depth)
        rows = (channel * depth + first, channel * depth + last)
        at = _channel_at(work.sums, channel, panel)
        m, s = item(center, channel), item(scale, channel)
        product = begin_columns(x, index, m, s, rows, n, work.packed, at, panel, h, own_a, own_c)
        update_columns(product, rows, item(work.sums, channel), update, own_a, own_c)
