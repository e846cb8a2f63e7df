"""Bar charts of a data set's images by split and by class."""

from typing import TYPE_CHECKING

import numpy as np

from fastmlp.data import Dataset
from fastmlp.report.plots.style import BLUE, GREEN, NARROW, ORANGE, SKY, SMALL, WIDE, class_words, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def splits(dataset: Dataset, narrow: bool = False) -> "Figure":
    """Draw the number of images in each split, with their share of all."""
    counts = {"training": len(dataset.train_images), "test": len(dataset.test_images)}
    figure, [axes] = new_figure(width=NARROW if narrow else WIDE, height=1.4)
    axes.grid(visible=False, axis="y")
    bars = axes.barh(list(counts), list(counts.values()), color=(BLUE, ORANGE), height=0.6)
    labels = [f"{n:,} ({n / sum(counts.values()):.1%})".replace("%", " %") for n in counts.values()]
    axes.bar_label(bars, labels, padding=4, fontsize=SMALL)
    axes.invert_yaxis()
    axes.set(xlabel="images", xlim=(0, 1.5 * max(counts.values()) if narrow else 1.2 * max(counts.values())))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=3 if narrow else 6)
    return figure


def classes(dataset: Dataset, kind: str, narrow: bool = False) -> "Figure":
    """Draw the number of rows of each class: in all, and in each part."""
    names = class_words(dataset.label_names[kind])
    parts = {part: np.bincount(labels[kind], minlength=len(names)) for part, _, labels in dataset.parts()}
    shown = [("all", sum(parts.values()), GREEN), ("training", parts["train"], BLUE)]
    shown += [("validation", parts["validation"], SKY)] if "validation" in parts else []
    shown.append(("test", parts["test"], ORANGE))
    size = {"width": NARROW, "height": 0.8 + 0.15 * len(names)} if narrow else {"height": 0.8 + 0.18 * len(names)}
    figure, panels = new_figure(1, len(shown), sharey=True, **size)
    for axes, (part, counts, colour) in zip(panels, shown, strict=True):
        axes.grid(visible=False, axis="y")
        axes.barh(range(len(names)), counts, color=colour, height=0.7)
        axes.set_title(part, fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=1 if narrow else 4)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    figure.supxlabel(f"{'images' if dataset.of_images else 'rows'} of the class", fontsize=9)
    return figure
