"""The protocol of an engine, which computes a network's passes: `blas.Blas` and `packed.engine.Packed` follow it."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from fastmlp.nn.inputs import Input
from fastmlp.nn.optimizer import Optimizer


class Totals(NamedTuple):
    """Sums over rows: of their losses in nats, of correct answers, and their number."""

    loss: float
    correct: int
    rows: int


class Engine(Protocol):
    """Forward and backward passes, steps and evaluation of one network, whose flat parameters it is given when made.

    Arguments are checked by the caller: inputs have M rows of D values; x is (N, D) of the network's dtype; labels are
    (M,) or (N,) int64 in [0, K); order is (m,) int64 in [0, M); weights are (M,) of the network's dtype and of mean 1,
    or None where all rows count the same.
    """

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
        """Take a step on each batch of the rows `order`; end after one whose loss is not finite, and return that loss.

        loss : the sum of the losses of earlier calls, so that a total has the same bits in one call as in many
        """
        ...

    def step(self, x: np.ndarray, labels: np.ndarray, optimizer: Optimizer) -> tuple[float, int]:
        """Take a step on one batch x (N, D); return its mean loss before it and its correct answers."""
        ...

    def gradients(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        """Fill each layer's dweight and dbias for one batch x (N, D); return its mean loss and correct answers."""
        ...

    def input_gradients(
        self, inputs: Input, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[float, int]:
        """Fill each layer's dweight and dbias for all rows of the inputs, as one batch; return as `gradients` does."""
        ...

    def evaluate(
        self,
        inputs: Input,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        loss: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> Totals:
        """Return the totals of the rows `order`, their losses added to `loss`; no parameter changes."""
        ...

    def logits(self, inputs: Input, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, logits (N, K) without their bias) batch by batch, in memory that the next one reuses."""
        ...
