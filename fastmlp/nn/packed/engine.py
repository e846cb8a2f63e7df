"""The engine of packed products: it owns a network's packed copies and work arrays, and calls the compiled run."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.dropout import Dropout
from fastmlp.nn.engine import Totals
from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import ArrayInput, DirectInput, ImageInput, Input
from fastmlp.nn.loss import Loss
from fastmlp.nn.optimizer import Optimizer
from fastmlp.nn.packed.few import FEW_LOGITS, MOST
from fastmlp.nn.packed.quantized_arrays import BYTES, quantized_errors, quantized_inputs, quantized_weights
from fastmlp.nn.packed.run import EVALUATE, FORWARD, GRADIENT, TRAIN, run
from fastmlp.nn.packed.sharing import Sharing
from fastmlp.nn.packed.state import BLOCKS, LAYER, PHASES, TASK, Data, Drops, Network, Rates, Space, Table
from fastmlp.nn.precision import byte_layers
from fastmlp_kernels._activation_passes import family_of
from fastmlp_kernels._align import aligned_zeros, read_only
from fastmlp_kernels._optimizers import Momentum, Settings
from fastmlp_kernels._random import dropout_of
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._team import Team
from fastmlp_kernels.gemm.blocks import MC, a_elements, blocking_of, c_elements
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.panels import NR, Work, padded, panels
from fastmlp_kernels.gemm.rows import LONG
from fastmlp_kernels.gemm.turned import turned_elements

# Operations of a step below which one thread takes it, and from which on the team does; between them the faster way is
# found by trying (`sharing`).
ALONE_FLOP, TEAM_FLOP = 5e6, 1e9
NOTHING = dropout_of(0.0, 0)
# Sums by task that no one asks for.
NONE = np.empty(0)


class Packed:
    """The engine of packed products: whole steps in compiled code, on `threads` threads.

    activations : of the layers; goal : the loss, and what is dropped in training
    flat : parameters and gradient, flat in the order W1, b1, W2, b2, ..., of the
        precision's dtype, of which the layers' arrays are views

    The weights are packed anew at the start of each call, so that they may be changed between calls.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[str],
        goal: tuple[Loss, Dropout],
        flat: tuple[np.ndarray, np.ndarray],
        precision: str,
        threads: int,
    ) -> None:
        self._sizes = tuple(int(size) for size in sizes)
        self._team, self._alone = Team(threads), Team(1)
        self._ran = self._alone  # the one that made the last run
        self._sharing: dict[tuple[int, int], Sharing] = {}  # by what is done with a batch, and its rows
        self._activations = [ACTIVATIONS[name] for name in activations]
        self._loss, self._dropout = goal
        self._equal = np.empty(0, flat[0].dtype)  # weights of rows that all count the same
        ELEMENTS[precision].warn_where_slow()
        # the layers that multiply bytes, where there are such; the others compute in float32
        self._quantized = byte_layers(self._sizes, activations) if precision == "int8" else []
        self._raw = ELEMENTS[precision].raw_images
        self._element = ELEMENTS["float32" if self._quantized else precision]
        self._parameters, self._gradient = flat
        self.expected: Settings = Momentum(0.0, 0.0, 0.0)
        # Sums over more inputs are put together otherwise, and rounded operands elsewhere.
        self._reads_few = (
            precision in ("float32", "float64") and max(self._sizes[:-1]) <= LONG * blocking_of(self._element).kc
        )
        self._few: tuple[Callable[..., bool], Table, np.ndarray] | None = None
        self._made: tuple[tuple[int, bool], int, Network, Space] | None = None

    def _floats(self, *shape: int) -> np.ndarray:
        return aligned_zeros(shape, self._parameters.dtype)

    def _drops(self) -> Drops:
        """Return what is dropped of the layers' outputs."""
        of_layers = [*self._dropout.records[1:], NOTHING]  # nothing of the last layer's
        return Drops(
            np.uint64(self._dropout.seed),
            np.array([dropout.threshold for dropout in of_layers], np.uint32),
            np.array([dropout.scale for dropout in of_layers]),
        )

    def _units(self, count: int) -> int:
        return -(-count // self._element.per_unit)

    def _network(self, channels: int, raw: bool) -> Network:
        layers: list[tuple[int, ...]] = []
        tasks: list[tuple[int, int, int, int]] = []
        parameters = packed = transposed = units = below = of_bytes = 0
        hidden = len(self._sizes) - 2
        for i, (d, h) in enumerate(pairwise(self._sizes)):
            own, quantized = channels if i == 0 else 1, i in self._quantized
            depth, at = d // own, of_bytes if quantized else packed
            flat = parameters, parameters + d * h, below, units
            activation = self._activations[i].code, self._activations[i].keeps_input
            drops = i < hidden and self._dropout.hidden[i] > 0
            layers.append(
                (i, d, h, own, quantized, *activation, drops, *flat, at, transposed, 0)
            )  # the last is for `_space`
            parameters, below, units = parameters + d * h + h, units, units + h
            if quantized:
                of_bytes += padded(h, int(NR)) * own * -(-depth // BYTES.per_unit)
            else:
                packed += padded(h, int(NR)) * own * self._units(depth)
            transposed += padded(d, int(NR)) * self._units(h) if i else 0
            starts = [(c * depth, k) for c in range(own) for k in range(0, depth, MC)]
            tasks += [(i, at // depth, at + k, at + min(k + MC, depth)) for at, k in starts]
        of_first = sum(task[0] == 0 for task in tasks)
        return Network(
            layers=np.array(layers, LAYER),
            tasks=np.array(tasks, TASK),
            family=family_of(activation.name for activation in self._activations),
            parameters=self._parameters,
            gradient=self._gradient,
            packed=aligned_zeros(packed, self._element.unit),
            transposed=aligned_zeros(transposed, self._element.unit),
            block_sums=self._floats(of_first, padded(self._sizes[1], int(NR))) if raw else None,
            quantized=quantized_weights(self._sizes, self._team.members, of_bytes, len(tasks))
            if self._quantized
            else None,
            drops=self._drops(),
        )

    def _space(self, layers: np.ndarray, n: int, channels: int, raw: bool) -> Space:
        units, element = self._sizes[1:], self._element
        first, widest, members = padded(units[0], int(NR)), padded(max(units), int(NR)), self._team.members
        columns = 0
        for layer in layers:
            if layer["quantized"]:
                continue
            layer["delta"] = columns * self._units(n)
            columns += padded(int(layer["units"]), int(NR)) * (int(layer["channels"]) if raw else 1)
        packed = panels(element, n, columns, transposed_left=True)
        blocks, corrected = max(-(-n // MC), BLOCKS), raw and not self._quantized
        outputs = self._floats(n * sum(units))
        return Space(
            outputs=outputs,
            kept=self._floats(outputs.size) if (layers["keeps_input"] | layers["drops"]).any() else outputs,
            deltas=packed.array,
            panel=packed.panel,
            by_column=packed.by_column,
            dbias=self._floats(blocks, sum(units)),
            correction=self._floats(blocks, channels, first) if corrected else None,
            loss=np.zeros(blocks),
            correct=np.zeros(blocks, np.int64),
            work=Work(
                a=aligned_zeros((members, a_elements(element)), element.unit),
                c=aligned_zeros((members, c_elements(widest)), element.accumulator),
            ),
            delta=self._floats(members, 2, MC * widest),
            turned=self._floats(members, 2, turned_elements(max(units), int(MC))),
            sums=self._floats(members, channels, first) if raw else None,
            less=self._floats(members, widest) if corrected else None,
            errors=quantized_errors(layers, members, n, blocks) if self._quantized else None,
            inputs=quantized_inputs(self._sizes, n) if self._quantized else None,
        )

    def _arrays(self, data: Data) -> tuple[Network, Space]:
        """Return the arrays for such data, made anew only where it is of another kind or its batch larger."""
        image = data.rows.center is not None
        n, most = min(data.batch, len(data.targets)), BYTES.exact_depth
        if self._quantized and not image:
            raise ConfigError(
                "precision int8 multiplies images of uint8 pixels as they are, and this input is an array of numbers: "
                "give an ImageInput, or make the network with precision float32 or bfloat16"
            )
        if self._quantized and n > most:
            raise ConfigError(f"batch_size is {data.batch}, allowed with precision int8 is at most {most:,}")
        kind = (data.rows.center.shape[1] if image else 1, image)
        if self._made is None or self._made[0] != kind or self._made[1] < n:
            raw = image and self._raw
            network = self._network(kind[0], raw)
            self._made = kind, n, network, self._space(network.layers, n, kind[0], raw)
        return self._made[2:]

    def _run(self, work: int, data: Data, optimizer: Optimizer | None = None) -> Totals:
        network, space = self._arrays(data)
        rates = self._rates_of_none() if optimizer is None else self._rates(optimizer, len(network.tasks))
        batch, tried = min(data.batch, len(data.targets)), None
        flop = 6 * self._parameters.size * batch
        shared = flop >= TEAM_FLOP
        if self._team.members > 1 and ALONE_FLOP <= flop < TEAM_FLOP:
            tried = self._sharing.setdefault((work, batch), Sharing())
            shared = tried.of_next_call()
        self._ran, began = self._team if shared else self._alone, time.perf_counter()
        totals = Totals(*self._ran.run(run, work, network, data.read_only(), space, rates))
        steps = -(-totals.rows // data.batch)
        if tried is not None:
            tried.took(shared, steps, time.perf_counter() - began)
        if optimizer is not None:
            optimizer.memory_of(self._parameters).steps += steps
        return totals

    def phase_seconds(self) -> dict[str, np.ndarray]:
        """Return (members, 2) seconds of the last run by its phases: each thread's at work, and at the barrier."""
        return dict(zip(PHASES, np.moveaxis(self._ran.seconds(), 1, 0), strict=False))

    def _data(self, rows: Rows, index: np.ndarray, given: Examples, at: np.ndarray, batch_size: int) -> Data:
        """Return the data of one call: the rows `index`, with the targets and weights of the rows `at`."""
        if rows.center is not None and rows.center.dtype != self._parameters.dtype:
            raise ConfigError(
                f"the network computes in {self._parameters.dtype}, the images' mean and inv_std are "
                f"{rows.center.dtype}: make them with the network's dtype"
            )
        return Data(
            rows._replace(index=index if rows.index is None else rows.index[index]),
            given.targets[at],
            self._equal if given.weights is None else given.weights[at],
            batch_size,
            self._loss.criterion,
            self._loss.by_weight,
        )

    def _parts(
        self, given: Examples, order: np.ndarray, batch_size: int, optimizer: Optimizer | None = None
    ) -> Iterator[tuple[int, Data]]:
        """Yield (rows done before, data): all at once where compiled code can read the rows, else batch by batch.

        optimizer : for steps of it, in which inputs may be dropped
        """
        inputs = given.inputs
        # the usual ones first: to ask for a protocol takes ten microseconds
        rows = inputs.source() if isinstance(inputs, ArrayInput | ImageInput | DirectInput) else None
        batch_size = min(batch_size, len(order))  # compiled code counts in 64 bits
        memory = optimizer.memory_of(self._parameters) if optimizer and self._dropout.inputs > 0 else None
        readable = rows is not None and (rows.center is not None or rows.x.dtype == self._parameters.dtype)
        if rows is not None and readable and memory is None:
            yield 0, self._data(rows, order, given, order, batch_size)
            return
        x = np.empty((min(batch_size, len(order)), self._sizes[0]), self._parameters.dtype)
        for start in range(0, len(order), batch_size):
            at = order[start : start + batch_size]
            inputs.gather(at, x[: len(at)])
            if memory is not None:
                self._dropout.drop(x[: len(at)], 0, memory.steps)
            yield start, self._data(Rows(x), np.arange(len(at)), given, at, batch_size)

    def train(
        self, examples: Examples, order: np.ndarray, batch_size: int, optimizer: Optimizer, loss: float = 0.0
    ) -> Totals:
        """Take a step on each batch; see `fastmlp.nn.engine.Engine`."""
        return self._sum(TRAIN, self._parts(examples, order, batch_size, optimizer), optimizer, loss)

    def step(self, x: np.ndarray, targets: np.ndarray, optimizer: Optimizer) -> tuple[float, int]:
        """Take a step on one batch; see `fastmlp.nn.engine.Engine`."""
        if self._dropout.inputs > 0:
            x = x.copy()
            self._dropout.drop(x, 0, optimizer.memory_of(self._parameters).steps)
        totals = self._run(TRAIN, self._whole(x, targets), optimizer)
        return totals.loss / len(x), totals.correct

    def _whole(self, x: np.ndarray, targets: np.ndarray) -> Data:
        """Return all rows of x (N, D) and their targets as one batch."""
        return Data(Rows(x, np.arange(len(x))), targets, self._equal, len(x), self._loss.criterion)

    def _rates(self, optimizer: Optimizer, tasks: int) -> Rates:
        self.expected, memory = optimizer.compiled(), optimizer.memory_of(self._parameters)
        return Rates(
            self.expected,
            optimizer.decay_per == "batch",
            memory.slots,
            np.zeros(tasks) if optimizer.penalty else NONE,
            memory.steps,
            optimizer.clip_norm,
            np.zeros(tasks + 1) if optimizer.clip_norm > 0 else NONE,
        )

    def _rates_of_none(self) -> Rates:
        """Return the rates of what takes no step, of the type of the expected optimiser's."""
        return Rates(self.expected, False, self._gradient.reshape(1, -1), NONE, 0, 0.0, NONE)

    def _sum(
        self, work: int, parts: Iterator[tuple[int, Data]], optimizer: Optimizer | None = None, loss: float = 0.0
    ) -> Totals:
        correct, rows, penalty = 0, 0, 0.0
        for start, data in parts:
            part = self._run(work, data._replace(loss=loss), optimizer)
            loss, correct, rows = part.loss, correct + part.correct, start + part.rows
            penalty += part.penalty
            if optimizer is not None and not np.isfinite(part.loss):
                break
        return Totals(loss, correct, rows, penalty)

    def gradients(self, x: np.ndarray, targets: np.ndarray) -> tuple[float, int]:
        """Forward and backward over one batch; see `fastmlp.nn.engine.Engine`."""
        return self._gradients(self._whole(x, targets))

    def input_gradients(self, examples: Examples) -> tuple[float, int]:
        """Forward and backward over all rows; see `fastmlp.nn.engine.Engine`."""
        ((_, data),) = self._parts(examples, np.arange(len(examples.inputs)), len(examples.inputs))
        return self._gradients(data)

    def _gradients(self, data: Data) -> tuple[float, int]:
        totals = self._run(GRADIENT, data)
        return totals.loss / data.batch, totals.correct

    def evaluate(self, examples: Examples, order: np.ndarray, batch_size: int, loss: float = 0.0) -> Totals:
        """Go through the rows; see `fastmlp.nn.engine.Engine`."""
        return self._sum(EVALUATE, self._parts(examples, order, batch_size), loss=loss)

    def few_logits(self, x: np.ndarray) -> np.ndarray | None:
        """Return the logits of a few rows; see `fastmlp.nn.engine.Engine`."""
        kind = self._parameters.dtype
        if x.dtype != kind or x.ndim != 2 or x.shape[1] != self._sizes[0] or not x.flags.c_contiguous:
            return None
        if not self._reads_few or (len(x) != 1 and not 0 < len(x) * self._parameters.size <= MOST):
            return None
        if self._few is None:
            network = self._network(1, raw=False)
            self._few = FEW_LOGITS[type(network.family)], network.layers, np.empty((2, max(self._sizes)), kind)
        logits, layers, space = self._few
        out = np.empty((len(x), self._sizes[-1]), kind)
        return out if logits(read_only(x), layers, self._parameters, space, out) else None

    def logits(self, inputs: Input, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield logits batch by batch; see `fastmlp.nn.engine.Engine`."""
        m, k = len(inputs), self._sizes[-1]
        targets = np.zeros((), np.int64) if self._loss.of_classes else np.zeros((1, k), self._parameters.dtype)
        unread = Examples(inputs, np.broadcast_to(targets, (m, *targets.shape[1:])))
        for start in range(0, m, batch_size):
            order = np.arange(start, min(start + batch_size, m))
            n = len(order)
            for _, data in self._parts(unread, order, batch_size):
                self._run(FORWARD, data)
                network, space = self._arrays(data)
                at = network.layers[-1]["output"]
                yield start, space.outputs[at * n : (at + k) * n].reshape(n, k)
