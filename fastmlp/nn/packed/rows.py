"""The first phase of a step: a block of rows goes through all layers, to the loss, and back."""

import numpy as np

from fastmlp.nn.loss import CROSS_ENTROPY
from fastmlp.nn.packed.rounded import keep_errors, keep_hidden_errors, multiply_rounded, round_inputs
from fastmlp.nn.packed.state import (
    DELTA,
    TURNED,
    UNITS,
    Data,
    Network,
    Space,
    bias_of,
    forward_weights,
    is_rounded,
    of_layer,
    output_of,
)
from fastmlp_kernels._jit import part
from fastmlp_kernels._sums import sum_apart
from fastmlp_kernels._views import fill, matrix_at, no_index, read_only, row_at, rows_at, vector_at
from fastmlp_kernels.activations import activation_backward, bias_activation
from fastmlp_kernels.gemm.blocks import multiply_rows, units_of
from fastmlp_kernels.gemm.pack import NR, ZERO, Maybe, add_column_sums, item, pack_panels

_loss_of_block = CROSS_ENTROPY.of_rows


@part
def _take_moments(
    mean: Maybe,
    inv_std: Maybe,
    index: np.ndarray,
    rows: tuple[int, int],
    center: Maybe,
    scale: Maybe,
) -> None:
    if mean is not None:
        for r in range(rows[0], rows[1]):
            for channel in range(mean.shape[1]):
                center[channel, r] = mean[index[r], channel]
                scale[channel, r] = inv_std[index[r], channel]


