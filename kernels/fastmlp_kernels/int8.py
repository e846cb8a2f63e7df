"""Whether the CPU multiplies 8-bit integers, four at a time, and sums them in 32 bits (VNNI)."""

import warnings
from functools import cache

from fastmlp_kernels._target import INT8_IN_HARDWARE

__all__ = ["INT8_IN_HARDWARE", "warn_where_slow"]


@cache
def warn_where_slow() -> None:
    """Say once in a process, as a RuntimeWarning, where the CPU has no such instructions; else do nothing."""
    if not INT8_IN_HARDWARE:
        warnings.warn(
            "this CPU has no instructions for products of 8-bit integers (AVX512-VNNI, AVX-VNNI), or numba may not use"
            " them: products in int8 run in 32-bit integer arithmetic, with the same result, slower than in float32",
            RuntimeWarning,
            stacklevel=3,
        )
