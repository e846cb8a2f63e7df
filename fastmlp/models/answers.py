"""What a model says of rows, in words: a class with its probability, labels that hold, or numbers; for CSV and JSON.

Sizes: `N` rows, `K` classes, labels or numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import ConfigError
from fastmlp.models.model import Model

PREDICTION, PROBABILITY = "prediction", "probability"
BETWEEN = "; "  # of labels in a cell


@dataclass(frozen=True)
class Answers:
    """The form of answers.

    kind : "classes", "labels" or "numbers"; names : of these, K; top : how many classes are told, the most probable
    ones; every : whether the probability of each class or label is told besides
    """

    kind: str
    names: tuple[str, ...]
    top: int = 1
    every: bool = False

    @classmethod
    def of(cls, model: Model, top: int | None = None, *, every: bool = False) -> "Answers":
        """Return the form of a model's answers; ConfigError for what they have not."""
        kind, names = model.kind, model.names()
        if top is not None and kind != "classes":
            raise ConfigError(f"--top chooses among classes, and this model tells {kind}; leave it out.")
        if every and kind == "numbers":
            raise ConfigError("--probabilities are of classes or labels, and this model tells numbers; leave it out.")
        return cls(kind, names, min(top or 1, len(names)), every)

    @property
    def columns(self) -> list[str]:
        """The names of the columns of `cells`."""
        if self.kind == "numbers":
            return [PREDICTION] if len(self.names) == 1 else [f"{PREDICTION}_{name}" for name in self.names]
        pair = [PREDICTION, PROBABILITY]
        told = pair if self.top == 1 else [f"{one}_{i}" for i in range(1, self.top + 1) for one in pair]
        return told + [f"{PROBABILITY}_{name}" for name in self.names] * self.every

    def cells(self, outputs: NDArray[np.floating]) -> list[list[str]]:
        """Return a row of texts for each row of outputs (N, K), float32 or float64, as of `outputs_of`."""
        if self.kind == "numbers":
            return [[f"{value:.9g}" for value in row] for row in outputs.tolist()]
        told = self._told(outputs)
        if self.kind == "labels":
            between = BETWEEN.join
            rows = [
                [between(self.names[k] for k in some), between(f"{row[k]:.6g}" for k in some)]
                for row, some in zip(outputs.tolist(), told, strict=True)
            ]
        else:
            chosen = np.take_along_axis(outputs, np.reshape(told, (-1, self.top)).astype(np.int64), axis=1).tolist()
            rows = [
                [cell for k, p in zip(some, ps, strict=True) for cell in (self.names[k], f"{p:.6g}")]
                for some, ps in zip(told, chosen, strict=True)
            ]
        return (
            [[*row, *(f"{p:.6g}" for p in ps)] for row, ps in zip(rows, outputs, strict=True)] if self.every else rows
        )

    def objects(self, outputs: NDArray[np.floating]) -> list[dict[str, Any]]:
        """Return an object for JSON for each row of outputs (N, K), float32 or float64, as of `outputs_of`."""
        if self.kind == "numbers":
            values = [dict(zip(self.names, (float(f"{v:.9g}") for v in row), strict=True)) for row in outputs.tolist()]
            return [{PREDICTION: next(iter(one.values())) if len(one) == 1 else one} for one in values]
        made: list[dict[str, Any]] = []
        for row, told in zip(outputs.tolist(), self._told(outputs), strict=True):
            rounded = [float(f"{p:.6g}") for p in row]
            if self.kind == "labels":
                made.append({PREDICTION: [self.names[k] for k in told], PROBABILITY: [rounded[k] for k in told]})
            else:
                made.append({PREDICTION: self.names[told[0]], PROBABILITY: rounded[told[0]]})
                if self.top > 1:
                    made[-1]["top"] = [{"class": self.names[k], PROBABILITY: rounded[k]} for k in told]
            if self.every:
                made[-1]["probabilities"] = dict(zip(self.names, rounded, strict=True))
        return made

    def _told(self, outputs: NDArray[np.floating]) -> Sequence[Sequence[int]]:
        """Return for each row the classes or labels that are told, the most probable first."""
        if self.kind == "labels":
            return [[k for k, p in enumerate(row) if p > 0.5] for row in outputs.tolist()]
        if self.top == 1:
            return outputs.argmax(axis=1)[:, None].tolist()
        # Stable, so that of equal ones the first class comes first.
        return np.argsort(-outputs, axis=1, kind="stable")[:, : self.top].tolist()


class Answering:
    """A model with its network, made once for many blocks of rows."""

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self.model, self._network = model, model.network(threads=threads)

    def __call__(self, x: np.ndarray) -> NDArray[np.floating]:
        """Return probabilities of classes or labels, or numbers in their own units, (N, K), for rows x (N, D).

        x : uint8 or real numbers, as the model was trained on. float32 or float64
        """
        model = self.model
        outputs = self._network.outputs(model.preparation.inputs(x, self._network.dtype))
        if model.kind == "numbers":
            return model.preparation.restored(outputs)
        return np.hstack((1 - outputs, outputs)) if len(model.class_names) > model.layers[-1] else outputs
