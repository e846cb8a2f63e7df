"""Work arrays of compiled code: on the stack, on the heap, and where the heap has no room."""

import numpy as np
import pytest

from fastmlp_kernels import jit
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._scratch import SIZE, release, work_array

BEYOND = 1 << 58  # elements that no address space has room for


@kernel
def _room(like: np.ndarray, size: int) -> int:
    work = work_array(like, size)
    found = work.size
    release(work)
    return found


@pytest.mark.parametrize(("size", "found"), [(1, SIZE), (SIZE, SIZE), (SIZE + 1, SIZE + 1)])
def test_there_is_room_on_the_stack_or_on_the_heap(size: int, found: int) -> None:
    assert _room(np.empty(0, np.float32), size) == found


def test_a_loss_without_memory_is_an_error_and_not_a_crash() -> None:
    def pretend(*shape: int) -> np.ndarray:
        return np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), shape, (4,) * len(shape))

    logits, row = pretend(1, BEYOND), pretend(BEYOND)
    with pytest.raises(MemoryError, match="no memory for a row of logits"):
        jit.softmax(logits, logits)
    with pytest.raises(MemoryError, match="no memory for a row of logits"):
        jit.softmax_cross_entropy(logits, row, np.zeros(1, np.int64), row)
