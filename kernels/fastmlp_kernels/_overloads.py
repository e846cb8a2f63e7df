"""`np.exp`, `math.exp` and kin inside numba's functions, worked out by those of `jit` in the place of the C library.

numba looks up how a function is compiled in the context of its target. While it is on, the CPU's context has a class of
its own, in which the functions of `FUNCTIONS` are found in `jit`; nothing of numba's tables is written to. Array
expressions, `prange` and `@vectorize` end in the same two questions, `get_function` and `get_ufunc_info`.

numba's own cache on disk is keyed with whether it is on, and with `jit.stamp`, so that no process loads what another
compiled otherwise.
"""

import gc
import math
from typing import Any

import numpy as np
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu import CPUContext
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from numba.core.typing.templates import signature

_NAMES = {
    "cos": "cos1",
    "erf": "erf1",
    "erfc": "erfc1",
    "exp": "exp1",
    "exp2": "exp2_1",
    "expm1": "expm1_1",
    "log": "log1",
    "log10": "log10_1",
    "log1p": "log1p1",
    "log2": "log2_1",
    "sin": "sin1",
    "tanh": "tanh1",
}
FUNCTIONS = {getattr(home, name): ours for name, ours in _NAMES.items() for home in (math, np) if hasattr(home, name)}
"""What is overloaded, with the name in `jit` of what takes its place."""

_FLOATS = (types.float32, types.float64)
_Context: Any = CPUContext  # of which numba says no types


class OwnContext(_Context):
    """The context that this package's own functions compile in, whether the overloads are on or not.

    What they use of `FUNCTIONS` leaves no trace where numba remembers what it has looked up.
    """

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        """Return what emits a call of `fn`."""
        key = _overloaded(fn)
        if key is None:
            return super().get_function(fn, sig, _firstcall)
        traces = self._defns[key]._cache
        before = dict(traces)
        try:
            return super().get_function(fn, sig, _firstcall)
        finally:
            traces.clear()
            traces.update(before)


class _OverloadedContext(OwnContext):
    """The CPU's context while the overloads are on."""

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        key, kind = _overloaded(fn), sig.return_type
        if key is None or isinstance(key, np.ufunc) or kind not in _FLOATS:
            return super().get_function(fn, sig, _firstcall)

        def emit(builder: Any, args: Any, loc: Any = None) -> Any:
            value = self.cast(builder, args[0], sig.args[0], kind)  # math.exp of an integer
            return self._call(FUNCTIONS[key], builder, kind, value)

        return emit

    def get_ufunc_info(self, ufunc: Any) -> Any:
        """Return what emits each loop of a ufunc, by its types."""
        loops = super().get_ufunc_info(ufunc)
        if ufunc not in FUNCTIONS:
            return loops

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return context._call(FUNCTIONS[ufunc], builder, sig.return_type, args[0])

        return {**loops, "f->f": emit, "d->d": emit}

    def _call(self, name: str, builder: Any, kind: Any, value: Any) -> Any:
        from fastmlp_kernels import jit

        function = getattr(jit, name)
        function.compile((kind,))
        return super().get_function(function._numba_type_, signature(kind, kind))(builder, [value])


def _overloaded(fn: Any) -> Any:
    """Return the function that a type of numba stands for where it is one of `FUNCTIONS`, else None."""
    key = fn.typing_key if isinstance(fn, types.Function) else None
    return key if key in FUNCTIONS else None


def _name_of(function: Any) -> str:
    return f"np.{function.__name__}" if isinstance(function, np.ufunc) else f"math.{function.__name__}"


def _compiled_before(context: Any) -> list[str]:
    """Return what of `FUNCTIONS` compiled code has asked for, and which functions came from numba's cache on disk.

    Of those nobody knows what they call.
    """
    asked = [_name_of(one) for one in FUNCTIONS if one in context._defns and context._defns[one]._cache]
    functions = [one for one in gc.get_objects() if issubclass(type(one), Dispatcher)]
    loaded = {one.py_func.__qualname__ for one in functions if any(one.stats.cache_hits.values()) and not _is_own(one)}
    return [*sorted(asked), *sorted(f"{name}() from numba's cache" for name in loaded)]


def _is_own(function: Any) -> bool:
    return (function.py_func.__module__ or "").partition(".")[0] in ("fastmlp", "fastmlp_kernels")


def overload_numpy() -> None:
    """Have numba take the functions of `jit` for `np.exp`, `math.exp` and kin in all that it compiles from now on.

    They are exp, exp2, expm1, log, log2, log10, log1p, sin, cos and tanh of numpy and of `math`, and erf and erfc of
    `math`, of numbers and of arrays, in float32 and float64, in functions, ufuncs and `prange`, of whatever
    package. What they give is as near as `jit` says, and for loops LLVM makes vectors of them. Powers stay as they
    are, as `jit.pow1` is for bases from 0 on; so do complex numbers, what this package itself compiles, and numpy's
    functions outside of compiled code.

    Call it first of all: RuntimeError where something that uses one of them was compiled before, or loaded from numba's
    cache on disk, as that would go on calling the C library; of ufuncs loaded from there nothing is known.
    `restore_numpy` takes it back.
    """
    with global_compiler_lock:
        context: Any = cpu_target.target_context
        if isinstance(context, _OverloadedContext):
            return
        before = _compiled_before(context)
        if before:
            some = ", ".join(before[:4]) + (f" and {len(before) - 4} others" if len(before) > 4 else "")
            raise RuntimeError(
                f"compiled before, and so still calling the C library: {some}. Call overload_numpy() before any "
                "compiled function is called, or in a new process"
            )
        from fastmlp_kernels import jit

        codegen, functions_of_numba = context.codegen(), context.cached_internal_func
        key = (*codegen.magic_tuple(), "overload_numpy", jit.stamp)
        codegen.magic_tuple = lambda: key  # part of the key of numba's cache on disk
        context.__class__ = _OverloadedContext
        context.cached_internal_func, context._functions_before = {}, functions_of_numba


def restore_numpy() -> None:
    """Have numba take its own `np.exp`, `math.exp` and kin again, in what it compiles from now on.

    What was compiled since `overload_numpy` stays as it is. Does nothing where that was not called.
    """
    with global_compiler_lock:
        context: Any = cpu_target.target_context
        if isinstance(context, _OverloadedContext):
            del context.codegen().magic_tuple
            context.cached_internal_func = context._functions_before
            del context._functions_before
            context.__class__ = _Context
