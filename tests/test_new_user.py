"""What a new user gets wrong with own data: each message says what was meant, and names nothing that was not given."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastmlp
from fastmlp import load_model, save_model
from fastmlp.cli import commands
from fastmlp.errors import ConfigError, DataError
from own_models import table_model, table_rows, write_table

ROWS = [f"{0.01 * i + 0.001:.3f},{'abc'[i % 3]},{'yes' if i % 5 else 'no'}" for i in range(60)]


@pytest.fixture(autouse=True)
def _there(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("ok.csv", ROWS)


def write(name: str, rows: list[str]) -> None:
    Path(name).write_text("\n".join(["x,c,y", *rows]) + "\n")


def said(capsys, argv: str) -> str:
    """Run the program `fastmlp` to its refusal; return what it says."""
    try:
        status = commands.main(argv.split())
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return " ".join(err.split())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("train ok.csv --target y", "Did you mean '--data ok.csv'?"),
        ("trian --data ok.csv", "Did you mean 'train'?"),
        ("train --data ok.csv --target y --grid hiden=3,4", "Did you mean 'hidden'?"),
        ("train --data ok.csv --target y --grid hidden=3,a", "hidden is 'a' in 'hidden=3,a'; allowed are the units"),
        ("train --data ok.csv --target y --grid hidden=", "allowed are the units of each hidden layer"),
        ("train --data ok.csv --target y --random 2 hidden=3..5", "hidden is '3..5'"),
        ("train --data ok.csv --target y --hidden a", "'a' is not the units of hidden layers; give them as in 64, or"),
        ("train --data ok.csv --target y --hidden 0", "'0' is not the units of hidden layers"),
        ("train --data ok.csv --target y --batch-size 4096", "has 38 rows to train on"),
        ("train --data ok.csv --target y --test-size 70", "70 rows for test leave none of 60 for training"),
        ("train --data ok.csv --target y --task regression", "Mend it, or leave --task out, so that it is classes."),
        ("train --data ok.csv --target y --precision int8", "is of rows of features, as a table's; allowed for these"),
    ],
)
def test_what_was_meant_is_said(capsys, argv, words) -> None:
    assert words in said(capsys, argv)


def test_a_table_without_a_line_of_names(capsys) -> None:
    Path("rows.csv").write_text("59,2,32.1,151\n48,1,21.6,75\n72,2,30.5,141\n")
    assert "put a line of names above it" in said(capsys, "train --data rows.csv --target price")


def test_a_column_of_numbers_with_one_other_cell_is_not_left_out_in_silence(capsys) -> None:
    for row in range(len(ROWS)):  # whichever part it is in
        write("mixed.csv", [*ROWS[:row], "oops,a,yes", *ROWS[row:]])
        words = said(capsys, "train --data mixed.csv --target y --dry-run")
        assert f"Column 'x' has 'oops' in row {row + 1}, which is no number" in words


def test_an_id_that_is_mostly_numbers_says_so(capsys) -> None:
    rows = [f"{'k' * (i % 3 == 0)}{7 * i + 500},{row}" for i, row in enumerate(ROWS)]
    Path("ids.csv").write_text("\n".join(["id,x,c,y", *rows]) + "\n")
    assert commands.main(["train", "--data", "ids.csv", "--target", "y", "--threads", "1", "--dry-run"]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "Column 'id' is left out: an id: texts that all differ, though" in err
    assert "are numbers; the first other is 'k5" in err


def test_a_lacking_column_is_not_taken_for_one_that_the_model_has(tmp_path) -> None:
    save_model(tmp_path / "m.npz", table_model(tmp_path, "classes"))
    model = load_model(tmp_path / "m.npz")
    table = pl.read_csv(write_table(tmp_path / "new.csv", table_rows(10, seed=1)))
    assert model.reading is not None
    assert model.reading.columns is not None
    first, *others = model.reading.columns.reading
    with pytest.raises(DataError) as error:
        model.predict(table.select(others))
    assert f"lacks the column {first!r}" in str(error.value)
    assert "Is it" not in str(error.value)
    with pytest.raises(DataError, match=f"Is it '{first}s' for '{first}'"):
        model.predict(table.rename({first: f"{first}s"}))
    with pytest.raises(DataError, match=f"a DataFrame, columns by name, .* with the columns '{first}'"):
        model.predict(np.zeros((2, 3)))


def test_the_columns_on_a_screen_have_no_empty_one(capsys) -> None:
    dry = ["train", "--data", "ok.csv", "--target", "y", "--threads", "1", "--dry-run"]
    assert commands.main(dry) == 0
    out = capsys.readouterr()
    assert "| column | kind     | values" in out.out + out.err
    assert commands.main([*dry, "--columns", "c=category"]) == 0
    out = capsys.readouterr()
    assert "| column | kind     | note  | values" in out.out + out.err


@pytest.mark.parametrize(
    ("data", "target", "words"),
    [
        (None, "y", "data is None; give a path, a DataFrame"),
        ({"x": [1.0, 2.0], "y": [0, 1]}, None, "target is missing, .* There are 'x', 'y'"),
        (pl.DataFrame({"x": [1.0]}), pl.Series([1]), "target is a Series, .* There are 'x'"),
        (np.ones((3, 2)), None, "give a value for each row"),
    ],
)
def test_data_and_targets_that_do_not_go_together_are_told_in_python(data, target, words) -> None:
    with pytest.raises(ConfigError, match=words):
        fastmlp.train(data, target)
