"""The step taken apart: its parts are a step, bit for bit, and the table has a row for each."""

import pytest

from bench import roofline
from bench.peak import precisions

pytestmark = [
    pytest.mark.filterwarnings("ignore:this CPU has no bfloat16:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:this CPU has no instructions for products of 8-bit:RuntimeWarning"),
]


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_the_parts_together_are_a_step(precision, monkeypatch):
    monkeypatch.setattr(roofline, "ROWS", 2 * roofline.N)
    monkeypatch.setattr(roofline, "STEPS", 1)
    monkeypatch.setattr(roofline, "PASSES", 1)
    seconds = roofline.seconds_by_part(precision)  # fails unless the weights are those of as many steps
    assert set(seconds) == {name for name, part in roofline.PARTS.items() if part} | set(roofline.IN_ALL)


def test_the_table_has_sums_shares_and_speeds(monkeypatch):
    names = [*(name for name, part in roofline.PARTS.items() if part), *roofline.IN_ALL]
    monkeypatch.setattr(roofline, "seconds_by_part", lambda _: dict.fromkeys(names, 8.05306368e-3))
    monkeypatch.setattr(roofline, "measure", lambda *_: 125.0)
    monkeypatch.setattr(roofline, "copy_speed", lambda: 20.0)
    lines = {line.split(" | ")[0].strip("| "): line.strip("|").split(" | ") for line in roofline.render().splitlines()}
    first = lines["first product"]  # 805 MFLOP in 8.05 ms are 100 GFLOP/s
    assert [cell.strip() for cell in first[1:6]] == ["805", "8.053", "15", "2", "80%"]
    parts = 1 + sum(part is not None for part in roofline.PARTS.values())  # the shuffle is one
    assert lines["all of these"][2] == f"{parts * 8.05306368:.3f}"
    assert len(first) == 2 + 4 * len(precisions())
