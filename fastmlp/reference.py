"""The same network in plain numpy and float64, written to be read.

Nothing here is tuned: every line is the formula it stands for, each result is a new array, matrix products are numpy's
own. Tests compare the fast path with it and benchmarks are timed against it; the fast path never imports it. First one
function for each kernel, then the network. Weights are (D, H), biases (H,), activations (N, H), logits (N, K); all are
float64, but for labels and numbers of rows, which are int64, and images, which are uint8.
"""

import math
from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Pair = tuple[np.ndarray, np.ndarray]


def bias_tanh(z: Array, bias: Array) -> Array:
    """tanh(z + bias), for z (N, H) and bias (H,)."""
    return np.tanh(z + bias)


def bias_sigmoid(z: Array, bias: Array | float) -> Array:
    """1 / (1 + exp(-(z + bias))) for z (N, H) and bias (H,), in the form whose exponential cannot overflow."""
    x = z + bias
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def bias_relu(z: Array, bias: Array) -> Array:
    """max(z + bias, 0), for z (N, H) and bias (H,)."""
    return np.maximum(z + bias, 0)


def bias_identity(z: Array, bias: Array) -> Array:
    """z + bias, for z (N, H) and bias (H,)."""
    return z + bias


def tanh_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_tanh`."""
    dz = delta * (1 - h * h)
    return dz, dz.sum(axis=0)


def sigmoid_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_sigmoid`."""
    dz = delta * h * (1 - h)
    return dz, dz.sum(axis=0)


def relu_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_relu`; 0 at the kink."""
    dz = delta * (h > 0)
    return dz, dz.sum(axis=0)


def identity_backward(delta: Array, h: Array) -> Pair:  # noqa: ARG001 - the same call for every activation
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_identity`."""
    return delta, delta.sum(axis=0)


def bias_leaky_relu(z: Array, bias: Array) -> Array:
    """z + bias where that is positive, else a hundredth of it, for z (N, H) and bias (H,)."""
    x = z + bias
    return np.where(x > 0, x, 0.01 * x)


def bias_elu(z: Array, bias: Array) -> Array:
    """z + bias where that is positive, else exp(z + bias) - 1, for z (N, H) and bias (H,)."""
    x = z + bias
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def bias_softplus(z: Array, bias: Array) -> Array:
    """log(1 + exp(z + bias)) for z (N, H) and bias (H,), in the form whose exponential cannot overflow."""
    x = z + bias
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _limited(x: Array) -> Array:
    """x, or -1000 below that, where exp(x) is 0: minus infinity times it would be NaN."""
    return np.maximum(x, -1000)


def bias_silu(z: Array, bias: Array) -> Array:
    """x times its sigmoid, for x = z + bias, z (N, H) and bias (H,)."""
    x = z + bias
    return _limited(x) * bias_sigmoid(x, np.zeros(()))


def normal_distribution(x: Array) -> Array:
    """Chance that a standard normal number is below x, of any shape."""
    return np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2)) / 2


def bias_gelu(z: Array, bias: Array) -> Array:
    """x times the chance that a standard normal number is below it, for x = z + bias, z (N, H) and bias (H,)."""
    x = z + bias
    return _limited(x) * normal_distribution(x)


def leaky_relu_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_leaky_relu`."""
    dz = delta * np.where(h > 0, 1, 0.01)
    return dz, dz.sum(axis=0)


def elu_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_elu`."""
    dz = delta * np.where(h > 0, 1, h + 1)
    return dz, dz.sum(axis=0)


