"""One HTML file that needs nothing else: figures inside, no script, no network; for light and dark, wide and narrow."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from fastmlp.plots.style import Picture

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
figure { margin: .5rem 0 1.5rem; overflow-x: auto; }
figure svg { display: block; height: auto; width: 100%; min-width: 34rem; }
figcaption, .facts { color: var(--soft); font-size: .85rem; }
.table { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
td.number, th.number { text-align: right; }
pre, code { background: var(--code); font-size: .85rem; } pre { padding: .6rem; overflow-x: auto; }
summary { cursor: pointer; padding: .25rem 0; }
"""


@dataclass
class Section:
    """A part of the page: blocks of HTML under a heading."""

    title: str
    blocks: list[str] = field(default_factory=list)


def page(title: str, sections: Sequence[Section]) -> str:
    """Return the whole document."""
    links = "\n".join(f'<a href="#{_anchor(one)}">{escape(one.title)}</a>' for one in sections)
    bodies = "\n".join(
        f'<section>\n<h2 id="{_anchor(one)}">{escape(one.title)}</h2>\n' + "\n".join(one.blocks) + "\n</section>"
        for one in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'  # or a browser asks for one
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<nav>\n{links}\n</nav>\n{bodies}\n</body>\n</html>\n"
    )


def _anchor(section: Section) -> str:
    return "".join(c if c.isalnum() else "-" for c in section.title.lower())


def text(words: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(words)}</p>"


def code(words: str) -> str:
    """Return lines to be typed."""
    return f"<pre>{escape(words)}</pre>"


def figure(picture: Picture) -> str:
    """Return a figure with its heading and caption."""
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>"
    return f"<h3>{escape(picture.title)}</h3>\n<figure>\n{picture.inline}\n{caption}\n</figure>"


def folded(summary: str, blocks: Sequence[str]) -> str:
    """Return blocks that are shown on a click."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n" + "\n".join(blocks) + "\n</details>"


def table(markdown: str) -> str:
    """Return a Markdown table, and the list of facts above it, as HTML."""
    facts, head, rules, body = _parts(markdown)
    kinds = [' class="number"' if rule.endswith(":") else "" for rule in rules]

    def line(tag: str, cells: Sequence[str]) -> str:
        pairs = zip(kinds, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in pairs) + "</tr>"

    lines = "\n".join([line("th", head), *(line("td", cells) for cells in body)])
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    listed = f'<ul class="facts">{items}</ul>\n' if facts else ""
    return f'{listed}<div class="table"><table>\n{lines}\n</table></div>'


def in_forms(markdown: str) -> dict[str, str]:
    """Return a Markdown table as the text of a file for each suffix: .md, .csv, and .json, a list of objects."""
    _, head, _, rows = _parts(markdown)
    body = [[re.sub(r"(?<=\d),(?=\d{3})", "", cell) for cell in row] for row in rows]  # 50,000 is a number
    csv_text = io.StringIO()
    csv.writer(csv_text, lineterminator="\n").writerows([head, *body])
    objects = [dict(zip(head, cells, strict=True)) for cells in body]
    return {".md": markdown.rstrip() + "\n", ".csv": csv_text.getvalue(), ".json": json.dumps(objects, indent=1) + "\n"}


def _parts(markdown: str) -> tuple[list[str], list[str], list[str], list[list[str]]]:
    """Return the facts above a Markdown table, its head, its rule and its rows, without what stresses words."""
    facts, rows = [], []
    for given in markdown.splitlines():
        if given.startswith("- "):
            facts.append(given[2:])
        elif given.startswith("|"):
            plain = given.replace("**", "").replace("`", "")
            rows.append([cell.strip() for cell in plain.strip().strip("|").split("|")])
    head, rules, *body = rows
    return facts, head, rules, body
