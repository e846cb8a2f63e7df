"""The embedded data set: images drawn by a fixed algorithm, for machines without CIFAR.

100 classes in 20 superclasses, 32 x 32 in colour. A superclass is one of five shapes with one of four textures, and has
a tint of object and background; each of its classes shifts the tint and has its own size and width of stripe. Every
image draws its class at another place and size, in other colours, before a cluttered background, with another contrast,
brightness and cast of colour, and with grain: so normalisation, activation and width matter as they do on photographs.

The same bits come out everywhere: randomness is a fixed integer hash of a counter, and all arithmetic is on integers
but for one square root, which IEEE 754 rounds exactly.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset

TRAIN_PER_CLASS, TEST_PER_CLASS = 40, 10
CLASSES_EACH = 5  # classes in a superclass

Ints = NDArray[np.int32]


def _radius(u: Ints, v: Ints) -> Ints:
    return np.sqrt((u * u + v * v).astype(np.float64)).astype(np.int32)


# Distance from the centre, 128 on the outline, from the coordinates (u, v) of a point in units of the object's size.
SHAPES: dict[str, Callable[[Ints, Ints], Ints]] = {
    "disc": _radius,
    "box": lambda u, v: np.maximum(abs(u), abs(v)) * 9 // 8,
    "diamond": lambda u, v: (abs(u) + abs(v)) * 7 // 8,
    "cross": lambda u, v: np.minimum(abs(u), abs(v)) * 5 // 2 + np.maximum(abs(u), abs(v)) // 3,
    "ring": lambda u, v: abs(_radius(u, v) - 110) * 2,
}
# The coordinate along which stripes follow each other.
TEXTURES: dict[str, Callable[[Ints, Ints], Ints]] = {
    "plain": lambda u, v: 0 * (u + v),
    "upright": lambda u, v: u + 0 * v,
    "level": lambda u, v: 0 * u + v,
    "slanted": lambda u, v: u + v,
}
SUPERCLASSES = [f"{texture} {shape}" for texture in TEXTURES for shape in SHAPES]
CLASSES = [f"{name} {number}" for name in SUPERCLASSES for number in range(1, CLASSES_EACH + 1)]


def embedded_dataset(notice: str = "") -> Dataset:
    """Draw the embedded data set, always the same: 4,000 training and 1,000 test images, as many of each class."""
    count = len(CLASSES) * (TRAIN_PER_CLASS + TEST_PER_CLASS)
    order = np.argsort(_bits(0, 0, count), kind="stable")
    fine, rank = order % len(CLASSES), order // len(CLASSES)
    labels = {"coarse": fine // CLASSES_EACH, "fine": fine}
    scene = _scene(fine)
    images = np.concatenate([_render(scene, slice(start, start + 250)) for start in range(0, count, 250)])
    train, test = rank < TRAIN_PER_CLASS, rank >= TRAIN_PER_CLASS
    return Dataset(
        name="embedded",
        train_images=images[train],
        train_labels={kind: values[train] for kind, values in labels.items()},
        test_images=images[test],
        test_labels={kind: values[test] for kind, values in labels.items()},
        label_names={"coarse": tuple(SUPERCLASSES), "fine": tuple(CLASSES)},
        source="embedded set of drawn images",
        notice=notice,
    )


def _bits(stream: int, start: int, count: int) -> NDArray[np.uint64]:
    """Return 64 random bits (count,) for each of the counters from `start` on: their splitmix64 hash."""
    z = np.arange(start, start + count, dtype=np.uint64) + np.uint64(stream << 32)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _uniform(stream: int, low: int, high: int, *shape: int) -> Ints:
    """Return random int32 of this shape, from `low` to `high`, both included."""
    raw = _bits(stream, 0, int(np.prod(shape))) >> np.uint64(32)
    scaled = (raw * np.uint64(high - low + 1)) >> np.uint64(32)
    return (scaled.astype(np.int32) + np.int32(low)).reshape(shape)


class _Scene(NamedTuple):
    """What is drawn in each image; lengths in sixteenths of a pixel, `n` images along the first axis."""

    shape: Ints
    texture: Ints
    stripe: Ints  # width of a stripe in 128ths of the object's size
    size: Ints
    x: Ints
    y: Ints
    colours: Ints  # (n, 2, 3): object, background
    clutter: Ints  # (n, 3, 5, 5): offsets of the background at the corners of a 4 x 4 grid
    contrast: Ints  # 256 leaves it as it is
    light: Ints  # (n, 3): brightness and cast together


def _scene(fine: NDArray[np.int64]) -> _Scene:
    n, coarse = len(fine), fine // CLASSES_EACH
    tints = _uniform(1, -50, 50, len(SUPERCLASSES), 2, 3)[coarse] + _uniform(2, -60, 60, len(CLASSES), 2, 3)[fine]
    return _Scene(
        shape=(coarse % len(SHAPES)).astype(np.int32),
        texture=(coarse // len(SHAPES)).astype(np.int32),
        stripe=_uniform(3, 40, 80, len(CLASSES))[fine],
        size=_uniform(4, 96, 152, len(CLASSES))[fine] + _uniform(5, -24, 24, n),
        x=_uniform(6, 256 - 64, 256 + 64, n),
        y=_uniform(7, 256 - 64, 256 + 64, n),
        colours=128 + tints + _uniform(8, -60, 60, n, 2, 3),
        clutter=_uniform(9, -50, 50, n, 3, 5, 5),
        contrast=_uniform(10, 90, 256, n),
        light=_uniform(11, -50, 50, n, 1) + _uniform(12, -24, 24, n, 3),
    )


def _render(scene: _Scene, block: slice) -> NDArray[np.uint8]:
    """Draw the images of the block: (m, 3072) uint8."""
    part = _Scene(*(values[block, ...] for values in scene))
    n = len(part.size)
    centres = np.arange(32, dtype=np.int32) * 16 + 8
    size = part.size[:, None, None]
    u = (centres[None, None, :] - part.x[:, None, None]) * 128 // size
    v = (centres[None, :, None] - part.y[:, None, None]) * 128 // size
    distance = _by_kind(SHAPES, part.shape, u, v)
    inside = np.clip((128 - distance) * 4 + 128, 0, 256)[:, None]  # 256 is inside, 0 outside, soft in between

    width = part.stripe[:, None, None]
    shade = abs(_by_kind(TEXTURES, part.texture, u, v) % (2 * width) - width) * 96 // width - 48
    shade[part.texture == 0] = 0

    thing = part.colours[:, 0, :, None, None] + shade[:, None]
    ground = part.colours[:, 1, :, None, None] + _smooth(part.clutter)
    image = ground + (thing - ground) * inside // 256
    image = (image - 128) * part.contrast[:, None, None, None] // 256 + 128 + part.light[:, :, None, None]
    # Eight pixels' grain from each hash, lowest byte first on every machine.
    grain = _bits(13, block.start * 384, n * 384).astype("<u8").view(np.uint8).reshape(image.shape)
    image += grain.astype(np.int32) * 49 // 256 - 24
    return np.clip(image, 0, 255).astype(np.uint8).reshape(n, 3072)


def _by_kind(table: dict[str, Callable[[Ints, Ints], Ints]], kind: Ints, u: Ints, v: Ints) -> Ints:
    """Apply to each image the table's function of its kind; u is (n, 1, 32), v (n, 32, 1), the result (n, 32, 32)."""
    out = np.empty((len(kind), 32, 32), dtype=np.int32)
    for number, function in enumerate(table.values()):
        rows = np.flatnonzero(kind == number)
        out[rows] = function(u[rows], v[rows])
    return out


def _smooth(grid: Ints) -> Ints:
    """Interpolate (n, 3, 5, 5) corner values linearly to (n, 3, 32, 32)."""
    place = np.arange(32, dtype=np.int32) * 4
    cell, rest = place // 32, place % 32
    rows = (grid[:, :, cell] * (32 - rest)[:, None] + grid[:, :, cell + 1] * rest[:, None]) // 32
    return (rows[..., cell] * (32 - rest) + rows[..., cell + 1] * rest) // 32
