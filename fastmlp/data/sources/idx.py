"""Images and labels in IDX files of bytes, as MNIST is published: `*-images-idx3-ubyte`, packed by gzip or not.

A file is two zero bytes, 8 for bytes, the number of axes, each axis as four bytes, highest first, and the array.
"""

import math
import re
from os import fstat
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fastmlp.data.raw import TEST, TRAIN, VALIDATION, Raw
from fastmlp.data.sources.ask import Ask
from fastmlp.data.sources.build import Given, raw_of
from fastmlp.data.sources.packed import DAMAGED, MOST_UNPACKED, unpacked
from fastmlp.errors import DataError
from fastmlp.files import opened

_NAME = re.compile(r"(?P<stem>.*?)[-_.]?(?P<what>images|labels)[-.]idx\d-ubyte(?P<packed>\.gz)?", re.IGNORECASE)
_PART = re.compile(r"(?P<train>train(ing)?)|(?P<validation>val(id(ation)?)?)|(?P<test>t10k|test)", re.IGNORECASE)
_PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
EXPECTED = "train-images-idx3-ubyte with train-labels-idx1-ubyte and the same of t10k or test, with or without .gz"


class _File(NamedTuple):
    path: Path
    stem: str
    what: str


def is_idx(path: Path) -> bool:
    """Whether a path is an IDX file by its name, or a folder with one."""
    return bool(_files(path) if path.is_dir() else _NAME.fullmatch(path.name))


def read_idx(ask: Ask) -> Raw:
    """Read the images and labels of a folder, or one file of images with the labels beside it."""
    target = ask.target_called("label")
    folder = ask.path if ask.path.is_dir() else ask.path.parent
    files = _files(folder)
    images = {one.stem: one.path for one in files if one.what == "images"}
    labels = {one.stem: one.path for one in files if one.what == "labels"}
    if ask.path.is_dir():
        parts = {stem: _part(stem) for stem in images}
        are_one_set = len({_PART.sub("", stem) for stem in images}) == 1 and (
            len(images) == 1 or None not in parts.values()
        )
        if not are_one_set or len(set(parts.values())) < len(parts):
            raise DataError(
                f"it holds {', '.join(one.path.name for one in files)}; expected is one set, {EXPECTED}. Name the "
                "file of images where there are several"
            )
    else:
        given = _NAME.fullmatch(ask.path.name)
        if given is None or given["what"].lower() != "images":
            raise DataError("it is a file of labels; name that of the images, and the labels are looked for beside it")
        images, parts = {given["stem"]: ask.path}, {given["stem"]: None}
    missing = [path.name for stem, path in images.items() if stem not in labels]
    if missing:
        raise DataError(f"{missing[0]} has no labels beside it; expected is {_labels_of(missing[0])}")
    stems = sorted(images, key=lambda stem: parts[stem] or 0)
    if len(stems) == 1 and parts[stems[0]] in (None, TRAIN):
        parts[stems[0]] = None
    given = [Given(_array(images[stem], (2, 3, 4)), _array(labels[stem], (1,)), parts[stem]) for stem in stems]
    return raw_of(ask, given, target, "images of IDX files")


def _labels_of(images: str) -> str:
    return re.sub(r"idx\d", "idx1", re.sub("images", "labels", images, flags=re.IGNORECASE), flags=re.IGNORECASE)


def _files(folder: Path) -> list[_File]:
    """Return the IDX files of a folder; where one lies there packed and unpacked, the latter."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # x.gz before x
        match = _NAME.fullmatch(path.name)
        if match is not None and not path.name.startswith(".") and path.is_file():
            found[match["stem"], match["what"].lower()] = path
    return [_File(path, *key) for key, path in sorted(found.items())]


def _part(stem: str) -> int | None:
    found = _PART.search(stem)
    return _PARTS[str(found.lastgroup)] if found else None


def _array(path: Path, axes: tuple[int, ...]) -> np.ndarray:
    """Return the array of an IDX file, uint8 with so many axes as are allowed, mapped where it is not packed."""
    try:
        with unpacked(path) as file:
            shape, at = _header(file, axes)
            size = math.prod(shape)
            if path.suffix.lower() == ".gz":
                return _content(file, size).reshape(shape)
        with opened(path) as file:
            if (actual := fstat(file.fileno()).st_size) != at + size:
                fault = "it was cut short" if actual < at + size else "more than it says"
                raise DataError(f"it has {actual:,} bytes, expected {at + size:,} for an array of {shape}: {fault}")
            return np.asarray(np.memmap(file, np.uint8, "c", at, shape))
    except DataError as error:
        raise DataError(f"{path.name} cannot be read: {error}. Fetch it again") from error
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of gzip
            raise
        raise DataError(f"{path.name} cannot be unpacked ({error}). Fetch it again") from error


def _header(file: IO[bytes], axes: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != 8:
        raise DataError(f"it begins with {start.hex(' ') or 'nothing'}, and an IDX file of bytes with 00 00 08")
    if start[3] not in axes:
        raise DataError(f"its array has {start[3]} axes, expected are {' or '.join(map(str, axes))}")
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise DataError("it was cut short within its header")
    shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
    if 0 in shape:
        raise DataError(f"its array has shape {shape}: it is empty")
    return shape, 4 + len(lengths)


def _content(file: IO[bytes], size: int) -> np.ndarray:
    if size > MOST_UNPACKED:
        raise DataError(f"it says that it unpacks to {size:,} bytes, and {MOST_UNPACKED:,} are allowed; unpack it")
    content = bytearray()  # it grows with what there is, not with what the header says
    while len(content) <= size and (block := file.read(1 << 20)):
        content += block
    if len(content) != size:
        fault = "it was cut short" if len(content) < size else "it holds more than it says"
        raise DataError(f"its header says {size:,} bytes, and it unpacks to another number: {fault}")
    return np.frombuffer(content, np.uint8)
