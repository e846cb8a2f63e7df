"""What a step does besides where products are of bytes: see `fastmlp_kernels.gemm.bytes`.

The first layer's inputs are images, as bytes of their own; a ReLU layer's outputs become bytes row by row, and are to
the layer above what images of mean 0 would be, with a row's step for its inverse deviation. A column's step is known
only once all of the column is. So the weights are rounded in a phase of its own, after the one that updates them, and
the gradients by the layers' sums in one between the two phases of a step.
"""

import numpy as np

from fastmlp.nn.packed.state import (
    CHANNEL,
    ERRORS,
    FIRST,
    INPUTS,
    LAST,
    LAYER,
    QUADS,
    ROUND_ERRORS,
    ROUND_WEIGHTS,
    UNITS,
    Data,
    Network,
    Rates,
    Space,
    is_rounded,
    of_layer,
    output_of,
    weight_of,
    weights_update,
)
from fastmlp_kernels._jit import part
from fastmlp_kernels._sums import sum_apart
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import as_int32, as_uint32, copy, fill, row_at, rows_at, vector_at
from fastmlp_kernels.gemm.blocks import MC, units_of
from fastmlp_kernels.gemm.bytes import multiply_images, multiply_woven_columns, turn_rows
from fastmlp_kernels.gemm.columns import keep_gradient, update_weights
from fastmlp_kernels.gemm.pack import NR, ZERO, Maybe
from fastmlp_kernels.gemm.quad_runs import sum_panel
from fastmlp_kernels.gemm.quads import add_weighted_sums, raise_peaks, round_panels, round_rows, set_steps


@part
def keep_peaks(rounded: Maybe, task: int, weight: np.ndarray) -> None:
    """Keep the largest magnitudes of a task's rows of its layer's weights."""
    if rounded is not None:
        peaks = vector_at(rounded.peaks, task * rounded.peaks.shape[1], weight.shape[1])
        fill(peaks, 0)
        raise_peaks(weight, None, peaks)


@part
def _round_task(rounded: Maybe, network: Network, channels: int, steps: np.ndarray, task: int) -> None:
    """Round a task's rows of its layer's weights; of the first layer keep their sums, which normalise images."""
    layers, row = network.layers, row_at(network.tasks, task)
    if rounded is not None and is_rounded(rounded, layers, row[LAYER]):
        packed, i, channel, rows = rounded.packed, row[LAYER], row[CHANNEL], (row[FIRST], row[LAST])
        own = channels if i == 0 else 1
        depth = layers[i, INPUTS] // own
        units = units_of(depth, packed)
        at = layers[i, QUADS] + (channel * units + units_of(rows[0] - channel * depth, packed)) * NR
        weight = weight_of(layers, network.parameters, i)
        round_panels(weight, None, of_layer(layers, row_at(steps, 1), i), rows, packed, at, own * units)
        if i == 0:
            floats = row_at(network.block_sums, task)
            sums = as_int32(floats)
            fill(sums, 0)
            for j in range(0, sums.size, NR):
                sum_panel(packed, at + j * own * units, units_of(rows[1] - rows[0], packed), sums, j)
            for j in range(sums.size):
                floats[j] = np.float32(sums[j])  # exact: below 2^24


@part
def round_weights(rounded: Maybe, network: Network, channels: int, member: Member) -> bool:
    """Round the weights that are to be; False where a member failed."""
    if rounded is None:
        return True
    layers, steps = network.layers, row_at(rounded.steps, member.number)
    top = as_int32(row_at(steps, 0))
    fill(top, 0)
    for task in range(network.tasks.shape[0]):
        own = of_layer(layers, top, network.tasks[task, LAYER])
        for j in range(own.size):
            own[j] = max(own[j], rounded.peaks[task, j])
    set_steps(top, row_at(steps, 0), row_at(steps, 1))
    for task in tasks(member, network.tasks.shape[0]):
        _round_task(rounded, network, channels, steps, task)
    return meet(member, ROUND_WEIGHTS)


