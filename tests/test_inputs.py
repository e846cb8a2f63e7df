"""Where batches come from: arrays of any layout and kind of number, and images normalised as they are gathered."""

import re

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput, reference
from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.examples import checked_labels
from fastmlp.nn.inputs import ArrayInput, as_input

X = np.arange(24, dtype=np.float32).reshape(4, 6)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)  # no two alike once they are normalised
MEAN, INV_STD = (a.astype(np.float32) for a in reference.image_moments(IMAGES, 3))
INDEX = np.array([3, 0, 0])


def gathered(source, index=INDEX, dtype: type = np.float32):
    out = np.full((len(index), source.features), np.nan, dtype)
    source.gather(index, out)
    return out


@pytest.mark.parametrize(
    "x",
    [
        *(pytest.param(X.astype(dtype), id=dtype) for dtype in ("f4", "f8", "i8", "u1", ">f4", "f2")),
        pytest.param(np.asfortranarray(X), id="fortran"),
        pytest.param(np.repeat(X, 2, axis=1)[:, ::2], id="strided"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_any_array_of_numbers_are_gathered(x, dtype):
    source = ArrayInput(x)
    assert (len(source), source.features) == (4, 6)
    np.testing.assert_array_equal(gathered(source, dtype=dtype), X[[3, 0, 0]])


def test_compiled_code_reads_float_arrays_by_itself_and_no_others():
    for x in (X, X.astype(np.float64)):
        source = ArrayInput(x).source()
        assert source is not None
        assert source.x is x
        assert (source.center, source.scale, source.index) == (None, None, None)
    for other in (X.astype(np.float16), X.astype(">f4"), X.astype(int), np.asfortranarray(X), X[:, ::2], X[:, :3]):
        assert ArrayInput(other).source() is None


def test_bools_are_numbers_too():
    np.testing.assert_array_equal(gathered(ArrayInput(X > 5)), (X > 5)[INDEX])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[0], r"inputs have shape \(6,\), expected \(rows, features\)"),
        (X[:0], r"inputs have shape \(0, 6\), .* at least one of each"),
        (X[:, :0], r"inputs have shape \(4, 0\)"),
        (X[None], r"inputs have shape \(1, 4, 6\)"),
        ("file.csv", r"inputs have shape \(\)"),
        (X.astype(complex), "inputs have dtype complex64|complex128, expected real numbers"),
        (X.astype(str), r"inputs have dtype <U\d+, expected real numbers: convert with .astype\('float32'\)"),
        (np.where(X == 13, np.nan, X), "inputs hold NaN or infinity, first in row 2: clean or drop such rows"),
        (np.where(X >= 20, -np.inf, X), "inputs hold NaN or infinity, first in row 3"),
    ],
)
def test_arrays_that_are_no_inputs_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        ArrayInput(x)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_are_normalised_as_the_reference_does(channels):
    mean, inv_std = reference.image_moments(IMAGES, channels)
    source = ImageInput(IMAGES, mean, inv_std)
    assert (len(source), source.features) == (4, 6)
    want = reference.gather_normalize(IMAGES, INDEX, mean, inv_std)
    np.testing.assert_allclose(gathered(source, dtype=np.float64), want, rtol=1e-14, atol=1e-14)


def test_rows_choose_and_order_the_images():
    rows = np.array([2, 0, 3])
    source = ImageInput(IMAGES, MEAN, INV_STD, rows)
    everything = ImageInput(IMAGES, MEAN, INV_STD)
    assert len(source) == 3
    for index in (np.array([0, 1, 2]), np.array([2, 2]), np.array([1, 0, 2, 1, 1])):  # buffers of several sizes
        np.testing.assert_array_equal(gathered(source, index), gathered(everything, rows[index]))
    np.testing.assert_array_equal(gathered(ImageInput(IMAGES, MEAN, INV_STD, rows.astype(np.uint8))), gathered(source))


