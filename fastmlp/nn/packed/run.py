"""Any number of training steps, or of batches to evaluate, in one compiled call that a team of threads shares.

A step has two phases, each a list of tasks with a barrier after it: blocks of rows (`rows`), then blocks of weights
(`weights`); where the first layer multiplies bytes, two more (`quantized`), where gradients are clipped, one more
(`clipping`). Nothing is allocated. Sums over tasks are taken in the order of the tasks, so that the result does not
depend on the number of threads.
"""

import math

import numpy as np

from fastmlp.nn.packed.clipping import keep_squares, update_clipped
from fastmlp.nn.packed.quantized import quantize_errors, quantize_weights
from fastmlp.nn.packed.rows import backward_rows, forward_rows, loss_of_rows, sum_blocks
from fastmlp.nn.packed.state import (
    PACK,
    ROWS,
    WEIGHTS,
    Batch,
    Data,
    Network,
    Rates,
    Space,
    blocks_at_once,
    blocks_of,
    decay_of,
    rates_of_step,
)
from fastmlp.nn.packed.weights import biases_task, pack_weights, weights_task
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._sums import sum_of
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import row_at, rows_at, vector_at
from fastmlp_kernels.gemm.pack import item
from fastmlp_kernels.gemm.panels import ZERO

# What is done with each batch: logits alone; the loss; also the gradient; also the update.
FORWARD, EVALUATE, GRADIENT, TRAIN = range(4)


@part
def _batch(data: Data, start: int, step: int) -> Batch:
    """Return the batch that begins with this row of the order; step : as in `Batch`."""
    (x, index, center, scale), n = data.rows, min(data.batch, data.rows.index.size - start)
    weights = vector_at(data.weights, min(start, data.weights.size), min(n, data.weights.size))
    weight = sum_of(weights) if data.by_weight else np.float64(0)
    after = min(data.batch, data.rows.index.size - start - n)
    return Batch(
        Rows(x, vector_at(index, start, n), center, scale),
        Rows(x, vector_at(index, start + n, after), center, scale),
        rows_at(data.targets, (start, start + n)),
        weights,
        data.batch,
        data.criterion,
        weight if weight > 0 else np.float64(n),
        step,
    )


@kernel
def run(
    member: Member, work: int, network: Network, data: Data, space: Space, rates: Rates
) -> tuple[float, int, int, float]:
    """Train on, or evaluate, the rows of `data` in batches; return `Totals`.

    The sum of losses begins at data.loss. Training ends after the first batch whose loss is not finite. Member 0's
    result counts.
    """
    number, weight_tasks, rows = member.number, network.tasks.shape[0], data.rows.index.size
    now = rates_of_step(rates, ZERO)
    for task in tasks(member, weight_tasks):
        pack_weights(network, now, data.batch, row_at(space.work.a, number), task)
    if not (meet(member, PACK) and quantize_weights(network.quantized, network, member)):
        return math.nan, 0, 0, 0.0

    total, correct, penalty = data.loss, 0, 0.0
    for start in range(0, rows, data.batch):
        step = start // data.batch
        now, batch = rates_of_step(rates, step), _batch(data, start, rates.steps + step if work == TRAIN else -1)
        n = batch.rows.index.size
        penalty += 0.5 * decay_of(now, batch.total) * sum_of(now.squares) * n  # before any member may change them
        sum_blocks(network.block_sums, item(space.sums, number))
        count, at_once = blocks_of(n), blocks_at_once(n, member.count)
        for task in tasks(member, (count + at_once - 1) // at_once):
            blocks = task * at_once, min((task + 1) * at_once, count)
            forward_rows(network, batch, space, number, blocks)
            if work > FORWARD:
                for block in range(blocks[0], blocks[1]):
                    loss_of_rows(network, batch, space, block)
            if work > EVALUATE:
                backward_rows(network, batch, space, number, blocks)
        if not meet(member, ROWS):
            return math.nan, 0, 0, 0.0

        loss = 0.0
        for block in range(blocks_of(n)):
            loss += space.loss[block]
            correct += space.correct[block]
        total += loss * n
        if work > EVALUATE:
            if not quantize_errors(space.errors, network.layers, batch.rows, space, n, member):
                return math.nan, 0, 0, 0.0
            clips = work == TRAIN and now.gradient_squares.size > 0
            for task in tasks(member, weight_tasks + 1):
                if task < weight_tasks:
                    weights_task(network, batch, space, now, number, task, work == TRAIN and not clips)
                else:
                    biases_task(network, space, now, blocks_of(n), work == TRAIN and not clips)
                if clips:
                    keep_squares(network, now, task)
            if clips and not update_clipped(network, batch, space, now, member):
                return math.nan, 0, 0, 0.0
        if not meet(member, WEIGHTS):  # also where there is none: no member may begin the next batch before
            return math.nan, 0, 0, 0.0
        if work == TRAIN:
            if not math.isfinite(loss):
                return loss, correct, start + n, penalty
            if start + n < rows and not quantize_weights(network.quantized, network, member):
                return math.nan, 0, 0, 0.0
    return total, correct, rows, penalty
