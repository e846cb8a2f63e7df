"""The check of runs' configs against the data set, before anything is trained."""

from collections.abc import Iterable

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError, DataError
from fastmlp.models.model import CHANNELS

IMAGE = 3072  # values of the images that can be moved about, and that have moments over the whole data set


def check_fits(configs: Iterable[RunConfig], dataset: Dataset) -> None:
    """Raise DataError where the data are not uint8 images (M, D), and ConfigError for a config that does not fit."""
    parts = {"train_images": dataset.train_images, "test_images": dataset.test_images}
    for name, images in parts.items():
        if images.dtype != np.uint8 or images.ndim != 2:
            raise DataError(
                f"{name} are {images.dtype} of shape {images.shape}; a sweep takes images, uint8 of shape (M, D). "
                "Train on rows of real numbers by fastmlp.MLP.fit or fastmlp.sklearn.FastMLPClassifier."
            )
    width = dataset.train_images.shape[1]
    if dataset.test_images.shape[1] != width:
        raise DataError(f"train_images have {width} values each and test_images {dataset.test_images.shape[1]}.")
    for config in configs:
        _check_one(config, dataset, width)


def _check_one(config: RunConfig, dataset: Dataset, width: int) -> None:
    if config.dataset != dataset.name:
        raise ConfigError(f"dataset is {config.dataset!r} in a config, and the data set is called {dataset.name!r}.")
    if config.labels not in dataset.label_names:
        there = ", ".join(dataset.label_names)
        raise ConfigError(f"labels is {config.labels!r}; {dataset.name} has {there}.")
    classes = len(dataset.label_names[config.labels])
    if (config.layers[0], config.layers[-1]) != (width, classes):
        raise ConfigError(
            f"layers is {config.layers}; on {dataset.name} with its {config.labels} labels the first must be {width}, "
            f"the values of an image, and the last {classes}, the classes."
        )
    if width % CHANNELS.get(config.normalize, 1) or (config.normalize == "dataset" and width != IMAGE):
        allowed = "image or channel" if width % 3 == 0 else "image"
        raise ConfigError(f"normalize is {config.normalize!r}; allowed for images of {width} values is {allowed}.")
    if config.augment != "none" and width != IMAGE:
        raise ConfigError(f"augment is {config.augment!r}; allowed for images of {width} values is 'none'.")
