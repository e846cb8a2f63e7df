"""Learning curves: of one run, and of all runs of an experiment together."""

from collections.abc import Hashable, Mapping, Sequence
from math import inf, isfinite
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.report.plots.style import BLUE, INK, NARROW, ORANGE, SMALL, WIDE, blank, colour_of, new_figure, short
from fastmlp.report.score import guess, loss_words, score_of
from fastmlp.report.words import normalized, title
from fastmlp.runs.results import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS, MOST_NAMED, MOST_LINES = 16, 3, 8
_HUGE = 1e300  # a loss that is still to be added to another
_FLAT = 1e-12  # values that differ by less are drawn as one


def _shown(runs: Sequence[RunResult], what: str) -> tuple[str, float]:
    """Return the label of an axis, and the factor from a history's numbers to those shown; what : as of `limits_of`."""
    if what == "loss":
        return loss_words([run.config for run in runs]), 1.0
    score = score_of(runs[0].config)
    return score.heading, score.factor


def _scale(run: RunResult) -> Hashable:
    """Return what runs of losses that can be compared have in common: of classes their number."""
    config = run.config
    return config.layers[-1] if config.loss == "cross-entropy" else (config.loss, config.layers[-1])


def limits_of(runs: Sequence[RunResult], what: str) -> dict[Hashable, float]:
    """Return the value above which curves are cut off, so that none flattens the others, by scale.

    what : "loss": twice the loss of guessing or, where most runs are above that, of their better quarter, but
        no more than ten times that of guessing; or "accuracy": infinite, or 1 for a score that is cut off below -1
    """
    limits = {}
    for scale in dict.fromkeys(map(_scale, runs)):
        some = [run for run in runs if _scale(run) == scale]
        if what == "accuracy":
            limits[scale] = inf if score_of(some[0].config).factor == 100 else 1.0
            continue
        series = [run.history["val_loss"] for run in some]
        losses = [np.clip(np.array(one, np.float64), -_HUGE, _HUGE) for one in series]
        usual = [np.nanmedian(some) for some in losses if not np.isnan(some).all()]
        better = np.quantile(usual, 0.25, method="lower") if usual else 0.0
        guessed = guess(some[0].config)
        limits[scale] = 2 * min(max(guessed, float(better)), 5 * guessed)
    return limits


def leaves(run: RunResult, name: str, limits: Mapping[Hashable, float]) -> int | None:
    """Return the first epoch in which this series of the run is above its limit or not finite, None where none is."""
    limit = limits[_scale(run)]
    return next((i for i, v in enumerate(run.history[name], 1) if not isfinite(v) or abs(v) > limit), None)


def is_cut(run: RunResult) -> bool:
    """Whether a curve of the run's own figure leaves it."""
    limits = {what: limits_of([run], what) for what in ("loss", "accuracy")}
    return any(leaves(run, name, limits[name.partition("_")[2]]) for name in run.history)


def about_cut(runs: Sequence[RunResult], what: str) -> str:
    """Return a sentence on the runs whose validation curves are cut off; empty where none is."""
    limits = limits_of(runs, what)
    gone = [run for run in runs if leaves(run, f"val_{what}", limits)]
    if not gone:
        return ""
    ends = " or ".join(dict.fromkeys(f"{limits[_scale(run)]:.1f}" for run in gone))
    if what == "loss":
        above = f"above {ends} {'nats ' * loss_words([run.config for run in gone]).endswith('nats')}or "
    else:
        what = score_of(gone[0].config).name
        above = "below -1 or " if what != "accuracy" and isfinite(limits[_scale(gone[0])]) else ""
    names = "; ".join(title(run.config) for run in gone[:MOST_NAMED])
    more = f"; and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
    where = f"Where the {what} is {above}no longer a number, a curve leaves the figure, with a triangle"
    return f" {where}: {len(gone)} of {len(runs)} do, {names}{more}."


def run_curves(run: RunResult, narrow: bool = False) -> "Figure":
    """Draw loss and score of a run, on its training and validation rows, with its best epoch and its end."""
    shape, size = ((2, 1), (NARROW, 5.4)) if narrow else ((1, 2), (WIDE, 3.5))
    figure, both = new_figure(*shape, width=size[0], height=size[1])
    for axes, what in zip(both, ("loss", "accuracy"), strict=True):
        label, unit = _shown([run], what)
        parts = (("train", "training", BLUE), ("val", "validation", ORANGE))
        lines = [(run, f"{part}_{what}", colour, name) for part, name, colour in parts]
        limits = limits_of([run], what)
        _lines([axes], [lines], unit, limits)
        if run.best_epoch:
            far = 9 * limits[_scale(run)]
            best = unit * np.clip(run.history[f"val_{what}"][run.best_epoch - 1], -far, far)
            axes.axvline(run.best_epoch, color=INK, linewidth=0.8, linestyle=":")
            axes.plot([run.best_epoch], [best], "o:", color=INK, linewidth=0.8, markerfacecolor=ORANGE, markersize=6,
                zorder=4, label=f"best epoch, {run.best_epoch}")  # fmt: skip
        stopped = run.status == "done" and run.epochs < run.config.epochs
        end = {"done": "stopped early" if stopped else "last epoch"}.get(run.status, run.status)
        axes.axvline(run.epochs, color=INK, linewidth=1.2, label=f"{end}, {run.epochs}")
        axes.set(xlabel="epoch", ylabel=label)
    # Above both panels, as there is no place within them that no curve can take.
    handles, labels = both[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2 if narrow else 4)
    return figure


