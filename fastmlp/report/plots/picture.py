"""Rendering of figures: as HTML for light and dark pages, wide and narrow, and as SVG and PNG files."""

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from fastmlp.report.plots.images import Tiles
from fastmlp.report.plots.style import FONTS, GROUND, INK
from fastmlp.text import html_text, visible, visible_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TAG = re.compile("<[^>]+>")  # in attributes and texts `>` is escaped
_LETTER = 0.06  # inches that a letter of a caption takes


@dataclass(frozen=True)
class Picture:
    """A rendered figure.

    name : of its files, without a suffix; title, caption : texts
    inline : HTML for a page of any width, in the page's text colour
    svg, png : contents of the files, on white, with title and caption under the figure
    """

    name: str
    title: str
    caption: str
    inline: str
    svg: bytes
    png: bytes


def drawn(name: str, title: str, caption: str, make: "Callable[[bool], Figure]") -> Picture:
    """Return a rendered figure; to be called within `styled`.

    make(narrow) : draws it, for the width of a page or of a phone
    """
    title, caption, wide, narrow = visible(title), visible(caption), make(False), make(True)
    svg, png = _files(wide, name, title, caption)
    box = [72 * side for side in wide.get_size_inches()]
    # The words under the figure are last in its group, which ends the drawing: the page has them beside it.
    alone = svg[: svg.index('<g id="words">')] + svg[svg.rindex("</g>") :]
    alone = re.sub(r'viewBox="[^"]*"', f'viewBox="0 0 {box[0]:g} {box[1]:g}"', alone, count=1)
    _lay_out(narrow)
    forms = (
        ("wide", _for_page(alone, name, title)),
        ("narrow", _for_page(_svg(narrow, name, title), name, title, "n-")),
    )
    inline = "\n".join(f'<div class="{form}">{drawing}</div>' for form, drawing in forms)
    return Picture(name, title, caption, inline, svg.encode(), png)


def gallery(name: str, title: str, caption: str, tiles: Tiles) -> Picture:
    """Return a rendered gallery; on a page it has as many columns as its width has room for."""
    from PIL import Image

    title, caption = visible(title), visible(caption)
    svg, png = _files(tiles.figure(), name, title, caption)
    shown = []
    for image, text in zip(tiles.pictures, tiles.texts, strict=True):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", optimize=True)
        data = base64.b64encode(file.getvalue()).decode()
        shown.append(f'<span><img alt="" src="data:image/png;base64,{data}">{html_text(text)}</span>')
    inline = (
        f'<div class="gallery" role="group" aria-label="{html_text(title)}" style="--columns: {tiles.columns}">\n'
        + "\n".join(shown)
        + "\n</div>"
    )
    return Picture(name, title, caption, inline, svg.encode(), png)


def _files(figure: "Figure", name: str, title: str, caption: str) -> tuple[str, bytes]:
    """Return the figure with title and caption under it, as SVG and PNG."""
    from matplotlib.transforms import Bbox

    _lay_out(figure)
    width, height = figure.get_size_inches()
    lines = wrap(f"{title}. {caption}", int(width / _LETTER))
    figure.text(0.01, -0.1 / height, "\n".join(lines), fontsize=7.5, va="top", gid="words", zorder=100)
    box = Bbox([[0, -0.15 - 0.13 * len(lines)], [width, height]])
    png = io.BytesIO()
    figure.savefig(png, format="png", facecolor="white", bbox_inches=box, metadata={"Title": title, "Software": None})
    return _svg(figure, name, title, bbox_inches=box), png.getvalue()


def _lay_out(figure: "Figure") -> None:
    """Compute the figure's layout once, as each form of its files would compute it again."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine(None)  # none at all: with one, even the empty one, each file is drawn twice


def _svg(figure: "Figure", name: str, title: str, **options: Any) -> str:
    import matplotlib as mpl

    file = io.BytesIO()
    undated = {"Title": title, "Date": None, "Creator": None}  # the same figure is the same file
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", facecolor="white", metadata=undated, **options)
    return visible_lines(file.getvalue().decode())


def _for_page(svg: str, name: str, title: str, prefix: str = "") -> str:
    """Return the SVG element alone, in the page's text colour, without a background, as wide as the page, shortened."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="patch_1">.*?</g>', "", svg, count=1, flags=re.DOTALL)  # the figure's white rectangle
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    # As wide as the page, but its letters no larger than the page's own: 1 pt of the figure at most 1.8 pixels.
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    fonts = ", ".join(FONTS)
    label, most = html_text(title), f"{1.8 * width:.0f}px"
    head = f'<svg role="img" aria-label="{label}" style="max-width: {most}; font-family: {fonts}"'
    svg = re.sub(r'<svg([^>]*?) width="[^"]*"', lambda m: head + m[1], svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # Figures share a page, so each has its own ids: one must not be cut by the clip path of another.
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', "".join(_TAG.findall(svg))))

    def short(tag: re.Match[str]) -> str:
        one = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", tag[0])
        one = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}{name}-", one).replace(INK, "currentColor")
        one = one.replace(GROUND, "var(--ground)").replace("fill: #000000", "fill: currentColor")
        # What every tick repeats, and a thousandth of a point, takes most of the room that a drawing needs.
        one = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-0 [^)]*\)\"", "", one)
        return re.sub(r' (?:d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]).replace(" \n", "\n"), one)

    return re.sub(r"(?<=>)\s+(?=<)", "", _TAG.sub(short, svg))  # tags alone: what names hold stays as it is
