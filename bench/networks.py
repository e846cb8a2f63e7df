"""What is trained in the benchmarks: networks, batches, made-up data, and what every rival must offer.

All rivals start from the same weights and take the same batches of the same rows. A step begins at row numbers of a
shuffled order: it gathers these rows and trains on them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

PIXELS = 3072
LR, MOMENTUM, WEIGHT_DECAY = 0.005, 0.9, 0.01


@dataclass(frozen=True)
class Work:
    """A network, tanh in its hidden layers, and a batch size. 3072 inputs are uint8 images, others float32 rows."""

    layers: tuple[int, ...]
    batch: int

    @property
    def flop_per_row(self) -> int:
        """FLOP of forward and weight gradient in each layer, and of the gradient handed down in all but the first."""
        products = [d * h for d, h in pairwise(self.layers)]
        return 2 * (3 * sum(products) - products[0])

    @property
    def name(self) -> str:
        """The network as in 3072-128-20."""
        return "-".join(map(str, self.layers))

    def as_json(self) -> dict[str, Any]:
        """Return what `Work(**...)` takes again."""
        return asdict(self)


@cache
def _images(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return uint8 images, their means and 1/std."""
    pixels = np.random.default_rng(7).integers(0, 256, (count, PIXELS), dtype=np.uint8)
    mean, inv_std = np.empty((2, count, 1), np.float32)
    for at in range(0, count, 256):  # in parts that stay in the cache
        x = pixels[at : at + 256].astype(np.float32)
        mean[at : at + 256, 0] = x.mean(axis=1)
        x -= mean[at : at + 256]
        inv_std[at : at + 256, 0] = 1 / np.sqrt(np.vecdot(x, x) / PIXELS)
    return pixels, mean, inv_std


class Data:
    """Random images with the shape of CIFAR-100's, or float32 rows for a small network; labels, and first weights."""

    def __init__(self, layers: tuple[int, ...], count: int) -> None:
        rng = np.random.default_rng(8)
        self.labels = rng.integers(0, layers[-1], count)
        self.weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in pairwise(layers)]
        self.images = _images(count) if layers[0] == PIXELS else None
        self.rows = rng.standard_normal((0 if self.images else count, layers[0]), dtype=np.float32)

    def normalized(self, dtype: type, index: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return these rows, images less their mean and over their standard deviation."""
        if self.images is None:
            return self.rows[index].astype(dtype)
        pixels, mean, inv_std = (part[index] for part in self.images)
        x = np.subtract(pixels, mean, dtype=dtype)
        return np.multiply(x, inv_std, out=x)


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the row numbers of each batch, the last one smaller."""
    for start in range(0, len(order), size):
        yield order[start : start + size]


class Trainer(ABC):
    """A network ready to train."""

    precision = "float32"
    steps_to_check = 2  # whose losses must be the reference's: that of the second depends on the first one's update

    @abstractmethod
    def __init__(self, data: Data, work: Work, threads: int) -> None:
        """Take over the data's first weights; the environment has set the threads already where it can."""

    @abstractmethod
    def train(self, order: np.ndarray) -> float:
        """Take a step on each batch of the rows `order`; return the mean loss over the rows, each before its step."""


class StepByStep(Trainer):
    """A library that is called once a batch."""

    batch: int

    @abstractmethod
    def step(self, index: np.ndarray) -> float:
        """Train on the rows `index`; return the mean loss before the step."""

    def train(self, order: np.ndarray) -> float:
        return sum(self.step(index) * len(index) for index in batches(order, self.batch)) / len(order)
