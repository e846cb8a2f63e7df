"""Matrices transposed in blocks of vectors: log2(n) rounds of exchanges between n vectors of n elements.

Each round exchanges two off-diagonal quarters of all blocks of a size, from the whole down to pairs (Eklundh, IEEE
Transactions on Computers C-21(7), 1972).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._llvm import I32, I64, Builder, Value, element_pointer, intrinsic, load, store, vector
from fastmlp_kernels._target import TILE
from fastmlp_kernels._views import vector_at

BYTES = 4 * TILE.lanes  # of a vector


def _side(dtype: Any) -> int:
    return 8 * BYTES // dtype.bitwidth


def _exchange(builder: Builder, rows: list[Value]) -> list[Value]:
    """Return n vectors of n elements transposed."""
    n = len(rows)
    half = n // 2
    while half:
        for i in range(n):
            if i & half:
                continue
            upper, lower = rows[i], rows[i + half]
            for to, first in ((i, 0), (i + half, half)):
                at = [first + p if not p & half else n + p - half + first for p in range(n)]
                mask = ir.Constant(ir.VectorType(I32, n), at)
                rows[to] = builder.shuffle_vector(upper, lower, mask)
        half //= 2
    return rows


@intrinsic
def _transpose_block(typingctx: Any, x: Any, at: Any, stride: Any, out: Any, to: Any, out_stride: Any) -> Any:
    i = types.intp

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        x, at, stride, out, to, out_stride = args
        kinds, size = signature.args, signature.args[0].dtype.bitwidth // 8
        side = _side(kinds[0].dtype)
        kind = vector(context.get_data_type(kinds[0].dtype), side)
        first, target = (element_pointer(context, builder, kinds[n], a, b) for n, a, b in ((0, x, at), (3, out, to)))
        rows = [load(builder, builder.gep(first, [builder.mul(stride, I64(r))]), kind, size) for r in range(side)]
        for r, row in enumerate(_exchange(builder, rows)):
            store(builder, row, builder.gep(target, [builder.mul(out_stride, I64(r))]), size)
        return context.get_dummy_value()

    return types.void(x, i, i, out, i, i), codegen


def _side_of(x: np.ndarray) -> int:
    """Return rows and columns of a block of x's dtype."""
    return BYTES // x.itemsize


@overload(_side_of, jit_options=PART)
def _overload_side_of(x):
    side = np.int64(_side(x.dtype))
    return lambda x: side  # noqa: ARG005


@part
def transpose(
    x: np.ndarray, at: int, stride: int, size: tuple[int, int], out: np.ndarray, to: int, out_stride: int
) -> None:
    """out.flat[to + j * out_stride + i] <- x.flat[at + i * stride + j] for i, j below `size`; one dtype."""
    rows, columns = size
    side = _side_of(x)
    if rows >= side and columns >= side:
        for i in range(0, rows, side):
            row = min(i, rows - side)  # the last blocks overlap those before them
            for j in range(0, columns, side):
                column = min(j, columns - side)
                _transpose_block(x, at + row * stride + column, stride, out, to + column * out_stride + row, out_stride)
    else:
        for j in range(columns):
            target = vector_at(out, to + j * out_stride, rows)
            for i in range(rows):
                target[i] = vector_at(x, at + i * stride, columns)[j]
