"""The record in which every data set reaches training."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of one data set, in a training and a test part as published.

    train_images, test_images : (M, 3072) uint8: 1024 red, 1024 green, then 1024 blue bytes, each plane 32 x 32, row by
        row; the M of either part
    train_labels, test_labels : by kind of label, (M,) int64; "fine" always, "coarse" where the set has it
    """

    name: str
    """ "cifar100", "cifar10" or "embedded"."""
    train_images: NDArray[np.uint8]
    train_labels: Mapping[str, NDArray[np.int64]]
    test_images: NDArray[np.uint8]
    test_labels: Mapping[str, NDArray[np.int64]]
    label_names: Mapping[str, tuple[str, ...]]
    """For each kind of label, the class names; label `k` is called `label_names[kind][k]`."""
    source: str
    """Where the data came from, in words, without a path."""
    notice: str = ""
    """One line for the user where this is not the data set that they asked for; else empty."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all pixels and labels, sixteen hexadecimal digits; the same for every published form of one set."""
        digest = hashlib.sha256()
        for images, labels in ((self.train_images, self.train_labels), (self.test_images, self.test_labels)):
            digest.update(repr(images.shape).encode())
            digest.update(np.ascontiguousarray(images).data)
            for kind in sorted(labels):
                digest.update(kind.encode())
                digest.update(np.ascontiguousarray(labels[kind], dtype="<i8").data)
        return digest.hexdigest()[:16]
