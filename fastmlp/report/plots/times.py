"""Figures of the runs' accuracies: over their time, beside other programs, and beside the published ones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.data.normalize import AS_THEY_ARE
from fastmlp.report.plots.style import COLOURS, INK, MOST_PERCENT, NARROW, WIDE, colour_of, new_figure, short
from fastmlp.report.score import ACCURACY, score_of
from fastmlp.runs.experiments import published
from fastmlp.runs.results import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = "osD^vP*X"


def accuracy_and_time(runs: Sequence[RunResult], part: str, narrow: bool = False) -> "Figure":
    """Draw each run's score over its seconds in training: a colour a normalisation, a mark an experiment.

    part : "test" or "validation". More experiments than marks all have one mark.
    """
    figure, [axes] = new_figure(width=NARROW if narrow else WIDE, height=4.4 if narrow else 3.8)
    names, norms = (list(dict.fromkeys(getattr(run, field) for run in runs)) for field in ("experiment", "normalize"))
    marks = dict(zip(names, _MARKS, strict=False)) if len(names) <= len(_MARKS) else {}
    score = score_of(runs[0].config)
    for run in runs:
        colour, mark = colour_of(run.normalize), marks.get(run.experiment, "o")
        reached = run.test_accuracy if part == "test" else run.val_accuracy
        axes.plot([run.seconds], [score.drawn(reached)], mark, color=colour, markersize=5.5, alpha=0.85)
    for norm in norms:
        axes.plot([], [], "o", color=colour_of(norm), label=norm if norm != AS_THEY_ARE else "a run")
    for name, mark in marks.items():
        axes.plot([], [], mark, color=INK, label=short(name, 42 if narrow else 60), fillstyle="none")
    _over_time(axes, [run.seconds for run in runs], f"{part} {score.heading}")
    if score.factor == 100 and axes.get_ylim()[1] > MOST_PERCENT:
        axes.set_ylim(top=MOST_PERCENT)
    _legend(figure, axes, narrow)
    return figure


def rivals(measured: Sequence[Mapping[str, Any]], narrow: bool = False) -> "Figure":
    """Draw the validation accuracy of one network, trained by several programs, over the time since the start.

    measured : of each program its `name`, and for each epoch `seconds` since the start and `val_accuracy`, a fraction
    """
    figure, [axes] = new_figure(width=NARROW if narrow else WIDE, height=4.4 if narrow else 3.8)
    for one, colour, mark in zip(measured, COLOURS, _MARKS, strict=False):
        accuracy = 100 * np.array(one["val_accuracy"])
        label = short(one["name"], 42 if narrow else 60)
        axes.plot(one["seconds"], accuracy, f"{mark}-", color=colour, label=label, markersize=3.5, linewidth=1.2)
    _over_time(axes, [one["seconds"][-1] for one in measured], f"validation {ACCURACY.heading}")
    _legend(figure, axes, narrow)
    return figure


def _over_time(axes: "Axes", ends: Sequence[float], what: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    if max(ends) > 10 * min(ends):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="training and validation in seconds", ylabel=what)


def _legend(figure: "Figure", axes: "Axes", narrow: bool) -> None:
    if narrow:
        handles, labels = axes.get_legend_handles_labels()
        columns = 2 if max(map(len, labels)) < 18 else 1
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    else:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def beside(runs: Sequence[RunResult], narrow: bool = False) -> "Figure":
    """Draw each run's test accuracy beside the published one of its network and normalisation."""
    runs = [run for run in runs if published(run.config) is not None]
    names, norms = (list(dict.fromkeys(getattr(run, field) for run in runs)) for field in ("experiment", "normalize"))
    figure, [axes] = new_figure(width=NARROW if narrow else WIDE, height=(1.6 if narrow else 1.2) + 0.32 * len(names))
    for run in runs:
        i, j = names.index(run.experiment), norms.index(run.normalize)
        height, colour = i + 0.24 * (j - (len(norms) - 1) / 2), colour_of(run.normalize)
        accuracy = published(run.config)
        if accuracy is not None:
            axes.plot([100 * accuracy], [height], "|", color=colour, markersize=11, markeredgewidth=2.5)
        axes.plot([100 * run.test_accuracy], [height], "o", color=colour, markersize=5, alpha=0.8)
    for norm in norms:
        axes.plot([], [], "o", color=colour_of(norm), label=norm)
        axes.plot([], [], "|", color=colour_of(norm), markersize=11, markeredgewidth=2.5, label=f"{norm}, report")
    axes.set_yticks(range(len(names)), [short(name, 32) for name in names])
    axes.set(xlabel="test accuracy in %", ylim=(len(names) - 0.5, -0.5))
    _legend(figure, axes, narrow)
    return figure
