"""What a step does besides where its first layer's product is one of bytes: see `fastmlp_kernels._bytes`.

A column's step is known only once all of the column is. So the weights are rounded in a phase of its own, after the one
that updates them, and the gradient by the first layer's sums in one between the two phases of a step.
"""

import numpy as np

from fastmlp.packed.state import (
    CHANNEL,
    FIRST,
    INPUTS,
    LAST,
    UNITS,
    Data,
    Network,
    Rates,
    Space,
    weight_of,
)
from fastmlp_kernels._blocks import MC, units_of
from fastmlp_kernels._bytes import multiply_images, multiply_woven_columns, turn_rows
from fastmlp_kernels._columns import keep_gradient, update_weights
from fastmlp_kernels._jit import part
from fastmlp_kernels._pack import NR, Maybe
from fastmlp_kernels._quad_runs import sum_panel
from fastmlp_kernels._quads import add_weighted_sums, raise_peaks, round_panels, set_steps
from fastmlp_kernels._team import barrier, next_task


@part
def keep_peaks(rounded: Maybe, task: int, weight: np.ndarray) -> None:
    """Keep the largest magnitudes of a task's rows of the first layer's weights."""
    if rounded is not None:
        rounded.peaks[task] = 0
        raise_peaks(weight, None, rounded.peaks[task])


@part
def _merge_peaks(peaks: np.ndarray, steps: np.ndarray) -> None:
    """Set steps (2, H) to the steps, and their inverses, of columns with these peaks (parts, H)."""
    top = steps[0].view(np.int32)
    top[:] = peaks[0]
    for i in range(1, peaks.shape[0]):
        for j in range(top.size):
            top[j] = max(top[j], peaks[i, j])
    set_steps(top, steps[0], steps[1])


@part
def _round_task(rounded: Maybe, network: Network, channels: int, steps: np.ndarray, task: int) -> None:
    if rounded is not None:
        row, packed = network.tasks[task], rounded.packed
        channel, rows = row[CHANNEL], (row[FIRST], row[LAST])
        depth = network.layers[0, INPUTS] // channels
        units = units_of(depth, packed)
        at = (channel * units + units_of(rows[0] - channel * depth, packed)) * NR
        weight = weight_of(network.layers, network.parameters, 0)
        round_panels(weight, None, steps[1], rows, packed, at, channels * units)
        floats = network.block_sums[task]
        sums = floats.view(np.int32)
        sums[:] = 0
        for j in range(0, sums.size, NR):
            panel = at + j * channels * units
            sum_panel(packed, panel, units_of(rows[1] - rows[0], packed), sums, j)
        for j in range(sums.size):
            floats[j] = np.float32(sums[j])  # exact: below 2^24


@part
def round_weights(
    rounded: Maybe, network: Network, channels: int, member: int, members: int, sync: np.ndarray, taken: int, met: int
) -> tuple[int, int, bool]:
    """Round the first layer's weights, where they are to be; return (tasks taken, barriers met, whether all came)."""
    if rounded is None:
        return taken, met, True
    steps, tasks = rounded.steps[member], rounded.peaks.shape[0]
    _merge_peaks(rounded.peaks, steps)
    task = next_task(sync) - taken
    while task < tasks:
        _round_task(rounded, network, channels, steps, task)
        task = next_task(sync) - taken
    return taken + tasks + members, met + 1, barrier(sync, members, met + 1)


@part
def multiply_rounded(
    rounded: Maybe, x: np.ndarray, index: np.ndarray, space: Space, member: int, rows: tuple[int, int], out: np.ndarray
) -> None:
    """Form the first layer's product for `rows` of the batch."""
    if rounded is not None:
        a, c = space.a[member].view(np.uint32), space.c[member].view(np.int32)
        steps = rounded.steps[member, 0]
        multiply_images(x, index, space.center, space.scale, rows, rounded.packed, steps, space.sums[member], a, c, out)


