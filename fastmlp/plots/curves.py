"""Learning curves: of one run, and of all runs of an experiment together."""

from collections.abc import Sequence
from math import inf, isfinite, log
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.plots.style import BLUE, COLOURS, INK, NARROW, ORANGE, SMALL, WIDE, blank, new_figure
from fastmlp.results import RunResult
from fastmlp.tables import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS, MOST_TOLD = 16, 3
_SHOWN = (("loss", "cross-entropy in nats", 1.0), ("accuracy", "accuracy in %", 100.0))


def loss_limit(runs: Sequence[RunResult]) -> float:
    """Return the loss above which curves are cut off, so that one that diverges does not press the others flat.

    Twice that of guessing, or, where most runs are above that of guessing, twice that of their better quarter.
    """
    guessing = max(log(run.config.layers[-1]) for run in runs)
    usual = [np.nanmedian(losses) for run in runs if np.isfinite(losses := _finite(run, "val_loss")).any()]
    return 2 * max([guessing, *np.quantile(usual, [0.25], method="lower")] if usual else [guessing])


def leaves(run: RunResult, name: str, limit: float = inf) -> int | None:
    """Return the first epoch in which this series of the run is above the limit or not finite, None where none is."""
    return next((i for i, v in enumerate(run.history[name], 1) if not isfinite(v) or v > limit), None)


def about_cut(runs: Sequence[RunResult], what: str) -> str:
    """Return in words which of these runs' validation curves leave their figure; nothing where none does."""
    limit = loss_limit(runs) if what == "loss" else inf
    gone = [title(run.config) for run in runs if leaves(run, f"val_{what}", limit)]
    if not gone:
        return ""
    above = f"above {limit:.1f} nats, where the figure ends, or " if what == "loss" else ""
    more = f"; and {len(gone) - MOST_TOLD} more" if len(gone) > MOST_TOLD else ""
    return (
        f" A triangle marks where a run's {what} is {above}no longer a number, as in {len(gone)} of {len(runs)}: "
        f"{'; '.join(gone[:MOST_TOLD])}{more}."
    )


def run_curves(run: RunResult, narrow: bool = False) -> "Figure":
    """Draw loss and accuracy of a run, on its training and validation images, with its best epoch and its end."""
    shape, size = ((2, 1), (NARROW, 5.4)) if narrow else ((1, 2), (WIDE, 3.5))
    figure, both = new_figure(*shape, width=size[0], height=size[1])
    for axes, (what, label, unit) in zip(both, _SHOWN, strict=True):
        limit = loss_limit([run]) if what == "loss" else inf
        parts = (("train", "training", BLUE), ("val", "validation", ORANGE))
        lines = [(run, f"{part}_{what}", colour, name) for part, name, colour in parts]
        _lines([axes], [lines], unit, limit)
        if run.best_epoch:
            best = unit * run.history[f"val_{what}"][run.best_epoch - 1]
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
    """Draw the validation loss or accuracy of all runs, a panel an experiment and a colour a normalisation.

    what : "loss" or "accuracy"; of a large search all are in one panel
    """
    label, unit = next((text, unit) for name, text, unit in _SHOWN if name == what)
    names, norms = (list(dict.fromkeys(getattr(run, field) for run in runs)) for field in ("experiment", "normalize"))
    if together := len(names) > MOST_PANELS:
        names = [f"{len(names)} candidates, {len(runs)} runs"]
    columns = min(2 if narrow else 4, len(names))
    rows = -(-len(names) // columns)
    if narrow:
        width, height = NARROW, 0.9 + (3.0 if columns == 1 else 1.9) * rows
    else:
        width, height = max(5.0, WIDE / 4 * columns), 0.8 + (3.0 if columns == 1 else 2.1) * rows
    figure, panels = new_figure(rows, columns, width=width, height=height, sharey=True)
    for panel in panels[len(names) :]:
        blank(panel)
    lines = [
        [(run, f"val_{what}", COLOURS[norms.index(run.normalize) % len(COLOURS)], run.normalize)
            for run in runs if together or run.experiment == name] for name in names
    ]  # fmt: skip
    _lines(panels, lines, unit, loss_limit(runs) if what == "loss" else inf, linewidth=1.1)
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(name if len(name) < 28 else name.replace(", ", "\n"), fontsize=SMALL)
    handles = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2 if narrow else len(handles))
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(f"validation {label}", fontsize=9)
    return figure


def _lines(
    panels: "Sequence[Axes]",
    lines: Sequence[Sequence[tuple[RunResult, str, str, str]]],
    unit: float,
    limit: float,
    **options: Any,
) -> None:
    """Draw runs' series into panels of one scale: of each line its run, its series, its colour and its name.

    A line that passes the limit leaves through the top; a triangle marks where it does so, or is no longer a number.
    """
    from matplotlib.ticker import MaxNLocator

    shown = [v for some in lines for run, series, *_ in some for v in run.history[series] if v <= limit and isfinite(v)]
    least, most = (unit * end(shown or [0.0, 1.0]) for end in (min, max))
    room = 0.05 * (most - least) or 0.05
    epochs = max(run.epochs for some in lines for run, *_ in some)
    aside = 0.04 * max(1, epochs - 1)
    for axes, some in zip(panels, lines, strict=False):
        told: set[str] = set()
        for run, series, colour, name in some:
            values = np.minimum(run.history[series], 9 * limit)  # far above the panel, yet no number to overflow with
            marker = "." if len(values) < 3 else ""  # one epoch makes no line
            axes.plot(np.arange(1, len(values) + 1), unit * values, color=colour, marker=marker,
                label=None if name in told else name, **options)  # fmt: skip
            told.add(name)
            if gone := leaves(run, series, limit):
                up = series.endswith("loss")
                axes.plot([gone], [float(up)], "^" if up else "v", color=colour, markersize=6, clip_on=False,
                    transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set(xlim=(1 - aside, max(2, epochs) + aside), ylim=(least - room, most + room))
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _finite(run: RunResult, name: str) -> np.ndarray:
    values = np.array(run.history[name], float)
    return np.where(np.isfinite(values), values, np.nan)
