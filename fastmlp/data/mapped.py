"""A data set as files that any number of processes map into memory, so that one copy of the rows serves them all.

A process reads the files block by block and compares digests before it maps them, so that no network learns from what a
power cut or a bad disk made of them. `facts.json` holds the digests, and a digest of itself.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.data.dataset import OF_ROWS, PARTS, Dataset
from fastmlp.data.folds import joined
from fastmlp.data.reading import Reading
from fastmlp.errors import DataError, OutputError, remedy
from fastmlp.files import json_of, make_folder, opened, read_small, replacing, write_whole
from fastmlp.npy import mapped, read_header, read_zip

_WORDS = ("name", "source", "notice", "words")
_MEANING = ("kinds", "shape", "features")
_BLOCK = 16 << 20  # bytes under one digest; SHA-256 takes 0.2 s for all of CIFAR's 184 MB
_FACTS, _MOST_FACTS = "facts.json", 1 << 26  # bytes: a million names of classes or features


def write_mapped(dataset: Dataset, folder: Path, prefix: str = "") -> Dataset:
    """Write the data set into `folder`, unless that holds it already, and return it as mapped from there.

    Of one with folds each is written, and only one of them is in memory at a time.
    prefix : with which the names of its files begin
    """
    try:
        return read_mapped(folder, dataset.fingerprint, prefix)
    except DataError:
        pass
    facts: dict[str, Any] = {name: getattr(dataset, name) for name in (*_WORDS, "label_names", *_MEANING)}
    facts |= {"fingerprint": dataset.fingerprint, "digests": {}}
    facts["reading"] = None if dataset.reading is None else dataset.reading.to_json()
    try:
        make_folder(folder)
        (folder / f"{prefix}{_FACTS}").unlink(missing_ok=True)  # written last: it says that the others are whole
        folds = [write_mapped(fold, folder, _prefix(i)) for i, fold in enumerate(dataset.folds)]
        facts["folds"] = [fold.fingerprint for fold in folds]
        for part, rows, targets in dataset.parts() if not folds else ():
            images = np.ascontiguousarray(rows)
            with replacing(folder / f"{prefix}{part}_images.npy") as file:
                np.save(file.file, images)
            labels = _write_all(folder / f"{prefix}{part}_labels.npz", targets)
            facts["digests"][part] = {"images": _digests(_blocks(images)), "labels": labels}
        of_rows = {name: array for name in OF_ROWS if (array := getattr(dataset, name)) is not None}
        if of_rows and not folds:
            facts["digests"]["rows"] = _write_all(folder / f"{prefix}rows.npz", of_rows)
        write_whole(folder / f"{prefix}{_FACTS}", json.dumps({"facts": facts, "sha256": _of_facts(facts)}))
        if folds:  # which were read anew just now
            return joined(folds, dataset.words)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{folder} cannot take the data set ({error}). {remedy(error, 'choose another folder')}"
        ) from error
    return read_mapped(folder, dataset.fingerprint, prefix)


def _prefix(fold: int) -> str:
    return f"fold-{1 + fold}-"


def read_mapped(folder: Path, fingerprint: str, prefix: str = "") -> Dataset:
    """Return the data set of this fingerprint in `folder`, mapped; DataError where it is missing or damaged."""
    try:
        document = json_of(read_small(folder / f"{prefix}{_FACTS}", _MOST_FACTS))
        facts = document["facts"]
        if document["sha256"] != _of_facts(facts):
            raise DataError(f"{_FACTS} is damaged")
        if facts["fingerprint"] != fingerprint:
            raise DataError(f"{folder} holds another data set than {fingerprint}")
        if facts["folds"]:
            folds = [read_mapped(folder, str(one), _prefix(i)) for i, one in enumerate(facts["folds"])]
            if (dataset := joined(folds, str(facts["words"]))).fingerprint != fingerprint:
                raise DataError(f"{folder} holds other folds")
            return dataset
        arrays: dict[str, Any] = {}
        for part in (part for part in PARTS if part in facts["digests"]):
            digests = facts["digests"][part]
            arrays[f"{part}_images"] = _images(folder / f"{prefix}{part}_images.npy", digests["images"])
            arrays[f"{part}_labels"] = _read_all(folder / f"{prefix}{part}_labels.npz", digests["labels"])
        if "rows" in facts["digests"]:
            arrays |= _read_all(folder / f"{prefix}rows.npz", facts["digests"]["rows"])
        names = {target: tuple(some) for target, some in facts["label_names"].items()}
        shape = None if facts["shape"] is None else tuple(map(int, facts["shape"]))
        meaning = {"label_names": names, "kinds": facts["kinds"], "shape": shape, "features": tuple(facts["features"])}
        words = {name: facts[name] for name in _WORDS}
        every = [*words.values(), *meaning["features"], *(name for some in names.values() for name in some)]
        if not all(isinstance(word, str) for word in every):
            raise DataError(f"{_FACTS} has other things than names")
        reading = None if facts["reading"] is None else Reading.from_json(facts["reading"])
        dataset = Dataset(**words, **arrays, **meaning, reading=reading)
        dataset.check()
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


def _write_all(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Write arrays to one file, each in the order of C; return their digests by name.

    In the file they are numbered: a target of a user's may have any name.
    """
    whole = {name: np.ascontiguousarray(one) for name, one in arrays.items()}
    with replacing(path) as file:
        np.savez(file.file, *whole.values())
    return {name: _digests(_blocks(one)) for name, one in whole.items()}


def _read_all(path: Path, digests: dict[str, list[str]]) -> dict[str, np.ndarray]:
    numbered = read_zip(path)
    arrays = {name: numbered.get(f"arr_{i}", np.empty(0)) for i, name in enumerate(digests)}
    if len(numbered) != len(arrays) or {name: _digests(_blocks(one)) for name, one in arrays.items()} != digests:
        raise DataError(f"{path.name} is not what was written")
    return arrays


def _blocks(array: np.ndarray) -> Iterable[memoryview]:
    content = array.reshape(-1).view(np.uint8).data
    return (content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK))


def _digests(blocks: Iterable[bytes | memoryview]) -> list[str]:
    return [hashlib.sha256(block).hexdigest() for block in blocks]


def _of_facts(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
