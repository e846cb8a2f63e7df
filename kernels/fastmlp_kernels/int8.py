"""What the CPU multiplies 8-bit integers with, to sums of 32 bits: tile registers (AMX), or vectors (VNNI)."""

import warnings
from functools import cache

from fastmlp_kernels._target import INT8_IN_HARDWARE, TILE, amx_int8_offered

__all__ = ["INSTRUCTIONS", "INT8_IN_HARDWARE", "warn_where_slow"]


INSTRUCTIONS: str | None  # None: 32-bit integer arithmetic


def __getattr__(name: str) -> str | None:
    """Find INSTRUCTIONS when they are asked for: whether the system grants tile registers shows once they are used."""
    if name != "INSTRUCTIONS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if amx_int8_offered():
        return "AMX-INT8"
    if INT8_IN_HARDWARE:
        return "AVX512-VNNI" if TILE.lanes == 16 else "AVX-VNNI"
    return None


@cache
def warn_where_slow() -> None:
    """Say once in a process, as a RuntimeWarning, where the CPU has no such instructions; else do nothing."""
    if not INT8_IN_HARDWARE:
        warnings.warn(
            "this CPU has no instructions for products of 8-bit integers (AMX-INT8, AVX512-VNNI, AVX-VNNI), or numba"
            " may not use them: products in int8 run in 32-bit integer arithmetic, with the same result, slower than"
            " in float32",
            RuntimeWarning,
            stacklevel=3,
        )
