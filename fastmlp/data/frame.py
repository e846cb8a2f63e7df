"""Reading tables: CSV, TSV, Parquet and Arrow files, or a table in memory, as a `Frame` of typed columns.

polars reads them (extra `tables`). A frame knows its columns' types, not yet what they are good for: that is found by
`fastmlp.data.kinds` and learnt, on training rows alone, by `fastmlp.data.columns`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.in_memory import lazy_table
from fastmlp.data.lacking import lacking, unknown_column
from fastmlp.data.library import need_polars, reading
from fastmlp.data.room import check_table
from fastmlp.data.table_files import files_of, one_below_the_other, one_form, source_of
from fastmlp.data.taken import Taken
from fastmlp.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

_AS_TEXTS = ("category", "date")  # kinds whose columns stay texts, where they are written so
_BLANK = "\0blank"  # no column of a text is called so
_FIRST = 1000  # rows that tell which columns of a text are probably floats
_ADVICE = "It may be cut or damaged: write or fetch it again."


@dataclass(frozen=True, eq=False)
class Frame:
    """A table in memory: columns of texts, whole numbers, floats, truth values or times, as polars holds them.

    numbers : (M,) int64, which rows of the source these are, counted from 0; None where they are all of them
    """

    table: "pl.DataFrame"
    source: str
    """Where it came from, in words, without a folder."""
    target: tuple[str, ...] = ()
    weights: str | None = None
    group: str | None = None
    overrides: Mapping[str, str] | None = None
    """Kinds that were given, by column: see `fastmlp.data.kinds.parse_columns`."""
    notices: tuple[str, ...] = ()
    """What a user should know of how it was read, a sentence each."""
    numbers: NDArray[np.int64] | None = None

    @property
    def rows(self) -> int:
        """How many rows there are, M."""
        return self.table.height

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of all columns but target, weights and group."""
        others = {*self.target, self.weights, self.group}
        return tuple(name for name in self.table.columns if name not in others)

    def column(self, name: str) -> "pl.Series":
        """Return a column; DataError with the names most like it where it is missing."""
        if name not in self.table.columns:
            raise DataError(unknown_column(name, self.table.columns))
        return self.table.get_column(name)

    def only(self, name: str, rows: slice) -> "Frame":
        """Return the frame of one column's rows, from where to where."""
        numbers = np.arange(rows.start, rows.stop) if self.numbers is None else self.numbers[rows]
        column = self.column(name).slice(rows.start, rows.stop - rows.start)
        return replace(self, table=column.to_frame(), numbers=numbers)

    def each(self, names: Iterable[str], rows: NDArray[np.integer]) -> "Iterator[tuple[str, Frame]]":
        """Yield the name of each of these columns, and the frame of its rows (N,) int64 or other integers alone."""
        taken = Taken(rows, self.rows)
        for name in names:
            yield name, self._with(taken, self.column(name).to_frame())

    def taken(self, rows: NDArray[np.integer]) -> "Frame":
        """Return the frame of rows (N,) int64 or other integers, of all columns."""
        return self._with(Taken(rows, self.rows), self.table)

    def _with(self, taken: Taken, table: "pl.DataFrame") -> "Frame":
        numbers = taken.rows if self.numbers is None else self.numbers[taken.rows]
        return replace(self, table=taken.of(table), numbers=numbers)

    def place(self, row: int) -> str:
        """Return "row 17" for a row of this frame, as it is counted in the source: from 1, under the line of names."""
        return f"row {1 + int(row if self.numbers is None else self.numbers[row]):,}"

    def weight_values(self) -> NDArray[np.float64] | None:
        """Return the weights of the rows (M,) float64, None where none were named.

        DataError for one that is missing, negative, infinite or no number, or where all are 0.
        """
        if self.weights is None:
            return None
        column = self.column(self.weights)
        if not (column.dtype.is_numeric() or column.dtype.is_(need_polars().Boolean)):
            raise DataError(
                f"The weights {self.weights!r} are no numbers but {column.dtype}. Name a column of numbers."
            )
        values = floats(column)
        wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(wrong):
            value = "missing" if np.isnan(values[wrong[0]]) else f"{values[wrong[0]]:g}"
            raise DataError(
                f"The weight {self.weights!r} in {self.place(wrong[0])} is {value}; allowed are finite numbers from 0. "
                "Mend it, or leave the weights out."
            )
        if not values.any():
            raise DataError(f"All weights {self.weights!r} are 0, so that no row counts. Give some that are above 0.")
        return values

    def group_values(self) -> NDArray[np.int64] | None:
        """Return the group of each row (M,) int64, from 0; None where none was named.

        Rows without one are a group together, so that no two parts of a split share what may belong together.
        """
        if self.group is None:
            return None
        ranks = self.column(self.group).rank("dense").fill_null(0).to_numpy()
        return np.unique(ranks, return_inverse=True)[1].astype(np.int64)

    def order_values(self, name: str) -> NDArray[np.float64]:
        """Return what rows are ordered by in a split by time (M,) float64: seconds for times, numbers as they are.

        DataError for a column of texts that are no dates, or for a row without.
        """
        from fastmlp.data.kinds import as_times

        column = self.column(name)
        if column.dtype == need_polars().String:
            column = as_times(self, name)
        values = floats(column)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise DataError(
                f"{self.place(wrong[0])[0].upper()}{self.place(wrong[0])[1:]} has no {name!r} to be ordered by. "
                "Mend it, or split at random."
            )
        return values


