import hashlib

import numpy as np
import pytest

from fastmlp.data import embedded
from fastmlp.data.dataset import Dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    return embedded.embedded_dataset()


def test_the_bits_are_these_everywhere(data):
    digest = hashlib.sha256(data.train_images.tobytes() + data.test_images.tobytes())
    for labels in (data.train_labels, data.test_labels):
        digest.update(labels["fine"].astype("<i8").tobytes() + labels["coarse"].astype("<i8").tobytes())
    assert digest.hexdigest() == "fab156ec17eca7f8ebd5adc75006c97b11f431b311761c419bc2d2f6aa6bc309"


def test_the_hash_is_splitmix64():
    # The first outputs of the published generator from state 0, whose n-th output is the hash of counter n.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [int(bits) for bits in embedded._bits(0, 1, 3)] == expected


def test_shapes_types_and_names(data):
    assert data.name == "embedded"
    assert data.train_images.shape == (4000, 3072)
    assert data.test_images.shape == (1000, 3072)
    assert data.train_images.dtype == np.uint8
    assert data.train_images.flags.c_contiguous
    assert {kind: len(set(names)) for kind, names in data.label_names.items()} == {"coarse": 20, "fine": 100}
    assert all(labels.dtype == np.int64 for labels in (*data.train_labels.values(), *data.test_labels.values()))


def test_classes_are_even_and_nested(data):
    for labels, each in ((data.train_labels, 40), (data.test_labels, 10)):
        assert (np.bincount(labels["fine"], minlength=100) == each).all()
        assert np.array_equal(labels["coarse"], labels["fine"] // 5)
    names = data.label_names
    assert all(name.startswith(names["coarse"][k // 5]) for k, name in enumerate(names["fine"]))


def test_order_is_shuffled(data):
    assert len(set(data.train_labels["fine"][:100])) > 50


def test_images_vary_as_photographs_do(data):
    planes = data.train_images.reshape(-1, 3, 1024).astype(np.float64)
    brightness, contrast = planes.mean(axis=(1, 2)), planes.std(axis=(1, 2))
    cast = planes.mean(axis=2) - brightness[:, None]
    assert 10 < brightness.std() < 60
    assert contrast.max() > 3 * contrast.min() > 0
    assert cast.std() > 10
    assert len(np.unique(data.train_images, axis=0)) == 4000


def test_classes_can_be_told_apart_but_not_easily(data):
    # The nearest class mean of normalised images: well above the 5 % of chance, far from solving the task.
    def normalised(images: np.ndarray) -> np.ndarray:
        x = images.astype(np.float64)
        return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)

    train, test = normalised(data.train_images), normalised(data.test_images)
    means = np.stack([train[data.train_labels["fine"] == k].mean(axis=0) for k in range(100)])
    nearest = (test @ means.T - (means**2).sum(axis=1) / 2).argmax(axis=1)
    assert 0.15 < (nearest // 5 == data.test_labels["coarse"]).mean() < 0.6


def test_the_notice_is_passed_on():
    assert embedded.embedded_dataset("because").notice == "because"
