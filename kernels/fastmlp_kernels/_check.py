"""Checks of arguments for the public functions. Each error names the argument, what was given and what is allowed."""

import math
import operator
from numbers import Real
from typing import Any

import numpy as np

from fastmlp_kernels._jit import kernel

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
UINT8 = (np.dtype(np.uint8),)
INT64 = (np.dtype(np.int64),)
# The largest finite number of each dtype.
LARGEST: dict[np.dtype, float] = {dtype: float(np.finfo(dtype).max) for dtype in FLOATS}


def array(
    name: str,
    value: np.ndarray,
    dtypes: tuple[np.dtype, ...],
    shape: tuple[int, ...] | None = None,
    *,
    ndim: int | None = None,
    writes: bool = False,
    any_order: bool = False,
) -> None:
    """Check one array: dtype, shape or number of dimensions, C order and, where it is written, writability.

    any_order : whether its elements may lie in any order and apart

    Raises TypeError for something else than an array, a masked array or a wrong dtype, ValueError for the rest.
    """
    if type(value) is not np.ndarray:
        _refuse_no_array(name, value)
    if value.dtype not in dtypes:
        allowed = " or ".join(str(d) for d in dtypes)
        raise TypeError(f"{name} has dtype {value.dtype}, allowed is {allowed}: convert with {name}.astype(...)")
    if shape is not None and value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}, expected {shape}")
    if ndim is not None and value.ndim != ndim:
        raise ValueError(f"{name} has shape {value.shape}, expected {ndim} dimension{'s' if ndim > 1 else ''}")
    flags = value.flags
    if not (any_order or flags.c_contiguous):
        raise ValueError(f"{name} is not C-contiguous: pass np.ascontiguousarray({name})")
    if writes and not flags.writeable:
        raise ValueError(f"{name} is read-only, but this kernel writes to it: pass a writable copy")


