"""Kinds of columns: as training rows have them, and as they are given."""

import numpy as np
import pytest

from fastmlp.data.frame import Frame, frame_of
from fastmlp.data.kinds import DATE_FORMATS, Kind, find_kinds, parse_columns
from fastmlp.errors import ConfigError, DataError


def kinds(rows=None, columns=None, **data) -> dict[str, Kind]:
    frame = frame_of(data, columns=columns)
    return find_kinds(frame, np.arange(frame.rows) if rows is None else np.asarray(rows))


def kind(values, name="a", **asked) -> Kind:
    return kinds(**{name: values}, **asked)[name]


def test_kinds_are_given_as_pairs():
    assert parse_columns("age=number, zip = Category,id=drop") == {"age": "number", "zip": "category", "id": "drop"}
    assert parse_columns(r"a=b=date,last\, first=drop") == {"a=b": "date", "last, first": "drop"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("age", r"'age' is no column with its kind. Write pairs such as age=number"),
        ("", "is no column with its kind"),
        ("=number", "is no column with its kind"),
        ("a=number,", "'' is no column"),
        ("a=numbr", r"'a' cannot be 'numbr'. Did you mean 'number'\? Kinds are number \(.*, category \(.*, date \("),
        ("a=number,a=date", "'a' is given two kinds, number and date"),
    ],
)
def test_what_is_no_pair(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_columns(text)


@pytest.mark.parametrize(
    ("values", "expected", "why"),
    [
        ([1.5, 2.5, None], "number", ""),
        ([1, 2, 2], "number", ""),
        ([1.5, np.inf, 2.5], "number", "1 infinite, taken as missing"),
        ([np.inf, np.nan, np.inf], "drop", "infinite or missing"),
        (["x", "y", "x"], "category", ""),
        ([True, False, True], "category", "true or false"),
        (["1", "2", "3+"], "category", ""),
        (["2024-01-31", None, "2024-02-01"], "date", ""),
        (np.array(["2024-01-31", "2024-02-01"], dtype="datetime64[D]"), "date", ""),
        ([7.0, 7.0], "drop", "constant"),
        (["x", "x"], "drop", "constant"),
        (["x", "x", None], "category", ""),
        ([None, None], "drop", "missing in all training rows"),
        (np.arange(100), "drop", "an id: whole numbers"),
        (np.arange(100)[::-1] + 1, "drop", "an id: whole numbers"),
        (np.arange(100) + 1950, "number", ""),
        (np.arange(100) * 5, "number", ""),
        (np.arange(100) + 0.0, "number", ""),
        (np.arange(10), "number", ""),
        ([f"k{i}" for i in range(100)], "drop", "an id: texts that all differ"),
        ([f"k{i % 96}" for i in range(100)], "drop", "an id: texts that nearly all differ"),
        ([f"k{i % 94}" for i in range(100)], "category", ""),
        ([f"k{i}" for i in range(10)], "category", ""),
        ([f"k{i // 2}" for i in range(100)], "category", ""),
        ([f"this is a text of {i} words or so" for i in range(100)], "drop", "free text"),
        ([f"0{i:03}" for i in range(100)] * 2, "category", ""),
    ],
)
def test_kinds_are_found(values, expected, why):
    found = kind(values)
    assert (found.name, found.why[: len(why)]) == (expected, why)
    assert found.why or not why


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", "drop"),
        ("PassengerId", "drop"),
        ("user_id", "drop"),
        ("uid", "drop"),
        ("rownames", "drop"),
        ("paid", "number"),
        ("fluid", "number"),
    ],
)
def test_keys_by_their_names(name, expected):
    assert kind(np.arange(100) * 7 + 5000, name).name == expected


@pytest.mark.parametrize("written", DATE_FORMATS)
def test_dates_are_found_as_they_are_written(written):
    days = np.datetime64("2024-01-02T03:04:05") + np.arange(0, 400 * 86400, 3 * 86400)
    texts = [day.item().strftime(written.replace("%.f", "").replace("%#z", "+0000")) for day in days]
    found = kind(texts, columns={"a": "date"} if written == "%Y%m%d" else None)  # which are whole numbers
    assert found.name == "date"
    seconds = frame_of({"a": texts}, columns={"a": "date"}).order_values("a")
    whole_days = seconds - seconds % 86400 if "%H" in written else seconds
    assert whole_days[0] == 1704153600
    assert found.format is not None


def test_dates_that_can_be_read_in_two_ways_are_said():
    assert kind(["1/2/2024", "3/4/2024"]).why == "read as month and day, could be day and month"
    assert kind(["1/2/2024", "31/4/2024"]) == Kind("category")  # there is no 31st of April
    assert kind(["1/2/2024", "30/4/2024"]) == Kind("date", "", "%d/%m/%Y")
    assert kind(["1/2/24", "3/4/24"]).name == "category"


def test_only_training_rows_are_looked_at():
    found = kinds([0, 1, 2], a=["x", "x", "x", "y"], b=[1, 2, 2, 10**9], c=["2024-01-31"] * 2 + ["2024-02-01", "never"])
    assert [one.name for one in found.values()] == ["drop", "number", "date"]
    with pytest.raises(DataError, match="no training row"):
        kinds([], a=[1, 2])


def test_numbers_with_a_few_texts_among_them_are_an_error():
    values = [str(i) for i in range(200)] + ["12O"]
    with pytest.raises(DataError, match=r"'a' has '12O' in row 201, which is no number, .* --columns a=category"):
        kind(values)
    assert kind(values, columns={"a": "category"}) == Kind("category", "given")
    with pytest.raises(DataError, match="'12O' in row 201, which is no number"):
        kind(values, columns={"a": "number"})


def test_kinds_are_overridden():
    assert kind(["007", "008"], columns={"a": "number"}) == Kind("number", "given")
    assert kind([1, 1], columns={"a": "category"}) == Kind("category", "given")
    assert kind(["20240131", "20240201"], columns={"a": "date"}) == Kind("date", "given", "%Y%m%d")
    with pytest.raises(DataError, match=r"'a' has 'soon' in row 2, which is no date such as 2024-05-31"):
        kind(["2024-01-31", "soon"], columns={"a": "date"})
    with pytest.raises(DataError, match="'a' holds Int64, expected dates"):
        kind([1, 2], columns={"a": "date"})
    with pytest.raises(DataError, match="'a' holds times, expected numbers"):
        kind(np.array(["2024-01-31", "2024-02-01"], dtype="datetime64[D]"), columns={"a": "number"})
    assert "a" not in kinds(a=[1, 2], b=[1, 2], columns={"a": "drop"})


def test_long_texts_are_cut_in_errors():
    with pytest.raises(DataError) as caught:
        kind(["1", "x" * 10_000], columns={"a": "number"})
    assert len(str(caught.value)) < 300
    assert isinstance(frame_of({"a": [1]}), Frame)
