"""What a product asks for ahead: the places that the micro-kernel is told, and short rows."""

from typing import Any, cast

import numpy as np
import pytest
from numba import njit

from fastmlp_kernels._rows import Rows
from fastmlp_kernels._views import no_index
from fastmlp_kernels.gemm.ahead import Asking, ask_for_rows, asks_by_line, following, places_ahead
from fastmlp_kernels.gemm.panels import NR, ZERO, Panels
from listings import X86


@njit
def _places(x, b):
    rows = Rows(x, no_index(), None, None)
    parts = following(rows, (1, 3), (0, x.shape[1]))
    panels = Panels(b, ZERO, b.size, NR, None, None, None)
    return places_ahead(parts, Asking(4, 8, 0), 0, 0, panels, ZERO)


def test_what_there_is_not_is_not_asked_for():
    x, b = np.zeros((5, 7), np.float32), np.zeros(4 * int(NR), np.float32)
    places = _places(x, b)
    address, row = x.ctypes.data, x.strides[0]
    assert places[:2] == ((address + row, 8), (address + 2 * row, 8))
    assert places[2:] == ((0, 0),) * 4  # no more rows, and nothing of b: the micro-kernel skips a step of 0


@njit
def _by_line(x, share, depth):
    parts = following(Rows(x, no_index(), None, None), (0, x.shape[0]), (0, x.shape[1]))
    return asks_by_line(parts, Asking(share, 8, depth))


def test_only_long_rows_and_panels_are_asked_for_line_by_line():
    short, long = (np.zeros((3, n), np.float32) for n in (100, 256))
    assert not _by_line(short, 2, 0)
    assert _by_line(long, 2, 0)
    assert not _by_line(long, 0, 0)
    assert _by_line(short, 0, 64)


@njit
def _ask(x, call):
    ask_for_rows(following(Rows(x, no_index(), None, None), (0, x.shape[0]), (0, x.shape[1])), Asking(2, 8, 0), call)


@pytest.mark.skipif(not X86, reason="this machine's instructions have other names")
def test_short_rows_are_asked_for_in_one_go():
    x = np.zeros((3, 100), np.float32)
    for call in range(4):  # two rows, the last one, none
        _ask(x, call)
    [code] = cast("Any", _ask).inspect_asm().values()
    assert "prefetcht1" in code
