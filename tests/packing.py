"""Packed operands, their rounding, and the error of a sum of products, in plain numpy.

A sum of K products in float32, in any order and with or without fused multiply-adds, is off by at most about
K u sum |a_k b_k|, where u = 2^-24 is the unit roundoff (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
In float64 u = 2^-53, and what it is compared with, numpy's sum in float64, is off by as much once more.
"""

import numpy as np

from fastmlp_kernels.bfloat16 import round_to_bfloat16

# What products take, by precision.
DTYPES = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32}
PRECISIONS = tuple(DTYPES)
U = {"float32": 2.0**-24, "float64": 2 * 2.0**-53, "bfloat16": 2.0**-24}
TWO_ROUNDINGS = 2**-7 + 2**-16  # of both factors of a product to bfloat16, each by less than 2^-8 of itself


def rounded(x: np.ndarray, precision: str = "bfloat16") -> np.ndarray:
    """Return x as a product in this precision sees it, in the dtype that it takes."""
    x = np.ascontiguousarray(x, DTYPES[precision])
    if precision != "bfloat16":
        return x
    out = np.empty_like(x)
    round_to_bfloat16(x, out)
    return out


def units(x: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Return the rows of x (..., K) as a packed array holds them: floats, or pairs of bfloat16 in an int32."""
    if dtype != np.int32:
        return x.astype(dtype)
    even = np.zeros((*x.shape[:-1], x.shape[-1] + x.shape[-1] % 2), np.float32)
    even[..., : x.shape[-1]] = rounded(x)
    halves = even.view(np.uint32) >> 16
    return (halves[..., ::2] | halves[..., 1::2] << 16).view(np.int32)


def exact(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A B and sum |a b|, in float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b, np.abs(a) @ np.abs(b)
