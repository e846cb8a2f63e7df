"""A table of what was understood of a table: each column, its kind, what is missing, and what becomes of it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.columns import Columns
from fastmlp.data.encoders import level_texts
from fastmlp.data.frame import Frame
from fastmlp.data.kinds import Kind
from fastmlp.table import Table

_MOST_SHOWN = 24  # letters of a value


def describe(
    frame: Frame, kinds: Mapping[str, Kind], columns: Columns | None = None, rows: NDArray[np.integer] | None = None
) -> Table:
    """Return a table with a row for each input of a frame, under what a user should know of how it was read.

    columns : as they were learnt, for the number of features; rows : (N,) int64 or other integers, those
    that are described, such as of training, None for all
    """
    shown = np.arange(frame.rows) if rows is None else np.asarray(rows)
    cells = []
    for name, part in frame.each(kinds, shown):
        kind = kinds[name]
        missing = part.column(name).null_count() / len(shown)
        features = columns.slices.get(name) if columns is not None else None
        count = "" if columns is None else f"{features.stop - features.start:,}" if features else "0"
        cells.append([name, kind.name, kind.why, _values(part, name, kind), _share(missing), count])
    return Table(
        frame.notices, ["column", "kind", "note", "values", "missing", "features"], cells, words=4, aligned=True
    )


def _share(part: float) -> str:
    return "0 %" if not part else "under 0.1 %" if part < 0.001 else f"{part:.1%}".replace("%", " %")


def _values(frame: Frame, name: str, kind: Kind) -> str:
    """Return the range of numbers and times, or how many values a category has and which is the most frequent."""
    column = frame.column(name).drop_nulls()
    if not len(column):
        return "none"
    if kind.name == "date" or (column.dtype.is_numeric() and kind.name != "category"):
        low, high = column.min(), column.max()
        if column.dtype.is_numeric():
            return f"{low:g} to {high:g}"
        return " to ".join(str(one).removesuffix(" 00:00:00") for one in (low, high))
    texts = level_texts(column)
    counts = texts.value_counts(name="rows").sort(["rows", texts.name], descending=[True, False])
    top, rows = counts.row(0)
    levels = len(counts)
    return f"{levels:,} value{'s' * (levels != 1)}, {_short(top)} in {_share(rows / len(column))}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
