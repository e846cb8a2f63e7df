"""Memory that a product asks for ahead, while it multiplies: what the next block of A is read from, and B's next panel.

A block of rows of a data set comes from memory, or from a cache that all cores share, and so does a block of a large
right operand, as the rows push it out. A micro-kernel asks for some lines of both at every few steps, into the L2
cache: in one go they would fill the few places where lines are awaited, which the product needs for its own, unless
the rows are short.
"""

from typing import Any, NamedTuple, cast

import numpy as np

from fastmlp_kernels._convert import prefetch_bytes
from fastmlp_kernels._jit import element, part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._target import TILE, cache_bytes
from fastmlp_kernels._views import address_of, no_index
from fastmlp_kernels.gemm.micro import LINE
from fastmlp_kernels.gemm.panels import ZERO, Panels

# A right operand of more bytes is no longer in the L2 cache when the next block of rows comes.
LARGE = cast("int", np.int64(cache_bytes(2) // 4))
MR = TILE.mr
# Rows of fewer bytes are asked for in one go: leaving the loop of the micro-kernel for them took longer.
LONG = cast("int", np.int64(16 * LINE))
# A place of which nothing is asked, and its bytes further at a step, by which the micro-kernel knows it.
NOWHERE = ZERO, ZERO


class Following(NamedTuple):
    """What the next block of A is read from: `size` bytes of each of some rows of a matrix.

    address : of these bytes in the matrix's first row; stride : bytes from row to row
    index : (N,) int64, a row of it for each of the batch, or empty where they are the same; first, end : of the batch
    """

    address: int
    stride: int
    size: int
    index: np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride] - no one looks a value up in it
    first: int
    end: int


class Asking(NamedTuple):
    """What each call of the micro-kernel asks for, in a product of many calls.

    share : rows, of which it asks for four at most; step : bytes of each for a unit of the inner dimension
    depth : rows of B's block, of which it asks for a few in the next panel; 0 where B is not asked for
    """

    share: int
    step: int
    depth: int


@part
def following(rows: Rows, block: tuple[int, int], columns: tuple[int, int]) -> Following:
    """Return these columns of the rows `block`, maybe none, as what follows."""
    x = rows.x
    size = x.itemsize
    begin = address_of(x, columns[0])
    return Following(begin, x.shape[1] * size, (columns[1] - columns[0]) * size, rows.index, block[0], block[1])


@part
def nothing() -> Following:
    """Return that nothing follows."""
    return Following(ZERO, ZERO, ZERO, no_index(), ZERO, ZERO)


@part
def asking_of(parts: Following, b: Panels, depth: int, calls: int, by_panel: bool) -> Asking:
    """Return what a product of `calls` calls, `depth` units deep, asks for in each.

    by_panel : whether it goes through b panel by panel
    """
    large = by_panel and b.array.size * b.array.itemsize > LARGE
    share = (parts.end - parts.first + calls - 1) // calls
    return Asking(share, max(parts.size // depth, 1), depth if large else 0)


@part
def asks_by_line(parts: Following, asking: Asking) -> bool:
    """Return whether the micro-kernel is to ask for some lines at every few steps."""
    return asking.depth > 0 or (asking.share > 0 and parts.size >= LONG)


@part
def ask_for_rows(parts: Following, asking: Asking, call: int) -> None:
    """Ask, in one go, for the short rows that are a call's share."""
    first = parts.first + call * asking.share
    for row in range(first, min(first + asking.share, parts.end)):
        picked = parts.index[row] if parts.index.size > 0 else row
        prefetch_bytes(parts.address + picked * parts.stride, parts.size)


@element
def _row_place(parts: Following, row: int, end: int, step: int) -> tuple[int, int]:
    if row >= end:
        return NOWHERE
    picked = parts.index[row] if parts.index.size > 0 else row
    return parts.address + picked * parts.stride, step


@element
def _panel_places(asking: Asking, i: int, b: Panels, following: int) -> Any:
    """Return the places for the part of the next panel that tile i asks for: a line each of as many rows as it can."""
    unit = b.array.itemsize
    line = LINE // unit
    row = i // MR * (asking.depth // line)
    if row >= asking.depth:
        return NOWHERE, NOWHERE
    first, step = address_of(b.array, following + row * b.stride), b.stride * unit // line
    return (first, step), (first + LINE, step)


@element
def places_ahead(parts: Following, asking: Asking, call: int, i: int, b: Panels, after: int) -> Any:
    """Return the places that the micro-kernel asks from, each an address and the bytes further that a step of k is.

    call, i : number of the call and the first row of its tile; after : where the panel that comes next begins in b
    """
    first = parts.first + call * asking.share
    end = min(first + asking.share, parts.end)
    rows = (
        _row_place(parts, first, end, asking.step),
        _row_place(parts, first + 1, end, asking.step),
        _row_place(parts, first + 2, end, asking.step),
        _row_place(parts, first + 3, end, asking.step),
    )
    return rows + _panel_places(asking, i, b, after)
