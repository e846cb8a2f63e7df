"""The parts of a step that quantize operands to 8-bit integers (`fastmlp_kernels.gemm.quantize`) and multiply them.

All arrays of floats are float32. "Errors" are the gradients by the layers' sums x W + b.

The first layer's inputs are images, as bytes of their own; a ReLU layer's outputs become bytes row by row, and are to
the layer above what images of mean 0 would be, with a row's step for its inverse deviation. A column's step is known
only once all of the column is. So the weights are quantized in a phase of its own, after the one that updates them, and
the gradients by the layers' sums in one between the two phases of a step.
"""

import numpy as np

from fastmlp.nn.packed.state import (
    QUANTIZE_ERRORS,
    QUANTIZE_WEIGHTS,
    Batch,
    Network,
    Rates,
    Record,
    Space,
    blocks_of,
    input_of,
    is_quantized,
    of_layer,
    output_of,
    own_work,
    packed_weights,
    rows_of,
    weight_of,
    weights_update,
)
from fastmlp_kernels._jit import part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._scratch import work_array
from fastmlp_kernels._sums import sum_apart
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import (
    as_int32,
    as_uint32,
    copy,
    fill,
    matrix_at,
    no_index,
    read_only,
    row_at,
    rows_at,
    vector_at,
)
from fastmlp_kernels.gemm.ahead import nothing
from fastmlp_kernels.gemm.blocks import MC
from fastmlp_kernels.gemm.columns import begin_columns, end_gradient, update_columns
from fastmlp_kernels.gemm.pack import as_rows, units_of
from fastmlp_kernels.gemm.panels import NR, ZERO, Maybe, Panels, Work
from fastmlp_kernels.gemm.quantize import quantize_panels, quantize_rows, raise_peaks, set_steps
from fastmlp_kernels.gemm.raw import add_column_sums, moments_of
from fastmlp_kernels.gemm.rows import multiply_rows
from fastmlp_kernels.gemm.tiles import keep_by_column


@part
def _byte_work(space: Space, member: int) -> Work:
    """Return a member's work arrays as those of a product of bytes."""
    work = own_work(space, member)
    return Work(as_uint32(work.a), as_int32(work.c))


@part
def _input_rows(inputs: Maybe, layer: Record, n: int) -> Rows:
    """Return a ReLU layer's outputs, as bytes, in the record that images have, so that both share compiled code."""
    values, steps = input_of(layer, inputs.values, n), inputs.scale
    scale = matrix_at(steps, layer.number * steps.shape[1], n, 1)
    return Rows(read_only(values), no_index(), read_only(inputs.center), read_only(scale))


@part
def _weight_panels(quantized: Maybe, layer: Record, member: int, sums: np.ndarray) -> Panels:
    steps = of_layer(layer, row_at(row_at(quantized.steps, member), 0))
    return packed_weights(layer, quantized.packed, steps, sums)


@part
def keep_peaks(quantized: Maybe, task: int, weight: np.ndarray) -> None:
    """Keep the largest magnitude in each column of `weight`, (rows, H), a task's rows of its layer's weights."""
    if quantized is not None:
        peaks = vector_at(quantized.peaks, task * quantized.peaks.shape[1], weight.shape[1])
        fill(peaks, 0)
        raise_peaks(weight, None, peaks)


@part
def _quantize_task(quantized: Maybe, network: Network, steps: np.ndarray, number: int) -> None:
    """Quantize a task's rows of its layer's weights; of the first layer keep column sums, to correct for raw images."""
    task = network.tasks[number]
    layer, rows = network.layers[task.layer], (task.first, task.last)
    if is_quantized(quantized, layer):
        b, depth = packed_weights(layer, quantized.packed, None, None), layer.inputs // layer.channels
        first = task.channel * units_of(depth, b.array) + units_of(rows[0] - task.channel * depth, b.array)
        weight, inverse = weight_of(layer, network.parameters), of_layer(layer, row_at(steps, 1))
        quantize_panels(as_rows(weight, None), inverse, rows, b, first)
        if task.layer == 0:
            sums = row_at(network.block_sums, number)
            fill(sums, 0)
            units = units_of(rows[1] - rows[0], b.array)
            add_column_sums(b, (ZERO, sums.size), first, units, None, sums)  # exact: below 2^24


