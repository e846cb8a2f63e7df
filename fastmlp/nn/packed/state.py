"""The arrays that a compiled run works on, grouped by who they belong to. `engine` allocates them.

Parameters, velocities and gradients lie in one flat array each, in the order W1, b1, W2, b2, ...; so do the packed
copies of the weights. The table `layers` tells where each layer's part begins. Nothing in the compiled code depends on
the number of layers, so it compiles once for every network.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastmlp_kernels._align import read_only
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._optimizers import Momentum, Update, with_decay
from fastmlp_kernels._views import matrix_at, vector_at
from fastmlp_kernels.gemm.blocks import MC, MR
from fastmlp_kernels.gemm.bytes import Quads
from fastmlp_kernels.gemm.pack import NR, Maybe, per_unit

# Columns of `Network.layers`: sizes, and where the layer's part begins. OUTPUT counts units, DELTA and the packed ones
# elements, as do QUADS and ERRORS in `RoundedWeights.packed` and `RoundedErrors.packed` where ROUNDED is 1.
INPUTS, UNITS, WEIGHT, BIAS, OUTPUT, PACKED, TURNED, DELTA, ROUNDED, QUADS, ERRORS = range(11)
# The phases of a run, for `Team.seconds`: the weights are packed at its beginning; then, in each step, blocks of rows
# go through the layers and back, and blocks of weights get their gradients and are updated.
PHASES = ("pack", "round weights", "rows", "round errors", "weights")
PACK, ROUND_WEIGHTS, ROWS, ROUND_ERRORS, WEIGHTS = range(len(PHASES))
# Columns of `Network.tasks`: rows FIRST to below LAST of a layer's weights, which lie in one of its channels.
LAYER, CHANNEL, FIRST, LAST = range(4)


class RoundedWeights(NamedTuple):
    """Weights of layers whose inputs are bytes, rounded to bytes too: see `gemm.bytes`.

    packed : uint32, as right operands of the forward products
    peaks : (tasks, H of the widest) int32, largest magnitudes by task, as the bits of a float32
    steps : (members, 2, all units) for each member its own: steps, and their inverses
    """

    packed: np.ndarray
    peaks: np.ndarray
    steps: np.ndarray


class RoundedErrors(NamedTuple):
    """The gradients by the sums of these layers, rounded to bytes once all of a batch's are there: see `gemm.bytes`.

    values : flat float32, (N, H) of each layer
    peaks : (blocks of rows, C, all units) int32, largest magnitudes of scale * value, as the bits of a float32
    steps : (members, C, 2, all units) for each member its own: steps, and their inverses
    packed : as right operands, a part a channel of the first layer, and one for each other layer
    less : (blocks of mc rows, C, H of the first padded to nr) sums of center * rounded value
    total : (members, H of the widest) their sums
    """

    values: np.ndarray
    peaks: np.ndarray
    steps: np.ndarray
    packed: Quads
    less: np.ndarray
    total: np.ndarray


class RoundedInputs(NamedTuple):
    """Outputs of ReLU layers as bytes, for the layers above them: each row in steps of a 255th of its largest.

    values : flat uint8, (N, H) of each layer
    scale : (layers, 1, N) steps, by the layer that they are inputs of; center : (1, N) zeros, as they are not shifted
    rows : (N,) row numbers; sums : (1, H of the widest padded to nr) zeros: what images have and these need not
    """

    values: np.ndarray
    scale: np.ndarray
    center: np.ndarray
    rows: np.ndarray
    sums: np.ndarray


class Network(NamedTuple):
    """A network's parameters and their packed copies.

    layers, tasks : tables of int64
    parameters, gradient : flat float32
    packed : weights as right operands of the forward product; turned : of all but the first layer, transposed, for the
        way back; float32, or int32 for pairs of bfloat16
    block_sums : (tasks of the first layer, H) column sums of its packed weights by task, or None: see `gemm`
    rounded : the weights that are rounded to bytes, or None; `packed` then is of the others
    """

    layers: np.ndarray
    tasks: np.ndarray
    parameters: np.ndarray
    gradient: np.ndarray
    packed: np.ndarray
    turned: np.ndarray
    block_sums: Maybe
    rounded: Maybe


class Data(NamedTuple):
    """Rows to work on: x (M, D); mean, inv_std (M, C) of images, or None; order (n,) of rows, and their labels.

    weights : (n,) float32, what each row's loss counts, by its place in `order`; empty: once
    loss : sum of the losses of the rows before these, so that the total has the same bits in one call as in many
    """

    x: np.ndarray
    mean: Maybe
    inv_std: Maybe
    order: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    batch: int
    loss: float = 0.0

    def read_only(self) -> "Data":
        """Return the same as views that cannot be written to."""
        arrays = {name: read_only(field) for name, field in self._asdict().items() if isinstance(field, np.ndarray)}
        return self._replace(**arrays)


class Space(NamedTuple):
    """Work arrays for one batch of at most N rows.

    outputs : flat, (N, H) of each layer, the last one logits and then their gradient
    kept : what each hidden layer's activation keeps for the way back, where in it the layer's output is in outputs:
        outputs itself, where that is all
    deltas : packed gradients by the sums of each layer, `panel` elements a panel
    center, scale : (C, N) moments of the batch's images, or None
    dbias : (blocks of rows, all units); correction : (blocks of rows, C, H of the first layer), or None
    loss, correct : by block of rows
    a, c : (members, ...) blocks of the products; delta : (members, 2, ...) gradients of a block of rows
    sums : (members, C, H) column sums of the first layer's packed weights, or None
    less : (members, H of the widest layer) what is subtracted from a gradient, or None
    errors, inputs : what is rounded to bytes besides weights, or None; `deltas` then are of the other layers
    """

    outputs: np.ndarray
    kept: np.ndarray
    deltas: np.ndarray
    panel: int
    center: Maybe
    scale: Maybe
    dbias: np.ndarray
    correction: Maybe
    loss: np.ndarray
    correct: np.ndarray
    a: np.ndarray
    c: np.ndarray
    delta: np.ndarray
    sums: Maybe
    less: Maybe
    errors: Maybe
    inputs: Maybe


class Rates(NamedTuple):
    """An optimiser: its settings, and its state (slots, P) in the order of the parameters.

    per_batch : whether weight_decay is divided by the rows of a batch
    """

    settings: Momentum
    per_batch: bool
    state: np.ndarray


@part
def weights_update(network: Network, rates: Rates, i: int, n: int) -> Update:
    """Return the step of layer i's weights after a batch of n rows."""
    layers, decay = network.layers, rates.settings.weight_decay
    settings = with_decay(rates.settings, decay / n if rates.per_batch else decay)
    return Update(network.parameters, rates.state, layers[i, WEIGHT], layers[i, UNITS], settings)


