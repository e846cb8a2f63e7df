"""Residuals: how far predicted numbers are off, over what was predicted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import DataError
from fastmlp.report.numbers import writer
from fastmlp.report.plots.style import AMBER, BLUE, INK, NARROW, ORANGE, SMALL, WIDE, blank, new_figure, short
from fastmlp.runs.metrics import Answers
from fastmlp.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS, MOST_PANELS = 1000, 6
MOST_BINS, LEAST_IN_BIN = 10, 10
LARGEST = 1e300  # that is drawn
_SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Range:
    """The rows whose prediction is from `low` to `high`: their number, and of their residuals quantiles and RMSE.

    middle : the median prediction
    """

    low: float
    middle: float
    high: float
    rows: int
    tenth: float
    median: float
    ninetieth: float
    rmse: float


@dataclass(frozen=True, eq=False)
class Residuals:
    """The residuals of one predicted number, in its unit: target - prediction.

    predicted, residuals : (M,) float64; ranges : up to ten of as many rows each, by prediction
    """

    name: str
    predicted: NDArray[np.float64]
    residuals: NDArray[np.float64]
    ranges: Sequence[Range]


def residuals_of(answers: Answers, names: Sequence[str]) -> list[Residuals]:
    """Return the residuals of each of the numbers with these names; DataError where they are not finite, or too large.

    Quantiles and RMSE are by weight.
    """
    answers.check_finite()
    targets, outputs = answers.targets, answers.outputs
    if max(np.abs(targets).max(), np.abs(outputs).max()) > LARGEST:
        raise DataError(f"some numbers are above {LARGEST:g} in size, and their residuals are not drawn")
    found = []
    for name, predicted, apart in zip(names, outputs.T, (targets - outputs).T, strict=True):
        bins = max(1, min(MOST_BINS, len(predicted) // LEAST_IN_BIN))
        edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
        place = np.searchsorted(edges, predicted, side="left")
        ranges = [
            _range(predicted[place == i], apart[place == i], answers.weights[place == i]) for i in np.unique(place)
        ]
        found.append(Residuals(name, predicted, apart, ranges))
    return found


def _range(predicted: NDArray[np.float64], apart: NDArray[np.float64], weights: NDArray[np.float64]) -> Range:
    order = np.argsort(apart, kind="stable")
    up_to = np.cumsum(weights[order]) - 0.5 * weights[order]
    tenth, median, ninetieth = np.interp(np.array(_SHARES) * weights.sum(), up_to, apart[order]).tolist()
    most = float(np.abs(apart).max()) or 1.0
    rmse = most * sqrt(float(np.average((apart / most) ** 2, weights=weights)))
    low, middle, high = np.quantile(predicted, [0, 0.5, 1]).tolist()
    return Range(low, middle, high, len(apart), tenth, median, ninetieth, rmse)


def residuals(found: Sequence[Residuals], narrow: bool = False) -> "Figure":
    """Draw residuals over predictions, a panel each of the first six numbers, with the median and 80 % of the rows."""
    found = found[:MOST_PANELS]
    columns = 1 if narrow else len(found) if len(found) <= 3 else -(-len(found) // 2)
    rows = -(-len(found) // columns)
    height = 0.9 + rows * (2.7 if narrow or columns > 1 else 3.2)
    figure, panels = new_figure(rows, columns, width=NARROW if narrow else WIDE, height=height)
    for axes in panels[len(found) :]:
        blank(axes)
    for axes, one in zip(panels, found, strict=False):
        _panel(axes, one, MOST_POINTS // len(found))
        if len(found) > 1:
            axes.set_title(short(one.name, 32), fontsize=SMALL)
    handles = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=1 if narrow else 3)
    figure.supxlabel("prediction", fontsize=9)
    figure.supylabel("target - prediction", fontsize=9)
    return figure


def _panel(axes: "Axes", one: Residuals, most: int) -> None:
    index = np.arange(len(one.predicted))
    if len(index) > most:
        index = np.random.default_rng(0).choice(index, most, replace=False)
    x, y = one.predicted[index], one.residuals[index]
    across, down = _limits(one.predicted), _limits(one.residuals)
    held = np.clip(x, *across), np.clip(y, *down)
    out = (held[0] != x) | (held[1] != y)
    axes.plot(
        held[0][~out], held[1][~out], "o", color=BLUE, alpha=0.6, markersize=2.8, markeredgewidth=0, label="a row"
    )
    if out.any():
        axes.plot(held[0][out], held[1][out], "d", color=AMBER, markersize=4, label="beyond the edge", clip_on=False)
    at, low, middle, high = (
        np.array([getattr(part, name) for part in one.ranges]) for name in ("middle", "tenth", "median", "ninetieth")
    )
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.errorbar(at, middle, [middle - low, high - middle], color=ORANGE, elinewidth=1.2, capsize=2, marker="o",
        markersize=3.5, linewidth=1.2, zorder=3, label="median and 80 % of a tenth of the rows")  # fmt: skip
    axes.set(xlim=across, ylim=down)
    axes.tick_params(labelsize=SMALL)
    axes.locator_params(nbins=5)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of an axis on which most of the values can be told apart, with room around them."""
    low, high = np.quantile(values, [0.005, 0.995]).tolist()
    apart = high - low
    low, high = max(low - apart / 4, float(values.min())), min(high + apart / 4, float(values.max()))
    if apart == 0:  # nearly all are one value
        low, high = float(values.min()), float(values.max())
    room = max(0.04 * (high - low), 1e-9 * max(abs(low), abs(high)), 1e-290)
    return low - room, high + room


def residuals_table(found: Sequence[Residuals]) -> Table:
    """Return a table of the residuals by range of the prediction: quantiles and RMSE, in the unit of the target."""
    fact = (
        "Target - prediction by ranges of the prediction with as many rows each: median, 10 % and 90 % quantile, RMSE."
    )
    rows = [
        [
            one.name,
            f"{write(part.low)} to {write(part.high)}",
            f"{part.rows:,}",
            *map(write, (part.median, part.tenth, part.ninetieth, part.rmse)),
        ]
        for one, write in ((one, writer(one.residuals)) for one in found)
        for part in one.ranges
    ]
    table = Table([fact], ["number", "prediction", "rows", "median", "10 %", "90 %", "RMSE"], rows, words=2)
    return (
        table if len(found) > 1 else replace(table, columns=table.columns[1:], rows=[row[1:] for row in rows], words=1)
    )