@part
def keep_errors(errors: Maybe, delta: np.ndarray, rows: tuple[int, int], scale: Maybe, block: int) -> None:
    """Keep the gradient by the first layer's sums, and its largest magnitudes."""
    if errors is not None:
        h = delta.shape[1]
        errors.values[rows[0] * h : rows[1] * h].reshape(rows[1] - rows[0], h)[:] = delta
        for channel in range(scale.shape[0]):
            peaks = errors.peaks[block, channel]
            peaks[:] = 0
            raise_peaks(delta, scale[channel, rows[0] : rows[1]], peaks)


@part
def _round_errors_task(
    errors: Maybe, n: int, center: Maybe, scale: Maybe, steps: np.ndarray, task: int, rows: tuple[int, int]
) -> None:
    if errors is not None:
        channels, h = errors.peaks.shape[1:]
        values, right = errors.values[: n * h].reshape(n, h), errors.packed
        panels, first = (h + NR - 1) // NR, units_of(rows[0], right.packed)
        units = units_of(rows[1] - rows[0], right.packed)
        for channel in range(channels):
            begin = channel * panels * right.panel
            at = begin + first * NR
            round_panels(values, scale[channel], steps[channel, 1], rows, right.packed, at, right.panel // NR)
            turn_rows(right, begin, first, units, h)
            less = errors.less[task, channel]
            less[:] = 0
            for j in range(panels):
                add_weighted_sums(
                    right.packed,
                    at + j * right.panel,
                    units,
                    center[channel, rows[0] : rows[1]],
                    less[j * NR : (j + 1) * NR],
                )


@part
def round_errors(
    errors: Maybe, n: int, blocks: int, space: Space, member: int, members: int, sync: np.ndarray, taken: int, met: int
) -> tuple[int, int, bool]:
    """Round the gradient by the first layer's sums, kept from so many blocks; return as `round_weights` does."""
    if errors is None:
        return taken, met, True
    steps = errors.steps[member]
    for channel in range(steps.shape[0]):
        _merge_peaks(errors.peaks[:blocks, channel], steps[channel])
    tasks = (n + MC - 1) // MC
    task = next_task(sync) - taken
    while task < tasks:
        rows = (task * MC, min((task + 1) * MC, n))
        _round_errors_task(errors, n, space.center, space.scale, steps, task, rows)
        task = next_task(sync) - taken
    return taken + tasks + members, met + 1, barrier(sync, members, met + 1)


@part
def rounded_task(
    rounded: Maybe,
    errors: Maybe,
    network: Network,
    data: Data,
    index: np.ndarray,
    space: Space,
    rates: Rates,
    member: int,
    task: int,
    train: bool,
) -> None:
    """`weights_task` for a block of the first layer's weights."""
    if rounded is not None:
        layers, row = network.layers, network.tasks[task]
        channel, rows = row[CHANNEL], (row[FIRST], row[LAST])
        a, c = space.a[member].view(np.uint32), space.c[member].view(np.int32)
        n, h = index.size, layers[0, UNITS]
        at = channel * ((h + NR - 1) // NR) * errors.packed.panel
        less = errors.total[member]
        less[:] = 0
        for part_of in range((n + MC - 1) // MC):
            for j in range(less.size):
                less[j] += errors.less[part_of, channel, j]
        factor = errors.steps[member, channel, 0]
        multiply_woven_columns(data.x, index, rows, n, errors.packed, at, h, a, c)
        if train:
            weight, velocity = weight_of(layers, network.parameters, 0), weight_of(layers, rates.velocity, 0)
            settings = (rates.lr, rates.momentum, rates.weight_decay)
            update_weights(c, rows, less, factor, weight, velocity, settings)
            keep_peaks(rounded, task, weight[rows[0] : rows[1]])
        else:
            keep_gradient(c, rows, less, factor, weight_of(layers, network.gradient, 0))
