"""The README's block on scikit-learn: its figures, and that both estimators are fitted alike."""

import json

import numpy as np
import pytest

from bench import estimators, fit_once
from bench.readme import README, markers, replace_block

MADE = {
    "data": "made", "rows": 10_000, "network": "4-3-2", "epochs": 50, "loading": 0.5, "peak": 200e6, "added": 10e6,
}  # fmt: skip


def fits(*figures):
    return [MADE | {"seconds": seconds, "accuracy": accuracy} for seconds, accuracy in figures]


def test_the_table_has_medians_and_ratios():
    measured = {
        (case, 1, name): fits((9.0, 0.5), (1.0, 0.7), (2.0, 0.6)) for case in fit_once.CASES for name in ["fastmlp"]
    }
    measured |= {(case, 1, "sklearn"): fits((3.0, 0.6), (4.0, 0.61), (5.0, 0.62)) for case in fit_once.CASES}
    block = estimators.render(measured, "Some CPU.")
    assert (
        "| made, 10,000 rows | 4-3-2, 50 epochs | 1 | **FastMLPClassifier** | 2 s | 200 MB | 10 MB | 60.00 |" in block
    )
    assert "| 1 | MLPClassifier | 4 s (2.00x) | 200 MB | 10 MB | 61.00 |" in block
    assert "Medians of 3 fits in turns, seeds 0 to 2" in block


def test_the_readme_has_room_for_the_table():
    text = README.read_text(encoding="utf-8")
    assert "new" in replace_block(text, estimators.BLOCK, "new").split(markers(estimators.BLOCK)[0])[1]


@pytest.mark.parametrize("case", fit_once.CASES.values(), ids=fit_once.CASES)
def test_both_estimators_get_equal_settings(case):
    ours, theirs = (make(case, 3, 1, 7).get_params() for make in fit_once.ESTIMATORS.values())
    different = {"threads", "init", "class_weight", "patience", "precision", "schedule", "weight_decay"}
    for name in ours.keys() - different:
        assert ours[name] == theirs[name], name
    assert theirs["alpha"] == ours["weight_decay"] * ours["batch_size"]
    assert (theirs["solver"], theirs["learning_rate"], theirs["nesterovs_momentum"]) == ("sgd", "constant", False)


@pytest.mark.parametrize("name", fit_once.ESTIMATORS)
def test_a_fit_tells_its_figures(name, capsys):
    assert fit_once.main([name, "tabular", "--epochs", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["rows"], figures["network"], figures["epochs"]) == (10_000, "100-128-5", 2)
    assert figures["seconds"] > 0
    assert figures["peak"] > figures["added"] >= 0
    assert 0.3 < figures["accuracy"] < 1  # of five classes; both learn in two epochs


def test_the_images_are_normalised_float32():
    _, (x, labels), (test, _) = fit_once.CASES["images"].data(None)
    assert x.dtype == test.dtype == np.float32
    assert len(x) == len(labels)
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-4)  # sums of 3072 float32 values of size 1
