"""Any number of training steps, or of batches to evaluate, in one compiled call that a team of threads shares.

A step has two phases, each a list of tasks with a barrier after it: blocks of rows (`rows`), then blocks of weights
(`weights`); where the first layer multiplies bytes, two more (`rounded`). Nothing is allocated. Sums over tasks are
taken in the order of the tasks, so that the result does not depend on the number of threads.
"""

import math

from fastmlp.nn.packed.rounded import round_errors, round_weights
from fastmlp.nn.packed.rows import backward_rows, forward_rows, loss_of_rows, sum_blocks
from fastmlp.nn.packed.state import (
    PACK,
    ROWS,
    WEIGHTS,
    Data,
    Network,
    Rates,
    Space,
    block_rows,
    channels_of,
)
from fastmlp.nn.packed.weights import biases_task, pack_weights, weights_task
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import row_at, vector_at
from fastmlp_kernels.gemm.pack import item

# What is done with each batch: logits alone; the loss; also the gradient; also the update.
FORWARD, EVALUATE, GRADIENT, TRAIN = range(4)


@kernel
def run(
    member: Member,
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
    weight_tasks = network.tasks.shape[0]
    for task in tasks(member, weight_tasks):
        pack_weights(network, channels, data.batch, row_at(space.a, member.number), task)
    if not (meet(member, PACK) and round_weights(network.rounded, network, channels, member)):
        return math.nan, 0, 0

    total, correct = data.loss, 0
    for start in range(0, data.order.size, data.batch):
        n = min(data.batch, data.order.size - start)
        index, labels = vector_at(data.order, start, n), vector_at(data.labels, start, n)
        weights = vector_at(data.weights, min(start, data.weights.size), min(n, data.weights.size))
        step = block_rows(n)
        blocks = (n + step - 1) // step
        sum_blocks(network.block_sums, item(space.sums, member.number))
        for block in tasks(member, blocks):
            rows = (block * step, min((block + 1) * step, n))
            forward_rows(network, data, index, space, member.number, rows, activation)
            if work > FORWARD:
                loss_of_rows(network, labels, weights, space, rows, block)
            if work > EVALUATE:
                backward_rows(network, n, space, member.number, rows, block, activation)
        if not meet(member, ROWS):
            return math.nan, 0, 0

        loss = 0.0
        for block in range(blocks):
            loss += space.loss[block]
            correct += space.correct[block]
        total += loss * n
        if work > EVALUATE:
            if not round_errors(space.errors, network.layers, n, blocks, space, member):
                return math.nan, 0, 0
            for task in tasks(member, weight_tasks + 1):
                if task < weight_tasks:
                    weights_task(network, data, index, space, rates, member.number, blocks, task, work == TRAIN)
                else:
                    biases_task(network, space, rates, blocks, work == TRAIN)
        if not meet(member, WEIGHTS):  # also where there is none: no member may begin the next batch before
            return math.nan, 0, 0
        if work == TRAIN:
            if not math.isfinite(loss):
                return loss, correct, start + n
            if not round_weights(network.rounded, network, channels, member):
                return math.nan, 0, 0
    return total, correct, data.order.size
