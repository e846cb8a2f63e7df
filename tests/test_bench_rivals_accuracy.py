"""The programs beside ours train the same network, and the page draws what was measured."""

import json

import pytest

from bench import rivals_accuracy
from fastmlp.report import __main__ as report
from fastmlp.runs.results import load_results
from fastmlp.train import main


@pytest.mark.usefixtures("undrawn")
def test_all_that_are_installed_learn_and_are_drawn(tmp_path, capsys):
    small = ["--dataset", "embedded", "--layers", "3072,8,20", "--epochs", "3", "--lr", "0.05", "--normalize", "image"]
    assert main([*small, "--workers", "threads", "--quiet", "--out", str(tmp_path)]) == 0
    assert rivals_accuracy.main([str(tmp_path), "--run", "none"]) == 2
    assert "No run of that id" in capsys.readouterr().err
    assert rivals_accuracy.main([str(tmp_path)]) == 0
    found = json.loads((tmp_path / "rivals.json").read_text(encoding="utf-8"))
    [run] = load_results(tmp_path / "results.json")[1]
    assert found["run_id"] == run.run_id
    assert [one["name"] for one in found["rivals"]][:3] == [
        "fastmlp, float32", "plain numpy, float64", "scikit-learn, float32",
    ]  # fmt: skip
    for one in found["rivals"]:
        assert len(one["seconds"]) == len(one["val_accuracy"]) == 3
        assert one["seconds"] == sorted(one["seconds"])
        # Each has its own starting weights and order: with so few images they differ by some points.
        assert one["val_accuracy"][-1] == pytest.approx(run.val_accuracy, abs=0.15)
        assert one["val_accuracy"][-1] > one["val_accuracy"][0] - 0.02
    assert report.main([str(tmp_path)]) == 0
    assert "Beside other programs" in (tmp_path / "report.html").read_text(encoding="utf-8")
