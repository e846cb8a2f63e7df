"""Learnt columns: what becomes of each kind, that nothing is learnt outside the training rows, and JSON."""

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastmlp.data.columns import Columns, dropped
from fastmlp.data.describe import describe
from fastmlp.data.encoders import HASHED, LIMIT, ONE_HOT, SCALES, median
from fastmlp.data.frame import frame_of, read_frame
from fastmlp.data.kinds import Kind, find_kinds
from fastmlp.errors import ConfigError, DataError


def learnt(data, rows=None, scale="standard", columns=None):
    frame = frame_of(data, columns=columns)
    rows = np.arange(frame.rows) if rows is None else np.asarray(rows)
    return Columns.learn(frame, rows, find_kinds(frame, rows), scale=scale), frame


def applied(columns: Columns, data) -> np.ndarray:
    return columns.apply(frame_of(data, known=columns.reading))


def again(columns: Columns) -> Columns:
    return Columns.from_json(json.loads(json.dumps(columns.to_json())))


def test_numbers_are_standardised():
    columns, frame = learnt({"a": [1.0, 2.0, 3.0, 6.0]})
    assert columns.feature_names == ("a",)
    x = columns.apply(frame)
    assert (x.shape, x.dtype, x.flags.c_contiguous) == ((4, 1), np.float32, True)
    assert x[:, 0] == pytest.approx((np.array([1, 2, 3, 6]) - 3) / np.std([1, 2, 3, 6]))


def test_robust_numbers_pass_over_outliers(rng):
    values = rng.normal(5, 2, 10_000)
    values[:10] = 1e9
    columns, frame = learnt({"a": values}, scale="robust")
    x = columns.apply(frame)[10:, 0]
    assert x.mean() == pytest.approx(0, abs=0.05)
    assert x.std() == pytest.approx(1, abs=0.05)
    mostly, frame = learnt({"a": [0.0] * 9 + [10.0]}, scale="robust")  # whose quartiles are one
    assert np.ptp(mostly.apply(frame)) > 1


def test_quantiles_make_any_distribution_normal(rng):
    columns, frame = learnt({"a": np.exp(3 * rng.normal(size=20_000))}, scale="quantile")
    x = np.sort(columns.apply(frame)[:, 0])
    assert x.mean() == pytest.approx(0, abs=0.02)
    assert x.std() == pytest.approx(1, abs=0.03)
    assert applied(columns, {"a": [-1.0, 1e30]})[:, 0] == pytest.approx([x.min(), x.max()])
    few, frame = learnt({"a": [0, 0, 0, 0, 1]}, scale="quantile")
    assert len(np.unique(few.apply(frame))) == 2


def test_missing_numbers_have_an_indicator_and_the_median():
    columns, frame = learnt({"a": [1.0, None, 3.0, 8.0, np.inf]})
    assert columns.feature_names == ("a", "a missing")
    x = columns.apply(frame)
    assert x[:, 1].tolist() == [0, 1, 0, 0, 1]
    assert x[1, 0] == x[4, 0] == x[2, 0]
    without, _ = learnt({"a": [1.0, 3.0, 8.0]})
    assert without.feature_names == ("a",)
    assert applied(without, {"a": [None, -np.inf, 3.0]})[:, 0] == pytest.approx(
        [0, 0, 0] + applied(without, {"a": [3.0]})[0]
    )


def test_a_number_that_is_one_but_for_missing_cells():
    columns, frame = learnt({"a": [0.1, None, 0.1]})
    assert columns.apply(frame).tolist() == [[0, 0], [0, 1], [0, 0]]
    assert applied(columns, {"a": [7.0]}).tolist() == [[0, 0]]


