"""The network: its passes, its steps, and training, in plain numpy and float64."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp.reference.activations import ACTIVATIONS, KEEP_INPUT, Array, Pair
from fastmlp.reference.dropout import drop_rows, dropout_bits
from fastmlp.reference.losses import LOSSES
from fastmlp.reference.optimizers import OPTIMIZERS, clip_norm


class Network:
    """An MLP over initial weights (D, H) and biases (H,): hidden layers of one activation, or one each; a loss.

    loss : key of LOSSES; settings of it : smoothing or delta; dropout : rates of the inputs and of each hidden layer's
    outputs, in steps alone; seed : of what is dropped
    """

    def __init__(
        self,
        weights: Sequence[Array],
        biases: Sequence[Array],
        activation: str | Sequence[str] = "tanh",
        *,
        loss: str = "cross-entropy",
        dropout: Sequence[float] = (),
        seed: int = 0,
        **settings: float,
    ) -> None:
        self.weights = [np.array(w, dtype=np.float64) for w in weights]
        self.biases = [np.array(b, dtype=np.float64) for b in biases]
        self.states: list[list[Array]] = [[] for _ in (*weights, *biases)]
        self.steps = 0
        hidden = len(self.weights) - 1
        self.activations = [activation] * hidden if isinstance(activation, str) else list(activation)
        self.loss, self.settings, self.dropout, self.seed = LOSSES[loss], settings, list(dropout), seed

    def dropped(self, x: Array, layer: int, training: bool) -> Array:
        """Drop, as in a step, of inputs x (N, D), layer 0, a hidden layer's outputs (N, H), or of their gradients."""
        if not (training and self.dropout and self.dropout[layer]):
            return x
        rows = np.arange(len(x), dtype=np.uint64)
        return drop_rows(x, self.dropout[layer], dropout_bits(self.seed, self.steps, layer, rows, x.shape[1]))

    def forward(self, x: Array, training: bool = False) -> list[Array]:
        """Return x (N, D), what each hidden layer hands on (N, H), and the logits (N, K) before their bias."""
        outputs = [self.dropped(x, 0, training)]
        for i, (w, b, activation) in enumerate(zip(self.weights[:-1], self.biases[:-1], self.activations, strict=True)):
            outputs.append(self.dropped(ACTIVATIONS[activation][0](outputs[-1] @ w, b), i + 1, training))
        return [*outputs, outputs[-1] @ self.weights[-1]]

    def loss_and_gradients(
        self, x: Array, targets: Array, weights: Array | None = None, training: bool = False
    ) -> tuple[float, int, list[Array], list[Array]]:
        """(mean loss, correct, dweights, dbiases) of x (N, D) and its targets, the gradients in the layers' order.

        targets : (N,) labels, or (N, K); weights (N,): factors of the rows' losses; training : whether units drop out
        """
        *outputs, logits = self.forward(x, training)
        loss, correct, delta, dbias = self.loss(logits, self.biases[-1], targets, weights, **self.settings)
        dweights, dbiases = [outputs[-1].T @ delta], [dbias]
        for layer in range(len(self.weights) - 1, 0, -1):
            forward, backward = ACTIVATIONS[self.activations[layer - 1]]
            z, bias = outputs[layer - 1] @ self.weights[layer - 1], self.biases[layer - 1]
            kept = z + bias if self.activations[layer - 1] in KEEP_INPUT else forward(z, bias)
            delta, dbias = backward(self.dropped(delta @ self.weights[layer].T, layer, training), kept)
            dweights.insert(0, outputs[layer - 1].T @ delta)
            dbiases.insert(0, dbias)
        return loss, correct, dweights, dbiases

    def train_step(
        self,
        x: Array,
        targets: Array,
        *,
        weights: Array | None = None,
        optimizer: str = "sgd",
        weight_decay: float = 0.0,
        clip: float = math.inf,
        **settings: float,
    ) -> tuple[float, int]:
        """Take a step on x (N, D) and its targets; (mean loss, correct) before it. Biases are not decayed.

        weights (N,): factors of the rows' losses; optimizer : key of OPTIMIZERS; settings : of it; clip : the largest
        norm of the gradient
        """
        loss, correct, dweights, dbiases = self.loss_and_gradients(x, targets, weights, training=True)
        self.steps += 1
        gradients = clip_norm([*dweights, *dbiases], clip) if clip < math.inf else [*dweights, *dbiases]
        step, adapts = OPTIMIZERS[optimizer], optimizer.startswith("adam")
        for i, (g, state) in enumerate(zip(gradients, self.states, strict=True)):
            layers, at = (self.weights, i) if i < len(dweights) else (self.biases, i - len(dweights))
            decay = weight_decay if layers is self.weights else 0.0
            slots = state or [np.zeros_like(g)] * (2 if adapts else 1)
            number = {"step": self.steps} if adapts else {}
            layers[at], *state[:] = step(layers[at], *slots, g, weight_decay=decay, **number, **settings)
        return loss, correct

    def evaluate(self, x: Array, targets: Array) -> tuple[float, float]:
        """(mean loss, correct rows as a fraction) on x (N, D) and targets (N,) or (N, K)."""
        loss, correct, _, _ = self.loss(self.forward(x)[-1], self.biases[-1], targets, **self.settings)
        return loss, correct / len(targets)


def train_epoch(network: Network, x: Array, labels: Array, order: Array, batch_size: int, **settings: Any) -> Array:
    """Train on the rows of x (M, D) and labels (M,) in this order (M,); (mean loss, accuracy), each before its step."""
    totals = np.zeros(2)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        loss, correct = network.train_step(x[batch], labels[batch], **settings)
        totals += (loss * len(batch), correct)
    return totals / len(order)


def rising_epochs(losses: Sequence[float]) -> int:
    """How many of the latest epochs, one after the other, had a higher loss than the epoch before them."""
    count = 0
    while count + 1 < len(losses) and losses[-1 - count] > losses[-2 - count]:
        count += 1
    return count


def fit(
    network: Network,
    train: Pair,
    validation: Pair,
    rng: np.random.Generator,
    epochs: int = 100,
    batch_size: int = 1024,
    patience: int = 5,
    **settings: Any,
) -> dict[str, list[float]]:
    """Train until the validation loss rose `patience` epochs in a row; keep the best epoch's weights; the history.

    train, validation : (x (M, D), labels (M,)); settings : those of `train_step`
    """
    history: dict[str, list[float]] = {"train_loss": [], "train_accuracy": [], "val_loss": [], "val_accuracy": []}
    best_loss, best = np.inf, (network.weights, network.biases)
    for _ in range(epochs):
        order = rng.permutation(len(train[0]))
        figures = (*train_epoch(network, *train, order, batch_size, **settings), *network.evaluate(*validation))
        for values, figure in zip(history.values(), figures, strict=True):
            values.append(float(figure))
        if history["val_loss"][-1] < best_loss:  # each step makes new arrays, so copies of the lists keep the weights
            best_loss, best = history["val_loss"][-1], (list(network.weights), list(network.biases))
        if rising_epochs(history["val_loss"]) >= patience:
            break
    network.weights, network.biases = best
    return history
