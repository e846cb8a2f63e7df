"""From uint8 images to normalised rows of a batch, without a float copy of the data set.

`M` images of `D` values each, made of `channels` planes of D / channels values (CIFAR: red, green, blue). Moments are
per image and block: channels = 1 normalises over the whole image, channels = 3 each plane by itself.
"""

import math

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._views import vector_at

# Pixels of a plane up to which size^2 times its variance fits in 63 bits.
EXACT = math.isqrt((2**63 - 1) // 255**2)


@part
def _spread(size: int, total: np.int64, squares: np.int64) -> float:
    """Return size^2 times the variance of a plane of any size, to a few roundings of a float64.

    It is taken of differences from the whole number next to the mean, so that half of the first product remains.
    """
    middle = np.int64(total / size + 0.5)
    rest = np.float64(total - size * middle)
    return np.float64(size) * np.float64(squares - middle * (2 * total - size * middle)) - rest * rest


@kernel
def _image_moments(images: np.ndarray, channels: int, mean: np.ndarray, inv_std: np.ndarray) -> None:
    size = images.shape[1] // channels
    for m in range(images.shape[0]):
        for c in range(channels):
            block = vector_at(images, m * images.shape[1] + c * size, size)
            # 32-bit sums vectorise twice as wide as 64-bit ones; 65,025 * 60,000 still fits, so runs of that length
            total, squares = np.int64(0), np.int64(0)
            for start in range(0, size, 60_000):
                run = vector_at(block, start, min(60_000, size - start))
                run_total, run_squares = np.uint32(0), np.uint32(0)
                for j in range(run.size):
                    x = np.uint32(run[j])
                    run_total = np.uint32(run_total + x)
                    run_squares = np.uint32(run_squares + np.uint32(x * x))
                total += np.int64(run_total)
                squares += np.int64(run_squares)
            # an exact integer: no cancellation
            spread = np.float64(size * squares - total * total) if size <= EXACT else _spread(size, total, squares)
            mean[m, c] = total / size
            inv_std[m, c] = size / math.sqrt(spread) if spread > 0 else 1.0


@kernel
def _gather_normalize(
    images: np.ndarray, index: np.ndarray, mean: np.ndarray, inv_std: np.ndarray, out: np.ndarray
) -> None:
    t = out.dtype.type
    channels = mean.shape[1]
    size = images.shape[1] // channels
    for i in range(index.size):
        m = index[i]
        for c in range(channels):
            block = vector_at(images, m * images.shape[1] + c * size, size)
            row = vector_at(out, i * images.shape[1] + c * size, size)
            center, scale = mean[m, c], inv_std[m, c]
            for j in range(block.size):
                row[j] = (t(block[j]) - center) * scale


def check_images(images: np.ndarray, channels: int, name: str = "images") -> int:
    """Check images (M, D), and that `channels` divides D; return it as an int."""
    _check.array(name, images, _check.UINT8, ndim=2)
    channels = _check.whole("channels", channels)
    if channels < 1 or images.shape[1] % channels or images.shape[1] == 0:
        raise ValueError(
            f"channels is {_check.shown(channels)}, allowed is a divisor of the image's {images.shape[1]} values "
            "(CIFAR: 1 or 3)"
        )
    return channels


def image_moments(images: np.ndarray, channels: int, mean: np.ndarray, inv_std: np.ndarray) -> None:
    """Mean and reciprocal standard deviation of each image, or of each channel of each image, in place.

    images : (M, D) uint8, C-contiguous
    channels : number of equal blocks that a row is made of, a divisor of D
    mean, inv_std : (M, channels) float32 or float64, overwritten; in units of a pixel, 0..255

    Sums are exact integers, for images of any size. The standard deviation is the population's (divided by
    D / channels). A constant block has none: its inv_std is 1, so that it normalises to zeros.
    Raises TypeError or ValueError naming the argument at fault.
    """
    channels = check_images(images, channels)
    _check.array("mean", mean, _check.FLOATS, (len(images), channels), writes=True)
    _check.array("inv_std", inv_std, (mean.dtype,), mean.shape, writes=True)
    _check.apart(images=images, mean=mean, inv_std=inv_std)
    _image_moments(images, channels, mean, inv_std)


def gather_normalize(
    images: np.ndarray, index: np.ndarray, mean: np.ndarray, inv_std: np.ndarray, out: np.ndarray
) -> None:
    """out[i] <- (images[index[i]] - mean[index[i]]) * inv_std[index[i]].

    images : (M, D) uint8, C-contiguous
    index : (N,) int64, each in [0, M)
    mean, inv_std : (M, C) float32 or float64, from `image_moments`; C divides D
    out : (N, D) of the same dtype, overwritten

    Raises TypeError or ValueError naming the argument at fault.
    """
    _check.array("mean", mean, _check.FLOATS, ndim=2)
    check_images(images, mean.shape[1])
    _check.array("mean", mean, _check.FLOATS, (len(images), mean.shape[1]))
    _check.array("inv_std", inv_std, (mean.dtype,), mean.shape)
    _check.array("index", index, _check.INT64, ndim=1)
    _check.in_range("index", index, len(images))
    _check.array("out", out, (mean.dtype,), (len(index), images.shape[1]), writes=True)
    _check.apart(out=out, mean=mean, inv_std=inv_std, images=images, index=index)
    _gather_normalize(images, index, mean, inv_std, out)
