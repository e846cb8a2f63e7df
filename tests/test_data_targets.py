"""Targets of a table: classes, labels or numbers, by their values or by a task, and what is none of them."""

import numpy as np
import pytest

from fastmlp.data.frame import frame_of, read_frame
from fastmlp.data.targets import MOST_CLASSES, Targets, class_words, targets_as, targets_of
from fastmlp.errors import ConfigError, DataError


def targets(*columns, task=None) -> Targets:
    names = [f"y{i}" for i in range(len(columns))]
    return targets_of(frame_of(dict(zip(names, columns, strict=True)), target=names), names, task)


@pytest.mark.parametrize(
    ("values", "names", "codes"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([True, False, True], ("false", "true"), [1, 0, 1]),
        ([0.0, 1.0, 1.0], ("0", "1"), [0, 1, 1]),
        (["a", None, "b"], ("a", "b"), [0, 1]),
        (["<=50K", ">50K", "<=50K"], ("<=50K", ">50K"), [0, 1, 0]),
    ],
)
def test_classes(values, names, codes):
    found = targets(values)
    assert found.kind == "classes"
    assert found.names == names
    assert found.values.dtype == np.int64
    assert found.values.tolist() == codes


@pytest.mark.parametrize("values", [[1.5, 2.5, 2.5], [0.0, 2.0, 2.0], np.arange(50), [1.5, 2, None, 1], [3, 5, 7, 5]])
def test_numbers(values):
    found = targets(values)
    assert found.kind == "numbers"
    assert found.values.dtype == np.float64
    assert found.values.tolist() == [one for one in values if one is not None]
    assert found.names == ("y0",)


def test_several_columns_are_labels_or_numbers():
    labels = targets([0, 1, 1], [True, False, True], [1.0, 0.0, 0.0])
    assert (labels.kind, labels.values.dtype, labels.names) == ("labels", np.uint8, ("y0", "y1", "y2"))
    assert labels.values.tolist() == [[0, 1, 1], [1, 0, 0], [1, 1, 0]]
    numbers = targets([0, 1, 2], [0.5, 1.5, 2.5])
    assert (numbers.kind, numbers.values.dtype, numbers.values.shape) == ("numbers", np.float64, (3, 2))
    assert numbers.values.flags.c_contiguous
    with pytest.raises(DataError, match="'y1' is neither"):
        targets([0, 1, 1], ["a", "b", "a"])


def test_a_task_overrides():
    assert targets([0, 1, 1], task="regression").kind == "numbers"
    assert targets([0, 1, 1], task="labels").values.tolist() == [[0], [1], [1]]
    found = targets([1.5, 2.5, 2.5, 1.5], task="classification")
    assert (found.kind, found.names) == ("classes", ("1.5", "2.5"))
    assert targets([0, 1, 1], [1, 0, 0], task="regression").kind == "numbers"
    assert targets(["1.5", "2", "007"], task="regression").values.tolist() == [1.5, 2, 7]
    with pytest.raises(ConfigError, match=r"no task 'clasification'. Did you mean 'classification'\?"):
        targets([0, 1], task="clasification")
    with pytest.raises(DataError, match="Classes are one column, and 2 were named"):
        targets([0, 1], [0, 1], task="classification")
    with pytest.raises(DataError, match="The label 'y0' is 2 in row 2; labels are 0 or 1"):
        targets([0, 2], task="labels")
    with pytest.raises(DataError, match="The label 'y0' is 'a' in row 1"):
        targets(["a", "b"], task="labels")
    with pytest.raises(DataError, match="'y0' has 'b' in row 2, which is no number"):
        targets(["1", "b", "3"], task="regression")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["a", "a", "a"], r"'y0' is 'a' in all 3 rows: one class"),
        ([3, 3], r"'y0' is '3' in all 2 rows: one class"),
        ([1.5, 1.5], r"'y0' is 1.5 in all 2 rows"),
        ([1.5, np.inf, 2.5], r"'y0' is inf in row 2"),
        ([1.5, None, -np.inf], r"'y0' is -inf in row 3"),
        ([None, None], r"All 2 rows .* their target 'y0' is missing"),
        ([f"name {i}" for i in range(100)], r"has 100 classes in 100 rows; .* It may be an id or a text"),
        ([f"name {i}" for i in range(MOST_CLASSES + 1)] * 3, r"has 10,001 classes in 30,003 rows; allowed are 10,000"),
        (np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]"), r"'y0' holds times"),
    ],
)
def test_targets_that_nothing_can_be_learnt_from(values, words):
    with pytest.raises(DataError, match=words):
        targets(values)


def test_many_numbers_as_classes():
    with pytest.raises(DataError, match=r"has 100 classes in 100 rows.*Choose the task regression, or name another"):
        targets(np.arange(100) + 0.5, task="classification")


def test_labels_that_are_all_the_same():
    assert targets([0, 0], [0, 1]).values.tolist() == [[0, 0], [0, 1]]
    with pytest.raises(DataError, match="The target 'y0', 'y1' is 0 in all 2 rows"):
        targets([0, 0], [1, 1])


def test_targets_that_are_not_there():
    frame = frame_of({"income": [1, 2]})
    with pytest.raises(DataError, match=r"no column 'Incme'. Did you mean 'income'"):
        targets_of(frame, "Incme")
    with pytest.raises(ConfigError, match="No target was named"):
        targets_of(frame, [])
    with pytest.raises(DataError, match=r"'y' is missing in 1 rows, first in row 2. Name it when the table is read"):
        targets_of(frame_of({"y": [1, None, 3]}), "y")
    with pytest.raises(DataError, match="'y' is missing in all rows"):
        targets_of(frame_of({"y": [None, None], "x": [1, 2]}), "y")


def test_classes_with_a_single_row_are_said():
    assert class_words(targets(["a", "a", "b", "b"])) == []
    assert class_words(targets([0.5, 1.5])) == []
    words = class_words(targets(["a", "a", "b", "c"]))
    assert words == ["2 of 3 classes have a single row, which can be in one part alone: 'b', 'c'."]


def test_targets_of_another_file_are_those_of_training(tmp_path):
    train = targets(["b", "a", "c", "a"])
    assert targets_as(frame_of({"y": ["c", "c"]}), "y", "classes", train.names).values.tolist() == [2, 2]
    with pytest.raises(DataError, match="'y' is 'd' in row 2, a class that training has not; it has 'a', 'b', 'c'"):
        targets_as(frame_of({"y": ["c", "d"]}), "y", "classes", train.names)
    numbers = targets([3, 4, 4])
    (tmp_path / "t.csv").write_text("y\n4\n3\n")
    assert targets_as(read_frame(tmp_path / "t.csv"), "y", "classes", numbers.names).values.tolist() == [1, 0]
    assert targets_as(frame_of({"y": [7, 7]}), "y", "numbers", ("y",)).values.tolist() == [7, 7]
    assert targets_as(frame_of({"y": [0, 0], "z": [0, 0]}), ["y", "z"], "labels", ("y", "z")).values.shape == (2, 2)
