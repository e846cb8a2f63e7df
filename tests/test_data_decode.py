import numpy as np
import pytest

from data_forms import FORMS, IMAGES, class_names, miniature, python2_pickle
from fastmlp.data.dataset import Dataset
from fastmlp.data.decode import decode
from fastmlp.errors import DataError


def raw(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {name: np.frombuffer(content, dtype=np.uint8) for name, content in files.items()}


@pytest.mark.parametrize(("dataset", "form"), FORMS)
def test_images_labels_and_names(dataset, form):
    mini = miniature(dataset, form)
    data = decode(mini.layout, raw(mini.files), "a test")
    cut = IMAGES * len(mini.layout.train)
    assert (data.name, data.source, data.notice) == (dataset, "a test", "")
    for images, expected in ((data.train_images, mini.images[:cut]), (data.test_images, mini.images[cut:])):
        assert np.array_equal(images, expected)
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        assert images.flags.writeable  # read-only arrays would compile every kernel a second time
    assert set(data.train_labels) == ({"coarse", "fine"} if dataset == "cifar100" else {"fine"})
    for kind, labels in mini.labels.items():
        assert data.train_labels[kind].dtype == np.int64
        assert np.array_equal(data.train_labels[kind], labels[:cut])
        assert np.array_equal(data.test_labels[kind], labels[cut:])
    assert data.label_names == {label.kind: tuple(class_names(label)) for label in mini.layout.labels}


@pytest.mark.parametrize("dataset", ["cifar100", "cifar10"])
def test_both_forms_have_one_fingerprint(dataset):
    prints = set()
    for form in ("binary", "python"):
        mini = miniature(dataset, form)
        prints.add(decode(mini.layout, raw(mini.files), form).fingerprint)
    assert len(prints) == 1


def test_the_fingerprint_sees_every_part():
    mini = miniature("cifar100", "binary")
    seen = set()
    for place in ("none", "train_images", "test_images", "train_labels", "test_labels"):
        data = decode(mini.layout, raw(mini.files), "")
        if place != "none":
            part = getattr(data, place)
            (part["fine"] if "labels" in place else part)[-1] ^= 1
        seen.add(data.fingerprint)
    assert len(seen) == 5
    assert all(len(one) == 16 for one in seen)


def test_a_dataset_cannot_be_changed():
    data = decode((mini := miniature("cifar10", "binary")).layout, raw(mini.files), "")
    with pytest.raises(AttributeError):
        data.name = "other"  # type: ignore[misc]
    assert isinstance(data, Dataset)


@pytest.mark.parametrize("value", [7, 255])
def test_a_label_out_of_range_is_named(value):
    mini = miniature("cifar100", "binary")
    content = bytearray(mini.files["test.bin"])
    content[2 * 3074 + 1] = value
    with pytest.raises(DataError, match=rf"test\.bin: fine label {value} of image 2 is outside 0\.\.6"):
        decode(mini.layout, raw(mini.files | {"test.bin": bytes(content)}), "")


def test_a_record_cut_short_is_named():
    mini = miniature("cifar10", "binary")
    with pytest.raises(DataError, match=r"data_batch_2\.bin has 18,437 bytes, expected whole records of 3073"):
        decode(mini.layout, raw(mini.files | {"data_batch_2.bin": mini.files["data_batch_2.bin"][:-1]}), "")


def test_too_few_class_names_are_named():
    mini = miniature("cifar100", "binary")
    with pytest.raises(DataError, match="names 1 different coarse classes, expected 3"):
        decode(mini.layout, raw(mini.files | {"coarse_label_names.txt": b"fish\n"}), "")


@pytest.mark.parametrize(
    ("batch", "fault"),
    [
        ({"labels": [0]}, "holds no data of type ndarray; it holds labels"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "holds no labels of type list; it holds data"),
        ({"data": np.zeros((1, 100), np.uint8), "labels": [0]}, r"shape \(1, 100\), expected \(M, 3072\)"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [0, 1]}, "not a list of 1 integers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": ["0"]}, "not a list of 1 integers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [-1]}, "fine label -1 of image 0"),
    ],
)
def test_a_python_batch_of_other_content_is_named(batch, fault):
    mini = miniature("cifar10", "python")
    with pytest.raises(DataError, match=f"data_batch_1.*{fault}"):
        decode(mini.layout, raw(mini.files | {"data_batch_1": python2_pickle(batch)}), "")