def experiments_together(runs: Sequence[RunResult], what: str, narrow: bool = False) -> "Figure":
    """Draw the validation loss or score of all runs, a panel an experiment and a colour a normalisation.

    what : "loss" or "accuracy"

    Panels of the same number of classes, or of numbers, share a scale. The runs of a large search are all in one panel.
    """
    label, unit = _shown(runs, what)
    names = list(dict.fromkeys(run.experiment for run in runs))
    if together := len(names) > MOST_PANELS:
        names = [f"{len(names)} candidates, {len(runs)} runs"]
    columns = min(2 if narrow else 4, len(names))
    rows = -(-len(names) // columns)
    if narrow:
        width, height = NARROW, 0.9 + (3.0 if columns == 1 else 1.9) * rows
    else:
        width, height = max(5.0, WIDE / 4 * columns), 0.8 + (3.0 if columns == 1 else 2.1) * rows
    figure, panels = new_figure(rows, columns, width=width, height=height)
    for panel in panels[len(names) :]:
        blank(panel)
    lines = [
        [(run, f"val_{what}", colour_of(run.normalize), normalized(run.config))
            for run in runs if together or run.experiment == name] for name in names
    ]  # fmt: skip
    limits = limits_of(runs, what)
    classes = [_scale(some[0][0]) for some in lines]
    for count in dict.fromkeys(classes):
        here = [i for i, one in enumerate(classes) if one == count]
        _lines([panels[i] for i in here], [lines[i] for i in here], unit, limits, linewidth=1.1)
    for i, axes in enumerate(panels[: len(names)]):
        axes.tick_params(labelleft=i % columns == 0 or classes[i] != classes[i - 1])
    for axes, name in zip(panels, names, strict=False):
        letters = int(width / columns / 0.075)  # inches that one takes, and the room between panels
        text = short(name, 120)
        parts = [text] if len(text) <= letters else text.split(", ")
        heading = [line for part in parts for line in wrap(part, letters)]
        if len(heading) > MOST_LINES:
            heading[MOST_LINES - 1 :] = ["…"]
        axes.set_title("\n".join(heading), fontsize=SMALL)
    handles = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2 if narrow else len(handles))
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(f"validation {label}", fontsize=9)
    return figure


def _lines(
    panels: "Sequence[Axes]",
    lines: Sequence[Sequence[tuple[RunResult, str, str, str]]],
    unit: float,
    limits: Mapping[Hashable, float],
    **options: Any,
) -> None:
    """Draw series of runs into panels of one scale.

    lines : for each panel, its lines as (run, key of its history, colour, label)
    unit : factor from the history's numbers to those shown
    limits : of `limits_of`; a line that passes its limit, or is no longer finite, leaves with a triangle
    """
    from matplotlib.ticker import MaxNLocator

    runs = [(run, series) for some in lines for run, series, *_ in some]
    shown = [v for run, series in runs for v in run.history[series] if isfinite(v) and abs(v) <= limits[_scale(run)]]
    least, most = (unit * end(shown or [0.0, 1.0]) for end in (min, max))
    room = 0.05 * (most - least) if most - least > _FLAT else 0.05
    epochs = max(run.epochs for run, _ in runs)
    aside = 0.04 * max(1, epochs - 1)
    for axes, some in zip(panels, lines, strict=False):
        labelled: set[str] = set()
        for run, series, colour, name in some:
            far = 9 * limits[_scale(run)]
            values = np.clip(run.history[series], -far, far)  # outside the panel, but not by 1e35
            marker = "." if len(values) < 3 else ""  # one epoch makes no line
            axes.plot(np.arange(1, len(values) + 1), unit * values, color=colour, marker=marker,
                label=None if name in labelled else name, **options)  # fmt: skip
            labelled.add(name)
            if gone := leaves(run, series, limits):
                up = series.endswith("loss")
                axes.plot([gone], [float(up)], "^" if up else "v", color=colour, markersize=6, clip_on=False,
                    transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set(xlim=(1 - aside, max(2, epochs) + aside), ylim=(least - room, most + room))
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.ticklabel_format(axis="y", useOffset=False)
