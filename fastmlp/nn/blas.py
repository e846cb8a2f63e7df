"""A network's products by numpy's BLAS, one layer and one kernel after the other."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from fastmlp.nn.dropout import Dropout
from fastmlp.nn.engine import Totals
from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import Input
from fastmlp.nn.layers import Dense
from fastmlp.nn.loss import Loss
from fastmlp.nn.optimizer import Optimizer


@dataclass(frozen=True)
class Buffers:
    """The arrays of a batch of N rows, of the network's dtype: views of memory that all batch sizes share.

    x : (N, D) input
    targets : (N,) int64 or (N, K), as the loss wants them
    h : (N, H) outputs of each layer; the last are the logits (N, K), which the loss overwrites with their gradient
    delta : (N, H) gradient by the outputs of each hidden layer
    kept : (N, H) what each hidden layer's activation keeps for the way back: its input, or its output, which is
        h unless something of that is dropped
    """

    x: np.ndarray
    targets: np.ndarray
    h: list[np.ndarray]
    delta: list[np.ndarray]
    kept: list[np.ndarray]


class Blas:
    """The engine whose products are numpy's: for float32 and float64, where that is faster.

    parameters, gradient : flat, of which the layers' arrays are views: W1, b1, W2, b2, ...
    """

    expected: Any = None

    def __init__(
        self, layers: list[Dense], parameters: np.ndarray, gradient: np.ndarray, loss: Loss, dropout: Dropout
    ) -> None:
        self._layers, self._loss, self._dropout = layers, loss, dropout
        self._parameters, self._gradient = parameters, gradient
        ends = list(accumulate(size for layer in layers for size in (layer.weight.size, layer.bias.size)))
        starts = [0, *ends]
        # weights and biases take turns, and biases do not decay
        self._parts = [(slice(at, end), i % 2 == 0) for i, (at, end) in enumerate(zip(starts, ends, strict=False))]
        self._memory = self._allocate(0)
        self._views: dict[int, Buffers] = {}

    def _allocate(self, n: int) -> Buffers:
        first, dtype = self._layers[0].weight, self._layers[0].weight.dtype
        units = [layer.bias.size for layer in self._layers]
        h = [np.empty((n, size), dtype) for size in units]
        hidden = list(zip(self._layers[:-1], h, strict=False))
        return Buffers(
            x=np.empty((n, len(first)), dtype),
            targets=np.empty(n, np.int64) if self._loss.of_classes else np.empty((n, units[-1]), dtype),
            h=h,
            delta=[np.empty_like(output) for _, output in hidden],
            kept=[
                np.empty_like(output) if layer.keeps_input or rate > 0 else output
                for (layer, output), rate in zip(hidden, self._dropout.hidden, strict=True)
            ],
        )

    def buffers(self, n: int) -> Buffers:
        """Return the arrays for a batch of n rows; memory is allocated only when n exceeds all before it."""
        if n > len(self._memory.x):
            self._memory = self._allocate(n)
            self._views.clear()
        if n not in self._views:
            full = self._memory
            lists = ([array[:n] for array in arrays] for arrays in (full.h, full.delta, full.kept))
            self._views[n] = Buffers(full.x[:n], full.targets[:n], *lists)
        return self._views[n]

    def _total(self, rows: int, weights: np.ndarray | None) -> float:
        """Return what a batch's loss is divided by."""
        if weights is None or not self._loss.by_weight:
            return rows
        return float(weights.sum(dtype=np.float64)) or rows

    def _penalty(self, optimizer: Optimizer, total: float) -> float:
        decay = optimizer.weight_decay / total if optimizer.decay_per == "batch" else optimizer.weight_decay
        return 0.5 * decay * sum(float(np.vdot(layer.weight, layer.weight)) for layer in self._layers)

    def _forward(self, x: np.ndarray, buffers: Buffers, step: int | None = None) -> np.ndarray:
        """Return the logits (N, K), without the output layer's bias: the loss adds it.

        step : number of a step in which outputs may be dropped
        """
        for i, (layer, h, kept) in enumerate(zip(self._layers[:-1], buffers.h, buffers.kept, strict=False)):
            layer.forward(x, h, kept)
            if kept is not h and not layer.keeps_input:
                np.copyto(kept, h)
            if step is not None:
                self._dropout.drop(h, i + 1, step)
            x = h
        self._layers[-1].product(x, buffers.h[-1])
        return buffers.h[-1]

    def gradients(
        self, x: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, step: int | None = None
    ) -> tuple[float, int]:
        """Forward and backward over one batch; see `Engine`.

        weights : (N,) of x's dtype, or None; step : as in `_forward`
        """
        layers, buffers = self._layers, self.buffers(len(x))
        delta = self._forward(x, buffers, step)
        loss, correct = self._loss.of_batch(
            delta, layers[-1].bias, targets, weights, layers[-1].dbias, self._total(len(x), weights)
        )
        for i in range(len(layers) - 1, 0, -1):
            layers[i].weight_gradient(buffers.h[i - 1], delta)
            layers[i].input_gradient(delta, buffers.delta[i - 1])
            delta = buffers.delta[i - 1]
            if step is not None:
                self._dropout.drop(delta, i, step)
            layers[i - 1].activation_backward(delta, buffers.kept[i - 1])
        layers[0].weight_gradient(x, delta)
        return loss, correct

    def step(
        self, x: np.ndarray, targets: np.ndarray, optimizer: Optimizer, weights: np.ndarray | None = None
    ) -> tuple[float, int]:
        """Take a step on one batch; see `Engine`. weights : (N,) of x's dtype, or None."""
        step = optimizer.memory_of(self._parameters).steps if self._dropout.drops else None
        if step is not None and self._dropout.inputs > 0:
            x = x.copy()
            self._dropout.drop(x, 0, step)
        result = self.gradients(x, targets, weights, step)
        optimizer.step(self._parameters, self._gradient, self._parts, self._total(len(x), weights))
        return result

    def input_gradients(self, examples: Examples) -> tuple[float, int]:
        """Forward and backward over all rows; see `Engine`."""
        inputs, targets, weights = examples.inputs, examples.targets, examples.weights
        x = self.buffers(len(inputs)).x
        inputs.gather(np.arange(len(inputs)), x)
        return self.gradients(x, targets, weights)

    def train(
        self, examples: Examples, order: np.ndarray, batch_size: int, optimizer: Optimizer, loss: float = 0.0
    ) -> Totals:
        """Take a step on each batch; see `Engine`."""
        inputs, targets, weights = examples.inputs, examples.targets, examples.weights
        total, correct, penalty = loss, 0, 0.0
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            buffers = self.buffers(len(index))
            inputs.gather(index, buffers.x)
            np.take(targets, index, axis=0, out=buffers.targets, mode="clip")
            own = None if weights is None else weights[index]
            if optimizer.penalty:
                penalty += len(index) * self._penalty(optimizer, self._total(len(index), own))
            mean, right = self.step(buffers.x, buffers.targets, optimizer, own)
            total += mean * len(index)
            correct += right
            if not math.isfinite(mean):
                return Totals(mean, correct, start + len(index), penalty)
        return Totals(total, correct, len(order), penalty)

    def evaluate(self, examples: Examples, order: np.ndarray, batch_size: int, loss: float = 0.0) -> Totals:
        """Go through the rows; see `Engine`."""
        inputs, targets, weights = examples.inputs, examples.targets, examples.weights
        correct = 0
        for start, logits in self._logits(inputs, order, batch_size):
            index = order[start : start + len(logits)]
            part = None if weights is None else weights[index]
            mean, right = self._loss.of_outputs(
                logits, self._layers[-1].bias, targets[index], part, self._total(len(index), part)
            )
            loss += mean * len(logits)
            correct += right
        return Totals(loss, correct, len(order))

    def few_logits(self, x: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        """Return None: a batch packs nothing; see `Engine`."""
        return None

    def logits(self, inputs: Input, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield logits batch by batch; see `Engine`."""
        return self._logits(inputs, np.arange(len(inputs)), batch_size)

    def _logits(self, inputs: Input, order: np.ndarray, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            buffers = self.buffers(len(index))
            inputs.gather(index, buffers.x)
            yield start, self._forward(buffers.x, buffers)
