"""How rows and targets become what a network takes and learns; what that needs is learnt of training rows alone.

Training prepares its parts so, and a saved model the rows that it is asked about.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS, Dataset, split_indices
from fastmlp.data.normalize import STANDARD
from fastmlp.errors import DataError
from fastmlp.nn.inputs import ArrayInput, ImageInput, Input
from fastmlp.nn.moments import Moments

NO_ROWS = np.empty(0, np.int64)


class Preparation(NamedTuple):
    """The normalisation of rows, and the units of targets that are numbers.

    normalize : as of `RunConfig`; channels : planes of an image
    moments : for "dataset", (2, C) float32 or float64: mean and 1/std of each plane of the training images; for
        "standard", (2, D) float64: mean and deviation of each feature; None for the others
    target_moments : (2, T) float64: the mean and the deviation of each number, by which it is learnt as
        (number - mean) / deviation; of poisson's 0 and the mean. None for other targets
    """

    normalize: str
    channels: int = 1
    moments: NDArray[np.floating] | None = None
    target_moments: NDArray[np.float64] | None = None

    @classmethod
    def learnt(cls, config: RunConfig, dataset: Dataset, rows: np.ndarray, dtype: np.dtype) -> Self:
        """Return what these training rows (N,) int64 teach; dtype : the network's."""
        x, moments, rows = (
            dataset.train_images,
            None,
            np.sort(rows),
        )  # as they lie, which a mapped file is read faster in
        weights = None if dataset.weights is None else dataset.weights[rows]
        if weights is not None:  # rows that do not count teach nothing
            rows, weights = rows[weights > 0], weights[weights > 0]
            if not len(rows):
                raise DataError("all training rows have weight 0, as the split by this seed has it; give others weight")
        if config.normalize == "dataset":
            moments = np.vstack(NORMALIZATIONS["dataset"](x, rows, x[:1], dtype, dataset.channels))
        elif config.normalize == STANDARD:
            moments = np.vstack(Moments.of(x, weights, rows))
        targets = None
        if dataset.kinds[config.labels] == "numbers":
            numbers = as_columns(dataset.train_labels[config.labels])
            means, deviations = Moments.of(numbers, weights, rows)
            if config.loss == "poisson":
                means, deviations = np.zeros_like(means), np.where(means > 0, means, 1)
            targets = np.vstack((means, deviations))
        return cls(config.normalize, dataset.channels, moments, targets)

    def inputs(self, x: np.ndarray, dtype: np.dtype, rows: np.ndarray | None = None) -> Input:
        """Return rows x (M, D), or those of these numbers (N,), as a network of this dtype takes them.

        x : uint8 for images, else numbers of any real dtype; DataError for another one
        """
        if self.normalize not in NORMALIZATIONS:
            if x.dtype.kind not in "fiub":
                raise DataError(f"inputs are {x.dtype}, this network takes real numbers")
            if self.normalize == STANDARD:
                moments = Moments(*self.moments)  # pyright: ignore[reportOptionalIterable] - learnt, or checked
                x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
                return ArrayInput(moments.standardised(x, rows, dtype))
            return ArrayInput(x, rows)
        if x.dtype != np.uint8:
            raise DataError(f"inputs are {x.dtype}, this model takes images: uint8, 0 to 255")
        return ImageInput(x, *self.image_moments(x, dtype), rows=rows)

    def image_moments(self, images: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and 1/std of images (M, D) uint8, (M, C) of this dtype each."""
        if self.moments is not None:
            mean, inv_std = (np.tile(row.astype(dtype), (len(images), 1)) for row in self.moments)
            return mean, inv_std
        return NORMALIZATIONS[self.normalize](images, NO_ROWS, images, dtype, self.channels)

    def targets(self, targets: np.ndarray) -> np.ndarray:
        """Return targets as the network learns them, numbers (M, T) in the units that it learns them in."""
        if self.target_moments is None:
            return targets
        return Moments(*self.target_moments).standardised(as_columns(targets))

    def restored(self, outputs: np.ndarray) -> np.ndarray:
        """Return what a network says of rows, (M, K), in the targets' own units: then float64."""
        return outputs if self.target_moments is None else Moments(*self.target_moments).restored(outputs)


def training_rows(config: RunConfig, dataset: Dataset, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows that a run trains on, (N,) int64, and of those of them that it holds out, (V,).

    rng : new, of the run's seed. Where the data have a validation part of their own, none is held out
    """
    count = len(dataset.train_images)
    if dataset.validation_images is not None:
        return np.arange(count), NO_ROWS
    return split_indices(count, config.validation_fraction, rng, dataset.groups)


def as_columns(numbers: np.ndarray) -> np.ndarray:
    """Return numbers (M,) or (M, T), of any dtype, as (M, T)."""
    return numbers.reshape(len(numbers), -1)
