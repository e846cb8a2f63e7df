"""Each way to escape a text: safe whatever the text is, and what was written can be read again."""

import csv
import html
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from fastmlp.table import Table
from fastmlp.text import Marked, csv_line, html_text, markdown_text, plain, visible, visible_in, visible_lines
from hostile import HOSTILE, check_csv, check_markdown, check_shown, unescaped

# Any text, and such as is made of what means something somewhere.
TEXTS = st.text(st.characters()) | st.text(
    st.sampled_from("ab1 _*`|\\$<>&[](){}!#~'\"=+-@,;:.\n\r\t\x1b\u202e\ud800\uff1d")
)
FORMULA = re.compile(r"[\s']*[=+\-@\uff1d\uff0b\uff0d\uff20].", re.DOTALL)
few = settings(max_examples=100)


@few
@given(TEXTS)
def test_what_is_visible_is_one_line_that_nothing_obeys(text: str) -> None:
    shown = visible(text)
    check_shown(shown)
    assert shown.splitlines() in ([], [shown])
    assert visible(shown) == shown
    assert visible_lines(text) == "\n".join(map(visible, text.split("\n")))
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize(
    "text", ["Käse", "猫", "कि\u200dष", "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", "C:\\data\\x", "a\xa0b", ""]
)
def test_ordinary_text_stays(text: str) -> None:
    assert visible(text) == text
    assert markdown_text(text) == text
    assert csv_line([text, "end"]) == f"{text},end\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb\t", r"a\nb\t"), ("\x1b[1m\x07", r"\x1b[1m\x07"), ("\x9b\x85", r"\x9b\x85"),
     ("\u202e\ud800", r"\u202e\ud800"), ("\U000e0041", r"\U000e0041")],
)  # fmt: skip
def test_what_is_not_visible_is_named(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_texts_in_a_document_become_visible_and_all_else_stays() -> None:
    assert visible_in({"a\r": ["b\x00", ("c\x1b", 1.5)], "d": None}) == {r"a\r": [r"b\x00", (r"c\x1b", 1.5)], "d": None}


@few
@given(TEXTS)
def test_rich_takes_a_text_as_it_is(text: str) -> None:
    console = Console(file=io.StringIO(), width=10_000, force_terminal=True, color_system=None)
    console.print(plain(text), soft_wrap=True)
    assert console.file.getvalue() == visible(text) + "\n"  # type: ignore[attr-defined]


@few
@given(TEXTS)
def test_html_can_be_read_again(text: str) -> None:
    written = html_text(text)
    assert not re.search("[<>\"']|&(?!amp;|lt;|gt;|quot;|#x27;)", written)
    assert html.unescape(written) == visible(text)


@few
@given(TEXTS, TEXTS)
def test_markdown_can_be_read_again(text: str, other: str) -> None:
    assert unescaped(markdown_text(text)) == visible(text)
    table = Table([f"Fact {text}"], ["name", "other", "figure"], [[f"n{text}", f"o{other}", "1"]], words=2)
    rows = check_markdown(table.markdown())
    assert [cell.split() for cell in rows[1]] == [visible(cell).split() for cell in table.rows[0]]


@pytest.mark.parametrize(
    "name", ["aquatic_mammals", "a__b", "relu, lr 0.1", "x.npy [3]", "a [1] (2).png", "50 %", "R&D", "a-b (c)", "l2"]
)
def test_ordinary_names_are_themselves_in_markdown(name: str) -> None:
    assert markdown_text(name) == name


def test_marks_of_our_own_stay() -> None:
    assert markdown_text(Marked("by `code`")) == "by `code`"


@few
@given(TEXTS)
def test_csv_can_be_read_again(text: str) -> None:
    [[cell, number]] = check_csv(csv_line([text, -1.5]))
    assert number == "-1.5"
    given_back = cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
    assert visible(given_back.replace("\r\n", "\n")) == visible(text.replace("\r\n", "\n"))


@pytest.mark.parametrize("text", ["-1", "+4.5e-3", "-0.5", "-", "1,000", "a=b", "a@b"])
def test_numbers_and_dashes_are_no_formulas(text: str) -> None:
    assert list(csv.reader([csv_line([text])])) == [[text]]


@pytest.mark.parametrize("text", ["=1+1", "@x", "-2+3", "+1-1", "\t=1", " =1", "\n=1", "\uff1d1+1", "'=1", "-x"])
def test_a_formula_is_text_that_says_so(text: str) -> None:
    assert next(csv.reader(io.StringIO(csv_line([text]), newline=""))) == [f"'{text}"]


def test_each_form_of_a_table_holds_hostile_text() -> None:
    rows = [[text, text, "1,000"] for text in HOSTILE]
    for aligned in (False, True):
        table = Table(
            [f"Fact: {text}" for text in HOSTILE], ["a|b", "=c", "figure"], rows, 2, aligned=aligned, best=(0, 5)
        )
        read = check_markdown(table.markdown())
        assert [row[1].split() for row in read[1:]] == [visible(text).split() for text in HOSTILE]
        assert [row[2] for row in check_csv(table.csv())[1:]] == ["1000"] * len(HOSTILE)
        for width in (40, 400):
            console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
            console.print(*table.rich(width))
            check_shown(console.file.getvalue())  # type: ignore[attr-defined]
