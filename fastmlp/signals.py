"""Signals that ask a program to stop: Ctrl-C, SIGTERM, which batch systems send before they kill, a closed terminal.

A signal that the program is to ignore, as SIGHUP under `nohup`, stays ignored.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# By name: Windows has not all of them.
STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# `timeout` sends SIGTERM twice, to its child and to the group that the child is in; of a terminal that closes the shell
# tells, and then the system.
SAME_SECONDS = 1.0
AGAIN_SECONDS = 0.05

Handler = Callable[[int, FrameType | None], object]


class Stopped(KeyboardInterrupt):
    """The program was asked to stop, by the signal `signum`."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Requests:
    """A signal handler that counts requests to stop: after the first a program ends in order, after the second at once.

    A terminal that closes never counts as a second request, as its user did not make it.
    """

    _last = float("-inf")  # of all in this process: one may end, and the next begin, between the two of a request

    def __init__(self) -> None:
        self.asked, self.signum = 0, int(signal.SIGINT)

    def __call__(self, signum: int, frame: FrameType | None = None) -> None:  # noqa: ARG002 - as `signal` calls it
        """Count a signal."""
        now, before = time.monotonic(), Requests._last
        Requests._last = now
        same = signum != signal.SIGINT and now - before < SAME_SECONDS
        if same or (self.asked and signum not in (signal.SIGINT, signal.SIGTERM)):
            return
        if not self.asked:
            self.signum = signum
        self.asked += 1


def install(handler: Handler) -> dict[int, "Handler | int"]:
    """Install `handler` for each of these signals that is not ignored; return the handlers before, by signal."""
    before: dict[int, Handler | int] = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
        for signum in STOPS:
            present = signal.getsignal(signum)
            if present is not None and present != signal.SIG_IGN:
                before[signum] = present
                signal.signal(signum, handler)
    return before


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Install `handler` for these signals within the body, and restore the handlers before it."""
    before = install(handler)
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


@contextmanager
def raised() -> Iterator[None]:
    """Within the body, raise Stopped at each request to stop, also at one while another is being raised.

    An exception that is lost, as in a function that C calls, is raised once more a moment later.
    """
    requests, lost, tell = Requests(), list[int](), sys.unraisablehook

    def stop(signum: int, frame: FrameType | None) -> None:
        before = requests.asked
        requests(signum, frame)
        if requests.asked > before or lost:
            lost.clear()
            raise Stopped(signum)

    def again(found: "sys.UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, Stopped):
            tell(found)
            return
        lost.append(found.exc_value.signum)
        timer = threading.Timer(AGAIN_SECONDS, _send_to_self, (found.exc_value.signum,))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = again
    try:
        with handled(stop):
            yield
    finally:
        sys.unraisablehook = tell


def _send_to_self(signum: int) -> None:
    if os.name == "nt":  # where `os.kill` ends the process
        signal.raise_signal(signum)
    else:
        os.kill(os.getpid(), signum)


def told(signum: int) -> str:
    """Return a sentence on the signal that stopped a program."""
    name = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
    return f"Stopped by {name}."


def signum_of(error: KeyboardInterrupt) -> int:
    """Return the signal that an interruption stands for."""
    return error.signum if isinstance(error, Stopped) else int(signal.SIGINT)


def status_of(error: KeyboardInterrupt) -> int:
    """Return the exit status of a process that the signal ended, as shells have it: 128 + the signal's number."""
    return 128 + signum_of(error)
