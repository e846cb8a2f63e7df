"""Tables of text, CSV and TSV: how one is written - encoding, separator, names - and its cells as texts.

What a cell means is found later (`fastmlp.data.cells`), from all cells of a column: here nothing is guessed from the
first lines but the separator. A line with too few or too many fields is an error that names the line.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastmlp.data.cells import MISSING
from fastmlp.data.library import listed, reading
from fastmlp.data.table_files import is_packed, suffix_of, unpacked_text
from fastmlp.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d*)?")
_SAMPLE = 1 << 18  # bytes that the separator is found in
_BLOCK = 1 << 22
_LINES = 50
_MOST_NAME = 1000  # characters
_ADVICE = "Mend the file, or write it anew as CSV in UTF-8 with a line of names above the rows."


@dataclass(frozen=True)
class Delimited:
    """A table of text.

    names : of its columns, from its first line; quoted : whether fields stand in quotes, or these are letters as
    others; notices : what a user should know of it; lines : how many there are, those of blank rows too
    """

    source: Path | bytes
    names: list[str]
    separator: str
    quoted: bool
    notices: tuple[str, ...]
    lines: int

    def cells(self, floats: Collection[str] = ()) -> "pl.LazyFrame":
        """Return all cells as texts, but those of the columns `floats`, where any other text is an error of polars."""
        import polars as pl

        return pl.scan_csv(
            self.source,
            has_header=False,
            skip_rows=1,
            separator=self.separator,
            quote_char='"' if self.quoted else None,
            schema={name: pl.Float64 if name in floats else pl.String for name in self.names},
            null_values=list(MISSING),
            glob=False,
        )


def scan_delimited(path: Path) -> Delimited:
    """Find how the text file is written, and check its lines; DataError where it is no table."""
    source, notices = _source(path)
    head = _head(source)
    if not head.strip("\ufeff \t\r\n"):
        raise DataError(f"{path.name} is empty. Give a file with a line of names and rows under it.")
    if "\0" in head:
        raise DataError(f"{path.name} has bytes of 0 in it, and so is no text. {_ADVICE}")
    separator = _separator(head, path)
    names, lines = _names(head, separator, path)
    if len(head.encode()) < _SAMPLE and not "".join(head.splitlines()[lines:]).strip():
        raise DataError(f"{path.name} has names of columns and no rows. Give it rows.")
    if _look_like_a_row(names):
        shown = listed(names, 5)
        notices = (*notices, f"The first line of {path.name} was read as names of columns ({shown}): is it a row?")
    # Checked here, as polars fills lines that are too short.
    quoted, count = _Lines(path, source, separator, len(names), lines).check()
    return Delimited(source, names, separator, quoted, notices, count)


def _source(path: Path) -> tuple[Path | bytes, tuple[str, ...]]:
    """Return the file where it is UTF-8, else all of its text as UTF-8, and what is to be said of that."""
    source = unpacked_text(path) if is_packed(path) else path
    encoding = _encoding(source)
    if encoding != "utf-8":
        try:
            text = _all_of(source).decode(encoding)
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name} is marked as {encoding}, and is none ({error}). {_ADVICE}") from error
        notice = f"{path.name} is no UTF-8: it was read as {encoding}. Write it as UTF-8 if letters look wrong."
        return _ends_of_lines(text.encode()), (notice,)
    with _opened(source) as file:
        start = file.read(_SAMPLE)
    return (_ends_of_lines(_all_of(source)) if b"\r" in start and b"\n" not in start else source), ()


def _opened(source: Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _all_of(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _ends_of_lines(text: bytes) -> bytes:
    """Return the text with the ends of lines that polars knows; those of old Macs are carriage returns alone."""
    return text if b"\n" in text else text.replace(b"\r", b"\n")


def _encoding(source: Path | bytes) -> str:
    """Return the encoding of a text: UTF-16 by its mark, UTF-8 where all of it is, else a Western one."""
    with _opened(source) as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    return next((name for name in ("utf-8", "cp1252") if _is_written_in(source, name)), "latin-1")


def _is_written_in(source: Path | bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with _opened(source) as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _head(source: Path | bytes) -> str:
    """Return the beginning of the text, without a mark of its encoding."""
    with _opened(source) as file:
        return file.read(_SAMPLE).decode("utf-8", errors="ignore").removeprefix("\ufeff")


def _records(head: str, separator: str) -> Iterator[list[str]]:
    """Yield the records of the beginning, the last of which may be cut."""
    try:
        yield from csv.reader(io.StringIO(head, newline=""), delimiter=separator)
    except csv.Error:
        return


def _separator(head: str, path: Path) -> str:
    """Return the separator by which most lines of the beginning have as many fields as the first; a tab for .tsv.

    A blank, which stands in texts too, is one where there is no other, and all lines have as many.
    """

    def merit(separator: str) -> tuple[int, bool, int]:
        counts = [len(record) for _, record in zip(range(_LINES), _records(head, separator), strict=False) if record]
        if not counts or counts[0] < 2:
            return 0, False, 0
        return sum(count == counts[0] for count in counts), separator == preferred, counts[0]

    preferred = "\t" if suffix_of(path) == ".tsv" else ","
    best = max((one for one in SEPARATORS if one != " "), key=merit)
    if merit(best)[0]:
        return best
    lines = sum(bool(record) for _, record in zip(range(_LINES), _records(head, " "), strict=False))
    return " " if lines > 1 and merit(" ")[0] == lines else preferred


def _names(head: str, separator: str, path: Path) -> tuple[list[str], int]:
    """Return the names of the columns, and how many lines of the file they take."""
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=separator)
    try:
        first = next(reader)
    except (csv.Error, StopIteration) as error:
        raise DataError(f"The first line of {path.name} has no names of columns ({error}). {_ADVICE}") from error
    if not first:
        raise DataError(f"The first line of {path.name} is blank; it should have the names of the columns. {_ADVICE}")
    names = [name.strip() or f"unnamed {i}" for i, name in enumerate(first, 1)]
    if too_long := next((name for name in names if len(name) > _MOST_NAME), None):
        raise DataError(f"{path.name} has a name of {len(too_long):,} characters in its first line. {_ADVICE}")
    check_names(names, path.name)
    return names, reader.line_num


def _look_like_a_row(names: Sequence[str]) -> bool:
    """Whether some names are numbers, and not those of places, such as 0, 1, 2 and so on."""
    numbers = [float(name.replace(",", ".")) for name in names if _NUMBER.fullmatch(name)]
    return len(numbers) > 1 and any(b - a != 1 for a, b in pairwise(numbers))


def check_names(names: Sequence[str], source: str) -> None:
    """Raise DataError where two columns have one name."""
    if len(set(names)) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise DataError(
            f"{source} has several columns called {listed(twice, 5)}. Give each column a name of its own; where the "
            "first line is a row already, put a line of names above it."
        )


@dataclass(frozen=True)
class _Lines:
    """The lines of a text, for counting their fields.

    Where fields in quotes go over lines, none can be counted without parsing all: those files are left to polars.
    """

    path: Path
    source: Path | bytes
    separator: str
    fields: int
    header: int

    def check(self) -> tuple[bool, int]:
        """Return whether fields stand in quotes, and how many lines there are.

        DataError for the first line with too few or too many fields, or a quote that is never closed.
        """
        import polars as pl

        line, number = pl.col("line"), pl.col("number")
        lines = pl.scan_csv(
            self.source, has_header=False, separator="\x1f", quote_char=None, schema={"line": pl.String}, glob=False
        ).with_row_index("number", offset=1)
        quotes = line.str.count_matches('"', literal=True)
        odd = number.filter(quotes % 2 == 1).first().alias("odd")
        wrong = number.filter(self._is_wrong(line)).first().alias("wrong")
        with reading(self.path.name, _ADVICE):
            looks = quotes.sum(), odd, wrong, pl.len().alias("lines")
            total, odd, wrong, count = lines.select(*looks).collect(engine="streaming").row(0)
        quoted = total > 0 and self._begins_quoted(lines)
        if quoted and total % 2 == 1:
            where = f"perhaps in line {odd:,}"
            raise DataError(f'{self.path.name} has a quote (") that is never closed, {where}. {_ADVICE}')
        if (not quoted and wrong is None) or (quoted and odd is not None):  # a field in quotes may go over lines
            return quoted, count
        outside = line.str.replace_all('"[^"]*"', "") if quoted else line
        with reading(self.path.name, _ADVICE):
            found = (
                lines.filter(self._is_wrong(outside))
                .select(number, self._fields(outside).alias("fields"))
                .head(1)
                .collect(engine="streaming")
            )
        if len(found):
            number, fields = found.row(0)
            raise DataError(
                f"Line {number:,} of {self.path.name} has {fields:,} field{'s' * (fields != 1)}, and its line of names "
                f"{self.fields:,} (separated by {SEPARATORS[self.separator]}). {_ADVICE}"
            )
        return quoted, count

    def _begins_quoted(self, lines: "pl.LazyFrame") -> bool:
        """Whether any field begins with a quote, so that not all are inches, say."""
        import polars as pl

        begins = pl.col("line").str.contains(rf'(?:^|{re.escape(self.separator)})\s*"').any()
        with reading(self.path.name, _ADVICE):
            return lines.select(begins).collect(engine="streaming").item()

    def _fields(self, line: "pl.Expr") -> "pl.Expr":
        return line.str.count_matches(self.separator, literal=True) + 1

    def _is_wrong(self, line: "pl.Expr") -> "pl.Expr":
        """Whether a line below the names has another number of fields; blank ones are rows that are left out later."""
        import polars as pl

        blank = pl.col("line").str.strip_chars() == ""
        return (self._fields(line) != self.fields) & ~blank & (pl.col("number") > self.header)