@part
def quantize_weights(quantized: Maybe, network: Network, member: Member) -> bool:
    """Quantize the weights of all layers that multiply bytes; False where a member of the team failed."""
    if quantized is None:
        return True
    steps = row_at(quantized.steps, member.number)
    top = as_int32(row_at(steps, 0))
    fill(top, 0)
    for task in range(network.tasks.shape[0]):
        own = of_layer(network.layers[network.tasks[task].layer], top)
        for j in range(own.size):
            own[j] = max(own[j], quantized.peaks[task, j])
    set_steps(top, row_at(steps, 0), row_at(steps, 1))
    for task in tasks(member, network.tasks.shape[0]):
        _quantize_task(quantized, network, steps, task)
    return meet(member, QUANTIZE_WEIGHTS)


@part
def quantize_inputs(inputs: Maybe, layer: Record, h: np.ndarray, rows: tuple[int, int]) -> None:
    """Quantize `rows` of h (N, D), the outputs of a ReLU layer, as inputs of the layer above, `layer`."""
    if inputs is not None:
        values, scale = input_of(layer, inputs.values, h.shape[0]), inputs.scale
        steps = vector_at(scale, layer.number * scale.shape[1] + rows[0], rows[1] - rows[0])
        quantize_rows(rows_at(h, rows), rows_at(values, rows), steps)


@part
def multiply_quantized(
    quantized: Maybe,
    layer: Record,
    images: Rows,
    space: Space,
    member: int,
    block: tuple[int, int],
    out: np.ndarray,
) -> None:
    """Rows `block` of out (N, H) <- X W of a layer, in 8-bit integers; images : the first layer's inputs X."""
    if quantized is not None:
        work = _byte_work(space, member)
        if layer.number == 0:
            b = _weight_panels(quantized, layer, member, row_at(space.sums, member))
            multiply_rows(images, block, (ZERO, ZERO), b, work, out)
        else:
            b = _weight_panels(quantized, layer, member, space.inputs.sums)
            multiply_rows(_input_rows(space.inputs, layer, out.shape[0]), block, (ZERO, ZERO), b, work, out)


@part
def keep_errors(errors: Maybe, layer: Record, rows: Rows, delta: np.ndarray, number: int, n: int) -> None:
    """Keep delta (n, H), the gradient by a layer's sums for a block of rows, and its largest magnitude by column."""
    if errors is not None:
        block = rows_of(number, n)
        copy(delta, rows_at(output_of(layer, errors.values, n), block))
        scale = vector_at(work_array(delta, delta.shape[0]), 0, delta.shape[0])
        for channel in range(rows.scale.shape[1]):
            peaks = of_layer(layer, row_at(row_at(errors.peaks, number), channel))
            fill(peaks, 0)
            moments_of(rows.scale, rows.index, block, channel, scale)
            raise_peaks(delta, scale, peaks)


@part
def keep_hidden_errors(errors: Maybe, inputs: Maybe, layer: Record, delta: np.ndarray, number: int, n: int) -> None:
    """`keep_errors` of delta (n, H) for a layer whose inputs are a ReLU layer's outputs."""
    if inputs is not None:
        keep_errors(errors, layer, _input_rows(inputs, layer, n), delta, number, n)


