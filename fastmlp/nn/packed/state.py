"""The arrays that a compiled run works on, grouped by who they belong to. `engine` allocates them.

Parameters, velocities and gradients lie in one flat array each, in the order W1, b1, W2, b2, ...; so do the packed
copies of the weights. A record for each layer tells where its part begins. Nothing in the compiled code depends on the
number of layers, so it compiles once for every network.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from fastmlp_kernels._align import read_only
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._optimizers import Momentum, Update, with_decay
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import matrix_at, row_at, vector_at
from fastmlp_kernels.gemm.blocks import MC, MR
from fastmlp_kernels.gemm.pack import per_unit, units_of
from fastmlp_kernels.gemm.panels import NR, Maybe, Panels, Work

# The phases of a run, for `Team.seconds`: the weights are packed at its beginning; then, in each step, blocks of rows
# go through the layers and back, and blocks of weights get their gradients and are updated.
PHASES = ("pack", "quantize weights", "rows", "quantize errors", "weights")
PACK, QUANTIZE_WEIGHTS, ROWS, QUANTIZE_ERRORS, WEIGHTS = range(len(PHASES))

# An element of one of the two tables below, of which numba reads the fields as attributes; and an array of them.
Record = Any
Table = Any

# A layer: its number, its sizes, and whether it multiplies bytes; then where its parts begin, in elements of the flat
# arrays, `input` and `output` in units of all layers. `channels` are packed by themselves: those of images in the first
# layer, else 1. The parts of `packed` and `delta` lie in the arrays of `QuantizedWeights` and `QuantizedErrors` for a
# layer that multiplies bytes.
LAYER = np.dtype([
    (name, np.int64)
    for name in (
        "number", "inputs", "units", "channels", "quantized",
        "weight", "bias", "input", "output", "packed", "transposed", "delta",
    )
])  # fmt: skip
# A task of the second phase: rows `first` to below `last` of a layer's weights, which lie in one of its channels.
TASK = np.dtype([(name, np.int64) for name in ("layer", "channel", "first", "last")])


class QuantizedWeights(NamedTuple):
    """Weights of layers whose inputs are bytes, as bytes too: see `gemm.quantize`.

    packed : uint32, as right operands of the forward products
    peaks : (tasks, H of the widest) int32, largest magnitudes by task, as the bits of a float32
    steps : (members, 2, all units) for each member its own: steps, and their inverses
    """

    packed: np.ndarray
    peaks: np.ndarray
    steps: np.ndarray


class QuantizedErrors(NamedTuple):
    """The gradients by the sums of these layers, as bytes once all of a batch's are there: see `gemm.quantize`.

    values : flat float32, (N, H) of each layer
    peaks : (blocks of rows, C, all units) int32, largest magnitudes of scale * value, as the bits of a float32
    steps : (members, C, 2, all units) for each member its own: steps, and their inverses
    packed : as right operands, a part a channel of the first layer, and one for each other layer
    less : (blocks of mc rows, C, H of the first padded to nr) sums of center * quantized value
    total : (members, H of the widest) their sums
    """

    values: np.ndarray
    peaks: np.ndarray
    steps: np.ndarray
    packed: Panels
    less: np.ndarray
    total: np.ndarray


class QuantizedInputs(NamedTuple):
    """Outputs of ReLU layers as bytes, for the layers above them: each row in steps of a 255th of its largest.

    values : flat uint8, (N, H) of each layer
    scale : (layers, N, 1) steps, by the layer that they are inputs of; center : (N, 1) zeros, as they are not shifted
    sums : (1, H of the widest padded to nr) zeros: what images have and these need not
    """

    values: np.ndarray
    scale: np.ndarray
    center: np.ndarray
    sums: np.ndarray


class Network(NamedTuple):
    """A network's parameters and their packed copies.

    layers, tasks : tables of LAYER and TASK
    parameters, gradient : flat float32
    packed : weights as right operands of the forward product; transposed : of all but the first layer, for the way
        back; float32, or int32 for pairs of bfloat16
    block_sums : (tasks of the first layer, H) column sums of its packed weights by task, for raw images, or None
    quantized : the weights that are bytes, or None; `packed` then is of the others
    """

    layers: Table
    tasks: Table
    parameters: np.ndarray
    gradient: np.ndarray
    packed: np.ndarray
    transposed: np.ndarray
    block_sums: Maybe
    quantized: Maybe


class Data(NamedTuple):
    """Rows to work on, of which index (n,) is the order, and their labels (n,).

    weights : (n,) float32, what each row's loss counts, by its place in the order; empty: once
    batch : rows of a batch
    loss : sum of the losses of the rows before these, so that the total has the same bits in one call as in many
    """

    rows: Rows
    labels: np.ndarray
    weights: np.ndarray
    batch: int
    loss: float = 0.0

    def read_only(self) -> "Data":
        """Return the same as compiled code takes it, with arrays that cannot be written to."""
        return Data(self.rows.compiled(), read_only(self.labels), read_only(self.weights), self.batch, self.loss)


class Batch(NamedTuple):
    """One batch of `Data`: its rows, their labels and weights; size : rows that a batch has, which the last may not."""

    rows: Rows
    labels: np.ndarray
    weights: np.ndarray
    size: int


class Space(NamedTuple):
    """Work arrays for one batch of at most N rows.

    outputs : flat, (N, H) of each layer, the last one logits and then their gradient
    kept : what each hidden layer's activation keeps for the way back, where in it the layer's output is in outputs:
        outputs itself, where that is all
    deltas : packed gradients by the sums of each layer, `panel` units a panel
    dbias : (blocks of rows, all units); correction : (blocks of rows, C, H of the first layer), or None
    loss, correct : by block of rows
    work : blocks of the products, of each member; delta : (members, 2, ...) gradients of a block of rows
    sums : (members, C, H) column sums of the first layer's packed weights, or None
    less : (members, H of the widest layer) what is subtracted from a gradient, or None
    errors, inputs : what is quantized besides weights, or None; `deltas` then are of the other layers
    """

    outputs: np.ndarray
    kept: np.ndarray
    deltas: np.ndarray
    panel: int
    dbias: np.ndarray
    correction: Maybe
    loss: np.ndarray
    correct: np.ndarray
    work: Work
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
def weights_update(network: Network, rates: Rates, layer: Record, n: int) -> Update:
    """Return the step of a layer's weights after a batch of n rows."""
    decay = rates.settings.weight_decay
    settings = with_decay(rates.settings, decay / n if rates.per_batch else decay)
    return Update(network.parameters, rates.state, layer.weight, layer.units, settings)