def read_frame(
    paths: str | Path | Sequence[str | Path],
    *,
    target: str | Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    weights: str | None = None,
    group: str | None = None,
    known: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Frame:
    """Read a table from a file, from several, or from those that a pattern such as "part-*.csv" finds, in their order.

    target, weights, group : columns that are no inputs. Rows in which a target is missing are left out, and blank lines
    of a text, which is said; `Frame.numbers` has those that remain.
    columns : kinds by column, which override what is found; a dropped one is not read. known : the columns that were
    learnt, with their kinds (`Columns.reading`): only those, the target, weights and group are read.
    Files are told apart by their names: .csv, .tsv, .txt, which may be packed as .csv.gz, .parquet, .arrow, .feather.
    Memory: what the columns that are read take, 8 bytes for a number of a CSV and 16 and more for a text; Parquet and
    Arrow keep their types. A packed text is unpacked in memory.
    tell(line) : told before a large table is read what memory it takes; one that would not fit is a DataError
    Raises DataError, MissingDataError, or MissingExtraError without polars.
    """
    pl = need_polars()
    files = files_of(paths)
    source, form = source_of(files), one_form(files)
    asked = _Asked(_names_of(target), columns or {}, weights, group, known, tell)
    if form == "text":
        return _read_texts(files, source, asked)
    scan = pl.scan_parquet if form == "Parquet" else pl.scan_ipc
    tables = []
    for path in files:
        with reading(path.name, _ADVICE):
            tables.append(scan(path, glob=False))
            tables[-1].collect_schema()
    with reading(source, _ADVICE):
        table = one_below_the_other(files, tables)
        return _framed(table, source, asked, rows=table.select(pl.len()).collect().item())


class Block(NamedTuple):
    """Consecutive rows of a table, for a model.

    frame : the columns that the model knows, of the rows that are not blank, None where all are; kept : columns as
    they are written, of all rows; first, rows : number of the first row in the source, and how many there are
    """

    frame: Frame | None
    kept: "pl.DataFrame"
    first: int
    rows: int


def read_blocks(
    paths: str | Path | Sequence[str | Path], known: Mapping[str, str], *, keep: Sequence[str] = (), rows: int = 1 << 16
) -> Iterator[Block]:
    """Yield a table's rows, about `rows` at a time, in their order: a table of any length takes the memory of a few.

    known : as of `read_frame`, whose errors these are; keep : names of columns that are kept as they are
    """
    pl = need_polars()
    files = files_of(paths)
    source, tables, comma = source_of(files), [], False
    for path in files:
        with reading(path.name, _ADVICE):
            if one_form(files) == "text":
                from fastmlp.data.delimited import scan_delimited

                found = scan_delimited(path)
                comma |= found.separator != ","
                tables.append(_marked_blank(found.cells()))
            else:
                tables.append((pl.scan_parquet if one_form(files) == "Parquet" else pl.scan_ipc)(path, glob=False))
                tables[-1].collect_schema()
    with reading(source, _ADVICE):
        table = one_below_the_other(files, tables)
        names = [name for name in table.collect_schema() if name != _BLANK]
        if not set(known) <= set(names):
            raise DataError(lacking(source, known, names))
        if wrong := next((name for name in keep if name not in names), None):
            raise ConfigError(unknown_column(wrong, names))
        wanted = [name for name in table.collect_schema() if name in {*known, *keep, _BLANK}]
        first = 0
        for part in table.select(wanted).collect_batches(chunk_size=rows, maintain_order=True, lazy=True):
            for start in range(0, part.height, rows):  # a batch may be larger
                some = part.slice(start, rows)
                frame = _block_frame(some, source, known, first, decimal_comma=comma)
                yield Block(frame, some.select(keep), first, some.height)
                first += some.height
        if not first:
            raise DataError(f"{source} has names of columns and no rows. Give it rows.")


def _block_frame(
    rows: "pl.DataFrame", source: str, known: Mapping[str, str], first: int, *, decimal_comma: bool
) -> Frame | None:
    if _BLANK in rows.columns and rows[_BLANK].all():
        return None
    table = rows.select([name for name in rows.columns if name in {*known, _BLANK}]).lazy()
    frame = _framed(table, source, _Asked((), {}, None, None, known), decimal_comma=decimal_comma)
    numbers = np.arange(frame.rows) if frame.numbers is None else frame.numbers
    return replace(frame, numbers=first + numbers)


def frame_of(
    data: Any,
    *,
    target: str | Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    weights: str | None = None,
    group: str | None = None,
    known: Mapping[str, str] | None = None,
) -> Frame:
    """Return a table in memory as a frame: a DataFrame of polars or pandas, or columns by name; else as `read_frame`.

    A column is a one-dimensional array or list. Raises DataError where columns differ in length.
    """
    need_polars()
    asked = _Asked(_names_of(target), columns or {}, weights, group, known)
    with reading("The table", "Give a DataFrame, or columns by name, of numbers, texts, truth values or times."):
        return _framed(lazy_table(data), "a table in memory", asked)


def floats(column: "pl.Series") -> NDArray[np.float64]:
    """Return a column of numbers, truth values or times as (M,) float64: seconds for times, NaN where it is missing."""
    import polars as pl

    if column.dtype == pl.Datetime:
        column = column.dt.timestamp("us").cast(pl.Float64) / 1e6
    column = column if column.dtype == pl.Float64 else column.cast(pl.Float64)
    return column.to_numpy()


@dataclass(frozen=True)
class _Asked:
    """What `read_frame` was asked for."""

    target: tuple[str, ...]
    overrides: Mapping[str, str]
    weights: str | None
    group: str | None
    known: Mapping[str, str] | None
    tell: Callable[[str], None] = lambda _: None


def _names_of(target: str | Sequence[str]) -> tuple[str, ...]:
    return (target,) if isinstance(target, str) else tuple(target)


def _read_texts(files: list[Path], source: str, asked: _Asked) -> Frame:
    """Return the frame of files of text, as one that was read as texts alone, by a shorter way where there is one."""
    import polars as pl

    from fastmlp.data.cells import settle
    from fastmlp.data.delimited import scan_delimited

    found = []
    for path in files:
        with reading(path.name, _ADVICE):
            found.append(scan_delimited(path))
    notices = [notice for one in found for notice in one.notices]
    comma = any(one.separator != "," for one in found)

    def framed(floats: Collection[str]) -> Frame:
        with reading(source, _ADVICE):
            tables = [_marked_blank(one.cells(floats)) for one in found]
            more = {"decimal_comma": comma, "rows": sum(one.lines - 1 for one in found)}
            return _framed(one_below_the_other(files, tables), source, asked, notices, **more)

    with reading(source, _ADVICE):
        texts = [name for name, kind in {**asked.overrides, **(asked.known or {})}.items() if kind in _AS_TEXTS]
        first = settle(found[0].cells().head(_FIRST), texts).table.collect()
    # Whole numbers are no such columns: only from their texts is it seen that some have a zero in front.
    floats = [one.name for one in first if one.dtype == pl.Float64 and one.null_count() < len(one)]
    try:
        return framed(floats)
    except DataError as error:
        if not floats or not isinstance(error.__cause__, pl.exceptions.PolarsError):
            raise
    return framed(())


def _marked_blank(cells: "pl.LazyFrame") -> "pl.LazyFrame":
    """Return a text's cells with a column that tells which rows are blank, such as those of blank lines."""
    import polars as pl

    first, *others = cells.collect_schema()
    blanks = [pl.col(first).cast(pl.String).str.strip_chars().fill_null("") == "", *map(_is_missing, others)]
    return cells.with_columns(pl.all_horizontal(blanks).alias(_BLANK))


def _is_missing(name: str) -> "pl.Expr":
    import polars as pl

    return pl.col(name).is_null()


def _framed(
    table: "pl.LazyFrame",
    source: str,
    asked: _Asked,
    notices: Sequence[str] = (),
    *,
    decimal_comma: bool = False,
    rows: int = 0,
) -> Frame:
    """Return what was asked for of a table, its columns with settled types, without rows that have no target.

    rows : about how many there are, where they lie in files
    """
    from fastmlp.data.cells import settle
    from fastmlp.data.kinds import check_overrides

    names = [name for name in table.collect_schema() if name != _BLANK]
    roles = [*asked.target, *(one for one in (asked.weights, asked.group) if one is not None)]
    for name in roles:
        if name not in names:
            raise DataError(unknown_column(name, names))
    if twice := next((name for name in roles if roles.count(name) > 1), None):
        raise ConfigError(f"Column {twice!r} was named twice among target, weights and group. Name it once.")
    overrides = asked.overrides if asked.known is None else asked.known
    if asked.known is None:
        check_overrides(overrides, names)
        if wrong := next((name for name in roles if name in overrides), None):
            raise ConfigError(f"Column {wrong!r} is target, weights or group, and has no kind {overrides[wrong]!r}.")
    elif not set(asked.known) <= set(names):
        raise DataError(lacking(source, asked.known, names))
    kept = {*roles, _BLANK, *(asked.known or (name for name in names if overrides.get(name) != "drop"))}
    keep = [name for name in table.collect_schema() if name in kept]
    texts = {name for name, kind in overrides.items() if kind in _AS_TEXTS}
    settled = settle(table.select(keep), texts, decimal_comma=decimal_comma)
    schema = settled.table.collect_schema()
    if said := check_table({name: schema[name] for name in schema if name != _BLANK}, rows, source):
        asked.tell(said)
    for name in roles:
        if name not in schema:
            raise DataError(next(one for one in settled.notices if one.startswith(f"Column {name!r}")))
    frame = settled.table.collect(engine="streaming")
    if not frame.height:
        raise DataError(f"{source} has names of columns and no rows. Give it rows.")
    made = Frame(frame, source, asked.target, asked.weights, asked.group, overrides, (*notices, *settled.notices))
    if _BLANK in frame.columns:
        made = _without(made, frame[_BLANK], "they are blank")
        made = replace(made, table=made.table.drop(_BLANK))
    for name in asked.target:
        made = _without(made, made.column(name).is_null(), f"their target {name!r} is missing")
    return made


def _without(frame: Frame, left_out: "pl.Series", words: str) -> Frame:
    """Return a frame without some rows, which it says with the reason; DataError where none remains."""
    count = int(left_out.sum())
    if not count:
        return frame
    if count == frame.rows:
        raise DataError(
            f"All {count:,} rows of {frame.source} must be left out: {words}. Mend it, or name another target."
        )
    numbers = np.arange(frame.rows) if frame.numbers is None else frame.numbers
    return replace(
        frame,
        table=frame.table.filter(~left_out),
        numbers=numbers[~left_out.to_numpy()],
        notices=(*frame.notices, f"{count:,} of {frame.rows:,} rows are left out: {words}."),
    )
