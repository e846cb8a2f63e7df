"""What a step does besides where products are of bytes: see `fastmlp_kernels._bytes`.

The first layer's inputs are images, as bytes of their own; a ReLU layer's outputs become bytes row by row, and are to
the layer above what images of mean 0 would be, with a row's step for its inverse deviation. A column's step is known
only once all of the column is. So the weights are rounded in a phase of its own, after the one that updates them, and
the gradients by the layers' sums in one between the two phases of a step.
"""

import numpy as np

from fastmlp.packed.state import (
    CHANNEL,
    ERRORS,
    FIRST,
    INPUTS,
    LAST,
    LAYER,
    QUADS,
    UNITS,
    Data,
    Network,
    Rates,
    Space,
    is_rounded,
    of_layer,
    output_of,
    weight_of,
)
from fastmlp_kernels._blocks import MC, units_of
from fastmlp_kernels._bytes import multiply_images, multiply_woven_columns, turn_rows
from fastmlp_kernels._columns import keep_gradient, update_weights
from fastmlp_kernels._jit import part
from fastmlp_kernels._pack import NR, ZERO, Maybe
from fastmlp_kernels._quad_runs import sum_panel
from fastmlp_kernels._quads import add_weighted_sums, raise_peaks, round_panels, round_rows, set_steps
from fastmlp_kernels._team import barrier, next_task


@part
def keep_peaks(rounded: Maybe, task: int, weight: np.ndarray) -> None:
    """Keep the largest magnitudes of a task's rows of its layer's weights."""
    if rounded is not None:
        peaks = rounded.peaks[task, : weight.shape[1]]
        peaks[:] = 0
        raise_peaks(weight, None, peaks)


@part
def _round_task(rounded: Maybe, network: Network, channels: int, steps: np.ndarray, task: int) -> None:
    """Round a task's rows of its layer's weights; of the first layer keep their sums, which normalise images."""
    layers, row = network.layers, network.tasks[task]
    if rounded is not None and is_rounded(rounded, layers, row[LAYER]):
        packed, i, channel, rows = rounded.packed, row[LAYER], row[CHANNEL], (row[FIRST], row[LAST])
        own = channels if i == 0 else 1
        depth = layers[i, INPUTS] // own
        units = units_of(depth, packed)
        at = layers[i, QUADS] + (channel * units + units_of(rows[0] - channel * depth, packed)) * NR
        weight = weight_of(layers, network.parameters, i)
        round_panels(weight, None, of_layer(layers, steps[1], i), rows, packed, at, own * units)
        if i == 0:
            floats = network.block_sums[task]
            sums = floats.view(np.int32)
            sums[:] = 0
            for j in range(0, sums.size, NR):
                sum_panel(packed, at + j * own * units, units_of(rows[1] - rows[0], packed), sums, j)
            for j in range(sums.size):
                floats[j] = np.float32(sums[j])  # exact: below 2^24


@part
def round_weights(
    rounded: Maybe, network: Network, channels: int, member: int, members: int, sync: np.ndarray, taken: int, met: int
) -> tuple[int, int, bool]:
    """Round the weights that are to be; return (tasks taken, barriers met, whether all came)."""
    if rounded is None:
        return taken, met, True
    layers, steps, tasks = network.layers, rounded.steps[member], network.tasks.shape[0]
    top = steps[0].view(np.int32)
    top[:] = 0
    for task in range(tasks):
        own = of_layer(layers, top, network.tasks[task, LAYER])
        for j in range(own.size):
            own[j] = max(own[j], rounded.peaks[task, j])
    set_steps(top, steps[0], steps[1])
    task = next_task(sync) - taken
    while task < tasks:
        _round_task(rounded, network, channels, steps, task)
        task = next_task(sync) - taken
    return taken + tasks + members, met + 1, barrier(sync, members, met + 1)


@part
def round_inputs(inputs: Maybe, layers: np.ndarray, i: int, h: np.ndarray, rows: tuple[int, int]) -> None:
    """Make bytes of `rows` of h (N, D), the outputs of a ReLU layer and inputs of layer i."""
    if inputs is not None:
        values = output_of(layers, inputs.values, i - 1, h.shape[0])
        round_rows(h[rows[0] : rows[1]], values[rows[0] : rows[1]], inputs.scale[i, 0, rows[0] : rows[1]])


@part
def multiply_rounded(
    rounded: Maybe,
    layers: np.ndarray,
    i: int,
    x: np.ndarray,
    index: np.ndarray,
    space: Space,
    member: int,
    rows: tuple[int, int],
    out: np.ndarray,
) -> None:
    """Form layer i's product for `rows` of the batch, x[index] being its images."""
    if rounded is not None:
        a, c = space.a[member].view(np.uint32), space.c[member].view(np.int32)
        steps, b = of_layer(layers, rounded.steps[member, 0], i), rounded.packed[layers[i, QUADS] :]
        if i == 0:
            multiply_images(x, index, space.center, space.scale, rows, b, steps, space.sums[member], a, c, out)
        else:
            own = space.inputs
            values = output_of(layers, own.values, i - 1, out.shape[0])
            multiply_images(values, own.rows, own.center, own.scale[i], rows, b, steps, own.sums, a, c, out)


