"""Threads that work together, each on a core of its own.

Linux wakes a thread on the core of the one that wakes it as often as not, and looks for a free one only every few
milliseconds: until then the two take turns, and what should take half the time takes twice.
"""

import ctypes
import os
import sys
from typing import Any

# Linux has it, but not in each C library, nor has each Python what moves threads.
_KNOWN = sys.platform == "linux" and hasattr(os, "sched_setaffinity")
_GET: Any = getattr(ctypes.PyDLL(None), "sched_getcpu", None) if _KNOWN else None


def core() -> int:
    """Return the number of the core that this thread is on, negative where the system does not tell."""
    return _GET() if _GET is not None else -1


def leave(number: int) -> None:
    """Move this thread to another core if it is on this one and may be on others."""
    if number < 0 or core() != number:
        return
    try:
        allowed = os.sched_getaffinity(0)
        if others := allowed - {number}:
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)
    except OSError:  # what the process may do has changed meanwhile, or it may not ask
        pass
