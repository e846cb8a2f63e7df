"""Progress of a download: bytes and speed, for a callback."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW = 10.0  # seconds over which speed is measured
_INTERVAL = 0.25  # seconds between two reports, at least


@dataclass(frozen=True)
class Progress:
    """The state of a download of one file."""

    name: str
    done: int
    """Bytes on disk, those of earlier attempts included."""
    total: int
    """Bytes of the whole file."""
    bytes_per_second: float
    """Over the last ten seconds; 0 while nothing has arrived."""
    note: str = ""
    """A sentence for the user, as on a lost connection; empty for plain progress."""


OnProgress = Callable[[Progress], None]


class Meter:
    """Turns counts of bytes into `Progress` and hands it to a callback, if there is one."""

    def __init__(self, name: str, total: int, on_progress: OnProgress | None) -> None:
        self.name, self.total, self.on_progress = name, total, on_progress
        self.recent: deque[tuple[float, int]] = deque()
        self.last = 0.0

    def advance(self, done: int) -> None:
        """Report `done` bytes, unless the last report was less than a quarter of a second ago."""
        if time.monotonic() - self.last >= _INTERVAL:
            self.report(done)

    def report(self, done: int, note: str = "") -> None:
        """Report `done` bytes and a note now."""
        now = self.last = time.monotonic()
        self.recent.append((now, done))
        while now - self.recent[0][0] > _WINDOW:
            self.recent.popleft()
        then, before = self.recent[0]
        # A part that was thrown away makes the count fall; that is no speed.
        speed = max(0, done - before) / (now - then) if now > then else 0.0
        if self.on_progress is not None:
            self.on_progress(Progress(self.name, done, self.total, speed, note))
