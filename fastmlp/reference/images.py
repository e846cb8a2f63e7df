"""The moments of images and their normalisation, in plain numpy and float64."""

import numpy as np

from fastmlp.reference.activations import Array, Pair


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
