"""The second phase of a step: the gradient of a block of a layer's weights, their update, and packing."""

import numpy as np

from fastmlp.nn.packed.quantized import keep_peaks, quantized_task
from fastmlp.nn.packed.state import (
    Batch,
    Network,
    Rates,
    Record,
    Space,
    bias_of,
    blocks_of,
    input_of,
    is_quantized,
    is_turned,
    of_layer,
    own_work,
    packed_delta,
    packed_weights,
    read_in_place,
    transposed_weights,
    weight_of,
    weights_update,
)
from fastmlp_kernels._jit import part
from fastmlp_kernels._optimizers import with_decay
from fastmlp_kernels._sums import add_up_rows, sum_apart, sum_of_squares
from fastmlp_kernels._views import copy, fill, row_at, rows_at, vector_at
from fastmlp_kernels.gemm.ahead import LARGE, Following, following, nothing
from fastmlp_kernels.gemm.blocks import MC
from fastmlp_kernels.gemm.columns import begin_columns, end_gradient, update_columns
from fastmlp_kernels.gemm.pack import as_rows, item, pack_panels, pack_panels_transposed, units_of
from fastmlp_kernels.gemm.panels import ZERO, Maybe, Panels
from fastmlp_kernels.gemm.raw import add_column_sums
from fastmlp_kernels.update import step_parameters


@part
def _keep_sums(block_sums: Maybe, task: int, b: Panels, first: int, units: int) -> None:
    """Keep the column sums of a task's packed weights, for raw images."""
    if block_sums is not None:
        sums = row_at(block_sums, task)
        fill(sums, 0)
        add_column_sums(b, (ZERO, sums.size), first, units, None, sums)


@part
def pack_weights(network: Network, rates: Rates, batch: int, strip: np.ndarray, number: int) -> None:
    """Pack a task's rows of its layer's weights (D, H) for the forward product, and transposed for the way back.

    strip : flat work array of the dtype of the packed weights; batch : rows of a batch; number : of the task
    """
    task = network.tasks[number]
    layer, rows = network.layers[task.layer], (task.first, task.last)
    weight = weight_of(layer, network.parameters)
    if rates.squares.size > 0:
        own = rows_at(weight, rows)
        rates.squares[number] = sum_of_squares(vector_at(own, 0, own.size))
    if is_quantized(network.quantized, layer):
        keep_peaks(network.quantized, number, rows_at(weight, rows))
    else:
        b = packed_weights(layer, network.packed, None, None)
        depth = layer.inputs // layer.channels  # each channel is packed by itself, with padding of its own
        first = task.channel * units_of(depth, b.array) + units_of(rows[0] - task.channel * depth, b.array)
        if not read_in_place(layer, batch, network.packed):
            pack_panels(as_rows(weight, None), (ZERO, layer.units), rows, b, first)
        if task.layer == 0:
            _keep_sums(network.block_sums, number, b, first, units_of(rows[1] - rows[0], b.array))
    if task.layer > 0 and not is_turned(layer, batch, network.transposed):
        pack_panels_transposed(weight, rows, strip, transposed_weights(network, layer))


@part
def pack_for_next(network: Network, batch: Batch, space: Space, rates: Rates, member: int, number: int) -> None:
    """`pack_weights` where a batch follows: the next call packs anew."""
    if batch.after.index.size > 0:
        pack_weights(network, rates, batch.size, row_at(space.work.a, member), number)


@part
def _sum_corrections(correction: Maybe, blocks: int, task: Record, less: Maybe) -> None:
    """Add up what the images' centers add to a gradient of the first layer, by unit; see `rows`."""
    if correction is not None:
        if task.layer == 0:
            width = correction.shape[2]
            stride = correction.shape[1] * width
            sum_apart(correction, task.channel * width, stride, blocks, vector_at(less, 0, width))
        else:
            fill(less, 0)


@part
def weights_task(
    network: Network, batch: Batch, space: Space, rates: Rates, member: int, number: int, train: bool
) -> None:
    """Form a task's block of a weight gradient; with `train` update these weights and pack them, else keep it."""
    layer = network.layers[network.tasks[number].layer]
    if is_quantized(network.quantized, layer):
        quantized_task(space.errors, network, batch, space, rates, (member, number), train)
    else:
        _float_task(network, batch, space, rates, member, number, train)
    if train:
        pack_for_next(network, batch, space, rates, member, number)


@part
def _rows_after(batch: Batch, columns: tuple[int, int]) -> Following:
    """Return these columns of the next batch's first rows as what follows, where the L2 cache has room for them.

    As many rows as go through the layers at once in the first task, at most.
    """
    x, rows = batch.after.x, (ZERO, min(batch.after.index.size, MC))
    if rows[1] * x.shape[1] * x.itemsize > LARGE:
        rows = ZERO, ZERO
    return following(batch.after, rows, columns)


@part
def _float_task(
    network: Network, batch: Batch, space: Space, rates: Rates, member: int, number: int, train: bool
) -> None:
    task, n = network.tasks[number], batch.rows.index.size
    layer, rows, work = network.layers[task.layer], (task.first, task.last), own_work(space, member)
    less = item(space.less, member)
    b = packed_delta(space, layer, task.channel, less)
    if task.layer > 0:
        x = as_rows(input_of(layer, space.outputs, n), None)
        product = begin_columns(x, rows, (ZERO, n), b, layer.units, work)
    else:
        product = begin_columns(batch.rows, rows, (ZERO, n), b, layer.units, work)
    _sum_corrections(space.correction, blocks_of(n), task, less)
    if train:
        parts = _rows_after(batch, rows) if task.layer == 0 else nothing()
        update_columns(product, rows, weights_update(network, rates, layer, batch.total), work, parts)
    else:
        end_gradient(product, rows, weight_of(layer, network.gradient), work)


@part
def biases_task(network: Network, space: Space, rates: Rates, blocks: int, train: bool) -> None:
    """Add up the bias gradients of all layers over the blocks of rows, and update the biases, which do not decay."""
    layers, settings = network.layers, with_decay(rates.settings, 0.0)
    sums = add_up_rows(space.dbias, blocks, space.dbias.shape[1])  # in place: no other task reads them
    for i in range(layers.shape[0]):
        total = bias_of(layers[i], network.gradient)
        copy(of_layer(layers[i], sums), total)
        if train:
            step_parameters(network.parameters, rates.state, layers[i].bias, total, settings)
