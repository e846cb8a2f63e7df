"""The style that all figures share: colours, fonts, sizes, and names in words."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastmlp.data.normalize import AS_THEY_ARE, NORMALIZATIONS, STANDARD
from fastmlp.errors import MissingExtraError
from fastmlp.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

# Lines and words are drawn in this colour; on a page they take that of the page's own text.
INK = "#1c2430"
GROUND = "#fefefe"  # what lies behind words that lines cross; on a page it takes the colour of the page
# Okabe and Ito's colours, that those who do not see red or green tell apart (Color Universal Design, 2008), without
# yellow and black, which one of the backgrounds swallows, and with a blue that is light enough for a dark one.
BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER = "#2288CC", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)
MAP = "cividis"  # even in lightness, and the same to all eyes

# Inches. A page shows the wide form of a figure down to 46rem of its window, and below that the narrow one, which fills
# a phone's width: letters of SMALL pt and more are then 9 pixels high or more.
WIDE, NARROW, SMALL = 8.0, 3.5, 8
MOST_NAMES = 30  # classes whose names find room along an axis
MOST_PERCENT = 100.5  # of an axis, so that a dot at the highest accuracy is whole

FONTS = ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"]

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": FONTS,
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
    "text.parse_math": False,  # names may hold dollars and backslashes
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style while figures are made and drawn; MissingExtraError without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError(f"Figures need matplotlib ({error}): pip install 'fastmlp[plots]'.") from error
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Of names in scripts that its font lacks. Pages and SVG hold their letters, and take them from other fonts.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def short(text: str, most: int) -> str:
    """Return a name cut to `most` letters, with a blank before a leading `_`, which would hide it in a legend."""
    text = f" {visible(text)}" if text.startswith("_") else visible(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def class_words(names: Sequence[str]) -> list[str]:
    """Return the names of classes for figures: blanks for `_`, and cut short."""
    return [short(name.replace("_", " "), 32) for name in names]


def colour_of(normalize: str) -> str:
    """Return the colour of a normalisation, the same in every figure."""
    return COLOURS[[*NORMALIZATIONS, STANDARD, AS_THEY_ARE].index(normalize) % len(COLOURS)]


def new_figure(
    rows: int = 1, columns: int = 1, *, width: float = WIDE, height: float = 3.2, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """Return a figure of this size in inches and its axes, row by row; to be called within `styled`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def blank(axes: "Axes") -> None:
    """Hide axes that are not needed."""
    axes.set_axis_off()


def colour_bar(figure: "Figure", shown: "ScalarMappable", label: str, **options: Any) -> None:
    """Add a colour bar; options : of matplotlib's `colorbar`."""
    bar = figure.colorbar(shown, label=label, **options)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # or each of its 256 colours is a path
