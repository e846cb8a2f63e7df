"""Any number of training steps, or of batches to evaluate, in one compiled call that a team of threads shares.

A step has two phases, each a list of tasks with a barrier after it: blocks of rows (`rows`), then blocks of weights
(`weights`); where the first layer multiplies bytes, two more (`rounded`). Nothing is allocated. Sums over tasks are
taken in the order of the tasks, so that the result does not depend on the number of threads.
"""

import math

import numpy as np

from fastmlp.nn.packed.rounded import round_errors, round_weights
from fastmlp.nn.packed.rows import backward_rows, forward_rows, loss_of_rows, sum_blocks
from fastmlp.nn.packed.state import Data, Network, Rates, Space, block_rows, channels_of
from fastmlp.nn.packed.weights import biases_task, pack_weights, weights_task
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._team import barrier, next_task
from fastmlp_kernels._views import row_at, vector_at
from fastmlp_kernels.gemm.pack import item

# What is done with each batch: logits alone; the loss; also the gradient; also the update.
FORWARD, EVALUATE, GRADIENT, TRAIN = range(4)


@kernel
def run(
    member: int,
    members: int,
    sync: np.ndarray,
    work: int,
    network: Network,
    data: Data,
    space: Space,
    rates: Rates,
    activation: int,
) -> tuple[float, int, int]:
    """Go through data.order in batches of data.batch; return (data.loss and these losses, correct answers, rows done).

    Training ends after the first batch whose loss is not finite. Member 0's answer is the answer.
    """
    channels = channels_of(space.center)
    tasks = network.tasks.shape[0]
    taken, met = 0, 0  # tasks and barriers before this phase; each member asks once too often in each phase
    task = next_task(sync)
    while task < tasks:
        pack_weights(network, channels, data.batch, row_at(space.a, member), task)
        task = next_task(sync)
    taken += tasks + members
    met += 1
    if not barrier(sync, members, met):
        return math.nan, 0, 0
    taken, met, all_came = round_weights(network.rounded, network, channels, member, members, sync, taken, met)
    if not all_came:
        return math.nan, 0, 0

    total, correct = data.loss, 0
    for start in range(0, data.order.size, data.batch):
        n = min(data.batch, data.order.size - start)
        index, labels = vector_at(data.order, start, n), vector_at(data.labels, start, n)
        weights = vector_at(data.weights, min(start, data.weights.size), min(n, data.weights.size))
        step = block_rows(n)
        blocks = (n + step - 1) // step
        sum_blocks(network.block_sums, item(space.sums, member))
        block = next_task(sync) - taken
        while block < blocks:
            rows = (block * step, min((block + 1) * step, n))
            forward_rows(network, data, index, space, member, rows, activation)
            if work > FORWARD:
                loss_of_rows(network, labels, weights, space, rows, block)
            if work > EVALUATE:
                backward_rows(network, n, space, member, rows, block, activation)
            block = next_task(sync) - taken
        taken += blocks + members
        met += 1
        if not barrier(sync, members, met):
            return math.nan, 0, 0

        loss = 0.0
        for block in range(blocks):
            loss += space.loss[block]
            correct += space.correct[block]
        total += loss * n
        if work > EVALUATE:
            taken, met, all_came = round_errors(
                space.errors, network.layers, n, blocks, space, member, members, sync, taken, met
            )
            if not all_came:
                return math.nan, 0, 0
            task = next_task(sync) - taken
            while task < tasks:
                weights_task(network, data, index, space, rates, member, blocks, task, work == TRAIN)
                task = next_task(sync) - taken
            if task == tasks:
                biases_task(network, space, rates, blocks, work == TRAIN)
                task = next_task(sync) - taken
            taken += tasks + 1 + members
        met += 1
        if not barrier(sync, members, met):
            return math.nan, 0, 0
        if work == TRAIN:
            if not math.isfinite(loss):
                return loss, correct, start + n
            taken, met, all_came = round_weights(network.rounded, network, channels, member, members, sync, taken, met)
            if not all_came:
                return math.nan, 0, 0
    return total, correct, data.order.size
