"""A table of texts, and its forms: Markdown, CSV, JSON, and drawn on a terminal."""

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastmlp.text import csv_line, markdown_text, plain, visible

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """A table of texts, none of them escaped yet, under lines of facts.

    words : how many of the first columns are words; the others are numbers. verdict : whether the last is words too
    aligned : whether columns are padded in Markdown; best : numbers of the rows that are marked as the best
    """

    facts: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int
    verdict: bool = False
    aligned: bool = False
    best: Collection[int] = ()

    def __str__(self) -> str:
        return self.markdown()

    def is_word(self, i: int) -> bool:
        """Whether column i is words, which are aligned left, or numbers, which are aligned right."""
        return i < self.words or (self.verdict and i == len(self.columns) - 1)

    def without_empty(self) -> "Table":
        """Return it without the columns that are empty in every row; for tables of words and numbers."""
        used = [i for i in range(len(self.columns)) if any(row[i] for row in self.rows)]
        rows = [[row[i] for i in used] for row in self.rows]
        words = sum(i < self.words for i in used)
        return replace(self, columns=[self.columns[i] for i in used], rows=rows, words=words)

    def marked_rows(self, form: Callable[[str], str] = str, mark: str = "(best)") -> list[list[str]]:
        """Return the rows with form(cell) for each cell, and `mark` after the first cell of the best rows."""
        rows = [[form(cell) for cell in row] for row in self.rows]
        for i in self.best:
            rows[i][0] += f" {mark}"
        return rows

    def markdown(self) -> str:
        """Return the facts as a list, and the table under it, in Markdown."""
        head, rows = [markdown_text(name) for name in self.columns], self.marked_rows(markdown_text, "**(best)**")
        widths = [max(len(row[i]) for row in [head, *rows]) if self.aligned else 4 for i in range(len(head))]
        rules = [":" + "-" * (w - 1) if self.is_word(i) else "-" * (w - 1) + ":" for i, w in enumerate(widths)]

        def line(cells: Sequence[str]) -> str:
            if self.aligned:
                cells = [
                    cell.ljust(width) if self.is_word(i) else cell.rjust(width)
                    for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
                ]
            return f"| {' | '.join(cells)} |"

        facts = [f"- {markdown_text(fact)}" for fact in self.facts]
        return "\n".join([*facts, *[""] * bool(facts), *map(line, (head, rules, *rows)), ""])

    def csv(self) -> str:
        """Return the columns' names and the rows as CSV; numbers lose the commas between thousands."""
        return "".join(map(csv_line, [self.columns, *self._figures()]))

    def json(self) -> str:
        """Return the rows as a JSON list of objects."""
        return json.dumps([dict(zip(self.columns, row, strict=True)) for row in self._figures()], indent=1) + "\n"

    def _figures(self) -> list[list[str]]:
        return [
            [cell if self.is_word(i) else re.sub(r"(?<=\d),(?=\d{3})", "", cell) for i, cell in enumerate(row)]
            for row in self.marked_rows()
        ]

    def rich(self, width: int) -> "list[RichTable]":
        """Return the table, without the facts, for a terminal of this width.

        Where it is too wide it is split into several, each of which begins with the first column.
        """
        rows, parts = self.marked_rows(visible), [[0]]
        for i in range(1, len(self.columns)):
            if sum(self._width(j, rows) for j in [*parts[-1], i]) > width:
                parts.append([0])
            parts[-1].append(i)
        return [self._part(part, rows) for part in parts]

    def _width(self, i: int, rows: Sequence[Sequence[str]]) -> int:
        """Return the least width of a column: headers and words wrap at spaces, numbers do not."""
        cells = [row[i] for row in rows]
        pieces = self.columns[i].split() + (" ".join(cells).split() if self.is_word(i) else cells)
        return max(map(len, pieces)) + 2

    def _part(self, part: Sequence[int], rows: Sequence[Sequence[str]]) -> "RichTable":
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
        for i in part:
            is_word = self.is_word(i)
            header = Text(visible(self.columns[i]).replace(" ", "\n"))
            table.add_column(header, justify="left" if is_word else "right", vertical="top", no_wrap=not is_word)
        for row in rows:
            table.add_row(*(plain(row[i]) for i in part))
        return table
