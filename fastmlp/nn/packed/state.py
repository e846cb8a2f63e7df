"""The records of arrays that a compiled run works on; `engine` allocates them. Floats are float32, or all float64.

Parameters and gradients lie in one flat array each, in the order W1, b1, W2, b2, ..., an optimiser's state in one such
row a slot; so do the packed copies of the weights. A record for each layer tells where its part begins. Nothing in the
compiled code depends on the number of layers, so it compiles once for every network.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from fastmlp_kernels._activation_passes import Family
from fastmlp_kernels._align import read_only
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._loss_table import Criterion
from fastmlp_kernels._optimizers import Settings, Update, settings_of_step, with_decay
from fastmlp_kernels._records import record
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import matrix_at, row_at, vector_at
from fastmlp_kernels.gemm.ahead import LARGE
from fastmlp_kernels.gemm.blocks import FEW_ROWS, MC, MR
from fastmlp_kernels.gemm.pack import per_unit, units_of
from fastmlp_kernels.gemm.panels import NR, Maybe, Panels, Work

# The phases of a run, for `Team.seconds`: the weights are packed at its beginning; then, in each step, blocks of rows
# go through the layers and back, and blocks of weights get their gradients and are updated, all gradients before the
# first update where these are clipped.
PHASES = ("pack", "quantize weights", "rows", "quantize errors", "gradients", "weights")
# no literals, see `gemm.panels`
PACK, QUANTIZE_WEIGHTS, ROWS, QUANTIZE_ERRORS, GRADIENTS, WEIGHTS = (
    cast("int", np.int64(i)) for i in range(len(PHASES))
)

# An element of one of the two tables below, of which numba reads the fields as attributes; and an array of them.
Record = Any
Table = Any

# A layer: its number, its sizes, whether it multiplies bytes, the code of its activation, whether that keeps its input
# for the way back, and whether its outputs are dropped at random; then where its parts begin, in elements of the flat
# arrays, `input` and `output` in units of all layers. `channels` are packed by themselves: those of images in the first
# layer, else 1. The parts of `packed` and `delta` lie in the arrays of `QuantizedWeights` and `QuantizedErrors` for a
# layer that multiplies bytes.
LAYER = np.dtype([
    (name, np.int64)
    for name in (
        "number", "inputs", "units", "channels", "quantized", "activation", "keeps_input", "drops",
        "weight", "bias", "input", "output", "packed", "transposed", "delta",
    )
])  # fmt: skip
# A task of the second phase: rows `first` to below `last` of a layer's weights, which lie in one of its channels.
TASK = np.dtype([(name, np.int64) for name in ("layer", "channel", "first", "last")])


class QuantizedWeights(NamedTuple):
    """The weights of layers that multiply 8-bit integers, quantized: see `gemm.quantize`.

    packed : flat uint32, the right operands of the forward products
    peaks : (tasks, H of the widest) int32, largest magnitudes of columns in a task's rows, as the bits of a float32
    steps : (members, 2, all units), a copy for each member: steps, and their inverses
    """

    packed: np.ndarray
    peaks: np.ndarray
    steps: np.ndarray


class QuantizedErrors(NamedTuple):
    """The gradients by the sums of layers that multiply 8-bit integers: kept by blocks of rows, quantized for all.

    values : flat, (N, H) of each layer: the gradients
    peaks : (blocks of rows, C, all units) int32, largest magnitudes of scale * value, as the bits of a float32
    steps : (members, C, 2, all units), a copy for each member: steps, and their inverses
    packed : flat uint32, right operands: one for each channel of the first layer, and one for each other layer
    less : (blocks of mc rows, C, H of the first padded to nr) sums of center * quantized value
    total : (members, H of the widest) their sums over blocks
    """

    values: np.ndarray
    peaks: np.ndarray
    steps: np.ndarray
    packed: Panels
    less: np.ndarray
    total: np.ndarray


class QuantizedInputs(NamedTuple):
    """The outputs of ReLU layers, quantized for the layers above them: each row in steps of a 255th of its largest.

    values : flat uint8, (N, H) of each layer
    scale : (layers, N, 1) steps, by the layer that they are inputs of; center : (N, 1) zeros, as they are not shifted
    sums : (1, H of the widest padded to nr) zeros, in place of the sums by which raw images are corrected
    """

    values: np.ndarray
    scale: np.ndarray
    center: np.ndarray
    sums: np.ndarray


@record
class Drops(NamedTuple):
    """What is dropped of the outputs of layers whose record says that some are.

    seed : uint64; thresholds, scales : (L,) uint32 and float64, of each of the L layers the fields of `_random.Dropout`
    """

    seed: np.uint64
    thresholds: NDArray[np.uint32]
    scales: NDArray[np.float64]


@record
class Network(NamedTuple):
    """A network's parameters and their packed copies.

    layers, tasks : (n,) tables of LAYER and TASK; family : of the layers' activations
    parameters, gradient : (P,)
    packed : flat, weights as right operands of the forward products; transposed : flat, of all but the first layer, for
        the way back; floats, or int32 for pairs of bfloat16
    block_sums : (tasks of the first layer, H) column sums of its packed weights by task, for raw images, or None
    quantized : the quantized weights, or None; `packed` then has those of the other layers
    """

    layers: Table
    tasks: Table
    family: Family
    parameters: np.ndarray
    gradient: np.ndarray
    packed: np.ndarray
    transposed: np.ndarray
    block_sums: Maybe
    quantized: Maybe
    drops: Drops


@record
class Data(NamedTuple):
    """The rows of one call: rows, whose index (n,) int64 gives the order, their targets, and their weights.

    targets : in that order, (n,) int64 class numbers, or (n, K) of the network's dtype
    weights : (n,) factors of the rows' losses, in that order, of the network's dtype; empty for ones
    batch : rows of a batch
    criterion : what the loss is told beside its outputs and targets
    by_weight : whether a batch's loss is divided by the sum of its weights; else, or where that is 0, by its rows
    loss : sum of the losses of earlier calls, so that a total has the same bits in one call as in many
    """

    rows: Rows
    targets: np.ndarray
    weights: np.ndarray
    batch: int
    criterion: Criterion
    by_weight: bool = False
    loss: float = 0.0

    def read_only(self) -> "Data":
        """Return the same as compiled code takes it, with arrays that cannot be written to."""
        own = {"rows": self.rows.compiled(), "targets": read_only(self.targets), "weights": read_only(self.weights)}
        return self._replace(**own)


class Batch(NamedTuple):
    """One batch of `Data`: its rows, their targets and weights.

    after : the rows of the next batch, maybe none
    size : rows of all batches but the last; total : what its loss is divided by, float64
    step : number of the optimiser's step that it is for, which decides what is dropped; negative where nothing is
    """

    rows: Rows
    after: Rows
    targets: np.ndarray
    weights: np.ndarray
    size: int
    criterion: Criterion
    total: float
    step: int


@record
class Space(NamedTuple):
    """Work arrays for one batch of at most N rows.

    outputs : flat, (N, H) of each layer; the last are the logits, overwritten with their gradient
    kept : flat like outputs: what the activation keeps for the way back, in layers where that is not the output that
        goes up; outputs itself where there are no such layers
    deltas : flat, packed gradients by the sums of each layer, `panel` units a panel; by_column : the same once more, as
        of `Panels`, or None
    dbias : (blocks of rows, all units); correction : (blocks of rows, C, H of the first layer), or None
    loss, correct : (blocks of rows,) float64 and int64
    work : of each member, for blocks of the products; delta : (members, 2, ...) gradients of a block of rows; turned :
        (members, 2, ...) the same transposed, packed and as a product leaves them
    sums : (members, C, H) column sums of the first layer's packed weights, or None
    less : (members, H of the widest layer) correction of a gradient, or None
    errors, inputs : quantized gradients and outputs, or None; `deltas` then has those of the other layers
    """

    outputs: np.ndarray
    kept: np.ndarray
    deltas: np.ndarray
    panel: int
    by_column: Maybe
    dbias: np.ndarray
    correction: Maybe
    loss: np.ndarray
    correct: np.ndarray
    work: Work
    delta: np.ndarray
    turned: np.ndarray
    sums: Maybe
    less: Maybe
    errors: Maybe
    inputs: Maybe


@record
class Rates(NamedTuple):
    """An optimiser for compiled code: its settings, and its state (slots, P) in the order of the parameters.

    per_batch : whether weight_decay is divided by what a batch's loss is divided by
    squares : (tasks,) float64 sums of squares of the weights by task, where the decay's share of the loss is asked for;
        else empty
    steps : that were taken before this call
    clip_norm : the largest norm of a gradient; gradient_squares : (tasks + 1,) float64, where it is asked for, sums of
        squares of the gradient by task, the last of the biases; else empty
    """

    settings: Settings
    per_batch: bool
    state: np.ndarray
    squares: np.ndarray
    steps: int
    clip_norm: float
    gradient_squares: np.ndarray


@part
def rates_of_step(rates: Rates, step: int) -> Rates:
    """Return an optimiser as it is in a step of this call, counted from 0."""
    return Rates(
        settings_of_step(rates.settings, rates.steps + step + 1),
        rates.per_batch,
        rates.state,
        rates.squares,
        rates.steps,
        rates.clip_norm,
        rates.gradient_squares,
    )


@part
def decay_of(rates: Rates, total: float) -> float:
    """Return the weight decay of a batch whose loss is divided by `total`."""
    decay = rates.settings.weight_decay
    return decay / total if rates.per_batch else decay


@part
def weights_update(network: Network, rates: Rates, layer: Record, total: float) -> Update:
    """Return the step of a layer's weights after a batch whose loss is divided by `total`."""
    settings = with_decay(rates.settings, decay_of(rates, total))
    return Update(network.parameters, rates.state, layer.weight, layer.units, settings)


