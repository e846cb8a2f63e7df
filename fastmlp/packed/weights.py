"""The second phase of a step: a block of one layer's weights gets its gradient, is updated, and packed anew."""

import numpy as np

from fastmlp.packed.rows import bias_part
from fastmlp.packed.state import (
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
    output_of,
    weight_of,
)
from fastmlp_kernels._blocks import MC, multiply_columns, store_rows, units_of, update_weights
from fastmlp_kernels._jit import part
from fastmlp_kernels._pack import NR, Maybe, add_column_sums, item, pack_panels, pack_panels_transposed
from fastmlp_kernels.update import step_parameters


@part
def _keep_sums(block_sums: Maybe, task: int, packed: np.ndarray, at: int, units: int, panel: int) -> None:
    if block_sums is not None:
        for j in range(0, block_sums.shape[1], NR):
            sums = block_sums[task, j : j + NR]
            sums[:] = 0
            add_column_sums(packed, at + j // NR * panel, units, None, 0, sums)


@part
def pack_weights(network: Network, channels: int, strip: np.ndarray, task: int) -> None:
    """Pack the task's rows of its layer's weights for the forward product, and turned for the way back."""
    layers = network.layers
    i, channel = network.tasks[task, LAYER], network.tasks[task, CHANNEL]
    rows = network.tasks[task, FIRST], network.tasks[task, LAST]
    weight = weight_of(layers, network.parameters, i)
    own = channels if i == 0 else 1
    depth = layers[i, INPUTS] // own
    units = units_of(depth, network.packed)  # of a channel: each is packed by itself, with padding of its own
    at = layers[i, PACKED] + (channel * units + units_of(rows[0] - channel * depth, network.packed)) * NR
    pack_panels(weight, None, rows, network.packed, at, own * units)
    if i == 0:
        count = units_of(rows[1] - rows[0], network.packed)
        _keep_sums(network.block_sums, task, network.packed, at, count, own * units * NR)
    else:
        turned = units_of(layers[i, UNITS], network.turned)
        pack_panels_transposed(weight, rows, strip, network.turned, layers[i, TURNED], turned)


@part
def _subtract_correction(correction: Maybe, blocks: int, task: np.ndarray, c: np.ndarray, total: np.ndarray) -> None:
    """Take the images' means out of a gradient block of the first layer; see `rows`."""
    if correction is not None:
        width = correction.shape[2]
        total[:width] = 0
        for block in range(blocks):
            for j in range(width):
                total[j] += correction[block, task[CHANNEL], j]
        count = task[LAST] - task[FIRST]
        gradient = c[: count * width].reshape(count, width)
        for r in range(count):
            for j in range(width):
                gradient[r, j] -= total[j]


@part
def _gradient_block(
    network: Network, data: Data, index: np.ndarray, space: Space, member: int, task: np.ndarray
) -> None:
    layers = network.layers
    i, channel = task[LAYER], task[CHANNEL]
    rows = task[FIRST], task[LAST]
    a, c = space.a[member], space.c[member]
    n, at, h = index.size, layers[i, DELTA], layers[i, UNITS]
    if i > 0:
        x = output_of(layers, space.outputs, i - 1, n)
        multiply_columns(x, None, None, None, rows, n, space.deltas, at, space.panel, h, a, c)
    else:
        at += channel * channel_elements(space.correction, h, space.panel)
        center, scale = item(space.center, channel), item(space.scale, channel)
        multiply_columns(data.x, index, center, scale, rows, n, space.deltas, at, space.panel, h, a, c)
        blocks = (n + MC - 1) // MC
        _subtract_correction(space.correction, blocks, task, c, space.delta[member, 0])


@part
def weights_task(
    network: Network, data: Data, index: np.ndarray, space: Space, rates: Rates, member: int, task: int, train: bool
) -> None:
    """Form a block of a gradient; update the weights and pack them, or else keep the gradient."""
    layers, row = network.layers, network.tasks[task]
    i, rows = row[LAYER], (row[FIRST], row[LAST])
    _gradient_block(network, data, index, space, member, row)
    c = space.c[member]
    if train:
        weight, velocity = weight_of(layers, network.parameters, i), weight_of(layers, rates.velocity, i)
        update_weights(c, rows, weight, velocity, rates.lr, rates.momentum, rates.weight_decay)
        pack_weights(network, channels_of(space.center), space.a[member], task)
    else:
        store_rows(c, rows, weight_of(layers, network.gradient, i))


@part
def biases_task(network: Network, space: Space, rates: Rates, blocks: int, train: bool) -> None:
    """Add up the bias gradients of all layers over the blocks of rows, and update the biases, which do not decay."""
    layers = network.layers
    for i in range(layers.shape[0]):
        total = bias_of(layers, network.gradient, i)
        total[:] = 0
        for block in range(blocks):
            share = bias_part(layers, space.dbias, i, block)
            for j in range(total.size):
                total[j] += share[j]
        if train:
            bias, velocity = bias_of(layers, network.parameters, i), bias_of(layers, rates.velocity, i)
            step_parameters(bias, velocity, total, rates.lr, rates.momentum, 0.0)
