"""A small work array that costs no allocation: it lies on the stack of the compiled function that asks for it."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numba.np.numpy_support import carray

# Elements: 32 KiB of float32, 64 KiB of float64; far below any thread's stack, and within a core's caches.
SIZE = 8192


@intrinsic
def _stack_pointer(typingctx: Any, like: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(like.dtype)
        with builder.goto_entry_block():  # one array a call, also when asked for in a loop
            memory = builder.alloca(ir.ArrayType(element, SIZE))
            memory.align = 64
        return builder.bitcast(memory, element.as_pointer())

    return types.CPointer(like.dtype)(like), codegen


def work_array(like: np.ndarray) -> np.ndarray:
    """Return an uninitialised array (SIZE,) of the dtype of `like`, valid until the calling function returns."""
    return np.empty(SIZE, like.dtype)


@overload(work_array, inline="always")
def _overload_work_array(like):
    # numba passes the first argument of an intrinsic itself
    return lambda like: carray(_stack_pointer(like), (SIZE,))  # pyright: ignore[reportCallIssue]
