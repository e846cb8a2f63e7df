"""The record of a data set: its fingerprint hashes all that decides training, and what does not fit is named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.data import Dataset
from fastmlp.data.dataset import KINDS, OF_ROWS, channels_of
from fastmlp.data.mapped import read_mapped, write_mapped
from fastmlp.errors import DataError
from own import features, images
from samples import dataset

ALL = [features(kind, dtype=dtype) for kind in KINDS for dtype in ("float32", "float64")] + [images(), dataset()]
FULL = replace(
    features("numbers"),
    validation_images=features("numbers").test_images,
    validation_labels={"y": np.arange(60.0)},
    weights=np.arange(180.0),
    validation_weights=np.arange(60.0),
    test_weights=np.arange(60.0) + 1,
    groups=np.arange(180) // 2,
)


def test_the_name_of_images_with_classes_is_what_it_always_was() -> None:
    assert dataset().fingerprint == "df88ad3d2ec53739"
    assert replace(dataset(), shape=(3, 32, 32), kinds={"coarse": "classes", "fine": "classes"}).fingerprint == (
        dataset().fingerprint
    )


def _other(array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed[-1] += 1
    return changed


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": _other(FULL.train_images)},
        {"test_images": _other(FULL.test_images)},
        {"train_images": FULL.train_images.astype(float), "test_images": FULL.test_images.astype(float)},
        {"train_labels": {"y": _other(FULL.train_labels["y"])}},
        {"validation_labels": {"y": np.arange(60.0)[::-1]}},
        {"validation_images": None, "validation_labels": None, "validation_weights": None},
        {"validation_weights": None},
        {"test_weights": None},
        {"test_weights": np.arange(60.0)},
        {"weights": None},
        {"weights": _other(np.arange(180.0))},
        {"groups": None},
        {"groups": np.arange(180)},
        {"features": ()},
        {"label_names": {"y": ("cost",)}},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_whatever_is_other_makes_another_fingerprint(changes: dict[str, Any]) -> None:
    assert replace(FULL, **changes).fingerprint != FULL.fingerprint


def test_the_shape_of_images_is_in_the_fingerprint() -> None:
    one, other = images(), replace(images(), shape=(4, 4, 4))
    assert len({one.fingerprint, other.fingerprint, replace(one, shape=None).fingerprint}) == 3
    assert (one.channels, other.channels, channels_of(None, 48), channels_of(None, 64)) == (1, 4, 3, 1)
    assert dataset().shape == (3, 32, 32)


@pytest.mark.parametrize("data", [*ALL, FULL], ids=lambda d: f"{d.name}-{[*d.kinds.values()]}-{d.train_images.dtype}")
def test_every_kind_is_mapped_as_it_was(data: Dataset, tmp_path: Path) -> None:
    data.check()
    read = write_mapped(data, tmp_path)
    assert read_mapped(tmp_path, data.fingerprint).fingerprint == replace(read).fingerprint == data.fingerprint
    for name in ("kinds", "shape", "features", "label_names", "name", "source"):
        assert getattr(read, name) == getattr(data, name)
    for part in ("train", "validation", "test"):
        ours, theirs = (getattr(one, f"{part}_images") for one in (data, read))
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(theirs, ours, strict=True)
            for name, targets in getattr(data, f"{part}_labels").items():
                np.testing.assert_array_equal(getattr(read, f"{part}_labels")[name], targets, strict=True)
    for name in OF_ROWS:
        np.testing.assert_array_equal(getattr(read, name), getattr(data, name))


@pytest.mark.parametrize("name", ["file", "allow_pickle", "a/b", "x.npy", "\N{SNOWMAN} and blanks"])
def test_a_target_may_have_any_name(name: str, tmp_path: Path) -> None:
    one = features()
    data = replace(
        one, train_labels={name: one.train_labels["y"]}, test_labels={name: one.test_labels["y"]}, kinds={},
        label_names={name: ("a", "b", "c")},
    )  # fmt: skip
    np.testing.assert_array_equal(write_mapped(data, tmp_path).train_labels[name], data.train_labels[name])


def _with(array: np.ndarray, at: Any, value: float) -> np.ndarray:
    changed = array.copy()
    changed[at] = value
    return changed


BASE, SEVERAL, NUMBERS = features(), features("labels"), features("numbers")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (replace(BASE, train_images=BASE.train_images.astype(np.int64)), "int64 .*expected .*float32 or float64"),
        (replace(BASE, train_images=BASE.train_images[:, 0]), r"of shape \(180,\)"),
        (replace(BASE, train_images=_with(BASE.train_images, (7, 2), np.nan)), "NaN or infinity, first in row 7"),
        (replace(BASE, test_images=_with(BASE.test_images, (0, 0), np.inf)), "test_images hold NaN or infinity"),
        (replace(BASE, test_images=BASE.test_images.astype(float)), "float32 with 5 .*test_images float64"),
        (replace(BASE, test_images=BASE.test_images[:0]), "at least one of each"),
        (replace(BASE, test_labels={}), "test_labels has none, and label_names y"),
        (replace(BASE, kinds={"z": "classes"}), "kinds has y, z, and label_names y"),
        (replace(BASE, kinds={"y": "ranks"}), "'ranks'; allowed are classes, labels, numbers"),
        (replace(BASE, train_labels={"y": BASE.train_labels["y"][1:]}), r"shape \(179,\); expected .* M = 180"),
        (replace(BASE, train_labels={"y": BASE.train_labels["y"] + 1}), "holds 1 to 3; allowed is 0 to 2"),
        (replace(BASE, train_labels={"y": BASE.train_labels["y"].astype(float)}), r"expected \(M,\) int64"),
        (replace(SEVERAL, train_labels={"y": SEVERAL.train_labels["y"] * 2}), "holds 0 to 2; allowed is 0 to 1"),
        (replace(SEVERAL, label_names={"y": ("wet",)}), "2 a row, and label_names has 1 names"),
        (replace(NUMBERS, train_labels={"y": _with(NUMBERS.train_labels["y"], 3, np.nan)}), "NaN .*first in row 3"),
        (replace(BASE, shape=(1, 2, 5)), r"shape is \(1, 2, 5\), and rows of 5 values are no such images"),
        (replace(images(), shape=(1, 8, 9)), r"expected \(channels, height, width\)"),
        (replace(BASE, features=("a",)), "features are 1 names, expected 5"),
        (replace(BASE, weights=np.ones(3)), r"weights are float64 of shape \(3,\), expected one a training row"),
        (replace(BASE, weights=np.zeros(180)), "weights hold 0.0 to 0.0; allowed are finite numbers from 0 on"),
        (replace(BASE, weights=_with(np.ones(180), 5, np.nan)), "weights hold nan to nan"),
        (replace(BASE, test_weights=np.zeros(60)), "test_weights hold 0.0 to 0.0; .* of the test rows one must count"),
        (replace(BASE, validation_weights=np.ones(60)), "validation_weights are .*, expected one a validation row"),
        (replace(BASE, groups=np.ones(180)), "groups are float64"),
    ],
)  # fmt: skip
def test_what_is_no_data_set_is_named(data: Dataset, said: str) -> None:
    with pytest.raises(DataError, match=said):
        data.check()
