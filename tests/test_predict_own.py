"""Models of one's own data: from files to answers, in Python and by the command, whatever is in the files."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastmlp import load_model, predict, save_model
from fastmlp.cli import answering
from fastmlp.data.frame import read_blocks
from fastmlp.data.own import Own, load_own
from fastmlp.data.reading import numbers_of
from fastmlp.errors import DataError
from fastmlp.models.answers import Answers
from own_models import random_model, table_model, table_rows, write_table


def run(capsys, *arguments):
    """Run the command; return its status, what it printed and what it said."""
    status = predict.main(list(map(str, arguments)))
    told = capsys.readouterr()
    return status, told.out, " ".join(told.err.split())


def records(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def new(tmp_path):
    return write_table(tmp_path / "new.csv", table_rows(40, seed=1))


def saved(tmp_path, kind="classes", **more):
    model = table_model(tmp_path, kind, **more)
    save_model(tmp_path / f"{kind}.npz", model)
    return tmp_path / f"{kind}.npz"


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_a_saved_model_reads_files_frames_and_columns(tmp_path, new, kind, suffix):
    made = table_model(tmp_path, kind)
    save_model(tmp_path / f"m.{suffix}", made)
    model = load_model(tmp_path / f"m.{suffix}")
    assert model.reading == made.reading
    rows = made.rows(str(new))
    expected = made.outputs(rows)
    table = pl.read_csv(new)
    table.write_parquet(tmp_path / "new.parquet")
    sources = [
        new,
        str(new),
        [new],
        tmp_path / "new.parquet",
        table,
        pandas.read_csv(new),
        table.to_dict(as_series=False),
    ]
    for data in sources:
        np.testing.assert_array_equal(model.outputs(data), expected)
    np.testing.assert_array_equal(model.predict(new), model.predict(rows))
    if kind == "classes":
        assert model.predict(new).tolist() == [made.class_names[k] for k in expected.argmax(1)]
    if kind != "numbers":
        np.testing.assert_array_equal(model.predict_proba(new), expected)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(new)), expected, rtol=1e-5)


def test_a_model_that_was_not_trained_from_files_says_so(new):
    from models import small_model

    with pytest.raises(DataError, match="was not trained from files"):
        small_model().predict(new)


def test_a_file_with_another_reading_is_refused(tmp_path):
    path = saved(tmp_path)
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(members["facts.json"])
    wrong = [
        {**facts["reading"], "more": 1},
        {"form": "table", "columns": {**facts["reading"]["columns"], "scale": "none"}},
        {"form": "pictures", "size": 8, "grey": True},
        {"form": "arrays"},
        {"form": []},
        [],
        7,
    ]
    for reading in wrong:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                changed = json.dumps(facts | {"reading": reading}) if name == "facts.json" else content
                archive.writestr(name, changed)
        with pytest.raises(DataError, match="is no model that this version can read"):
            load_model(path)


def test_classes_of_a_table(tmp_path, new, capsys):
    path = saved(tmp_path)
    status, _, told = run(capsys, path, new, "-o", tmp_path / "out.csv", "--keep", "name,income")
    assert (status, "40 rows" in told) == (0, True)
    rows = records((tmp_path / "out.csv").read_text())
    model = load_model(path)
    assert [row["prediction"] for row in rows] == model.predict(new).tolist()
    np.testing.assert_allclose([float(row["probability"]) for row in rows], model.predict_proba(new).max(1), rtol=1e-5)
    was = records(new.read_text())
    assert [(row["row"], row["name"], row["income"]) for row in rows] == [
        (str(i + 1), one["name"], one["income"]) for i, one in enumerate(was)
    ]
    _, out, _ = run(capsys, path, new, "--format", "csv", "--top", 2, "--probabilities")
    assert list(records(out)[0]) == [
        "row", "prediction_1", "probability_1", "prediction_2", "probability_2", "probability_no", "probability_yes",
    ]  # fmt: skip
    _, out, _ = run(capsys, path, new, "--format", "json", "--probabilities", "--top", 2)
    first = json.loads(out)[0]
    assert first["prediction"] == rows[0]["prediction"] == first["top"][0]["class"]
    assert set(first["probabilities"]) == {"no", "yes"}
    _, out, _ = run(capsys, path, new)
    assert out.count("\n") == 42


def test_labels_and_numbers_of_a_table(tmp_path, new, capsys):
    path = saved(tmp_path, "labels")
    _, out, _ = run(capsys, path, new, "--format", "json")
    for one, p in zip(json.loads(out), load_model(path).predict_proba(new), strict=True):
        assert one["prediction"] == [name for name, q in zip(("red", "green"), p, strict=True) if q > 0.5]
    _, out, _ = run(capsys, path, new, "--format", "csv", "--probabilities")
    assert list(records(out)[0]) == ["row", "prediction", "probability", "probability_red", "probability_green"]
    path = saved(tmp_path, "numbers")
    run(capsys, path, new, "-o", tmp_path / "out.json")
    told = [one["prediction"] for one in json.loads((tmp_path / "out.json").read_text())]
    np.testing.assert_allclose(told, load_model(path).predict(new), rtol=1e-6)
    for option, words in (("--top=2", "chooses among classes"), ("--probabilities", "tells numbers")):
        status, _, said = run(capsys, path, new, option)
        assert (status, words in said) == (2, True)


def test_rows_are_those_of_the_file_in_blocks_of_any_size(tmp_path, capsys, monkeypatch):
    path = saved(tmp_path)
    lines = write_table(tmp_path / "new.csv", table_rows(30, seed=2)).read_text().splitlines()
    blank = "," * lines[0].count(",")
    (tmp_path / "new.csv").write_text("\n".join([*lines[:4], blank, *lines[4:12], *[blank] * 7, *lines[12:], ""]))
    whole = load_model(path).predict_proba(tmp_path / "new.csv").max(1)
    for size in (1, 3, 5, 1000):
        monkeypatch.setattr(answering, "_rows_of", lambda _, size=size: size)
        _, out, told = run(capsys, path, tmp_path / "new.csv", "--format", "csv")
        rows = records(out)
        assert [int(row["row"]) for row in rows] == list(range(1, 39))
        assert [i for i, row in enumerate(rows) if row["prediction"] == ""] == [3, *range(12, 19)]
        np.testing.assert_allclose([float(row["probability"]) for row in rows if row["probability"]], whole, rtol=1e-5)
        assert "8 rows are blank" in told
    _, out, _ = run(capsys, path, tmp_path / "new.csv", "--format", "json")
    assert json.loads(out)[3] == {"row": 4, "prediction": None}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 12))
def test_blocks_are_the_rows_of_a_table_in_their_order(tmp_path_factory, values, size):
    path = tmp_path_factory.mktemp("blocks") / "t.parquet"
    pl.DataFrame({"a": values, "b": [str(one) for one in values], "c": values}).write_parquet(path)
    blocks = list(read_blocks(path, {"a": "number", "b": "category"}, keep=["c"], rows=size))
    assert all(block.rows <= size for block in blocks)
    frames = [block.frame for block in blocks if block.frame is not None]
    assert len(frames) == len(blocks)
    assert [one for frame in frames for one in frame.table["a"].to_list()] == values
    assert [one for block in blocks for one in block.kept["c"].to_list()] == values
    assert np.concatenate([numbers_of(frame) for frame in frames]).tolist() == list(range(len(values)))


def test_what_training_had_not_is_told_once_a_column(tmp_path, capsys, monkeypatch):
    path = saved(tmp_path)
    rows = table_rows(20, seed=4)
    for row in rows[::2]:
        row["city"] = "Paris"
    monkeypatch.setattr(answering, "_rows_of", lambda _: 3)
    status, out, told = run(capsys, path, write_table(tmp_path / "new.csv", rows), "--format", "csv")
    assert (status, len(records(out))) == (0, 20)
    assert told.count("'city' has values that training had not, or hardly ever, in 10 rows, first 'Paris'") == 1


def test_a_column_that_is_missing_or_has_no_numbers_is_named(tmp_path, capsys):
    path, rows = saved(tmp_path), table_rows(20)
    other = [{("Age" if name == "age" else name): value for name, value in row.items()} for row in rows]
    status, _, told = run(capsys, path, write_table(tmp_path / "other.csv", other), "-o", tmp_path / "out.csv")
    assert status == 2
    assert "lacks the column 'age' that the model was trained on" in told
    assert "Is it 'Age' for 'age'?" in told
    rows[11]["age"] = "old"
    status, _, told = run(capsys, path, write_table(tmp_path / "wrong.csv", rows), "-o", tmp_path / "out.csv")
    assert status == 2
    assert "'old' in row 12" in told
    assert not (tmp_path / "out.csv").exists()
    status, _, told = run(capsys, path, tmp_path / "wrong.csv", "--keep", "nme")
    assert (status, "Did you mean 'name'" in told) == (2, True)


def test_no_input_is_overwritten_and_nothing_is_half_written(tmp_path, new, capsys):
    path, before = saved(tmp_path), new.read_bytes()
    (tmp_path / "link.csv").symlink_to(new)
    for out in (new, tmp_path / "link.csv"):
        status, _, told = run(capsys, path, tmp_path / "n*.csv", "-o", out)
        assert (status, "is one of the files that are read" in told) == (2, True)
    assert new.read_bytes() == before
    status, _, told = run(capsys, path, new, "-o", tmp_path / "out.xlsx")
    assert (status, "ends in none of .csv, .json" in told) == (2, True)
    status, _, told = run(capsys, path, new, "-o", tmp_path / "no" / "out.csv")
    assert (status, "could not be written" in told) == (2, True)
    assert {one.name for one in tmp_path.iterdir()} == {"train.csv", "new.csv", "classes.npz", "link.csv"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give files to predict, or --data"),
        (["new.csv", "--data", "new.csv"], "Give files to predict, or --data"),
        (["new.csv", "--target", "bought"], "--target is about the answers in --data"),
        (["new.csv", "--format", "csv", "-o", "out.csv"], "leave one out"),
        (["--data", "new.csv", "--keep", "name"], "--data is compared alone"),
        (["--dataset", "embedded"], "are for CIFAR's models"),
        (["none.csv"], "There is no file 'none.csv'"),
    ],
)
@pytest.mark.usefixtures("new")
def test_what_cannot_be_done_is_told(tmp_path, capsys, monkeypatch, arguments, words):
    saved(tmp_path)
    monkeypatch.chdir(tmp_path)
    status, _, told = run(capsys, "classes.npz", *arguments)
    assert (status, words in told) == (2, True)


def test_names_to_keep_are_read(capsys):
    assert predict.main.parser("predict").parse_args(["m.npz", "a", "--keep", r"id,a\,b"]).keep == ("id", "a,b")
    for wrong in ("name,name", "a,,b"):
        with pytest.raises(SystemExit):
            predict.main(["m.npz", "a.csv", "--keep", wrong])
        assert "is no list of different names" in capsys.readouterr().err


def test_options_of_own_data_are_for_their_models(tmp_path, new, capsys):
    from models import small_model

    save_model(tmp_path / "m.npz", small_model(layers=(3072, 4, 3)))
    status, _, told = run(capsys, tmp_path / "m.npz", new, "-o", tmp_path / "out.csv")
    assert (status, "--out is for models of your own data" in told) == (2, True)


@pytest.mark.parametrize(
    ("kind", "metric"), [("classes", "accuracy"), ("labels", "subset accuracy"), ("numbers", "R2")]
)
def test_a_table_with_its_answers_is_measured(tmp_path, new, capsys, kind, metric):
    path = saved(tmp_path, kind)
    target = {"classes": ["--target", "bought"], "numbers": ["--target", "price"], "labels": []}[kind]
    status, out, _ = run(capsys, path, "--data", new, *target, "--format", "json")
    [found, *each] = json.loads(out)
    model, rows = load_model(path), records(new.read_text())
    if kind == "classes":
        expected = 100 * np.mean(model.predict(new) == [row["bought"] for row in rows])
    elif kind == "labels":
        truth = np.array([[int(row["red"]), int(row["green"])] for row in rows])
        expected = 100 * np.mean(((model.predict_proba(new) > 0.5) == truth).all(axis=1))
        assert [one["target"] for one in each] == ["red", "green"]
    else:
        y = np.array([float(row["price"]) for row in rows])
        expected = 1 - np.mean((model.predict(new) - y) ** 2) / y.var()
    [value] = [value for name, value in found.items() if name.startswith(metric)]
    assert status == 0
    assert float(value) == pytest.approx(expected, rel=1e-2)


def test_pictures_are_read_whole_as_in_training(tmp_path, rng, capsys):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (9, 14, 3), np.uint8)).save(tmp_path / "train" / name / f"{i}.png")
    data = load_own(Own(data=str(tmp_path / "train"), image_size=8, grey=True))
    save_model(tmp_path / "m.npz", random_model(data))
    folder = tmp_path / "train" / "cat"
    expected = load_model(tmp_path / "m.npz").predict_proba(folder)
    (folder / "bad.png").write_bytes(b"no picture")
    status, out, told = run(capsys, tmp_path / "m.npz", folder, "--format", "csv", "-o", tmp_path / "out.csv")
    assert (status, "leave one out" in told) == (2, True)
    status, out, told = run(capsys, tmp_path / "m.npz", folder, "--format", "csv")
    rows = records(out)
    assert (status, "bad.png: it is none of" in told) == (1, True)
    assert [Path(row["source"]).name for row in rows] == [f"{i}.png" for i in range(10)]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected.max(1), rtol=1e-5)
    (folder / "bad.png").unlink()
    status, out, _ = run(capsys, tmp_path / "m.npz", "--data", tmp_path / "train", "--format", "json")
    right = load_model(tmp_path / "m.npz").predict([folder, tmp_path / "train" / "dog"]) == ["cat"] * 10 + ["dog"] * 10
    assert (status, json.loads(out)[0]["accuracy in %"]) == (0, f"{100 * right.mean():.2f}")


def test_arrays_are_answered_row_by_row(tmp_path, rng, capsys):
    x, y = rng.standard_normal((60, 5)).astype(np.float32), rng.integers(0, 3, 60)
    np.savez(tmp_path / "train.npz", x=x, y=y)
    save_model(tmp_path / "m.npz", random_model(load_own(Own(data=str(tmp_path / "train.npz")))))
    np.save(tmp_path / "x.npy", x)
    status, out, _ = run(capsys, tmp_path / "m.npz", tmp_path / "x.npy", "--format", "csv")
    model = load_model(tmp_path / "m.npz")
    assert status == 0
    assert (
        [row["prediction"] for row in records(out)] == model.predict(x).tolist() == model.predict(x.tolist()).tolist()
    )
    status, out, _ = run(capsys, tmp_path / "m.npz", "--data", tmp_path / "train.npz", "--format", "json")
    assert json.loads(out)[0]["accuracy in %"] == f"{100 * np.mean(model.predict(x) == y.astype(str)):.2f}"
    status, _, told = run(capsys, tmp_path / "m.npz", tmp_path / "x.npy", "--keep", "a")
    assert (status, "--keep names columns of a table" in told) == (2, True)


def test_a_column_of_the_answers_own_name_is_refused(tmp_path, capsys):
    path = saved(tmp_path)
    rows = [row | {"prediction": 1} for row in table_rows(9)]
    status, _, told = run(capsys, path, write_table(tmp_path / "new.csv", rows), "--keep", "prediction")
    assert (status, "Two columns would be called 'prediction'" in told) == (2, True)


def test_a_long_table_is_shown_in_part(tmp_path, capsys, monkeypatch):
    path = saved(tmp_path)
    monkeypatch.setattr(answering, "MOST_SHOWN", 10)
    status, out, told = run(capsys, path, write_table(tmp_path / "new.csv", table_rows(50)))
    assert (status, out.count("\n"), "the first 10 rows" in told) == (0, 12, True)


def test_answers_of_two_classes_by_one_output_are_told_by_name():
    answers = Answers("classes", ("no", "yes"))
    assert answers.cells(np.array([[0.25, 0.75], [0.5, 0.5]])) == [["yes", "0.75"], ["no", "0.5"]]
    assert Answers("labels", ("a", "b")).cells(np.array([[0.5, 0.1]])) == [["", ""]]


def test_kept_cells_of_any_kind_and_hostile_texts(tmp_path, capsys):
    path, rows = saved(tmp_path), table_rows(4)
    kept = {"x": [1.5, float("nan"), float("inf"), None], "t": ["=1+1", "a\x1b[31m", 'say "b"\nc', ""]}
    dates = pl.Series([None, "2024-05-31", None, None]).str.to_date()
    table = pl.DataFrame(rows).with_columns(**{n: pl.Series(v) for n, v in kept.items()}, d=dates)
    table.write_parquet(tmp_path / "new.parquet")
    _, out, _ = run(capsys, path, tmp_path / "new.parquet", "--keep", "x,t,d", "--format", "json")
    assert "\x1b" not in out
    told = json.loads(out, parse_constant=pytest.fail)
    assert [one["x"] for one in told] == [1.5, None, None, None]
    assert [one["t"] for one in told] == kept["t"]
    assert [one["d"] for one in told] == [None, "2024-05-31", None, None]
    for form in ("csv", "table"):
        _, out, _ = run(capsys, path, tmp_path / "new.parquet", "--keep", "x,t,d", "--format", form)
        assert "\x1b" not in out
    _, out, _ = run(capsys, path, tmp_path / "new.parquet", "--keep", "t", "--format", "csv")
    assert [row["t"] for row in records(out)] == ["'=1+1", "a\\x1b[31m", 'say "b"\nc', ""]