@part
def _pack_delta(delta: np.ndarray, rows: tuple[int, int], at: int, space: Space) -> None:
    """Pack the gradient by a layer's sums: delta (count, H), which are `rows` of the batch."""
    to = at + units_of(rows[0], space.deltas) * NR
    pack_panels(delta, None, (ZERO, rows[1] - rows[0]), space.deltas, to, space.panel // NR)


@part
def _pack_scaled_delta(
    delta: np.ndarray,
    rows: tuple[int, int],
    at: int,
    deltas: np.ndarray,
    panel: int,
    center: Maybe,
    scale: Maybe,
    correction: Maybe,
) -> None:
    """Pack it for raw images: dW = sum_i s_i (x_i - m_i) d_i = sum_i x_i (s_i d_i) - sum_i m_i (s_i d_i), by channel.

    Each s_i d_i is rounded as it is packed; the second sum, the correction, is taken of the rounded values.
    """
    if correction is not None:
        columns = delta.shape[1]
        count = rows[1] - rows[0]
        panels = (columns + NR - 1) // NR
        units = units_of(count, deltas)
        for channel in range(center.shape[0]):
            to = at + channel * panels * panel + units_of(rows[0], deltas) * NR
            own_scale = vector_at(scale, channel * scale.shape[1] + rows[0], count)
            own_center = vector_at(center, channel * center.shape[1] + rows[0], count)
            pack_panels(delta, own_scale, (ZERO, count), deltas, to, panel // NR)
            for j in range(panels):
                sums = vector_at(correction, channel * correction.shape[1] + j * NR, NR)
                fill(sums, 0)
                add_column_sums(deltas, to + j * panel, units, own_center, 0, sums)


@part
def sum_blocks(block_sums: Maybe, sums: Maybe) -> None:
    """Add up the column sums of the first layer's packed weights, by channel (C, H)."""
    if block_sums is not None:
        blocks, width = block_sums.shape[0] // sums.shape[0], block_sums.shape[1]  # of a channel, one after the other
        for channel in range(sums.shape[0]):
            sum_apart(block_sums, channel * blocks * width, width, blocks, row_at(sums, channel))


@part
def forward_rows(
    network: Network, data: Data, index: np.ndarray, space: Space, member: int, rows: tuple[int, int], activation: int
) -> None:
    """Take `rows` of the batch through all layers; the logits stay without their bias."""
    layers, n = network.layers, index.size
    a, c = row_at(space.a, member), row_at(space.c, member)
    last = layers.shape[0] - 1
    _take_moments(data.mean, data.inv_std, index, rows, space.center, space.scale)
    out = output_of(layers, space.outputs, 0, n)
    sums = item(space.sums, member)
    if network.rounded is None:
        b, at, stride = forward_weights(network, ZERO, data.batch)
        multiply_rows(data.x, index, space.center, space.scale, rows, b, at, stride, sums, a, c, out)
    else:
        multiply_rounded(network.rounded, layers, ZERO, data.x, index, space, member, rows, out)
    for i in range(1, last + 1):
        kept = rows_at(output_of(layers, space.kept, i - 1, n), rows)
        bias_activation(rows_at(out, rows), bias_of(layers, network.parameters, i - 1), kept, activation)
        following = output_of(layers, space.outputs, i, n)
        if is_rounded(network.rounded, layers, i):
            round_inputs(space.inputs, layers, i, out, rows)
            multiply_rounded(network.rounded, layers, i, data.x, index, space, member, rows, following)
        else:
            b, at, stride = forward_weights(network, i, data.batch)
            multiply_rows(read_only(out), no_index(), None, None, rows, b, at, stride, None, a, c, following)
        out = following


@part
def loss_of_rows(
    network: Network, labels: np.ndarray, weights: np.ndarray, space: Space, rows: tuple[int, int], block: int
) -> None:
    """Keep these rows' share of the loss and their correct answers; the logits become the loss's gradient."""
    last = network.layers.shape[0] - 1
    logits, count = rows_at(output_of(network.layers, space.outputs, last, labels.size), rows), rows[1] - rows[0]
    dbias = bias_part(network.layers, space.dbias, last, block)
    bias = bias_of(network.layers, network.parameters, last)
    mine = vector_at(weights, min(rows[0], weights.size), min(count, weights.size))
    own_labels = vector_at(labels, rows[0], count)
    loss, correct = _loss_of_block(logits, bias, own_labels, mine, dbias, labels.size)
    space.loss[block] = loss
    space.correct[block] = correct


@part
def bias_part(layers: np.ndarray, dbias: np.ndarray, i: int, block: int) -> np.ndarray:
    """Return layer i's bias gradient (H,) over one block of rows."""
    return of_layer(layers, row_at(dbias, block), i)


@part
def backward_rows(
    network: Network, n: int, space: Space, member: int, rows: tuple[int, int], block: int, activation: int
) -> None:
    """Hand the gradient down to the first layer; pack each layer's for the products with its inputs."""
    layers = network.layers
    a, c = row_at(space.a, member), row_at(space.c, member)
    count = rows[1] - rows[0]
    last = layers.shape[0] - 1
    delta = rows_at(output_of(layers, space.outputs, last, n), rows)
    for i in range(last, 0, -1):
        if is_rounded(network.rounded, layers, i):
            keep_hidden_errors(space.errors, space.inputs, layers, i, n, delta, rows, block)
        else:
            _pack_delta(delta, rows, layers[i, DELTA], space)
        h = layers[i - 1, UNITS]
        lower = matrix_at(space.delta, (2 * member + i % 2) * space.delta.shape[2], count, h)
        multiply_rows(
            read_only(delta),
            no_index(),
            None,
            None,
            (ZERO, count),
            network.turned,
            layers[i, TURNED],
            NR,
            None,
            a,
            c,
            lower,
        )
        kept = rows_at(output_of(layers, space.kept, i - 1, n), rows)
        activation_backward(lower, kept, bias_part(layers, space.dbias, i - 1, block), activation)
        delta = lower
    if space.errors is not None:
        keep_errors(space.errors, layers, ZERO, n, delta, rows, space.scale, block)
    elif space.correction is None:
        _pack_delta(delta, rows, layers[0, DELTA], space)
    else:
        correction = item(space.correction, block)
        _pack_scaled_delta(
            delta, rows, layers[0, DELTA], space.deltas, space.panel, space.center, space.scale, correction
        )
