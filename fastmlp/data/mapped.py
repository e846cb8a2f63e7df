"""A data set as files that any number of processes map into memory: the system holds the images once for all."""

import json
import zipfile
from pathlib import Path

import numpy as np

from fastmlp.data.dataset import Dataset
from fastmlp.errors import DataError, OutputError, remedy
from fastmlp.files import json_of, make_folder, opened, read_small, replacing, write_whole

_PARTS = ("train", "test")


def write_mapped(dataset: Dataset, folder: Path) -> Dataset:
    """Write the data set into `folder`, unless it is there, and return it as read from there."""
    try:
        return read_mapped(folder, dataset.fingerprint)
    except DataError:
        pass
    facts = {name: getattr(dataset, name) for name in ("name", "label_names", "source", "notice", "fingerprint")}
    try:
        make_folder(folder)
        (folder / "facts.json").unlink(missing_ok=True)  # written last: it says that the others are whole
        for part in _PARTS:
            with replacing(folder / f"{part}_images.npy") as images:
                np.save(images.file, getattr(dataset, f"{part}_images"))
            with replacing(folder / f"{part}_labels.npz") as labels:
                np.savez(labels.file, **getattr(dataset, f"{part}_labels"))
        write_whole(folder / "facts.json", json.dumps(facts))
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{folder} cannot take the data set ({error}). {remedy(error, 'choose another folder')}"
        ) from error
    return read_mapped(folder, dataset.fingerprint)


def read_mapped(folder: Path, fingerprint: str) -> Dataset:
    """Return the data set of this fingerprint that was written to `folder`; DataError where there is none."""
    try:
        facts = json_of(read_small(folder / "facts.json"))
        if facts.pop("fingerprint") != fingerprint:
            raise DataError(f"{folder} holds another data set than {fingerprint}")
        arrays = {}
        for part in _PARTS:
            # "c": pages are shared until someone writes, which nobody does; compiled code takes read-only arrays for
            # another type, and would be compiled anew
            arrays[f"{part}_images"] = np.asarray(np.load(folder / f"{part}_images.npy", mmap_mode="c"))
            with opened(folder / f"{part}_labels.npz") as file, np.load(file) as labels:
                arrays[f"{part}_labels"] = dict(labels)
        names = {kind: tuple(names) for kind, names in facts.pop("label_names").items()}
        dataset = Dataset(**facts, **arrays, label_names=names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder} holds no whole data set ({error})") from error
    return _with_fingerprint(dataset, fingerprint)


def _with_fingerprint(dataset: Dataset, fingerprint: str) -> Dataset:
    dataset.__dict__["fingerprint"] = fingerprint  # known: to read all images for it would undo the mapping's thrift
    return dataset
