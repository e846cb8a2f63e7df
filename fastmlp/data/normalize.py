"""The three ways to normalise images: what is subtracted from each image and what it is multiplied by.

All give `(mean, inv_std)`, one row an image, of shape (M, C): C is 1 or 3 and each column serves D / C neighbouring
pixels (CIFAR: D = 3072), so one batch kernel applies them all. A constant block of pixels has `inv_std` 1 and so
becomes zero. Only "dataset" looks at its first two arguments, images and the rows of them to learn from.

Numpy and the kernels load when one is first used: a command that only tells the names, which are the table's keys,
need not wait for them.
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


def image_moments(_fit_images: Images, _fit_rows: Rows, images: Images, dtype: DTypeLike) -> Moments:
    """Each image by its own mean and standard deviation over all its pixels: (M, 1)."""
    return _own_moments(images, 1, dtype)


def channel_moments(_fit_images: Images, _fit_rows: Rows, images: Images, dtype: DTypeLike) -> Moments:
    """Each colour plane of each image by its own mean and deviation: (M, 3)."""
    return _own_moments(images, 3, dtype)


def dataset_moments(fit_images: Images, fit_rows: Rows, images: Images, dtype: DTypeLike) -> Moments:
    """Each colour plane by its mean and deviation over `fit_images[fit_rows]`, the training part; all rows equal."""
    import numpy as np

    if fit_images.shape[1] % 3 or fit_images.shape[1] == 0:
        raise DataError(f"images have {fit_images.shape[1]} values, expected three colour planes of one size")
    count = len(fit_rows) * (fit_images.shape[1] // 3)
    totals, squares = _channel_sums(fit_images, fit_rows)
    mean, inv_std = np.empty((2, len(images), 3), dtype=dtype)
    for channel, (total, square) in enumerate(zip(totals, squares, strict=True)):
        variance = (count * square - total * total) / (count * count)  # the numerator is an exact integer
        mean[:, channel] = total / count
        inv_std[:, channel] = 1 / math.sqrt(variance) if variance else 1
    return mean, inv_std


NORMALIZATIONS: dict[str, Callable[[Images, Rows, Images, DTypeLike], Moments]] = {
    "image": image_moments,
    "channel": channel_moments,
    "dataset": dataset_moments,
}


def _own_moments(images: Images, channels: int, dtype: DTypeLike) -> Moments:
    import numpy as np

    from fastmlp_kernels import image_moments as moments_kernel

    mean, inv_std = np.empty((2, len(images), channels), dtype=dtype)
    moments_kernel(images, channels, mean, inv_std)
    return mean, inv_std


def _channel_sums(images: Images, rows: Rows) -> tuple[list[int], list[int]]:
    """Sum of pixels and of their squares, a colour channel each, as Python integers."""
    import numpy as np

    totals, squares = [0, 0, 0], [0, 0, 0]
    at_once = max(1, BLOCK // images.shape[1])
    for start in range(0, len(rows), at_once):
        block = images[rows[start : start + at_once]]
        block = block.reshape(len(block), 3, -1).astype(np.float64)
        # exact in any order: whole numbers, and 2**53 / 255**2 is over 100 thousand million pixels of one plane
        totals = [t + int(more) for t, more in zip(totals, block.sum(axis=(0, 2)), strict=True)]
        squares = [s + int(more) for s, more in zip(squares, np.einsum("mcp,mcp->c", block, block), strict=True)]
    return totals, squares
