"""Dropout's settings: how often inputs of a network, and outputs of its hidden layers, are dropped in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import FROM_0_BELOW_1

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Dropout:
    """The rates of dropout, with the seed of what is dropped.

    inputs : how often an input is dropped; hidden : of each hidden layer how often an output is, both in [0, 1)
    seed : of what is dropped, a whole number of 64 bits. Nothing else decides it but the step, the layer, the row's
        number in the batch, and the unit
    """

    inputs: float
    hidden: tuple[float, ...]
    seed: int = 0

    @property
    def drops(self) -> bool:
        """Whether anything is ever dropped."""
        return self.inputs > 0 or any(self.hidden)

    @cached_property
    def records(self) -> list[Any]:
        """The compiled code's record of the inputs' rate, then of each hidden layer's."""
        from fastmlp_kernels._random import dropout_of

        return [dropout_of(rate, self.seed) for rate in (self.inputs, *self.hidden)]

    def drop(self, x: np.ndarray, number: int, step: int) -> None:
        """In place: drop values x (N, H) of a batch, float32 or float64, in a step counted from 0.

        number : 0 for the inputs, and from 1 on for hidden layers
        """
        if (self.inputs, *self.hidden)[number] > 0:
            from fastmlp_kernels._random import drop

            drop(x, x, self.records[number], step, number, 0)


def dropout_of(hidden: float | Sequence[float], inputs: float, layers: int) -> Dropout:
    """Return the rates for so many hidden layers, of which one is given for all, or one each; ConfigError otherwise."""
    FROM_0_BELOW_1.check("input_dropout", inputs)
    if not isinstance(hidden, Sequence):
        FROM_0_BELOW_1.check("dropout", hidden)
        return Dropout(float(inputs), (float(hidden),) * layers)
    if len(hidden) != layers:
        raise ConfigError(
            f"dropout is {list(hidden)!r}, {len(hidden)} for {layers} hidden layers: give one for all, or one a hidden "
            "layer"
        )
    for i, rate in enumerate(hidden, start=1):
        FROM_0_BELOW_1.check(f"dropout of hidden layer {i}", rate)
    return Dropout(float(inputs), tuple(map(float, hidden)))
