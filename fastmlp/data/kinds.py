"""Kinds of columns: numbers, categories and dates, and those that nothing can be learnt from, which are dropped.

They are found from the training rows alone, and can be given instead (`parse_columns`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.cells import LEADING_ZERO, number_of
from fastmlp.data.frame import Frame, floats
from fastmlp.data.lacking import unknown_column
from fastmlp.errors import ConfigError, DataError, suggestion

if TYPE_CHECKING:
    import polars as pl

KINDS = {
    "number": "as it is, standardised",
    "category": "a column for each of its values",
    "date": "its parts, and the time since the first",
    "drop": "left out",
}
DATE_FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d.%m.%Y", "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S", "%Y%m%d", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%Y", "%d-%m-%Y", "%m-%d-%Y",
)  # fmt: skip
_FEW = 20  # values that may all differ by chance
_LEVELS_OF_MIXED = 32
_MOSTLY = 0.95
_ID_NAME = re.compile(r"(?:^|[^a-z])(?:u?id|key|index|uuid|guid|row_?names?|unnamed \d+)$", re.IGNORECASE)
_CAMEL_ID = re.compile(r"[a-z](?:Id|ID)$")
_TEXT_WORDS, _TEXT_LETTERS = 5, 60  # on average, of free text


@dataclass(frozen=True)
class Kind:
    """What a column is: a key of KINDS, why, in words, and how its dates are written where they are texts."""

    name: str
    why: str = ""
    format: str | None = None


def parse_columns(text: str) -> dict[str, str]:
    r"""Return the kinds that `age=number,zip=category,id=drop` gives, by column.

    The last `=` of a part counts, as names may have some; a comma in a name is written `\,`. ConfigError for a part
    that is no such pair, a kind that there is not, or a column that is given two. Whether there are such columns is
    found when the table is read.
    """
    kinds: dict[str, str] = {}
    for part in re.split(r"(?<!\\),", text):
        name, equals, kind = part.replace("\\,", ",").rpartition("=")
        name, kind = name.strip(), kind.strip().lower()
        if not equals or not name:
            raise ConfigError(
                f"{part.strip()!r} is no column with its kind. Write pairs such as age=number,zip=category,id=drop."
            )
        _check_kind(name, kind)
        if kinds.get(name, kind) != kind:
            raise ConfigError(f"Column {name!r} is given two kinds, {kinds[name]} and {kind}. Give it one.")
        kinds[name] = kind
    return kinds


def check_overrides(kinds: Mapping[str, str], names: Iterable[str]) -> None:
    """Raise ConfigError for a column that is not among the names of a table, or a kind that there is not."""
    names = list(names)
    for name, kind in kinds.items():
        if name not in names:
            raise ConfigError(unknown_column(name, names))
        _check_kind(name, kind)


def _check_kind(name: str, kind: str) -> None:
    if kind not in KINDS:
        allowed = ", ".join(f"{one} ({words})" for one, words in KINDS.items())
        raise ConfigError(f"Column {name!r} cannot be {kind!r}.{suggestion(kind, KINDS)} Kinds are {allowed}.")


def find_kinds(frame: Frame, rows: NDArray[np.integer]) -> dict[str, Kind]:
    """Return the kind of each input of a frame, as its `overrides` give it, or as its training rows have it.

    rows : (N,) int64 or other integers, the training rows. Dropped with a word are columns that are missing or the
    same throughout, ids (texts that nearly all differ, whole numbers that count rows) and free text. Texts in at most
    32 forms are categories, also where most are numbers; DataError where there are more and nearly all are numbers, as
    some then are probably errors.
    """
    if not len(rows):
        raise DataError("There is no training row to find kinds of columns from. Give some.")
    given = frame.overrides or {}
    return {
        name: _given(part, name, given[name]) if name in given else _found(part, name)
        for name, part in frame.each(frame.inputs, rows)
    }


def as_numbers(frame: Frame, name: str) -> "pl.Series":
    """Return a column as float64, null where it is missing; DataError naming the row and its text where it is none."""
    import polars as pl

    column = frame.column(name)
    if column.dtype == pl.Datetime:
        raise DataError(f"Column {name!r} holds times, expected numbers. Give numbers, or say {name}=date.")
    if column.dtype != pl.String:
        return column.cast(pl.Float64)
    numbers = column.to_frame().select(number_of(pl.col(name))).to_series()
    _check_parsed(frame, name, numbers, "no number")
    return numbers


def as_times(frame: Frame, name: str, written: str | None = None) -> "pl.Series":
    """Return a column as times in microseconds; DataError naming the row and its text where it is none.

    written : how its texts are written, None to find it from them
    """
    import polars as pl

    column = frame.column(name)
    if column.dtype == pl.Datetime:
        return column
    if column.null_count() == len(column):
        return column.cast(pl.String).str.to_datetime(DATE_FORMATS[0], time_unit="us", strict=False)
    if column.dtype != pl.String:
        raise DataError(
            f"Column {name!r} holds {column.dtype}, expected dates. Write them as 2024-05-31, or say {name}=number."
        )
    if written is None:
        written = date_format(column)[0] or min(DATE_FORMATS, key=lambda one: parsed(column, one).null_count())
    times = parsed(column, written)
    _check_parsed(frame, name, times, f"no date such as {_example(written)}")
    return times


def _check_parsed(frame: Frame, name: str, values: "pl.Series", what: str) -> None:
    texts = frame.column(name)
    wrong = values.is_null() & texts.is_not_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        more = int(wrong.sum()) - 1
        others = f" (and {more:,} more)" if more else ""
        instead = f"train with --columns {name}=category"
        if name in frame.target:
            instead = "leave --task out, so that it is classes" if values.dtype.is_numeric() else "name another column"
        raise DataError(
            f"Column {name!r} has {_short(texts[row])} in {frame.place(row)}{others}, which is {what}. Mend it, or "
            f"{instead}."
        )


def _nearly_numbers(texts: "pl.Series") -> str:
    """Return words on texts of which more than half are numbers, which others then keep from being a number."""
    import polars as pl

    others = texts.filter(texts.to_frame("text").select(number_of(pl.col("text"))).to_series().is_null())
    if not 0 < len(others) < len(texts) / 2:
        return ""
    return (
        f", though {len(texts) - len(others):,} of {len(texts):,} are numbers; the first other is {_short(others[0])}"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def date_format(texts: "pl.Series") -> tuple[str | None, str | None]:
    """Return how the dates are written, None where they are none, and another way that all could be read in."""
    import polars as pl

    if texts.dtype != pl.String:
        return None, None
    first = texts.drop_nulls()
    few = first.head(20)
    fits = [one for one in DATE_FORMATS if len(few) and _all_dates(few, one) and _all_dates(first, one)]
    # Of two ways to read the same texts, only day and month can be meant either way.
    return (fits[0] if fits else None), (fits[1] if len(fits) > 1 and {*fits[0]} == {*fits[1]} else None)


def parsed(texts: "pl.Series", written: str) -> "pl.Series":
    """Return texts that are written so as times in UTC, in microseconds, null where they are not."""
    zoned = "z" in written
    times = texts.str.to_datetime(written, time_unit="us", strict=False, time_zone="UTC" if zoned else None)
    return times.dt.replace_time_zone(None)


def _all_dates(texts: "pl.Series", written: str) -> bool:
    times = parsed(texts, written)
    return times.null_count() == 0 and int(times.dt.year().min()) >= 1000  # pyright: ignore[reportArgumentType]


def _example(written: str) -> str:
    from datetime import UTC, datetime

    return datetime(2024, 5, 31, 14, 30, tzinfo=UTC).strftime(written.replace("%.f", "").replace("%#z", "Z"))


def _given(frame: Frame, name: str, kind: str) -> Kind:
    import polars as pl

    if kind == "number":
        as_numbers(frame, name)
    if kind == "date" and frame.column(name).dtype != pl.Datetime:
        written, other = date_format(frame.column(name))
        as_times(frame, name, written)  # which names the row that is none
        return Kind("date", f"given{_ambiguous(written, other)}", written)
    return Kind(kind, "given")


def _ambiguous(written: str | None, other: str | None) -> str:
    return f"; read as {_form_words(written)}, could be {_form_words(other)}" if written and other else ""


def _form_words(written: str) -> str:
    return "day and month" if written.index("%d") < written.index("%m") else "month and day"


def _found(frame: Frame, name: str) -> Kind:
    import polars as pl

    column = frame.column(name)
    known = len(column) - column.null_count()
    if not known:
        return Kind("drop", "missing in all training rows")
    if known == len(column) and bool((column == column[0]).all()):
        return Kind("drop", "constant: it is the same in all training rows")
    if column.dtype == pl.Boolean:
        return Kind("category", "true or false")
    if column.dtype == pl.Datetime:
        return Kind("date")
    return _of_texts(frame, name) if column.dtype == pl.String else _of_numbers(name, column)


def _of_numbers(name: str, column: "pl.Series") -> Kind:
    if column.dtype.is_float():
        infinite = int(column.is_infinite().sum())
        if infinite + column.null_count() == len(column):
            return Kind("drop", "infinite or missing in all training rows")
        return Kind("number", f"{infinite:,} infinite, taken as missing" if infinite else "")
    if len(column) >= _FEW and not column.null_count():
        values = floats(column)
        low, high = values.min(), values.max()
        counts = abs(low) <= 2 + 0.1 * len(column) and high - low + 1 <= 2 * len(column)
        if (counts or is_id_name(name)) and column.n_unique() == len(column):
            return Kind("drop", "an id: whole numbers that all differ")
    return Kind("number")


def is_id_name(name: str) -> bool:
    """Whether a column is called what keys are called."""
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))


def _of_texts(frame: Frame, name: str) -> Kind:
    import polars as pl

    written, other = date_format(frame.column(name))
    if written is not None:
        return Kind("date", _ambiguous(written, other).removeprefix("; "), written)
    texts = frame.column(name).drop_nulls()
    levels = texts.n_unique()
    if levels > _LEVELS_OF_MIXED:
        numbers = frame.table.select(number_of(pl.col(name))).to_series()
        codes = texts.str.contains(LEADING_ZERO).any()  # else it has none that is no number
        if not codes and numbers.count() >= _MOSTLY * len(texts):
            _check_parsed(frame, name, numbers, "no number, as nearly all others are")
            return Kind(
                "number"
            )  # what keeps the column from being one is in another part, and is told when it is read
    if levels > _FEW:
        few = texts.head(10_000)
        words = float((few.str.count_matches(r"\s+") + 1).mean() or 0)  # pyright: ignore[reportArgumentType]
        letters = float(few.str.len_chars().mean() or 0)  # pyright: ignore[reportArgumentType]
        if (words >= _TEXT_WORDS or letters >= _TEXT_LETTERS) and levels > len(texts) / 2:
            return Kind("drop", "free text")
        if levels >= _MOSTLY * len(texts):  # names and titles: few of them are there twice, and none need come again
            nearly = "nearly " * (levels < len(texts))
            return Kind("drop", f"an id: texts that {nearly}all differ{_nearly_numbers(texts)}")
    return Kind("category")
