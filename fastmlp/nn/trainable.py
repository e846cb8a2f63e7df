"""The protocol of networks that `fastmlp.nn.fit` can train."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fastmlp.nn.examples import Examples
from fastmlp.nn.history import History
from fastmlp.nn.inputs import Input
from fastmlp.nn.optimizer import Optimizer


class Trainable(Protocol):
    """A network with flat parameters, which learns from batches of examples. `fastmlp.MLP` is one.

    sizes : units from input to output, D first and K last; dtype : that the network computes in
    parameters : (P,) of that dtype, which may be written to between calls; history : of the last training, for users
    """

    sizes: tuple[int, ...]
    dtype: np.dtype
    parameters: np.ndarray
    history: History | None

    def examples(
        self, x: Input | np.ndarray, targets: np.ndarray, sample_weight: npt.ArrayLike | None = None
    ) -> Examples:
        """Return rows x (M, D), targets (M,) or (M, K) and sample_weight (M,), checked; see `MLP.examples`.

        Raises DataError where they do not fit the network.
        """
        ...

    def train_on(
        self,
        examples: Examples,
        order: np.ndarray,
        batch_size: int,
        optimizer: Optimizer,
        on_batch: Callable[[int], None] | None = None,
    ) -> tuple[float, float]:
        """Take a step on each batch of the rows `order` (m,) int64; return mean loss and score before the steps.

        A batch whose loss is not finite is the last one. on_batch(rows done) is called after some batches; what it
        raises ends the call.
        """
        ...

    def evaluate_on(self, examples: Examples, order: np.ndarray, batch_size: int) -> tuple[float, float]:
        """Return mean loss and score of the rows `order` (m,) int64."""
        ...

    def evaluate(
        self,
        x: Input | np.ndarray,
        targets: np.ndarray,
        batch_size: int = ...,
        *,
        sample_weight: npt.ArrayLike | None = None,
    ) -> tuple[float, float]:
        """Return mean loss and score of rows x (M, D), with targets and weights; see `MLP.evaluate`."""
        ...
