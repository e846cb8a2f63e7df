"""The first phase of a step: some blocks of rows go through all layers, to the loss, and back.

Arrays are of the network's dtype, float32 or float64.
"""

from typing import Any

import numpy as np
from numba.extending import overload

from fastmlp.nn.packed.dropping import drop_gradients, drop_outputs
from fastmlp.nn.packed.quantized import keep_errors, keep_hidden_errors, multiply_quantized, quantize_inputs
from fastmlp.nn.packed.state import (
    Batch,
    Network,
    Record,
    Space,
    bias_of,
    forward_weights,
    is_quantized,
    is_turned,
    kept_of,
    of_layer,
    output_of,
    own_work,
    packed_delta,
    rows_of,
    transposed_weights,
    weight_of,
)
from fastmlp_kernels._activation_passes import activation_backward, bias_activation
from fastmlp_kernels._elementwise_rows import elementwise_of_rows
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._sums import sum_apart
from fastmlp_kernels._views import fill, matrix_at, row_at, rows_at, vector_at
from fastmlp_kernels.gemm.pack import as_rows, item, pack_panels, units_of
from fastmlp_kernels.gemm.panels import ZERO, Maybe
from fastmlp_kernels.gemm.raw import pack_scaled_panels
from fastmlp_kernels.gemm.rows import multiply_rows
from fastmlp_kernels.gemm.tiles import keep_by_column
from fastmlp_kernels.gemm.turned import multiply_turned
from fastmlp_kernels.loss import cross_entropy_of_rows


def _loss_of_block(
    z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: np.ndarray, dbias: np.ndarray, criterion: Any,
    total: float,
) -> tuple[float, int]:  # fmt: skip
    """Return loss and correct answers of a block of rows: the dimensions of its targets say which loss it is."""
    of_rows = cross_entropy_of_rows if targets.ndim == 1 else elementwise_of_rows
    return of_rows(z, bias, targets, weights, dbias, criterion, total)


@overload(_loss_of_block, jit_options=PART)
def _overload_loss_of_block(z, bias, targets, weights, dbias, criterion, total):  # noqa: ARG001
    of_rows = cross_entropy_of_rows if targets.ndim == 1 else elementwise_of_rows
    return lambda z, bias, targets, weights, dbias, criterion, total: of_rows(
        z, bias, targets, weights, dbias, criterion, total
    )


@part
def pack_delta(delta: np.ndarray, first: int, layer: Record, space: Space) -> None:
    """Pack delta (n, H), the gradient by a layer's sums for the batch's rows from `first` on, as right operand."""
    b = packed_delta(space, layer, ZERO, None)
    inner, columns, unit = (ZERO, delta.shape[0]), (ZERO, delta.shape[1]), units_of(first, b.array)
    pack_panels(as_rows(delta, None), columns, inner, b, unit)
    keep_by_column(b, columns, unit, units_of(delta.shape[0], b.array))


@part
def pack_first_delta(
    delta: np.ndarray, rows: Rows, block: tuple[int, int], layer: Record, space: Space, correction: Maybe
) -> None:
    """`pack_delta` of delta (n, H) in the first layer: for raw images by channel, with the correction for centers."""
    if correction is None:
        pack_delta(delta, block[0], layer, space)
    else:
        for channel in range(correction.shape[0]):
            sums = row_at(correction, channel)
            fill(sums, 0)
            b = packed_delta(space, layer, channel, None)
            columns = (ZERO, delta.shape[1])
            pack_scaled_panels(delta, columns, rows, block, channel, b, sums)
            keep_by_column(b, columns, units_of(block[0], b.array), units_of(block[1] - block[0], b.array))


@part
def sum_blocks(block_sums: Maybe, sums: Maybe) -> None:
    """Add up the column sums of the first layer's packed weights, by channel (C, H)."""
    if block_sums is not None:
        blocks, width = block_sums.shape[0] // sums.shape[0], block_sums.shape[1]  # of a channel, one after the other
        for channel in range(sums.shape[0]):
            sum_apart(block_sums, channel * blocks * width, width, blocks, row_at(sums, channel))


@part
def rows_of_blocks(blocks: tuple[int, int], n: int) -> tuple[int, int]:
    """Return first and last row, exclusive, of a range of blocks of a batch of n rows, maybe beyond its end."""
    return min(rows_of(blocks[0], n)[0], n), rows_of(blocks[1] - 1, n)[1]


