"""Tables that describe a data set: images by split and by class, mean and standard deviation of one image."""

import numpy as np

from fastmlp.data.dataset import Dataset
from fastmlp.data.normalize import NORMALIZATIONS
from fastmlp.errors import ConfigError
from fastmlp.table import Table


def split_table(dataset: Dataset) -> Table:
    """Return a table of the images in each split, and their share of all (the report's Figure 2)."""
    train, test = len(dataset.train_images), len(dataset.test_images)
    rows = [[name, f"{n:,}", f"{n / (train + test):.2%}"] for name, n in (("training", train), ("test", test))]
    rows.append(["total", f"{train + test:,}", "100.00%"])
    return Table([], ["split", "images", "share"], rows, words=1, aligned=True)


def class_table(dataset: Dataset, kind: str) -> Table:
    """Return a table of the images of each class by split (the report's Figures 3 to 5); kind : "coarse" or "fine"."""
    if kind not in dataset.label_names:
        raise ConfigError(f"{dataset.name} has no {kind} labels; choose one of {', '.join(dataset.label_names)}.")
    names = dataset.label_names[kind]
    train = np.bincount(dataset.train_labels[kind], minlength=len(names))
    test = np.bincount(dataset.test_labels[kind], minlength=len(names))
    rows = [[name, f"{a:,}", f"{b:,}", f"{a + b:,}"] for name, a, b in zip(names, train, test, strict=True)]
    return Table([], ["class", "training", "test", "total"], rows, words=1, aligned=True)


def statistics_table(dataset: Dataset, index: int) -> Table:
    """Return a table of mean and standard deviation of a training image, before and after each normalisation.

    As the report's Figure 6: over the whole image and by colour; before, in units of a pixel, 0..255.
    """
    if not 0 <= index < len(dataset.train_images):
        raise ConfigError(f"There is no training image {index}; choose one of 0..{len(dataset.train_images) - 1}.")
    image = dataset.train_images[index : index + 1]
    columns = {"before": image.astype(np.float64)}
    for name, moments in NORMALIZATIONS.items():
        everything = np.arange(len(dataset.train_images))
        mean, inv_std = moments(dataset.train_images, everything, image, np.float64)
        pixels = image.reshape(1, mean.shape[1], -1)
        columns[f"after {name}"] = (pixels - mean[:, :, None]) * inv_std[:, :, None]
    rows = []
    for what, statistic in (("mean", np.mean), ("std", np.std)):
        rows.append([f"{what}, whole image", *(_number(statistic(x)) for x in columns.values())])
        for channel, colour in enumerate(("red", "green", "blue")):
            planes = [x.reshape(3, 1024)[channel] for x in columns.values()]
            rows.append([f"{what}, {colour}", *(_number(statistic(plane)) for plane in planes)])
    return Table([], [f"training image {index}", *columns], rows, words=1, aligned=True)


def _number(value: np.floating) -> str:
    return f"{value:.6f}".replace("-0.000000", "0.000000")
