"""Configs, results, an environment and a small data set, for the tests of what is made from them."""

from typing import Any

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import RunResult

FIELDS: dict[str, Any] = {
    "experiment": "relu",
    "dataset": "cifar100",
    "labels": "coarse",
    "normalize": "image",
    "layers": (3072, 128, 20),
    "activation": "relu",
    "init": "auto",
    "lr": 0.005,
    "momentum": 0.9,
    "weight_decay": 0.01,
    "batch_size": 1024,
    "epochs": 100,
    "patience": 5,
    "seed": 0,
    "precision": "float32",
    "matmul": "packed",
    "threads": 1,
    "schedule": "constant",
    "augment": "none",
    "validation_fraction": 0.2,
    "init_from": "",
    "decay_per": "update",
    "stopping": "rises",
}

ENVIRONMENT: dict[str, Any] = {
    "cpu": "Some CPU",
    "cores": 4,
    "usable_cores": 2,
    "os": "Linux 6 x86_64",
    "python": "3.12.1",
    "fastmlp": "0.1.0",
    "numpy": "2.4.6",
    "numba": "0.68.1",
    "llvmlite": "0.50.0",
    "blas": {"name": "openblas", "version": "0.3.31", "kernels": "SkylakeX", "threads": 1},
    "dataset": {
        "name": "cifar100",
        "source": "official files",
        "fingerprint": "0123456789abcdef",
        "train_images": 50000,
        "test_images": 10000,
    },
}


def config(**changes: Any) -> RunConfig:
    """A config; a precision that is changed brings its own way to multiply with it."""
    known = PRECISIONS.get(changes.get("precision", ""))
    usual: dict[str, Any] = {"matmul": known.matmuls[0]} if known else {}
    return RunConfig(**(FIELDS | usual | changes))


def result(test_accuracy: float = 0.342, *, status: str = "done", epochs: int = 3, **changes: Any) -> RunResult:
    """A finished run; `changes` go to its config."""
    made = config(**changes)
    return RunResult(
        run_id=run_id(made, ENVIRONMENT["dataset"]["fingerprint"]),
        experiment=made.experiment,
        normalize=made.normalize,
        seed=made.seed,
        status=status,
        dataset=made.dataset,
        precision=made.precision,
        config=made,
        test_accuracy=test_accuracy,
        test_loss=2.25,
        val_accuracy=0.335,
        best_epoch=epochs - 1,
        epochs=epochs,
        seconds=6.25,
        images_per_second=412_345.6,
        history={name: [0.5] * epochs for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy")},
    )


def dataset(name: str = "embedded", *, kinds: tuple[str, ...] = ("coarse", "fine"), images: int = 200) -> Dataset:
    """Noise in which each class of the first kind has its own bright pixels, so that a network can learn it."""
    rng = np.random.default_rng(5)
    classes = {"coarse": 20, "fine": 100 if len(kinds) > 1 else 10}
    labels = {kind: rng.integers(classes[kind], size=2 * images) for kind in kinds}
    pixels = rng.integers(0, 256, size=(2 * images, 3072), dtype=np.uint8)
    for image, label in zip(pixels, next(iter(labels.values())), strict=True):
        image[100 * label : 100 * (label + 1)] = 255
    return Dataset(
        name=name,
        train_images=pixels[:images],
        train_labels={kind: values[:images] for kind, values in labels.items()},
        test_images=pixels[images:],
        test_labels={kind: values[images:] for kind, values in labels.items()},
        label_names={kind: tuple(f"{kind} {k}" for k in range(classes[kind])) for kind in kinds},
        source="made for a test",
    )
