"""A training step taken apart: each part of one network's step as a compiled call of its own, for a batch of images.

The parts are the functions of `fastmlp.nn.packed`, in the order of a step, for one hidden layer, one thread and images
that are normalised as a whole. Two pairs that a step interleaves block by block run apart here: packing the images,
into the one block that a step has for it, and multiplying that block, as often as a step does but always the same one.
What comes of that is thrown away: `first_product` and `first_weights` do it again properly, outside the time that
counts, so that all the others work on true values, and that all of them together are a training step.
"""

# ruff: noqa: ARG001 - every part takes the same arguments

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastmlp.nn.packed.rows import (
    _pack_delta,
    _pack_scaled_delta,
    _take_moments,
    bias_part,
    loss_of_rows,
    sum_blocks,
)
from fastmlp.nn.packed.state import (
    DELTA,
    LAYER,
    PACKED,
    TURNED,
    UNITS,
    Data,
    Network,
    Rates,
    Space,
    bias_of,
    block_rows,
    channels_of,
    output_of,
    settings_for,
)
from fastmlp.nn.packed.weights import biases_task, pack_weights, weights_task
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._views import no_index, vector_at
from fastmlp_kernels.activations import TANH, activation_backward, bias_activation
from fastmlp_kernels.gemm.blocks import (
    COLUMN_STRIDE,
    KC,
    MC,
    ROW_STRIDE,
    _normalize_product,
    macro_kernel,
    multiply_rows,
    store_rows,
    units_of,
)
from fastmlp_kernels.gemm.columns import update_weights
from fastmlp_kernels.gemm.pack import NR, ONE, ZERO, Maybe, item, pack_columns, pack_rows, per_unit


class Batch(NamedTuple):
    """A batch on its way: some rows of data, their labels, and arrays for what a step keeps in caches.

    lower : (N, H) the gradient by the hidden layer; copies : two (D, H), to be updated instead of the weights
    sync : as a `Team` hands it to what it runs
    """

    data: Data
    rows: np.ndarray
    labels: np.ndarray
    lower: np.ndarray
    copies: tuple[np.ndarray, np.ndarray]
    sync: np.ndarray


@part
def _rows(r: int, n: int) -> tuple[int, int]:
    return r, min(r + block_rows(n), n)


