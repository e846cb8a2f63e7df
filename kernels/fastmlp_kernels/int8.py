"""The instructions of this CPU for products of 8-bit integers, summed in 32 bits: AMX in tiles, VNNI in vectors."""

import warnings
from functools import cache

from fastmlp_kernels._target import AMX_INT8_IN_HARDWARE, INT8_IN_HARDWARE, TILE, tiles_offered

__all__ = ["INSTRUCTIONS", "INT8_IN_HARDWARE", "warn_where_slow"]


INSTRUCTIONS: str | None  # None: 32-bit integer arithmetic


def __getattr__(name: str) -> str | None:
    """Look INSTRUCTIONS up anew each time: whether the system grants tile registers is certain once they are used."""
    if name != "INSTRUCTIONS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if AMX_INT8_IN_HARDWARE and tiles_offered():
        return "AMX-INT8"
    if INT8_IN_HARDWARE:
        return "AVX512-VNNI" if TILE.lanes == 16 else "AVX-VNNI"
    return None


@cache
def warn_where_slow() -> None:
    """Give a RuntimeWarning, once in a process, where the CPU has none of these instructions."""
    if not INT8_IN_HARDWARE:
        warnings.warn(
            "this CPU has no instructions for products of 8-bit integers (AMX-INT8, AVX512-VNNI, AVX-VNNI), or numba"
            " may not use them: products in int8 run in 32-bit integer arithmetic, with the same result, slower than"
            " in float32",
            RuntimeWarning,
            stacklevel=3,
        )
