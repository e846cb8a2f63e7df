"""The metrics: equal to scikit-learn's, right for cases made by hand, and None with a reason where undefined."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastmlp.errors import ConfigError, DataError
from fastmlp.runs.metrics import METRICS, Answers, answers_of, area_under_roc, measure


def softmax(z: np.ndarray) -> np.ndarray:
    odds = np.exp(z - z.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def classes(k: int, n: int = 200, seed: int = 0, digits: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Labels, each class with a row, and probabilities with ties; `digits` of their logits."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    return labels, softmax(np.round(rng.normal(size=(n, k)) + 0.8 * np.eye(k)[labels], digits))


def values(kind: str, targets: Any, outputs: Any, weights: Any = None) -> dict[str, float | None]:
    return measure(answers_of(kind, targets, outputs, weights)).values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [0, 6])
@pytest.mark.parametrize("k", [2, 3, 7])
def test_metrics_of_classes_are_those_of_scikit_learn(k: int, digits: int, weighted: bool) -> None:
    judge = pytest.importorskip("sklearn.metrics")
    labels, outputs = classes(k, digits=digits)
    w = np.random.default_rng(1).exponential(size=len(labels)) if weighted else None
    said = outputs.argmax(axis=1)
    scores = outputs[:, 1] if k == 2 else outputs
    expected = {
        "accuracy": judge.accuracy_score(labels, said, sample_weight=w),
        "balanced accuracy": judge.balanced_accuracy_score(labels, said, sample_weight=w),
        "log loss": judge.log_loss(labels, outputs, sample_weight=w, labels=range(k)),
        "AUC": judge.roc_auc_score(labels, scores, sample_weight=w, multi_class="ovr"),
        "macro F1": judge.f1_score(labels, said, sample_weight=w, average="macro"),
    }
    found = measure(answers_of("classes", labels, outputs, w))
    assert found.values == pytest.approx(expected, rel=1e-12)
    assert list(found.values) == list(METRICS["classes"])
    assert found.notes == found.each == {}


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_labels_are_those_of_scikit_learn(weighted: bool) -> None:
    judge = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    targets = rng.integers(0, 2, (150, 4))
    outputs = np.round(1 / (1 + np.exp(-rng.normal(size=(150, 4)) - targets)), 2)
    w = rng.exponential(size=150) if weighted else None
    said = (outputs > 0.5).astype(int)
    columns = list(zip(targets.T, outputs.T, strict=True))
    expected = {
        "subset accuracy": judge.accuracy_score(targets, said, sample_weight=w),
        "mean AUC": judge.roc_auc_score(targets, outputs, sample_weight=w),
        "Hamming loss": judge.hamming_loss(targets, said, sample_weight=w),
        "log loss": np.mean([judge.log_loss(t, o, sample_weight=w) for t, o in columns]),
    }
    found = measure(answers_of("labels", targets.astype(np.uint8), outputs, w))
    assert found.values == pytest.approx(expected, rel=1e-12)
    assert found.each["mean AUC"] == pytest.approx([judge.roc_auc_score(t, o, sample_weight=w) for t, o in columns])
    assert set(found.each) == {"mean AUC", "Hamming loss", "log loss"}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_metrics_of_numbers_are_those_of_scikit_learn(k: int, weighted: bool) -> None:
    judge = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    targets = 1e5 + rng.normal(size=(150, k)) * np.logspace(0, 3, k)
    outputs = targets + rng.normal(size=(150, k))
    w = rng.exponential(size=150) if weighted else None
    found = measure(answers_of("numbers", targets, outputs, w))
    for name, function in {
        "RMSE": judge.root_mean_squared_error,
        "MAE": judge.mean_absolute_error,
        "R2": judge.r2_score,
    }.items():
        assert found.values[name] == pytest.approx(function(targets, outputs, sample_weight=w), rel=1e-9)
        if k > 1:
            each = function(targets, outputs, sample_weight=w, multioutput="raw_values")
            assert found.each[name] == pytest.approx(each.tolist(), rel=1e-9)
    if k == 1:
        assert values("numbers", targets[:, 0], outputs[:, 0], w) == found.values
        assert found.each == {}


def test_a_few_rows_by_hand() -> None:
    outputs = np.array([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.6, 0.4]])
    found = values("classes", [0, 0, 1, 1], outputs)
    assert found["accuracy"] == found["balanced accuracy"] == 0.75
    assert found["AUC"] == (4 - 0.5) / 4  # of four pairs one is a tie
    assert found["log loss"] == pytest.approx(-(math.log(0.9) + 2 * math.log(0.6) + math.log(0.4)) / 4)
    assert found["macro F1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert values("classes", [0, 0, 1, 1], outputs, [1, 0, 0, 3])["accuracy"] == 0.25
    assert values("labels", [[1, 0], [1, 1]], [[0.7, 0.5], [0.6, 0.2]])["subset accuracy"] == 0.5  # 0.5 is no label
    assert values("numbers", [1.0, 2.0, 6.0], [1.0, 2.0, 3.0]) == pytest.approx(
        {"RMSE": math.sqrt(3), "MAE": 1.0, "R2": 1 - 9 / 14}
    )


@given(
    hits=arrays.arrays(np.bool_, 12),
    scores=arrays.arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    weights=arrays.arrays(np.float64, 12, elements=st.sampled_from([0.5, 1.0, 3.0])),
)
def test_the_auc_is_the_chance_over_all_pairs(hits: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> None:
    found = area_under_roc(hits, scores, weights)
    if found is None:
        assert hits.all() or not hits.any()
        return
    pairs = (scores[hits][:, None] > scores[~hits]) + 0.5 * (scores[hits][:, None] == scores[~hits])
    both = weights[hits][:, None] * weights[~hits]
    assert found == pytest.approx((pairs * both).sum() / both.sum())
    assert area_under_roc(~hits, scores, weights) == pytest.approx(1 - found)
    assert area_under_roc(hits, 2 * scores - 7, weights) == found


@given(seed=st.integers(0, 30), k=st.integers(2, 5), kind=st.sampled_from(["classes", "labels", "numbers"]))
def test_a_whole_weight_is_as_many_rows_and_none_is_no_row(seed: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    w = rng.integers(0, 3, 30)
    assume(w.any())
    targets = rng.integers(0, k, 30) if kind == "classes" else rng.integers(0, 2, (30, k))
    outputs = softmax(rng.normal(size=(30, k)))
    weighted = measure(answers_of(kind, targets, outputs, w))
    repeated = measure(answers_of(kind, np.repeat(targets, w, axis=0), np.repeat(outputs, w, axis=0)))
    assert weighted.values == pytest.approx(repeated.values)
    assert weighted.notes == repeated.notes


@given(
    targets=arrays.arrays(np.float64, (5, 2), elements=st.floats(allow_nan=False, allow_infinity=False)),
    outputs=arrays.arrays(np.float64, (5, 2), elements=st.floats()),
    weights=arrays.arrays(np.float64, 5, elements=st.floats(0, 1e308)),
)
def test_no_metric_of_numbers_is_nan_or_infinite(targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> None:
    assume(weights.any())
    found = measure(answers_of("numbers", targets, outputs, weights))
    for name, value in found.values.items():
        assert value is not None or found.notes[name]
        assert value is None or math.isfinite(value)
    assert all(one is None or math.isfinite(one) for each in found.each.values() for one in each)


def test_sizes_of_numbers_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=50)
    outputs = targets + 0.1 * rng.normal(size=50)
    usual = values("numbers", targets, outputs)
    for power in (-1000, 1000):
        scale = 2.0**power
        found = values("numbers", targets * scale, outputs * scale)
        assert found["R2"] == pytest.approx(usual["R2"])
        for name in ("RMSE", "MAE"):
            assert found[name] == pytest.approx((usual[name] or 0) * scale)
    apart = values("numbers", [1e15, 1e15 + 2], [1e15 + 1, 1e15 + 1])
    assert apart == pytest.approx({"RMSE": 1.0, "MAE": 1.0, "R2": 0.0})


def test_what_is_not_defined_is_none_with_a_reason() -> None:
    found = measure(answers_of("classes", [1, 1], [[0.3, 0.7], [0.6, 0.4]]))
    assert found.values["AUC"] is None
    assert found.notes["AUC"] == "all rows here are of one class"
    assert found.notes["balanced accuracy"] == "over the 1 of 2 classes that have rows here"
    assert found.values["balanced accuracy"] == 0.5
    found = measure(answers_of("labels", [[1, 0], [1, 1]], [[0.3, 0.7], [0.6, 0.8]]))
    assert found.values["mean AUC"] == 1.0
    assert found.each["mean AUC"] == (None, 1.0)
    assert found.notes["mean AUC"] == "over the 1 of 2 labels that some rows here have and some have not"
    found = measure(answers_of("labels", [1, 1], [0.3, 0.7]))
    assert (found.values["mean AUC"], found.notes["mean AUC"]) == (None, "no label differs between rows here")
    found = measure(answers_of("numbers", [0.1, 0.1, 0.1], [0.1, 0.2, 0.1]))
    assert found.values["R2"] is None
    assert "the target is constant here" in found.notes["R2"]
    assert found.values["RMSE"] == pytest.approx(0.1 / math.sqrt(3))
    found = measure(answers_of("numbers", [[1.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [1.0, 2.0]]))
    assert (found.values["R2"], found.each["R2"]) == (1.0, (None, 1.0))
    assert found.notes["R2"] == "over the 1 of 2 numbers of which it is defined"


def test_a_class_without_rows_is_left_out_and_said() -> None:
    labels, outputs = classes(3)
    without = labels != 2
    found = measure(answers_of("classes", labels[without], outputs[without]))
    assert found.notes["AUC"] == found.notes["balanced accuracy"] == "over the 2 of 3 classes that have rows here"
    assert "macro F1" not in found.notes  # as some rows were taken for it, wrongly
    assert all(value is not None for value in found.values.values())


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_answers_that_are_not_finite_have_no_metric(kind: str, odd: float) -> None:
    outputs = np.full((4, 2), 0.5)
    outputs[1, 0] = odd
    answers = answers_of(kind, [0, 1, 1, 0] if kind == "classes" else np.eye(4)[:, :2], outputs)
    found = measure(answers)
    assert set(found.values.values()) == {None}
    assert set(found.notes.values()) == {"1 of 4 rows have outputs that are not finite"}
    with pytest.raises(DataError, match="1 of 4 rows"):
        answers.check_finite()
    weights = [1, 0, 1, 1]  # without the row
    assert None not in measure(answers_of(kind, answers.targets, outputs, weights)).values.values()


def test_a_probability_of_zero_costs_36_nats() -> None:
    found = values("classes", [0, 1], [[1.0, 0.0], [1.0, 0.0]])
    assert found["log loss"] == pytest.approx(36.04 / 2, abs=0.01)
    assert values("labels", [0, 1], [1.0, 1.0])["log loss"] == pytest.approx(36.04 / 2, abs=0.01)
    assert values("classes", [0], np.array([[1 + 1e-6, -1e-6]], np.float32))["log loss"] == 0


@pytest.mark.parametrize(
    ("kind", "targets", "outputs", "weights", "words"),
    [
        ("classes", [0, 2], np.full((2, 2), 0.5), None, "target of row 1 is 2; allowed of classes are whole numbers"),
        ("classes", [0, -1], np.full((2, 2), 0.5), None, "target of row 1 is -1"),
        ("classes", [0.5, 1], np.full((2, 2), 0.5), None, "target of row 0 is 0.5"),
        ("classes", [0, math.nan], np.full((2, 2), 0.5), None, "target of row 1 is nan"),
        ("classes", ["a", "b"], np.full((2, 2), 0.5), None, "have the dtype <U1"),
        ("classes", [0, 1, 1], np.full((2, 2), 0.5), None, "shape"),
        ("classes", [[0], [1]], np.full((2, 2), 0.5), None, "shape"),
        ("classes", [], np.zeros((0, 2)), None, "one row or more"),
        ("classes", [0, 1], [[3.0, -1.0], [0.5, 0.5]], None, "allowed are probabilities"),
        ("classes", [0, 1], [[0.5, 0.4], [0.5, 0.5]], None, "of sum 1"),
        ("labels", [[0, 2]], [[0.5, 0.5]], None, "target of row 0 is 2; allowed of labels are 0 and 1"),
        ("labels", [[0, 1]], [[0.5, 1.5]], None, "allowed are probabilities"),
        ("labels", [[0, 1]], [[0.5]], None, "shape"),
        ("numbers", [1.0, math.inf], [1.0, 1.0], None, "target of row 1 is inf"),
        ("numbers", [1.0], [[[1.0]]], None, "shape"),
        ("numbers", [1.0, 2.0], [1.0, 1.0], [1.0], "Weights of the shape"),
        ("numbers", [1.0, 2.0], [1.0, 1.0], [1.0, -1.0], "0 or more"),
        ("numbers", [1.0, 2.0], [1.0, 1.0], [0.0, 0.0], "above 0"),
        ("numbers", [1.0, 2.0], [1.0, 1.0], [1.0, math.nan], "finite"),
        ("numbers", [1.0, 2.0], [1.0, 1.0], ["a", "b"], "finite"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(kind: str, targets: Any, outputs: Any, weights: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        answers_of(kind, targets, outputs, weights)


def test_another_kind_is_an_error() -> None:
    with pytest.raises(ConfigError, match="kind is 'ranks', allowed: classes, labels, numbers"):
        answers_of("ranks", [0], [[1.0]])


def test_the_table_tells_of_each_metric_what_a_reader_needs() -> None:
    for table in METRICS.values():
        for name, metric in table.items():
            assert metric.name == name
            assert metric.words.endswith(".")
            assert metric.text(None) == "-"
    accuracy, loss = METRICS["classes"]["accuracy"], METRICS["classes"]["log loss"]
    assert (accuracy.heading, accuracy.text(0.91234), accuracy.higher) == ("accuracy in %", "91.23", True)
    assert (loss.heading, loss.text(0.91234), loss.higher) == ("log loss in nats", "0.9123", False)
    texts = {1234.567: "1234.6", 123456.789: "123,457", 1.25e-7: "1.25e-07", 1.5e200: "1.5e+200"}
    assert {value: METRICS["numbers"]["RMSE"].text(value) for value in texts} == texts
    assert METRICS["numbers"]["RMSE"].heading == "RMSE"


def test_two_classes_have_one_curve() -> None:
    assert list(answers_of("classes", [0], [[0.5, 0.5]]).columns) == [1]
    answers = answers_of("classes", [0, 2], np.full((2, 4), 0.25))
    assert list(answers.columns) == [0, 1, 2, 3]
    assert answers.hits(2).tolist() == [False, True]
    labels = answers_of("labels", [[1, 0], [0, 0]], np.full((2, 2), 0.5))
    assert isinstance(labels, Answers)
    assert labels.hits(0).tolist() == [True, False]
