"""Small data sets of a user's own, of every kind of rows and targets, and configs of runs on them."""

from typing import Any

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.nn.loss import LOSSES_OF

NAMES = {"classes": ("a", "b", "c"), "labels": ("wet", "warm"), "numbers": ("price",)}


def features(kind: str = "classes", *, count: int = 240, dtype: str = "float32", **fields: Any) -> Dataset:
    """Rows of five features in units far apart, of which the target follows; `fields` of the data set."""
    rng = np.random.default_rng(7)
    z = rng.standard_normal((count, 5))
    x = (z * [1, 1000, 1e-3, 5, 1] + [0, 1e5, 0, -20, 3]).astype(dtype)
    target: np.ndarray = {
        "classes": (z[:, 0] > 0).astype(np.int64) + (z[:, 1] > 0),
        "labels": np.stack((z[:, 0] > 0, z[:, 1] > 0.5), axis=1).astype(np.uint8),
        "numbers": 5000 + 300 * (z[:, 0] + z[:, 1] * z[:, 2]),
    }[kind]
    return _split(x, target, kind, {"features": ("f", "g", "h", "i", "j")} | fields)


def images(kind: str = "classes", *, shape: tuple[int, int, int] = (1, 8, 8), count: int = 240) -> Dataset:
    """Images with a bright stripe for each class."""
    rng = np.random.default_rng(8)
    x, target = rng.integers(0, 180, (count, int(np.prod(shape))), np.uint8), np.arange(count) % 3
    for image, k in zip(x, target, strict=True):
        image[k :: max(3, shape[2] // 2)] = 255
    if kind != "classes":
        target = (100.0 + target) if kind == "numbers" else np.stack((target == 0, target == 1), 1).astype(np.uint8)
    return _split(x, target, kind, {"shape": shape})


def _split(x: np.ndarray, target: np.ndarray, kind: str, fields: dict[str, Any]) -> Dataset:
    half = 3 * len(x) // 4
    return Dataset(
        "mine",
        x[:half],
        {"y": target[:half]},
        x[half:],
        {"y": target[half:]},
        {"y": NAMES[kind]},
        source="made for a test",
        kinds={"y": kind},
        **fields,
    )


def config_of(data: Dataset, **changes: Any) -> RunConfig:
    """A run of a fraction of a second on such data."""
    fields: dict[str, Any] = {
        "dataset": data.name,
        "labels": "y",
        "normalize": "image" if data.of_images else "standard",
        "layers": (data.width, 16, len(data.label_names["y"])),
        "loss": LOSSES_OF[data.kinds["y"]][0],
        "activation": "relu",
        # images and Adam know nothing of each other, and together are seconds of compiling for each precision
        "optimizer": "sgd" if data.of_images else "adam",
        "lr": 0.05 if data.of_images else 0.01,
        "weight_decay": 0.0,
        "batch_size": 16,
        "epochs": 12,
    }
    return RunConfig(**(fields | changes))
