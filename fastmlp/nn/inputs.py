"""The inputs of a network: rows of a float array, or uint8 images that are normalised as they are gathered.

All inputs have a length, a number of features and `gather(index, out)`; those of this module can also be read by
compiled code without a call for each batch.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from fastmlp.errors import ConfigError, DataError
from fastmlp_kernels import _check, jit
from fastmlp_kernels._rows import Rows


@runtime_checkable
class Input(Protocol):
    """M rows of D values, of which any N can be gathered into a batch buffer (N, D)."""

    @property
    def features(self) -> int:
        """Values in a row, D."""
        ...

    def __len__(self) -> int: ...

    def gather(self, index: np.ndarray, out: np.ndarray) -> None:
        """Write the rows `index` (N,) int64, each in [0, len), to out (N, D). The index is not checked."""
        ...


@runtime_checkable
class DirectInput(Input, Protocol):
    """Rows that compiled code may read where they lie, without a call for each batch."""

    def source(self) -> Rows | None:
        """Return the rows as they lie in memory, or None where only `gather` can read them."""
        ...


@runtime_checkable
class EpochInput(Input, Protocol):
    """Rows that are drawn anew for each epoch, such as augmented images."""

    def begin_epoch(self, rng: np.random.Generator) -> None:
        """Draw the rows of the next epoch."""
        ...


class ArrayInput:
    """Rows of an array x (M, D) of real numbers, taken as they are.

    rows : (m,) integers, the rows to use, in this order; all where None. They are not copied.
    is_finite : whether somebody looked through x before, which reads all of it

    Raises DataError for another shape, for no rows, or where x holds NaN or infinity; TypeError where it is masked.
    """

    def __init__(self, x: np.ndarray, rows: np.ndarray | None = None, *, is_finite: bool = False) -> None:
        _check.unmasked(x=x)
        x = np.asarray(x)
        if x.ndim != 2 or 0 in x.shape:
            raise DataError(f"inputs have shape {x.shape}, expected (rows, features) with at least one of each")
        if x.dtype.kind not in "fiub":
            raise DataError(f"inputs have dtype {x.dtype}, expected real numbers: convert with .astype('float32')")
        # in parts: of all at once, the answers would take a quarter of x's memory
        for start in range(0, 0 if is_finite else len(x), 1024):
            part = x[start : start + 1024]
            with np.errstate(over="ignore", invalid="ignore"):
                squares = np.vdot(part, part)  # one pass, several times as fast, which finite squares answer
            if np.isfinite(squares):
                continue
            finite = np.isfinite(part).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise DataError(f"inputs hold NaN or infinity, first in row {row}: clean or drop such rows")
        self._x, self._rows = x, None if rows is None else checked_rows("rows", rows, len(x))
        self._fitting: np.dtype | None = None  # the last dtype that was found to hold all of x

    @property
    def features(self) -> int:
        """Values in a row, D."""
        return self._x.shape[1]

    def __len__(self) -> int:
        return len(self._x if self._rows is None else self._rows)

    def check_fits(self, dtype: np.dtype) -> None:
        """Raise DataError where a number is too large for this dtype, that of a network."""
        if self._x.dtype.kind != "f" or self._x.dtype.itemsize <= dtype.itemsize or dtype == self._fitting:
            return
        largest = np.finfo(dtype).max
        for start in range(0, len(self._x), 1024):
            part = self._x[start : start + 1024]
            if part.max() > largest or part.min() < -largest:
                row = start + int(np.argmax((np.abs(part) > largest).any(axis=1)))
                raise DataError(
                    f"inputs hold numbers that {dtype} cannot hold, first in row {row}: scale them, or use a network "
                    "with precision float64"
                )
        self._fitting = dtype

    def gather(self, index: np.ndarray, out: np.ndarray) -> None:
        """Write the rows `index` (N,) to out (N, D)."""
        index = index if self._rows is None else self._rows[index]
        if self._x.dtype == out.dtype:
            np.take(self._x, index, axis=0, out=out, mode="clip")  # "raise" would buffer the whole output
        else:
            out[...] = self._x[index]

    def source(self) -> Rows | None:
        """Return the array itself where it is float32 or float64 and C-contiguous."""
        readable = self._x.dtype in (np.float32, np.float64) and self._x.flags.c_contiguous
        return Rows(self._x, self._rows) if readable else None


def checked_rows(name: str, rows: np.ndarray, stop: int) -> np.ndarray:
    """Return row numbers, checked, as contiguous int64 (m,); DataError unless they are one or more in [0, stop).

    rows : (m,) of any integer dtype; name : of the argument, for the message
    """
    _check.unmasked(**{name: rows})
    rows = np.asarray(rows)
    if rows.ndim != 1 or len(rows) == 0 or rows.dtype.kind not in "iu":  # a mask would be taken for indices 0 and 1
        raise DataError(f"{name} are {rows.dtype} of shape {rows.shape}, expected integers: np.flatnonzero of a mask")
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    if rows.min() < 0 or rows.max() >= stop:
        raise DataError(f"{name} hold {rows.min()} to {rows.max()}, allowed is 0 to {stop - 1}")
    return rows


class ImageInput:
    """uint8 images, normalised as (x - mean) * inv_std while a batch is gathered, so that no float copy exists.

    images : (M, D) uint8
    mean, inv_std : (M, C) float32 or float64 from `fastmlp_kernels.image_moments`, C a divisor of D; the batch buffer
        must have their dtype
    rows : (m,) int64, the images to use, in this order; all where None. They are not copied.

    Raises DataError where the arrays do not fit each other or hold NaN, TypeError where one is masked.
    """

    def __init__(
        self, images: np.ndarray, mean: np.ndarray, inv_std: np.ndarray, rows: np.ndarray | None = None
    ) -> None:
        _check.unmasked(images=images, mean=mean, inv_std=inv_std)
        images = np.ascontiguousarray(images)
        if images.dtype != np.uint8 or images.ndim != 2 or 0 in images.shape:
            raise DataError(f"images are {images.dtype} of shape {images.shape}, expected uint8 (images, values)")
        mean, inv_std = np.ascontiguousarray(mean), np.ascontiguousarray(inv_std)
        fits = mean.shape == inv_std.shape and mean.dtype == inv_std.dtype and mean.shape[:1] == images.shape[:1]
        if not fits or mean.ndim != 2 or mean.shape[1] == 0 or images.shape[1] % mean.shape[1]:
            raise DataError(
                f"mean {mean.dtype} {mean.shape} and inv_std {inv_std.dtype} {inv_std.shape} do not fit images "
                f"{images.shape}: expected two (images, C) arrays of one dtype, C a divisor of the values in an image"
            )
        if not (np.isfinite(mean).all() and np.isfinite(inv_std).all()):
            raise DataError("mean or inv_std holds NaN or infinity")
        index = checked_rows("rows", np.arange(len(images)) if rows is None else rows, len(images))
        self._source = Rows(images, index, mean, inv_std)
        self._picked = np.empty(0, np.int64)

    @property
    def features(self) -> int:
        """Values in a row, D."""
        return self._source.x.shape[1]

    def __len__(self) -> int:
        return len(self._source.index)

    def gather(self, index: np.ndarray, out: np.ndarray) -> None:
        """Write the normalised rows `index` (N,) to out (N, D)."""
        x, rows, center, scale = self._source
        if out.dtype != center.dtype:
            raise ConfigError(
                f"the network computes in {out.dtype}, the images' mean and inv_std are {center.dtype}: "
                "make them with the network's dtype"
            )
        if len(self._picked) < len(index):
            self._picked = np.empty(len(index), np.int64)
        picked = self._picked[: len(index)]
        np.take(rows, index, out=picked, mode="clip")
        jit.gather_normalize(x, picked, center, scale, out)

    def source(self) -> Rows:
        """Return the images and their moments."""
        return self._source


def as_input(x: "Input | np.ndarray") -> Input:
    """Return x itself if it is an input, or an `ArrayInput` of the array x (M, D) of any real dtype."""
    # the usual ones first: to ask for a protocol takes ten microseconds
    if isinstance(x, np.ndarray) or not isinstance(x, ArrayInput | ImageInput | Input):
        return ArrayInput(x)
    return x
