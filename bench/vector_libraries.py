"""glibc's libmvec and SLEEF over arrays: the other vector libraries for functions of one element, where they are.

Both are found by the system's loader, or SLEEF by the path in `SLEEF_LIBRARY`, and called a vector at a time from
compiled loops, in the widest form that the CPU has.
"""

import ctypes
import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types

from fastmlp_kernels._llvm import F32, F64, call, element_pointer, intrinsic, load, store, vector
from fastmlp_kernels._target import features

# What they call our functions, and the accuracy that is the best of SLEEF's, in tenths of an ULP.
NAMES = {"exp1": "exp", "expm1_1": "expm1", "exp2_1": "exp2", "log1": "log", "log1p1": "log1p", "log2_1": "log2"}
NAMES |= {"log10_1": "log10", "pow1": "pow", "tanh1": "tanh", "sin1": "sin", "cos1": "cos", "erf1": "erf"}
NAMES |= {"erfc1": "erfc"}
TENTHS = {"erfc": 15}


def _bits() -> int:
    return 512 if "avx512f" in features() else 256 if "avx2" in features() else 0


def _of_libmvec(name: str, dtype: Any) -> str:
    single = dtype == np.float32
    arguments = "vv" if name == "pow" else "v"
    return f"_ZGV{'e' if _bits() == 512 else 'd'}N{_bits() // (32 if single else 64)}{arguments}_{name}{'f' * single}"


def _of_sleef(name: str, dtype: Any) -> str:
    kind, size = ("f", 32) if dtype == np.float32 else ("d", 64)
    return f"Sleef_{name}{kind}{_bits() // size}_u{TENTHS.get(name, 10)}{'avx512f' if _bits() == 512 else 'avx2'}"


LIBRARIES: dict[str, tuple[str, Callable[[str, Any], str]]] = {
    "libmvec": ("libmvec.so.1", _of_libmvec),
    "SLEEF": (os.environ.get("SLEEF_LIBRARY", "libsleef.so.3"), _of_sleef),
}


def loop_of_library(library: str, name: str, dtype: Any) -> Callable[..., None] | None:
    """Return a compiled loop (out, x, ...) over one of our functions as a library has it, or None where it has not.

    Arrays are of whole vectors.
    """
    path, symbol_of = LIBRARIES[library]
    if name not in NAMES or not _bits():
        return None
    symbol = symbol_of(NAMES[name], dtype)
    try:
        address = ctypes.cast(getattr(ctypes.CDLL(path), symbol), ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None
    llvm.add_symbol(symbol, address)
    kind, size = (F32, 4) if dtype == np.float32 else (F64, 8)
    lanes, two = _bits() // 8 // size, name == "pow1"

    @intrinsic
    def at(typingctx: Any, out: Any, x: Any, y: Any, i: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointers = [
                element_pointer(context, builder, t, a, args[3]) for t, a in zip(signature.args, args[:3], strict=False)
            ]
            values = [load(builder, p, vector(kind, lanes), size) for p in pointers[1 : 3 if two else 2]]
            store(builder, call(builder, symbol, values[0].type, *values), pointers[0], size)
            return ir.Constant(ir.IntType(8).as_pointer(), None)

        return types.void(out, x, y, i), codegen

    @njit
    def loop(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        for i in range(0, x.size, lanes):
            at(out, x, y, i)

    return loop if two else lambda out, x: loop(out, x, x)
