"""Pictures of images: one of each class, the mistakes, and a network's first weights; and its confusion matrix."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import Dataset
from fastmlp.plots.style import MAP, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS, MOST_MISTAKES = 64, 20


def as_picture(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the planes (3 * S * S,) of an image as (S, S, 3)."""
    side = int((len(row) // 3) ** 0.5)
    return row.reshape(3, side, side).transpose(1, 2, 0)


def class_samples(dataset: Dataset, kind: str, seed: int = 0) -> "Figure":
    """Draw one training image of each class, taken at random."""
    rng, labels, names = np.random.default_rng(seed), dataset.train_labels[kind], dataset.label_names[kind]
    picked = [int(rng.choice(np.flatnonzero(labels == k))) for k in range(len(names))]
    texts = [name.replace("_", " ") for name in names]
    return _pictures([as_picture(dataset.train_images[i]) for i in picked], texts, 10)


def mistakes(dataset: Dataset, kind: str, probabilities: NDArray[np.floating]) -> "Figure":
    """Draw the test images of which the network was most certain, wrongly."""
    labels, names = dataset.test_labels[kind], [name.replace("_", " ") for name in dataset.label_names[kind]]
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")][:MOST_MISTAKES]
    texts = [f"{100 * probabilities[i, said[i]]:.0f} % {names[said[i]]}, is {names[labels[i]]}" for i in worst]
    return _pictures([as_picture(dataset.test_images[i]) for i in worst], texts, 5)


def first_weights(weight: NDArray[np.floating]) -> "Figure":
    """Draw the weights (3072, H) that each unit of the first layer has for the pixels, those with the largest first.

    Grey is zero; each unit has a scale of its own.
    """
    largest = np.argsort(-np.linalg.norm(weight, axis=0), kind="stable")[:MOST_UNITS]
    columns = min(16, len(largest))
    rows = -(-len(largest) // columns)
    mosaic = np.full((rows * 34 - 2, columns * 34 - 2, 4), 0, np.uint8)  # two clear pixels between pictures
    for i, unit in enumerate(weight.T[largest]):
        down, across = (34 * n for n in divmod(i, columns))
        pixels = np.round(127.5 + 127.5 * unit / (np.abs(unit).max() or 1.0)).astype(np.uint8)
        mosaic[down : down + 32, across : across + 32] = np.dstack(
            [as_picture(pixels), np.full((32, 32), 255, np.uint8)]
        )
    figure, [axes] = new_figure(width=8.5, height=8.5 * rows / columns)
    axes.set_axis_off()
    axes.imshow(mosaic, interpolation="nearest")
    return figure


def confusion(labels: NDArray[np.integer], said: NDArray[np.integer], names: Sequence[str]) -> "Figure":
    """Draw how many images of each class (down) were taken for which class (across), in % of the class."""
    classes = len(names)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, said), 1)
    shares = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = 3.2 + 0.24 * min(classes, 30)
    figure, [axes] = new_figure(width=size + 1, height=size)
    axes.grid(visible=False)
    image = axes.imshow(shares, cmap=MAP, vmin=0)
    texts = [name.replace("_", " ") for name in names]
    if classes <= 30:
        axes.set_xticks(range(classes), texts, rotation=90, fontsize=7)
        axes.set_yticks(range(classes), texts, fontsize=7)
        for (i, j), share in np.ndenumerate(shares):
            if share >= 0.5:
                colour = "#111111" if share > 0.55 * shares.max() else "#ffffff"
                axes.text(j, i, f"{share:.0f}", ha="center", va="center", fontsize=5.5, color=colour)
    axes.set(xlabel="taken for", ylabel="class")
    figure.colorbar(image, ax=axes, label="% of the class's test images", shrink=0.8)
    return figure


def _pictures(pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str], columns: int) -> "Figure":
    """Draw pictures in rows, each under its text."""
    from matplotlib.figure import Figure

    columns = max(1, min(columns, len(pictures)))
    width, rows = 8.5, max(1, -(-len(pictures) // columns))
    told = [
        "\n".join(wrap(text, int(width / columns / 0.066), break_long_words=False)) for text in texts
    ]  # inches that a letter takes
    lines = 1 + max((text.count("\n") for text in told), default=0)
    side, words = width / columns, 0.135 * lines + 0.05
    height = rows * (side + words)
    figure = Figure(figsize=(width, height))  # placed by hand: the solver of layouts takes seconds for so many axes
    for i, (picture, text) in enumerate(zip(pictures, told, strict=True)):
        row, column = divmod(i, columns)
        bottom = height - (row + 1) * (side + words)
        axes = figure.add_axes((column / columns, bottom / height, 0.94 / columns, 0.94 * side / height))
        axes.set_axis_off()
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(text, fontsize=7, pad=2, linespacing=1.1)
    return figure
