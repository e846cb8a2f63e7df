"""The calibration of probabilities: what was predicted, and how often it is observed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from fastmlp.report.plots.style import BLUE, INK, NARROW, ORANGE, WIDE, new_figure, short
from fastmlp.runs.metrics import Answers
from fastmlp.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10
_FACTOR = 50  # between the most and the fewest rows of a range, above which their scale is logarithmic
_NORMAL = 1.959964  # standard deviations within which 95 % of a normal distribution lie


@dataclass(frozen=True)
class Bin:
    """The answers whose probability is in one of ten ranges, from `low` to `high`.

    rows : their number; predicted : their mean probability; observed : the share of them that came true
    least, most : the 95 % interval of that share by their number (E. Wilson, J. Amer. Stat. Assoc. 22, 1927)
    """

    low: float
    high: float
    rows: int
    predicted: float
    observed: float
    least: float
    most: float


@dataclass(frozen=True)
class Calibration:
    """What was predicted with which probability, and how often it is observed.

    of : what the probability is of, in words; bins : the ranges that have rows
    error : the mean distance of predicted and observed, by rows: the expected calibration error
    """

    of: str
    bins: Sequence[Bin]
    error: float


def calibration_of(answers: Answers, names: Sequence[str]) -> Calibration:
    """Return the calibration of classes or labels with these names; DataError where outputs are not finite.

    Of two classes it is that of the second's probability, of more that of the predicted class, of labels that of
    all of them together.
    """
    answers.check_finite()
    outputs, weights = answers.outputs, answers.weights
    if answers.kind == "labels":
        of, said, true = "a label", outputs.ravel(), answers.targets.ravel()
        weights = np.repeat(weights, outputs.shape[1])
    elif outputs.shape[1] == 2:
        of, said, true = names[1], outputs[:, 1], answers.hits(1)
    else:
        of, said, true = "the predicted class", outputs.max(axis=1), outputs.argmax(axis=1) == answers.targets
    place = np.minimum(BINS - 1, (BINS * said).astype(np.int64))
    rows, total, squares, sum_said, sum_true = (
        np.bincount(place, some, BINS) for some in (None, weights, weights**2, weights * said, weights * true)
    )
    bins = []
    for i in np.flatnonzero(rows).tolist():
        share, n = float(sum_true[i] / total[i]), float(total[i] ** 2 / squares[i])
        middle = (share + _NORMAL**2 / (2 * n)) / (1 + _NORMAL**2 / n)
        half = _NORMAL / (1 + _NORMAL**2 / n) * sqrt(share * (1 - share) / n + _NORMAL**2 / (4 * n * n))
        ends = max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
        bins.append(Bin(i / BINS, (i + 1) / BINS, int(rows[i]), float(sum_said[i] / total[i]), share, *ends))
    return Calibration(of, bins, float(np.abs(sum_said - sum_true).sum() / total.sum()))


def calibration(found: Calibration, narrow: bool = False) -> "Figure":
    """Draw the observed shares over the predicted probabilities, and under them how many answers each range has."""
    figure, [axes, below] = new_figure(
        2, 1, width=NARROW if narrow else WIDE, height=4.6, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    predicted, observed, least, most = (
        100 * np.array([getattr(one, name) for one in found.bins])
        for name in ("predicted", "observed", "least", "most")
    )
    axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", label="perfect calibration")
    axes.errorbar(predicted, observed, [observed - least, most - observed], color=BLUE, ecolor=BLUE, elinewidth=1,
        marker="o", markersize=5, label="observed, with its 95 % interval")  # fmt: skip
    axes.set(ylabel="observed in %", ylim=(-3, 103), xlim=(-1, 101))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=1 if narrow else 2)
    rows = [one.rows for one in found.bins]
    width = 100 / BINS
    below.bar([100 * one.low for one in found.bins], rows, width=0.94 * width, align="edge", color=ORANGE)
    below.set(ylabel="answers")
    below.set_xlabel(f"probability of {short(found.of, 22 if narrow else 40)} in %")
    if max(rows) > _FACTOR * min(rows):
        from matplotlib.ticker import LogLocator, NullFormatter

        below.set(yscale="log", ylim=(0.5, 2 * max(rows)))
        below.yaxis.set_major_locator(LogLocator(numticks=4))
        below.yaxis.set_minor_formatter(NullFormatter())
    else:
        below.locator_params(axis="y", nbins=3, integer=True)
    below.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def calibration_table(found: Calibration) -> Table:
    """Return a table of the ranges of probability: answers, mean predicted probability, and observed share."""
    facts = [
        f"Probability of {found.of}, predicted and observed, in %, with the 95 % interval of what is observed.",
        f"Mean distance of the two (expected calibration error): {100 * found.error:.2f} %.",
    ]
    rows = [
        [
            f"{100 * one.low:.0f} to {100 * one.high:.0f}",
            f"{one.rows:,}",
            *(f"{100 * share:.2f}" for share in (one.predicted, one.observed, one.least, one.most)),
        ]
        for one in found.bins
    ]
    return Table(facts, ["range", "answers", "predicted", "observed", "from", "to"], rows, words=1)
