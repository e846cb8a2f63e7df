"""Whether a team shares steps of a kind, or one thread takes them: whichever was the faster where both were tried.

A step of few rows is mostly the reading and writing of weights, which two threads then pass between their cores'
caches, and the meeting at barriers. What that costs beside what sharing saves depends on the CPU, the precision, the
network and what else the machine does: with two threads a step of 16 rows took 0.6 to 1.8 times as long as with one, on
CPUs that were not that different. The bits are the same either way, so it can be tried.
"""

# Calls that take turns before the faster way is kept; they begin with few steps, and later ones count.
TURNS = 6
# Each so many calls the slower way is tried again, as the machine's other work comes and goes.
AGAIN = 64
# Of so many calls the best one counts: a moment in which the machine did something else says nothing of the way, and
# after one alone the other way would be taken until this one is tried again.
LATEST = 4
# What sharing must take of the time of one thread: where it saves less, the other cores are better left alone.
WORTH = 0.97


class _Way:
    """What a step took by one way in the latest calls."""

    def __init__(self) -> None:
        self._steps = 0  # the most of a call
        self._seconds: list[float] = []  # of a step

    @property
    def seconds(self) -> float:
        """The best time of a step, infinite where there was none."""
        return min(self._seconds, default=float("inf"))

    def took(self, steps: int, seconds: float) -> None:
        """Keep what a call's steps took together, unless they were so few that the call itself counts."""
        if steps == 0 or 2 * steps < self._steps:
            return
        if steps > 2 * self._steps:
            self._seconds.clear()
        self._steps = max(steps, self._steps)
        self._seconds = [*self._seconds, seconds / steps][-LATEST:]


class Sharing:
    """The way of one kind of steps, call by call."""

    def __init__(self) -> None:
        self._calls = 0
        self._ways = _Way(), _Way()  # alone, shared

    def of_next_call(self) -> bool:
        """Return whether the team shares the steps of the next call."""
        call, self._calls = self._calls, self._calls + 1
        if call < TURNS:
            return call % 2 == 1
        alone, shared = self._ways
        return (shared.seconds < WORTH * alone.seconds) != (call % AGAIN == 0)

    def took(self, shared: bool, steps: int, seconds: float) -> None:
        """Keep how long a call's steps took together."""
        self._ways[shared].took(steps, seconds)
