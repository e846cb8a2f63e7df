"""Whether a team shares steps of a kind, or one thread takes them: whichever was the faster where both were tried.

A step of few rows is mostly the reading and writing of weights, which two threads then pass between their cores'
caches, and the meeting at barriers. What that costs beside what sharing saves depends on the CPU, the precision, the
network and what else the machine does: with two threads a step of 16 rows took 0.6 to 1.8 times as long as with one, on
CPUs that were not that different. The bits are the same either way, so it can be tried.
"""

# Calls before the faster way is kept: half of them by one thread, then half shared, in a row, as threads that have just
# come may be on one core for a while. The first calls have few steps as a rule; one that has far more begins its way's
# half again, as a single call says little of a way.
TURNS = 6
# Each so many calls the slower way is tried again, as the machine's other work comes and goes: also in a row, as the
# first call finds the other thread asleep, and the weights in the wrong cache.
AGAIN, TRIES = 128, 3
# Of so many calls the best one counts: a moment in which the machine did something else says nothing of the way, and
# after one alone the other way would be taken until this one is tried again.
LATEST = 4
# What sharing must take of the time of one thread: where it saves less, the other cores are better left alone.
WORTH = 0.97


class _Way:
    """What a step took by one way in the latest calls."""

    def __init__(self) -> None:
        self.turns = 0  # calls, from the first one of about as many steps as now
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
            self.turns = 1
        self._steps = max(steps, self._steps)
        self._seconds = [*self._seconds, seconds / steps][-LATEST:]


class Sharing:
    """The way of one kind of steps, call by call."""

    def __init__(self) -> None:
        self._calls = 0
        self._ways = _Way(), _Way()  # alone, shared

    def of_next_call(self) -> bool:
        """Return whether the team shares the steps of the next call."""
        alone, shared = self._ways
        if min(alone.turns, shared.turns) < TURNS // 2:
            shares = alone.turns >= TURNS // 2
        else:
            shares = (shared.seconds < WORTH * alone.seconds) != (self._calls % AGAIN < TRIES)
        self._calls += 1
        self._ways[shares].turns += 1
        return shares

    def took(self, shared: bool, steps: int, seconds: float) -> None:
        """Keep how long a call's steps took together."""
        self._ways[shared].took(steps, seconds)
