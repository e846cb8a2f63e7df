"""Figures of a search: the grid as a heat map, and the score by the value of each setting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.config import RunConfig, dashed
from fastmlp.report.plots.style import (
    BLUE,
    INK,
    MAP,
    MOST_PERCENT,
    NARROW,
    SMALL,
    WIDE,
    blank,
    colour_bar,
    new_figure,
    short,
)
from fastmlp.report.score import score_of
from fastmlp.runs.results import RunResult
from fastmlp.sweep.space import differing, setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 6
MOST_VALUES = 8  # of a setting that have places side by side; more of them, if numbers, lie on a scale
# Not a setting that one searches over.
_NOT_AXES = ("matmul",)


def axes_of(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Return the settings in which these runs differ, each with its values in order."""

    def place(value: Any) -> tuple[Any, ...]:  # values of one kind side by side, as no others can be compared
        return value is None, isinstance(value, str), isinstance(value, tuple), 0 if value is None else value

    names = [name for name in differing(configs) if name not in _NOT_AXES]
    return {name: sorted({setting(config, name) for config in configs}, key=place) for name in names}


def text_of(value: Any) -> str:
    """Return a setting's value as it is written on the command line; a long list of layers is cut short."""
    if isinstance(value, tuple):
        return short(dashed(value), 32)
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Scale:
    """The scale of a setting's values on an axis from 0 to 1.

    place(value) : its position; ticks : positions and their texts
    apart : whether the values stand side by side, at equal distances
    """

    place: Callable[[Any], float]
    ticks: list[tuple[float, str]]
    apart: bool


def scale_of(values: Sequence[Any]) -> Scale:
    """Return the scale of these values: side by side if they are few or not numbers, else linear or logarithmic."""
    if len(values) <= MOST_VALUES or not all(isinstance(value, int | float) for value in values):
        places = {value: i / max(1, len(values) - 1) for i, value in enumerate(values)}
        return Scale(places.__getitem__, [(place, text_of(value)) for value, place in places.items()], True)
    low, high = min(values), max(values)
    even = low <= 0 or high < 10 * low
    ends = (low, high) if even else (np.log(low), np.log(high))
    at = np.linspace(*ends, 4)
    ticks = [((v - ends[0]) / (ends[1] - ends[0]), f"{v if even else np.exp(v):.2g}") for v in at]
    return Scale(lambda v: float(((v if even else np.log(v)) - ends[0]) / (ends[1] - ends[0])), ticks, False)


def panels_of(configs: Sequence[RunConfig]) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the two settings of a heat map, down and across, and for each panel the values of all others."""
    axes = axes_of(configs)
    down, across = sorted(axes, key=lambda name: -len(axes[name]))[:2]
    others = [name for name in axes if name not in (down, across)]
    places = [{value: i for i, value in enumerate(axes[name])} for name in others]
    met = {tuple(setting(c, name) for name in others) for c in configs}
    panels = sorted(met, key=lambda panel: [place[v] for place, v in zip(places, panel, strict=True)])
    return down, across, [dict(zip(others, panel, strict=True)) for panel in panels]


def gridded(configs: Sequence[RunConfig]) -> bool:
    """Whether these runs fill half of a heat map's cells or more, as those of a grid do and random ones do not."""
    if not searched(configs):
        return False
    axes, (down, across, panels) = axes_of(configs), panels_of(configs)
    cells = {tuple(setting(config, name) for name in axes) for config in configs}
    return 2 * len(cells) >= len(axes[down]) * len(axes[across]) * len(panels)


