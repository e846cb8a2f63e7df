"""Arrays on which kernels are tested: edges of the floats, awkward shapes, tied and extreme logits, images; ULPs."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# One row, one column, the tile of 16 rows less and more than filled, widths at and beyond a vector. A tile is one row
# from 513 columns on, and from 8193 it no longer fits the work array on the stack.
SHAPES = [(1, 1), (1, 2), (5, 1), (7, 3), (16, 16), (33, 16), (37, 20), (19, 123), (64, 128), (35, 512), (17, 513)]
SHAPES += [(3, 600), (2, 8192), (3, 8195)]
# The loss takes 4096 elements at a time: 2048 rows of 2, 204 of 20; a row of 5000 is a block by itself; one of 8195
# does not fit the work array.
LOGIT_SHAPES = [(1, 2), (1, 1), (5, 3), (33, 16), (2049, 2), (301, 20), (37, 123), (9, 513), (5, 600), (2, 5000)]
LOGIT_SHAPES += [(3, 8195)]
# Where elementary functions change their form in float32 or float64: overflow, subnormal results, zero, saturation,
# another integer in the reduction of the argument or of 1 + x, another formula.
THRESHOLDS = [
    *(88.72283, 88.722839, 87.33654, 103.2789, 103.97208, 104.0, 89.0, 16.635532, 9.0, 9.01, 9.0109, 9.02),
    *(np.log(2) / 4, np.log(2) / 2, np.log(2), 0.1732868, 1.0, 17.0, 22.0, 709.78271, 745.13322, 708.39642),
    *(np.sqrt(2), np.sqrt(0.5), np.sqrt(2) - 1, 1 - np.sqrt(0.5), 0.625, 20.0, 36.7368, 40.0, 710.0, 746.0),
]


def edge_floats(dtype: type[np.floating]) -> np.ndarray:
    """Zeros, infinities, NaN of both signs, the extremes, thresholds, every power of two; all with their neighbours."""
    info = np.finfo(dtype)
    powers = np.ldexp(dtype(1), np.arange(info.minexp - info.nmant, info.maxexp))  # the subnormal ones too
    first = np.concatenate(
        [np.array([0, np.inf, info.max, info.tiny, info.smallest_subnormal, info.eps], dtype), powers,
         np.array(THRESHOLDS, dtype)]
    )  # fmt: skip
    with np.errstate(over="ignore", under="ignore"):
        near = [first, np.nextafter(first, dtype(np.inf)), np.nextafter(first, dtype(-np.inf))]
    positive = np.concatenate([*near, np.array([np.nan], dtype)])
    return np.concatenate([positive, -positive])


def ordered(x: np.ndarray) -> np.ndarray:
    """Integers (int64) in the order of the floats, one apart for neighbours; -0 stands one below +0."""
    bits = x.view(np.int32 if x.dtype == np.float32 else np.int64).astype(np.int64)
    magnitude = bits & np.int64(0x7FFFFFFF if x.dtype == np.float32 else 0x7FFFFFFFFFFFFFFF)
    return np.where(bits < 0, ~magnitude, magnitude)


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Floats from `got` to `want` rounded to its dtype; 0 between NaNs, the largest int64 from NaN to a number.

    Zeros of both signs are the same.
    """
    with np.errstate(over="ignore", under="ignore"):  # beyond the type's range the right answer is infinity or zero
        want = np.asarray(want).astype(got.dtype)
    nan, wanted_nan = np.isnan(got), np.isnan(want)
    zero = got.dtype.type(0)
    apart = np.abs(ordered(np.where(nan, zero, got + zero)) - ordered(np.where(wanted_nan, zero, want + zero)))
    return np.where(nan | wanted_nan, np.where(nan & wanted_nan, 0, np.iinfo(np.int64).max), apart)


def assert_ulps(got: np.ndarray, want: np.ndarray, most: int) -> None:
    """Fail with the worst place and both values where `got` is more than `most` ULP from `want`."""
    apart = ulps(got, want)
    worst = np.unravel_index(int(apart.argmax()), apart.shape)
    assert apart[worst] <= most, f"{apart[worst]} ULP at {worst}: {got[worst]!r}, expected {np.asarray(want)[worst]!r}"


def assert_within(got: np.ndarray, want: np.ndarray, bound: np.ndarray | float) -> None:
    """Fail with the worst place and both values where |got - want| exceeds `bound`, element by element."""
    excess = np.asarray(np.abs(got.astype(np.float64) - want) - bound)
    if excess.size == 0:  # no element to be off
        return
    worst = np.unravel_index(int(np.where(np.isnan(excess), np.inf, excess).argmax()), excess.shape)
    assert excess[worst] <= 0, (
        f"off by {excess[worst]:.3g} more than allowed at {worst}: {got[worst]!r}, {want[worst]!r}"
    )


@contextmanager
def fenced(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Give copies that stand between 64 elements of a known pattern, off any vector's boundary.

    At the end no kernel may have written outside of them.
    """
    fence = 65
    walls = [np.full(a.size + 2 * fence, 77, a.dtype) for a in arrays]
    copies = [wall[fence : fence + a.size].reshape(a.shape) for wall, a in zip(walls, arrays, strict=True)]
    for copy, array in zip(copies, arrays, strict=True):
        copy[...] = array
    yield copies
    for wall in walls:
        assert (wall[:fence] == 77).all(), "written before the start of an array"
        assert (wall[-fence:] == 77).all(), "written beyond the end of an array"


def normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: type[np.floating], scale: float = 1.0
) -> np.ndarray:
    return (scale * rng.standard_normal(shape)).astype(dtype)


def logit_batches(
    rng: np.random.Generator, dtype: type[np.floating]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(logits, bias, labels) of every shape: usual, +-1e4, tied; labels 0 and K - 1 always among them."""
    for n, classes in LOGIT_SHAPES:
        labels = rng.integers(0, classes, n)
        labels[0], labels[-1] = 0, classes - 1
        bias = normal(rng, (classes,), dtype)
        yield normal(rng, (n, classes), dtype, 3), bias, labels
        yield (1e4 * rng.choice([-1, 0, 1], (n, classes))).astype(dtype), bias, labels
        yield rng.integers(-1, 2, (n, classes)).astype(dtype) * dtype(-1), np.zeros(classes, dtype), labels


def images(rng: np.random.Generator, count: int, values: int) -> np.ndarray:
    """uint8 images: noise, then one of 0, one of 255, one of 7, one that differs from constant in its last value."""
    made = rng.integers(0, 256, (count, values), dtype=np.uint8)
    for row, value in zip(made[-4:], (0, 255, 7, 254), strict=True):
        row[:] = value
    made[-1, -1] = 255
    return made