@part
def round_inputs(inputs: Maybe, layers: np.ndarray, i: int, h: np.ndarray, rows: tuple[int, int]) -> None:
    """Make bytes of `rows` of h (N, D), the outputs of a ReLU layer and inputs of layer i."""
    if inputs is not None:
        values = output_of(layers, inputs.values, i - 1, h.shape[0])
        steps = vector_at(inputs.scale, i * inputs.scale.shape[2] + rows[0], rows[1] - rows[0])
        round_rows(rows_at(h, rows), rows_at(values, rows), steps)


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
        a, c = as_uint32(row_at(space.a, member)), as_int32(row_at(space.c, member))
        steps, at = of_layer(layers, row_at(row_at(rounded.steps, member), 0), i), layers[i, QUADS]
        b = vector_at(rounded.packed, at, rounded.packed.size - at)
        if i == 0:
            multiply_images(x, index, space.center, space.scale, rows, b, steps, row_at(space.sums, member), a, c, out)
        else:
            own = space.inputs
            values = output_of(layers, own.values, i - 1, out.shape[0])
            multiply_images(values, own.rows, own.center, row_at(own.scale, i), rows, b, steps, own.sums, a, c, out)


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
        copy(delta, rows_at(output_of(layers, errors.values, i, n), rows))
        for channel in range(scale.shape[0]):
            peaks = of_layer(layers, row_at(row_at(errors.peaks, block), channel), i)
            fill(peaks, 0)
            raise_peaks(delta, vector_at(scale, channel * scale.shape[1] + rows[0], rows[1] - rows[0]), peaks)


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
        keep_errors(errors, layers, i, n, delta, rows, row_at(inputs.scale, i), block)


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
            at, inverse = begin + first * NR, of_layer(layers, row_at(row_at(steps, channel), 1), i)
            round_panels(values, row_at(scale, channel), inverse, rows, right.packed, at, right.panel // NR)
            turn_rows(right, begin, first, units, h)
            if i == 0:
                less = row_at(row_at(errors.less, task), channel)
                means = vector_at(center, channel * center.shape[1] + rows[0], rows[1] - rows[0])
                fill(less, 0)
                for j in range(panels):
                    sums = vector_at(less, j * NR, NR)
                    add_weighted_sums(right.packed, at + j * right.panel, units, means, sums)


@part
def round_errors(errors: Maybe, layers: np.ndarray, n: int, blocks: int, space: Space, member: Member) -> bool:
    """Round the gradients by the layers' sums, kept from so many blocks of rows; False where a member failed."""
    if errors is None:
        return True
    steps = row_at(errors.steps, member.number)
    for channel in range(steps.shape[0]):
        own_steps = row_at(steps, channel)
        top = as_int32(row_at(own_steps, 0))
        fill(top, 0)
        for block in range(blocks):
            for j in range(top.size):
                top[j] = max(top[j], errors.peaks[block, channel, j])
        set_steps(top, row_at(own_steps, 0), row_at(own_steps, 1))
    parts = (n + MC - 1) // MC
    for task in tasks(member, layers.shape[0] * parts):
        i = task // parts
        if i == 0:
            _round_errors_task(errors, layers, ZERO, n, space.center, space.scale, steps, task)
        elif is_rounded(errors, layers, i):
            own = space.inputs
            _round_errors_task(errors, layers, i, n, own.center, row_at(own.scale, i), steps, task % parts)
    return meet(member, ROUND_ERRORS)


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
        layers, row = network.layers, row_at(network.tasks, task)
        i, channel, rows = row[LAYER], row[CHANNEL], (row[FIRST], row[LAST])
        a, c = as_uint32(row_at(space.a, member)), as_int32(row_at(space.c, member))
        n, h, right = index.size, layers[i, UNITS], errors.packed
        at = layers[i, ERRORS] + channel * ((h + NR - 1) // NR) * right.panel
        less = vector_at(errors.total, member * errors.total.shape[1], h)
        factor = of_layer(layers, row_at(row_at(row_at(errors.steps, member), channel), 0), i)
        if i == 0:
            width = errors.less.shape[2]
            sum_apart(errors.less, channel * width, errors.less.shape[1] * width, (n + MC - 1) // MC, less)
            multiply_woven_columns(data.x, index, rows, n, right, at, h, a, c)
        else:
            fill(less, 0)
            values = output_of(layers, space.inputs.values, i - 1, n)
            multiply_woven_columns(values, space.inputs.rows, rows, n, right, at, h, a, c)
        if train:
            update_weights(c, rows, less, factor, weights_update(network, rates, i, n))
        else:
            keep_gradient(c, rows, less, factor, weight_of(layers, network.gradient, i))
