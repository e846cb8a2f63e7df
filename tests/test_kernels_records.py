"""The types of records are those that numba itself gives, in the first call and in those after it."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import typeof

from fastmlp_kernels._align import read_only
from fastmlp_kernels._records import record


class Plain(NamedTuple):
    """A named tuple as numba takes it."""

    first: Any
    second: Any


@record
class Kept(NamedTuple):
    """The same as a record."""

    first: Any
    second: Any


VALUES = [
    1,
    2.5,
    True,
    None,
    np.zeros(3),
    np.zeros(3, np.float32),
    np.zeros((3, 2)),
    np.asfortranarray(np.zeros((3, 2))),
    np.zeros((3, 4))[:, ::2],
    read_only(np.zeros(3)),
    np.frombuffer(bytearray(33), np.float64, 4, 1),  # begins at an odd address
    np.zeros(2, [("a", np.int64), ("b", np.int64)]),
    np.zeros(2, [("a", np.int64), ("c", np.int64)]),
    Plain(np.zeros(3), 1),
    Plain(np.zeros(3, np.float32), 1),
    (1, 2.5),
]


@pytest.mark.parametrize("second", [None, np.zeros(2, np.uint8)])
def test_a_record_has_the_type_that_numba_gives(second):
    for _ in range(2):
        for value in VALUES:
            kept: Any = typeof(Kept(value, second))
            plain: Any = typeof(Plain(value, second))
            assert kept.types == plain.types
            assert kept.instance_class is Kept
