"""The types of the records that compiled functions are called with, kept from call to call.

numba asks for the type of each argument in each call. For a named tuple it does so in Python, field by field, which
takes longer than a step of a small network; here a key of what the type depends on is looked up instead.
"""

from typing import Any, TypeVar

import numpy as np
from numba import types
from numba.extending import typeof_impl

T = TypeVar("T")
_TYPES: dict[Any, Any] = {}


def _key(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        flags = value.flags
        return value.dtype, value.ndim, flags.c_contiguous, flags.f_contiguous, flags.writeable, flags.aligned
    return (type(value), *map(_key, value)) if isinstance(value, tuple) else type(value)


def record(kind: type[T]) -> type[T]:
    """Declare a named tuple of arrays, records, None, and numbers of up to 63 bits that compiled functions take."""

    @typeof_impl.register(kind)
    def typeof(value: Any, context: Any) -> Any:
        key = _key(value)
        if key not in _TYPES:
            _TYPES[key] = types.BaseTuple.from_types([typeof_impl(field, context) for field in value], kind)
        return _TYPES[key]

    return kind