@part
def keep_errors(
    errors: Maybe,
    layers: np.ndarray,
    i: int,
    n: int,
    delta: np.ndarray,
    rows: tuple[int, int],
    scale: np.ndarray,
    block: int,
) -> None:
    """Keep the gradient by layer i's sums, and its largest magnitudes."""
    if errors is not None:
        output_of(layers, errors.values, i, n)[rows[0] : rows[1]] = delta
        for channel in range(scale.shape[0]):
            peaks = of_layer(layers, errors.peaks[block, channel], i)
            peaks[:] = 0
            raise_peaks(delta, scale[channel, rows[0] : rows[1]], peaks)


@part
def keep_hidden_errors(
    errors: Maybe,
    inputs: Maybe,
    layers: np.ndarray,
    i: int,
    n: int,
    delta: np.ndarray,
    rows: tuple[int, int],
    block: int,
) -> None:
    """`keep_errors` for a layer whose inputs are a ReLU layer's outputs."""
    if inputs is not None:
        keep_errors(errors, layers, i, n, delta, rows, inputs.scale[i], block)


@part
def _round_errors_task(
    errors: Maybe,
    layers: np.ndarray,
    i: int,
    n: int,
    center: np.ndarray,
    scale: np.ndarray,
    steps: np.ndarray,
    task: int,
) -> None:
    if errors is not None:
        h, rows, right = layers[i, UNITS], (task * MC, min((task + 1) * MC, n)), errors.packed
        values = output_of(layers, errors.values, i, n)
        panels, first = (h + NR - 1) // NR, units_of(rows[0], right.packed)
        units = units_of(rows[1] - rows[0], right.packed)
        for channel in range(center.shape[0]):
            begin = layers[i, ERRORS] + channel * panels * right.panel
            at, inverse = begin + first * NR, of_layer(layers, steps[channel, 1], i)
            round_panels(values, scale[channel], inverse, rows, right.packed, at, right.panel // NR)
            turn_rows(right, begin, first, units, h)
            if i == 0:
                less, means = errors.less[task, channel], center[channel, rows[0] : rows[1]]
                less[:] = 0
                for j in range(panels):
                    sums = less[j * NR : (j + 1) * NR]
                    add_weighted_sums(right.packed, at + j * right.panel, units, means, sums)


@part
def round_errors(
    errors: Maybe,
    layers: np.ndarray,
    n: int,
    blocks: int,
    space: Space,
    member: int,
    members: int,
    sync: np.ndarray,
    taken: int,
    met: int,
) -> tuple[int, int, bool]:
    """Round the gradients by the layers' sums, kept from so many blocks; return as `round_weights` does."""
    if errors is None:
        return taken, met, True
    steps = errors.steps[member]
    for channel in range(steps.shape[0]):
        top = steps[channel, 0].view(np.int32)
        top[:] = 0
        for block in range(blocks):
            for j in range(top.size):
                top[j] = max(top[j], errors.peaks[block, channel, j])
        set_steps(top, steps[channel, 0], steps[channel, 1])
    parts = (n + MC - 1) // MC
    tasks = layers.shape[0] * parts
    task = next_task(sync) - taken
    while task < tasks:
        i = task // parts
        if i == 0:
            _round_errors_task(errors, layers, ZERO, n, space.center, space.scale, steps, task)
        elif is_rounded(errors, layers, i):
            own = space.inputs
            _round_errors_task(errors, layers, i, n, own.center, own.scale[i], steps, task % parts)
        task = next_task(sync) - taken
    return taken + tasks + members, met + 1, barrier(sync, members, met + 1)


@part
def rounded_task(
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
    """`weights_task` for a block of weights that are rounded, but for what is made of the new weights."""
    if errors is not None:
        layers, row = network.layers, network.tasks[task]
        i, channel, rows = row[LAYER], row[CHANNEL], (row[FIRST], row[LAST])
        a, c = space.a[member].view(np.uint32), space.c[member].view(np.int32)
        n, h, right = index.size, layers[i, UNITS], errors.packed
        at = layers[i, ERRORS] + channel * ((h + NR - 1) // NR) * right.panel
        less, factor = errors.total[member, :h], of_layer(layers, errors.steps[member, channel, 0], i)
        less[:] = 0
        if i == 0:
            for part_of in range((n + MC - 1) // MC):
                for j in range(h):
                    less[j] += errors.less[part_of, channel, j]
            multiply_woven_columns(data.x, index, rows, n, right, at, h, a, c)
        else:
            values = output_of(layers, space.inputs.values, i - 1, n)
            multiply_woven_columns(values, space.inputs.rows, rows, n, right, at, h, a, c)
        if train:
            weight, velocity = weight_of(layers, network.parameters, i), weight_of(layers, rates.velocity, i)
            update_weights(c, rows, less, factor, weight, velocity, (rates.lr, rates.momentum, rates.weight_decay))
        else:
            keep_gradient(c, rows, less, factor, weight_of(layers, network.gradient, i))