def test_categories_have_a_feature_each():
    columns, frame = learnt({"a": ["x", "y", None, "x"], "b": [True, False, True, True]})
    assert columns.feature_names == ("a=x", "a=y", "a missing", "b=false", "b=true")
    assert columns.apply(frame)[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert applied(columns, {"a": ["new"], "b": ["true"]}).tolist() == [[0, 0, 0, 0, 1]]


def test_rare_and_unseen_values_are_other():
    columns, _ = learnt({"a": ["x"] * 500 + ["y"] * 500 + ["rare", "rarer"]})
    assert columns.feature_names == ("a=x", "a=y", "a other")
    assert applied(columns, {"a": ["rare", "unseen", "x", None]}).tolist() == [
        [0, 0, 1],
        [0, 0, 1],
        [1, 0, 0],
        [0, 0, 0],
    ]


def test_numbers_as_categories_are_what_they_look_like():
    columns, _ = learnt({"a": [1.0, 2.0, None]}, columns={"a": "category"})
    assert columns.feature_names == ("a=1", "a=2", "a missing")
    for values in ([1, 2], ["1", "2"], ["1.0", "2.0"], np.array([1.0, 2.0])):
        assert applied(columns, {"a": values}).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_many_values_are_hashed():
    values = [f"v{i}" for i in range(500)] * 2 + [None]
    columns, frame = learnt({"a": values})
    assert len(columns.feature_names) == HASHED + 1
    x = columns.apply(frame)
    assert (x[:-1, :HASHED].sum(axis=1) == 2).all()
    assert (x[:-1, : HASHED // 2].sum(axis=1) == 1).all()
    assert x[-1].tolist() == [0] * HASHED + [1]
    assert len(np.unique(x, axis=0)) > 350
    assert np.flatnonzero(applied(columns, {"a": ["v0"]})[0]).tolist() == [26, 50]  # on any machine, in any version
    assert applied(columns, {"a": ["unseen"]}).sum() == 2
    limit, _ = learnt({"a": [f"v{i}" for i in range(ONE_HOT)] * 5})
    assert len(limit.feature_names) == ONE_HOT


def test_a_million_categories():
    values = pl.Series([f"value {i}" for i in range(1_000_000)])
    columns, frame = learnt(pl.DataFrame({"a": pl.concat([values, values[:100_000]])}))
    assert len(json.dumps(columns.to_json())) < 200
    assert columns.apply(frame).sum() == 2 * 1_100_000


def test_parts_of_dates():
    columns, frame = learnt({"a": ["2024-01-01", "2024-07-01", "2025-01-01", None]})
    parts = ["year", "time", "month sin", "month cos", "weekday sin", "weekday cos", "missing"]
    assert columns.feature_names == tuple(f"a {part}" for part in parts)
    x = columns.apply(frame)
    assert x[0, 2:] == pytest.approx([0, 1, 0, 1, 0], abs=1e-6)  # a Monday of January
    assert x[1, 2:4] == pytest.approx([0, -1], abs=1e-6)
    assert x[2, 4:6] == pytest.approx([math.sin(4 * math.pi / 7), math.cos(4 * math.pi / 7)])  # a Wednesday
    assert x[3].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert x[:3, :2].mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert x[:3, :2].std(axis=0) == pytest.approx([1, 1], abs=1e-6)


def test_hours_of_dates_where_there_are_some():
    columns, frame = learnt({"a": ["2024-01-01 00:00:00", "2024-01-01 06:00:00"]})
    assert columns.feature_names[-2:] == ("a hour sin", "a hour cos")
    assert columns.apply(frame)[:, -2:].ravel() == pytest.approx([0, 1, 1, 0], abs=1e-6)
    as_times = np.array(["2024-01-01T00:00", "2024-01-01T06:00"], dtype="datetime64[m]")
    assert (applied(columns, {"a": as_times}) == columns.apply(frame)).all()
    assert (applied(columns, {"a": ["2024-01-01 06:00:00"]}) == columns.apply(frame)[1]).all()


def test_a_csv_is_predicted_from_as_it_is(tmp_path):
    (tmp_path / "train.csv").write_text(
        "id,age,zip,day,y\n1,20,01234,2024-01-31,a\n2,,99999,2024-02-01,b\n3,40,01234,,a\n"
    )
    frame = read_frame(tmp_path / "train.csv", target="y", columns={"id": "drop"})
    rows = np.arange(3)
    columns = again(Columns.learn(frame, rows, find_kinds(frame, rows)))
    x = columns.apply(frame)
    (tmp_path / "new.csv").write_text("zip,more,day,age\n01234,q,2024-01-31,20\n1234,q,,\n")
    new = columns.apply(read_frame(tmp_path / "new.csv", known=columns.reading))
    assert (new[0] == x[0]).all()
    assert new[1, columns.slices["zip"]].sum() == 0  # 1234 is not 01234
    (tmp_path / "new.csv").write_text("zip,day,age\n01234,2024-01-31,20\n01234,31.1.2024,20\n")
    with pytest.raises(DataError, match=r"'day' has '31.1.2024' in row 2, which is no date such as 2024-05-31"):
        columns.apply(read_frame(tmp_path / "new.csv", known=columns.reading))
    (tmp_path / "new.csv").write_text("zip,day,age\n01234,2024-01-31,20\n01234,2024-01-31,old\n")
    with pytest.raises(DataError, match=r"'age' has 'old' in row 2, which is no number"):
        columns.apply(read_frame(tmp_path / "new.csv", known=columns.reading))


def test_truth_values_are_one_however_they_are_written(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\nTrue,1\nFalse,2\n")
    frame = read_frame(tmp_path / "t.csv")
    columns = Columns.learn(frame, np.arange(2), find_kinds(frame, np.arange(2)))
    assert columns.feature_names == ("a=false", "a=true", "b")
    again_read = columns.apply(read_frame(tmp_path / "t.csv", known=columns.reading))
    assert again_read[:, :2].tolist() == columns.apply(frame)[:, :2].tolist() == [[0, 1], [1, 0]]
    for values in (["true", "TRUE"], [True, True]):
        assert applied(columns, {"a": values, "b": [1, 1]})[:, 1].tolist() == [1, 1]


def test_errors_name_the_row_in_any_block():
    columns, _ = learnt({"a": np.arange(10) * 1.5})
    values = [str(i) for i in range(3_000_000)]
    values[2_500_000] = "x"
    with pytest.raises(DataError, match="'a' has 'x' in row 2,500,001"):
        columns.apply(frame_of(pl.DataFrame({"a": values})))


def test_columns_that_are_missing_or_in_another_order():
    columns, frame = learnt({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(
        DataError, match=r"a table in memory lacks the column 'b' that the model was trained on; it has 'a', 'c'"
    ):
        columns.apply(frame_of({"a": [1], "c": [2]}))
    assert (columns.apply(frame_of({"c": [0, 0], "b": ["x", "y"], "a": [1, 2]})) == columns.apply(frame)).all()


def test_columns_that_are_missing_throughout_a_new_table():
    columns, _ = learnt(
        {"a": [1.0, None], "b": ["x", None], "c": ["2024-01-31", None], "d": [f"v{i % 80}" for i in range(2)]}, [0, 1]
    )
    x = applied(columns, {name: [None, None] for name in "abcd"})
    assert np.isfinite(x).all()
    assert x[0, columns.slices["b"]].tolist() == [0, 1]


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match=r"No column of a table in memory is left .*'a': constant"):
        learnt({"a": [1, 1]})
    with pytest.raises(DataError, match=r"'time': an id: .* such as --columns time=number"):
        learnt({"key": [f"k{i}" for i in range(30)], "time": list(range(30))})
    with pytest.raises(DataError, match="no training row"):
        learnt({"a": [1, 2]}, [])
    with pytest.raises(ConfigError, match=r"cannot be scaled by 'standrad'. Did you mean 'standard'\?"):
        learnt({"a": [1, 2]}, scale="standrad")
    assert dropped({"a": Kind("drop", "free text"), "b": Kind("drop", "given"), "c": Kind("number")}) == [
        "Column 'a' is left out: free text."
    ]


# Any table: numbers of any size, texts, dates, and what is missing.
FLOATS = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.1, 1e308, -1e308, 5e-324, 1e-310]))
TEXTS = st.one_of(st.none(), st.sampled_from(["x", "y", "NA", "other", "missing", "1.0", ""]), st.text(max_size=3))
DATES = st.one_of(st.none(), st.dates().map(lambda day: day.isoformat()))
ROWS = st.lists(st.tuples(FLOATS, TEXTS, DATES, st.integers(-(2**63), 2**63 - 1)), min_size=2, max_size=30)


def table(rows):
    f, s, d, i = zip(*rows, strict=True)
    return pl.DataFrame(
        {
            "f": pl.Series(f, dtype=pl.Float64),
            "s": pl.Series(s, dtype=pl.String),
            "d": pl.Series(d, dtype=pl.String),
            "i": i,
        }
    )


KINDS = {"f": Kind("number"), "s": Kind("category"), "i": Kind("number"), "d": Kind("date", "", "%Y-%m-%d")}
AS_READ = {"f": "number", "s": "category", "d": "date", "i": "number"}


@settings(max_examples=60)  # each makes tables, of 50 ms
@given(ROWS, ROWS, st.sampled_from(sorted(SCALES)))
def test_any_table_becomes_finite_features_which_json_keeps(train, new, scale):
    frame = frame_of(table(train), known=AS_READ)
    columns = Columns.learn(frame, np.arange(frame.rows), KINDS, scale=scale)
    assert again(columns) == columns
    for rows in (train, new):
        frame = frame_of(table(rows), known=AS_READ)
        x = columns.apply(frame)
        assert x.shape == (frame.rows, len(columns.feature_names))
        assert np.isfinite(x).all()
        assert np.abs(x).max() <= LIMIT
        assert (again(columns).apply(frame) == x).all()
        last = frame_of(table(rows[-1:]), known=AS_READ)  # each row by itself, whatever stands in others
        assert (columns.apply(last) == x[-1]).all()


@given(ROWS, ROWS, st.sampled_from(sorted(SCALES)))
def test_nothing_is_learnt_outside_the_training_rows(train, others, scale):
    inside = np.arange(len(train))
    both = [frame_of(pl.concat([table(train), table(rest)]), known=AS_READ) for rest in (others, others[:1])]
    both = [replace(one, overrides={}) for one in both]
    kinds = [find_kinds(one, inside) for one in both]
    assert all(one == kinds[0] for one in kinds)
    learnt_ = [Columns.learn(one, inside, KINDS, scale=scale) for one in both]
    assert all(one == learnt_[0] for one in learnt_)


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6, width=32)))
def test_standardised_numbers_have_mean_0_and_deviation_1(values):
    columns, frame = learnt({"a": values, "b": np.arange(len(values)) % 2})
    x = columns.apply(frame).astype(np.float64)
    if "a" in columns.slices and values.std() > 1e-3 * max(1, abs(values).max()):
        assert x[:, 0].mean() == pytest.approx(0, abs=1e-5)
        assert x[:, 0].std() == pytest.approx(1, abs=1e-5)


