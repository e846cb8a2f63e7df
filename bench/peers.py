"""The same training steps by PyTorch, JAX and scikit-learn, each in the fastest form that was found for it."""

from functools import partial
from itertools import pairwise

import numpy as np

from bench.networks import LR, MOMENTUM, WEIGHT_DECAY, Data, StepByStep, Trainer, Work


class Torch(StepByStep):
    """Eager float32 with the fused SGD; its foreach and plain forms took as long."""

    def __init__(self, data: Data, work: Work, threads: int) -> None:
        import torch  # pyright: ignore[reportMissingImports] - optional, as the others

        torch.set_num_threads(threads)
        self.torch, self.batch = torch, work.batch
        parts = []
        for (d, h), weight in zip(pairwise(work.layers), data.weights, strict=True):
            linear = torch.nn.Linear(d, h)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight.T))
                linear.bias.zero_()
            parts += [linear, torch.nn.Tanh()]
        self.model = torch.nn.Sequential(*parts[:-1])
        groups = [
            {"params": [p for p in self.model.parameters() if p.ndim == 2], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in self.model.parameters() if p.ndim == 1]},
        ]
        self.optimizer = torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, fused=True)
        self.x, self.labels = torch.from_numpy(data.normalized(np.float32)), torch.from_numpy(data.labels)

    def loss(self, x, labels):
        return self.torch.nn.functional.cross_entropy(self.model(x), labels)

    def step(self, index: np.ndarray) -> float:
        rows = self.torch.from_numpy(index)
        x, labels = self.x.index_select(0, rows), self.labels.index_select(0, rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(x, labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class TorchAutocast(Torch):
    """Products in bfloat16 by autocast, from rows that are bfloat16 already."""

    precision = "bfloat16"

    def __init__(self, data: Data, work: Work, threads: int) -> None:
        super().__init__(data, work, threads)
        self.x = self.x.to(self.torch.bfloat16)

    def loss(self, x, labels):
        with self.torch.autocast("cpu", dtype=self.torch.bfloat16):
            return super().loss(x, labels)


class TorchCompiled(Torch):
    """Forward and backward through torch.compile, the fused SGD beside it."""

    def __init__(self, data: Data, work: Work, threads: int) -> None:
        super().__init__(data, work, threads)
        self.loss = self.torch.compile(super().loss, dynamic=False)


class TorchCompiledAutocast(TorchCompiled, TorchAutocast):
    """The same under autocast, from rows that are bfloat16 already."""


class Jax(Trainer):
    """All batches in one jitted loop, gather included, whose parameters are donated; a call a batch took longer."""

    dtype = "float32"  # of what is multiplied; weights and their step are float32

    def __init__(self, data: Data, work: Work, threads: int) -> None:  # noqa: ARG002 - XLA reads the environment
        import jax  # pyright: ignore[reportMissingImports]
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

        self.block, self.array, self.batch = jax.block_until_ready, jnp.asarray, work.batch
        factor = jnp.dtype(self.dtype)
        self.rows = self.array(data.normalized(np.float32), dtype=factor), self.array(data.labels, dtype=jnp.int32)
        weights = [self.array(w, dtype=jnp.float32) for w in data.weights]
        parameters = [(w, jnp.zeros(w.shape[1], jnp.float32)) for w in weights]
        velocities = [(jnp.zeros_like(w), jnp.zeros_like(b)) for w, b in parameters]
        self.state = parameters, velocities

        def affine(x, w, b):
            return jnp.matmul(x.astype(factor), w.astype(factor)).astype(jnp.float32) + b

        def loss_of(parameters, x, labels):
            for w, b in parameters[:-1]:
                x = jnp.tanh(affine(x, w, b))
            logits = affine(x, *parameters[-1])
            picked = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)

        def update(state, rows, index):
            parameters, velocities = state
            x, labels = (jnp.take(a, index, axis=0, mode="clip") for a in rows)
            loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels)
            decayed = [(dw + WEIGHT_DECAY * w, db) for (dw, db), (w, _) in zip(gradients, parameters, strict=True)]
            velocities = jax.tree.map(lambda v, g: MOMENTUM * v - LR * g, velocities, decayed)
            return (jax.tree.map(jnp.add, parameters, velocities), velocities), loss

        @partial(jax.jit, donate_argnums=0, static_argnums=4)
        def updates(state, rows, order, count, size):
            def step(i, carry):
                state, total = carry
                state, loss = update(state, rows, jax.lax.dynamic_slice(order, (i * size,), (size,)))
                return state, total + loss * size

            return jax.lax.fori_loop(0, count, step, (state, jnp.float32(0)))

        self.updates = updates

    def _steps(self, order: np.ndarray, size: int) -> float:
        """Take a step on each `size` rows of `order`, a multiple; return the sum of the losses over the rows."""
        padded = np.zeros(max(len(order), 1 << 16), np.int32)  # of one length as a rule, so that it compiles once
        padded[: len(order)] = order
        self.state, total = self.updates(self.state, self.rows, self.array(padded), len(order) // size, size)
        return float(self.block((self.state, total))[1])

    def train(self, order: np.ndarray) -> float:
        whole = len(order) // self.batch * self.batch
        parts = (order[:whole], self.batch), (order[whole:], len(order) - whole)
        return sum(self._steps(rows, size) for rows, size in parts if len(rows)) / len(order)


class JaxBfloat16(Jax):
    """Products in bfloat16, from rows that are bfloat16 already."""

    precision = dtype = "bfloat16"


class ScikitLearn(Trainer):
    """MLPClassifier.partial_fit over all rows in one call, which walks through them in batches."""

    def __init__(self, data: Data, work: Work, threads: int) -> None:  # noqa: ARG002
        from sklearn.neural_network import MLPClassifier  # pyright: ignore[reportMissingImports]

        self.x, self.labels = data.normalized(np.float32), data.labels
        classes = np.arange(work.layers[-1])
        self.model = MLPClassifier(
            work.layers[1:-1], activation="tanh", solver="sgd", alpha=WEIGHT_DECAY * work.batch, shuffle=False,
            batch_size=work.batch,  # pyright: ignore[reportArgumentType] - its annotation knows "auto" only
            learning_rate_init=LR, momentum=MOMENTUM, nesterovs_momentum=False,
        )  # fmt: skip
        self.model.partial_fit(self.x[: work.batch], self.labels[: work.batch], classes=classes)  # makes the arrays
        *firsts, last = data.weights
        if len(classes) == 2:  # is one logistic unit here: the same loss, but then another gradient
            last, self.steps_to_check = last[:, 1:] - last[:, :1], 1
        for weight, bias, first in zip(self.model.coefs_, self.model.intercepts_, [*firsts, last], strict=True):
            weight[...], bias[...] = first, 0
        # there is no public way to start from given weights and no velocity
        for velocity in self.model._optimizer.velocities:  # pyright: ignore[reportAttributeAccessIssue]
            velocity[...] = 0

    def train(self, order: np.ndarray) -> float:
        decay = WEIGHT_DECAY / 2 * sum(float(np.vdot(w, w)) for w in self.model.coefs_)  # is part of its loss
        self.model.partial_fit(self.x[order], self.labels[order])
        return self.model.loss_ - decay