def softplus_backward(delta: Array, h: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output h (N, H) of `bias_softplus`."""
    dz = delta * -np.expm1(-h)
    return dz, dz.sum(axis=0)


def silu_backward(delta: Array, x: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output of `bias_silu`, x (N, H) being z + bias."""
    x = np.clip(x, -1000, 1000)
    s = bias_sigmoid(x, np.zeros(()))
    dz = delta * (s + x * s * bias_sigmoid(-x, np.zeros(())))
    return dz, dz.sum(axis=0)


def gelu_backward(delta: Array, x: Array) -> Pair:
    """(dz (N, H), dbias (H,)) from the gradient delta (N, H) by the output of `bias_gelu`, x (N, H) being z + bias."""
    x = np.clip(x, -1000, 1000)
    dz = delta * (normal_distribution(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    return dz, dz.sum(axis=0)


ACTIVATIONS = {
    "tanh": (bias_tanh, tanh_backward),
    "sigmoid": (bias_sigmoid, sigmoid_backward),
    "relu": (bias_relu, relu_backward),
    "identity": (bias_identity, identity_backward),
    "leaky_relu": (bias_leaky_relu, leaky_relu_backward),
    "elu": (bias_elu, elu_backward),
    "softplus": (bias_softplus, softplus_backward),
    "silu": (bias_silu, silu_backward),
    "gelu": (bias_gelu, gelu_backward),
}


# Those whose backward is of (delta, z + bias), as their slope is no function of the output.
KEEP_INPUT = {"silu", "gelu"}


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) for x (..., K), along the last axis; the row's largest is subtracted first, and cancels."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logsumexp(x: Array) -> Array:
    """log(sum(exp(x))) for x (..., K), along the last axis: log1p of the others' sum beside the largest, which is 1."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    np.put_along_axis(e, x.argmax(axis=-1)[..., None], 0, axis=-1)
    return x.max(axis=-1) + np.log1p(e.sum(axis=-1))


def log_softmax(x: Array) -> Array:
    """x - logsumexp(x) for x (..., K), along the last axis; the row's largest goes first, so that nothing cancels."""
    z = x - x.max(axis=-1, keepdims=True)
    return z - logsumexp(z)[..., None]


def bias_softmax(logits: Array, bias: Array) -> Array:
    """softmax(logits + bias) for logits (N, K) and bias (K,): the probability of each class."""
    return softmax(logits + bias)


def accurate_sum(x: Array, axis: int | None = None) -> Array | float:
    """Exactly rounded sum of all elements, or of each row of x (N, K) for axis -1."""
    return math.fsum(x.ravel()) if axis is None else np.array([math.fsum(row) for row in x])


def accurate_mean(x: Array, axis: int | None = None) -> Array | float:
    """Mean of all elements, or of each row of x (N, K) for axis -1."""
    return accurate_sum(x, axis) / (x.size if axis is None else x.shape[-1])


Result = tuple[float, int, Array, Array]


def softmax_cross_entropy(
    logits: Array, bias: Array, labels: Array, weights: Array | None = None, smoothing: float = 0.0
) -> Result:
    """(mean loss, correct, dlogits (N, K), dbias (K,)) of softmax(logits + bias) against labels (N,) of 0..K-1.

    weights (N,): factors of the rows' losses in the mean, None for ones. smoothing: share of a row's target that is
    spread over all classes.
    """
    rows, classes = np.arange(len(labels)), logits.shape[1]
    weights = np.ones(len(labels)) if weights is None else weights
    z = logits + bias
    log_p = log_softmax(z)
    losses = (1 - smoothing) * -log_p[rows, labels]
    if smoothing:
        losses = losses + smoothing * -log_p.mean(axis=1)
    correct = np.sum(z.argmax(axis=1) == labels)
    p = softmax(z)
    sharp = p.copy()
    sharp[rows, labels] = 0
    sharp[rows, labels] = -sharp.sum(axis=1)  # p - 1, without what subtracting from 1 rounds off
    dlogits = ((1 - smoothing) * sharp + smoothing * (p - 1 / classes)) * weights[:, None] / len(labels)
    return float(np.mean(weights * losses)), int(correct), dlogits, dlogits.sum(axis=0)


def _mean_over_rows(losses: Array, slopes: Array, correct: int, weights: Array | None) -> Result:
    """Of each output's loss (N, K) and its slope: (the sum over outputs' mean over rows, correct, dz, dbias)."""
    weights = np.ones(len(losses)) if weights is None else weights
    dz = slopes * weights[:, None] / len(losses)
    return float(np.mean(weights * losses.sum(axis=1))), correct, dz, dz.sum(axis=0)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), element by element."""
    return np.logaddexp(0, x)


def logistic_loss(
    z: Array, bias: Array, targets: Array, weights: Array | None = None, smoothing: float = 0.0
) -> Result:
    """(mean loss, correct, dz (N, K), dbias (K,)) of sigmoid(z + bias) against targets (N, K) in [0, 1].

    A row is correct where each of its outputs is on the side of its target. smoothing: share of a target that is spread
    over both answers.
    """
    x, t = z + bias, targets * (1 - smoothing) + smoothing / 2
    losses = t * softplus(-x) + (1 - t) * softplus(x)
    slopes = (1 - t) * bias_sigmoid(x, 0) - t * bias_sigmoid(-x, 0)
    correct = np.all((x > 0) == (targets > 0.5), axis=1).sum()
    return _mean_over_rows(losses, slopes, int(correct), weights)


def squared_error(z: Array, bias: Array, targets: Array, weights: Array | None = None) -> Result:
    """(mean loss, 0, dz (N, K), dbias (K,)) of (z + bias - targets)^2 / 2, for targets (N, K)."""
    d = z + bias - targets
    return _mean_over_rows(d * d / 2, d, 0, weights)


def poisson_loss(z: Array, bias: Array, targets: Array, weights: Array | None = None) -> Result:
    """(mean loss, 0, dz (N, K), dbias (K,)) of half the Poisson deviance of exp(z + bias) from targets (N, K) >= 0."""
    x, t = z + bias, targets
    log_t = np.log(np.where(t > 0, t, 1))
    return _mean_over_rows(np.exp(x) - t + t * (log_t - x), np.exp(x) - t, 0, weights)


def huber_loss(z: Array, bias: Array, targets: Array, weights: Array | None = None, delta: float = 1.0) -> Result:
    """(mean loss, 0, dz (N, K), dbias (K,)) of errors d = z + bias - targets: d^2 / 2, from delta on in a line."""
    d = z + bias - targets
    losses = np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))
    return _mean_over_rows(losses, np.clip(d, -delta, delta), 0, weights)


LOSSES = {
    "cross-entropy": softmax_cross_entropy,
    "logistic": logistic_loss,
    "squared-error": squared_error,
    "poisson": poisson_loss,
    "huber": huber_loss,
}


def momentum_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float = 0.0) -> Pair:
    """(w, v) after a step by g, all of any shape: v <- momentum v - lr (g + weight_decay w), then w <- w + v."""
    v = momentum * v - lr * (g + weight_decay * w)
    return w + v, v


def nesterov_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float = 0.0) -> Pair:
    """(w, v) after a step by g, all of any shape: v <- momentum v - lr g', w <- w + momentum v - lr g'.

    g' = g + weight_decay w.
    """
    g = g + weight_decay * w
    v = momentum * v - lr * g
    return w + momentum * v - lr * g, v


def adam_step(
    w: Array, m: Array, v: Array, g: Array, step: int, lr: float, beta1: float, beta2: float, eps: float,
    weight_decay: float = 0.0, eps_hat: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(w, m, v) after Adam's step number `step`, from 1 on, by g, all of any shape; the decay goes into the gradient.

    eps_hat : whether eps is added to the root of v itself, instead of that of the corrected v.
    """
    g = g + weight_decay * w
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    unbiased_m, unbiased_v = m / (1 - beta1**step), v / (1 - beta2**step)
    own_eps = eps / np.sqrt(1 - beta2**step) if eps_hat else eps
    return w - lr * unbiased_m / (np.sqrt(unbiased_v) + own_eps), m, v


def adamw_step(
    w: Array, m: Array, v: Array, g: Array, step: int, lr: float, beta1: float, beta2: float, eps: float,
    weight_decay: float = 0.0, eps_hat: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(w, m, v), all of any shape, after AdamW's step: w shrinks by lr weight_decay, then takes Adam's without decay."""
    return adam_step(w - lr * weight_decay * w, m, v, g, step, lr, beta1, beta2, eps, 0.0, eps_hat)


OPTIMIZERS = {"sgd": momentum_step, "nesterov": nesterov_step, "adam": adam_step, "adamw": adamw_step}


def clip_norm(gradients: Sequence[Array], most: float) -> list[Array]:
    """Gradients of any shape, scaled to a common norm of at most `most`."""
    norm = math.sqrt(sum(float(np.sum(g * g)) for g in gradients))
    return [g * min(1.0, most / (norm + 1e-6)) for g in gradients]


def random_bits(key: tuple, number: Array | int) -> Array | int:
    """32 bits for a number below 2^32, or for uint64 numbers of any shape; key : two such numbers."""
    low, high = key
    x = (number * (high | 1) + low) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def key_below(key: tuple, number: Array | int) -> tuple:
    """Key of a path that is longer by a number, a scalar or uint64 of any shape, than the key's: two such numbers."""
    low, high = key
    return random_bits(key, number), random_bits((high ^ 0x846CA68B, low ^ 0x7FEB352D), number)


def dropout_bits(seed: int, step: int, layer: int, rows: Array, units: int) -> Array:
    """Random bits (N, H) uint64, 32 each, for rows (N,) uint64 of a batch and H units: the path's last two numbers."""
    key = (0x7FEB352D, 0x846CA68B)
    for number in (seed % 2**32, seed >> 32, step, layer):
        key = key_below(key, number)
    return np.asarray(random_bits(key_below(key, rows[:, None]), np.arange(units, dtype=np.uint64)))


def drop_rows(x: Array, rate: float, bits: Array) -> Array:
    """x / (1 - rate) for x (N, H); 0 for units whose 32 bits (N, H) are in the lowest part of their range, the rate."""
    return np.where(bits >= int(rate * 2**32), x / (1 - rate), 0)


def image_moments(images: Array, channels: int) -> Pair:
    """Mean and 1/std (M, C) of each of the images (M, D), a channel at a time; a constant channel gets 1/std = 1."""
    pixels = images.reshape(len(images), channels, -1).astype(np.float64)
    std = pixels.std(axis=2)
    return pixels.mean(axis=2), 1 / np.where(std == 0, 1, std)


def normalize(images: Array, mean: Array, inv_std: Array) -> Array:
    """(images - mean) * inv_std for images (M, D), mean and inv_std (M, C)."""
    pixels = images.reshape(len(images), mean.shape[1], -1).astype(np.float64)
    return ((pixels - mean[:, :, None]) * inv_std[:, :, None]).reshape(len(images), -1)


def gather_normalize(images: Array, index: Array, mean: Array, inv_std: Array) -> Array:
    """Return the rows index (N,) of `normalize`, (N, D)."""
    return normalize(images[index], mean[index], inv_std[index])


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
        """Drop inputs (N, D), layer 0, or a hidden layer's outputs (N, H), or gradients by these, as in a step."""
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


def train_epoch(network: Network, x: Array, labels: Array, order: Array, batch_size: int, **settings: float) -> Array:
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
    **settings: float,
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
