"""Rounding to bfloat16, and the instructions of this CPU for products of it: AMX in tiles, AVX512-BF16 in vectors.

A bfloat16 is the upper half of a float32: the same exponents, 8 significant bits, a relative rounding error below 2^-8.
Matrix products round their operands to it while they pack them (see `gemm`), by the rounding of `round_to_bfloat16`.
"""

import warnings
from functools import cache
from typing import Any

import numpy as np
from numba import types

from fastmlp_kernels import _check
from fastmlp_kernels._convert import round_to_bfloat16 as _rounded_half
from fastmlp_kernels._convert import runs as _runs
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._llvm import F32, I32, I64, Value, constant, element_pointer, intrinsic, load, store, vector
from fastmlp_kernels._target import AMX_BFLOAT16_IN_HARDWARE, BFLOAT16_IN_HARDWARE, tiles_offered

__all__ = ["BFLOAT16_IN_HARDWARE", "INSTRUCTIONS", "round_to_bfloat16", "warn_where_slow"]

FLOAT32 = (np.dtype(np.float32),)

INSTRUCTIONS: str | None  # None: float32 arithmetic on rounded values


def __getattr__(name: str) -> str | None:
    """Look INSTRUCTIONS up anew each time: whether the system grants tile registers is certain once they are used."""
    if name != "INSTRUCTIONS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if AMX_BFLOAT16_IN_HARDWARE and tiles_offered():
        return "AMX-BF16"
    return "AVX512-BF16" if BFLOAT16_IN_HARDWARE else None


@intrinsic
def _round_run(typingctx: Any, x: Any, out: Any, count: Any) -> Any:  # noqa: ARG001 - numba's calling form
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        source, target = (element_pointer(context, builder, kinds[i], args[i], I64(0)) for i in range(2))

        def body(offset: Value, lanes: int) -> None:
            run = load(builder, builder.gep(source, [offset]), vector(F32, lanes), 4)
            bits = builder.shl(_rounded_half(builder, run), constant(I32, 16, lanes))
            store(builder, builder.bitcast(bits, vector(F32, lanes)), builder.gep(target, [offset]), 4)

        _runs(builder, args[2], body)
        return context.get_dummy_value()

    return types.void(x, out, types.intp), codegen


@kernel
def _round(x: np.ndarray, out: np.ndarray) -> None:
    _round_run(x, out, x.size)


def round_to_bfloat16(x: np.ndarray, out: np.ndarray) -> None:
    """out <- x, each element rounded to the nearest bfloat16, ties to the even one; still float32.

    x : float32, any shape, C-contiguous
    out : float32 of the same shape, overwritten; its elements have 16 zero bits at the end

    Infinities stay; what exceeds the largest bfloat16 by half a unit of its last place or more becomes infinite, as
    IEEE 754 rounds. NaN stays NaN (quiet, with the upper bits of its payload); subnormals are rounded like others.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check.array("x", x, FLOAT32)
    _check.array("out", out, FLOAT32, x.shape, writes=True)
    _check.apart(x=x, out=out)
    _round(x, out)


@cache
def warn_where_slow() -> None:
    """Give a RuntimeWarning, once in a process, where the CPU has no bfloat16 instructions."""
    if not BFLOAT16_IN_HARDWARE:
        warnings.warn(
            "this CPU has no bfloat16 instructions (AMX-BF16, AVX512-BF16), or numba may not use them: products in"
            " bfloat16 run in float32 arithmetic on the rounded values, which is correct but slower than float32",
            RuntimeWarning,
            stacklevel=3,
        )
