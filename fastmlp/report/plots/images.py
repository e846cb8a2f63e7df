"""Galleries of images: one of each class, mistakes, first-layer weights."""

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import Dataset
from fastmlp.report.plots.style import WIDE, class_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS, MOST_MISTAKES = 64, 20


def as_picture(row: NDArray[np.uint8], shape: tuple[int, int, int] | None = None) -> NDArray[np.uint8]:
    """Return a row (C * H * W,) uint8 of an image's planes as a picture (H, W, 3); of C but 3 its first as grey.

    shape : (C, H, W); None for three square planes
    """
    if shape is None:
        side = int((len(row) // 3) ** 0.5)
        shape = (3, side, side)
    planes = row.reshape(shape)
    return (planes if len(planes) == 3 else np.repeat(planes[:1], 3, axis=0)).transpose(1, 2, 0)


@dataclass
class Tiles:
    """A gallery: pictures, each (H, W, 3) uint8, and a text over each, in rows of `columns`."""

    pictures: list[NDArray[np.uint8]]
    texts: list[str]
    columns: int

    def figure(self) -> "Figure":
        """Draw the gallery."""
        from matplotlib.figure import Figure

        columns = max(1, min(self.columns, len(self.pictures)))
        side, rows = WIDE / columns, max(1, -(-len(self.pictures) // columns))
        letters = int(side / 0.066)  # inches that a letter takes
        wrapped = ["\n".join(wrap(text, letters, break_long_words=_is_broken(text, letters))) for text in self.texts]
        lines = max((1 + text.count("\n") for text in wrapped if text), default=0)
        words = 0.135 * lines + 0.05
        height = rows * (side + words)
        figure = Figure(figsize=(WIDE, height))  # placed by hand: the solver of layouts takes seconds for so many axes
        for i, (picture, text) in enumerate(zip(self.pictures, wrapped, strict=True)):
            row, column = divmod(i, columns)
            bottom = height - (row + 1) * (side + words)
            axes = figure.add_axes((column / columns, bottom / height, 0.94 / columns, 0.94 * side / height))
            axes.set_axis_off()
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(text, fontsize=7, pad=2, linespacing=1.1)
        return figure


def _is_broken(text: str, letters: int) -> bool:
    """Whether a text has a word that would reach far into the next picture, where `letters` fit over one."""
    return any(len(word) > 1.4 * letters for word in text.split())


def class_samples(dataset: Dataset, kind: str) -> Tiles:
    """Return a gallery of one training image of each class that has any, taken at random."""
    rng, labels, names = np.random.default_rng(0), dataset.train_labels[kind], dataset.label_names[kind]
    used = [k for k in range(len(names)) if (labels == k).any()]
    picked = [int(rng.choice(np.flatnonzero(labels == k))) for k in used]
    words = class_words(names)
    texts = [words[k] for k in used]
    return Tiles([as_picture(dataset.train_images[i], dataset.shape) for i in picked], texts, 10)


def mistakes(dataset: Dataset, kind: str, probabilities: NDArray[np.floating]) -> Tiles:
    """Return a gallery of the wrongly classified test images with the highest probabilities (M, K), of any float."""
    labels, names = dataset.test_labels[kind], class_words(dataset.label_names[kind])
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:MOST_MISTAKES]
    texts = [f"{100 * probabilities[i, k]:.0f} % {names[k]}, is {names[labels[i]]}"
        for i, k in zip(worst, predicted[worst], strict=True)]  # fmt: skip
    return Tiles([as_picture(dataset.test_images[i], dataset.shape) for i in worst], texts, 5)


def first_weights(weight: NDArray[np.floating], shape: tuple[int, int, int] | None = None) -> Tiles:
    """Return a gallery of a first layer's weight (D, H) of any float, a picture a unit, those of largest norm first.

    shape : of the images, as of `as_picture`. Grey is zero; each unit is scaled by its largest weight.
    """
    weight = weight / (np.abs(weight).max() or 1.0)  # squares of the largest numbers are none
    largest = np.argsort(-np.linalg.norm(weight, axis=0), kind="stable")[:MOST_UNITS]
    scaled = [unit / (np.abs(unit).max() or 1.0) for unit in weight.T[largest]]
    pictures = [as_picture(np.round(127.5 + 127.5 * unit).astype(np.uint8), shape) for unit in scaled]
    return Tiles(pictures, [""] * len(pictures), 16)
