"""The decoders of CIFAR's binary and python form: from the bytes of files to images and labels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset
from fastmlp.data.layout import FileSpec, LabelSpec, Layout
from fastmlp.data.pickles import load_plain
from fastmlp.errors import DataError

PIXELS = 3072

Raw = Mapping[str, NDArray[np.uint8]]
Split = tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]]]


def decode(layout: Layout, raw: Raw, source: str) -> Dataset:
    """Return the data set that these files hold.

    raw : by file name, its bytes, flat uint8; source : where they came from, for `Dataset.source`

    Raises DataError where a file does not hold what the layout says: length, shape, labels in range, class names.
    """
    read_split, read_names = _FORMS[layout.form]
    train_images, train_labels = _joined(layout, [read_split(layout, spec, raw[spec.name]) for spec in layout.train])
    test_images, test_labels = _joined(layout, [read_split(layout, spec, raw[spec.name]) for spec in layout.test])
    names = read_names(layout, raw)
    for label in layout.labels:
        if not label.classes == len(set(names[label.kind])) == len(names[label.kind]):
            raise DataError(
                f"{layout.dataset} names {len(set(names[label.kind]))} different {label.kind} classes, "
                f"expected {label.classes}. Extract or fetch the archive again."
            )
    return Dataset(layout.dataset, train_images, train_labels, test_images, test_labels, names, source)


def _joined(layout: Layout, parts: list[Split]) -> Split:
    # Concatenation copies: the result owns its memory and is writable, also where the file's bytes are not.
    images = np.concatenate([images for images, _ in parts])
    return images, {s.kind: np.concatenate([labels[s.kind] for _, labels in parts]) for s in layout.labels}


def _checked(label: LabelSpec, values: NDArray[np.int64], file: str) -> NDArray[np.int64]:
    wrong = np.flatnonzero((values < 0) | (values >= label.classes))
    if wrong.size:
        raise DataError(
            f"{file}: {label.kind} label {values[wrong[0]]} of image {wrong[0]} is outside 0..{label.classes - 1}."
        )
    return values


def _binary_split(layout: Layout, spec: FileSpec, content: NDArray[np.uint8]) -> Split:
    width = len(layout.labels) + PIXELS
    if content.size % width or not content.size:
        raise DataError(f"{spec.name} has {content.size:,} bytes, expected whole records of {width} bytes.")
    records = content.reshape(-1, width)
    labels = {
        label.kind: _checked(label, records[:, column].astype(np.int64), spec.name)
        for column, label in enumerate(layout.labels)
    }
    return records[:, len(layout.labels) :], labels


def _binary_names(layout: Layout, raw: Raw) -> dict[str, tuple[str, ...]]:
    return {
        label.kind: tuple(raw[spec.name].tobytes().decode("utf-8", "replace").split())
        for label, spec in zip(layout.labels, layout.names, strict=True)
    }


def _python_split(layout: Layout, spec: FileSpec, content: NDArray[np.uint8]) -> Split:
    batch = load_plain(content, spec.name)
    images = _entry(batch, "data", np.ndarray, spec)
    if images.ndim != 2 or images.shape[1] != PIXELS or not len(images):
        raise DataError(f"{spec.name}: images have shape {images.shape}, expected (M, {PIXELS}).")
    labels = {}
    for label in layout.labels:
        values = _entry(batch, label.stem + "s", list, spec)
        if len(values) != len(images) or not all(type(v) is int and abs(v) < 2**62 for v in values):
            raise DataError(f"{spec.name}: {label.stem}s is not a list of {len(images)} integers.")
        labels[label.kind] = _checked(label, np.array(values, dtype=np.int64), spec.name)
    return images, labels


def _python_names(layout: Layout, raw: Raw) -> dict[str, tuple[str, ...]]:
    (spec,) = layout.names
    meta = load_plain(raw[spec.name], spec.name)
    names = {label.kind: _entry(meta, label.stem + "_names", list, spec) for label in layout.labels}
    if not all(isinstance(name, bytes | str) for some in names.values() for name in some):
        raise DataError(f"{spec.name} holds class names that are no texts.")
    return {
        kind: tuple(name.decode("latin1") if isinstance(name, bytes) else name for name in some)
        for kind, some in names.items()
    }


def _entry(batch: dict[str, Any], key: str, kind: type, spec: FileSpec) -> Any:
    if not isinstance(batch.get(key), kind):
        raise DataError(f"{spec.name} holds no {key} of type {kind.__name__}; it holds {', '.join(sorted(batch))}.")
    return batch[key]


_FORMS: dict[str, tuple[Callable[..., Split], Callable[..., dict[str, tuple[str, ...]]]]] = {
    "binary": (_binary_split, _binary_names),
    "python": (_python_split, _python_names),
}
