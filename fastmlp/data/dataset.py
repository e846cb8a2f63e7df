"""The record in which every data set reaches training."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastmlp.errors import ConfigError, DataError

if TYPE_CHECKING:
    from fastmlp.data.reading import Reading

# The kinds of targets, as they lie: the dtypes, and the axes.
KINDS = {
    "classes": ("int64", (1,), "(M,) int64, a class a row"),
    "labels": ("uint8", (2,), "(M, L) uint8, 0 or 1 a label"),
    "numbers": ("float64", (1, 2), "(M,) or (M, T) float64"),
}
PARTS = ("train", "validation", "test")
OF_ROWS = ("weights", "groups", "validation_weights", "test_weights")  # a number a row of a part
CIFAR_SHAPE = (3, 32, 32)


class Outline(NamedTuple):
    """A fold, or a data set without folds, in numbers: its width, and the rows of each part, 0 where it has none."""

    width: int
    train: int
    validation: int
    test: int

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return self.train + self.validation + self.test


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows and targets of one data set, in a training and a test part, and where it has one a validation part.

    train_images, test_images : (M, D) uint8 images: each channel's plane, row by row, one after the other (CIFAR: 1024
        red, 1024 green, then 1024 blue bytes); or rows of D features, float32 or float64; the M of either part
    train_labels, test_labels : by name of the target, of a kind of `KINDS`: (M,) int64 classes; (M, L) uint8, several
        labels that each hold or do not; (M,) or (M, T) float64 numbers. CIFAR: "fine" always, "coarse" where it is
    validation_images, validation_labels : the same of a validation part; None where each run splits one off
    weights : (M,) float64 from 0 on, how much each row of the training part counts; None: all the same
    validation_weights, test_weights : the same of the other parts, in their losses and in the metrics of the test
    groups : (M,) int64, for the training part: rows of one group are never split; None: each is one of its own
    """

    name: str
    """ "cifar100", "cifar10", "embedded", or a user's own."""
    train_images: np.ndarray
    train_labels: Mapping[str, np.ndarray]
    test_images: np.ndarray
    test_labels: Mapping[str, np.ndarray]
    label_names: Mapping[str, tuple[str, ...]]
    """For each target, the names of its classes, labels or numbers; class `k` is called `label_names[target][k]`."""
    source: str
    """Where the data came from, in words, without a path."""
    notice: str = ""
    """One line for the user where this is not the data set that they asked for; else empty."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """For each target, its kind; "classes" where it is not here."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width of an image, also of floats; None: not known (3072 bytes are CIFAR's), or no image."""
    features: tuple[str, ...] = ()
    """Names of the D features, or none."""
    validation_images: np.ndarray | None = None
    validation_labels: Mapping[str, np.ndarray] | None = None
    weights: np.ndarray | None = None
    validation_weights: np.ndarray | None = None
    test_weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    reading: "Reading | None" = None
    """How others of the same source become rows, for a model's predictions; None where the rows are all there is."""
    words: str = ""
    """How the rows were split into parts, in words; empty for a published data set's own parts."""
    folds: "Sequence[Dataset]" = ()
    """Of a cross-validation a data set for each fold, which may be made when it is asked for: each has parts, features
    and width of its own, and the same targets. The other fields are then those of the first one, but for `words`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", dict.fromkeys(self.label_names, "classes") | dict(self.kinds))
        if self.shape is None and self.of_images and self.train_images.shape[1:] == (3072,):
            object.__setattr__(self, "shape", CIFAR_SHAPE)

    @property
    def of_images(self) -> bool:
        """Whether the rows are images, bytes; else they are features."""
        return self.train_images.dtype == np.uint8

    @property
    def width(self) -> int:
        """Values in a row, D."""
        return self.train_images.shape[1]

    @property
    def channels(self) -> int:
        """Planes of an image, see `channels_of`."""
        return channels_of(self.shape, self.width)

    def parts(self) -> Iterator[tuple[str, np.ndarray, Mapping[str, np.ndarray]]]:
        """Yield name, rows and targets of each part that there is."""
        for part in PARTS:
            rows, targets = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if rows is not None:
                yield part, rows, targets

    def of_fold(self, fold: int) -> "Dataset":
        """Return the data set of a fold, counted from 1, or this one for 0; ConfigError where there is no such fold."""
        if not self.folds and fold == 0:
            return self
        if not 1 <= fold <= len(self.folds):
            allowed = f"1 to {len(self.folds)}, its folds" if self.folds else "0, as it has no folds"
            raise ConfigError(f"fold is {fold}; allowed with {self.name} is {allowed}.")
        return self.folds[fold - 1]

    def each_fold(self) -> "Iterator[tuple[int, Dataset]]":
        """Yield number and data set of each fold, or 0 and this one where there are none."""
        yield from enumerate(self.folds, 1) if self.folds else [(0, self)]

    @cached_property
    def outlines(self) -> Mapping[int, Outline]:
        """The outline of each fold by its number, or of this data set by 0."""
        return {fold: one.outline() for fold, one in self.each_fold()}

    def outline(self) -> Outline:
        """Return the outline of these rows alone."""
        sizes = {part: len(rows) for part, rows, _ in self.parts()}
        return Outline(self.width, *(sizes.get(part, 0) for part in PARTS))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all rows and targets and of what they mean, sixteen hexadecimal digits; of folds, that of theirs.

        The same for every published form of one set. Of what is as in CIFAR, images of bytes and classes in two parts,
        names and shape are not hashed, so that such sets keep the name that they always had.
        """
        if self.folds:
            return fingerprint_of(fold.fingerprint for fold in self.folds)
        digest = hashlib.sha256()
        for part, rows, targets in self.parts():
            if part == "validation":
                digest.update(b"validation")
            digest.update(repr(rows.shape).encode())
            _update(digest, rows)
            for name in sorted(targets):
                digest.update(name.encode())
                _update(digest, targets[name], "<i8" if self.kinds[name] == "classes" else None)
        for name in OF_ROWS:
            if (array := getattr(self, name)) is not None:
                digest.update(name.encode())
                _update(digest, array)
        shape = None if self.shape == CIFAR_SHAPE else self.shape
        more = [self.train_images.dtype.name, sorted(self.kinds.items()), shape, self.features]
        if more != ["uint8", [(name, "classes") for name in sorted(self.kinds)], None, ()]:
            names = {name: list(some) for name, some in self.label_names.items()}
            digest.update(json.dumps([*more, names], sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def check(self) -> None:
        """Raise DataError for arrays, names or shapes that are not as above, and for numbers that are not finite."""
        if (self.validation_images is None) != (self.validation_labels is None):
            raise DataError("validation_images and validation_labels belong together; one of them is missing.")
        if set(self.kinds) != set(self.label_names):
            raise DataError(f"kinds has {', '.join(self.kinds)}, and label_names {', '.join(self.label_names)}.")
        first, width = self.train_images, self.train_images.shape[-1:]
        for part, rows, targets in self.parts():
            _check_rows(f"{part}_images", rows)
            if rows.shape[1:] != width or rows.dtype != first.dtype:
                raise DataError(
                    f"train_images are {first.dtype} with {width[0]} values each and {part}_images {rows.dtype} with "
                    f"{rows.shape[1]}; expected the same."
                )
            if set(targets) != set(self.label_names) or not targets:
                there = ", ".join(targets) or "none"
                raise DataError(f"{part}_labels has {there}, and label_names {', '.join(self.label_names) or 'none'}.")
            for name, one in targets.items():
                _check_target(f"{part}_labels[{name!r}]", one, self.kinds[name], len(rows), self.label_names[name])
        self._check_meaning()
        self._check_of_rows("groups", self.groups, first, "training", "iu")
        self._check_of_rows("weights", self.weights, first, "training")
        self._check_of_rows("validation_weights", self.validation_weights, self.validation_images, "validation")
        self._check_of_rows("test_weights", self.test_weights, self.test_images, "test")

    def _check_of_rows(
        self, name: str, array: np.ndarray | None, rows: np.ndarray | None, part: str, kind: str = "f"
    ) -> None:
        """Raise DataError unless an array, where there is one, has a number of its kind for each row of the part."""
        if array is None:
            return
        if rows is None or array.shape != (len(rows),) or array.dtype.kind not in kind:
            raise DataError(f"{name} are {array.dtype} of shape {array.shape}, expected one a {part} row.")
        if kind == "f" and not (array.min() >= 0 and 0 < array.max() < np.inf):
            raise DataError(
                f"{name} hold {array.min()} to {array.max()}; allowed are finite numbers from 0 on, not all 0: of the "
                f"{part} rows one must count. Split the rows otherwise, or give other weights."
            )

    def _check_meaning(self) -> None:
        shape = self.shape
        if shape is not None and (len(shape) != 3 or min(shape) < 1 or prod(map(int, shape)) != self.width):
            raise DataError(
                f"shape is {shape}, and rows of {self.width} values are no such images; expected (channels, height, "
                "width)."
            )
        if len(self.features) not in (0, self.width):
            raise DataError(f"features are {len(self.features)} names, expected {self.width}, one a feature, or none.")


def fingerprint_of(folds: Iterable[str]) -> str:
    """Return the fingerprint of a cross-validation from those of its folds."""
    return hashlib.sha256(json.dumps({"folds": list(folds)}).encode()).hexdigest()[:16]


def channels_of(shape: tuple[int, ...] | None, width: int) -> int:
    """Return how many planes an image of `width` values has; of an unknown shape 3 where that divides it, else 1."""
    if shape is not None:
        return shape[0]
    return 1 if width % 3 else 3


def check_target_named(dataset: Dataset, name: str) -> None:
    """Raise ConfigError where a data set has no target of this name."""
    if name not in dataset.label_names:
        raise ConfigError(f"labels is {name!r}; {dataset.name} has {', '.join(dataset.label_names)}.")


def _update(digest: "hashlib._Hash", array: np.ndarray, dtype: str | None = None) -> None:
    """Add an array's numbers to a digest, of this dtype or their own, in the order of bytes of most machines."""
    digest.update(np.ascontiguousarray(array, dtype=dtype or array.dtype.newbyteorder("<")).data)


def _check_rows(name: str, rows: np.ndarray) -> None:
    if rows.ndim != 2 or 0 in rows.shape or rows.dtype not in (np.uint8, np.float32, np.float64):
        raise DataError(
            f"{name} are {rows.dtype} of shape {rows.shape}; expected (M, D) with at least one of each: uint8 images, "
            "or float32 or float64 features. Convert others with .astype('float32')."
        )
    if rows.dtype != np.uint8:
        _check_finite(name, rows)


def _check_finite(name: str, array: np.ndarray) -> None:
    for start in range(0, len(array), 1024):  # in parts: of all at once, the answers would take a quarter of it
        part = array[start : start + 1024]
        if not np.isfinite(part).all():
            row = start + int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(axis=1)))
            raise DataError(f"{name} hold NaN or infinity, first in row {row}: clean or drop such rows.")


def _check_target(name: str, array: np.ndarray, kind: str, rows: int, names: tuple[str, ...]) -> None:
    if kind not in KINDS:
        raise DataError(f"the kind of {name} is {kind!r}; allowed are {', '.join(KINDS)}.")
    dtype, axes, words = KINDS[kind]
    wide = 1 if array.ndim < 2 else array.shape[-1]
    if array.dtype != dtype or array.ndim not in axes or len(array) != rows or (kind != "classes" and not wide):
        raise DataError(f"{name} is {array.dtype} of shape {array.shape}; expected {words}, with M = {rows}.")
    if kind == "numbers":
        _check_finite(name, array)
    most = len(names) - 1 if kind == "classes" else 1
    if kind != "numbers" and (array.min() < 0 or array.max() > most):
        raise DataError(f"{name} holds {array.min()} to {array.max()}; allowed is 0 to {most}.")
    if not names or (kind != "classes" and len(names) != wide):
        raise DataError(f"{name} has {wide} a row, and label_names has {len(names)} names for it; expected one each.")
