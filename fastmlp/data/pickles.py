"""The python form of CIFAR without unpickling: a reader that runs no code a file asks for.

The published files are pickles written by Python 2: a dict of byte strings, lists, integers and one uint8 array.
`pickle.Unpickler` calls whatever global a file names; here a name is looked up in a table of three, whose entries
only record shape and bytes. numpy's own unpickling, which trusts the file as well, is never called.
"""

import io
import pickle
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import DataError


def load_plain(content: NDArray[np.uint8], where: str) -> dict[str, Any]:
    """Read a pickled dict of plain containers and uint8 arrays; keys come back as str, other strings as bytes.

    content : the bytes of the file, flat uint8; where : its name for the message

    Raises DataError when the file asks for anything else, or is no such pickle.
    """
    try:
        value = _PlainUnpickler(io.BytesIO(content.data), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(f"{where} is not a pickle of CIFAR's python form: {error!r}.") from error
    if not isinstance(value, dict):
        raise DataError(f"{where} holds a {type(value).__name__}, expected a dict of arrays and lists.")
    if not all(isinstance(key, bytes | str) for key in value):
        raise DataError(f"{where} holds a dict with keys that are no names.")
    return {
        key.decode("latin1") if isinstance(key, bytes) else key: item.array if isinstance(item, _Array) else item
        for key, item in value.items()
    }


class _Array:
    """Stands for an ndarray while it is read; takes the state that numpy writes."""

    array: NDArray[np.uint8] | None = None  # where nothing was built of it

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        if not (isinstance(dtype, _Uint8) and isinstance(data, bytes) and len(data) == prod(shape)):
            raise DataError("it holds an array that is not plain uint8, or not of the length it states.")
        self.array = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


class _Uint8:
    """Stands for dtype("uint8"), the only one allowed."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


def _array(*_: object) -> _Array:
    return _Array()


def _dtype(code: object, *_: object) -> _Uint8:
    if code not in (b"u1", "u1"):
        raise DataError(f"it holds an array of dtype {code!r}; only uint8 is expected.")
    return _Uint8()


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): _array,
    ("numpy", "dtype"): _dtype,
}


# In Python: the one in C takes memory for as many objects as a file says that it numbers.
class _PlainUnpickler(pickle._Unpickler):  # type: ignore[name-defined]
    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"it asks for {module}.{name}, which no published file does. Nothing was run; "
                "do not use this file, fetch the archive again."
            )
        return _ALLOWED[module, name]
