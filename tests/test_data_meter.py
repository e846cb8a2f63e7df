import pytest

from fastmlp.data import Progress
from fastmlp.data.meter import Meter


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Give a clock that stands still until its one entry is set."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_speed_is_that_of_the_last_ten_seconds(clock):
    told: list[Progress] = []
    meter = Meter("a", 1000, told.append)
    for seconds, done in ((0, 100), (1, 200), (8, 300), (11, 400), (40, 400)):
        clock[0] = 100.0 + seconds
        meter.report(done)
    assert [one.bytes_per_second for one in told] == [0, 100, 25, 20, 0]


def test_reports_are_a_quarter_second_apart_but_for_notes(clock):
    told: list[Progress] = []
    meter = Meter("a", 1000, told.append)
    for milliseconds in range(0, 1000, 50):
        clock[0] = 100.0 + milliseconds / 1000
        meter.advance(milliseconds)
    meter.report(950, "a note")
    assert [one.done for one in told] == [0, 250, 500, 750, 950]
    assert [one.note for one in told] == ["", "", "", "", "a note"]


def test_a_count_that_falls_is_no_speed(clock):
    told: list[Progress] = []
    meter = Meter("a", 1000, told.append)
    meter.report(900)
    clock[0] += 1
    meter.report(0)
    assert told[-1].bytes_per_second == 0


def test_no_callback_is_fine():
    Meter("a", 10, None).report(3, "note")
