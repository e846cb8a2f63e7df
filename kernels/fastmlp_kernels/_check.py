"""Checks of arguments, shared by the public functions. Each error names the argument, what came and what is allowed."""

import numpy as np

from fastmlp_kernels._jit import kernel

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
UINT8 = (np.dtype(np.uint8),)
INT64 = (np.dtype(np.int64),)


def array(
    name: str,
    value: np.ndarray,
    dtypes: tuple[np.dtype, ...],
    shape: tuple[int, ...] | None = None,
    *,
    ndim: int | None = None,
    writes: bool = False,
) -> None:
    """Check one array: dtype, shape or number of dimensions, C order and, where it is written, writability.

    Raises TypeError for something else than an array or a wrong dtype, ValueError for the rest.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, got {type(value).__name__}")
    if value.dtype not in dtypes:
        allowed = " or ".join(str(d) for d in dtypes)
        raise TypeError(f"{name} has dtype {value.dtype}, allowed is {allowed}: convert with {name}.astype(...)")
    if shape is not None and value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}, expected {shape}")
    if ndim is not None and value.ndim != ndim:
        raise ValueError(f"{name} has shape {value.shape}, expected {ndim} dimension{'s' if ndim > 1 else ''}")
    flags = value.flags
    if not flags.c_contiguous:
        raise ValueError(f"{name} is not C-contiguous: pass np.ascontiguousarray({name})")
    if writes and not flags.writeable:
        raise ValueError(f"{name} is read-only, but this kernel writes to it: pass a writable copy")


def apart(**arrays: np.ndarray) -> None:
    """Check that no two arrays share memory: a kernel would read what it has just written. Raises ValueError."""
    values = list(arrays.values())
    for i, x in enumerate(values):
        for j in range(i):
            if np.may_share_memory(x, values[j]):  # compares bounds, which is exact for contiguous arrays
                names = list(arrays)
                raise ValueError(f"{names[j]} and {names[i]} overlap in memory: pass separate arrays")


def of_rows(name: str, value: np.ndarray) -> np.ndarray:
    """Check an array of floats that is worked on along its last axis; return it as (N, K), a view."""
    array(name, value, FLOATS)
    if value.ndim == 0 or value.shape[-1] == 0:
        raise ValueError(f"{name} has shape {value.shape}, expected at least one element along the last axis")
    return value.reshape(-1, value.shape[-1])


def result(out: np.ndarray | None, shape: tuple[int, ...], x: np.ndarray, *, in_place: bool = False) -> np.ndarray:
    """Return `out`, checked, or a new array of this shape and the dtype of x where it is None.

    in_place : whether out may be the memory of x itself; it may never overlap x otherwise
    """
    if out is None:
        return np.empty(shape, x.dtype)
    array("out", out, (x.dtype,), shape, writes=True)
    if not (in_place and out.ctypes.data == x.ctypes.data):
        apart(x=x, out=out)
    return out


@kernel
def _first_outside(values: np.ndarray, stop: int) -> int:
    for i in range(values.size):
        if values[i] < 0 or values[i] >= stop:
            return i
    return -1


def in_range(name: str, values: np.ndarray, stop: int) -> None:
    """Check that each of the int64 `values` lies in [0, stop). Raises ValueError with the first that does not."""
    at = _first_outside(values, stop)
    if at >= 0:
        raise ValueError(f"{name}[{at}] is {values[at]}, allowed is 0 to {stop - 1}")
