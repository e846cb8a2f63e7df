"""The permutation importance of columns, as bars."""

from typing import TYPE_CHECKING

import numpy as np

from fastmlp.report.importance import Importances
from fastmlp.report.plots.style import BLUE, INK, NARROW, SMALL, WIDE, new_figure, short
from fastmlp.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 25


def importance(found: Importances, narrow: bool = False) -> "Figure":
    """Draw how much worse the metric is without each column, the mean and the range over the repetitions.

    Of many columns those of most importance are drawn.
    """
    shown = found.columns[:MOST_COLUMNS]
    figure, [axes] = new_figure(width=NARROW if narrow else WIDE, height=0.9 + 0.2 * max(2, len(shown)))
    axes.grid(visible=False, axis="y")
    factor = 100 if found.metric.unit == "%" else 1
    mean = factor * np.array([one.mean for one in shown])
    ends = factor * np.array([[min(one.worse), max(one.worse)] for one in shown]).T
    axes.barh(range(len(shown)), mean, color=BLUE, height=0.65)
    axes.errorbar(mean, range(len(shown)), xerr=[mean - ends[0], ends[1] - mean], fmt="none", ecolor=INK, elinewidth=1,
        capsize=2)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [short(one.name, 18 if narrow else 40) for one in shown], fontsize=SMALL)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=4 if narrow else 8)
    axes.set_xlabel(_worse(found))
    return figure


def _worse(found: Importances) -> str:
    return f"{'fall' if found.metric.higher else 'rise'} of {found.metric.heading}"


def importance_table(found: Importances) -> Table:
    """Return a table of how much worse the metric is without each column: mean, deviation and range."""
    metric, repeats = found.metric, len(found.columns[0].worse)
    what = _worse(found)
    fact = f"{what[0].upper()}{what[1:]} where a column is shuffled among {found.rows:,} rows, {repeats} times each; "
    fact += f"with no column shuffled it is {metric.text(found.value)}."
    rows = [
        [one.name, *(metric.text(value) for value in (one.mean, one.spread, min(one.worse), max(one.worse)))]
        for one in found.columns
    ]
    return Table([fact], ["column", "mean", "deviation", "least", "most"], rows, words=1)