def edited(columns: Columns, change) -> dict:
    data = columns.to_json()
    change(data)
    return data


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(more=1),
        lambda data: data.pop("scale"),
        lambda data: data.update(scale="other"),
        lambda data: data.update(scale=["standard"]),
        lambda data: data.update(columns=[]),
        lambda data: data.update(columns={}),
        lambda data: data["columns"].append(data["columns"][0]),
        lambda data: data["columns"].append(None),
        lambda data: data["columns"][0].update(kind="pickle"),
        lambda data: data["columns"][0].update(kind=["number"]),
        lambda data: data["columns"][0].update(more=1),
        lambda data: data["columns"][0].pop("median"),
        lambda data: data["columns"][0].update(median=math.nan),
        lambda data: data["columns"][0].update(median="1"),
        lambda data: data["columns"][0].update(scale=-1.0),
        lambda data: data["columns"][0].update(points=[1.0, 1.0], scores=[0.0, 1.0]),
        lambda data: data["columns"][0].update(points=[1.0], scores=[]),
        lambda data: data["columns"][0].update(points=[1.0], scores=[1e9]),
        lambda data: data["columns"][0].update(missing=1),
        lambda data: data["columns"][1].update(levels=["x", "x"]),
        lambda data: data["columns"][1].update(levels=[1]),
        lambda data: data["columns"][1].update(name=""),
        lambda data: data["columns"][2].update(written="%c"),
        lambda data: data["columns"][2].update(year=[1.0]),
        lambda data: data["columns"][2].update(time=[1.0, -1.0]),
        lambda data: data["columns"][3].update(buckets=3),
        lambda data: data["columns"][3].update(buckets=10**12),
        lambda data: data["columns"][3].update(buckets=True),
    ],
)
def test_json_that_no_training_gives(change):
    columns, _ = learnt(
        {
            "a": [1.0, 2.0] * 80,
            "b": ["x", "y"] * 80,
            "c": ["2024-01-31", "2024-02-01"] * 80,
            "d": [f"v{i % 80}" for i in range(160)],
        }
    )
    assert [one["kind"] for one in columns.to_json()["columns"]] == ["number", "category", "date", "hashed"]
    with pytest.raises(DataError):
        Columns.from_json(edited(columns, change))


