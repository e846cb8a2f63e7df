"""Room in memory: what is free, what a table takes of it, and the refusal of one that would not fit."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fastmlp.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_WORTH_SAYING = 1e9  # bytes
_TEXT = 24  # bytes of a text on average: 16 where it is short, and all its letters where it is not
# Of a group of processes: the most that it may take, and what it takes with the pages of files that it has read.
_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
_PAGES = re.compile(r"^(?:in)?active_file (\d+)$", re.MULTILINE)


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process may still take, None where the system does not say, which Linux alone does.

    root : of the system's files
    """
    left = [_available(root / "proc/meminfo"), *map(_left, _groups(root))]
    return min((one for one in left if one is not None), default=None)


def amount(size: float) -> str:
    """Return a number of bytes in words."""
    if size >= 1e8:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def check_room(needed: int, what: str, advice: str) -> str:
    """Return a sentence on the memory that is needed, empty where it is not worth one; DataError where it is not free.

    what : that needs it, in words; advice : what would need less, a sentence
    """
    free = free_memory()
    there = "" if free is None else f", and {amount(free)} are free"
    if free is not None and needed > free:
        raise DataError(f"{what} would take about {amount(needed)} of memory{there}. {advice}")
    return f"Memory: {what} will take about {amount(needed)}{there}." if needed >= _WORTH_SAYING else ""


def check_table(schema: "Mapping[str, pl.DataType]", rows: int, source: str) -> str:
    """Return a sentence on the memory that a table takes, if it is worth one; DataError where it would not fit.

    schema : the types of the columns that are read. Counted are these and a feature each; a category has more
    """
    needed = rows * sum(_width(dtype) + 4 for dtype in schema.values())
    what = f"{source}, {rows:,} rows of {len(schema):,} columns,"
    return check_room(
        needed, what, "Leave columns out by --columns NAME=drop, keep numbers as float32, or give fewer rows."
    )


def _width(dtype: "pl.DataType") -> int:
    """Return about the bytes of a cell."""
    bits = re.search(r"\d+$", str(dtype))
    return int(bits[0]) // 8 if dtype.is_numeric() and bits else _TEXT if str(dtype) == "String" else 8


def _available(path: Path) -> int | None:
    try:
        found = re.search(r"^MemAvailable: +(\d+) kB$", path.read_text(), re.MULTILINE)
    except (OSError, ValueError):  # not Linux
        return None
    return int(found[1]) * 1024 if found else None


def _groups(root: Path) -> list[Path]:
    """Return the folders of the groups that this process is in, for their memory, with those around them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return []
    found = []
    for _, controllers, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers or "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
            inner = PurePosixPath(group.strip("/"))
            found += [top / one for one in dict.fromkeys((inner, *inner.parents))]
    return found


def _left(group: Path) -> int | None:
    """Return what a group may still take, None where it has no limit; pages of files can be given up."""
    for most, used in _LIMITS:
        try:
            limit, taken = (int((group / name).read_text()) for name in (most, used))
            pages = sum(map(int, _PAGES.findall((group / "memory.stat").read_text())))
        except (OSError, ValueError):  # "max", too
            continue
        return max(0, limit - taken + pages)
    return None
