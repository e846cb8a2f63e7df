"""Image moments, exact to the last bit, and the gather that normalises, against the reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastmlp_kernels
from arrays import assert_within, fenced, images, normal
from fastmlp import reference
from fastmlp_kernels.normalize import EXACT

DTYPES = (np.float32, np.float64)
SIZES = [(1, 5), (3, 6), (3, 3), (1, 17), (3, 48), (2, 246), (3, 3072), (1, 3072)]  # channels, values in an image


def moments(pixels, channels, dtype):
    nothing = np.full((len(pixels), channels), np.nan, dtype)
    with fenced(pixels, nothing, nothing) as (same, mean, inv_std):
        fastmlp_kernels.image_moments(same, channels, mean, inv_std)
        np.testing.assert_array_equal(same, pixels)
    return mean, inv_std


def gather(pixels, index, mean, inv_std):
    nothing = np.full((len(index), pixels.shape[1]), np.nan, mean.dtype)
    with fenced(pixels, index, mean, inv_std, nothing) as (p, i, m, s, out):
        fastmlp_kernels.gather_normalize(p, i, m, s, out)
        for array, before in zip((p, i, m, s), (pixels, index, mean, inv_std), strict=True):
            np.testing.assert_array_equal(array, before)
    return out


def assert_exact_moments(pixels, channels, dtype):
    """Check against integer arithmetic of any length: mean by one division, 1/std by a root and a division."""
    mean, inv_std = moments(pixels, channels, dtype)
    blocks = pixels.reshape(len(pixels), channels, pixels.shape[1] // channels)
    for place in np.ndindex(mean.shape):
        values = [int(x) for x in blocks[place]]
        size, total = len(values), sum(values)
        spread = size * sum(x * x for x in values) - total**2
        want = size / math.sqrt(spread) if spread else 1.0
        assert mean[place] == dtype(total / size)
        # sqrt and quotient in float64, then rounded: 1 ULP where that is a third rounding
        assert abs(inv_std[place] - want) <= float(np.finfo(dtype).eps) * want
        assert inv_std[place] == 1 or spread


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_are_exact(dtype, rng):
    for channels, values in SIZES:
        assert_exact_moments(images(rng, 6, values), channels, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [EXACT, EXACT + 1, 24_000_000])
@pytest.mark.parametrize("colours", [(0, 255), (255, 0), (254, 255), (1, 0)])
@pytest.mark.parametrize("share", [0, 1e-5, 0.5, 1])
def test_moments_of_a_huge_plane_are_exact(colours, share, size, dtype):
    most = min(max(int(share * size), 1), size - 1)
    pixels = np.full((1, size), colours[0], np.uint8)
    pixels[0, :most] = colours[1]
    mean, inv_std = (np.full((1, 1), np.nan, dtype) for _ in range(2))
    fastmlp_kernels.image_moments(pixels, 1, mean, inv_std)
    total = most * colours[1] + (size - most) * colours[0]
    spread = size * (most * colours[1] ** 2 + (size - most) * colours[0] ** 2) - total**2
    want = size / math.sqrt(spread)
    assert mean[0, 0] == dtype(total / size)
    assert abs(inv_std[0, 0] - want) <= 4 * float(np.finfo(dtype).eps) * want


def test_moments_equal_the_reference(rng):
    for channels, values in SIZES:
        pixels = images(rng, 7, values)
        mean, inv_std = moments(pixels, channels, np.float64)
        want_mean, want_inv_std = reference.image_moments(pixels, channels)
        np.testing.assert_array_equal(mean, want_mean)  # the reference's sums of whole numbers are exact as well
        np.testing.assert_allclose(inv_std, want_inv_std, rtol=1e-12)  # two passes over rounded differences


def test_a_constant_image_has_scale_one_and_becomes_zeros():
    pixels = np.repeat(np.array([[0], [255], [7], [254]], np.uint8), 48, axis=1)
    for channels in (1, 3):
        mean, inv_std = moments(pixels, channels, np.float32)
        np.testing.assert_array_equal(inv_std, np.ones((4, channels)))
        np.testing.assert_array_equal(mean, np.repeat(pixels[:, :1], channels, axis=1))
        np.testing.assert_array_equal(gather(pixels, np.arange(4), mean, inv_std), np.zeros((4, 48)))


def test_images_larger_than_a_32_bit_sum():
    pixels = np.full((1, 150_001), 255, np.uint8)  # its squares sum to 9.8e9; three runs, the last a short one
    assert moments(pixels, 1, np.float64)[1][0, 0] == 1
    pixels[0, -1] = 0
    assert_exact_moments(pixels, 1, np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_equals_the_reference(dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for channels, values in SIZES:
        pixels = images(rng, 9, values)
        mean, inv_std = moments(pixels, channels, dtype)
        for index in (np.arange(9), np.array([8]), np.array([0, 8, 8, 3, 0]), rng.integers(0, 9, 33)):
            got = gather(pixels, index, mean, inv_std)
            want = reference.gather_normalize(pixels, index, mean.astype(np.float64), inv_std.astype(np.float64))
            assert_within(got, want, eps * np.abs(want))  # a difference and a product, half an eps each


def test_gather_uses_the_moments_it_is_given(rng):
    pixels = images(rng, 5, 6)
    mean, inv_std = normal(rng, (5, 2), np.float32, 100), normal(rng, (5, 2), np.float32)
    want = reference.gather_normalize(pixels, np.array([4, 1]), mean.astype(np.float64), inv_std.astype(np.float64))
    np.testing.assert_allclose(gather(pixels, np.array([4, 1]), mean, inv_std), want, rtol=1e-6)


def test_no_images_and_no_indices_are_no_work():
    pixels = np.zeros((2, 6), np.uint8)
    mean, inv_std = moments(pixels, 3, np.float32)
    assert gather(pixels, np.empty(0, np.int64), mean, inv_std).shape == (0, 6)
    assert moments(pixels[:0], 3, np.float32)[0].shape == (0, 3)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 20).map(lambda n: 6 * n))), st.sampled_from([1, 2, 3])
)
def test_normalised_images_have_mean_zero_and_deviation_one(pixels, channels):
    assert_exact_moments(pixels, channels, np.float32)
    mean, inv_std = moments(pixels, channels, np.float64)
    z = gather(pixels, np.arange(len(pixels)), mean, inv_std).reshape(len(pixels), channels, -1)
    np.testing.assert_allclose(z.mean(axis=2), 0, atol=1e-12)
    constant = z.max(axis=2) == z.min(axis=2)
    np.testing.assert_allclose(z.std(axis=2), np.where(constant, 0, 1), atol=1e-12)
