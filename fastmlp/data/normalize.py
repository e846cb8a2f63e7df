"""The three ways to normalise images: what is subtracted from each image and what it is multiplied by.

All give `(mean, inv_std)`, one row an image, of shape (M, C): C is 1 or 3 and each column serves 3072 / C neighbouring
pixels, so one batch kernel applies them all. A constant block of pixels has `inv_std` 1 and so becomes zero.
Only "dataset" looks at its first two arguments, images and the rows of them to learn from.

Numpy and the kernels load when one is first used: a command that only tells the names, which are the table's keys,
need not wait for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    Moments = tuple[NDArray[np.floating], NDArray[np.floating]]
    Images = NDArray[np.uint8]
    Rows = NDArray[np.int64]


def image_moments(_fit_images: Images, _fit_rows: Rows, images: Images, dtype: DTypeLike) -> Moments:
    """Each image by its own mean and standard deviation over all its pixels: (M, 1)."""
    return _own_moments(images, 1, dtype)


def channel_moments(_fit_images: Images, _fit_rows: Rows, images: Images, dtype: DTypeLike) -> Moments:
    """Each colour plane of each image by its own mean and deviation: (M, 3)."""
    return _own_moments(images, 3, dtype)


def dataset_moments(fit_images: Images, fit_rows: Rows, images: Images, dtype: DTypeLike) -> Moments:
    """Each colour plane by its mean and deviation over `fit_images[fit_rows]`, the training part; all rows equal."""
    import numpy as np

    count = len(fit_rows) * 1024
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

    totals, squares = np.zeros((2, 3), dtype=np.float64)
    for start in range(0, len(rows), 512):
        block = images[rows[start : start + 512]].reshape(-1, 3, 1024).astype(np.float64)
        # Exact in float64 in any order: whole numbers, and 2**53 / 255**2 is over 100 million images of one plane.
        totals += block.sum(axis=(0, 2))
        squares += np.einsum("mcp,mcp->c", block, block)
    return [int(v) for v in totals], [int(v) for v in squares]