def _refuse_no_array(name: str, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, got {type(value).__name__}")
    if isinstance(value, np.ma.MaskedArray):
        raise _mask_error(name)


def numbers(name: str, value: Any, like: Any = None) -> np.ndarray:
    """Check an array (...) of float32 or float64, in any order of memory, or a number; return it as an array.

    like : the array or the number of numpy, if it is one, whose dtype a number of Python takes

    Raises TypeError for anything else, ValueError for a whole number beyond float64.
    """
    if type(value) is np.ndarray and value.dtype in FLOATS:  # as a rule; `array` takes another fifth of a microsecond
        return value
    if isinstance(value, np.ndarray):
        array(name, value, FLOATS, any_order=True)
        return np.asarray(value)  # of a subclass a plain view
    if not isinstance(value, float | int | np.floating | np.integer) or isinstance(value, bool):
        raise TypeError(f"{name} must be a numpy array or a number, got {type(value).__name__}")
    try:
        single = np.asarray(value if isinstance(value, np.floating) else float(value))
    except OverflowError as error:
        raise ValueError(f"{name} is {shown(value)}, allowed is a number of float64") from error
    if not isinstance(value, np.floating) and isinstance(like, np.ndarray | np.floating) and like.dtype in FLOATS:
        return single.astype(like.dtype)
    array(name, single, FLOATS)
    return single


def _mask_error(name: str) -> TypeError:
    return TypeError(
        f"{name} is a masked array, whose mask would be ignored: pass {name}.filled(...), or {name}.data where nothing "
        "is masked"
    )


def unmasked(**arrays: Any) -> None:
    """Check that no element of these arrays, or lists of arrays, is masked: a kernel sees no mask. Raises TypeError."""
    for name, value in arrays.items():
        if type(value) is np.ndarray:  # as a rule; a step asks for its rows and labels
            continue
        parts = value if isinstance(value, list | tuple) else (value,)
        # by type first: numpy imports its masked arrays when they are asked for
        if any(isinstance(x, np.ndarray) and type(x) is not np.ndarray and np.ma.is_masked(x) for x in parts):
            raise _mask_error(name)


def whole(name: str, value: Any) -> int:
    """Check a whole number; return it as an int. Raises TypeError for anything else, also for True and False."""
    try:
        if not isinstance(value, bool | np.bool_):  # numpy 2.0 only warns where that is taken for 0 or 1
            return operator.index(value)
    except TypeError:
        pass
    raise TypeError(f"{name} is {value!r}, allowed is a whole number")


def count(name: str, value: Any, most: int) -> int:
    """Check a whole number from 1 to `most`; return it as an int. Raises TypeError or ValueError."""
    number = whole(name, value)
    if not 1 <= number <= most:
        raise ValueError(f"{name} is {shown(number)}, allowed is a whole number from 1 to {most}")
    return number


def shown(value: Any) -> str:
    """Return a number as a message shows it: Python refuses to write thousands of digits, and no one reads hundreds."""
    try:
        float(value)
    except OverflowError:
        digits = math.log10(abs(int(value)))
        return f"about {'-' if value < 0 else ''}10**{digits:.0f}"
    return repr(value)


def number(name: str, value: Any, dtype: np.dtype) -> float:
    """Check a real number that is finite in this dtype, float32 or float64; return it as a float.

    Raises TypeError for anything else than a number, also for True and False, ValueError for one that is not finite.
    """
    most = LARGEST[dtype]
    if type(value) is float and -most <= value <= most:  # as a rule; the questions below take half a microsecond
        return value
    if not isinstance(value, Real) or isinstance(value, bool | np.timedelta64):
        raise TypeError(f"{name} is {value!r}, allowed is a finite number")
    try:
        real = float(value)
    except OverflowError:  # a whole number beyond float64
        real = math.inf
    if not -most <= real <= most:
        raise ValueError(f"{name} is {shown(value)}, allowed is a finite number: from {-most!r} to {most!r} in {dtype}")
    return real


def share(name: str, value: Any) -> float:
    """Check a number from 0 up to, not including, 1; return it as a float. Raises TypeError or ValueError."""
    real = number(name, value, np.dtype(np.float64))
    if not 0 <= real < 1:
        raise ValueError(f"{name} is {shown(value)}, allowed is a number from 0 up to, not including, 1")
    return real


def are_usual(x: np.ndarray, written: np.ndarray) -> bool:
    """Return whether two arrays need no question but those about shapes, as in most calls, which so take less.

    They are two plain arrays of one dtype, float32 or float64, C-contiguous, the second one writable, and each owns its
    memory. In a call of a few elements the other checks, one by one, take longer than the work.
    """
    return (
        type(x) is np.ndarray
        and type(written) is np.ndarray
        and x is not written
        and x.dtype in FLOATS
        and x.dtype == written.dtype
        and (flags := x.flags).owndata
        and flags.c_contiguous
        and (flags := written.flags).owndata
        and flags.carray
    )


def overlap(x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether two C-contiguous arrays share memory; they are as a rule arrays of their own, quickly told."""
    if x.flags.owndata and y.flags.owndata:  # not by `base`: what a C library made may have none, and own nothing
        return x is y and x.size > 0
    return np.may_share_memory(x, y)  # compares bounds, which is exact for contiguous arrays


def apart(**arrays: np.ndarray) -> None:
    """Check that no two arrays share memory: a kernel would read what it has just written. Raises ValueError."""
    values = list(arrays.values())
    for i, x in enumerate(values):
        for j in range(i):
            if overlap(values[j], x):
                names = list(arrays)
                raise ValueError(f"{names[j]} and {names[i]} overlap in memory: pass separate arrays")


def of_rows(name: str, value: np.ndarray) -> np.ndarray:
    """Check an array (..., K) of float32 or float64, K > 0; return it as a view (N, K)."""
    array(name, value, FLOATS)
    if value.ndim == 0 or value.shape[-1] == 0:
        raise ValueError(f"{name} has shape {value.shape}, expected at least one element along the last axis")
    return in_rows(value)


def along(name: str, value: np.ndarray, axis: Any) -> tuple[int, int, int]:
    """Check an array of float32 or float64 and an axis of it, along which there must be an element.

    Returns how many elements those axes have together that stand before it, it itself, and those after it.
    """
    array(name, value, FLOATS)
    ndim, at = value.ndim, whole("axis", axis)
    if ndim and not -ndim <= at < ndim:
        raise ValueError(f"axis is {shown(axis)}, allowed is {-ndim} to {ndim - 1} as {name} has shape {value.shape}")
    if ndim == 0 or value.shape[at] == 0:
        which = "the last axis" if ndim == 0 or at in (-1, ndim - 1) else f"axis {at}"
        raise ValueError(f"{name} has shape {value.shape}, expected at least one element along {which}")
    at %= ndim
    return math.prod(value.shape[:at]), value.shape[at], math.prod(value.shape[at + 1 :])


def without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return a shape without one of its axes, which is checked."""
    at = axis % len(shape)
    return shape[:at] + shape[at + 1 :]


def in_rows(value: np.ndarray) -> np.ndarray:
    """Return a C-contiguous array (..., K), K > 0, as a view (N, K)."""
    return value if value.ndim == 2 else value.reshape(-1, value.shape[-1])  # which takes a quarter of a microsecond


def flat(value: np.ndarray) -> np.ndarray:
    """Return a C-contiguous array (...) as a plain view (N,): a matrix of numpy's never has one dimension."""
    return np.asarray(value).reshape(-1)


def result(out: np.ndarray | None, shape: tuple[int, ...], x: np.ndarray, *, in_place: bool = False) -> np.ndarray:
    """Return the array for a result of this shape and the dtype of x: `out`, checked, or a new one where it is None.

    in_place : whether out may be x itself; in any other way it may not overlap x
    """
    if out is None:
        return np.empty(shape, x.dtype)
    array("out", out, (x.dtype,), shape, writes=True)
    if overlap(x, out) and not (in_place and (out is x or _address(out) == _address(x))):
        apart(x=x, out=out)
    return out


def _address(value: np.ndarray) -> int:
    return value.__array_interface__["data"][0]  # a fifth of what `ctypes.data` takes


@kernel
def _first_outside(values: np.ndarray, stop: int) -> int:
    for i in range(values.size):
        if values[i] < 0 or values[i] >= stop:
            return i
    return -1


def in_range(name: str, values: np.ndarray, stop: int) -> None:
    """Check that each of `values` (N,) int64 lies in [0, stop). Raises ValueError with the first that does not."""
    at = _first_outside(values, stop)
    if at >= 0:
        raise ValueError(f"{name}[{at}] is {values[at]}, allowed is 0 to {stop - 1}")


@kernel
def _first_beyond(values: np.ndarray, low: float, high: float) -> int:
    for i in range(values.size):
        if values[i] < low or values[i] > high:
            return i
    return -1


def in_bounds(name: str, values: np.ndarray, low: float, high: float) -> None:
    """Check that each of `values` (N, K), C-contiguous, float32 or float64, is in [low, high], or NaN.

    Raises ValueError with the first that is not.
    """
    at = _first_beyond(values.reshape(-1), float(low), float(high))
    if at >= 0:
        i, k = divmod(at, values.shape[1])
        allowed = f"{low} or more" if high == np.inf else f"{low} to {high}"
        raise ValueError(f"{name}[{i}, {k}] is {values[i, k]}, allowed is {allowed}")