@pytest.mark.parametrize("data", [None, [], "x", 1, {}])
def test_what_is_no_json_of_columns(data):
    with pytest.raises(DataError, match="columns of a model"):
        Columns.from_json(data)


def test_what_was_understood_is_a_table(tmp_path):
    (tmp_path / "t.csv").write_text("n,c,d,k\n1,x,2024-01-31,1\n,y,2024-02-01,1\n\n2.5,x,,1\n")
    frame = read_frame(tmp_path / "t.csv")
    kinds = find_kinds(frame, np.arange(3))
    columns = Columns.learn(frame, np.arange(3), kinds)
    made = describe(frame, kinds, columns)
    assert made.facts == ("1 of 4 rows are left out: they are blank.",)
    assert [list(row) for row in made.rows] == [
        ["n", "number", "", "1 to 2.5", "33.3 %", "2"],
        ["c", "category", "", "2 values, x in 66.7 %", "0 %", "2"],
        ["d", "date", "", "2024-01-31 to 2024-02-01", "33.3 %", "7"],
        ["k", "drop", "constant: it is the same in all training rows", "1 to 1", "0 %", "0"],
    ]
    assert describe(frame, kinds, rows=np.array([0])).rows[0][3:] == ["1 to 1", "0 %", ""]
    assert "| n " in made.markdown()


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
def test_the_median_is_numpys_and_overflows_for_no_numbers(count):
    values = np.random.default_rng(count).standard_normal(count)
    assert median(values) == np.median(values)
    assert median(np.full(count, 1.7e308)) == 1.7e308


def test_features_are_written_where_they_are_wanted():
    frame = frame_of({"a": [1.0, 2, 3, 4], "b": ["x", "y", "x", "y"]})
    columns = Columns.learn(frame, np.arange(4), find_kinds(frame, np.arange(4)))
    out = np.full((6, 3), 7, np.float32)
    assert columns.apply(frame, out[1:5]) is not None
    np.testing.assert_array_equal(out[1:5], columns.apply(frame))
    assert (out[[0, 5]] == 7).all()
