"""Parallel coordinates of a search: all runs at a glance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.report.plots.search import axes_of, scale_of
from fastmlp.report.plots.style import BLUE, GROUND, INK, NARROW, ORANGE, SMALL, WIDE, colour_bar, new_figure
from fastmlp.report.score import score_of
from fastmlp.runs.results import RunResult
from fastmlp.sweep.space import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parallel_coordinates(runs: Sequence[RunResult], configs: Sequence[RunConfig], narrow: bool = False) -> "Figure":
    """Draw each run as a line through its settings to its validation score, by which it is coloured.

    configs : of all runs, also those without a score; narrow : from the top down instead of to the right
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    # Lines have no ground of their own, so that each colour must stand out on white and on black.
    colours = LinearSegmentedColormap.from_list("", [BLUE, "#8a8a8a", ORANGE])
    axes = axes_of(configs)
    score_as = score_of(runs[0].config)
    scores = np.array([score_as.drawn(run.val_accuracy) for run in runs])
    low, high = scores.min(), max(scores.max(), scores.min() + 1e-9)
    scales = {name: scale_of(values) for name, values in axes.items()}
    most = max(len(scale.ticks) for scale in scales.values())
    size = (NARROW, 1.2 + 0.9 * len(axes)) if narrow else (WIDE, max(3.4, 0.2 * most))
    figure, [place] = new_figure(width=size[0], height=size[1])
    place.grid(visible=False)

    def point(along: float, height: float) -> tuple[float, float]:
        return (height, -along) if narrow else (along, height)

    for run, score in sorted(zip(runs, scores, strict=True), key=lambda pair: pair[1]):
        share = (score - low) / (high - low)
        aside = 0.06 * (share - 0.5)  # lines of the same settings lie side by side, the better ones above
        heights = [scale.place(setting(run.config, name)) + scale.apart * aside for name, scale in scales.items()]
        points = [point(i, height) for i, height in enumerate([*heights, share])]
        place.plot(*zip(*points, strict=True), color=colours(share), linewidth=1.3)
    behind = {"facecolor": GROUND, "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    for i, scale in enumerate(scales.values()):
        place.plot(*zip(point(i, -0.06), point(i, 1.06), strict=True), color=INK, linewidth=0.8)
        slanted = narrow and sum(len(text) + 2 for _, text in scale.ticks) > 40
        for height, text in scale.ticks:
            x, y = point(i + (-0.1 if narrow else 0.04), height + (0 if narrow else 0.045))
            words = place.text(x, y, text, fontsize=SMALL, va="bottom", bbox=behind, zorder=3)
            words.set(ha="center" if narrow and not slanted else "left", rotation=30 if slanted else 0)
    box = (0, -len(axes) - 0.12, 1, 0.12) if narrow else (len(axes), 0, 0.07, 1)
    colour_bar(
        figure,
        ScalarMappable(Normalize(low, high), colours),
        f"validation {score_as.heading}",
        cax=place.inset_axes(box, transform=place.transData),
        orientation="horizontal" if narrow else "vertical",
    )
    ends = {"xlim": (-0.12, 1.12), "ylim": (-len(axes) - 0.15, 0.4)}
    place.set(**ends if narrow else {"xlim": (-0.1, len(axes) + 0.1), "ylim": (-0.06, 1.13)})
    ticks = (place.set_yticks, place.set_xticks) if narrow else (place.set_xticks, place.set_yticks)
    ticks[0]([-i if narrow else i for i in range(len(axes))], list(axes))
    ticks[1]([])
    place.tick_params(length=0)
    for side in ("left", "bottom"):
        place.spines[side].set_visible(False)
    return figure
