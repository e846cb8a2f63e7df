"""A compilation that compiles nothing: numba's own events of one, for what watches them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from numba.core import event


@contextmanager
def compilation(module: str | None = "fastmlp.anything") -> Iterator[None]:
    """Have the body pass for the compilation of a function of this module."""
    dispatcher = SimpleNamespace(py_func=SimpleNamespace(__module__=module))
    with event.trigger_event("numba:compile", data={"dispatcher": dispatcher}):
        yield


def compile_for_a_while(seconds: float) -> None:
    """Pass for a compilation of so many seconds."""
    with compilation():
        time.sleep(seconds)
