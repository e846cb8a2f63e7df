"""When this package's kernels are being compiled, and for how long: for progress, logs, and times without it.

numba tells of each compilation by an event; those inside another, of functions that it calls, belong to it. What is
loaded from the disk cache is not compiled, and not told of.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

logger = logging.getLogger("fastmlp_kernels")


class _Watch(event.Listener):
    """numba compiles one function at a time, so that begin and end need no lock."""

    def __init__(self) -> None:
        self.seconds, self.depth, self.began, self.listeners = 0.0, 0, 0.0, list[Callable[[], None]]()

    def on_start(self, event: Any) -> None:
        """Begin a compilation, or one inside it."""
        if self.depth == 0:
            if not event.data["dispatcher"].py_func.__module__.startswith("fastmlp"):
                return
            if self.seconds == 0:
                logger.info("Compiling the kernels for this machine, once; it takes some seconds.")
            self.began = time.perf_counter()
            for listener in self.listeners:
                listener()
        self.depth += 1

    def on_end(self, event: Any) -> None:  # noqa: ARG002 - as numba calls it
        """End one."""
        if self.depth:
            self.depth -= 1
            if self.depth == 0:
                self.seconds += time.perf_counter() - self.began


_watch = _Watch()
event.register("numba:compile", _watch)


def seconds_compiling() -> float:
    """Return the seconds that this process has spent in compiling kernels so far, one under way included."""
    return _watch.seconds + (time.perf_counter() - _watch.began if _watch.depth else 0.0)


@contextmanager
def when_compiling(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` at the start of each compilation of a kernel, in the thread that compiles, for as long as this is."""
    _watch.listeners.append(tell)
    try:
        yield
    finally:
        _watch.listeners.remove(tell)
