"""The table of loss curves beside scikit-learn's: its cases, and its figures."""

import numpy as np

from bench import sklearn_curves
from bench.sklearn_curves import DTYPES, FORMS, TASKS, differences, render


def test_there_are_24_cases():
    assert len(TASKS) * len(DTYPES) * len(FORMS) == 24


def test_differences_are_the_largest_so_far(monkeypatch):
    curves = iter([np.array([1.0, 2.2, 3.0]), np.array([1.0, 2.0, 3.0])])
    monkeypatch.setattr(sklearn_curves, "curve", lambda *_: next(curves))
    np.testing.assert_allclose(differences(TASKS[0], "float64", "dense", (1, 2)), [0, 0.1])


def test_each_case_is_near_after_two_epochs():
    for task in TASKS:
        assert max(differences(task, "float64", "dense", (1, 2))) < 1e-12


def test_the_table_has_a_line_a_case(monkeypatch):
    monkeypatch.setattr(sklearn_curves, "differences", lambda *_: [0.0, 1.234e-13])
    *_, first, _, _, _ = render(TASKS[:1], (1, 2)).splitlines()
    assert first == "| 10 classes; Adam, ReLU | float64 | dense | 0 | 1e-13 |"
