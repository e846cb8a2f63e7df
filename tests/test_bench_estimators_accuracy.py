"""The table of accuracies, from a small part of what it measures."""

import pytest

from bench.estimators_accuracy import TASKS, measured, render
from fastmlp.sklearn import FastMLPClassifier


def test_a_data_set_has_a_line_an_estimator_and_scaling():
    head, _, *lines = render(["iris"], seeds=1).splitlines()
    assert "5 folds, 1 seeds" in head
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        [f"| iris, {scaled}", kind]
        for scaled in ("as it is", "standardised")
        for kind in ("FastMLPClassifier", "MLPClassifier")
    ]


@pytest.mark.parametrize("name", ["breast cancer", "wine"])
def test_raw_features_reach_what_is_promised(name):
    least = {"breast cancer": 0.95, "wine": 0.96}[name]
    scores = measured(TASKS[name], FastMLPClassifier, scaled=False, seeds=1).scores
    assert len(scores) == 5
    assert sum(scores) / 5 >= least
