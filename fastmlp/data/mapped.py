"""A data set as files that any number of processes map into memory, so that one copy of the images serves them all.

A process reads the files block by block and compares digests before it maps them, so that no network learns from what a
power cut or a bad disk made of them. `facts.json` holds the digests, and a digest of itself.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.data.dataset import Dataset
from fastmlp.errors import DataError, OutputError, remedy
from fastmlp.files import json_of, make_folder, opened, read_small, replacing, write_whole
from fastmlp.npy import mapped, read_header, read_zip

_PARTS = ("train", "test")
_BLOCK = 16 << 20  # bytes under one digest; SHA-256 takes 0.2 s for all of CIFAR's 184 MB
_FACTS, _MOST_FACTS = "facts.json", 1 << 22


def write_mapped(dataset: Dataset, folder: Path) -> Dataset:
    """Write the data set into `folder`, unless that holds it already, and return it as mapped from there."""
    try:
        return read_mapped(folder, dataset.fingerprint)
    except DataError:
        pass
    facts: dict[str, Any] = {name: getattr(dataset, name) for name in ("name", "label_names", "source", "notice")}
    facts |= {"fingerprint": dataset.fingerprint, "digests": {}}
    try:
        make_folder(folder)
        (folder / _FACTS).unlink(missing_ok=True)  # written last: it says that the others are whole
        for part in _PARTS:
            images = np.ascontiguousarray(getattr(dataset, f"{part}_images"))
            labels = {kind: np.ascontiguousarray(one) for kind, one in getattr(dataset, f"{part}_labels").items()}
            with replacing(folder / f"{part}_images.npy") as file:
                np.save(file.file, images)
            with replacing(folder / f"{part}_labels.npz") as file:
                np.savez(file.file, **labels)  # type: ignore[arg-type] - none is "allow_pickle"
            facts["digests"][part] = {"images": _digests(_blocks(images)), "labels": _of_labels(labels)}
        write_whole(folder / _FACTS, json.dumps({"facts": facts, "sha256": _of_facts(facts)}))
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{folder} cannot take the data set ({error}). {remedy(error, 'choose another folder')}"
        ) from error
    return read_mapped(folder, dataset.fingerprint)


def read_mapped(folder: Path, fingerprint: str) -> Dataset:
    """Return the data set of this fingerprint in `folder`, mapped; DataError where it is missing or damaged."""
    try:
        document = json_of(read_small(folder / _FACTS, _MOST_FACTS))
        facts = document["facts"]
        if document["sha256"] != _of_facts(facts):
            raise DataError(f"{_FACTS} is damaged")
        if facts["fingerprint"] != fingerprint:
            raise DataError(f"{folder} holds another data set than {fingerprint}")
        words = {name: facts[name] for name in ("name", "source", "notice")}
        names = {str(kind): tuple(some) for kind, some in facts["label_names"].items()}
        if not all(isinstance(word, str) for word in (*words.values(), *(n for some in names.values() for n in some))):
            raise DataError(f"{_FACTS} has other things than names")
        arrays: dict[str, Any] = {}
        for part in _PARTS:
            images = _images(folder / f"{part}_images.npy", facts["digests"][part]["images"])
            labels = read_zip(folder / f"{part}_labels.npz")
            if _of_labels(labels) != facts["digests"][part]["labels"]:
                raise DataError(f"{part}_labels.npz is not what was written")
            _check(images, labels, names)
            arrays |= {f"{part}_images": images, f"{part}_labels": labels}
        dataset = Dataset(**words, **arrays, label_names=names)
    except Exception as error:  # a damaged file can raise nearly anything
        raise DataError(f"{folder} holds no whole data set ({error})") from error
    dataset.__dict__["fingerprint"] = fingerprint  # known: to hash all pixels for it again would double the time
    return dataset


def _images(path: Path, digests: list[str]) -> np.ndarray:
    with opened(path) as file:
        file.seek(read_header(file, path.stat().st_size).at)
        actual = _digests(iter(lambda: file.read(_BLOCK), b""))
    if actual != digests:
        wrong = next((i for i, (a, b) in enumerate(zip(actual, digests, strict=False)) if a != b), len(actual))
        raise DataError(f"{path.name} is not what was written, in block {wrong} of {len(actual)}")
    # "c": pages are shared until someone writes, which nobody does; compiled code takes read-only arrays for another
    # type, and would be compiled anew
    return np.asarray(mapped(path, "c"))


def _check(images: np.ndarray, labels: dict[str, np.ndarray], names: dict[str, tuple[str, ...]]) -> None:
    fit = images.dtype == np.uint8 and images.ndim == 2 and 0 not in images.shape and bool(names)
    if not fit or set(labels) != set(names):
        raise DataError(f"its images are {images.dtype} of shape {images.shape}, with labels {', '.join(labels)}")
    for kind, one in labels.items():
        if one.dtype != np.int64 or one.shape != (len(images),) or one.min() < 0 or one.max() >= len(names[kind]):
            raise DataError(f"its {kind} labels are not one of {len(names[kind])} classes an image")


def _blocks(array: np.ndarray) -> Iterable[memoryview]:
    content = array.reshape(-1).view(np.uint8).data
    return (content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK))


def _digests(blocks: Iterable[bytes | memoryview]) -> list[str]:
    return [hashlib.sha256(block).hexdigest() for block in blocks]


def _of_labels(labels: dict[str, np.ndarray]) -> dict[str, list[str]]:
    return {kind: _digests(_blocks(one)) for kind, one in labels.items()}


def _of_facts(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
