"""One training step and one epoch of the same network, by this package, the plain reference and other libraries.

All start from the same weights and take the same batches. This package normalises from uint8 images in every step; the
others gather rows from a copy of the whole set that was normalised beforehand, which costs them memory but no time.
They also count no correct answers. Each was given the fastest form that was found for it.
"""

from abc import ABC, abstractmethod
from functools import partial
from itertools import pairwise

import numpy as np

LAYERS = (3072, 128, 20)
BATCH = 1024
LR, MOMENTUM, WEIGHT_DECAY = 0.005, 0.9, 0.01
_PRODUCTS = [d * h for d, h in pairwise(LAYERS)]
# Forward and weight gradient in each layer, the gradient handed down in all but the first: one multiply-add is 2 FLOP.
FLOP_PER_IMAGE = 2 * (3 * sum(_PRODUCTS) - _PRODUCTS[0])


class Images:
    """Random images and labels with the shape of CIFAR-100's training part, and first weights."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(7)
        self.pixels = np.frombuffer(rng.bytes(count * LAYERS[0]), np.uint8).reshape(count, LAYERS[0])
        self.labels = rng.integers(0, LAYERS[-1], count)
        self.weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in pairwise(LAYERS)]
        self.mean = self.pixels.mean(axis=1, keepdims=True, dtype=np.float32)
        self.inv_std = 1 / self.pixels.std(axis=1, keepdims=True, dtype=np.float32)

    def normalized(self, dtype: type) -> np.ndarray:
        """Return all images, each less its mean and over its standard deviation."""
        x = np.subtract(self.pixels, self.mean, dtype=dtype)
        return np.multiply(x, self.inv_std, out=x)


class Trainer(ABC):
    """A network ready to train."""

    precision = "float32"

    def __init__(self, images: Images, threads: int) -> None:  # noqa: ARG002 - all but torch read the environment
        self.count = len(images.pixels)

    @abstractmethod
    def step(self, index: np.ndarray) -> float | None:
        """Train on the images `index`; return the mean loss before the step where the library gives it."""

    def epoch(self, rng: np.random.Generator) -> None:
        """Train on all images once in a new order, the last batch smaller."""
        order = rng.permutation(self.count)
        for start in range(0, self.count, BATCH):
            self.step(order[start : start + BATCH])


class FastMLP(Trainer):
    def __init__(self, images: Images, threads: int) -> None:
        from fastmlp import MLP, SGD, ImageInput

        super().__init__(images, threads)
        self.model = MLP(list(LAYERS), "tanh", dtype="float32")
        for layer, weight in zip(self.model.layers, images.weights, strict=True):
            layer.weight[...] = weight
        self.optimizer = SGD(LR, MOMENTUM, WEIGHT_DECAY)
        self.inputs = ImageInput(images.pixels, images.mean, images.inv_std)
        self.x, self.labels = np.empty((BATCH, LAYERS[0]), np.float32), images.labels

    def step(self, index: np.ndarray) -> float:
        x = self.x[: len(index)]
        self.inputs.gather(index, x)
        return self.model.train_step(x, self.labels[index], self.optimizer)[0]

    def epoch(self, rng: np.random.Generator) -> None:
        from fastmlp.fit import fit

        fit(self.model, self.inputs, self.labels, optimizer=self.optimizer, epochs=1, batch_size=BATCH, rng=rng)


class Reference(Trainer):
    precision = "float64"

    def __init__(self, images: Images, threads: int) -> None:
        from fastmlp import reference

        super().__init__(images, threads)
        self.network = reference.Network(images.weights, [np.zeros(h) for h in LAYERS[1:]], "tanh")
        self.x, self.labels = images.normalized(np.float64), images.labels
        settings = {"lr": LR, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        self.train_step = partial(self.network.train_step, **settings)
        self.train_epoch = partial(reference.train_epoch, self.network, batch_size=BATCH, **settings)

    def step(self, index: np.ndarray) -> float:
        return self.train_step(self.x[index], self.labels[index])[0]

    def epoch(self, rng: np.random.Generator) -> None:
        self.train_epoch(self.x, self.labels, rng.permutation(self.count))


class Torch(Trainer):
    """Eager float32 with the fused SGD; its foreach and plain forms took as long."""

    def __init__(self, images: Images, threads: int) -> None:
        import torch  # pyright: ignore[reportMissingImports] - optional, as the others

        super().__init__(images, threads)
        torch.set_num_threads(threads)
        self.torch, self.cross_entropy = torch, torch.nn.functional.cross_entropy
        linear = [torch.nn.Linear(d, h) for d, h in pairwise(LAYERS)]
        with torch.no_grad():
            for layer, weight in zip(linear, images.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weight.T))
                layer.bias.zero_()
        self.model = torch.nn.Sequential(linear[0], torch.nn.Tanh(), linear[1])
        groups = [
            {"params": [layer.weight for layer in linear], "weight_decay": WEIGHT_DECAY},
            {"params": [layer.bias for layer in linear]},
        ]
        self.optimizer = torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, fused=True)
        self.x, self.labels = torch.from_numpy(images.normalized(np.float32)), torch.from_numpy(images.labels)

    def step(self, index: np.ndarray) -> float:
        rows = self.torch.from_numpy(index)
        x, labels = self.x.index_select(0, rows), self.labels.index_select(0, rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.cross_entropy(self.model(x), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Jax(Trainer):
    """One jitted step, gather included, whose parameters are donated."""

    def __init__(self, images: Images, threads: int) -> None:
        import jax  # pyright: ignore[reportMissingImports]
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

        super().__init__(images, threads)
        self.block, self.array = jax.block_until_ready, jnp.asarray
        self.x, self.labels = self.array(images.normalized(np.float32)), self.array(images.labels, dtype=jnp.int32)
        weights = [self.array(w, dtype=jnp.float32) for w in images.weights]
        parameters = [(w, jnp.zeros(w.shape[1], jnp.float32)) for w in weights]
        velocities = [(jnp.zeros_like(w), jnp.zeros_like(b)) for w, b in parameters]
        self.state = parameters, velocities

        def loss_of(parameters, x, labels):
            (w1, b1), (w2, b2) = parameters
            logits = jnp.tanh(x @ w1 + b1) @ w2 + b2
            picked = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)

        @partial(jax.jit, donate_argnums=0)
        def update(state, x, labels, index):
            parameters, velocities = state
            x, labels = (jnp.take(a, index, axis=0, mode="clip") for a in (x, labels))
            loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels)
            decayed = [(dw + WEIGHT_DECAY * w, db) for (dw, db), (w, _) in zip(gradients, parameters, strict=True)]
            velocities = jax.tree.map(lambda v, g: MOMENTUM * v - LR * g, velocities, decayed)
            return (jax.tree.map(jnp.add, parameters, velocities), velocities), loss

        self.update = update

    def step(self, index: np.ndarray) -> float:
        self.state, loss = self.update(self.state, self.x, self.labels, self.array(index, dtype=np.int32))
        return float(self.block((self.state, loss))[1])


class ScikitLearn(Trainer):
    """MLPClassifier.partial_fit: a batch, or all images in batches; it checks its input and gathers once more."""

    def __init__(self, images: Images, threads: int) -> None:
        from sklearn.neural_network import MLPClassifier  # pyright: ignore[reportMissingImports]

        super().__init__(images, threads)
        self.x, self.labels = images.normalized(np.float32), images.labels
        self.model = MLPClassifier(
            LAYERS[1:-1], activation="tanh", solver="sgd", alpha=WEIGHT_DECAY * BATCH,
            batch_size=BATCH,  # pyright: ignore[reportArgumentType] - its annotation knows "auto" only
            learning_rate_init=LR, momentum=MOMENTUM, nesterovs_momentum=False, random_state=0,
        )  # fmt: skip
        self.model.partial_fit(self.x[:BATCH], self.labels[:BATCH], classes=np.arange(LAYERS[-1]))

    def step(self, index: np.ndarray) -> None:
        self.model.partial_fit(self.x[index], self.labels[index])

    def epoch(self, rng: np.random.Generator) -> None:  # noqa: ARG002 - shuffles by its own
        self.model.partial_fit(self.x, self.labels)


TRAINERS: dict[str, type[Trainer]] = {
    "fastmlp": FastMLP,
    "numpy": Reference,
    "numpy_default_blas": Reference,
    "torch": Torch,
    "jax": Jax,
    "sklearn": ScikitLearn,
}
