"""Requests to stop: what counts as one, what stays ignored, and what a command says and returns."""

import os
import signal
import time

import pytest

from fastmlp import signals
from fastmlp.signals import Requests, Stopped, handled, raised

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
INT, TERM, HUP = 2, 15, 1


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give a clock that is put forward by hand."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Requests, "_last", float("-inf"))
    return now


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ([(INT, 0)], 1),
        ([(INT, 0), (INT, 0)], 2),
        ([(TERM, 0), (TERM, 0)], 1),  # as `timeout` sends it
        ([(TERM, 0), (TERM, 5)], 2),
        ([(HUP, 0), (HUP, 0), (HUP, 5)], 1),  # from the shell, and from the system once the shell has ended
        ([(INT, 0), (HUP, 5)], 1),
        ([(HUP, 0), (INT, 0)], 2),
        ([(HUP, 0), (TERM, 5)], 2),
    ],
)
def test_what_counts_as_a_request(given: list[tuple[int, int]], asked: int, clock: list[float]) -> None:
    requests = Requests()
    for signum, later in given:
        clock[0] += later
        requests(signum)
    assert (requests.asked, requests.signum) == (asked, given[0][0])


def test_a_request_that_is_told_twice_does_not_meet_what_begins_between(clock: list[float]) -> None:
    Requests()(HUP)
    with raised():
        os.kill(os.getpid(), HUP)
        clock[0] += 5
        with pytest.raises(Stopped):
            os.kill(os.getpid(), HUP)


@pytest.mark.parametrize(("signum", "name"), [(INT, "Ctrl-C"), (TERM, "SIGTERM"), (HUP, "SIGHUP")])
def test_a_signal_is_raised_named_and_returned(signum: int, name: str) -> None:
    before = [signal.getsignal(one) for one in signals.STOPS]
    with pytest.raises(KeyboardInterrupt) as stop, raised():
        os.kill(os.getpid(), signum)
    assert signals.status_of(stop.value) == 128 + signum
    assert signals.told(signals.signum_of(stop.value)) == f"Stopped by {name}."
    assert [signal.getsignal(one) for one in signals.STOPS] == before


def test_a_request_that_is_lost_where_c_calls_python_is_raised_again() -> None:
    class Lost:
        def __del__(self) -> None:
            os.kill(os.getpid(), TERM)
            lost.append(True)

    def lose() -> None:
        Lost()
        lost.append(False)
        for _ in range(200):
            time.sleep(0.05)

    lost: list[bool] = []
    with pytest.raises(Stopped), raised():
        lose()
    assert lost == [False]


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(HUP, signal.SIG_IGN)  # as by nohup
    try:
        requests = Requests()
        with handled(requests):
            os.kill(os.getpid(), HUP)
        assert requests.asked == 0
        assert signal.getsignal(HUP) == signal.SIG_IGN
    finally:
        signal.signal(HUP, before)
