"""The parts of `bench.parts` that differ where the first layer multiplies bytes."""

# ruff: noqa: ARG001 - every part takes the same arguments

import numpy as np
from fastmlp.nn.packed.rounded import keep_errors, multiply_rounded, round_errors, round_weights
from fastmlp_kernels.gemm.bytes import add_scaled, multiply_columns_of_bytes, multiply_rows_of_bytes
from fastmlp_kernels.gemm.quads import QUAD, copy_rows, raise_peaks, weave_columns

from bench.parts import Batch, _blocks, _rows
from fastmlp.nn.packed.rows import _take_moments, sum_blocks
from fastmlp.nn.packed.state import (
    LAYER,
    UNITS,
    Network,
    Rates,
    Space,
    block_rows,
    channels_of,
    of_layer,
    output_of,
    settings_for,
)
from fastmlp.nn.packed.weights import weights_task
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._views import fill
from fastmlp_kernels.gemm.blocks import COLUMN_STRIDE, KC, MC, ROW_STRIDE, units_of
from fastmlp_kernels.gemm.columns import update_weights
from fastmlp_kernels.gemm.pack import NR, ZERO, item


@kernel
def pack_images(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    data, index = batch.data, batch.rows
    depth, a = data.x.shape[1], space.a[0].view(np.uint32)
    for r in range(0, index.size, block_rows(index.size)):
        rows = _rows(r, index.size)
        _take_moments(data.mean, data.inv_std, index, rows, space.center, space.scale)
        for k in range(0, depth, KC * QUAD):
            copy_rows(data.x, index, rows, (k, min(k + KC * QUAD, depth)), a, ROW_STRIDE)


@kernel
def multiply_images(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    n, rounded = batch.rows.size, network.rounded
    out, sums = output_of(network.layers, space.outputs, 0, n), item(space.sums, 0)
    steps = of_layer(network.layers, rounded.steps[0, 0], 0)
    a, c, units = space.a[0].view(np.uint32), space.c[0].view(np.int32), units_of(batch.data.x.shape[1], rounded.packed)
    sum_blocks(network.block_sums, sums)
    for r in range(0, n, block_rows(n)):
        rows = _rows(r, n)
        for k in range(0, units, KC):
            depth, count, columns = min(KC, units - k), rows[1] - rows[0], out.shape[1]
            multiply_rows_of_bytes(a, count, rounded.packed, k * NR, units * NR, c, columns, depth, k > 0)
        add_scaled(c, rows, space.center[0], space.scale[0], steps, sums[0], False, out)


@kernel
def first_product(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    n = batch.rows.size
    out = output_of(network.layers, space.outputs, 0, n)
    for r in range(0, n, block_rows(n)):
        multiply_rounded(network.rounded, network.layers, ZERO, batch.data.x, batch.rows, space, ZERO, _rows(r, n), out)


@kernel
def pack_delta(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    n, layers = batch.rows.size, network.layers
    for r in range(0, n, block_rows(n)):
        rows = _rows(r, n)
        keep_errors(space.errors, layers, ZERO, n, batch.lower[r : rows[1]], rows, space.scale, r // block_rows(n))
    fill(batch.sync, 0)
    round_errors(space.errors, layers, n, _blocks(batch), space, ZERO, 1, batch.sync, ZERO, ZERO)


@kernel
def pack_pixels(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    x, n, a = batch.data.x, batch.rows.size, space.a[0].view(np.uint32)
    for c in range(0, x.shape[1], MC):
        for k in range(0, n, KC * QUAD):
            inner = (k, min(k + KC * QUAD, n))
            weave_columns(x, batch.rows, (c, min(c + MC, x.shape[1])), inner, a, COLUMN_STRIDE)


@kernel
def multiply_pixels(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    right, h = space.errors.packed, network.layers[0, UNITS]
    a, c, units = space.a[0].view(np.uint32), space.c[0].view(np.int32), units_of(batch.rows.size, right.packed)
    for column in range(0, batch.data.x.shape[1], MC):
        count = min(MC, batch.data.x.shape[1] - column)
        for k in range(0, units, KC):
            multiply_columns_of_bytes(a, count, right, ZERO, k, c, h, min(KC, units - k), k > 0)


@kernel
def update(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    w, v = batch.copies
    for r in range(0, w.shape[0], MC):
        rows = r, min(r + MC, w.shape[0])
        less, factor = space.errors.total[0, : w.shape[1]], of_layer(network.layers, space.errors.steps[0, 0, 0], 0)
        c = space.c[0].view(np.int32)
        update_weights(c, rows, less, factor, w, v, settings_for(rates, batch.rows.size))
        peaks = space.errors.peaks[0, 0, : w.shape[1]]  # whose values were used up by now
        peaks[:] = 0
        raise_peaks(w[rows[0] : rows[1]], None, peaks)


@kernel
def pack_again(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    fill(batch.sync, 0)
    round_weights(network.rounded, network, channels_of(space.center), ZERO, 1, batch.sync, ZERO, ZERO)


@kernel
def first_weights(network: Network, space: Space, rates: Rates, batch: Batch) -> None:
    for task in range(network.tasks.shape[0]):
        if network.tasks[task, LAYER] == 0:
            weights_task(network, batch.data, batch.rows, space, rates, ZERO, _blocks(batch), task, True)
    fill(batch.sync, 0)
    round_weights(network.rounded, network, channels_of(space.center), ZERO, 1, batch.sync, ZERO, ZERO)
