"""One more phase of a step whose gradient is clipped: all of it is formed before the first weight is updated."""

from fastmlp.nn.packed.state import GRADIENTS, Batch, Network, Rates, Space, bias_of, decay_of
from fastmlp.nn.packed.weights import pack_for_next
from fastmlp_kernels._clipping import clipping_factor, scale
from fastmlp_kernels._jit import part
from fastmlp_kernels._optimizers import with_decay
from fastmlp_kernels._sums import sum_of_squares
from fastmlp_kernels._team import Member, meet, tasks
from fastmlp_kernels._views import vector_at
from fastmlp_kernels.update import step_parameters


@part
def _place(network: Network, number: int) -> tuple[int, int]:
    """Return where a task's weights begin among the parameters, and how many they are."""
    task = network.tasks[number]
    layer = network.layers[task.layer]
    return layer.weight + task.first * layer.units, (task.last - task.first) * layer.units


@part
def keep_squares(network: Network, rates: Rates, number: int) -> None:
    """Sum up the squares of the gradient that a task has formed; the task after all those of weights has the biases."""
    if number < network.tasks.shape[0]:
        first, size = _place(network, number)
        rates.gradient_squares[number] = sum_of_squares(vector_at(network.gradient, first, size))
    else:
        total = 0.0
        for i in range(network.layers.shape[0]):
            total += sum_of_squares(bias_of(network.layers[i], network.gradient))
        rates.gradient_squares[number] = total


@part
def _step(network: Network, rates: Rates, place: tuple[int, int], factor: float, decay: float) -> None:
    """Have some parameters take a step with their gradient, which is scaled in place."""
    gradient = vector_at(network.gradient, place[0], place[1])
    scale(gradient, factor)
    step_parameters(network.parameters, rates.state, place[0], gradient, with_decay(rates.settings, decay))


@part
def update_clipped(network: Network, batch: Batch, space: Space, rates: Rates, member: Member) -> bool:
    """Scale the gradient to the norm that it may have, and update the weights; False where a member failed.

    Each task of `weights_task` and `biases_task` has kept its part of the gradient, and its squares.
    """
    if not meet(member, GRADIENTS):
        return False
    squares, weight_tasks = 0.0, network.tasks.shape[0]
    for number in range(rates.gradient_squares.size):  # by each member, in one order
        squares += rates.gradient_squares[number]
    factor = clipping_factor(squares, rates.clip_norm)
    for number in tasks(member, weight_tasks + 1):
        if number < weight_tasks:
            decay = decay_of(rates, batch.total)
            _step(network, rates, _place(network, number), factor, decay)
            pack_for_next(network, batch, space, rates, member.number, number)
        else:
            for i in range(network.layers.shape[0]):
                layer = network.layers[i]
                _step(network, rates, (layer.bias, layer.units), factor, 0.0)
    return True
