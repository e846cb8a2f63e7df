"""Write the README's performance table from a run's JSON, so that none of its figures is typed.

    pytest --benchmark-only --benchmark-json=bench.json
    python -m bench.table bench.json            write the table into README.md
    python -m bench.table bench.json --check    only say whether README.md has it; exit 1 if it does not

Each figure is the median over the turns of a rival's median. A ratio is the rival's time over ours: under 1 we lose.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.readme import README, replace_block, write_block

BLOCK = "bench"
STEP_RIVALS = {
    "numpy": "plain numpy, float64",
    "numpy_default_blas": "the same, BLAS's own choice of kernels",
    "torch": "PyTorch eager",
    "jax": "JAX jit",
    "sklearn": "scikit-learn",
}
ONCE = {
    ("import", "python"): "start Python alone",
    ("import", "fastmlp"): "start Python and `import fastmlp`",
    ("import", "numpy"): "start Python and `import numpy`",
    ("import", "numba"): "start Python and `import numba`",
    ("compile", "fastmlp"): "start Python and compile every kernel (`warmup()`), no cache",
    ("compile", "fastmlp_disk_cache"): "the same with `FASTMLP_NUMBA_CACHE=1`, cache filled",
}

Key = tuple[str, ...]
Row = dict[str, list[dict[str, Any]]]  # implementation -> its turns


def collect(benchmarks: Iterable[dict[str, Any]]) -> dict[Key, Row]:
    """Return the results by (group, shape or threads), then by implementation, in the order of the run."""
    rows: dict[Key, Row] = {}
    for result in benchmarks:
        extra = result["extra_info"]
        case = extra.get("shape") or [extra.get("threads", "")]
        row = rows.setdefault((result["group"], " x ".join(map(str, case))), {})
        row.setdefault(extra["impl"], []).append({**extra, "seconds": result["stats"]["median"]})
    return rows


def _over_turns(turns: list[dict[str, Any]], name: str = "seconds") -> float:
    return median(turn[name] for turn in turns)


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _against(row: Row, rival: str) -> str:
    if rival not in row:
        return "-"
    seconds = _over_turns(row[rival])
    return f"{_time(seconds)} ({seconds / _over_turns(row['fastmlp']):.2f}x)"


def _markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing where the run has no such results."""
    lines = list(lines)
    if not lines:
        return ""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *lines])


def _steps(rows: dict[Key, Row]) -> str:
    wanted = [(key, row) for key, row in rows.items() if key[0] in ("train_step", "epoch") and "fastmlp" in row]
    rivals = [rival for rival in STEP_RIVALS if any(rival in row for _, row in wanted)]
    lines = []
    for (group, threads), row in sorted(wanted, key=lambda item: (item[0][0] != "train_step", item[0][1])):
        ours = row["fastmlp"]
        name = "step" if group == "train_step" else f"epoch of {ours[0]['images']:,} images"
        share = f"{_over_turns(ours, 'gflop_per_s'):.0f} ({_over_turns(ours, 'peak_share'):.0%})"
        against = (_against(row, rival) for rival in rivals)
        lines.append([name, threads, _time(_over_turns(ours)), share, *against])
    header = ["work", "threads", "fastmlp", "GFLOP/s (of peak)", *(STEP_RIVALS[rival] for rival in rivals)]
    return _markdown(header, lines)


def _kernels(rows: dict[Key, Row]) -> str:
    lines = [
        [
            f"`{group}`", shape, _time(_over_turns(row["fastmlp"])), f"{_over_turns(row['fastmlp'], 'gb_per_s'):.1f}",
            _against(row, "numpy_inplace"), _against(row, "numpy_tuned"), _against(row, "numpy"),
        ]
        for (group, shape), row in rows.items()
        if "gb_per_s" in row.get("fastmlp", [{}])[0]
    ]  # fmt: skip
    return _markdown(
        [
            "kernel",
            "shape",
            "fastmlp",
            "GB/s",
            "in-place numpy, float32",
            "tuned numpy, float32",
            "plain numpy, float64",
        ],
        lines,
    )


def _once(rows: dict[Key, Row]) -> str:
    lines = [
        [text, _time(_over_turns(row[impl]))]
        for (group, impl), text in ONCE.items()
        if impl in (row := rows.get((group, ""), {}))
    ]
    return _markdown(["what", "time"], lines)


def _environment(data: dict[str, Any], rows: dict[Key, Row]) -> str:
    machine = data["machine_info"]["fastmlp"]
    turns = [turn for (group, _), row in rows.items() if group == "train_step" for turn in row.get("fastmlp", [])]
    peaks = {turn["threads"]: turn["peak_gflop_per_s"] for turn in turns}
    peak = ", ".join(
        f"{value:.0f} GFLOP/s with {threads} thread{'s'[: threads > 1]}" for threads, value in peaks.items()
    )
    kernels = turns[0]["blas_kernels"] if turns else machine["blas_kernels"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores; numpy {machine['numpy']} with BLAS kernels {kernels}, "
        f"numba {machine['numba']}; float32 peak measured in the same run: {peak or 'not measured'}."
    )


def render(data: dict[str, Any]) -> str:
    """Return the README's block for one run's JSON, without the markers."""
    rows = collect(data["benchmarks"])
    tables = [
        ("Training 3072-128-20, tanh, batch 1024, float32 unless said otherwise:", _steps(rows)),
        ("Kernels on one thread; GB/s counts each operand read once and each result written once:", _kernels(rows)),
        ("Once in a process:", _once(rows)),
    ]
    head = "Medians of one run in which all take turns. In brackets: the rival's time over ours, so under 1 we lose."
    return "\n\n".join([_environment(data, rows), head, *(text for table in tables if table[1] for text in table)])


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path, help="what pytest --benchmark-only --benchmark-json wrote")
    parser.add_argument("--readme", type=Path, default=README, help="the file with the markers (default: README.md)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    try:
        text = args.readme.read_text(encoding="utf-8")
        block = render(json.loads(args.json.read_text(encoding="utf-8")))
        wanted = replace_block(text, BLOCK, block)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{args.json} and {args.readme} do not fit: {error!r}")
    if args.check:
        print(f"{args.readme.name} is {'current' if text == wanted else 'not what this JSON gives'}.")
        return int(text != wanted)
    write_block(args.readme, BLOCK, block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
