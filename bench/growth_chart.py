"""The chart of `bench.growth`: the speed of a step by batch, width and depth, a line for each rival.

Drawn twice, for the width of a page and for that of a phone, on a light ground of its own: the page's may be dark.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.growth import RIVALS, Line
from bench.measured import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.growth import Sweep

MARKERS = {"fastmlp": "o", "torch": "s", "jax": "^"}
TICKS = {"batch": 8, "width": 4, "depth": 2}  # each is so many times the one before
DASHES = ("-", "--", ":")  # by number of threads


def draw(lines: Sequence[Line], peaks: dict[int, float], out: Path) -> None:
    """Write the chart in the form that the ending tells, and beside it the narrow one, NAME-narrow.

    peaks : in GFLOP/s, by threads. MissingExtraError without matplotlib.
    """
    import matplotlib as mpl

    from fastmlp.report.plots.style import styled

    with styled(), mpl.rc_context({"svg.hashsalt": "growth"}):
        for narrow in (False, True):
            place = out.with_stem(f"{out.stem}-narrow") if narrow else out
            metadata = {"Date": None} if out.suffix == ".svg" else {}  # the same figures give the same file
            figure(lines, peaks, narrow=narrow).savefig(place, facecolor="white", metadata=metadata)


def figure(lines: Sequence[Line], peaks: dict[int, float], *, narrow: bool) -> "Figure":
    """Return the figure, its axes beside or under each other; to be called within `styled`."""
    from fastmlp.report.plots.style import NARROW, SMALL, WIDE, new_figure

    if not narrow:  # the legend's columns are rivals, as those of the narrow one are numbers of threads
        lines = sorted(lines, key=lambda line: list(RIVALS).index(line.rival))

    sweeps = list(dict.fromkeys(line.sweep for line in lines))
    rivals = {line.rival for line in lines}
    shape = (len(sweeps), 1) if narrow else (1, len(sweeps))
    size = {"width": NARROW, "height": 0.8 + 2.5 * len(sweeps)} if narrow else {"width": WIDE, "height": 3.8}
    drawing, places = new_figure(*shape, sharey=True, **size)
    for place, sweep in zip(places, sweeps, strict=True):
        _panel(place, sweep, [line for line in lines if line.sweep is sweep], peaks)
    slowest = min(line.speed(size) for line in lines for size in line.seconds)
    places[0].set_ylim(slowest / 1.5, 2.5 * max(peaks.values()))  # all share it
    for place in places if narrow else places[:1]:
        place.set_ylabel("GFLOP/s, higher is better")
    handles, labels = places[0].get_legend_handles_labels()
    below = {
        "loc": "outside lower center",
        "ncols": len(peaks) if narrow else len(rivals),
        "fontsize": SMALL,
        "handlelength": 3.2,
    }
    drawing.legend(handles, labels, **below)
    return drawing


def _panel(place: "Axes", sweep: "Sweep", lines: Sequence[Line], peaks: dict[int, float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    from fastmlp.report.plots.style import BLUE, GREEN, GROUND, INK, ORANGE, SMALL

    colours = dict(zip(RIVALS, (BLUE, ORANGE, GREEN), strict=True))
    threads, behind = list(peaks), {"facecolor": GROUND, "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    for line in lines:
        sizes = sorted(line.seconds)
        dash = DASHES[threads.index(line.threads) % len(DASHES)]
        place.plot(
            sizes, [line.speed(size) for size in sizes], dash, color=colours[line.rival], marker=MARKERS[line.rival],
            markersize=3, linewidth=1.2, label=f"{RIVALS[line.rival]}, {plural(line.threads)}",
        )  # fmt: skip
    for count, peak in peaks.items():
        dash, last = DASHES[threads.index(count) % len(DASHES)], count == threads[-1] and count > 1
        place.axhline(peak, color=INK, linewidth=0.7, linestyle=dash, alpha=0.6)
        x, side = (max(sweep.sizes), "right") if last else (min(sweep.sizes), "left")
        place.text(x, 1.06 * peak, f"peak, {plural(count)}", fontsize=SMALL, va="bottom", ha=side, bbox=behind)
    place.set(xscale="log", yscale="log", title=f"by {sweep.name}", xlabel=sweep.name)
    place.xaxis.set_minor_locator(NullLocator())
    for axis, base in ((place.xaxis, TICKS[sweep.name]), (place.yaxis, 10)):
        axis.set_major_locator(LogLocator(base=base))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
