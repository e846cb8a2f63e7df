"""Products X W^T for few rows X and a large W, which is read as it lies: as the transposed of W X^T.

To pack W^T takes a copy of all of W, made anew whenever W changes. Here X is copied instead, and the product once more:
where these are smaller by far, that is little. Each sum is taken over the same products in the same order.
"""

from typing import Any

import numpy as np
from numba.extending import overload

from fastmlp_kernels._jit import PART, body_of, part
from fastmlp_kernels._transpose import transpose
from fastmlp_kernels._views import matrix_at, row_at
from fastmlp_kernels.gemm.blocks import MC
from fastmlp_kernels.gemm.elements import element_of
from fastmlp_kernels.gemm.pack import as_rows, pack_panels_transposed
from fastmlp_kernels.gemm.panels import NR, ZERO, Panels, Work, field_type
from fastmlp_kernels.gemm.rows import multiply_rows


def turned_elements(columns: int, rows: int) -> int:
    """Elements of each of the two work arrays for at most so many rows X, and columns of X or the product."""
    return columns * -(-rows // int(NR)) * int(NR)


def multiply_turned(x: np.ndarray, weight: np.ndarray, turned: np.ndarray, work: Work, out: np.ndarray) -> None:
    """out (N, D) <- X W^T for x (N, H) and weight (D, H), floats that are multiplied as such.

    turned : (2, `turned_elements`) work arrays, of x's dtype; the first begins with a cache line
    """
    raise TypeError("products can only be formed in compiled code")


@overload(multiply_turned, jit_options=PART)
def _overload_multiply_turned(x, weight, turned, work, out):
    return body_of(_of_floats if element_of(field_type(work, "a")).per_unit == 1 else _of_others)


@part
def _of_floats(x: np.ndarray, weight: np.ndarray, turned: np.ndarray, work: Work, out: np.ndarray) -> None:
    (count, depth), rows = x.shape, weight.shape[0]
    b = Panels(row_at(turned, ZERO), ZERO, depth * NR, NR, None, None, None)
    pack_panels_transposed(x, (ZERO, count), work.a, b)
    product = matrix_at(turned, turned.shape[1], rows, count)
    for first in range(0, rows, MC):
        block, after = (first, min(first + MC, rows)), (min(first + MC, rows), min(first + 2 * MC, rows))
        multiply_rows(as_rows(weight, None), block, after, b, work, product)
    transpose(product, ZERO, count, (rows, count), out, ZERO, rows)


@part
def _of_others(x: Any, weight: Any, turned: Any, work: Any, out: Any) -> None:
    pass  # no one asks: operands that are rounded need a copy anyway
