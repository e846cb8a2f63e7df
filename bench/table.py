"""Write bench/README.md's performance tables from a run's JSON, so that none of its figures is typed.

    pytest --benchmark-only --full --benchmark-json=bench.json
    python -m bench.table bench.json            write the tables into bench/README.md
    python -m bench.table bench.json --check    only say whether it has them; exit 1 if it does not

Each figure is the median over the turns of a rival's median. A ratio is the rival's time over ours: under 1 we lose.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measured import Key, Row, collect, in_units, over_turns, plural
from bench.readme import README, markdown, replace_block, write_block
from bench.training_tables import epoch_table, gain_table, predict_table, product_tables, step_tables

BLOCK = "bench"
ONCE = {
    ("import", "python"): "start Python alone",
    ("import", "fastmlp"): "start Python and `import fastmlp`",
    ("import", "numpy"): "start Python and `import numpy`",
    ("import", "numba"): "start Python and `import numba`",
    ("compile", "fastmlp"): "start Python and compile every kernel (`warmup()`), no cache",
    ("compile", "fastmlp_disk_cache"): "the same, cache filled",
}
RUNS = {
    "full": "The full run (`--full`).",
    "short": "The short run, one case or two for each verdict; `--full` measures all.",
    "chosen": "A run of chosen cases.",
}
KERNEL_RIVALS = {
    "numpy_inplace": "in-place numpy, float32",
    "numpy_tuned": "tuned numpy, float32",
    "torch": "PyTorch, float32",
    "numpy": "plain numpy, float64",
}
CHART = "![Speed and time by batch size](chart.svg)"


def _against(row: Row, rival: str) -> str:
    if rival not in row:
        return "-"
    seconds = over_turns(row[rival])
    return f"{in_units(seconds)} ({seconds / over_turns(row['fastmlp']):.2f}x)"


def _kernels(rows: dict[Key, Row]) -> str:
    kernels = {key: row for key, row in rows.items() if "gb_per_s" in row.get("fastmlp", [{}])[0]}
    rivals = [rival for rival in KERNEL_RIVALS if any(rival in row for row in kernels.values())]
    lines = [
        [
            f"`{group}`", shape, in_units(over_turns(row["fastmlp"])), f"{over_turns(row['fastmlp'], 'gb_per_s'):.1f}",
            *(_against(row, rival) for rival in rivals),
        ]
        for (group, shape, *_), row in kernels.items()
    ]  # fmt: skip
    return markdown(["kernel", "shape", "fastmlp", "GB/s", *(KERNEL_RIVALS[rival] for rival in rivals)], lines)


def _once(rows: dict[Key, Row]) -> str:
    lines = [
        [text, in_units(over_turns(row[impl]))]
        for (group, impl), text in ONCE.items()
        if impl in (row := rows.get((group, ""), {}))
    ]
    return markdown(["what", "time"], lines)


def _environment(data: dict[str, Any], rows: dict[Key, Row]) -> str:
    machine = data["machine_info"]["fastmlp"]
    steps = (row for (group, *_), row in rows.items() if group == "train_step")
    turns = [turn for row in steps for some in row.values() for turn in some]
    peaks = {(turn["threads"], turn["precision"]): turn["peak_gflop_per_s"] for turn in turns}
    peak = "; ".join(
        f"{plural(threads)} {value:.0f} GFLOP/s in {precision}" for (threads, precision), value in sorted(peaks.items())
    )
    libraries = {name: turn[name] for turn in turns for name in ("torch", "jax", "sklearn") if name in turn}
    kernels = turns[0]["blas_kernels"] if turns else machine["blas_kernels"]
    versions = [f"numpy {machine['numpy']} with BLAS kernels {kernels}", f"numba {machine['numba']}"]
    versions += [f"{name} {version}" for name, version in libraries.items()]
    return f"{machine['cpu']}, {machine['cores']} cores; {', '.join(versions)}. Peak: {peak or 'not measured'}."


def render(data: dict[str, Any]) -> str:
    """Return the block for one run's JSON, without the markers."""
    rows = collect(data["benchmarks"])
    tables = [
        *step_tables(rows),
        *gain_table(rows),
        *epoch_table(rows),
        *predict_table(rows),
        *product_tables(rows),
        ("Kernels on one thread; GB/s counts each operand read once and each result written once:", _kernels(rows)),
        ("Once in a process:", _once(rows)),
    ]
    run = RUNS.get(data["machine_info"]["fastmlp"].get("run", ""), "")
    head = (
        f"{run} Medians of one run in which all take turns. In brackets after a rival's time: that time over ours in "
        "float32, bfloat16 and int8, so under 1 we lose; after GFLOP/s: the share of the peak, which is what "
        "multiply-adds on registers alone reached in the same run, in the same precision."
    )
    chart = [CHART] if any(group == "train_step" for group, *_ in rows) else []
    texts = (text for title, table in tables if table for text in (title, table))
    return "\n\n".join([_environment(data, rows), head.strip(), *chart, *texts])


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path, help="what pytest --benchmark-only --benchmark-json wrote")
    parser.add_argument("--readme", type=Path, default=README, help="a file with markers (default: bench/README.md)")
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
