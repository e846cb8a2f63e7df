"""Learning curves: of one run, and of all runs of an experiment together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.plots.style import BLUE, COLOURS, INK, ORANGE, blank, new_figure
from fastmlp.results import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 16
_SHOWN = (("loss", "cross-entropy in nats", 1.0), ("accuracy", "accuracy in %", 100.0))


def run_curves(run: RunResult) -> "Figure":
    """Draw loss and accuracy of a run, on its training and validation images, with its best epoch and its end."""
    figure, both = new_figure(1, 2, height=3.5)
    for axes, (what, label, unit) in zip(both, _SHOWN, strict=True):
        for part, name, colour in (("train", "training", BLUE), ("val", "validation", ORANGE)):
            _line(axes, unit * np.array(run.history[f"{part}_{what}"]), colour, name)
        if run.best_epoch:
            best = unit * run.history[f"val_{what}"][run.best_epoch - 1]
            axes.axvline(run.best_epoch, color=INK, linewidth=0.8, linestyle=":")
            axes.plot([run.best_epoch], [best], "o", color=ORANGE, markeredgecolor=INK, markersize=6, zorder=4,
                label=f"best epoch, {run.best_epoch}")  # fmt: skip
        stopped = run.status == "done" and run.epochs < run.config.epochs
        end = {"done": "stopped early" if stopped else "last epoch"}.get(run.status, run.status)
        axes.axvline(run.epochs, color=INK, linewidth=1.2, label=f"{end}, {run.epochs}")
        axes.set(xlabel="epoch", ylabel=label)
        _epochs(axes)
    # Above both panels, as there is no place within them that no curve can take.
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _epochs(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _line(axes: "Axes", values: np.ndarray, colour: str, name: str | None, **options: Any) -> None:
    marker = "." if len(values) < 3 else ""  # one epoch makes no line
    axes.plot(np.arange(1, len(values) + 1), values, color=colour, label=name, marker=marker, **options)


def experiments_together(runs: Sequence[RunResult], what: str) -> "Figure":
    """Draw the validation loss or accuracy of all runs, a panel an experiment and a colour a normalisation.

    what : "loss" or "accuracy"; of a large search all are in one panel
    """
    label, unit = next((text, unit) for name, text, unit in _SHOWN if name == what)
    names, norms = (list(dict.fromkeys(getattr(run, field) for run in runs)) for field in ("experiment", "normalize"))
    if together := len(names) > MOST_PANELS:
        names = [f"{len(names)} candidates"]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, panels = new_figure(rows, columns, width=max(5.0, 2.4 * columns), height=0.8 + 2.1 * rows, sharey=True)
    for panel in panels[len(names) :]:
        blank(panel)
    for axes, name in zip(panels, names, strict=False):
        told: set[str] = set()
        for run in (run for run in runs if together or run.experiment == name):
            colour = COLOURS[norms.index(run.normalize) % len(COLOURS)]
            label_once = None if run.normalize in told else run.normalize
            _line(axes, unit * np.array(run.history[f"val_{what}"]), colour, label_once, linewidth=1.1)
            told.add(run.normalize)
        _epochs(axes)
        axes.set_title(name if len(name) < 28 else name.replace(", ", "\n"), fontsize=8)
    handles = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(f"validation {label}", fontsize=9)
    return figure