@part
def own_work(space: Space, member: int) -> Work:
    """Return a member's work arrays."""
    return Work(row_at(space.work.a, member), row_at(space.work.c, member))


@part
def weight_of(layer: Record, flat: np.ndarray) -> np.ndarray:
    """Return a layer's part (D, H) of a flat array."""
    return matrix_at(flat, layer.weight, layer.inputs, layer.units)


@part
def bias_of(layer: Record, flat: np.ndarray) -> np.ndarray:
    """Return a layer's bias (H,) in a flat array."""
    return vector_at(flat, layer.bias, layer.units)


@part
def output_of(layer: Record, outputs: np.ndarray, n: int) -> np.ndarray:
    """Return a layer's outputs (n, H) for a batch of n rows."""
    return matrix_at(outputs, layer.output * n, n, layer.units)


@part
def input_of(layer: Record, outputs: np.ndarray, n: int) -> np.ndarray:
    """Return the outputs (n, D) of the layer below."""
    return matrix_at(outputs, layer.input * n, n, layer.inputs)


@part
def of_layer(layer: Record, values: np.ndarray) -> np.ndarray:
    """Return a layer's part (H,) of a row of all units."""
    return vector_at(values, layer.output, layer.units)


@part
def is_quantized(quantized: Maybe, layer: Record) -> bool:
    """Whether a layer multiplies bytes."""
    return False if quantized is None else layer.quantized == 1


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
def blocks_of(n: int) -> int:
    """Return how many blocks a batch of n rows is cut into."""
    return (n + block_rows(n) - 1) // block_rows(n)


@part
def rows_of(block: int, n: int) -> tuple[int, int]:
    """Return the rows of a block."""
    return block * block_rows(n), min((block + 1) * block_rows(n), n)


@part
def read_in_place(layer: Record, batch: int, packed: np.ndarray) -> bool:
    """Whether a layer's forward product reads float32 weights as they lie, and needs no packed copy."""
    return per_unit(packed) == 1 and batch <= FEW_ROWS and layer.units % NR == 0


def _same_type(parameters: np.ndarray, packed: np.ndarray) -> np.ndarray:
    return parameters if parameters.dtype == packed.dtype else packed


@overload(_same_type, jit_options=PART)
def _overload_same_type(parameters, packed):
    if parameters.dtype == packed.dtype:
        return lambda parameters, packed: parameters  # noqa: ARG005
    return lambda parameters, packed: packed  # noqa: ARG005


@part
def packed_weights(layer: Record, packed: np.ndarray, steps: Maybe, sums: Maybe) -> Panels:
    """Return a layer's weights (D, H) as they lie packed for the forward product, each channel by itself."""
    units = units_of(layer.inputs // layer.channels, packed)
    return Panels(packed, layer.packed, layer.channels * units * NR, NR, steps, sums, None)


@part
def forward_weights(network: Network, layer: Record, batch: int, sums: Maybe) -> Panels:
    """Return a layer's weights for the forward product; sums : as in `Panels`."""
    if read_in_place(layer, batch, network.packed):
        array = _same_type(network.parameters, network.packed)
        return Panels(array, layer.weight, NR, layer.units, None, sums, None)
    return packed_weights(layer, network.packed, None, sums)


@part
def transposed_weights(network: Network, layer: Record) -> Panels:
    """Return a layer's weights for the product that hands the gradient down."""
    panel = units_of(layer.units, network.transposed) * NR
    return Panels(network.transposed, layer.transposed, panel, NR, None, None, None)


@part
def _of_channel(correction: Maybe, channel: int) -> int:
    """Return which packed gradient is a channel's: raw images have one each, others share one."""
    return 0 if correction is None else channel


@part
def packed_delta(space: Space, layer: Record, channel: int, less: Maybe) -> Panels:
    """Return the packed gradient by a layer's sums (N, H), in the first layer for a channel of its images."""
    at = layer.delta + _of_channel(space.correction, channel) * ((layer.units + NR - 1) // NR) * space.panel
    return Panels(space.deltas, at, space.panel, NR, None, less, None)
