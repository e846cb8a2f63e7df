"""The one place that owns numba's options; every other file says only `@kernel` or `@scalar`.

Nothing compiles at import: each function compiles for the dtypes it meets at its first call, or in `warmup()`.
`FASTMLP_NUMBA_CACHE=1` in the environment keeps compiled code on disk between processes. It is off by default, because
numba's own cache looks only at the file that holds a function and misses a change in a helper elsewhere
(numba/numba#8359); here the key is a digest of the whole package, so that an upgrade is never served old code.
"""

import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")

# `contract` lets a*b+c become one fused multiply-add. Neither `nnan` nor `ninf` (a NaN stays a NaN), and not `reassoc`:
# the argument reductions in `elementary` rely on the order of operations.
FASTMATH = {"contract"}

_CACHE_ON = {"1": True, "0": False, "": False}


def _cache_wanted() -> bool:
    value = os.environ.get("FASTMLP_NUMBA_CACHE", "")
    if value not in _CACHE_ON:
        raise ValueError(f"FASTMLP_NUMBA_CACHE={value!r}: set it to 1 (keep compiled code on disk) or to 0 (do not)")
    return _CACHE_ON[value]


@cache
def _package_stamp() -> tuple[str, int]:
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest(), 0


def _compile(function: Callable[P, R], fastmath: set[str]) -> Callable[P, R]:
    # error_model="numpy": x / 0 is inf. With Python's model every division carries a branch and stays scalar.
    return njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop over arrays. It releases the GIL and checks no argument."""
    compiled: Any = _compile(function, FASTMATH)
    if _cache_wanted() and hasattr(compiled, "enable_caching"):  # a plain function under NUMBA_DISABLE_JIT=1
        compiled.enable_caching()
        compiled._cache._cache_file._source_stamp = _package_stamp()
    return compiled


def reduction(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a sum whose order of additions does not matter, so that it runs in vector lanes."""
    return _compile(function, FASTMATH | {"reassoc"})


def scalar(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of one element, to be inlined by LLVM into the loops of kernels."""
    return _compile(function, FASTMATH)
