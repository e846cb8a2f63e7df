"""How a step grows: every rival has a turn at every size, cliffs are found, and the chart has a line for each."""

import pytest

from bench import growth, growth_chart
from bench.growth import SWEEPS, Line, Sweep
from bench.networks import Work
from bench.worker import TookTooLong

WIDTHS = Sweep("width", "10-w-w-10, batch 128", (16, 46, 64, 128), lambda width: Work((10, width, width, 10), 128))


class Rival:
    """Answers at once, but is not ready for wide networks where it is JAX."""

    def __init__(self, kind, rival, threads):
        assert (kind, threads) == ("train", 1)
        self.rival, self.closed = rival, False
        started.append(self)

    def start(self, within, **arguments):  # noqa: ARG002
        assert arguments["count"] % arguments["batch"] == 0
        if self.rival == "jax" and arguments["layers"][1] > 64:
            raise TookTooLong("'start' took more than 0 s")
        return 3, 0.03

    def ask(self, work, *, times):
        assert (work, times) == ("round", 3)
        order.append(self.rival)

    def close(self):
        self.closed = True


started: list[Rival] = []
order: list[str] = []


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(growth, "QUIET_SECONDS", 0)
    started.clear()
    order.clear()


def lines(seconds, threads=1, rival="fastmlp"):
    return Line(WIDTHS, threads, rival, dict(zip(WIDTHS.sizes, seconds, strict=False)))


def steady(threads=1, rival="fastmlp", slower=1.0):
    """A line of 10 us a step, and 10 GFLOP/s."""
    line = lines([])
    return lines([slower * (1e-5 + line.flop(size) / 1e10) for size in WIDTHS.sizes], threads, rival)


def test_rivals_take_turns_and_a_slow_one_has_no_figure(capsys):
    found = growth.measured([WIDTHS], 1, growth.RIVALS, Rival)
    assert order[: 2 * 3] == ["fastmlp", "torch", "jax"] * 2
    by_rival = {line.rival: list(line.seconds) for line in found}
    assert by_rival == {"fastmlp": [16, 46, 64, 128], "torch": [16, 46, 64, 128], "jax": [16, 46, 64]}
    assert "jax has no figure" in capsys.readouterr().err
    assert all(rival.closed for rival in started)


def test_what_looks_like_a_cliff_is_timed_again(monkeypatch):
    line, timed = steady(), []

    def turns(workers, work):  # noqa: ARG001
        width = work.layers[1]
        timed.append(width)
        return {"fastmlp": line.seconds[width] * (1 if width in timed[:-1] else {46: 20}.get(width, 1))}

    monkeypatch.setattr(growth, "_turns", turns)
    [found] = growth.measured([WIDTHS], 1, ["fastmlp"], Rival)
    assert timed == [16, 46, 64, 128, 46]
    assert found.seconds == line.seconds


def test_a_size_that_is_slower_than_its_neighbours_is_a_cliff():
    line = steady()
    assert list(line.cliffs()) == []
    line.seconds[46] *= 20
    assert {size for size, _ in line.cliffs()} == {46}
    assert all("times as long" in why for _, why in line.cliffs())


def test_a_cliff_to_all_larger_sizes_and_one_of_the_smallest_are_found():
    rest = steady()
    for size in (64, 128):
        rest.seconds[size] *= 20
    assert [(size, "16" in why or "46" in why) for size, why in rest.cliffs()] == [(64, True)]
    first = steady()
    first.seconds[16] *= 100
    assert [size for size, _ in first.cliffs()] == [16]


def test_the_tables_have_shares_ratios_and_cliffs_of_ours_first(monkeypatch):
    monkeypatch.setattr(growth, "version", lambda _package: "1.0")  # rivals need not be installed
    theirs = steady(rival="torch", slower=2)
    theirs.seconds[46] *= 20
    both = steady(2, slower=0.5)
    both.seconds[46] *= 20
    text = growth.render([steady(), theirs, both], {1: 20.0, 2: 40.0})
    assert (
        "| width | fastmlp, 1 thread | PyTorch, 1 thread | fastmlp, 2 threads | 1 thread's time over that of 2 |"
        in text
    )
    assert "GFLOP/s (50%) | " in text
    assert "(2.00x) | " in text
    assert "| 2.00x |" in text
    assert text.index("- fastmlp, width 46, 2 threads: ") < text.index("- PyTorch, width 46, 1 thread: ")
    assert "No cliff" in growth.render([steady()], {1: 20.0})


def test_quick_sizes_are_some_of_all():
    for sweep in SWEEPS:
        assert set(growth.quick(sweep).sizes) < set(sweep.sizes)
        assert list(sweep.sizes) == sorted(sweep.sizes)
    assert {46, 47, 63, 65, 100, 127, 129} <= set(SWEEPS[1].sizes)
    assert SWEEPS[2].work(2).layers == (64, 64, 64, 10)


def test_the_chart_is_drawn_wide_and_narrow_and_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    found = [steady(), steady(2), steady(rival="jax", slower=3)]
    for name in ("a.svg", "b.svg"):
        growth_chart.draw(found, {1: 20.0, 2: 40.0}, tmp_path / name)
    wide, narrow = ((tmp_path / f"a{end}.svg").read_text("utf-8") for end in ("", "-narrow"))
    assert wide == (tmp_path / "b.svg").read_text("utf-8")
    for text in (wide, narrow):
        for label in ("fastmlp, 2 threads", "JAX, 1 thread", "peak, 1 thread", "by width"):
            assert f">{label}</text>" in text
        assert "PyTorch" not in text
