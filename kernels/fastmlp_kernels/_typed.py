"""Which types the functions of `jit` compile for; all others are refused in one sentence.

numba asks a function for code by the types of its arguments, once for each tuple of them, from Python and from compiled
code alike. The question is answered here first, so that a right call costs nothing, and a wrong one does not end
in what numba has to say of the lines inside. Under NUMBA_DISABLE_JIT=1 there are no types to ask about.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.core.errors import TypingError
from numba.core.sigutils import normalize_signature

_FLOATS = (types.float32, types.float64)
# Arrays of something else than floats, by their names in all signatures.
_OTHERS = {"images": types.uint8, "index": types.int64, "labels": types.int64}
# Their out is of float64 where they sum all of float32.
_OF_TWO_FLOATS = {"accurate_mean", "accurate_sum"}

# What signatures say of arrays: Any where None may be given, nothing in a function that is a copy of another's code.
_ARRAYS = (np.ndarray, Any, inspect.Parameter.empty)

Types = tuple[Any, ...]


def _shown(kind: Any) -> str:
    if isinstance(kind, types.Array):
        return f"an array of {kind.dtype}"
    return {"unicode_type": "a str", "none": "None"}.get(str(kind), str(kind).partition("<iv=")[0])


def _as_floats(name: str, args: Types) -> Types:
    """Return the types of floats to compile for: float64 for integers, and for all where they differ."""
    for kind in map(types.unliteral, args):
        if kind not in _FLOATS and not isinstance(kind, types.Integer | types.Boolean):
            next_step = "call it in a loop over the elements" if isinstance(kind, types.Array) else "convert it first"
            raise TypingError(
                f"jit.{name} takes float32 or float64, and integers as float64; it got {_shown(kind)}: {next_step}"
            )
    return args if set(args) in ({types.float32}, {types.float64}) else (types.float64,) * len(args)


def _check_array(name: str, argument: str, kind: Any, allowed: Types) -> None:
    wanted = " or ".join(map(str, allowed))
    if not isinstance(kind, types.Array):
        raise TypingError(f"jit.{name}: {argument} must be an array of {wanted}, got {_shown(kind)}: make it one first")
    if kind.dtype not in allowed:
        raise TypingError(
            f"jit.{name}: {argument} has dtype {kind.dtype}, allowed is {wanted}: convert with {argument}.astype(...)"
        )
    if kind.layout != "C":
        raise TypingError(f"jit.{name}: {argument} is not C-contiguous: pass np.ascontiguousarray({argument})")


def _check_arguments(name: str, parameters: dict[str, Any], args: Types) -> None:
    """Check arrays, and numbers, by what the signature says they are; all arrays of floats share one dtype."""
    floats: dict[str, Any] = {}
    for (argument, wanted), kind in zip(parameters.items(), args, strict=False):
        if isinstance(kind, types.Omitted) or (wanted is Any and kind == types.none):
            continue  # what may be left out
        if wanted in _ARRAYS:
            allowed = (_OTHERS[argument],) if argument in _OTHERS else _FLOATS
            _check_array(name, argument, kind, allowed)
            if allowed is _FLOATS:
                floats[argument] = kind.dtype
        elif wanted in (int, float) and not isinstance(types.unliteral(kind), types.Number | types.Boolean):
            raise TypingError(f"jit.{name}: {argument} must be a number, got {_shown(kind)}")
    if len(set(floats.values())) > 1 and name not in _OF_TWO_FLOATS:
        given = ", ".join(f"{argument} {dtype}" for argument, dtype in floats.items())
        raise TypingError(f"jit.{name}: all arrays must have one dtype, float32 or float64, got {given}")


def _ask_first(function: Any, answer: Callable[[Types], Types]) -> None:
    """Let a dispatcher compile for the types that `answer` makes of those asked for."""
    compile_for, template_for = function.compile, function.get_call_template

    def compile(sig: Any) -> Any:  # noqa: A001 - as numba calls it
        return compile_for(answer(tuple(normalize_signature(sig)[0])))

    def get_call_template(args: Any, kws: Any) -> Any:
        template, signature, folded, kws = template_for(args, kws)
        return template, signature, answer(tuple(folded)), kws  # numba converts what it passes

    function.compile, function.get_call_template = compile, get_call_template


def of_elements(name: str, function: Any) -> None:
    """Refuse all but numbers; have integers counted as float64, as numpy does, and float32 too beside a float64."""
    if hasattr(function, "get_call_template"):
        _ask_first(function, lambda args: _as_floats(name, args))


def of_arrays(name: str, function: Any) -> None:
    """Refuse all but C-contiguous arrays of the dtypes that this function is for."""
    if not hasattr(function, "get_call_template"):
        return
    parameters = {one.name: one.annotation for one in inspect.signature(function.py_func).parameters.values()}

    def answer(args: Types) -> Types:
        _check_arguments(name, parameters, args)
        return args

    _ask_first(function, answer)
