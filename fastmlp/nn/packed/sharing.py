"""Whether a team shares steps of a kind, or one thread takes them: whichever was the faster where both were tried.

A step of few rows is mostly the reading and writing of weights, which two threads then pass between their cores'
caches, and the meeting at barriers. What that costs beside what sharing saves depends on the CPU, the precision, the
network and what else the machine does: with two threads a step of 16 rows took 0.6 to 1.8 times as long as with one, on
CPUs that were not that different. The bits are the same either way, so it can be tried.
"""

from typing import NamedTuple

# Calls that take turns before the faster way is kept; they begin with few steps, and later ones count.
TURNS = 6
# Each so many calls the slower way is tried again, as the machine's other work comes and goes.
AGAIN = 64


class _Sample(NamedTuple):
    steps: int
    seconds: float  # of a step


class Sharing:
    """The way of one kind of steps, call by call."""

    def __init__(self) -> None:
        self._calls = 0
        self._found = [_Sample(0, float("inf"))] * 2  # alone, shared

    def of_next_call(self) -> bool:
        """Return whether the team shares the steps of the next call."""
        call, self._calls = self._calls, self._calls + 1
        if call < TURNS:
            return call % 2 == 1
        alone, shared = self._found
        return (shared.seconds < alone.seconds) != (call % AGAIN == 0)

    def took(self, shared: bool, steps: int, seconds: float) -> None:
        """Keep how long a call's steps took together, unless they were so few that the call itself counts."""
        if steps > 0 and 2 * steps >= self._found[shared].steps:
            self._found[shared] = _Sample(steps, seconds / steps)
