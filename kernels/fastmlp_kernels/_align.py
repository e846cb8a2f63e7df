"""Arrays as compiled code wants them: beginning with a cache line, and read-only where they are read."""

import numpy as np

LINE_BYTES = 64


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
    view.setflags(write=False)  # a third sooner than by its `flags`
    return view