@part
def forward_rows(network: Network, batch: Batch, space: Space, member: int, blocks: tuple[int, int]) -> None:
    """Compute the forward pass of blocks of the batch's rows, up to the logits without their bias."""
    n = batch.rows.index.size
    rows, work, first = rows_of_blocks(blocks, n), own_work(space, member), network.layers[0]
    out = output_of(first, space.outputs, n)
    if network.quantized is None:
        b = forward_weights(network, first, batch.size, item(space.sums, member))
        after = rows_of_blocks((blocks[1], 2 * blocks[1] - blocks[0]), n)
        multiply_rows(batch.rows, rows, after, b, work, out)
    else:
        multiply_quantized(network.quantized, first, batch.rows, space, member, rows, out)
    for i in range(1, network.layers.shape[0]):
        layer = network.layers[i]
        below = network.layers[i - 1]
        kept = rows_at(kept_of(below, space, n), rows)
        bias_activation(rows_at(out, rows), bias_of(below, network.parameters), kept, below.activation, network.family)
        drop_outputs(network.drops, below, batch, rows_at(out, rows), kept, rows[0])
        following = output_of(layer, space.outputs, n)
        if is_quantized(network.quantized, layer):
            quantize_inputs(space.inputs, layer, out, rows)
            multiply_quantized(network.quantized, layer, batch.rows, space, member, rows, following)
        else:
            b = forward_weights(network, layer, batch.size, None)
            multiply_rows(as_rows(out, None), rows, (ZERO, ZERO), b, work, following)
        out = following


@part
def loss_of_rows(network: Network, batch: Batch, space: Space, block: int) -> None:
    """Compute loss and correct answers of a block of rows; its outputs are overwritten with the loss's gradient."""
    n, last = batch.rows.index.size, network.layers[network.layers.shape[0] - 1]
    rows = rows_of(block, n)
    logits, count = rows_at(output_of(last, space.outputs, n), rows), rows[1] - rows[0]
    dbias, bias = of_layer(last, row_at(space.dbias, block)), bias_of(last, network.parameters)
    mine = vector_at(batch.weights, min(rows[0], batch.weights.size), min(count, batch.weights.size))
    targets = rows_at(batch.targets, rows)
    loss, correct = _loss_of_block(logits, bias, targets, mine, dbias, batch.criterion, batch.total)
    space.loss[block] = loss
    space.correct[block] = correct


@part
def _own(block: int, rows: tuple[int, int], n: int) -> tuple[int, int]:
    """Return the rows of a block of a batch of n rows, counted from the first of `rows`."""
    own = rows_of(block, n)
    return own[0] - rows[0], own[1] - rows[0]


@part
def backward_rows(network: Network, batch: Batch, space: Space, member: int, blocks: tuple[int, int]) -> None:
    """Compute the backward pass of blocks of rows; pack each layer's gradient for the product with its inputs."""
    layers, n, work = network.layers, batch.rows.index.size, own_work(space, member)
    rows = rows_of_blocks(blocks, n)
    count = rows[1] - rows[0]
    delta = rows_at(output_of(layers[layers.shape[0] - 1], space.outputs, n), rows)
    for i in range(layers.shape[0] - 1, 0, -1):
        layer, below = layers[i], layers[i - 1]
        if is_quantized(network.quantized, layer):
            for block in range(blocks[0], blocks[1]):
                keep_hidden_errors(space.errors, space.inputs, layer, rows_at(delta, _own(block, rows, n)), block, n)
        else:
            pack_delta(delta, rows[0], layer, space)
        lower = matrix_at(space.delta, (2 * member + i % 2) * space.delta.shape[2], count, layer.inputs)
        if is_turned(layer, batch.size, network.transposed):
            weight, turned = weight_of(layer, network.parameters), row_at(space.turned, member)
            multiply_turned(delta, weight, turned, work, lower)
        else:
            b = transposed_weights(network, layer)
            multiply_rows(as_rows(delta, None), (ZERO, count), (ZERO, ZERO), b, work, lower)
        drop_gradients(network.drops, below, batch, lower, rows[0])
        kept = rows_at(kept_of(below, space, n), rows)
        for block in range(blocks[0], blocks[1]):
            own, dbias = _own(block, rows, n), of_layer(below, row_at(space.dbias, block))
            activation_backward(rows_at(lower, own), rows_at(kept, own), dbias, below.activation, network.family)
        delta = lower
    for block in range(blocks[0], blocks[1]):
        own = rows_at(delta, _own(block, rows, n))
        if space.errors is not None:
            keep_errors(space.errors, layers[0], batch.rows, own, block, n)
        else:
            pack_first_delta(own, batch.rows, rows_of(block, n), layers[0], space, item(space.correction, block))
