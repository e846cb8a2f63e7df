"""The three normalisations of images: mean and 1/std of each image, over all pixels or by channel, or of the data set.

Each is a function (fit_images, fit_rows, images, dtype, channels=3) -> (mean, inv_std), by which a kernel forms
(images - mean) * inv_std:

    images, fit_images : (M, D) uint8; fit_rows : (N,) int64, the rows of fit_images that "dataset" learns from; the
        others look at neither
    channels : planes that an image is made of, one after the other: 3 of colour, 1 of grey
    mean, inv_std : (M, C) of dtype, in units of a pixel, 0..255: C is 1 for "image", else `channels`, and each column
        serves D / C neighbouring values (CIFAR: D = 3072). A constant block of pixels has inv_std 1, and so becomes
        zero

Numpy and the kernels load when one is first used: a command that only lists the names, which are the table's keys, does
not wait for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastmlp.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    Moments = tuple[NDArray[np.floating], NDArray[np.floating]]
    Images = NDArray[np.uint8]
    Rows = NDArray[np.int64]


# Pixels that become float64 at once, where an image does not have more: 12 MiB.
BLOCK = 512 * 3072


def image_moments(
    _fit_images: Images, _fit_rows: Rows, images: Images, dtype: DTypeLike, _channels: int = 3
) -> Moments:
    """Return mean and 1/std of each of the images (M, D) over all its pixels, (M, 1) of dtype each."""
    return _own_moments(images, 1, dtype)


def channel_moments(
    _fit_images: Images, _fit_rows: Rows, images: Images, dtype: DTypeLike, channels: int = 3
) -> Moments:
    """Return mean and 1/std of each plane of each of the images (M, D), (M, C) of dtype each."""
    return _own_moments(images, channels, dtype)


def dataset_moments(fit_images: Images, fit_rows: Rows, images: Images, dtype: DTypeLike, channels: int = 3) -> Moments:
    """Return mean and 1/std of each plane over all of fit_images[fit_rows], (M, C) of dtype each.

    All M rows, one for each of `images`, are the same. Raises DataError where D is not a multiple of `channels`.
    """
    import numpy as np

    if fit_images.shape[1] % channels or fit_images.shape[1] == 0:
        planes = "three colour planes" if channels == 3 else f"{channels} planes"
        raise DataError(f"images have {fit_images.shape[1]} values, expected {planes} of one size")
    count = len(fit_rows) * (fit_images.shape[1] // channels)
    totals, squares = _channel_sums(fit_images, fit_rows, channels)
    mean, inv_std = np.empty((2, len(images), channels), dtype=dtype)
    for channel, (total, square) in enumerate(zip(totals, squares, strict=True)):
        variance = (count * square - total * total) / (count * count)  # the numerator is an exact integer
        mean[:, channel] = total / count
        inv_std[:, channel] = 1 / math.sqrt(variance) if variance else 1
    return mean, inv_std


NORMALIZATIONS: dict[str, Callable[..., Moments]] = {
    "image": image_moments,
    "channel": channel_moments,
    "dataset": dataset_moments,
}
# Those of rows of real numbers: as they are; each feature less its mean, over its deviation, both of the training rows.
AS_THEY_ARE, STANDARD = "none", "standard"


def _own_moments(images: Images, channels: int, dtype: DTypeLike) -> Moments:
    import numpy as np

    from fastmlp_kernels import image_moments as moments_kernel

    mean, inv_std = np.empty((2, len(images), channels), dtype=dtype)
    moments_kernel(images, channels, mean, inv_std)
    return mean, inv_std


def _channel_sums(images: Images, rows: Rows, channels: int) -> tuple[list[int], list[int]]:
    """Return the sums of pixels and of their squares over images[rows], by channel, as Python integers."""
    import numpy as np

    totals, squares = [0] * channels, [0] * channels
    at_once = max(1, BLOCK // images.shape[1])
    for start in range(0, len(rows), at_once):
        block = images[rows[start : start + at_once]]
        block = block.reshape(len(block), channels, -1).astype(np.float64)
        # exact in any order: whole numbers, and 2**53 / 255**2 is over 100 thousand million pixels of one plane
        totals = [t + int(more) for t, more in zip(totals, block.sum(axis=(0, 2)), strict=True)]
        squares = [s + int(more) for s, more in zip(squares, np.einsum("mcp,mcp->c", block, block), strict=True)]
    return totals, squares
