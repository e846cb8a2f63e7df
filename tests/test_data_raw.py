"""The record of what a source held: it takes what fits together, and says of anything else what is wrong with it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmlp.data.raw import Raw, first_not_finite
from fastmlp.data.sources.target import MOST_CLASSES, target_of
from fastmlp.errors import DataError

PLAIN: dict[str, Any] = {
    "rows": np.arange(8, dtype=np.float32).reshape(4, 2),
    "targets": {"y": np.array([0, 1, 1, 0])},
    "kinds": {"y": "classes"},
    "names": {"y": ("no", "yes")},
    "shape": None,
    "features": ("a", "b"),
    "source": "a test",
}
LABELS = {"targets": {"y": np.eye(4, 2, dtype=np.uint8)}, "kinds": {"y": "labels"}}
NUMBERS = {"targets": {"y": np.arange(8.0).reshape(4, 2)}, "kinds": {"y": "numbers"}}
IMAGES = {"rows": np.zeros((4, 12), np.uint8), "shape": (3, 2, 2), "features": ()}
NAN = np.where(np.arange(8).reshape(4, 2) == 5, np.nan, 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        LABELS,
        NUMBERS,
        IMAGES,
        {"targets": {"y": np.arange(4.0)}, "kinds": {"y": "numbers"}, "names": {"y": ("y",)}},
        {"part": np.array([0, 0, 2, 1], np.uint8)},
        {"rows": np.zeros((4, 2), np.uint8)},
        {"names": {"y": ("no", "yes", "never there")}},
    ],
)
def test_what_fits_is_taken(changes: dict[str, Any]) -> None:
    raw = Raw(**PLAIN | changes)
    assert replace(raw).rows is raw.rows


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rows": np.zeros((4, 2), np.float16)}, "rows are float16 of shape .4, 2.; they must be uint8, float32 or"),
        ({"rows": np.zeros((4, 2), ">f4")}, "rows are >f4"),
        ({"rows": np.zeros(4, np.float32)}, "rows are float32 of shape .4,."),
        ({"rows": np.zeros((2, 4), np.float32).T}, "C-contiguous"),
        ({"rows": np.zeros((0, 2), np.float32)}, "holds 0 rows of 2 numbers"),
        ({"rows": np.zeros((4, 0), np.float32)}, "holds 4 rows of 0 numbers"),
        ({"rows": NAN}, "row 2 has nan in column 1, counted from 0. Every number must be finite"),
        ({"rows": np.full((4, 2), -np.inf, np.float32)}, "row 0 has -inf in column 0"),
        ({"features": ("a",)}, "do not fit 1"),
        ({"features": ("a", "a")}, "two names of the feature are 'a'"),
        ({"features": ()}, "either images, with a shape, or features"),
        (IMAGES | {"shape": (3, 2, 3)}, "12 numbers, which do not fit .3, 2, 3."),
        ({"targets": {}, "kinds": {}, "names": {}}, "there must be one"),
        ({"kinds": {"z": "classes"}}, "must have its kind"),
        ({"kinds": {"y": "words"}}, "y is of kind 'words'; allowed are classes, labels, numbers"),
        ({"targets": {"y": np.array([0, 1])}}, "there are 4 rows, and y has 2 values"),
        ({"targets": {"y": np.array([0, 1, 2, 0])}}, "y is 2 in row 2; its 2 classes"),
        ({"targets": {"y": np.array([0, -1, 1, 0])}}, "y is -1 in row 1"),
        ({"targets": {"y": np.array([0.0, 1, 1, 0])}}, "classes must be int64"),
        ({"targets": {"y": np.ones(4, np.int64)}}, "y is of one class, 'yes', in all 4 training rows"),
        ({"part": np.array([0, 2, 2, 0], np.uint8)}, "y is of one class, 'no', in all 2 training rows"),
        ({"part": np.array([0, 2, 2, 2], np.uint8)}, "y is of one class, 'no', in the only row"),
        ({"part": np.array([2, 2, 2, 1], np.uint8)}, "no row is for training"),
        ({"part": np.array([0, 3, 0, 0], np.uint8)}, "one of 0, 1 and 2"),
        ({"part": np.zeros(4, np.int64)}, "the parts are int64"),
        ({"names": {"y": ("no", "\udcff")}}, "no text of Unicode"),
        (LABELS | {"targets": {"y": np.full((4, 2), 2, np.uint8)}}, "0 or 1"),
        (LABELS | {"targets": {"y": np.ones((4, 2), np.uint8)}}, "y is the same, .1, 1., in all 4"),
        (LABELS | {"names": {"y": ("a",)}}, "its 1 labels"),
        (NUMBERS | {"targets": {"y": NAN}}, "y is nan in row 2, counted from 0. Every target must be a finite"),
        (NUMBERS | {"targets": {"y": np.full((4, 2), 7.0)}}, "y is the same, .7.0, 7.0., in all 4"),
        (NUMBERS | {"targets": {"y": np.ones((4, 3))}}, "its 2 numbers"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Raw(**PLAIN | changes)


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_the_first_number_that_is_not_finite_is_found(rows: int, columns: int, data: st.DataObject) -> None:
    x = np.ones((rows, columns), np.float32)
    places = data.draw(st.sets(st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))))
    for place in places:
        x[place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    assert first_not_finite(x) == min(places, default=None)


def test_the_first_is_found_behind_many_rows() -> None:
    x = np.zeros((1 << 20, 9), np.float32)
    x[-1, 3] = np.nan
    assert first_not_finite(x) == ((1 << 20) - 1, 3)


@pytest.mark.parametrize(
    ("y", "task", "kind", "values", "names"),
    [
        ([3, -1, 3], None, "classes", [1, 0, 1], ("-1", "3")),
        ([10, 9], None, "classes", [1, 0], ("9", "10")),
        ([True, False], None, "classes", [1, 0], ("False", "True")),
        (["b", "ä", "b"], None, "classes", [0, 1, 0], ("b", "ä")),
        ([2.0, 1.0], "classes", "classes", [1, 0], ("1", "2")),
        ([[2], [1]], None, "classes", [1, 0], ("1", "2")),
        ([1.5, 2.0], None, "numbers", [1.5, 2], ("y",)),
        ([1, 2], "numbers", "numbers", [1, 2], ("y",)),
        ([[1, 2], [3, 4]], "numbers", "numbers", [[1, 2], [3, 4]], ("y0", "y1")),
        ([[1.5, 2], [3, 4]], None, "numbers", [[1.5, 2], [3, 4]], ("y0", "y1")),
        ([[1, 0], [1, 1]], None, "labels", [[1, 0], [1, 1]], ("y0", "y1")),
        ([[1.0, 0.0], [0.0, 1.0]], None, "labels", [[1, 0], [0, 1]], ("y0", "y1")),
        ([[1.0, 0.0], [0.0, 1.0]], "classes", "classes", [0, 1], ("y0", "y1")),
        ([[1, 0], [0, 1]], "numbers", "numbers", [[1, 0], [0, 1]], ("y0", "y1")),
        ([1, 0], "labels", "labels", [[1], [0]], ("y",)),
        (np.array([2**64 - 1, 0], np.uint64), None, "classes", [1, 0], ("0", str(2**64 - 1))),
    ],
)
def test_a_target_is_of_the_kind_that_it_looks_like_or_that_is_asked_for(
    y: Any, task: str | None, kind: str, values: Any, names: tuple[str, ...]
) -> None:
    made = target_of(np.array(y), "y", task)
    dtype = {"classes": np.int64, "labels": np.uint8, "numbers": np.float64}[kind]
    np.testing.assert_array_equal(made.values, np.array(values, dtype), strict=True)
    assert (made.kind, made.names) == (kind, names)


@pytest.mark.parametrize(
    ("y", "task", "told"),
    [
        (np.array([object()]), None, "y is object"),
        (np.array([1j]), None, "y is complex128"),
        (np.zeros((2, 2, 2)), None, "of shape .2, 2, 2."),
        (np.zeros((2, 0)), None, "of shape .2, 0."),
        (np.array(3), None, r"of shape \(\)"),
        (np.array([[1, 2], [3, 4]]), None, "2 amounts a row, say that the task is numbers"),
        (np.array([["a", "b"]]), None, "no class a row"),
        (np.array([1.5, 1.0]), "classes", "y is 1.5 in row 0, which is no class"),
        (np.array([1.0, np.nan]), "classes", "y is nan in row 1, which is no class"),
        (np.array([[1, 1], [0, 1]]), "classes", "each row must have a 1 in one of them"),
        (np.array([0, 2]), "labels", "labels must be 0 or 1"),
        (np.array(["a", "b"]), "labels", "labels must be 0 or 1"),
        (np.array(["a", "b"]), "numbers", "y is text, such as 'a'"),
        (np.array(["a", "", "b"]), None, "y is empty in row 1"),
        (np.arange(1_000_000), None, "1,000,000 different values, and at most 10,000 .* amounts"),
        (np.arange(MOST_CLASSES + 1).astype(str), None, "at most 10,000 classes are allowed$"),
        (np.array([0x7FFFFFFF], "<u4").view("<U1"), None, "no Unicode"),
    ],
)
def test_what_is_no_target_is_named(y: np.ndarray, task: str | None, told: str) -> None:
    with pytest.raises(DataError, match=told):
        target_of(y, "y", task)


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_classes_are_named_by_their_values(values: list[int]) -> None:
    made = target_of(np.array(values), "y")
    assert [int(made.names[code]) for code in made.values] == values
