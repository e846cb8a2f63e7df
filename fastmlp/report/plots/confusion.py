"""The confusion matrix of a classifier, as a map of colours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.report.plots.style import MAP, MOST_NAMES, NARROW, SMALL, WIDE, class_words, colour_bar, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW, LETTERS = 8, 10  # classes whose cells have room for the numbers of rows, and of their names side by side


def confusion(
    labels: NDArray[np.integer],
    predicted: NDArray[np.integer],
    names: Sequence[str],
    narrow: bool = False,
    *,
    rows: str = "images",
) -> "Figure":
    """Draw a confusion matrix: the share of each class (down) that was predicted as each class (across), in %.

    labels, predicted : (M,) of any integer dtype, each in [0, K) for K names
    narrow : of more than a few classes without numbers in the cells, and with numbers for the names across
    rows : what the rows are called
    """
    classes, few = len(names), len(names) <= FEW
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, predicted), 1)
    shares = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    if few:
        width = NARROW if narrow else min(WIDE, 3.6 + 0.9 * classes)
        figure, [axes] = new_figure(width=width, height=1.3 + 0.2 * narrow + 0.42 * classes)
    elif narrow:
        figure, [axes] = new_figure(width=NARROW, height=1.4 + 0.13 * classes)
    else:
        figure, [axes] = new_figure(width=WIDE, height=2.3 + 0.235 * min(classes, MOST_NAMES))
    axes.grid(visible=False)
    image = axes.imshow(shares, cmap=MAP, vmin=0, aspect="auto")
    texts = class_words(names)
    if classes <= MOST_NAMES:
        axes.set_yticks(
            range(classes), [f"{i}. {text}" if narrow else text for i, text in enumerate(texts, 1)], fontsize=SMALL
        )
    if narrow:
        every = range(classes) if few else range(4, classes, 5)
        axes.set_xticks(every, [str(i + 1) for i in every], fontsize=SMALL)
    elif classes <= MOST_NAMES:
        upright = not few or max(map(len, texts)) > LETTERS
        axes.set_xticks(range(classes), texts, rotation=90 if upright else 0, fontsize=SMALL)
    if few or (not narrow and classes <= MOST_NAMES):
        for (i, j), share in np.ndenumerate(shares):
            if share >= 0.5 or (few and counts[i, j]):
                colour = "#111111" if share > 0.55 * shares.max() else "#ffffff"
                text = f"{share:.0f}" + (f"\n{counts[i, j]:,.0f}" if few and not narrow else "")
                axes.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set(xlabel="taken for", ylabel="" if narrow else "class")
    if narrow:
        colour_bar(figure, image, "% of the class", ax=axes, location="bottom")
    else:
        colour_bar(figure, image, f"% of the class's test {rows}", ax=axes)
    return figure
