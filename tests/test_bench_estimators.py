"""The table of estimators: what is measured, and that both are given the same."""

import numpy as np
import pytest

from bench import estimators
from bench.estimators import TASKS, Task, estimator, measured, render


@pytest.mark.parametrize("name", TASKS)
def test_rows_are_float32(name):
    x, y, x_test, y_test, _ = estimators.rows(name, None)
    assert x.dtype == x_test.dtype == np.float32
    assert (len(x), len(x_test)) == (len(y), len(y_test))


def test_both_are_given_the_same_settings():
    task = TASKS["images"]
    ours, theirs = (estimator(kind, task, 1).get_params() for kind in ("fastmlp", "sklearn"))
    for name in ("hidden_layer_sizes", "activation", "learning_rate_init", "momentum", "batch_size", "max_iter"):
        assert ours[name] == theirs[name]
    assert theirs["alpha"] == ours["weight_decay"] * task.batch
    assert not theirs["nesterovs_momentum"]


@pytest.mark.parametrize("kind", ["fastmlp", "sklearn"])
def test_a_fit_is_measured(kind, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 8)).astype(np.float32)
    y = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    monkeypatch.setattr(estimators, "rows", lambda *_: (x, y, x, y, "four quarters"))
    monkeypatch.setitem(TASKS, "tiny", Task("", 16, "tanh", 0.1, 1e-4, 20, 30))
    result = measured(kind, "tiny", 1, None)
    assert result["about"] == "four quarters"
    assert result["accuracy"] > 0.9
    assert result["seconds"] > 0
    assert result["bytes"] >= 0


def test_the_table_has_medians_and_ratios(monkeypatch):
    times = iter([1.0, 3.0, 2.0, 9.0, 1.2, 3.0])
    monkeypatch.setattr(
        estimators, "_in_a_process",
        lambda *_: {"about": "rows", "first": 5.0, "seconds": next(times), "bytes": 2e6, "accuracy": 0.5},
    )  # fmt: skip
    *_, ours, theirs = render(None, [1], 3, ["tabular"]).splitlines()
    end = "| 2 MB | 50.00 % | 5.0 s |"
    assert ours.endswith(f"| 1 | FastMLPClassifier | 1.20 s {end}")
    assert theirs.endswith(f"| 1 | MLPClassifier | 3.00 s (2.50x) {end}")
