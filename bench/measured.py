"""What one run of the benchmarks measured, from its JSON: by what was done, then by who did it."""

from collections.abc import Iterable
from statistics import median
from typing import Any

Key = tuple[Any, ...]  # the group, and what tells its cases apart
Row = dict[str, list[dict[str, Any]]]  # rival -> its turns, each what `extra_info` says and the seconds

# By group, the names in `extra_info` that tell cases apart; other groups have a shape, or one case.
CASES = {
    "train_step": ("layers", "batch", "threads"),
    "epoch": ("layers", "batch", "threads"),
    "predict": ("layers", "batch", "threads"),
    "threads": ("layers", "batch"),
    "gemm": ("m", "k", "n", "transposed", "source", "threads"),
}


def collect(benchmarks: Iterable[dict[str, Any]]) -> dict[Key, Row]:
    """Return the results by group and case, then by rival, in the order of the run."""
    rows: dict[Key, Row] = {}
    for result in benchmarks:
        extra, group = result["extra_info"], result["group"]
        case = (
            [extra[name] for name in CASES[group]] if group in CASES else [" x ".join(map(str, extra.get("shape", [])))]
        )
        row = rows.setdefault((group, *case), {})
        # Where a round is many steps, the result says itself what one of them took.
        row.setdefault(extra["rival" if "rival" in extra else "impl"], []).append(
            {"seconds": result["stats"]["median"], **extra}
        )
    return rows


def over_turns(turns: list[dict[str, Any]], name: str = "seconds") -> float:
    """Return the median over a rival's turns."""
    return median(turn[name] for turn in turns)


def in_units(seconds: float) -> str:
    """Return a time to three digits, as in 1.23 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def plural(threads: int) -> str:
    """Return as in 2 threads."""
    return f"{threads} thread{'s'[: threads > 1]}"
