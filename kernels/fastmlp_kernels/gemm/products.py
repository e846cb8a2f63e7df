"""The compiled bodies of `gemm`: whole matrix products, which a crew of threads shares.

Matrices are float32, or all of them float64, save those of int8 products and images, which are uint8. Each product has
two phases: the right operand is packed, a task a panel; then, behind a barrier, the left operand is packed and
multiplied, a task a block of rows of the result, at most mc. A task's arithmetic does not depend on who does it.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from fastmlp_kernels._activation_passes import Family, bias_activation
from fastmlp_kernels._crew import Crew, share
from fastmlp_kernels._jit import PART, body_of, kernel, part
from fastmlp_kernels._optimizers import Update
from fastmlp_kernels._records import record
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import as_writable, row_at, rows_at
from fastmlp_kernels.gemm.ahead import LARGE, nothing
from fastmlp_kernels.gemm.blocks import MC, MR, store_rows, width_of
from fastmlp_kernels.gemm.columns import begin_columns, end_columns, update_columns
from fastmlp_kernels.gemm.pack import (
    as_rows,
    channels_of,
    item,
    pack_panels,
    pack_panels_transposed,
    units_of,
)
from fastmlp_kernels.gemm.panels import NR, ONE, ZERO, Maybe, Panels, Work, field_type
from fastmlp_kernels.gemm.raw import add_column_sums, pack_scaled_panels
from fastmlp_kernels.gemm.rows import multiply_rows, span_of
from fastmlp_kernels.gemm.tiles import keep_by_column

# The phase that is followed by another one.
PACK = ZERO


@record
class Chosen(NamedTuple):
    """An activation: its code, and a family that it is of."""

    code: int
    family: Family


class Plan(NamedTuple):
    """The tasks and the work arrays of a product; for a call from Python as plain tuples, as a `Crew`.

    step : rows of the result in a task, at most mc
    right : allocated for the right operand; its sums are (C, columns padded to nr) zeros for raw images, else None
    work : each member's work arrays, of any values; for an inner dimension of 0 c is zeros, the result
    """

    step: int
    right: Panels
    work: Work


@part
def _plan(plan: Any) -> Plan:
    """Return the record of a plan in plain tuples."""
    step, (array, at, panel, stride, steps, sums, by_column), (a, c) = plan
    return Plan(step, Panels(array, at, panel, stride, steps, sums, by_column), Work(a, c))


@part
def _own(work: Work, member: Member) -> Work:
    return Work(row_at(work.a, member.number), row_at(work.c, member.number))


@part
def _panels(columns: int) -> int:
    return (columns + NR - 1) // NR


@part
def _panel(j: int, columns: int) -> tuple[int, int]:
    return j * NR, min((j + 1) * NR, columns)


@part
def _block(i: int, step: int, rows: int) -> tuple[int, int]:
    return min(i * step, rows), min((i + 1) * step, rows)


@part
def _pack_weights(weight: np.ndarray, channels: int, j: int, b: Panels, sums: Maybe) -> None:
    """Pack panel j of the right operand (D, H), the rows of each channel by themselves, for `multiply_rows`."""
    depth, columns = weight.shape[0] // channels, _panel(j, weight.shape[1])
    units = units_of(depth, b.array)
    for channel in range(channels):
        inner = (channel * depth, (channel + 1) * depth)
        pack_panels(as_rows(weight, None), columns, inner, b, channel * units)
        if sums is not None:
            add_column_sums(b, columns, channel * units, units, None, row_at(sums, channel))


@part
def _of_channel(b: Panels, channel: int, columns: int, sums: Maybe) -> Panels:
    """Return the packed delta for a channel: one for each channel of raw images, otherwise one for all."""
    at = ZERO if sums is None else channel * _panels(columns) * b.panel
    return Panels(b.array, at, b.panel, NR, None, item(sums, channel), b.by_column)


@part
def _pack_delta(delta: np.ndarray, rows: Rows, j: int, b: Panels, sums: Maybe) -> None:
    """Pack panel j of delta (N, H); for raw images once a channel, times scale, and sum up center times that."""
    n, h = delta.shape
    if sums is None:
        pack_panels(as_rows(delta, None), _panel(j, h), (ZERO, n), b, ZERO)
        keep_by_column(b, _panel(j, h), ZERO, b.panel // NR)
    else:
        for channel in range(sums.shape[0]):
            own = _of_channel(b, channel, h, sums)
            for k in range(0, n, MC):
                block = (k, min(k + MC, n))
                pack_scaled_panels(
                    rows_at(delta, block), _panel(j, h), rows, block, channel, own, row_at(sums, channel)
                )
            keep_by_column(own, _panel(j, h), ZERO, own.panel // NR)


# Rows of the result up to which the right operand is multiplied as it lies: see `_lying`.
FEW_ROWS = 4 * MR
# The same where it is large: each block of rows then packs it for itself, panel by panel, in the L1 cache.
FEW_BLOCKS_ROWS = 4 * MC


def _lying(b: np.ndarray, packed: Panels, few: bool) -> Panels:
    """Return b (K, N), a right operand, as it lies where `few` rows are multiplied and it can be, else `packed`.

    To pack it takes longer than few rows do. It can be where its rows are whole panels of an element's own dtype, more
    than one: the stride tells how it lies.
    """
    raise TypeError("products can only be formed in compiled code")


@overload(_lying, jit_options=PART)
def _overload_lying(b, packed, few):
    if field_type(packed, "array").dtype != b.dtype:
        return lambda b, packed, few: packed  # noqa: ARG005
    return body_of(_lying_floats)


@part
def _lying_floats(b: np.ndarray, packed: Panels, few: bool) -> Panels:
    if not few or b.shape[1] % NR != 0 or b.shape[1] == NR:
        return packed
    return Panels(as_writable(b), ZERO, NR, b.shape[1], packed.steps, packed.sums, packed.by_column)


@part
def _matmul(
    member: Member, a: np.ndarray, b: np.ndarray, transposed: tuple[bool, bool], out: np.ndarray, given: Any
) -> None:
    rows, columns = out.shape
    plan = _plan(given)
    step, work = plan.step, _own(plan.work, member)
    left, depth = as_rows(a, None), a.shape[0] if transposed[0] else a.shape[1]
    few = rows <= (FEW_BLOCKS_ROWS if b.size * b.itemsize > LARGE else FEW_ROWS)
    right = _lying(b, plan.right, few and not (transposed[0] or transposed[1]))
    for task in tasks(member, _panels(columns) if right.stride == NR else 0):
        if transposed[1]:
            pack_panels_transposed(b, _panel(task, columns), work.a, right)
        else:
            _pack_weights(b, ONE, task, right, None)
        keep_by_column(right, _panel(task, columns), ZERO, right.panel // NR)
    if not meet(member, PACK):
        return
    for task in tasks(member, (rows + step - 1) // step):
        block = _block(task, step, rows)
        if transposed[0]:
            for k in range(0, max(depth, 1), span_of(right.array, out)):
                inner = (k, min(k + span_of(right.array, out), depth))
                product = begin_columns(left, block, inner, right, columns, work)
                end_columns(product, block[1] - block[0], columns, width_of(columns), work)
                store_rows(work.c, block, k > 0, out)
        else:
            multiply_rows(left, block, _block(task + 1, step, rows), right, work, out)


@kernel
def matmul(crew: Crew, a: np.ndarray, b: np.ndarray, transposed: tuple[bool, bool], out: np.ndarray, plan: Any) -> None:
    """out (M, N) <- A B, where A (M, K) and B (K, N) are a and b, or their transposes where `transposed` says so."""
    share(crew, _matmul, (a, b, transposed, out, plan))


@part
def _dense_forward(
    member: Member, rows: Rows, weight: np.ndarray, bias: np.ndarray, activation: Chosen, out: np.ndarray, given: Any
) -> None:
    plan = _plan(given)
    step, right, work = plan.step, plan.right, _own(plan.work, member)
    for task in tasks(member, _panels(out.shape[1])):
        _pack_weights(weight, channels_of(rows.center), task, right, right.sums)
    if not meet(member, PACK):
        return
    for task in tasks(member, (out.shape[0] + step - 1) // step):
        block = _block(task, step, out.shape[0])
        multiply_rows(rows, block, _block(task + 1, step, out.shape[0]), right, work, out)
        z = rows_at(out, block)
        bias_activation(z, bias, z, activation.code, activation.family)


@kernel
def dense_forward(
    crew: Crew, rows: Rows, weight: np.ndarray, bias: np.ndarray, activation: Chosen, out: np.ndarray, plan: Any
) -> None:
    """out (N, H) <- act(X W + bias) for rows X (N, D), weight (D, H), bias (H,)."""
    share(crew, _dense_forward, (rows, weight, bias, activation, out, plan))


@part
def _dense_update(member: Member, rows: Rows, delta: np.ndarray, update: Update, given: Any) -> None:
    (n, h), channels = delta.shape, channels_of(rows.center)
    plan = _plan(given)
    step, right, work = plan.step, plan.right, _own(plan.work, member)
    for task in tasks(member, _panels(h)):
        _pack_delta(delta, rows, task, right, right.sums)
    if not meet(member, PACK):
        return
    depth = rows.x.shape[1] // channels
    blocks = (depth + step - 1) // step  # a block lies in one channel
    for task in tasks(member, channels * blocks):
        channel, (first, last) = task // blocks, _block(task % blocks, step, depth)
        columns = (channel * depth + first, channel * depth + last)
        own = _of_channel(right, channel, h, right.sums)
        product = begin_columns(rows, columns, (ZERO, n), own, h, work)
        update_columns(product, columns, update, work, nothing())


@kernel
def dense_update(crew: Crew, rows: Rows, delta: np.ndarray, update: Update, plan: Any) -> None:
    """In place: the weights (D, H) of `update` take a step with the gradient X^T delta, for delta (N, H)."""
    share(crew, _dense_update, (rows, delta, update, plan))
