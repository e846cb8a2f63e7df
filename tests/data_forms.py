"""CIFAR's published forms in miniature: the same files, layouts and pickles, with a dozen images in them."""

import hashlib
import io
import struct
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastmlp.data.cifar import LAYOUTS
from fastmlp.data.layout import FileSpec, LabelSpec, Layout

FORMS = [(layout.dataset, layout.form) for layout in LAYOUTS]
IMAGES = 6  # images a file


@dataclass
class Miniature:
    """One form in small: its layout with true sizes and checksums, its files, and what they hold."""

    layout: Layout
    files: dict[str, bytes]
    images: np.ndarray
    labels: dict[str, np.ndarray]

    def folder(self, parent: Path) -> Path:
        """Write the extracted folder and return it."""
        folder = parent / self.layout.folder
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder

    def archive(self, parent: Path, members: list[tarfile.TarInfo] | None = None) -> Path:
        """Write the archive, further members first, seal the layout with its checksum, and return its path."""
        parent.mkdir(parents=True, exist_ok=True)
        path = parent / self.layout.archive.name
        with tarfile.open(path, "w:gz") as archive:
            for member in members or []:
                archive.addfile(member, io.BytesIO(b"x" * member.size) if member.isreg() else None)
            for name, content in self.files.items():
                member = tarfile.TarInfo(f"{self.layout.folder}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        self.layout = replace(self.layout, archive=spec(path.name, path.read_bytes(), "md5"))
        return path


def spec(name: str, content: bytes, algorithm: str) -> FileSpec:
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    return FileSpec(name, len(content), f"{algorithm}:{digest}")


def miniature(dataset: str, form: str) -> Miniature:
    """Make a form; the images are the same in both forms of a data set. CIFAR-100 gets 3 and 7 classes, CIFAR-10 4."""
    real = next(one for one in LAYOUTS if (one.dataset, one.form) == (dataset, form))
    labels = tuple(
        replace(label, classes={"coarse": 3, "fine": 7 if dataset == "cifar100" else 4}[label.kind])
        for label in real.labels
    )
    rng = np.random.default_rng(7)
    count = IMAGES * len(real.train + real.test)
    images = rng.integers(0, 256, (count, 3072)).astype(np.uint8)
    values = {label.kind: rng.integers(0, label.classes, count) for label in labels}
    files: dict[str, bytes] = {}
    for number, one in enumerate(real.train + real.test):
        rows = slice(number * IMAGES, (number + 1) * IMAGES)
        files[one.name] = WRITERS[form](labels, images[rows], {kind: v[rows] for kind, v in values.items()})
    files |= NAME_WRITERS[form](labels, [one.name for one in real.names])
    sealed = {name: spec(name, content, "sha1") for name, content in files.items()}
    layout = replace(
        real,
        train=tuple(sealed[one.name] for one in real.train),
        test=tuple(sealed[one.name] for one in real.test),
        names=tuple(sealed[one.name] for one in real.names),
        labels=labels,
    )
    return Miniature(layout, files, images, values)


def class_names(label: LabelSpec) -> list[str]:
    return [f"{label.kind}_{number}" for number in range(label.classes)]


def _binary(labels: tuple[LabelSpec, ...], images: np.ndarray, values: dict[str, np.ndarray]) -> bytes:
    heads = [values[label.kind][:, None].astype(np.uint8) for label in labels]
    return np.hstack([*heads, images]).tobytes()


def _binary_names(labels: tuple[LabelSpec, ...], names: list[str]) -> dict[str, bytes]:
    # CIFAR-10's file ends in an empty line.
    return {name: ("\n".join(class_names(label)) + "\n\n").encode() for name, label in zip(names, labels, strict=True)}


def _python(labels: tuple[LabelSpec, ...], images: np.ndarray, values: dict[str, np.ndarray]) -> bytes:
    batch: dict[str, object] = {"batch_label": "training batch", "data": images, "filenames": ["a_1.png", "b_2.png"]}
    return python2_pickle(batch | {f"{label.stem}s": values[label.kind].tolist() for label in labels})


def _python_names(labels: tuple[LabelSpec, ...], names: list[str]) -> dict[str, bytes]:
    (name,) = names
    return {name: python2_pickle({f"{label.stem}_names": class_names(label) for label in labels})}


WRITERS = {"binary": _binary, "python": _python}
NAME_WRITERS = {"binary": _binary_names, "python": _python_names}


def python2_pickle(value: object) -> bytes:
    """Write a pickle as Python 2 and its numpy did, protocol 2: byte strings, and arrays by _reconstruct."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: object) -> bytes:
    match value:
        case dict():
            return b"}(" + b"".join(_pickled(key) + _pickled(item) for key, item in value.items()) + b"u"
        case list():
            return b"](" + b"".join(map(_pickled, value)) + b"e"
        case int():
            return b"J" + struct.pack("<i", value)
        case str():
            return _string(value.encode())
        case np.ndarray():
            shape = b"".join(_pickled(int(n)) for n in value.shape) + b"\x86"
            state = b"(K\x01" + shape + _dtype("u1") + b"\x89" + _string(value.tobytes()) + b"t"
            made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            return made + state + b"b"
    raise TypeError(type(value))


def _dtype(code: str) -> bytes:
    state = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    return b"cnumpy\ndtype\n" + _string(code.encode()) + b"K\x00K\x01\x87R" + state + b"b"


def _string(content: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(content)) + content
