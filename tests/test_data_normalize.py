import numpy as np
import pytest

from fastmlp.data import NORMALIZATIONS
from fastmlp.errors import DataError

CHANNELS = {"image": 1, "channel": 3, "dataset": 3}


@pytest.fixture
def images(rng) -> np.ndarray:
    base = rng.integers(0, 200, (600, 3, 1))
    return (base + rng.integers(0, 56, (600, 3, 1024))).astype(np.uint8).reshape(600, 3072)


def applied(images: np.ndarray, mean: np.ndarray, inv_std: np.ndarray) -> np.ndarray:
    blocks = images.reshape(len(images), mean.shape[1], -1)
    return (blocks - mean[:, :, None].astype(np.float64)) * inv_std[:, :, None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_shape_dtype_and_layout(name, dtype, images):
    for array in NORMALIZATIONS[name](images, np.arange(50), images, dtype):
        assert array.shape == (600, CHANNELS[name])
        assert array.dtype == dtype
        assert array.flags.c_contiguous


@pytest.mark.parametrize("name", ["image", "channel"])
def test_every_block_gets_mean_0_and_deviation_1(name, images):
    blocks = applied(images, *NORMALIZATIONS[name](images, np.arange(1), images, np.float64))
    np.testing.assert_allclose(blocks.mean(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose(blocks.std(axis=2), 1, rtol=1e-12)


def test_dataset_moments_are_those_of_the_training_part(images):
    mean, inv_std = NORMALIZATIONS["dataset"](images, np.arange(550), images, np.float64)
    planes = images[:550].reshape(550, 3, 1024).astype(np.float64)
    np.testing.assert_allclose(mean, np.tile(planes.mean(axis=(0, 2)), (600, 1)), rtol=1e-13)
    np.testing.assert_allclose(1 / inv_std, np.tile(planes.std(axis=(0, 2)), (600, 1)), rtol=1e-12)


@pytest.mark.parametrize("side", [4, 16, 28, 1000])  # of 16, four images were taken for one
def test_dataset_moments_are_right_for_planes_of_any_size(side, rng):
    base = rng.integers(0, 200, (5, 3, 1))
    images = (base + rng.integers(0, 56, (5, 3, side * side))).astype(np.uint8)
    rows = np.array([3, 0, 1])
    mean, inv_std = NORMALIZATIONS["dataset"](images.reshape(5, -1), rows, images.reshape(5, -1), np.float64)
    planes = images[rows].astype(np.float64)
    np.testing.assert_allclose(mean, np.tile(planes.mean(axis=(0, 2)), (5, 1)), rtol=1e-13)
    np.testing.assert_allclose(1 / inv_std, np.tile(planes.std(axis=(0, 2)), (5, 1)), rtol=1e-12)


def test_images_that_are_not_three_planes_are_refused():
    images = np.zeros((4, 784), np.uint8)
    with pytest.raises(DataError, match="images have 784 values, expected three colour planes of one size"):
        NORMALIZATIONS["dataset"](images, np.arange(4), images, np.float32)


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_images_become_zero(name, value):
    images = np.full((3, 3072), value, dtype=np.uint8)
    mean, inv_std = NORMALIZATIONS[name](images, np.arange(3), images, np.float32)
    assert (mean == value).all()
    assert (inv_std == 1).all()
