"""Draw the chart of bench/README.md from a run's JSON: speed and time of a step by batch size, for every rival.

    python -m bench.chart bench.json                    write bench/chart.svg
    python -m bench.chart bench.json --out chart.png    in another form

Needs matplotlib: pip install 'fastmlp[plots]'.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measured import Row, collect, over_turns, plural
from bench.training_tables import RIVALS

OUT = Path(__file__).with_name("chart.svg")
LAYERS = "3072-128-20"
# Okabe and Ito's colours, told apart by all: one a library. Marker and line tell too, so that grey is enough.
STYLES = {
    "fastmlp": ("#0072B2", "o", "-"),
    "fastmlp_bf16": ("#0072B2", "o", "--"),
    "fastmlp_int8": ("#0072B2", "o", ":"),
    "fastmlp_steps": ("#56B4E9", "<", ":"),
    "fastmlp_blas": ("#56B4E9", "v", "-."),
    "trial": ("#000000", "x", "-"),
    "trial_bf16": ("#000000", "x", "--"),
    "torch": ("#D55E00", "s", "-"),
    "torch_bf16": ("#D55E00", "s", "--"),
    "torch_compile": ("#D55E00", "*", ":"),
    "torch_compile_bf16": ("#D55E00", "*", "-."),
    "jax": ("#009E73", "^", "-"),
    "jax_bf16": ("#009E73", "^", "--"),
    "sklearn": ("#CC79A7", "D", "-"),
    "numpy": ("#E69F00", "P", "-"),
}
INK, PAPER, GRID = "#222222", "#ffffff", "#dddddd"  # a light ground of its own: the page's may be dark
CLOSE = 1.4  # times a peak, within which another one's label would cover its own


def speeds(data: dict[str, Any]) -> dict[int, dict[int, Row]]:
    """Return the steps of the network by threads, then by batch size; ValueError where there are none."""
    found: dict[int, dict[int, Row]] = {}
    for (group, *case), row in collect(data["benchmarks"]).items():
        if group == "train_step" and case[0] == LAYERS:
            found.setdefault(case[2], {})[case[1]] = row
    if not found:
        raise ValueError(f"no training step of {LAYERS} was measured")
    return found


def _line(batches: dict[int, Row], rival: str, *, ratio: bool) -> tuple[list[int], list[float]]:
    sizes = [size for size in sorted(batches) if rival in batches[size] and (not ratio or "fastmlp" in batches[size])]
    if ratio:
        return sizes, [over_turns(batches[s][rival]) / over_turns(batches[s]["fastmlp"]) for s in sizes]
    return sizes, [over_turns(batches[size][rival], "gflop_per_s") for size in sizes]


def _peaks(batches: dict[int, Row]) -> dict[str, float]:
    """Return the peaks by the names of precisions, several where their lines and labels would lie on one another."""
    turns = (turn for row in batches.values() for turns in row.values() for turn in turns)
    each = {turn["precision"]: turn["peak_gflop_per_s"] for turn in turns if turn["precision"] != "float64"}
    lines: list[tuple[list[str], float]] = []
    for precision, peak in sorted(each.items(), key=lambda item: -item[1]):
        if lines and lines[-1][1] < CLOSE * peak:
            lines[-1][0].append(precision)
        else:
            lines.append(([precision], peak))
    return {", ".join(sorted(names)): peak for names, peak in lines}


def draw(data: dict[str, Any], out: Path) -> None:
    """Draw a column for each number of threads: the speed above, the time over ours in float32 below."""
    by_threads = speeds(data)  # before what needs an extra: such a run is refused in any case
    import matplotlib as mpl  # pyright: ignore[reportMissingImports] - the extra `plots`

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # pyright: ignore[reportMissingImports]

    mpl.rcParams.update({"svg.hashsalt": "fastmlp", "svg.fonttype": "none", "font.size": 9, "text.color": INK})
    mpl.rcParams.update(dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK))
    figure, axes = plt.subplots(
        2, len(by_threads), figsize=(4.6 * len(by_threads), 7.4), sharex=True, sharey="row", squeeze=False
    )
    figure.set_facecolor(PAPER)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for column, threads in enumerate(sorted(by_threads)):
        batches = by_threads[threads]
        for ratio, axis in enumerate(axes[:, column]):
            for rival, (colour, marker, line) in STYLES.items():
                x, y = _line(batches, rival, ratio=bool(ratio))
                if x:
                    label = RIVALS[rival].replace("*", "")
                    axis.plot(x, y, line, color=colour, marker=marker, markersize=4.5, lw=1.5, label=label)
            axis.set(xscale="log", yscale="log", facecolor=PAPER, xticks=sorted(batches))
            axis.xaxis.set_major_formatter(plain)
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(plain)
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(color=GRID, lw=0.6)
            axis.tick_params(which="minor", length=0)
        for precision, peak in _peaks(batches).items():
            axes[0, column].axhline(peak, color=INK, lw=0.8, ls=(0, (1, 2)))
            axes[0, column].text(min(batches), 1.05 * peak, f"peak, {precision}", fontsize=8)
        axes[0, column].set_title(plural(threads), fontsize=10)
        axes[1, column].set_xlabel("batch size")
    axes[0, 0].set_ylim(top=3 * max(peak for some in by_threads.values() for peak in _peaks(some).values()))
    axes[0, 0].set_ylabel("GFLOP/s, higher is better")
    axes[1, 0].set_ylabel("time, fastmlp's in float32 = 1, lower is better")
    figure.suptitle(f"A training step of {LAYERS}", fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False, handlelength=3.5)
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    metadata = {"Date": None} if out.suffix == ".svg" else {}  # the same figures give the same file
    figure.savefig(out, facecolor=PAPER, metadata=metadata, dpi=130)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the chart; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.chart", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path, help="what pytest --benchmark-only --benchmark-json wrote")
    parser.add_argument(
        "--out", type=Path, default=OUT, help="the picture; its ending tells the form (bench/chart.svg)"
    )
    args = parser.parse_args(argv)
    try:
        draw(json.loads(args.json.read_text(encoding="utf-8")), args.out)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{args.json} gives no chart: {error!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
