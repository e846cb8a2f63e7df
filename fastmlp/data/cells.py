"""What the cells of a table are: texts without blanks around them, numbers, truth values or times, one type a column.

Where a column is of texts, as all of CSV are, *all* of its cells decide: only if each is a number are they numbers.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

# Cells that mean "nothing is known", beside empty ones.
MISSING = ("", "?", ".", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NAN", "NULL", "null", "None")
TRUTHS = ("true", "false", "True", "False", "TRUE", "FALSE")
_FIRST = 1000
LEADING_ZERO = r"^[+-]?0\d"  # of codes, as of postal areas, which lose it as numbers
_COMMA_NUMBER = r"^[+-]?\d+(?:,\d+)?$"  # without points between thousands, which elsewhere are those of decimals


class Settled(NamedTuple):
    """A table whose columns have settled types, and what a user should know of it."""

    table: "pl.LazyFrame"
    notices: list[str]


def settle(table: "pl.LazyFrame", texts: Collection[str], *, decimal_comma: bool = False) -> Settled:
    """Return the table with each column as texts, whole numbers, floats, truth values or times without a zone.

    What is missing is null in all of them, NaN too. Columns of other types, such as lists, are left out.

    texts : names of columns that stay texts, whatever they look like; decimal_comma : whether 1,5 is a number
    """
    import polars as pl

    schema, notices = table.collect_schema(), []
    kept: dict[str, pl.Expr] = {}
    unread: list[str] = []
    for name, dtype in schema.items():
        column = pl.col(name)
        if dtype in (pl.String, pl.Categorical, pl.Enum):
            text = column.cast(pl.String).str.strip_chars()
            kept[name] = pl.when(text.is_in(MISSING)).then(None).otherwise(text)
        elif dtype.is_float():
            kept[name] = column.fill_nan(None)
        elif dtype.is_integer() or dtype == pl.Boolean:
            kept[name] = column
        elif dtype.is_decimal() or dtype == pl.Null:
            kept[name] = column.cast(pl.Float64)
        elif dtype in (pl.Time, pl.Duration):
            kept[name] = column.cast(pl.Duration("us")).dt.total_microseconds() / 1e6
        elif dtype == pl.Date:
            kept[name] = column.cast(pl.Datetime("us"))
        elif isinstance(dtype, pl.Datetime):
            zoned = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column
            kept[name] = zoned.cast(pl.Datetime("us"))
        else:
            unread.append(name)
            notices.append(f"Column {name!r} holds {dtype}, which no feature is made of: it is left out.")
    table = table.select([made.alias(name) for name, made in kept.items()])
    looked_at = [name for name in kept if schema[name] in (pl.String, pl.Categorical, pl.Enum) and name not in texts]
    if looked_at:
        table = table.with_columns(_types(table, looked_at, decimal_comma))
    return Settled(table, notices)


def number_of(text: "pl.Expr", *, decimal_comma: bool = False) -> "pl.Expr":
    """Return the float64 that each text is, null where it is none."""
    import polars as pl

    if decimal_comma:
        text = pl.when(text.str.contains(_COMMA_NUMBER)).then(text.str.replace(",", ".", literal=True))
    return text.cast(pl.Float64, strict=False)


def _types(table: "pl.LazyFrame", names: list[str], decimal_comma: bool) -> "list[pl.Expr]":
    """Return what the columns of texts become that are numbers or truth values throughout."""
    import polars as pl

    def whole(text: pl.Expr) -> pl.Expr:
        return text.cast(pl.Int64, strict=False)

    def comma(text: pl.Expr) -> pl.Expr:
        return number_of(text, decimal_comma=True)

    become: dict[str, Callable[[pl.Expr], pl.Expr]] = {
        "truth": lambda text: text.str.to_lowercase() == "true",
        "whole": whole,
        "float": number_of,
        **({"comma": comma} if decimal_comma else {}),
    }
    holds: dict[str, Callable[[pl.Expr], pl.Expr]] = {
        "truth": lambda text: text.is_in(TRUTHS),
        "whole": lambda text: whole(text).is_not_null(),
        "plain": lambda text: ~text.str.contains(LEADING_ZERO),  # asked of whole numbers
        "float": lambda text: number_of(text).is_not_null(),
        "comma": lambda text: comma(text).is_not_null(),
    }

    def looked(table: pl.LazyFrame, asked: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
        """Return of what is asked about columns what all their cells are that are not missing."""
        looks = [
            (holds[one](pl.col(name)) | pl.col(name).is_null()).all().alias(f"{i} {one}")
            for i, (name, ones) in enumerate(asked.items())
            for one in ones
        ]
        seen = table.select(looks).collect(engine="streaming").row(0, named=True) if looks else {}
        return {name: [one for one in ones if seen[f"{i} {one}"]] for i, (name, ones) in enumerate(asked.items())}

    # What the first are not, all are not; so of most little is asked about all.
    first = looked(table.head(_FIRST), dict.fromkeys(names, (*become, "plain")))
    first = {name: [one for one in ones if one != "plain" or "whole" in ones] for name, ones in first.items()}
    chosen = {}
    for name, ones in looked(table, first).items():
        if {"truth", "whole"} <= {*ones}:  # it is missing throughout
            chosen[name] = "float"
        elif ones and not ("whole" in ones and "plain" not in ones):
            chosen[name] = next((one for one in become if one in ones), None)
    return [become[one](pl.col(name)) for name, one in chosen.items() if one is not None]
