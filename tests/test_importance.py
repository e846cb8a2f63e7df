"""The permutation importance of columns: what it finds, how it is shuffled, and how it is drawn."""

import io
from typing import Any

import numpy as np
import pytest

from fastmlp.errors import ConfigError, DataError
from fastmlp.report.importance import Importances, permutation_importance
from fastmlp.report.plots.importance import importance, importance_table
from fastmlp.report.plots.style import styled
from fastmlp.runs.metrics import answers_of, measure
from hostile import HOSTILE

ROWS = np.random.default_rng(0).normal(size=(500, 4))
ROWS.flags.writeable = False
COLUMNS = {"small": [0], "large": [1], "none": [2, 3]}


def predict(rows: np.ndarray) -> np.ndarray:
    return rows[:, 0] + 3 * rows[:, 1]


def probabilities(rows: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(-4 * rows[:, 1]))
    return np.stack([1 - p, p], axis=1)


def found(**options: Any) -> Importances:
    return permutation_importance(predict, ROWS, predict(ROWS), "numbers", COLUMNS, **options)


def test_columns_come_by_what_they_are_worth() -> None:
    one = found()
    assert [column.name for column in one.columns] == ["large", "small", "none"]
    assert [column.mean for column in one.columns] == pytest.approx([1.8, 0.2, 0.0], abs=0.25)  # 2 of their share
    assert all(len(column.worse) == 5 for column in one.columns)
    assert one.columns[0].spread > 0
    assert one.columns[2].worse == (0.0,) * 5
    assert (one.metric.name, one.value, one.rows) == ("R2", 1.0, 500)
    assert found() == one
    assert found(seed=1).columns != one.columns
    assert found(repeats=1).columns[0].spread == 0


def test_a_metric_of_either_direction_is_worse_above_0() -> None:
    for metric in ("R2", "RMSE", "MAE"):
        assert found(metric=metric).columns[0].mean > 0
    labels = (ROWS[:, 1] > 0).astype(np.int64)
    for metric in (None, "accuracy", "AUC", "log loss"):
        one = permutation_importance(probabilities, ROWS, labels, "classes", COLUMNS, metric=metric)
        assert one.columns[0].name == "large"
        assert one.columns[0].mean > 0.2
        assert one.metric.name == (metric or "log loss")
    several = permutation_importance(probabilities, ROWS, np.stack([1 - labels, labels], 1), "labels", COLUMNS)
    assert several.columns[0].name == "large"


def test_values_of_one_column_are_shuffled_together_and_put_back() -> None:
    rows = np.eye(3)[np.arange(60) % 3].astype(np.float32)  # one category in three values
    rows = np.concatenate([rows, np.arange(60, dtype=np.float32)[:, None]], axis=1)
    seen: list[np.ndarray] = []

    def watch(some: np.ndarray) -> np.ndarray:
        seen.append(some.copy())
        return some[:, 0]

    permutation_importance(watch, rows, rows[:, 0], "numbers", {"category": [0, 1, 2], "number": [3]}, repeats=2)
    assert len(seen) == 5
    assert np.array_equal(seen[0], rows)
    for some in seen[1:3]:
        assert some.dtype == np.float32
        assert np.array_equal(some[:, :3].sum(axis=1), np.ones(60))
        assert not np.array_equal(some[:, :3], rows[:, :3])
        assert np.array_equal(some[:, 3], rows[:, 3])
    for some in seen[3:]:
        assert np.array_equal(some[:, :3], rows[:, :3])
        assert sorted(some[:, 3]) == list(range(60))


def test_many_rows_are_sampled_and_weights_count() -> None:
    assert found(most_rows=100).rows == 100
    weights = np.zeros(500)
    weights[:50] = 1
    targets = np.where(weights, predict(ROWS), 1e6)
    one = permutation_importance(predict, ROWS, targets, "numbers", COLUMNS, weights=weights)
    assert one.value == measure(answers_of("numbers", targets[:50], predict(ROWS)[:50])).values["R2"] == 1
    told: list[int] = []
    found(tell=told.append)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"kind": "ranks"}, ConfigError, "kind is 'ranks'"),
        ({"metric": "accuracy"}, ConfigError, "metric is 'accuracy', allowed: RMSE, MAE, R2"),
        ({"repeats": 0}, ConfigError, "repeats is 0"),
        ({"most_rows": 0}, ConfigError, "most_rows is 0"),
        ({"columns": {}}, DataError, "there are none"),
        ({"columns": {"a": []}}, DataError, "Column 'a' has the values"),
        ({"columns": {"a": [4]}}, DataError, r"Column 'a' has the values \[4\]; allowed are 0 to 3"),
        ({"columns": {"a": [-1]}}, DataError, "Column 'a'"),
        ({"targets": np.ones(500)}, DataError, "has no R2 to go by: the target is constant here"),
        ({"predict": lambda rows: rows[:, 0] * np.nan}, DataError, "has no R2 to go by: 500 of 500 rows"),
        ({"targets": np.ones(499)}, DataError, r"\[500, 499, 500\] in number"),
        ({"weights": np.ones(499)}, DataError, r"\[500, 500, 499\] in number"),
    ],
)
def test_what_cannot_be_is_an_error(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    given = {"predict": predict, "rows": ROWS, "targets": predict(ROWS), "kind": "numbers", "columns": COLUMNS}
    with pytest.raises(error, match=words):
        permutation_importance(**given | changes)


@pytest.mark.parametrize("narrow", [False, True])
def test_bars_are_the_means_with_their_range_and_the_table_has_all(narrow: bool) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    one = found()
    with styled():
        figure = importance(one, narrow)
        [axes] = figure.axes
        widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
        assert widths == pytest.approx([column.mean for column in one.columns])
        assert [text.get_text() for text in axes.get_yticklabels()] == ["large", "small", "none"]
        assert axes.get_xlabel() == "fall of R2"
        many = {f"column {i} {text}": [i % 4] for i, text in enumerate(HOSTILE * 3)}
        figure = importance(permutation_importance(predict, ROWS, predict(ROWS), "numbers", many, repeats=1), narrow)
        assert len(figure.axes[0].patches) == 25
        figure.savefig(io.BytesIO(), format="svg")
    table = importance_table(one)
    assert [row[0] for row in table.rows] == ["large", "small", "none"]
    assert table.rows[2][1:] == ["0.0000"] * 4
    assert table.facts == [
        "Fall of R2 where a column is shuffled among 500 rows, 5 times each; with no column shuffled it is 1.0000."
    ]


def test_shares_are_in_percent() -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    labels = (ROWS[:, 1] > 0).astype(np.int64)
    one = permutation_importance(probabilities, ROWS, labels, "classes", COLUMNS, metric="accuracy")
    with styled():
        [axes] = importance(one).axes
    assert axes.get_xlabel() == "fall of accuracy in %"
    assert axes.patches[0].get_width() == pytest.approx(100 * one.columns[0].mean)  # type: ignore[attr-defined]
    assert importance_table(one).rows[0][1] == f"{100 * one.columns[0].mean:.2f}"
    loss = permutation_importance(probabilities, ROWS, labels, "classes", COLUMNS)
    with styled():
        assert importance(loss).axes[0].get_xlabel() == "rise of log loss in nats"
