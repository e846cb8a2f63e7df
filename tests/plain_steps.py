"""Steps of an optimiser by its plain form in `fastmlp.reference`."""

from inspect import signature
from typing import Any

import numpy as np

from fastmlp import MLP, reference
from fastmlp.nn.optimizer import Optimizer


def plain_step(optimizer: Optimizer, number: int, w: np.ndarray, slots: Any, g: np.ndarray, **others: float) -> Any:
    """Return (w, *slots) after a step with the optimiser's settings; others : settings that stand in for its own."""
    form = getattr(reference, optimizer.PLAIN)
    wanted = signature(form).parameters
    settings = {name: getattr(optimizer, name) for name in wanted if hasattr(optimizer, name)} | others
    settings |= {"step": number} if "step" in wanted else {}
    return form(w, *slots, g, **settings)


class PlainTraining:
    """A copy of a network in the reference, trained by an optimiser's plain form."""

    def __init__(self, model: MLP, optimizer: Optimizer) -> None:
        self.network = reference.Network(
            [layer.weight for layer in model.layers], [layer.bias for layer in model.layers], model.layers[0].activation
        )
        self.optimizer, self.steps = optimizer, 0
        slots = len(optimizer.state_of(model.parameters))
        self.arrays = [array for pair in zip(self.network.weights, self.network.biases, strict=True) for array in pair]
        self.slots = [(np.zeros_like(array),) * slots for array in self.arrays]

    def step(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Take a step on a batch."""
        _, _, *gradients = self.network.loss_and_gradients(x.astype(np.float64), labels)
        own = [gradient for pair in zip(*gradients, strict=True) for gradient in pair]
        if self.optimizer.clip_norm:
            own = reference.clip_norm(own, self.optimizer.clip_norm)
        self.steps += 1
        decay = self.optimizer.weight_decay / (len(x) if self.optimizer.decay_per == "batch" else 1)
        for i, g in enumerate(own):
            others = {"weight_decay": 0.0 if i % 2 else decay}
            self.arrays[i], *self.slots[i] = plain_step(
                self.optimizer, self.steps, self.arrays[i], self.slots[i], g, **others
            )
        self.network.weights, self.network.biases = self.arrays[::2], self.arrays[1::2]

    @property
    def parameters(self) -> np.ndarray:
        """W1, b1, W2, b2, ... in one flat array."""
        return np.concatenate([array.ravel() for array in self.arrays])
