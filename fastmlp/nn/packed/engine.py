"""Owns the packed copies and work arrays of one network, and calls the compiled run."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.engine import Totals
from fastmlp.nn.inputs import ArrayInput, DirectInput, ImageInput, Input, Source
from fastmlp.nn.optimizer import Optimizer
from fastmlp.nn.packed.rounded_arrays import floats, rounded_errors, rounded_inputs, rounded_weights
from fastmlp.nn.packed.run import EVALUATE, FORWARD, GRADIENT, TRAIN, run
from fastmlp.nn.packed.state import (
    BLOCKS,
    DELTA,
    OUTPUT,
    PHASES,
    QUADS,
    ROUNDED,
    TURNED,
    WEIGHT,
    Data,
    Network,
    Rates,
    Space,
    empty_table,
)
from fastmlp.nn.precision import byte_layers
from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels._optimizers import Momentum
from fastmlp_kernels._team import Team
from fastmlp_kernels.bfloat16 import warn_where_slow
from fastmlp_kernels.gemm.blocks import MC, a_elements, c_elements, padded
from fastmlp_kernels.gemm.pack import NR
from fastmlp_kernels.gemm.quads import EXACT_DEPTH, QUAD
from fastmlp_kernels.int8 import warn_where_slow as warn_where_bytes_are_slow

# Weights of rows that all count the same.
EQUAL = np.empty(0, np.float32)
# Operations of a step below which one thread is as fast: waking the others and meeting them takes some 0.1 ms.
TEAM_FLOP = 2e7


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
        if precision == "bfloat16":
            warn_where_slow()
        if precision == "int8":
            warn_where_bytes_are_slow()
        # the layers that multiply bytes; the others compute in float32
        self._rounded = byte_layers(self._sizes, activation) if precision == "int8" else []
        self._per = {"float32": 1, "bfloat16": 2, "int8": 1}[precision]
        self._dtype = {"float32": np.float32, "bfloat16": np.int32, "int8": np.float32}[precision]
        self._parameters, self._gradient = parameters, gradient
        self._unread = Rates(Momentum(0.0, 0.0, 0.0), False, gradient.reshape(1, -1))  # of the types of a step's
        self._made: tuple[tuple[int, bool], int, Network, Space] | None = None

    def _units(self, count: int) -> int:
        return -(-count // self._per)

    def _network(self, channels: int, raw: bool) -> Network:
        layers = empty_table(self._sizes)
        tasks: list[tuple[int, int, int, int]] = []
        parameters = packed = turned = units = of_bytes = 0
        for i, (d, h) in enumerate(pairwise(self._sizes)):
            own = channels if i == 0 else 1
            depth = d // own
            layers[i, WEIGHT : TURNED + 1] = parameters, parameters + d * h, units, packed, turned
            parameters += d * h + h
            units += h
            if i in self._rounded:
                layers[i, ROUNDED], layers[i, QUADS] = 1, of_bytes
                of_bytes += padded(h, NR) * own * -(-depth // QUAD)
            else:
                packed += padded(h, NR) * own * self._units(depth)
            turned += padded(d, NR) * self._units(h) if i else 0
            starts = [(c * depth, k) for c in range(own) for k in range(0, depth, MC)]
            tasks += [(i, at // depth, at + k, at + min(k + MC, depth)) for at, k in starts]
        of_first = sum(task[0] == 0 for task in tasks)
        return Network(
            layers=layers,
            tasks=np.array(tasks, np.int64),
            parameters=self._parameters,
            gradient=self._gradient,
            packed=aligned_zeros(packed, self._dtype),
            turned=aligned_zeros(turned, self._dtype),
            block_sums=floats(of_first, padded(self._sizes[1], NR)) if raw else None,
            rounded=rounded_weights(self._sizes, self._team.members, of_bytes, len(tasks)) if self._rounded else None,
        )

    def _space(self, layers: np.ndarray, n: int, channels: int, image: bool, raw: bool) -> Space:
        units = self._sizes[1:]
        first, widest, members = padded(units[0], NR), padded(max(units), NR), self._team.members
        panel = self._units(padded(n, 2)) * NR
        deltas = 0
        for i, h in enumerate(units):
            layers[i, DELTA] = deltas
            if i in self._rounded:
                continue
            deltas += padded(h, NR) // NR * panel * (channels if raw and i == 0 else 1)
        blocks, outputs = max(-(-n // MC), BLOCKS), floats(n * sum(units))
        return Space(
            outputs=outputs,
            kept=floats(outputs.size) if self._activation.keeps_input else outputs,
            deltas=aligned_zeros(deltas, self._dtype),
            panel=panel,
            center=floats(channels, n) if image else None,
            scale=floats(channels, n) if image else None,
            dbias=floats(blocks, sum(units)),
            correction=floats(blocks, channels, first) if raw and not self._rounded else None,
            loss=np.zeros(blocks),
            correct=np.zeros(blocks, np.int64),
            a=aligned_zeros((members, a_elements()), self._dtype),
            c=floats(members, c_elements(widest)),
            delta=floats(members, 2, MC * widest),
            sums=floats(members, channels, first) if raw else None,
            less=floats(members, widest) if raw and not self._rounded else None,
            errors=rounded_errors(self._sizes, self._team.members, layers, n, channels, blocks)
            if self._rounded
            else None,
            inputs=rounded_inputs(self._sizes, n) if self._rounded else None,
        )

    def _arrays(self, data: Data) -> tuple[Network, Space]:
        """Return the arrays for such data, made anew only where it is of another kind or its batch larger."""
        image = data.mean is not None
        if self._rounded and not image:
            raise ConfigError(
                "precision int8 multiplies images of uint8 pixels as they are, and this input is an array of numbers: "
                "give an ImageInput, or make the network with precision float32 or bfloat16"
            )
        if self._rounded and min(data.batch, data.order.size) > EXACT_DEPTH:
            raise ConfigError(f"batch_size is {data.batch}, allowed with precision int8 is at most {EXACT_DEPTH:,}")
        kind = (data.mean.shape[1] if data.mean is not None else 1, image)
        n = min(data.batch, data.order.size)
        if self._made is None or self._made[0] != kind or self._made[1] < n:
            raw = image and (self._per > 1 or bool(self._rounded))
            network = self._network(kind[0], raw)
            self._made = kind, n, network, self._space(network.layers, n, *kind, raw)
        return self._made[2:]

    def _run(self, work: int, data: Data, rates: Rates | None = None) -> Totals:
        network, space = self._arrays(data)
        rates = rates or self._unread
        flop = 6 * self._parameters.size * min(data.batch, data.order.size)
        self._ran = self._team if flop >= TEAM_FLOP else self._alone
        return Totals(*self._ran.run(run, work, network, data.read_only(), space, rates, self._activation.code))

    def phase_seconds(self) -> dict[str, np.ndarray]:
        """Return (members, 2) seconds of the last run by its phases: each thread's at work, and at the barrier."""
        return dict(zip(PHASES, np.moveaxis(self._ran.seconds(), 1, 0), strict=False))

    def _data(
        self,
        source: Source,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        weights: np.ndarray | None = None,
    ) -> Data:
        if source.mean is not None and source.mean.dtype != np.float32:
            raise ConfigError(
                f"the network computes in float32, the images' mean and inv_std are {source.mean.dtype}: "
                "make them with the network's dtype"
            )
        index = order if source.rows is None else source.rows[order]
        given = EQUAL if weights is None else weights[order]
        return Data(source.x, source.mean, source.inv_std, index, labels[order], given, batch_size)

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
        source = inputs.source() if isinstance(inputs, ArrayInput | ImageInput | DirectInput) else None
        batch_size = min(batch_size, len(order))  # compiled code counts in 64 bits
        if source is not None:
            yield 0, self._data(source, labels, order, batch_size, weights)
            return
        x = np.empty((min(batch_size, len(order)), self._sizes[0]), np.float32)
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            inputs.gather(index, x[: len(index)])
            given = EQUAL if weights is None else weights[index]
            yield start, Data(x, None, None, np.arange(len(index)), labels[index], given, batch_size)

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
        totals = self._run(TRAIN, Data(x, None, None, np.arange(len(x)), labels, EQUAL, len(x)), self._rates(optimizer))
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
        return self._gradients(Data(x, None, None, np.arange(len(x)), labels, EQUAL, len(x)))

    def input_gradients(self, inputs: Input, labels: np.ndarray) -> tuple[float, int]:
        """Forward and backward over all rows of the inputs; see `fastmlp.nn.engine.Engine`."""
        ((_, data),) = self._parts(inputs, labels, np.arange(len(inputs)), len(inputs))
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
                n, at, k = len(order), network.layers[-1, OUTPUT], self._sizes[-1]
                yield start, space.outputs[at * n : (at + k) * n].reshape(n, k)
