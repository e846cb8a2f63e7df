"""Whether kernels are being compiled, and for how long: for progress lines, logs, and times without compilation.

numba announces each compilation by an event. One inside another, of a function that it calls, counts as part of that.
Code that is loaded from the disk cache is not compiled, and not announced.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

logger = logging.getLogger("fastmlp_kernels")


class _Watch(event.Listener):
    """Listens to numba's events and adds up seconds; as numba compiles one function at a time, it needs no lock."""

    def __init__(self) -> None:
        self.seconds, self.depth, self.began, self.listeners = 0.0, 0, 0.0, list[Callable[[], None]]()
        self.of_thread = threading.local()

    def on_start(self, event: Any) -> None:
        """Count the start of a compilation, or of one inside it."""
        if self.depth == 0:
            data: Any = event.data
            module = data["dispatcher"].py_func.__module__ or ""  # None for code that was never in a file
            if not module.startswith("fastmlp"):
                return
            if self.seconds == 0:
                logger.info("Compiling the kernels for this machine, once; it takes some seconds.")
            self.began = time.perf_counter()
            for listener in self.listeners:
                listener()
        self.depth += 1

    def on_end(self, event: Any) -> None:  # noqa: ARG002 - as numba calls it
        """Count the end of a compilation, or of one inside it."""
        if self.depth:
            self.depth -= 1
            if self.depth == 0:
                seconds = time.perf_counter() - self.began
                self.seconds += seconds
                self.of_thread.seconds = getattr(self.of_thread, "seconds", 0.0) + seconds


_watch = _Watch()
event.register("numba:compile", _watch)


def seconds_compiling() -> float:
    """Return the seconds that this process has spent in compiling kernels so far, one under way included."""
    return _watch.seconds + (time.perf_counter() - _watch.began if _watch.depth else 0.0)


def seconds_compiling_here() -> float:
    """Return the seconds that the calling thread has spent in compiling kernels so far."""
    return getattr(_watch.of_thread, "seconds", 0.0)


def is_compiling() -> bool:
    """Whether a kernel is being compiled in this process."""
    return _watch.depth > 0


@contextmanager
def when_compiling(callback: Callable[[], None]) -> Iterator[None]:
    """Within the body, call `callback` at the start of each compilation of a kernel, in the thread that compiles."""
    _watch.listeners.append(callback)
    try:
        yield
    finally:
        _watch.listeners.remove(callback)