@part
def own_work(space: Space, member: int) -> Work:
    """Return a member's work arrays."""
    return Work(row_at(space.work.a, member), row_at(space.work.c, member))


@part
def weight_of(layer: Record, flat: np.ndarray) -> np.ndarray:
    """Return a layer's weights (D, H), a view of flat (P,) parameters or gradients."""
    return matrix_at(flat, layer.weight, layer.inputs, layer.units)


@part
def bias_of(layer: Record, flat: np.ndarray) -> np.ndarray:
    """Return a layer's biases (H,), a view of flat (P,) parameters or gradients."""
    return vector_at(flat, layer.bias, layer.units)


@part
def output_of(layer: Record, outputs: np.ndarray, n: int) -> np.ndarray:
    """Return a layer's outputs (n, H) for a batch of n rows, a view of the flat `Space.outputs`."""
    return matrix_at(outputs, layer.output * n, n, layer.units)


@part
def input_of(layer: Record, outputs: np.ndarray, n: int) -> np.ndarray:
    """Return a layer's inputs (n, D), the outputs of the layer below, a view of the flat `Space.outputs`."""
    return matrix_at(outputs, layer.input * n, n, layer.inputs)


@part
def kept_of(layer: Record, space: Space, n: int) -> np.ndarray:
    """Return what a layer's activation keeps for the way back, (n, H): its input or its output."""
    return output_of(layer, space.kept if layer.keeps_input + layer.drops > 0 else space.outputs, n)


