"""The second phase of a step: a block of one layer's weights gets its gradient, is updated, and packed anew."""

import numpy as np

from fastmlp.nn.packed.rounded import keep_peaks, rounded_task
from fastmlp.nn.packed.state import (
    BIAS,
    CHANNEL,
    DELTA,
    FIRST,
    INPUTS,
    LAST,
    LAYER,
    PACKED,
    TURNED,
    UNITS,
    Data,
    Network,
    Rates,
    Space,
    bias_of,
    channel_elements,
    channels_of,
    is_rounded,
    of_layer,
    output_of,
    read_in_place,
    weight_of,
    weights_update,
)
from fastmlp_kernels._jit import part
from fastmlp_kernels._optimizers import with_decay
from fastmlp_kernels._sums import add_up_rows, sum_apart
from fastmlp_kernels._views import copy, fill, no_index, read_only, row_at, rows_at, vector_at
from fastmlp_kernels.gemm.blocks import units_of
from fastmlp_kernels.gemm.columns import begin_columns, end_columns, keep_gradient, update_columns
from fastmlp_kernels.gemm.pack import NR, Maybe, add_column_sums, item, pack_panels, pack_panels_transposed
from fastmlp_kernels.update import step_parameters


@part
def _keep_sums(
    rounded: Maybe, block_sums: Maybe, task: int, packed: np.ndarray, at: int, units: int, panel: int
) -> None:
    if rounded is None and block_sums is not None:
        for j in range(0, block_sums.shape[1], NR):
            sums = vector_at(block_sums, task * block_sums.shape[1] + j, NR)
            fill(sums, 0)
            add_column_sums(packed, at + j // NR * panel, units, None, 0, sums)


@part
def pack_weights(network: Network, channels: int, batch: int, strip: np.ndarray, task: int) -> None:
    """Pack the task's rows of its layer's weights for the forward product, and turned for the way back."""
    layers = network.layers
    i, channel = network.tasks[task, LAYER], network.tasks[task, CHANNEL]
    rows = network.tasks[task, FIRST], network.tasks[task, LAST]
    weight = weight_of(layers, network.parameters, i)
    own = channels if i == 0 else 1
    depth = layers[i, INPUTS] // own
    units = units_of(depth, network.packed)  # of a channel: each is packed by itself, with padding of its own
    at = layers[i, PACKED] + (channel * units + units_of(rows[0] - channel * depth, network.packed)) * NR
    if is_rounded(network.rounded, layers, i):
        keep_peaks(network.rounded, task, rows_at(weight, rows))
    elif not read_in_place(layers, i, batch, network.packed):
        pack_panels(weight, None, rows, network.packed, at, own * units)
    if i == 0:
        count = units_of(rows[1] - rows[0], network.packed)
        _keep_sums(network.rounded, network.block_sums, task, network.packed, at, count, own * units * NR)
    else:
        turned = units_of(layers[i, UNITS], network.turned)
        pack_panels_transposed(weight, rows, strip, network.turned, layers[i, TURNED], turned)


@part
def _sum_corrections(correction: Maybe, blocks: int, task: np.ndarray, less: Maybe) -> None:
    """Add up what the images' means add to a gradient of the first layer, by unit; see `rows`."""
    if correction is not None:
        if task[LAYER] == 0:
            width = correction.shape[2]
            stride = correction.shape[1] * width
            sum_apart(correction, task[CHANNEL] * width, stride, blocks, vector_at(less, 0, width))
        else:
            fill(less, 0)


@part
def weights_task(
    network: Network,
    data: Data,
    index: np.ndarray,
    space: Space,
    rates: Rates,
    member: int,
    blocks: int,
    task: int,
    train: bool,
) -> None:
    """Form a block of a gradient; update the weights and pack them, or else keep the gradient.

    blocks : of rows, that the batch was cut into
    """
    if is_rounded(network.rounded, network.layers, network.tasks[task, LAYER]):
        rounded_task(space.errors, network, data, index, space, rates, member, task, train)
    else:
        _floats_task(network, data, index, space, rates, member, blocks, task, train)
    if train:
        pack_weights(network, channels_of(space.center), data.batch, row_at(space.a, member), task)


@part
def _floats_task(
    network: Network,
    data: Data,
    index: np.ndarray,
    space: Space,
    rates: Rates,
    member: int,
    blocks: int,
    task: int,
    train: bool,
) -> None:
    layers, row = network.layers, row_at(network.tasks, task)
    i, channel, rows = row[LAYER], row[CHANNEL], (row[FIRST], row[LAST])
    a, c, less = row_at(space.a, member), row_at(space.c, member), item(space.less, member)
    n, at, h = index.size, layers[i, DELTA], layers[i, UNITS]
    if i > 0:
        x = output_of(layers, space.outputs, i - 1, n)
        product = begin_columns(read_only(x), no_index(), None, None, rows, n, space.deltas, at, space.panel, h, a, c)
    else:
        at += channel * channel_elements(space.correction, h, space.panel)
        center, scale = item(space.center, channel), item(space.scale, channel)
        product = begin_columns(data.x, index, center, scale, rows, n, space.deltas, at, space.panel, h, a, c)
    _sum_corrections(space.correction, blocks, row, less)
    if train:
        update_columns(product, rows, less, weights_update(network, rates, i, n), a, c)
    else:
        end_columns(product, rows[1] - rows[0], h, a, c)
        keep_gradient(c, rows, less, None, weight_of(layers, network.gradient, i))


@part
def biases_task(network: Network, space: Space, rates: Rates, blocks: int, train: bool) -> None:
    """Add up the bias gradients of all layers over the blocks of rows, and update the biases, which do not decay."""
    layers, settings = network.layers, with_decay(rates.settings, 0.0)
    sums = add_up_rows(space.dbias, blocks, space.dbias.shape[1])  # in place: no other task reads them
    for i in range(layers.shape[0]):
        total = bias_of(layers, network.gradient, i)
        copy(of_layer(layers, sums, i), total)
        if train:
            step_parameters(network.parameters, rates.state, layers[i, BIAS], total, settings)