@part
def _error_panels(errors: Maybe, layer: Record, channel: int, steps: Maybe, less: Maybe) -> Panels:
    right = errors.packed
    at = layer.delta + channel * ((layer.units + NR - 1) // NR) * right.panel
    return Panels(right.array, at, right.panel, NR, steps, less, right.by_column)


@part
def _quantize_errors_task(errors: Maybe, layer: Record, rows: Rows, steps: np.ndarray, number: int, n: int) -> None:
    """Quantize the gradient by a layer's sums for mc rows of the batch, the part of this number, channel by channel."""
    if errors is not None:
        block, columns = (number * MC, min((number + 1) * MC, n)), (ZERO, layer.units)
        values, count = rows_at(output_of(layer, errors.values, n), block), block[1] - block[0]
        moments = vector_at(work_array(values, count), 0, count)
        for channel in range(rows.scale.shape[1]):
            b, inverse = (
                _error_panels(errors, layer, channel, None, None),
                of_layer(layer, row_at(row_at(steps, channel), 1)),
            )
            first, units = units_of(block[0], b.array), units_of(count, b.array)
            moments_of(rows.scale, rows.index, block, channel, moments)
            quantize_panels(as_rows(values, matrix_at(moments, 0, count, 1)), inverse, (ZERO, count), b, first)
            keep_by_column(b, columns, first, units)
            if layer.number == 0:
                less = row_at(row_at(errors.less, number), channel)
                fill(less, 0)
                moments_of(rows.center, rows.index, block, channel, moments)
                add_column_sums(b, columns, first, units, moments, less)


@part
def quantize_errors(errors: Maybe, layers: np.ndarray, rows: Rows, space: Space, n: int, member: Member) -> bool:
    """Quantize the gradients that `keep_errors` kept of all blocks of rows; False where a member of the team failed.

    layers : (n,) table of `LAYER`
    """
    if errors is None:
        return True
    steps = row_at(errors.steps, member.number)
    for channel in range(steps.shape[0]):
        own_steps = row_at(steps, channel)
        top = as_int32(row_at(own_steps, 0))
        fill(top, 0)
        for block in range(blocks_of(n)):
            for j in range(top.size):
                top[j] = max(top[j], errors.peaks[block, channel, j])
        set_steps(top, row_at(own_steps, 0), row_at(own_steps, 1))
    parts = (n + MC - 1) // MC
    for task in tasks(member, layers.shape[0] * parts):
        layer = layers[task // parts]
        if layer.number == 0:
            _quantize_errors_task(errors, layer, rows, steps, task, n)
        elif is_quantized(errors, layer):
            _quantize_errors_task(errors, layer, _input_rows(space.inputs, layer, n), steps, task % parts, n)
    return meet(member, QUANTIZE_ERRORS)


@part
def quantized_task(
    errors: Maybe,
    network: Network,
    batch: Batch,
    space: Space,
    rates: Rates,
    who: tuple[int, int],
    train: bool,
) -> None:
    """Update a block of weights that are bytes, as `weights_task` does, without packing the new weights.

    who : the member and the number of its task
    """
    if errors is not None:
        (member, number), n = who, batch.rows.index.size
        task, work = network.tasks[number], _byte_work(space, member)
        layer, rows = network.layers[task.layer], (task.first, task.last)
        less = vector_at(errors.total, member * errors.total.shape[1], layer.units)
        factor = of_layer(layer, row_at(row_at(row_at(errors.steps, member), task.channel), 0))
        b = _error_panels(errors, layer, task.channel, factor, less)
        if task.layer == 0:
            width = errors.less.shape[2]
            sum_apart(errors.less, task.channel * width, errors.less.shape[1] * width, (n + MC - 1) // MC, less)
            product = begin_columns(batch.rows, rows, (ZERO, n), b, layer.units, work)
        else:
            fill(less, 0)
            product = begin_columns(_input_rows(space.inputs, layer, n), rows, (ZERO, n), b, layer.units, work)
        if train:
            update_columns(product, rows, weights_update(network, rates, layer, batch.total), work, nothing())
        else:
            end_gradient(product, rows, weight_of(layer, network.gradient), work)