@part
def of_layer(layer: Record, values: np.ndarray) -> np.ndarray:
    """Return a layer's part (H,) of `values`, a row of all units (n,)."""
    return vector_at(values, layer.output, layer.units)


@part
def is_quantized(quantized: Maybe, layer: Record) -> bool:
    """Whether a layer multiplies bytes."""
    return False if quantized is None else layer.quantized == 1


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
    """Return first and last row, exclusive, of a block of a batch of n rows."""
    return block * block_rows(n), min((block + 1) * block_rows(n), n)


@part
def blocks_at_once(n: int, members: int) -> int:
    """Return how many blocks of a batch of n rows a member of a team takes through the layers at once.

    Each way through reads all weights: a member's share of the blocks, so, while these are at most mc rows. Sums are
    taken by block all the same, and each row's products do not depend on the rows beside it.
    """
    share = (blocks_of(n) + members - 1) // members
    return max(min(share, MC // block_rows(n)), 1)


# Up to so many, blocks of rows are so few that weights larger than a cache are not worth a copy in each step.
MANY_ROWS = 4 * MC


@part
def read_in_place(layer: Record, batch: int, packed: np.ndarray) -> bool:
    """Whether a layer's forward product reads weights (D, H), floats, in place, without a packed copy.

    That is where few rows read them; or, if they are larger than a core's caches, where blocks of rows are few, as each
    packs them panel by panel for itself. packed : flat, any array of the packed weights, for its dtype
    """
    large = layer.inputs * layer.units * packed.itemsize > LARGE
    most = MANY_ROWS if large else FEW_ROWS
    return per_unit(packed) == 1 and batch <= most and layer.units % NR == 0


@part
def is_turned(layer: Record, batch: int, packed: np.ndarray) -> bool:
    """Whether the way back multiplies weights (D, H), floats, as they lie, with the transposed gradient on their right.

    That takes no transposed copy of the weights, but of the gradient (N, H) and of the product (N, D): where these are
    smaller by far. batch, packed : as of `read_in_place`
    """
    return per_unit(packed) == 1 and 2 * batch * (layer.inputs + layer.units) <= layer.inputs * layer.units


def _same_type(parameters: np.ndarray, packed: np.ndarray) -> np.ndarray:
    return parameters if parameters.dtype == packed.dtype else packed


@overload(_same_type, jit_options=PART)
def _overload_same_type(parameters, packed):
    if parameters.dtype == packed.dtype:
        return lambda parameters, packed: parameters  # noqa: ARG005
    return lambda parameters, packed: packed  # noqa: ARG005


@part
def packed_weights(layer: Record, packed: np.ndarray, steps: Maybe, sums: Maybe) -> Panels:
    """Return a layer's packed weights (D, H), from the flat `packed`, each channel by itself, as right operand."""
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
    """Return a layer's packed transposed weights (H, D), the right operand of the backward product."""
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
    return Panels(space.deltas, at, space.panel, NR, None, less, space.by_column)
