"""A sweep's page: one HTML file with its figures inside, no script, for light and dark, wide and narrow screens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastmlp.report.plots.picture import Picture
from fastmlp.table import Table
from fastmlp.text import html_text

MOST_COLUMNS, MOST_LETTERS = 4, 20  # of a table, and of a name in it, that a phone has room for

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --ground: #ffffff; --line: #d5dae1;
  --code: #f2f4f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa6b5; --ground: #14181e; --line: #333c48; --code: #1e242d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
nav a { margin-right: 1rem; white-space: nowrap; } a { color: inherit; }
figure { margin: .5rem 0 1.5rem; }
figure svg { display: block; height: auto; width: 100%; }
figcaption, .facts { color: var(--soft); font-size: .85rem; }
figcaption { margin-top: .3rem; }
.narrow { display: none; }
.gallery { display: grid; gap: .25rem; font-size: .75rem; line-height: 1.2; text-align: center;
  grid-template-columns: repeat(auto-fill, minmax(min(55rem / var(--columns), 45%), 1fr)); overflow-wrap: break-word; }
.gallery img { display: block; width: 100%; margin-bottom: .15rem; image-rendering: pixelated; }
.table { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .25rem .35rem; border-bottom: 1px solid var(--line); text-align: left; }
th { vertical-align: bottom; } .number { text-align: right; } td.number, td span { white-space: nowrap; }
td { vertical-align: baseline; }
.hint { display: none; color: var(--soft); font-size: .85rem; margin: .3rem 0; }
/* A shadow at the right edge while there is more to the right: a cover that scrolls along hides it at the end. */
.table { background: linear-gradient(to left, var(--ground), var(--ground)) right / 1.2rem 100% no-repeat local,
  linear-gradient(to left, var(--soft), transparent) right / .8rem 100% no-repeat scroll; }
@media (max-width: 46rem) { .wide { display: none; } .narrow { display: block; } }
@media (max-width: 40rem) { .hint { display: block; }
  th:first-child, td:first-child { position: sticky; left: 0; background: var(--ground); } }
pre, code { background: var(--code); font-size: .85rem; } pre { padding: .6rem; white-space: pre-wrap; }
summary { cursor: pointer; padding: .25rem 0; }
"""


@dataclass
class Section:
    """A section of the page: blocks of HTML under a heading."""

    title: str
    blocks: list[str] = field(default_factory=list)


def page(title: str, sections: Sequence[Section]) -> str:
    """Return the whole HTML document: title, links to the sections, and the sections."""
    links = "\n".join(f'<a href="#{_anchor(one)}">{html_text(one.title)}</a>' for one in sections)
    bodies = "\n".join(
        f'<section>\n<h2 id="{_anchor(one)}">{html_text(one.title)}</h2>\n' + "\n".join(one.blocks) + "\n</section>"
        for one in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'  # or a browser asks for one
        f"<title>{html_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html_text(title)}</h1>\n<nav>\n{links}\n</nav>\n{bodies}\n</body>\n</html>\n"
    )


def _anchor(section: Section) -> str:
    return "".join(c if c.isalnum() else "-" for c in section.title.lower())


def text(words: str) -> str:
    """Return a paragraph as HTML."""
    return f"<p>{html_text(words)}</p>"


def code(words: str) -> str:
    """Return lines of a shell as HTML."""
    return "<pre>{}</pre>".format("\n".join(map(html_text, words.split("\n"))))


def figure(picture: Picture) -> str:
    """Return a figure with heading and caption as HTML; its anchor is `figure-` and its name."""
    caption = f"<figcaption>{html_text(picture.caption)}</figcaption>"
    heading = f'<h3 id="figure-{html_text(picture.name)}">{html_text(picture.title)}</h3>'
    return f"{heading}\n<figure>\n{picture.inline}\n{caption}\n</figure>"


def folded(summary: str, blocks: Sequence[str], name: str = "") -> str:
    """Return blocks of HTML that are shown on a click; name : their anchor."""
    named = f' id="{html_text(name)}"' if name else ""
    return f"<details{named}>\n<summary>{html_text(summary)}</summary>\n" + "\n".join(blocks) + "\n</details>"


def listed(head: Sequence[str], rows: Sequence[tuple[str, str, Sequence[tuple[str, str]], str]]) -> str:
    """Return a table as HTML, with rows of number, words, links as pairs of words and anchor, and words after these."""
    lines = ["<tr>" + "".join(f"<th>{html_text(cell)}</th>" for cell in head) + "</tr>"]
    for number, words, links, more in rows:
        linked = ", ".join(f'<a href="#{html_text(place)}">{html_text(name)}</a>' for name, place in links)
        lines.append(
            f"<tr><td>{html_text(number)}</td><td>{html_text(words)}</td><td>{linked}{html_text(more)}</td></tr>"
        )
    return '<div class="table"><table>\n' + "\n".join(lines) + "\n</table></div>"


def table(shown: Table, name: str) -> str:
    """Return a table, with the list of its facts above it, as HTML; its anchor is `table-` and its name."""
    kinds = ["" if shown.is_word(i) else ' class="number"' for i in range(len(shown.columns))]

    def line(tag: str, cells: Sequence[str]) -> str:
        pairs = zip(kinds, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{kind}>{_breaking(cell)}</{tag}>" for kind, cell in pairs) + "</tr>"

    lines = "\n".join([line("th", shown.columns), *(line("td", cells) for cells in shown.marked_rows())])
    items = "".join(f"<li>{html_text(fact)}</li>" for fact in shown.facts)
    above = f'<ul class="facts">{items}</ul>\n' if items else ""
    if len(kinds) > MOST_COLUMNS:
        above += f'<p class="hint">{len(kinds)} columns: the table scrolls sideways.</p>\n'
    return f'{above}<div class="table" id="table-{html_text(name)}" tabindex="0"><table>\n{lines}\n</table></div>'


def _breaking(cell: str) -> str:
    """Return a cell's text as HTML that may break within a long name, but not within a network's sizes."""
    whole = re.sub(r"\d+(?:-\d+){2,}", r"<span>\g<0></span>", html_text(cell))
    return whole.replace("_", "_<wbr>") if len(cell) > MOST_LETTERS else whole
