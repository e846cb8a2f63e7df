"""What the runs reached: accuracy against time, and beside the published figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastmlp.experiments import published
from fastmlp.plots.style import COLOURS, INK, new_figure
from fastmlp.results import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKS = "osD^vP*X"


def accuracy_and_time(runs: Sequence[RunResult]) -> "Figure":
    """Draw each run's test accuracy over its seconds: a colour a normalisation, a mark an experiment."""
    figure, [axes] = new_figure(height=3.8)
    names, norms = (list(dict.fromkeys(getattr(run, field) for run in runs)) for field in ("experiment", "normalize"))
    for run in runs:
        colour, mark = (
            COLOURS[norms.index(run.normalize) % len(COLOURS)],
            _MARKS[names.index(run.experiment) % len(_MARKS)],
        )
        axes.plot([run.seconds], [100 * run.test_accuracy], mark, color=colour, markersize=5.5, alpha=0.85)
    for norm, colour in zip(norms, COLOURS, strict=False):
        axes.plot([], [], "o", color=colour, label=norm)
    for name, mark in zip(names, _MARKS, strict=False):
        axes.plot([], [], mark, color=INK, label=name, fillstyle="none")
    seconds = [run.seconds for run in runs]
    if max(seconds) > 10 * min(seconds):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="seconds, training and validation", ylabel="test accuracy in %")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def beside(runs: Sequence[RunResult]) -> "Figure":
    """Draw each run's test accuracy beside the published one of its network and normalisation."""
    told = [run for run in runs if published(run.config) is not None]
    names, norms = (list(dict.fromkeys(getattr(run, field) for run in told)) for field in ("experiment", "normalize"))
    figure, [axes] = new_figure(height=1.2 + 0.32 * len(names))
    for run in told:
        i, j = names.index(run.experiment), norms.index(run.normalize)
        height = i + 0.16 * (j - (len(norms) - 1) / 2)
        figure_there = published(run.config)
        if figure_there is not None:
            axes.plot([100 * figure_there], [height], "|", color=INK, markersize=11, markeredgewidth=2)
        axes.plot([100 * run.test_accuracy], [height], "o", color=COLOURS[j % len(COLOURS)], markersize=5, alpha=0.8)
    for norm, colour in zip(norms, COLOURS, strict=False):
        axes.plot([], [], "o", color=colour, label=norm)
    axes.plot([], [], "|", color=INK, markersize=11, markeredgewidth=2, label="the report")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="test accuracy in %", ylim=(len(names) - 0.5, -0.5))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
