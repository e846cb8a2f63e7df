"""Write what the front page says of speed and accuracy, out of the generated tables of bench/README.md.

python -m bench.front            write both blocks into README.md
python -m bench.front --check    only say whether README.md has them; exit 1 if it does not
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.readme import FRONT, README, block_of, replace_block
from fastmlp.files import write_whole

CASE, ROWS = "batch 1024", 4
STEPS = "A training step of 3072-128-20, tanh, 1 thread:"
OURS = "**fastmlp**, "


def table_under(text: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first Markdown table under a line, by column; ValueError where there is none."""
    rows = []
    for line in text.partition(f"{heading}\n")[2].lstrip().splitlines():
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    if len(rows) < 3:
        raise ValueError(f"there is no table under {heading!r}")
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def speed(text: str) -> str:
    """Return a sentence on a training step beside the rivals', and one on those that are faster than ours."""
    block = block_of(text, "bench")
    cells = {row["step"]: row[CASE] for row in table_under(block, STEPS)}
    share = re.search(r"\((\d+)%\)", cells[f"{OURS}float32"])
    if share is None:
        raise ValueError("the step in float32 has no share of the peak")
    ours, times, lost = [], [], []
    for name, cell in cells.items():
        time, ratio = re.match(r"[\d.]+ \w+", cell), re.search(r"\(([\d.]+)x", cell)
        if time is None or name.startswith("the trial"):
            continue
        if name.startswith(OURS):
            ours.append(f"{time[0]} in {name.removeprefix(OURS)}")
        elif ratio is not None and not name.startswith("fastmlp"):
            (times if float(ratio[1]) >= 1 else lost).append(f"{name.replace(',', ' in')} {time[0]}")
    sentence = (
        f"A training step of 3072-128-20 in batches of 1,024 takes {', '.join(ours)} on one thread of an "
        f"{block.partition(',')[0]} ({share[1]} % of its peak in float32). Beside it: {', '.join(times)}."
    )
    wins = " takes" if len(lost) == 1 else " take"
    return sentence + (f" Where we lose: {', '.join(lost)}{wins} less than ours in float32." if lost else "")


def rows(text: str) -> str:
    """Return the first rows of the report's table, beside the published figures."""
    columns = ["network", "image", "image, report", "channel", "channel, report"]
    block = block_of(text, "results")
    start = block.index("| experiment |")
    table = table_under(f"\n{block[start:]}", "")
    best = sorted(table, key=lambda row: -float(row["image"].split()[0]))[:ROWS]
    lines = [columns, [":---"] + ["---:"] * 4, *([row[name] for name in columns] for row in best)]
    return "Test accuracy in %, mean and spread over three seeds:\n\n" + "\n".join(
        f"| {' | '.join(cells)} |" for cells in lines
    )


def rendered(front: str, measured: str) -> str:
    """Return the front page with both blocks made of the page of what was measured."""
    return replace_block(replace_block(front, "speed", speed(measured)), "rows", rows(measured))


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the blocks; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.front", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", type=Path, default=FRONT, help="the page with the markers (default: README.md)")
    parser.add_argument("--measured", type=Path, default=README, help="(default: bench/README.md)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    text = args.readme.read_text(encoding="utf-8")
    wanted = rendered(text, args.measured.read_text(encoding="utf-8"))
    if args.check:
        print(f"{args.readme.name} is {'current' if text == wanted else 'not what the tables give'}.")
        return int(text != wanted)
    write_whole(args.readme, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
