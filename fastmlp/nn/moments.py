"""Means and deviations of columns, by which features and targets are standardised, and which can be folded away."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np

from fastmlp.nn.layers import Dense

# Rows a block: float64 copies of them stay in the cache.
BLOCK = 1024
# "auto" leaves features alone whose means and deviations are this near to 0 and 1: those of a part of standardised
# rows, a fold of a cross-validation or a batch, are, save for parts of very few rows.
NEAR_MEAN, NEAR_DEVIATION = 0.5, 2.0
# Features whose deviations are within this factor of each other are taken to be in one unit, in which the larger ones
# say more: measured on made-up data, one deviation for all then trains as well or better, and from 16 on worse.
ALIKE = 5.0


class Moments(NamedTuple):
    """Means and deviations of the columns of an array.

    means : (D,) float64; deviations : (D,) float64, of a constant column 1

    A column that is constant but for rounding, as a sum of shares is, counts by its mean instead of its deviation: so
    standardised it stays as good as constant.
    """

    means: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, weights: np.ndarray | None = None, rows: np.ndarray | None = None) -> Self:
        """Return the moments of an array (M, D), float32 or float64, in which row i counts as weights[i], (M,) above 0.

        rows : (N,) integers, those that alone are looked at, with as many weights; None: all

        All is summed in float64, of distances from the first row: offsets far above the deviation do not cancel, and
        columns that are constant have a deviation of exactly 0 before it is taken to be 1.
        """
        count = len(array) if rows is None else len(rows)
        shares = np.full(count, 1 / count) if weights is None else weights / weights.max()
        shares = shares / shares.sum()
        largest, first = np.zeros(array.shape[1]), array[0 if rows is None else rows[0]]
        for _, part in _blocks(array, rows):
            largest = np.maximum(largest, np.maximum(part.max(axis=0), -part.min(axis=0)))
        largest[largest == 0] = 1  # else the units in which nothing overflows
        first = first / largest
        sums, squares = np.zeros((2, array.shape[1]))
        for start, part in _blocks(array, rows):
            sums += shares[start : start + BLOCK] @ (part / largest - first)
        for start, part in _blocks(array, rows):
            distances = part / largest - first - sums
            squares += shares[start : start + BLOCK] @ np.square(distances, out=distances)
        means, deviations = (first + sums) * largest, np.sqrt(squares) * largest
        rounding = deviations <= 2 * np.finfo(array.dtype).eps * np.abs(means)
        deviations[rounding] = np.abs(means[rounding])
        deviations[(squares == 0) | (deviations < np.finfo(np.float64).tiny)] = 1
        return cls(means, deviations)

    @property
    def are_standard(self) -> bool:
        """Whether all means are about 0 and all deviations about 1."""
        near = np.abs(self.means) <= NEAR_MEAN
        near &= (self.deviations <= NEAR_DEVIATION) & (self.deviations >= 1 / NEAR_DEVIATION)
        return bool(near.all())

    @property
    def in_one_unit(self) -> Self:
        """The same with the root of the mean square of the deviations for each, where they are alike; else itself."""
        if self.deviations.max() > ALIKE * self.deviations.min():
            return self
        parts, exponent = np.frexp(self.deviations)
        parts = np.ldexp(parts, exponent - exponent.max())  # exact, and their squares are not too large or small
        common = np.ldexp(np.sqrt(np.mean(np.square(parts))), exponent.max())
        return self._replace(deviations=np.full_like(self.deviations, common))

    def standardised(self, array: np.ndarray, rows: np.ndarray | None = None, dtype: Any = None) -> np.ndarray:
        """Return (array - means) / deviations of an array (M, D), computed in float64, in its dtype or another one.

        rows : (N,) integers, those that are wanted; None: all
        """
        out = np.empty((len(array) if rows is None else len(rows), array.shape[1]), dtype or array.dtype)
        means, deviations = (
            self.means / 2,
            self.deviations / 2,
        )  # halves, as a difference of two large numbers overflows
        with np.errstate(over="ignore"):  # the network says what rows it cannot take
            for start, part in _blocks(array, rows):
                part = np.multiply(part, 0.5, dtype=np.float64)
                part -= means
                part /= deviations
                out[start : start + BLOCK] = part
        return out

    def restored(self, array: np.ndarray) -> np.ndarray:
        """Return array * deviations + means of an array (M, D) of standardised values, float64."""
        with np.errstate(over="ignore"):
            return array.astype(np.float64) * self.deviations + self.means

    def fold_into(self, layer: Dense) -> None:
        """Let a layer of standardised rows (N, D) take them as they are, in place."""
        weight = layer.weight / self.deviations[:, None]
        layer.bias = layer.bias - self.means @ weight
        layer.weight = weight

    def unfold_from(self, layer: Dense) -> None:
        """Let a layer with standardised outputs (N, K) give them as they are, in place."""
        layer.weight = layer.weight * self.deviations
        layer.bias = layer.bias * self.deviations + self.means


def _blocks(array: np.ndarray, rows: np.ndarray | None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (rows before, some rows) of all rows of an array, or of those of these numbers."""
    for start in range(0, len(array) if rows is None else len(rows), BLOCK):
        yield start, array[start : start + BLOCK] if rows is None else array[rows[start : start + BLOCK]]
