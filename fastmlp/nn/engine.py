"""The protocol of an engine, which computes a network's passes: `blas.Blas` and `packed.engine.Packed` follow it."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import Input
from fastmlp.nn.optimizer import Optimizer


class Totals(NamedTuple):
    """Sums over rows: of their losses, of correct answers where the loss knows such, and their number.

    penalty : where an optimiser's `penalty` asks for it, the decay's share of the training loss, likewise a sum
    """

    loss: float
    correct: int
    rows: int
    penalty: float = 0.0


class Engine(Protocol):
    """Forward and backward passes, steps and evaluation of one network, whose flat parameters it is given when made.

    Arguments are checked by the caller: examples are those of `MLP.examples`; x is (N, D) of the network's dtype, with
    targets (N,) or (N, K), as `Examples` has them; order is (m,) int64 in [0, M).

    expected : the settings, as `Optimizer.compiled` has them, of the optimiser with whose steps passes without a step
        share their compiled code: that of the last step, or what is written here before one. No result depends on it.
        None where optimisers are not compiled in
    """

    expected: Any

    def train(
        self, examples: Examples, order: np.ndarray, batch_size: int, optimizer: Optimizer, loss: float = 0.0
    ) -> Totals:
        """Take a step on each batch of the rows `order`; end after one whose loss is not finite, and return that loss.

        loss : the sum of the losses of earlier calls, so that a total has the same bits in one call as in many
        """
        ...

    def step(self, x: np.ndarray, targets: np.ndarray, optimizer: Optimizer) -> tuple[float, int]:
        """Take a step on one batch x (N, D); return its mean loss before it and its correct answers."""
        ...

    def gradients(self, x: np.ndarray, targets: np.ndarray) -> tuple[float, int]:
        """Fill each layer's dweight and dbias for one batch x (N, D); return its mean loss and correct answers."""
        ...

    def input_gradients(self, examples: Examples) -> tuple[float, int]:
        """Fill each layer's dweight and dbias for all rows, as one batch; return as `gradients` does."""
        ...

    def evaluate(self, examples: Examples, order: np.ndarray, batch_size: int, loss: float = 0.0) -> Totals:
        """Return the totals of the rows `order`, their losses added to `loss`; no parameter changes."""
        ...

    def few_logits(self, x: np.ndarray) -> np.ndarray | None:
        """Return the logits (N, K) of an array, with their bias; None where `logits` is as fast, or must look at x."""
        ...

    def logits(self, inputs: Input, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, logits (N, K) without their bias) batch by batch, in memory that the next one reuses."""
        ...