@kernel
def pack_images(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    data, index = batch.data, batch.rows
    depth, deep = data.x.shape[1], KC * per_unit(space.a)
    for r in range(0, index.size, block_rows(index.size)):
        rows = _rows(r, index.size)
        _take_moments(data.mean, data.inv_std, index, rows, space.center, space.scale)
        for k in range(0, depth, deep):
            inner = (k, min(k + deep, depth))
            pack_rows(data.x, index, space.center[0], space.scale[0], rows, inner, space.a[0], ROW_STRIDE)


@part
def _keep_product(space: Space, sums: Maybe, rows: tuple[int, int], out: np.ndarray) -> None:
    if sums is None:
        store_rows(space.c[0], rows, out)
    else:
        _normalize_product(space.c[0], space.center[0], space.scale[0], rows, sums[0], False, out)


@kernel
def multiply_images(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    n = batch.rows.size
    units, out = units_of(batch.data.x.shape[1], network.packed), output_of(network.layers, space.outputs, 0, n)
    sums = item(space.sums, 0)
    sum_blocks(network.block_sums, sums)
    for r in range(0, n, block_rows(n)):
        rows = _rows(r, n)
        for k in range(0, units, KC):
            at, depth, count = k * NR, min(KC, units - k), rows[1] - rows[0]
            strides, panel = (ROW_STRIDE, ONE), units * NR
            macro_kernel(
                space.a[0], strides, count, network.packed, at, panel, NR, space.c[0], out.shape[1], depth, k > 0
            )
        _keep_product(space, sums, rows, out)


@kernel
def first_product(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    data, index = batch.data, batch.rows
    out, sums = output_of(network.layers, space.outputs, 0, index.size), item(space.sums, 0)
    for r in range(0, index.size, block_rows(index.size)):
        rows = _rows(r, index.size)
        multiply_rows(
            data.x, index, space.center, space.scale, rows, network.packed, ZERO, NR, sums, space.a[0], space.c[0], out
        )


@kernel
def activate(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    out = output_of(network.layers, space.outputs, 0, batch.rows.size)
    bias_activation(out, bias_of(network.layers, network.parameters, 0), out, TANH)


@kernel
def second_product(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    layers, n = network.layers, batch.rows.size
    x, out = output_of(layers, space.outputs, 0, n), output_of(layers, space.outputs, 1, n)
    for r in range(0, n, block_rows(n)):
        at = layers[1, PACKED]
        multiply_rows(x, no_index(), None, None, _rows(r, n), network.packed, at, NR, None, space.a[0], space.c[0], out)


@kernel
def loss(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    n, equal = batch.rows.size, vector_at(space.c, 0, 0)
    for r in range(0, n, block_rows(n)):
        loss_of_rows(network, batch.labels, equal, space, _rows(r, n), r // block_rows(n))


@kernel
def hand_down(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    layers, n = network.layers, batch.rows.size
    delta = output_of(layers, space.outputs, 1, n)
    for r in range(0, n, block_rows(n)):
        rows, at = _rows(r, n), layers[1, TURNED]
        _pack_delta(delta[r : rows[1]], rows, layers[1, DELTA], space)
        multiply_rows(
            delta, no_index(), None, None, rows, network.turned, at, NR, None, space.a[0], space.c[0], batch.lower
        )


@kernel
def activate_backward(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    h = output_of(network.layers, space.outputs, 0, batch.rows.size)
    for r in range(0, h.shape[0], block_rows(h.shape[0])):
        rows = _rows(r, h.shape[0])
        dbias = bias_part(network.layers, space.dbias, 0, r // block_rows(h.shape[0]))
        activation_backward(batch.lower[r : rows[1]], h[r : rows[1]], dbias, TANH)


@kernel
def pack_delta(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    at, n = network.layers[0, DELTA], batch.rows.size
    for r in range(0, n, block_rows(n)):
        rows = _rows(r, n)
        delta = batch.lower[r : rows[1]]
        if space.correction is None:
            _pack_delta(delta, rows, at, space)
        else:
            correction = item(space.correction, r // block_rows(n))
            _pack_scaled_delta(delta, rows, at, space.deltas, space.panel, space.center, space.scale, correction)


@kernel
def pack_pixels(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    x, n, deep = batch.data.x, batch.rows.size, KC * per_unit(space.a)
    for c in range(0, x.shape[1], MC):
        columns = c, min(c + MC, x.shape[1])
        for k in range(0, n, deep):
            inner = (k, min(k + deep, n))
            pack_columns(
                x, batch.rows, space.center[0], space.scale[0], columns, inner, space.a[0], ZERO, COLUMN_STRIDE
            )


@kernel
def multiply_pixels(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    units, h = units_of(batch.rows.size, space.deltas), network.layers[0, UNITS]
    strides, first = (ONE, COLUMN_STRIDE), network.layers[0, DELTA]
    for c in range(0, batch.data.x.shape[1], MC):
        count = min(MC, batch.data.x.shape[1] - c)
        for k in range(0, units, KC):
            at, depth = first + k * NR, min(KC, units - k)
            macro_kernel(space.a[0], strides, count, space.deltas, at, space.panel, NR, space.c[0], h, depth, k > 0)


@kernel
def update(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    w, v = batch.copies
    for r in range(0, w.shape[0], MC):
        rows = r, min(r + MC, w.shape[0])
        update_weights(space.c[0], rows, None, None, w, v, settings_for(rates, batch.rows.size))


@kernel
def pack_again(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    for task in range(network.tasks.shape[0]):
        if network.tasks[task, LAYER] == 0:
            pack_weights(network, channels_of(space.center), batch.data.batch, space.a[0], task)


@part
def _blocks(batch: Batch) -> int:
    n = batch.rows.size
    return (n + block_rows(n) - 1) // block_rows(n)


def _weights(layer: int) -> Callable[..., None]:
    @kernel
    def weights(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
        for task in range(network.tasks.shape[0]):
            if network.tasks[task, LAYER] == layer:
                weights_task(network, batch.data, batch.rows, space, rates, 0, _blocks(batch), task, True)

    return weights


first_weights, second_weights = _weights(0), _weights(1)


@kernel
def biases(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    biases_task(network, space, rates, _blocks(batch), True)
