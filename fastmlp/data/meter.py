"""How a download stands, and how fast it goes."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW = 10.0  # seconds over which speed is measured
_INTERVAL = 0.25  # seconds between two reports, at least


@dataclass(frozen=True)
class Progress:
    """How a download stands."""

    name: str
    done: int
    """Bytes on disk, those of earlier attempts included."""
    total: int
    bytes_per_second: float
    """Over the last ten seconds; 0 while nothing has arrived."""
    note: str = ""
    """Something to tell the user, such as a lost connection; empty for plain progress."""


OnProgress = Callable[[Progress], None]


class Meter:
    """Turns byte counts into `Progress` for a callback."""

    def __init__(self, name: str, total: int, on_progress: OnProgress | None) -> None:
        self.name, self.total, self.on_progress = name, total, on_progress
        self.recent: deque[tuple[float, int]] = deque()
        self.last = 0.0

    def advance(self, done: int) -> None:
        """Report `done` bytes, unless the last report is fresh."""
        if time.monotonic() - self.last >= _INTERVAL:
            self.report(done)

    def report(self, done: int, note: str = "") -> None:
        """Report `done` bytes, and a note with them."""
        now = self.last = time.monotonic()
        self.recent.append((now, done))
        while now - self.recent[0][0] > _WINDOW:
            self.recent.popleft()
        then, before = self.recent[0]
        # A part that was thrown away makes the count fall; that is no speed.
        speed = max(0, done - before) / (now - then) if now > then else 0.0
        if self.on_progress is not None:
            self.on_progress(Progress(self.name, done, self.total, speed, note))
