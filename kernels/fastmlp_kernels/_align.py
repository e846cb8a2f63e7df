"""Arrays as compiled code wants them: beginning with a cache line, and read-only where they are read."""

import math
import threading

import numpy as np

LINE_BYTES = 64
# Bytes of a work array that is kept for the next call: pages that are new take longer than a small product.
MOST_KEPT = 8 << 20


class _Kept(threading.local):
    """Each thread's work arrays, by the name of what they are for: those that no call is using, and those lent last.

    The latter beside the memory that they lie in, whose beginning with a cache line they alone do not tell.
    """

    def __init__(self) -> None:
        self.free: dict[str, np.ndarray] = {}
        self.lent: dict[str, tuple[np.ndarray, np.ndarray]] = {}


_KEPT = _Kept()


def taken(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a work array like `aligned_zeros`, but of any values: the one that was given back last, if it is as large.

    name : of what it is for. It is in no one else's hands until it is given back, or for ever where a call fails.
    """
    size = math.prod(shape) * dtype.itemsize
    # a signal's handler may come between, and call the same function: it gets memory of its own
    memory = _KEPT.free.pop(name, None)
    if memory is None or memory.size < size:
        memory = aligned_zeros(size, np.uint8)
    array = memory[:size].view(dtype).reshape(shape)
    _KEPT.lent[name] = array, memory
    return array


def give_back(**arrays: np.ndarray | None) -> None:
    """Keep for this thread's next call what was `taken` last under these names, unless it is large or another array."""
    for name, array in arrays.items():
        lent, memory = _KEPT.lent.get(name, (None, None))
        if array is not None and array is lent and memory is not None:
            _KEPT.lent.pop(name, None)  # as a signal's handler may have done
            if memory.size <= MOST_KEPT:
                _KEPT.free[name] = memory


def aligned_zeros(shape: int | tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Return zeros of this shape and dtype that begin with a cache line; numpy's own begin anywhere on 16 bytes.

    A vector of 64 bytes is read at half the speed where it lies in two lines, and a tile of AMX at a third.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.zeros(size + LINE_BYTES, np.uint8)
    first = -memory.ctypes.data % LINE_BYTES
    return memory[first : first + size].view(dtype).reshape(shape)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view of an array: numba compiles anew where that differs, so all inputs are made read-only."""
    view = array.view()
    view.flags.writeable = False
    return view
