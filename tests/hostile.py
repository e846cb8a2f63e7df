"""Texts as no one gives them by mistake, and what shows that a medium has not obeyed one."""

import csv
import html
import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from markdown_it import MarkdownIt

HOSTILE = (
    "plain_name",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J",
    "over\rwritten\b\b\b",
    "two\nlines\r\nand\x85more\u2028still\u2029end\x0b\x0c",
    "nul\x00del\x7fsurrogate\udcff\ud800 \ufffe\uffff",
    "turned \u202egnp.exe\u202c \u2066isolated\u2069 \u200f\ufeff",
    "a|b \\| c\\",
    "**bold** _under_ __init__ ~~gone~~ `code` ``more`",
    "$x^2$ $\\frac{1$ \\$ 5_a^b_c",
    "$\\notacommand{$",
    "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;&amp;amp; &#60;b>",
    "\"' onload='alert(1)' style=\"x\" ]]> --> </svg></text></title></style>",
    '<g id="words"> id="figure_1" url(#x) href="#y" #1c2430',
    "[click](javascript:alert(1)) ![x](http://h/x.png) [a]: http://h [^1] [[w]]",
    "=1+1",
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "\t=tab",
    "'=quoted",
    "[bold]rich[/bold] [/] :warning:",
    "_hidden",
    "猫 كلب \U0001f408 e\u0301",
    "x" * 300,
    " ",
    "# heading - [ ] > 1. {n} {} %s %(x)s %",
)
# All of them at once, for what has room for one.
TOGETHER = " ".join(HOSTILE[:-4])
CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def check_shown(text: str) -> None:
    """A text for a terminal: nothing in it moves the cursor or turns a line."""
    assert not CONTROL.findall(text)
    text.encode()


def check_csv(text: str) -> list[list[str]]:
    """CSV whose cells hold no formula and no control but line breaks and tabs; return them."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert not CONTROL.findall(cell.replace("\r\n", "").replace("\t", ""))
        assert not re.match(r"\s*[=+\-@].", cell, re.DOTALL) or re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell)
    return rows


def check_markdown(text: str) -> list[list[str]]:
    """Markdown of lists and tables alone; return the cells that a reader sees."""
    check_shown(text)
    page = Seen(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    assert page.tags <= {"ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong", "p", "h3", "code"}
    assert {name for _, name, _ in page.attributes} <= {"style"}
    assert len({len(row) for row in page.rows}) == 1
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(page.rows) == len(lines) - 1
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(page.rows[0]) + 1
    return page.rows


class Seen(HTMLParser):
    """What a browser finds in HTML: tags, attributes, the text of each element, and cells of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str, str]] = set()
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name, value or "") for name, value in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.rows[-1].append("".join(self._cell))
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._cell is not None:
            self._cell.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def check_html(text: str) -> Seen:
    """A page on which nothing runs and nothing is fetched, whatever the names on it are."""
    check_shown(text)
    page = Seen(text)
    assert not page.tags & {"script", "iframe", "object", "embed", "form", "base", "foreignobject"}
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "xlink:href", "src"):
            assert value.startswith(("#", "data:"))
    return page


def check_svg(text: str) -> str:
    """An SVG that is well-formed, and nothing but a drawing; return its words."""
    check_shown(text)
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert not {one.tag.rpartition("}")[2] for one in root.iter()} & {"script", "foreignObject", "a", "b", "img"}
    return "\n".join("".join(one.itertext()) for one in root.iter() if one.tag.endswith("}text"))


def unescaped(markdown: str) -> str:
    """What a Markdown reader shows of a line without marks."""
    return re.sub(r"\\([!-/:-@\[-`{-~])|&#?\w+;", lambda m: m[1] or html.unescape(m[0]), markdown)
