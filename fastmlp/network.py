"""The multi-layer perceptron: a stack of Dense layers under softmax cross-entropy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from fastmlp.activations import activation_named
from fastmlp.errors import ConfigError, DataError
from fastmlp.inputs import Input, as_input, checked_labels
from fastmlp.layers import Dense
from fastmlp.optimizer import SGD
from fastmlp_kernels import jit

if TYPE_CHECKING:
    from fastmlp.fit import FitResult, History


@dataclass(frozen=True)
class Buffers:
    """The arrays of one batch of N rows: views of memory that all batch sizes share.

    x (N, D) input; labels (N,) int64; h: the output of each layer, (N, H), the last one the logits (N, K), which the
    loss turns into their gradient; delta: the gradient by the output of each hidden layer, (N, H)
    """

    x: np.ndarray
    labels: np.ndarray
    h: list[np.ndarray]
    delta: list[np.ndarray]


class MLP:
    """A multi-layer perceptron with softmax output.

    layers : sizes from input to output, such as [3072, 128, 20]: two weight layers
    activation : of the hidden layers, a key of `fastmlp.activations.ACTIVATIONS`
    init : "auto" (He for ReLU, LeCun otherwise) or a key of `fastmlp.initializers.INITIALIZERS`
    dtype : float32 or float64; of parameters, activations and gradients alike
    rng : generator or seed for the initial weights

    The trained parameters are in `.layers[i].weight` (D, H) and `.bias` (H,). Raises ConfigError for settings that do
    not fit. Not safe for use from two threads at once: calls share one set of buffers.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activation: str = "tanh",
        *,
        init: str = "auto",
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | int = 0,
    ) -> None:
        sizes = tuple(layers) if np.iterable(layers) else ()
        if len(sizes) < 2 or not all(isinstance(s, int | np.integer) and s > 0 for s in sizes):
            raise ConfigError(f"layers are {layers!r}, expected two or more positive sizes such as [3072, 128, 20]")
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ConfigError(f"dtype is {self.dtype}, allowed: float32, float64")
        activation_named(activation)  # also where no hidden layer will look it up
        rng = np.random.default_rng(rng)
        hidden = len(sizes) - 2
        self.layers = [
            Dense(d, h, activation if i < hidden else "identity", rng=rng, init=init, dtype=self.dtype)
            for i, (d, h) in enumerate(pairwise(sizes))
        ]
        self.sizes = sizes
        self._memory = self._allocate(0)
        self._views: dict[int, Buffers] = {}

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return sum(layer.weight.size + layer.bias.size for layer in self.layers)

    def _allocate(self, n: int) -> Buffers:
        return Buffers(
            x=np.empty((n, self.sizes[0]), self.dtype),
            labels=np.empty(n, np.int64),
            h=[np.empty((n, size), self.dtype) for size in self.sizes[1:]],
            delta=[np.empty((n, size), self.dtype) for size in self.sizes[1:-1]],
        )

    def buffers(self, n: int) -> Buffers:
        """Return the arrays for a batch of n rows; memory is allocated only when n exceeds all before it."""
        if n > len(self._memory.x):
            self._memory = self._allocate(n)
            self._views.clear()
        if n not in self._views:
            full = self._memory
            self._views[n] = Buffers(full.x[:n], full.labels[:n], [h[:n] for h in full.h], [d[:n] for d in full.delta])
        return self._views[n]

    def _forward(self, x: np.ndarray, buffers: Buffers) -> np.ndarray:
        """Return the logits (N, K), without the output layer's bias: the loss adds it."""
        for layer, h in zip(self.layers[:-1], buffers.h, strict=False):
            layer.forward(x, h)
            x = h
        self.layers[-1].product(x, buffers.h[-1])
        return buffers.h[-1]

    def _loss_and_gradients(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        buffers = self.buffers(len(x))
        delta = self._forward(x, buffers)
        loss, correct = jit.softmax_cross_entropy(delta, self.layers[-1].bias, labels, self.layers[-1].dbias)
        for i in range(len(self.layers) - 1, 0, -1):
            self.layers[i].weight_gradient(buffers.h[i - 1], delta)
            self.layers[i].input_gradient(delta, buffers.delta[i - 1])
            delta = buffers.delta[i - 1]
            self.layers[i - 1].activation_backward(delta, buffers.h[i - 1])
        self.layers[0].weight_gradient(x, delta)
        return loss, correct

    def _train_step(self, x: np.ndarray, labels: np.ndarray, optimizer: SGD) -> tuple[float, int]:
        result = self._loss_and_gradients(x, labels)
        for layer in reversed(self.layers):
            optimizer.step(layer)
        return result

    def _checked_batch(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.sizes[0] or len(x) == 0:
            raise DataError(f"batch has shape {x.shape}, expected (N, {self.sizes[0]}) with N above 0")
        if x.dtype != self.dtype:
            raise DataError(f"batch has dtype {x.dtype}, this network computes in {self.dtype}: use .astype")
        return np.ascontiguousarray(x), checked_labels(labels, len(x), self.sizes[-1])

    def loss_and_gradients(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        """Forward and backward over one batch; leaves the gradients in each layer's `dweight` and `dbias`.

        x : (N, D) of the network's dtype; labels : (N,) integers in [0, K)
        Returns (mean cross-entropy in nats, number of correct answers). Raises DataError where they do not fit.
        """
        return self._loss_and_gradients(*self._checked_batch(x, labels))

    def train_step(self, x: np.ndarray, labels: np.ndarray, optimizer: SGD) -> tuple[float, int]:
        """One step of the optimiser on one batch; arguments and result as for `loss_and_gradients`.

        The loss is that before the step.
        """
        return self._train_step(*self._checked_batch(x, labels), optimizer)

    def fit(
        self,
        x: "Input | np.ndarray",
        labels: np.ndarray,
        *,
        validation: "tuple[Input | np.ndarray, np.ndarray] | None" = None,
        optimizer: SGD | None = None,
        epochs: int = 100,
        batch_size: int = 1024,
        patience: int = 5,
        rng: np.random.Generator | int = 0,
        on_epoch: "Callable[[int, History], None] | None" = None,
    ) -> "FitResult":
        """Train with mini-batches; see `fastmlp.fit.fit` for the arguments. The optimiser is `SGD()` by default."""
        from fastmlp.fit import fit  # here, as fit knows the network

        optimizer = SGD() if optimizer is None else optimizer
        options = {"epochs": epochs, "batch_size": batch_size, "patience": patience, "on_epoch": on_epoch}
        return fit(self, x, labels, validation=validation, optimizer=optimizer, rng=rng, **options)

    def _batches(self, inputs: Input, batch_size: int):
        if inputs.features != self.sizes[0]:
            raise DataError(f"inputs have {inputs.features} features, this network takes {self.sizes[0]}")
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size!r}, allowed is a whole number from 1 on")
        for start in range(0, len(inputs), batch_size):
            index = np.arange(start, min(start + batch_size, len(inputs)))
            buffers = self.buffers(len(index))
            inputs.gather(index, buffers.x)
            yield start, self._forward(buffers.x, buffers)

    def evaluate(self, x: Input | np.ndarray, labels: np.ndarray, batch_size: int = 1024) -> tuple[float, float]:
        """Mean cross-entropy in nats and accuracy as a fraction, over all rows of x.

        x : (M, D) array or an `ImageInput`; labels : (M,) integers in [0, K)
        """
        inputs = as_input(x)
        labels = checked_labels(labels, len(inputs), self.sizes[-1])
        loss, correct = 0.0, 0
        for start, logits in self._batches(inputs, batch_size):
            part = labels[start : start + len(logits)]
            mean, right = jit.softmax_cross_entropy_eval(logits, self.layers[-1].bias, part)
            loss += mean * len(logits)
            correct += right
        return loss / len(inputs), correct / len(inputs)

    def predict_proba(self, x: Input | np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """Probability of each class, (M, K), for x an (M, D) array or an `ImageInput`."""
        inputs = as_input(x)
        out = np.empty((len(inputs), self.sizes[-1]), self.dtype)
        for start, logits in self._batches(inputs, batch_size):
            jit.softmax(logits, self.layers[-1].bias)
            out[start : start + len(logits)] = logits
        return out

    def predict(self, x: Input | np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """Most probable class of each row, (M,) int64."""
        return self.predict_proba(x, batch_size).argmax(axis=1)
