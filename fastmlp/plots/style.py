"""How every figure looks, and how one becomes a picture for light and for dark pages."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from fastmlp.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lines and words are drawn in this colour; on a page they take that of the page's own text.
INK = "#1c2430"
# Okabe and Ito's colours, that those who do not see red or green tell apart (Color Universal Design, 2008), without
# yellow and black, which one of the backgrounds swallows, and with a blue that is light enough for a dark one.
BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER = "#2288CC", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)
MAP = "cividis"  # even in lightness, and the same to all eyes

_LETTER = 0.06  # inches that a letter of a caption takes

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Picture:
    """A figure as it is shown.

    name : of its files; title, caption : in words
    inline : SVG for a page, whose text colour it takes; svg, png : files, on white, with title and caption under them
    """

    name: str
    title: str
    caption: str
    inline: str
    svg: bytes
    png: bytes


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style while figures are made and drawn; MissingExtraError without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError(f"Figures need matplotlib ({error}): pip install 'fastmlp[plots]'.") from error
    with mpl.rc_context(_STYLE):
        yield


def new_figure(
    rows: int = 1, columns: int = 1, *, width: float = 8.0, height: float = 3.2, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """Return a figure of that size in inches and its axes, row by row; to be called within `styled`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def blank(axes: "Axes") -> None:
    """Leave the place of unneeded axes empty."""
    axes.set_axis_off()


def drawn(name: str, title: str, caption: str, figure: "Figure") -> Picture:
    """Return the figure as a picture; to be called within `styled`."""
    import matplotlib as mpl

    def saved(form: str, said: dict[str, None], **options: Any) -> bytes:
        file = io.BytesIO()
        figure.savefig(file, format=form, facecolor="white", metadata={"Title": title, **said}, **options)
        return file.getvalue()

    undated = {"Date": None, "Creator": None}  # the same figure is the same file
    with mpl.rc_context({"svg.hashsalt": name}):
        inline = _for_page(saved("svg", undated).decode(), name, title)
        figure.set_layout_engine("none")  # or the words under the figure would shrink it
        letters = int(figure.get_figwidth() / _LETTER)
        words = "\n".join(wrap(f"{title}. {caption}", letters))
        figure.text(0.01, -0.1 / figure.get_figheight(), words, fontsize=7.5, va="top")
        svg = saved("svg", undated, bbox_inches="tight")
    return Picture(name, title, caption, inline, svg, saved("png", {"Software": None}, bbox_inches="tight"))


def _for_page(svg: str, name: str, title: str) -> str:
    """Return the SVG element alone, in the page's ink, without a background, as wide as there is room."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="patch_1">.*?</g>', "", svg, count=1, flags=re.DOTALL)  # the figure's white rectangle
    # As wide as the page, but its letters no larger than the page's own: 1 pt of the figure at most 1.8 pixels.
    svg = re.sub(
        r'(<svg[^>]*?) width="([\d.]+)pt"',
        lambda m: f'{m[1]} style="max-width: {1.8 * float(m[2]):.0f}px"',
        svg,
        count=1,
    )
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # Figures share a page, so each has its own ids: one must not be cut by the clip path of another.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(INK, "currentColor").replace("fill: #000000", "fill: currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()
