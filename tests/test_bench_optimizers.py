"""The table of optimisers' steps: its columns, and that each case is measured beside plain SGD."""

from bench import optimizers
from bench.optimizers import Network, render


def test_the_table_has_each_optimiser_with_and_without_clipping(monkeypatch):
    monkeypatch.setattr(optimizers, "OPTIMIZERS", {"sgd": optimizers.OPTIMIZERS["sgd"]})
    head, _, *lines = render(1, [Network((6, 5, 3), 4, 2)]).partition("\n\n")[2].splitlines()
    assert head == "| network | dtype | sgd | sgd, clipped |"
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| 6-5-3, batch 4", dtype] for dtype in ("float32", "float64")
    ]
    assert all(line.split(" | ")[2].endswith("(1.00)") for line in lines)