@pytest.mark.parametrize("rows", [None, np.array([2, 0, 3, 3])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_code_reads_images_by_their_rows_and_moments(dtype, rows):
    source = ImageInput(IMAGES, MEAN.astype(dtype), INV_STD.astype(dtype), rows)
    x, picked, mean, inv_std = source.source()
    assert x is IMAGES
    assert mean is not None
    assert inv_std is not None
    assert picked is not None
    assert (mean.dtype, inv_std.dtype, picked.dtype) == (dtype, dtype, np.int64)
    want = reference.gather_normalize(x, picked[INDEX], mean, inv_std)
    np.testing.assert_allclose(gathered(source, dtype=dtype), want, rtol=1e-5, atol=1e-6)


def test_images_are_not_copied():
    images = IMAGES.copy()
    source = ImageInput(images, np.zeros_like(MEAN), np.ones_like(INV_STD))
    images[3] = 77
    np.testing.assert_array_equal(gathered(source)[0], np.full(6, 77))


def test_images_moments_and_rows_may_be_of_any_layout_and_read_only():
    fortran = ImageInput(np.asfortranarray(IMAGES), np.asfortranarray(MEAN), np.asfortranarray(INV_STD))
    np.testing.assert_array_equal(gathered(fortran), gathered(ImageInput(IMAGES, MEAN, INV_STD)))
    read_only = [a.copy() for a in (IMAGES, MEAN, INV_STD)]
    for array in read_only:
        array.flags.writeable = False
    np.testing.assert_array_equal(gathered(ImageInput(*read_only)), gathered(fortran))


NOT_IMAGES = "images are {} of shape {}, expected uint8 (images, values)"
NO_FIT = "do not fit images (4, 6): expected two (images, C) arrays of one dtype, C a divisor of the values in an image"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, MEAN, INV_STD), NOT_IMAGES.format("float32", "(4, 6)")),
        ((IMAGES[0], MEAN, INV_STD), NOT_IMAGES.format("uint8", "(6,)")),
        ((IMAGES[:0], MEAN[:0], INV_STD[:0]), NOT_IMAGES.format("uint8", "(0, 6)")),
        ((IMAGES, MEAN[:3], INV_STD[:3]), NO_FIT),
        ((IMAGES, MEAN, INV_STD[:, :1]), NO_FIT),
        ((IMAGES, MEAN[:, 0], INV_STD[:, 0]), NO_FIT),
        ((IMAGES, MEAN[:, :0], INV_STD[:, :0]), NO_FIT),
        ((IMAGES, np.ones((4, 4)), np.ones((4, 4))), NO_FIT),
        ((IMAGES, MEAN, INV_STD.astype(np.float64)), NO_FIT),
        ((IMAGES, MEAN * np.nan, INV_STD), "mean or inv_std holds NaN or infinity"),
        ((IMAGES, MEAN, INV_STD * np.inf), "mean or inv_std holds NaN or infinity"),
        ((IMAGES, MEAN, INV_STD, [4]), "rows hold 4 to 4, allowed is 0 to 3"),
        ((IMAGES, MEAN, INV_STD, [1, -1]), "rows hold -1 to 1, allowed is 0 to 3"),
        ((IMAGES, MEAN, INV_STD, []), "rows are float64 of shape (0,)"),
        ((IMAGES, MEAN, INV_STD, [[1]]), "rows are int64 of shape (1, 1), expected integers"),
        ((IMAGES, MEAN, INV_STD, [0.0, 1.5]), "rows are float64 of shape (2,), expected integers"),
        (
            (IMAGES, MEAN, INV_STD, [True] * 4),
            "rows are bool of shape (4,), expected integers: np.flatnonzero of a mask",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(DataError, match=re.escape(message)):
        ImageInput(*arguments)


@pytest.mark.parametrize("way", [{"matmul": "packed"}, {"matmul": "blas"}, {"precision": "bfloat16"}], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_moments_of_another_dtype_than_the_networks_are_refused(dtype, way):
    source = ImageInput(IMAGES, MEAN.astype(dtype), INV_STD.astype(dtype))
    message = f"computes in float32, the images' mean and inv_std are {np.dtype(dtype)}: make them with the network's"
    model, labels = MLP([6, 2], **way), np.zeros(4, int)
    for use in (
        lambda: model.predict(source),
        lambda: model.evaluate(source, labels),
        lambda: model.train_epoch(source, labels, SGD(), np.arange(4)),
        lambda: model.fit(source, labels, epochs=1),
    ):
        with pytest.raises(ConfigError, match=message):
            use()


class Ramp:
    """Rows of a user's own making."""

    features = 6

    def __len__(self) -> int:
        return 4

    def gather(self, index: np.ndarray, out: np.ndarray) -> None:
        out[...] = X[index]

    def source(self) -> None:
        """No array that compiled code could read."""


def test_inputs_pass_as_they_are_and_arrays_are_wrapped():
    for source in (ArrayInput(X), ImageInput(IMAGES, MEAN, INV_STD), Ramp()):
        assert as_input(source) is source
    assert isinstance(as_input(X), ArrayInput)
    for matmul in ("packed", "blas"):
        model = MLP([6, 2], matmul=matmul)
        np.testing.assert_array_equal(model.predict_proba(Ramp()), model.predict_proba(X))


@pytest.mark.parametrize(
    "labels", [[0, 2, 1], (0, 2, 1), np.array([0, 2, 1], np.uint8), np.array([0, 9, 2, 9, 1])[::2]]
)
def test_labels_become_contiguous_int64(labels):
    checked = checked_labels(labels, 3, 3)
    assert checked.dtype == np.int64
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, [0, 2, 1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"labels are int64 of shape \(2,\), expected 3 integers"),
        ([[0], [1], [2]], r"labels are int64 of shape \(3, 1\), expected 3 integers"),
        ([0.0, 1.0, 2.0], r"labels are float64 of shape \(3,\), expected 3 integers"),
        ([True, False, True], "labels are bool"),
        (["cat", "dog", "cow"], "labels are <U3"),
        ([0, 3, -1], r"labels\[1\] is 3, allowed is 0 to 2: one class an output unit"),
        ([0, 1, -1], r"labels\[2\] is -1, allowed is 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        checked_labels(labels, 3, 3)
