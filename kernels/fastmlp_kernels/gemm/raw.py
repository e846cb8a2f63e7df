"""Right operands of products with raw images: their rows are scaled, and column sums correct the product (see `gemm`).

Sums, moments and gradients are float32.
"""

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._rows import Rows
from fastmlp_kernels._scratch import work_array
from fastmlp_kernels._views import matrix_at, vector_at
from fastmlp_kernels.gemm.elements import element_of
from fastmlp_kernels.gemm.pack import as_rows, pack_panels, per_unit, row_of, units_of
from fastmlp_kernels.gemm.panels import NR, ZERO, Maybe, Panels
from fastmlp_kernels.gemm.quad_runs import sum_panel


def _halves(unit: np.ndarray) -> tuple[np.float32, np.float32]:
    raise TypeError("units can only be taken apart in compiled code")


@overload(_halves, jit_options=PART)
def _overload_halves(unit):
    if unit == types.float32:
        return lambda unit: (unit, np.float32(0))
    return lambda unit: (
        np.int32(unit << np.int32(16)).view(np.float32),
        np.int32(unit & np.int32(-65536)).view(np.float32),
    )


@part
def _add_halves(packed: np.ndarray, at: int, units: int, weight: Maybe, sums: np.ndarray) -> None:
    per = per_unit(packed)
    for unit in range(units):
        row = vector_at(packed, at + unit * NR, NR)
        low, high = np.float32(1), np.float32(1)
        if weight is not None:
            k = unit * per
            low, high = weight[k], weight[min(k + 1, weight.size - 1)]  # where there is no next row, its half is zero
        for c in range(NR):
            even, odd = _halves(row[c])
            sums[c] += low * even + high * odd


@part
def _add_bytes(packed: np.ndarray, at: int, units: int, weight: np.ndarray, sums: np.ndarray) -> None:
    last = weight.size - 1
    for unit in range(units):
        k = unit * 4
        # where there is no such row, its byte is zero
        w, w2, w3, w4 = weight[k], weight[min(k + 1, last)], weight[min(k + 2, last)], weight[min(k + 3, last)]
        row = vector_at(packed, at + unit * NR, NR)
        for c in range(NR):
            bits = np.int32(row[c])
            sums[c] += (
                w * np.float32(np.int32(bits << np.int32(24)) >> np.int32(24))
                + w2 * np.float32(np.int32(bits << np.int32(16)) >> np.int32(24))
                + w3 * np.float32(np.int32(bits << np.int32(8)) >> np.int32(24))
                + w4 * np.float32(bits >> np.int32(24))
            )


@part
def _count_bytes(packed: np.ndarray, at: int, units: int, weight: None, sums: np.ndarray) -> None:
    sum_panel(packed, at, units, sums)


def _add_panel(packed: np.ndarray, at: int, units: int, weight: Maybe, sums: np.ndarray) -> None:
    raise TypeError("column sums can only be taken in compiled code")


@overload(_add_panel, jit_options=PART)
def _overload_add_panel(packed, at, units, weight, sums):
    add = _add_halves
    if element_of(packed).per_unit == 4:
        add = _count_bytes if isinstance(weight, types.NoneType) else _add_bytes
    return lambda packed, at, units, weight, sums: add(packed, at, units, weight, sums)


@part
def add_column_sums(
    b: Panels, columns: tuple[int, int], first: int, units: int, weight: Maybe, sums: np.ndarray
) -> None:
    """Add to sums (N padded to nr,) those of these columns of b, from a multiple of nr on, over units from `first` on.

    weight : (n,) factors of the rows, from that of unit `first` on; None for ones
    """
    for j in range(columns[0], columns[1], NR):
        at = b.at + j // NR * b.panel + first * NR
        _add_panel(b.array, at, units, weight, vector_at(sums, j, NR))


@part
def moments_of(moments: np.ndarray, index: np.ndarray, block: tuple[int, int], channel: int, out: np.ndarray) -> None:
    """out (n,) <- moments (M, C), center or scale, of the n rows `block` in one channel; index (N,) int64."""
    for r in range(block[0], block[1]):
        out[r - block[0]] = moments[row_of(index, r), channel]


@part
def pack_scaled_panels(
    delta: np.ndarray,
    columns: tuple[int, int],
    rows: Rows,
    block: tuple[int, int],
    channel: int,
    b: Panels,
    sums: np.ndarray,
) -> None:
    """Pack a gradient for raw images: b <- s_i d_i of these rows, sums += m_i (s_i d_i), for one channel.

        dW = sum_i s_i (x_i - m_i) d_i = sum_i x_i (s_i d_i) - sum_i m_i (s_i d_i)

    delta : (n, H), the gradient by a layer's sums for the n rows `block`, at most mc; columns : as in `pack_panels`
    sums : (H padded to nr,), of the values as they are packed
    """
    count = block[1] - block[0]
    moments = vector_at(work_array(delta, count), 0, count)
    first = units_of(block[0], b.array)
    moments_of(rows.scale, rows.index, block, channel, moments)
    pack_panels(as_rows(delta, matrix_at(moments, 0, count, 1)), columns, (ZERO, count), b, first)
    moments_of(rows.center, rows.index, block, channel, moments)
    add_column_sums(b, columns, first, units_of(count, b.array), moments, sums)
