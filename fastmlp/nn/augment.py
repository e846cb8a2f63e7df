"""Augmentation: training images that are mirrored and shifted at random, anew for each epoch."""

from collections.abc import Callable

import numpy as np

from fastmlp.errors import DataError
from fastmlp.nn.augmentations import Augmentation
from fastmlp.nn.inputs import ImageInput, checked_rows
from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._rows import Rows


@kernel
def _draw_again(
    images: np.ndarray,
    rows: np.ndarray,
    mirror: np.ndarray,
    shift: np.ndarray,
    sides: tuple[int, int],
    out: np.ndarray,
) -> None:
    height, width = sides
    planes = images.shape[1] // (height * width)
    for i in range(rows.size):
        source, target = images[rows[i]].reshape(planes, height, width), out[i].reshape(planes, height, width)
        down, right = shift[i, 0], shift[i, 1]
        for plane in range(planes):
            for y in range(height):
                line = source[plane, min(max(y - down, 0), height - 1)]
                for x in range(width):
                    pixel = line[min(max(x - right, 0), width - 1)]
                    target[plane, y, width - 1 - x if mirror[i] else x] = pixel


class AugmentedImages:
    """Rows of uint8 images (M, planes * height * width), drawn anew by each `begin_epoch`; before, as they are.

    rows : (N,) integers in [0, M); moments(images) : mean and 1/std of such images, as `ImageInput` takes them
    sides : height and width

    Where an image is shifted, its edge pixels fill what comes into view. Takes the memory of one more copy of the rows.
    Raises DataError where the images are not planes of this size.
    """

    def __init__(
        self,
        images: np.ndarray,
        rows: np.ndarray,
        moments: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        augmentation: Augmentation,
        sides: tuple[int, int] = (32, 32),
    ) -> None:
        _check.unmasked(images=images)
        height, width = self._sides = sides
        if images.ndim != 2 or images.dtype != np.uint8 or images.shape[1] % (height * width) or images.shape[1] == 0:
            raise DataError(
                f"images are {images.dtype} of shape {images.shape}, expected uint8 (images, planes of {height} x "
                f"{width})"
            )
        self._images, self._rows = np.ascontiguousarray(images), checked_rows("rows", rows, len(images))
        self._moments, self._augmentation = moments, augmentation
        self._drawn = self._images[self._rows]
        self._input = ImageInput(self._drawn, *moments(self._drawn))

    @property
    def features(self) -> int:
        """Values in a row, D."""
        return self._images.shape[1]

    def __len__(self) -> int:
        return len(self._rows)

    def begin_epoch(self, rng: np.random.Generator) -> None:
        """Draw all rows anew."""
        count, most = len(self._rows), self._augmentation.shift
        mirror = rng.random(count) < (0.5 if self._augmentation.mirror else 0.0)
        shift = rng.integers(-most, most + 1, (count, 2))
        _draw_again(self._images, self._rows, mirror, shift, self._sides, self._drawn)
        self._input = ImageInput(self._drawn, *self._moments(self._drawn))

    def gather(self, index: np.ndarray, out: np.ndarray) -> None:
        """Write the normalised rows `index` (N,) to out (N, D)."""
        self._input.gather(index, out)

    def source(self) -> Rows:
        """Return the images as drawn, and their moments."""
        return self._input.source()
