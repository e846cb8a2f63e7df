"""A network whose losses are given, and a clock, for the tests of the training loop."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastmlp import MLP
from fastmlp.nn.blas import Blas
from fastmlp.nn.optimizer import Optimizer


class ScriptedEngine(Blas):
    """Computes nothing: hands each batch of a call to the network that it belongs to."""

    def __init__(self, model: "Scripted") -> None:
        super().__init__(model.layers, model.parameters, model.gradient, model.loss, model.dropout)
        self._model = model

    def step(self, x: np.ndarray, targets: np.ndarray, optimizer: Optimizer, weights: Any = None) -> tuple[float, int]:  # noqa: ARG002
        return self._model.scripted_step(x, targets)


class Scripted(MLP):
    """A network with given losses, whose weights count the batches trained."""

    def __init__(self, val_losses: Iterable[float], train_losses: Iterable[float] = ()) -> None:
        super().__init__([4, 3], matmul="blas")
        self._engine = ScriptedEngine(self)
        self.val_losses, self.train_losses = iter(val_losses), iter(train_losses)
        self.batches: list[np.ndarray] = []
        self.layers[0].weight[...] = 0

    def scripted_step(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:  # noqa: ARG002
        self.batches.append(x.copy())
        for array in (self.layers[0].weight, self.layers[0].bias):
            array += 1
        return next(self.train_losses, 1.0), 1

    def evaluate(self, x: Any, targets: np.ndarray, batch_size: int = 1024, **_: Any) -> tuple[float, float]:  # noqa: ARG002
        return next(self.val_losses), 0.25


class Clock:
    """Stands for the module `time`: it goes on by so much a batch of a scripted network, and a call."""

    def __init__(self, a_batch: float, a_call: float = 0.0) -> None:
        self.now, self.a_batch, self.a_call = 0.0, a_batch, a_call

    def perf_counter(self) -> float:
        self.now += self.a_call / 2  # looked at twice a call
        return self.now
