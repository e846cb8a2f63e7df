"""Figures of a search: the grid as a heat map, what each setting does, and all candidates at a glance."""

from collections.abc import Sequence
from dataclasses import fields
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.plots.style import BLUE, INK, MAP, ORANGE, new_figure
from fastmlp.results import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 6
# Not settings that one searches over, or only the names of them.
_NOT_AXES = ("experiment", "dataset", "seed", "matmul", "threads", "init_from")


def axes_of(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Return the settings in which these runs differ, each with its values in order."""
    found: dict[str, list[Any]] = {}
    for name in (field.name for field in fields(RunConfig) if field.name not in _NOT_AXES):
        values = {getattr(config, name) for config in configs}
        if len(values) > 1:
            found[name] = sorted(values, key=lambda v: (isinstance(v, str), v))
    return found


def text_of(value: Any) -> str:
    """Return a setting's value as it is written on the command line."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def heat_map(runs: Sequence[RunResult], configs: Sequence[RunConfig]) -> "Figure":
    """Draw the mean validation accuracy for each pair of values, a panel for each of the further ones.

    configs : all runs that are planned; a cell without a finished run has a dash
    """
    axes = axes_of(configs)
    down, across = sorted(axes, key=lambda name: -len(axes[name]))[:2]
    others = [name for name in axes if name not in (down, across)]
    met = {tuple(getattr(c, name) for name in others) for c in configs}
    panels = [panel for panel in product(*(axes[name] for name in others)) if panel in met][:MOST_PANELS]
    width = 1.4 + len(panels) * max(2.2, 0.75 * len(axes[across]))
    figure, places = new_figure(1, len(panels), width=width, height=1.3 + 0.45 * len(axes[down]), sharey=True)
    means = [[[_mean(runs, {down: d, across: a, **dict(zip(others, panel, strict=True))})
        for a in axes[across]] for d in axes[down]] for panel in panels]  # fmt: skip
    grid = 100 * np.array(means)
    finite = grid[np.isfinite(grid)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 1)
    image = None
    for place, panel, cells in zip(places, panels, grid, strict=True):
        place.grid(visible=False)
        image = place.imshow(cells, cmap=MAP, vmin=low, vmax=high, aspect="auto")
        place.set_xticks(range(len(axes[across])), [text_of(v) for v in axes[across]])
        place.set_yticks(range(len(axes[down])), [text_of(v) for v in axes[down]])
        place.set_xlabel(across)
        place.set_title(", ".join(f"{n} {text_of(v)}" for n, v in zip(others, panel, strict=True)), fontsize=9)
        for (i, j), value in np.ndenumerate(cells):
            told = f"{value:.1f}" if np.isfinite(value) else "-"
            light = np.isfinite(value) and value - low > 0.55 * (high - low)
            colour = ("#111111" if light else "#ffffff") if np.isfinite(value) else INK
            place.text(j, i, told, ha="center", va="center", fontsize=8, color=colour)
    places[0].set_ylabel(down)
    if image is not None:
        figure.colorbar(image, ax=places, label="validation accuracy in %", shrink=0.9)
    return figure


def _mean(runs: Sequence[RunResult], values: dict[str, Any]) -> float:
    found = [r.val_accuracy for r in runs if all(getattr(r.config, name) == v for name, v in values.items())]
    return fmean(found) if found else np.nan


def axis_effects(runs: Sequence[RunResult]) -> "Figure":
    """Draw the validation accuracy of all runs by the value of each setting, and the mean of each value."""
    axes = axes_of([run.config for run in runs])
    figure, places = new_figure(1, len(axes), width=1.2 + 2.2 * len(axes), height=2.8, sharey=True)
    for place, (name, values) in zip(places, axes.items(), strict=True):
        for i, value in enumerate(values):
            found = [100 * r.val_accuracy for r in runs if getattr(r.config, name) == value]
            place.plot([i] * len(found), found, "o", color=BLUE, alpha=0.7, markersize=4)
            place.plot([i - 0.25, i + 0.25], [np.nanmean(found)] * 2, color=INK, linewidth=2)
        place.set_xticks(range(len(values)), [text_of(v) for v in values], rotation=30 if len(values) > 4 else 0)
        place.set_xlabel(name)
        place.set_xlim(-0.6, len(values) - 0.4)
    places[0].set_ylabel("validation accuracy in %")
    return figure


def parallel_coordinates(runs: Sequence[RunResult]) -> "Figure":
    """Draw each run as a line through its settings to its validation accuracy, which is its colour too."""
    from matplotlib.colors import LinearSegmentedColormap

    # Lines have no ground of their own, so that each colour must stand out on white and on black.
    colours = LinearSegmentedColormap.from_list("", [BLUE, "#8a8a8a", ORANGE])
    axes = axes_of([run.config for run in runs])
    scores = np.array([100 * run.val_accuracy for run in runs])
    low, high = np.nanmin(scores), max(np.nanmax(scores), np.nanmin(scores) + 1e-9)
    figure, [place] = new_figure(width=max(5.0, 2.0 + 1.6 * len(axes)), height=3.4)
    place.grid(visible=False)
    places = {name: np.linspace(0, 1, len(values)) for name, values in axes.items()}
    for run, score in sorted(zip(runs, scores, strict=True), key=lambda pair: pair[1]):
        share = (score - low) / (high - low)
        aside = 0.06 * (share - 0.5)  # lines of the same settings lie side by side, the better ones above
        heights = [places[name][values.index(getattr(run.config, name))] + aside for name, values in axes.items()]
        place.plot(range(len(axes) + 1), [*heights, share], color=colours(share), linewidth=1.3)
    for i, (name, values) in enumerate(axes.items()):
        place.axvline(i, color=INK, linewidth=0.8)
        for height, value in zip(places[name], values, strict=True):
            place.text(i + 0.02, height + 0.04, text_of(value), fontsize=8, va="bottom")
    place.axvline(len(axes), color=INK, linewidth=0.8)
    for share in (0, 0.5, 1):
        place.text(len(axes) + 0.03, share, f"{low + share * (high - low):.1f}", fontsize=8, va="center")
    place.set_xticks(range(len(axes) + 1), [*axes, "validation\naccuracy in %"])
    place.set_yticks([])
    place.set(xlim=(-0.1, len(axes) + 0.35), ylim=(-0.06, 1.13))
    for side in ("left", "bottom"):
        place.spines[side].set_visible(False)
    return figure


def searched(configs: Sequence[RunConfig]) -> bool:
    """Whether there are two settings to draw a map over."""
    return len(axes_of(configs)) >= 2
