"""The tables of the usual network: their lines, and what they are computed from."""

import pytest

from bench import own_defaults
from bench.own_defaults import (
    BEFORE,
    CHANGES,
    CHOICE,
    HELD,
    LINEAR,
    TREES,
    USUAL,
    Figures,
    config_of,
    load,
    measured,
    render,
    summary,
)

QUICK = {USUAL: {"epochs": 2}, BEFORE: {"epochs": 2, "hidden": (4,)}}


@pytest.mark.parametrize("name", ["few rows", "multilabel", "friedman1, few"])
def test_each_kind_of_target_is_measured_beside_both_models_of_scikit_learn(name):
    found = measured(name, 0, QUICK)
    assert list(found) == [TREES, LINEAR, USUAL, BEFORE]
    assert 0.3 < found[LINEAR].score < 1
    assert 0 < found[LINEAR].skill < 1
    assert found[LINEAR].score == found[LINEAR].skill or name != "friedman1, few"


def test_the_tables_have_a_line_a_model_and_a_set(monkeypatch):
    monkeypatch.setattr(own_defaults, "CHANGES", QUICK)
    lines = render(["few rows", "moons"], splits=2).splitlines()
    assert "On the 2 sets it was chosen on:" in lines
    first = [line.split(" | ")[0].strip("| ") for line in lines if line.startswith("|")]
    assert sorted(first[2:6]) == sorted([USUAL, BEFORE, TREES, LINEAR])
    assert first[-2:] == ["few rows", "moons"]


def test_a_difference_has_the_error_of_a_mean_over_sets():
    found = {
        str(i): {USUAL: [Figures(0.5, 0.5, 1.0)], "other": [Figures(0.5 + off, 0.5, 3.0)]}
        for i, off in enumerate((0.1, 0.2, 0.3))
    }
    assert "| other | 0.7000 | +0.2000 ± 0.0577 | 0.5000 | +0.0000 ± 0.0000 | 3 of 3 | 3.00 |" in summary(found)


def test_a_change_is_of_the_usual_run():
    dataset = load("few rows", 0)
    usual, before = (config_of(dataset, CHANGES[name], 5) for name in (USUAL, BEFORE))
    assert (usual.seed, usual.threads, before.layers) == (5, 1, (20, 256, 256, 2))
    assert usual.weight_decay != before.weight_decay


def test_a_set_is_held_back_or_chosen_on():
    assert not set(CHOICE) & set(HELD)
