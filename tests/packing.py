"""Packed operands, their rounding, and the error of a float32 sum of products, in plain numpy.

A sum of K products in float32, in any order and with or without fused multiply-adds, is off by at most about
K u sum |a_k b_k|, where u = 2^-24 is the unit roundoff (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
"""

import numpy as np

from fastmlp_kernels.bfloat16 import round_to_bfloat16

PRECISIONS = ("float32", "bfloat16")
U = 2.0**-24
TWO_ROUNDINGS = 2**-7 + 2**-16  # of both factors of a product to bfloat16, each by less than 2^-8 of itself


def rounded(x: np.ndarray, precision: str = "bfloat16") -> np.ndarray:
    """Return x as a product in this precision sees it, in float32."""
    x = np.ascontiguousarray(x, np.float32)
    if precision == "float32":
        return x
    out = np.empty_like(x)
    round_to_bfloat16(x, out)
    return out


def units(x: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Return the rows of x (..., K) as a packed array holds them: float32, or pairs of bfloat16 in an int32."""
    if dtype == np.float32:
        return x.astype(np.float32)
    even = np.zeros((*x.shape[:-1], x.shape[-1] + x.shape[-1] % 2), np.float32)
    even[..., : x.shape[-1]] = rounded(x)
    halves = even.view(np.uint32) >> 16
    return (halves[..., ::2] | halves[..., 1::2] << 16).view(np.int32)


def exact(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A B and sum |a b|, in float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b, np.abs(a) @ np.abs(b)
