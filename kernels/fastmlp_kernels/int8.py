"""What the CPU multiplies 8-bit integers with, to sums of 32 bits: tile registers (AMX), or vectors (VNNI)."""

import warnings
from functools import cache

from fastmlp_kernels._target import INT8_IN_HARDWARE, TILE, amx_int8

__all__ = ["INSTRUCTIONS", "INT8_IN_HARDWARE", "warn_where_slow"]


def _instructions() -> str | None:
    if amx_int8():
        return "AMX-INT8"
    if INT8_IN_HARDWARE:
        return "AVX512-VNNI" if TILE.lanes == 16 else "AVX-VNNI"
    return None


INSTRUCTIONS = _instructions()  # None: 32-bit integer arithmetic


@cache
def warn_where_slow() -> None:
    """Say once in a process, as a RuntimeWarning, where the CPU has no such instructions; else do nothing."""
    if INSTRUCTIONS is None:
        warnings.warn(
            "this CPU has no instructions for products of 8-bit integers (AMX-INT8, AVX512-VNNI, AVX-VNNI), or numba"
            " may not use them: products in int8 run in 32-bit integer arithmetic, with the same result, slower than"
            " in float32",
            RuntimeWarning,
            stacklevel=3,
        )