@part
def weight_of(layers: np.ndarray, flat: np.ndarray, i: int) -> np.ndarray:
    """Return layer i's part (D, H) of a flat array."""
    d, h, at = layers[i, INPUTS], layers[i, UNITS], layers[i, WEIGHT]
    return matrix_at(flat, at, d, h)


@part
def bias_of(layers: np.ndarray, flat: np.ndarray, i: int) -> np.ndarray:
    """Return layer i's bias (H,) in a flat array."""
    return vector_at(flat, layers[i, BIAS], layers[i, UNITS])


@part
def output_of(layers: np.ndarray, outputs: np.ndarray, i: int, n: int) -> np.ndarray:
    """Return layer i's outputs (n, H) for a batch of n rows."""
    return matrix_at(outputs, layers[i, OUTPUT] * n, n, layers[i, UNITS])


@part
def of_layer(layers: np.ndarray, values: np.ndarray, i: int) -> np.ndarray:
    """Return layer i's part (H,) of a row of all units."""
    return vector_at(values, layers[i, OUTPUT], layers[i, UNITS])


@part
def is_rounded(rounded: Maybe, layers: np.ndarray, i: int) -> bool:
    """Whether layer i multiplies bytes."""
    return False if rounded is None else layers[i, ROUNDED] == 1


@part
def channels_of(center: Maybe) -> int:
    """Return the number of channels that are normalised by themselves; 1 where nothing is."""
    return 1 if center is None else center.shape[0]


@part
def channel_elements(correction: Maybe, units: int, panel: int) -> int:
    """Return how many elements the first layer's packed gradient takes for one channel; 0 where all share one."""
    return 0 if correction is None else (units + NR - 1) // NR * panel


def empty_table(sizes: Sequence[int]) -> np.ndarray:
    """Return the table `Network.layers` with the sizes filled in."""
    table = np.zeros((len(sizes) - 1, ERRORS + 1), np.int64)
    table[:, INPUTS], table[:, UNITS] = sizes[:-1], sizes[1:]
    return table


# Rows of a batch up to which weights are multiplied as they lie: a copy in the order of the micro-kernel pays once many
# tiles read it.
FEW_ROWS = 4 * MR


# Blocks that the rows of a batch are cut into at the least, so that a team has something to share: not by the team's
# size, as sums over the blocks would then depend on it.
BLOCKS = 4


@part
def block_rows(n: int) -> int:
    """Return how many rows of a batch of n go through the layers together: a multiple of mr, at most mc."""
    return min((n + BLOCKS * MR - 1) // (BLOCKS * MR) * MR, MC)


@part
def read_in_place(layers: np.ndarray, i: int, batch: int, packed: np.ndarray) -> bool:
    """Whether layer i's forward product reads float32 weights as they lie, and needs no packed copy."""
    return per_unit(packed) == 1 and batch <= FEW_ROWS and layers[i, UNITS] % NR == 0


def _same_type(parameters: np.ndarray, packed: np.ndarray) -> np.ndarray:
    return parameters if parameters.dtype == packed.dtype else packed


@overload(_same_type, jit_options=PART)
def _overload_same_type(parameters, packed):
    if parameters.dtype == packed.dtype:
        return lambda parameters, packed: parameters  # noqa: ARG005
    return lambda parameters, packed: packed  # noqa: ARG005


@part
def forward_weights(network: Network, i: int, batch: int) -> tuple[np.ndarray, int, int]:
    """Return layer i's weights for `multiply_rows`: the array, where they begin in it, and its stride."""
    layers = network.layers
    if read_in_place(layers, i, batch, network.packed):
        return _same_type(network.parameters, network.packed), layers[i, WEIGHT], layers[i, UNITS]
    return network.packed, layers[i, PACKED], NR
