"""Escaping of texts from outside - names of classes and experiments, errors, paths - with one function a medium.

Whoever prints or writes need not know what a text holds. For figures see also `fastmlp.report.plots.style`, which
switches mathtext off.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

# What moves a terminal's cursor, breaks a line, turns the direction of what follows or is not seen at all, and what is
# no character alone: controls, bidirectional marks, separators, fillers, byte order marks, surrogates, tags. Joiners
# stay, which some scripts are written with.
_UNSEEN = (
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\U000e0000-\U000e007f]"
)
_ANY_UNSEEN, _UNSEEN_IN_CELL = re.compile(_UNSEEN), re.compile(rf"(\r\n|[\n\t])|{_UNSEEN}")
# What Markdown takes for a mark of its own. An underscore within a word is none, nor is a bracket that no link follows.
_MARKS = re.compile(
    r"[`*$|~]|\\(?=[!-/:-@[-`{-~]|$)|(?<!\w)_++|_++(?![^\W_])|\](?=[(\[:\]])|<|&(?=#?\w+;)",
)
# What spreadsheets take for a formula, in their full-width forms too, unless it is a number or stands alone.
_FORMULA = re.compile(r"[\s']*[=+\-@\uff1d\uff0b\uff0d\uff20].", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?")


class Marked(str):
    """A text of this package's own with Markdown in it, such as `code`, which is not to be escaped."""


def visible(text: str) -> str:
    r"""Return a text as one line, in which control and invisible characters are escapes such as `\n` or `\x1b`."""
    return _ANY_UNSEEN.sub(_code, text)


def _code(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def visible_lines(text: str) -> str:
    """Return a text, each line of which is `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def visible_in(value: Any) -> Any:
    """Return a value of JSON's types, or tuples of them, with `visible` applied to each text in it."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible_in(key): visible_in(one) for key, one in value.items()}
    return type(value)(map(visible_in, value)) if isinstance(value, list | tuple) else value


def plain(text: str) -> "Text":
    """Return a text for rich in which brackets and colons are no markup, as they are in plain strings."""
    from rich.text import Text

    return Text(visible(text))


def html_text(text: str) -> str:
    """Return a text for HTML, between tags and in quoted attributes."""
    from html import escape

    return escape(visible(text))


def markdown_text(text: str) -> str:
    """Return a text escaped for Markdown: for a cell of a table, or for a line after its first word."""
    return text if isinstance(text, Marked) else _MARKS.sub(_marked, visible(text))


def _marked(found: re.Match[str]) -> str:
    entity = {"<": "&lt;", "&": "&amp;"}.get(found[0])
    return entity or "".join(f"\\{mark}" for mark in found[0])


def csv_line(cells: Iterable[Any]) -> str:
    """Return a record of CSV. A text that a spreadsheet would take for a formula gets a quote in front, numbers do not.

    Texts may have several lines.
    """
    return csv_lines([cells])


def csv_lines(records: Iterable[Iterable[Any]]) -> str:
    """Return records of CSV, each as of `csv_line`."""
    import csv
    import io

    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(
        [_cell(one) if isinstance(one, str) else one for one in cells] for cells in records
    )
    return lines.getvalue()


def _cell(text: str) -> str:
    text = _UNSEEN_IN_CELL.sub(lambda found: found[1] or _code(found), text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
