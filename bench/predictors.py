"""The answers of a network for a few rows, by this package and by others: what a call costs, as in a service.

Each rival is given float32 rows as a numpy array and returns the most probable class of each as one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.networks import Data, Work

Predict = Callable[[np.ndarray], Any]


def _fastmlp(data: Data, work: Work, threads: int) -> Predict:
    from fastmlp import MLP

    model = MLP(work.layers, "tanh", threads=threads)
    for layer, weight in zip(model.layers, data.weights, strict=True):
        layer.weight[...] = weight
    return model.predict


def _torch(data: Data, work: Work, threads: int) -> Predict:
    from bench.peers import Torch

    trainer = Torch(data, work, threads)
    torch, model = trainer.torch, trainer.model

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).argmax(1).numpy()

    return predict


def _jax(data: Data, work: Work, threads: int) -> Predict:  # noqa: ARG001 - XLA reads the environment
    import jax  # pyright: ignore[reportMissingImports] - optional, as the others
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    *hidden, last = (jnp.asarray(w, dtype=jnp.float32) for w in data.weights)

    @jax.jit
    def answers(x):
        for weight in hidden:
            x = jnp.tanh(x @ weight)  # biases are 0
        return jnp.argmax(x @ last, axis=1)

    return lambda x: np.asarray(answers(x))


def _sklearn(data: Data, work: Work, threads: int) -> Predict:
    from bench.peers import ScikitLearn

    return ScikitLearn(data, work, threads).model.predict


def _numpy(data: Data, work: Work, threads: int) -> Predict:  # noqa: ARG001 - BLAS reads the environment
    *hidden, last = (w.astype(np.float32) for w in data.weights)

    def predict(x: np.ndarray) -> np.ndarray:
        for weight in hidden:
            x = np.matmul(x, weight)
            np.tanh(x, out=x)
        return np.matmul(x, last).argmax(axis=1)

    return predict


PREDICTORS: dict[str, Callable[[Data, Work, int], Predict]] = {
    "fastmlp": _fastmlp,
    "torch": _torch,
    "jax": _jax,
    "sklearn": _sklearn,
    "numpy": _numpy,
}
