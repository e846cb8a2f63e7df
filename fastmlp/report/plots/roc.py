"""ROC curves: of each class against the rest, or of each label, the true positives over the false ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.report.plots.style import BLUE, COLOURS, INK, NARROW, WIDE, new_figure, short
from fastmlp.runs.metrics import Answers, area_under_roc
from fastmlp.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = len(COLOURS)  # that find a colour each; of more, the mean and the lowest are drawn
LOWEST = 3
STEPS = 400  # of an axis: points that are nearer to each other are one
RATES = (1, 5, 10, 20)  # of false positives, in %


@dataclass(frozen=True, eq=False)
class Curve:
    """A ROC curve: for each threshold, from the highest down, the shares of the rows whose probability reaches it.

    name : of the class or label; rows : how many have it
    false, true : (P,) float64 from 0 to 1: of the other rows, and of these; empty where all rows are of one kind
    area : under the curve, the AUC; None where it is empty
    """

    name: str
    rows: int
    false: NDArray[np.float64]
    true: NDArray[np.float64]
    area: float | None

    def at(self, false: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the true positives (...) at these shares (...) of false ones, float64."""
        return np.interp(false, self.false, self.true)


def curves_of(answers: Answers, names: Sequence[str]) -> list[Curve]:
    """Return the ROC curves of classes or labels with these names: of two classes that of the second.

    Raises DataError where outputs are not finite.
    """
    answers.check_finite()
    return [_curve(answers, k, names[k]) for k in answers.columns]


def _curve(answers: Answers, k: int, name: str) -> Curve:
    hits, scores = answers.hits(k), answers.outputs[:, k]
    rows, area = int(hits.sum()), area_under_roc(hits, scores, answers.weights)
    if area is None:
        return Curve(name, rows, np.empty(0), np.empty(0), None)
    place = np.unique(-scores, return_inverse=True)[1]
    false, true = (np.append(0.0, np.cumsum(np.bincount(place, answers.weights * of))) for of in (~hits, hits))
    return Curve(name, rows, false / false[-1], true / true[-1], area)


def roc(curves: Sequence[Curve], narrow: bool = False) -> "Figure":
    """Draw ROC curves, with their areas in the legend; of many, the mean, the range and those of least area."""
    if narrow:
        figure, [axes] = new_figure(width=NARROW, height=3.9 + 0.17 * min(len(curves), MOST_CURVES))
    else:
        figure, [axes] = new_figure(width=WIDE, height=4.4)
    shown = [(curve, curve.area) for curve in curves if curve.area is not None]
    colours = list(COLOURS)
    if len(shown) > MOST_CURVES:
        grid = np.linspace(0, 1, STEPS + 1)
        every = np.array([curve.at(grid) for curve, _ in shown])
        mean = fmean(area for _, area in shown)
        axes.fill_between(100 * grid, 100 * every.min(axis=0), 100 * every.max(axis=0), color=BLUE, alpha=0.18,
            linewidth=0, label=f"all {len(shown)}")  # fmt: skip
        axes.plot(100 * grid, 100 * every.mean(axis=0), color=BLUE, label=f"mean of all, AUC {mean:.4f}")
        shown = sorted(shown, key=lambda pair: pair[1])[:LOWEST]
        colours.remove(BLUE)
    for (curve, area), colour in zip(shown, colours, strict=False):
        points = np.round(STEPS * np.stack([curve.false, curve.true]))
        points = 100 / STEPS * points[:, np.append(True, np.diff(points).any(axis=0))]
        axes.plot(*points, color=colour, label=f"{short(curve.name, 24)}, AUC {area:.4f}", clip_on=False)
    axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", label="guessing, AUC 0.5")
    axes.set(xlabel="false positives in %", ylabel="true positives in %", xlim=(0, 100), ylim=(0, 100), aspect="equal")
    if narrow:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    else:
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def roc_table(curves: Sequence[Curve], kind: str) -> Table:
    """Return a table of the curves' areas, and of their true positives at some rates of false ones.

    kind : "classes" or "labels"
    """
    one = {"classes": "class", "labels": "label"}[kind]
    fact = f"True positives in % of the rows with a {one}, at false positives in % of all others; AUC: the area."
    rates = np.array(RATES) / 100
    rows = [
        [
            curve.name,
            f"{curve.rows:,}",
            *(["-"] * (1 + len(RATES)) if curve.area is None else [f"{curve.area:.4f}"]),
            *([] if curve.area is None else [f"{100 * share:.2f}" for share in curve.at(rates)]),
        ]
        for curve in curves
    ]
    return Table([fact], [one, "rows", "AUC", *(f"at {rate} %" for rate in RATES)], rows, words=1)
