"""The engine of packed products: it owns a network's packed copies and work arrays, and calls the compiled run."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.engine import Totals
from fastmlp.nn.inputs import ArrayInput, DirectInput, ImageInput, Input
from fastmlp.nn.optimizer import Optimizer
from fastmlp.nn.packed.quantized_arrays import BYTES, floats, quantized_errors, quantized_inputs, quantized_weights
from fastmlp.nn.packed.run import EVALUATE, FORWARD, GRADIENT, TRAIN, run
from fastmlp.nn.packed.state import BLOCKS, LAYER, PHASES, TASK, Data, Network, Rates, Space
from fastmlp.nn.precision import byte_layers
from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels._optimizers import Momentum
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._team import Team
from fastmlp_kernels.gemm.blocks import MC, a_elements, c_elements
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.panels import NR, Work, padded

# Weights of rows that all count the same.
EQUAL = np.empty(0, np.float32)
# Operations of a step below which one thread is as fast: waking the others and meeting them takes some 0.1 ms.
TEAM_FLOP = 2e7


def _whole(x: np.ndarray, labels: np.ndarray) -> Data:
    """Return all rows of x (N, D) and labels (N,) as one batch."""
    return Data(Rows(x, np.arange(len(x))), labels, EQUAL, len(x))


class Packed:
    """The engine for float32, bfloat16 and int8: whole steps in compiled code, on `threads` threads.

    parameters, gradient : flat float32 in the order W1, b1, W2, b2, ..., of which the layers' arrays are views

    The weights are packed anew at the start of each call, so that they may be changed between calls.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        parameters: np.ndarray,
        gradient: np.ndarray,
        precision: str,
        threads: int,
    ) -> None:
        self._sizes = tuple(int(size) for size in sizes)
        self._team, self._alone = Team(threads), Team(1)
        self._ran = self._alone  # the one that made the last run
        self._activation = ACTIVATIONS[activation]
        ELEMENTS[precision].warn_where_slow()
        # the layers that multiply bytes, where there are such; the others compute in float32
        self._quantized = byte_layers(self._sizes, activation) if precision == "int8" else []
        self._raw = ELEMENTS[precision].raw_images
        self._element = ELEMENTS["float32" if self._quantized else precision]
        self._parameters, self._gradient = parameters, gradient
        self._unread = Rates(Momentum(0.0, 0.0, 0.0), False, gradient.reshape(1, -1))  # of the types of a step's
        self._made: tuple[tuple[int, bool], int, Network, Space] | None = None

    def _units(self, count: int) -> int:
        return -(-count // self._element.per_unit)

    def _network(self, channels: int, raw: bool) -> Network:
        layers: list[tuple[int, ...]] = []
        tasks: list[tuple[int, int, int, int]] = []
        parameters = packed = transposed = units = below = of_bytes = 0
        for i, (d, h) in enumerate(pairwise(self._sizes)):
            own, quantized = channels if i == 0 else 1, i in self._quantized
            depth, at = d // own, of_bytes if quantized else packed
            flat = parameters, parameters + d * h, below, units
            layers.append((i, d, h, own, quantized, *flat, at, transposed, 0))  # the last one is for `_space`
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
            parameters=self._parameters,
            gradient=self._gradient,
            packed=aligned_zeros(packed, self._element.unit),
            transposed=aligned_zeros(transposed, self._element.unit),
            block_sums=floats(of_first, padded(self._sizes[1], int(NR))) if raw else None,
            quantized=quantized_weights(self._sizes, self._team.members, of_bytes, len(tasks))
            if self._quantized
            else None,
        )

    def _space(self, layers: np.ndarray, n: int, channels: int, raw: bool) -> Space:
        units, element = self._sizes[1:], self._element
        first, widest, members = padded(units[0], int(NR)), padded(max(units), int(NR)), self._team.members
        panel = self._units(padded(n, 2)) * int(NR)
        deltas = 0
        for layer in layers:
            if layer["quantized"]:
                continue
            layer["delta"] = deltas
            parts = int(layer["channels"]) if raw else 1
            deltas += padded(int(layer["units"]), int(NR)) // int(NR) * panel * parts
        blocks, corrected = max(-(-n // MC), BLOCKS), raw and not self._quantized
        outputs = floats(n * sum(units))
        return Space(
            outputs=outputs,
            kept=floats(outputs.size) if self._activation.keeps_input else outputs,
            deltas=aligned_zeros(deltas, element.unit),
            panel=panel,
            dbias=floats(blocks, sum(units)),
            correction=floats(blocks, channels, first) if corrected else None,
            loss=np.zeros(blocks),
            correct=np.zeros(blocks, np.int64),
            work=Work(
                a=aligned_zeros((members, a_elements()), element.unit),
                c=aligned_zeros((members, c_elements(widest)), element.accumulator),
            ),
            delta=floats(members, 2, MC * widest),
            sums=floats(members, channels, first) if raw else None,
            less=floats(members, widest) if corrected else None,
            errors=quantized_errors(layers, members, n, blocks) if self._quantized else None,
            inputs=quantized_inputs(self._sizes, n) if self._quantized else None,
        )

    def _arrays(self, data: Data) -> tuple[Network, Space]:
        """Return the arrays for such data, made anew only where it is of another kind or its batch larger."""
        image = data.rows.center is not None
        n, most = min(data.batch, len(data.labels)), BYTES.exact_depth
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

    def _run(self, work: int, data: Data, rates: Rates | None = None) -> Totals:
        network, space = self._arrays(data)
        rates = rates or self._unread
        flop = 6 * self._parameters.size * min(data.batch, len(data.labels))
        self._ran = self._team if flop >= TEAM_FLOP else self._alone
        return Totals(*self._ran.run(run, work, network, data.read_only(), space, rates, self._activation.code))

    def phase_seconds(self) -> dict[str, np.ndarray]:
        """Return (members, 2) seconds of the last run by its phases: each thread's at work, and at the barrier."""
        return dict(zip(PHASES, np.moveaxis(self._ran.seconds(), 1, 0), strict=False))

    def _data(
        self,
        rows: Rows,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        weights: np.ndarray | None = None,
    ) -> Data:
        if rows.center is not None and rows.center.dtype != self._parameters.dtype:
            raise ConfigError(
                f"the network computes in {self._parameters.dtype}, the images' mean and inv_std are "
                f"{rows.center.dtype}: make them with the network's dtype"
            )
        rows = rows._replace(index=order if rows.index is None else rows.index[order])
        return Data(rows, labels[order], EQUAL if weights is None else weights[order], batch_size)

    def _parts(
        self,
        inputs: Input,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        weights: np.ndarray | None = None,
    ) -> Iterator[tuple[int, Data]]:
        """Yield (rows done before, data): all at once where compiled code can read the rows, else batch by batch."""
        # the usual ones first: to ask for a protocol takes ten microseconds
        rows = inputs.source() if isinstance(inputs, ArrayInput | ImageInput | DirectInput) else None
        batch_size = min(batch_size, len(order))  # compiled code counts in 64 bits
        if rows is not None:
            yield 0, self._data(rows, labels, order, batch_size, weights)
            return
        x = np.empty((min(batch_size, len(order)), self._sizes[0]), np.float32)
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            inputs.gather(index, x[: len(index)])
            given = EQUAL if weights is None else weights[index]
            yield start, Data(Rows(x, np.arange(len(index))), labels[index], given, batch_size)

    def train(
        self,
        inputs: Input,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        optimizer: Optimizer,
        loss: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> Totals:
        """Take a step on each batch; see `fastmlp.nn.engine.Engine`."""
        parts = self._parts(inputs, labels, order, batch_size, weights)
        return self._sum(TRAIN, parts, self._rates(optimizer), loss)

    def step(self, x: np.ndarray, labels: np.ndarray, optimizer: Optimizer) -> tuple[float, int]:
        """Take a step on one batch; see `fastmlp.nn.engine.Engine`."""
        totals = self._run(TRAIN, _whole(x, labels), self._rates(optimizer))
        return totals.loss / len(x), totals.correct

    def _rates(self, optimizer: Optimizer) -> Rates:
        return Rates(optimizer.compiled(), optimizer.decay_per == "batch", optimizer.state_of(self._parameters))

    def _sum(
        self, work: int, parts: Iterator[tuple[int, Data]], rates: Rates | None = None, loss: float = 0.0
    ) -> Totals:
        correct, rows = 0, 0
        for start, data in parts:
            part = self._run(work, data._replace(loss=loss), rates)
            loss, correct, rows = part.loss, correct + part.correct, start + part.rows
            if rates is not None and not np.isfinite(part.loss):
                break
        return Totals(loss, correct, rows)

    def gradients(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        """Forward and backward over one batch; see `fastmlp.nn.engine.Engine`."""
        return self._gradients(_whole(x, labels))

    def input_gradients(
        self, inputs: Input, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[float, int]:
        """Forward and backward over all rows of the inputs; see `fastmlp.nn.engine.Engine`."""
        ((_, data),) = self._parts(inputs, labels, np.arange(len(inputs)), len(inputs), weights)
        return self._gradients(data)

    def _gradients(self, data: Data) -> tuple[float, int]:
        totals = self._run(GRADIENT, data)
        return totals.loss / data.batch, totals.correct

    def evaluate(
        self,
        inputs: Input,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        loss: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> Totals:
        """Go through the rows; see `fastmlp.nn.engine.Engine`."""
        return self._sum(EVALUATE, self._parts(inputs, labels, order, batch_size, weights), loss=loss)

    def logits(self, inputs: Input, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield logits batch by batch; see `fastmlp.nn.engine.Engine`."""
        labels = np.zeros(len(inputs), np.int64)
        for start in range(0, len(inputs), batch_size):
            order = np.arange(start, min(start + batch_size, len(inputs)))
            for _, data in self._parts(inputs, labels, order, batch_size):
                self._run(FORWARD, data)
                network, space = self._arrays(data)
                n, at, k = len(order), network.layers[-1]["output"], self._sizes[-1]
                yield start, space.outputs[at * n : (at + k) * n].reshape(n, k)
