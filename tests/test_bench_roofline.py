"""The phases of a training step: timed in a real run, and a row of the table for each case."""

import numpy as np
import pytest

from bench import roofline
from bench.peak import precisions


def test_every_phase_of_a_run_is_timed(monkeypatch):
    monkeypatch.setattr(roofline, "ROWS", 2 * roofline.N)
    monkeypatch.setattr(roofline, "STEPS", 1)
    monkeypatch.setattr(roofline, "RUNS", 1)
    cases = [roofline.Case("images", "int8", 2), roofline.Case("float rows", "bfloat16", 1)]
    both, alone = roofline.measured(cases).values()
    assert set(both.phases) == set(alone.phases) == {*roofline.FLOP, *roofline.ROUNDING}
    assert all(seconds > 0 for seconds in both.phases.values())
    assert all(alone.phases[phase] > 0 for phase in roofline.FLOP)  # what is not gone through takes no time
    assert all(alone.phases[phase] == 0 for phase in roofline.ROUNDING)
    assert alone.waiting == 0 < both.waiting < 1


def test_times_are_the_medians_from_barrier_to_barrier():
    def run(work, wait):
        return {phase: np.array([[work, wait], [work + wait, 0]]) for phase in (*roofline.FLOP, *roofline.ROUNDING)}

    times = roofline._times([run(3.0, 1.0), run(4.0, 2.0), run(90.0, 10.0)])
    assert set(times.phases.values()) == {6.0}
    assert times.waiting == pytest.approx(1 / 8)  # of 0.125, 1/6 and 0.05


def test_the_table_has_shares_and_speeds(monkeypatch):
    phases = dict.fromkeys(roofline.FLOP, 8e-3) | dict.fromkeys(roofline.ROUNDING, 1e-3)
    monkeypatch.setattr(roofline, "measured", lambda cases: {case: roofline.Times(phases, 0.125) for case in cases})
    monkeypatch.setattr(roofline, "measure", lambda threads, _: 250.0 * threads)
    monkeypatch.setattr(roofline, "copy_speed", lambda: 20.0)
    head, _, names, _, *lines = roofline.render().splitlines()
    assert "weights 811 MFLOP" in head
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (names, *lines)]
    assert {len(row) for row in rows} == {len(roofline.HEADER)}
    by_case = {tuple(row[:3]): row[3:] for row in rows[1:]}
    # 816 MFLOP in 8 ms are 102 GFLOP/s; both phases, 1,627 MFLOP, in 18 ms with the rounding are 90
    assert by_case["images", "float32", "1"][:4] == ["8.000", "41%", "8.000", "41%"]
    assert by_case["images", "float32", "1"][6:9] == ["18.000", "36%", "12.5%"]
    if "int8" in precisions():
        assert by_case["images", "int8", "1"][4:6] == ["2.000", "1"]
        assert ("float rows", "int8", "1") not in by_case
