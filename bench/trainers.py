"""One network by this package, by the trial it grew from, by the plain reference, and by other libraries.

This package and the trial read uint8 images in every step; the others gather rows from a copy of the whole set that was
normalised beforehand, which costs them memory but no time. They also count no correct answers. Each was given the
fastest form that was found for it.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.networks import LR, MOMENTUM, WEIGHT_DECAY, Data, StepByStep, Trainer, Work
from bench.peers import Jax, JaxBfloat16, ScikitLearn, Torch, TorchAutocast, TorchCompiled, TorchCompiledAutocast

TRIAL = Path(__file__).parents[2] / "shared" / "prototypes" / "gemm_step.py"


class FastMLP(Trainer):
    """Whole runs of batches in one call."""

    matmul = "packed"

    def __init__(self, data: Data, work: Work, threads: int) -> None:
        from fastmlp import MLP, SGD, ImageInput

        self.model = MLP(work.layers, "tanh", precision=self.precision, matmul=self.matmul, threads=threads)
        for layer, weight in zip(self.model.layers, data.weights, strict=True):
            layer.weight[...] = weight
        self.optimizer, self.batch = SGD(LR, MOMENTUM, WEIGHT_DECAY), work.batch
        self.inputs = ImageInput(*data.images) if data.images else data.rows
        self.labels = data.labels

    def train(self, order: np.ndarray) -> float:
        return self.model.train_epoch(self.inputs, self.labels, self.optimizer, order, self.batch)[0]


class FastMLPBfloat16(FastMLP):
    precision = "bfloat16"


class FastMLPInt8(FastMLP):
    precision = "int8"


class FastMLPBlas(FastMLP):
    matmul = "blas"


class FastMLPSteps(StepByStep, FastMLP):
    """The same network in a loop of one's own, a batch a call: what a call costs shows in small batches."""

    def __init__(self, data: Data, work: Work, threads: int) -> None:
        from fastmlp.nn.inputs import as_input

        super().__init__(data, work, threads)
        self.source, self.x = as_input(self.inputs), np.empty((work.batch, work.layers[0]), np.float32)

    def step(self, index: np.ndarray) -> float:
        x = self.x[: len(index)]
        self.source.gather(index, x)
        return self.model.train_step(x, self.labels[index], self.optimizer)[0]


@cache
def _trial() -> Any:
    specification = importlib.util.spec_from_file_location("trial", TRIAL)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class Trial(Trainer):
    """The file that this package's packed products grew from; it has one hidden layer, and an epoch is one call."""

    mode = "f32"

    def __init__(self, data: Data, work: Work, threads: int) -> None:
        d, h, k = work.layers
        first = (data.weights[0], np.zeros(h), data.weights[1], np.zeros(k))
        make = _trial()._net(self.mode)
        self.net = make(d, h, k, 1, work.batch, act="tanh", threads=threads, init=first)
        assert data.images is not None
        pixels, mean, inv_std = data.images
        self.rows = pixels, data.labels, inv_std, -mean * inv_std

    def train(self, order: np.ndarray) -> float:
        return self.net.epoch(order, *self.rows, LR, MOMENTUM, WEIGHT_DECAY)


class TrialBfloat16(Trial):
    mode, precision = "bf16raw", "bfloat16"


class Reference(Trainer):
    precision = "float64"

    def __init__(self, data: Data, work: Work, threads: int) -> None:  # noqa: ARG002
        from fastmlp import reference

        network = reference.Network(data.weights, [np.zeros(w.shape[1]) for w in data.weights], "tanh")
        settings = {"batch_size": work.batch, "lr": LR, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        rows = data.normalized(np.float64), data.labels
        self.epoch: Callable[[np.ndarray], np.ndarray] = lambda o: reference.train_epoch(network, *rows, o, **settings)

    def train(self, order: np.ndarray) -> float:
        return float(self.epoch(order)[0])


# "numpy" runs under the BLAS kernels that fastmlp.coretype asks for, "numpy_default_blas" under BLAS's own choice
TRAINERS: dict[str, type[Trainer]] = {
    "fastmlp": FastMLP,
    "fastmlp_bf16": FastMLPBfloat16,
    "fastmlp_int8": FastMLPInt8,
    "fastmlp_steps": FastMLPSteps,
    "fastmlp_blas": FastMLPBlas,
    "trial": Trial,
    "trial_bf16": TrialBfloat16,
    "torch": Torch,
    "torch_bf16": TorchAutocast,
    "torch_compile": TorchCompiled,
    "torch_compile_bf16": TorchCompiledAutocast,
    "jax": Jax,
    "jax_bf16": JaxBfloat16,
    "sklearn": ScikitLearn,
    "numpy": Reference,
    "numpy_default_blas": Reference,
}
