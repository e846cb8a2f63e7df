"""The files of a published data set, as a table of names, sizes and checksums, and the check of a file against it."""

import hashlib
from dataclasses import dataclass
from io import BufferedReader

from fastmlp.errors import DataError


@dataclass(frozen=True)
class FileSpec:
    """One published file: its name inside the folder and, where published, its size and checksum."""

    name: str
    size: int | None = None
    """Exact length in bytes, where published."""
    digest: str | None = None
    """Published checksum with its algorithm, such as "md5:03b5...", where there is one."""


@dataclass(frozen=True)
class LabelSpec:
    """One kind of label and the number of its classes."""

    kind: str
    """The key in `Dataset.train_labels`: "coarse" or "fine"."""
    stem: str
    """The name in the python form: the labels are under `stem + "s"`, the class names under `stem + "_names"`."""
    classes: int


@dataclass(frozen=True)
class Layout:
    """One published form of one data set: an archive that holds one folder."""

    dataset: str
    form: str
    """ "binary" or "python"."""
    folder: str
    archive: FileSpec
    train: tuple[FileSpec, ...]
    test: tuple[FileSpec, ...]
    names: tuple[FileSpec, ...]
    """Files of class names: in the binary form one a kind of label, in its order; in the python form one for all."""
    labels: tuple[LabelSpec, ...]
    """Kinds of label, in the order of the bytes that open a binary record."""

    @property
    def files(self) -> tuple[FileSpec, ...]:
        """All files of the folder that are read."""
        return self.train + self.test + self.names


# Bytes. The largest published file has 155 MB, and class names take a thousandth of a megabyte: a file of unknown
# length that has more is none of them.
LARGEST, LARGEST_NAMES = 200_000_000, 1 << 20


def check_member(layout: Layout, spec: FileSpec, where: str, size: int, advice: str) -> None:
    """Raise DataError unless a file has its published size, or a possible one where none is published; in bytes.

    where : names the file in the message; advice : what to do, its last sentence
    """
    most = LARGEST_NAMES if spec in layout.names else LARGEST
    if spec.size is None and size > most:
        raise DataError(f"{where} claims {size:,} bytes, more than any published file; {most:,} are allowed. {advice}")
    check_size(spec, where, size, advice)


def check_size(spec: FileSpec, where: str, size: int, advice: str) -> None:
    """Raise DataError unless a file has its published size in bytes, if one is published; see `check_member`."""
    if spec.size is not None and size != spec.size:
        fault = "it was cut short" if size < spec.size else "it is another file"
        raise DataError(f"{where} has {size:,} bytes, expected {spec.size:,}: {fault}. {advice}")


def check_digest(spec: FileSpec, where: str, content: BufferedReader | memoryview, advice: str) -> None:
    """Raise DataError unless the content has the published checksum, if one is published; see `check_member`."""
    if spec.digest is None:
        return
    algorithm, expected = spec.digest.split(":")
    if isinstance(content, memoryview):
        actual = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    else:
        actual = hashlib.file_digest(content, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    if actual != expected:
        raise DataError(f"{where} is altered: its {algorithm.upper()} is {actual}, expected {expected}. {advice}")