def heat_map(runs: Sequence[RunResult], configs: Sequence[RunConfig], narrow: bool = False) -> "Figure":
    """Draw the mean validation score for each pair of values of two settings, a panel for each value of the others.

    configs : of all planned runs; a cell without a finished run has a dash
    """
    axes, (down, across, panels) = axes_of(configs), panels_of(configs)
    panels = panels[:MOST_PANELS]
    side = max(1.6, 0.5 * len(axes[across]))
    columns = max(1, min(len(panels), int(((NARROW if narrow else WIDE) - 1.4) / side)))
    rows = -(-len(panels) // columns)
    width = NARROW if narrow else min(WIDE, 1.8 + columns * max(2.2, side))
    height = (1.5 if narrow else 0.7) + rows * (0.6 + 0.4 * len(axes[down]))
    figure, places = new_figure(rows, columns, width=width, height=height, sharey=True)
    for place in places[len(panels) :]:
        blank(place)
    means = [[[_mean(runs, {down: d, across: a, **panel}) for a in axes[across]] for d in axes[down]]
        for panel in panels]  # fmt: skip
    score = score_of(configs[0])
    grid = np.array(means)
    finite = grid[np.isfinite(grid)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 1)
    if low == high:  # of which matplotlib would make a scale that goes beyond 100 %
        room = 0.01 * score.factor
        low, high = low - room, min(high + room, 100.0) if score.factor == 100 else high + room
    written = len(axes[across]) * columns <= 2.6 * width  # a score takes 0.35 inches
    image = None
    for i, (place, panel, cells) in enumerate(zip(places, panels, grid, strict=False)):
        place.grid(visible=False)
        image = place.imshow(cells, cmap=MAP, vmin=low, vmax=high, aspect="auto")
        texts = [text_of(v) for v in axes[across]]
        crowded = sum(len(text) + 1 for text in texts) > 15 * (width - 1.4) / columns
        place.set_xticks(range(len(texts)), texts, rotation=90 if crowded else 0)
        place.set_yticks(range(len(axes[down])), [text_of(v) for v in axes[down]])
        place.set_xlabel(across)
        if i % columns == 0:
            place.set_ylabel(down)
        place.set_title("\n".join(f"{n} {text_of(v)}" for n, v in panel.items()), fontsize=SMALL)
        for (row, column), value in np.ndenumerate(cells):
            number = "-" if not np.isfinite(value) else format(value, score.short) if written else ""
            light = np.isfinite(value) and value - low > 0.55 * (high - low)
            colour = ("#111111" if light else "#ffffff") if np.isfinite(value) else INK
            place.text(column, row, number, ha="center", va="center", fontsize=SMALL, color=colour)
    if image is not None:
        where: dict[str, Any] = {"location": "bottom"} if narrow else {"shrink": 0.9}
        colour_bar(figure, image, f"validation {score.heading}", ax=places, **where)
    return figure


def _mean(runs: Sequence[RunResult], values: dict[str, Any]) -> float:
    reached = [r.val_accuracy for r in runs if all(setting(r.config, name) == v for name, v in values.items())]
    return score_of(runs[0].config).drawn(fmean(reached)) if reached else np.nan


def axis_effects(runs: Sequence[RunResult], configs: Sequence[RunConfig], narrow: bool = False) -> "Figure":
    """Draw the validation score of all runs by the value of each setting, and the mean of each value.

    configs : of all runs; a value without a run that has a score is marked
    """
    axes, score = axes_of(configs), score_of(configs[0])
    columns = min(2 if narrow else 4, len(axes))
    rows = -(-len(axes) // columns)
    width = NARROW if narrow else min(WIDE, 1.2 + 2.2 * columns)
    figure, places = new_figure(rows, columns, width=width, height=0.5 + 2.4 * rows, sharey=True)
    for place in places[len(axes) :]:
        blank(place)
    marks = {}
    for i, (place, (name, values)) in enumerate(zip(places, axes.items(), strict=False)):
        scale = scale_of(values)
        half = 0.25 / max(1, len(values) - 1)
        for value in values:
            at, reached = (
                scale.place(value),
                [score.drawn(r.val_accuracy) for r in runs if setting(r.config, name) == value],
            )
            if reached:
                [marks["a run"]] = place.plot([at] * len(reached), reached, "o", color=BLUE, alpha=0.7, markersize=4)
            else:
                [marks[f"value without {score.one}"]] = place.plot([at], [0.04], "x", color=INK, markersize=5,
                    transform=place.get_xaxis_transform())  # fmt: skip
            if reached and scale.apart:
                [marks["mean of a value's runs"]] = place.plot([at - half, at + half], [fmean(reached)] * 2, color=INK,
                    linewidth=2)  # fmt: skip
        crowded = sum(len(text) + 2 for _, text in scale.ticks) > 15 * (width - 0.8) / columns
        slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        place.set_xticks(*zip(*scale.ticks, strict=True), fontsize=SMALL, **slanted)
        place.set_xlabel(name)
        place.set_xlim(-0.1 - half, 1.1 + half)
        if i % columns == 0:
            place.set_ylabel(f"validation {score.heading}")
    if score.factor == 100 and places[0].get_ylim()[1] > MOST_PERCENT:
        places[0].set_ylim(top=MOST_PERCENT)  # which all share
    figure.legend(marks.values(), marks.keys(), loc="outside upper center", ncols=1 if narrow else len(marks))
    return figure


def searched(configs: Sequence[RunConfig]) -> bool:
    """Whether these runs differ in two settings or more, as a heat map needs."""
    return len(axes_of(configs)) >= 2
