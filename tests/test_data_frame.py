"""Tables from real files: what they are read as, and what is said of those that are none."""

import gzip
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmlp.data.cells import MISSING
from fastmlp.data.frame import Frame, frame_of, read_frame
from fastmlp.data.library import need_polars
from fastmlp.errors import ConfigError, DataError, MissingDataError, MissingExtraError


@pytest.fixture
def read(tmp_path: Path):
    """Give what writes a text to a file and reads it as a table."""

    def written(content: str | bytes, name: str = "table.csv", **asked) -> Frame:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_frame(path, **asked)

    return written


def types(frame: Frame) -> list[str]:
    return [str(one).split("(")[0] for one in frame.table.dtypes]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b\n1,x\n2,y\n", "t.csv"),
        ("a;b\n1;x\n2;y\n", "t.csv"),
        ("a\tb\n1\tx\n2\ty\n", "t.tsv"),
        ("a|b\n1|x\n2|y\n", "t.txt"),
        ("a, b\n1, x\n 2 ,y", "t.CSV"),
        ("a,b\r\n1,x\r\n2,y\r\n", "t.csv"),
        ("a,b\r1,x\r2,y\r", "t.csv"),
        ('"a","b"\n"1","x"\n"2","y"\n', "t.csv"),
        ("\ufeffa,b\n1,x\n2,y\n", "t.csv"),
        ("\ufeffa,b\n1,x\n2,y\n".encode("utf-16-le"), "t.csv"),
        ("a,b\n1,x\n2,y\n", "Ünïcode name [1].csv"),
        ("a b\n1 x\n2 y\n", "t.csv"),
        (gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0), "t.csv.gz"),
        (gzip.compress(b"a\tb\n1\tx\n2\ty\n", mtime=0), "t.TSV.GZ"),
        (gzip.compress("\ufeffa;b\r1;x\r2;y\r".encode("utf-16-le"), mtime=0), "t.csv.gz"),
    ],
)
def test_separators_encodings_and_ends_of_lines(read, content, name):
    assert read(content, name).table.rows() == [(1, "x"), (2, "y")]


def test_blanks_separate_nothing_where_another_does_or_a_line_has_others(read):
    assert read("my age;b\nthe first;x\nthe second;y\n").table.columns == ["my age", "b"]
    assert read("my age\n31\n32\n").table.columns == ["my age"]
    assert read("a text of words\none more\nand the last\n").table.columns == ["a text of words"]


def test_what_is_no_utf_8_is_read_as_western_and_said(read):
    frame = read("a,b\ncafé,1\n".encode("cp1252"))
    assert frame.table.rows() == [("café", 1)]
    assert frame.notices == ("table.csv is no UTF-8: it was read as cp1252. Write it as UTF-8 if letters look wrong.",)
    assert "latin-1" in read(b"a,b\ncaf\xe9\x81,1\n").notices[0]


def test_quotes_that_are_letters(read):
    assert read('a,b\n5" pipe,1\n6" rod,2\n7",3\n').table["a"].to_list() == ['5" pipe', '6" rod', '7"']
    with pytest.raises(DataError, match=r"Line 3 of table.csv has 1 field,"):
        read('a,b\n5" pipe,1\n6"\n')


def test_a_first_line_that_looks_like_a_row_is_said(read):
    assert "is it a row?" in read("5.1,3.5,setosa\n4.9,3.0,setosa\n").notices[0]
    assert read("label,0,1,2\na,5,6,7\n").notices == ()


def test_quoted_fields_hold_separators_quotes_and_lines(read):
    frame = read('a,b\n"x, y","q ""u"""\n"two\nlines",z\n')
    assert frame.table.rows() == [("x, y", 'q "u"'), ("two\nlines", "z")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "table.csv is empty"),
        ("\n \n", "table.csv is empty"),
        ("a,b\n", "has names of columns and no rows"),
        ("a,b,a\n1,2,3\n", "several columns called 'a'. Give each column a name of its own"),
        ("\na,b\n1,2\n", "first line of table.csv is blank"),
        ("a,b,c\n1,2\n", "Line 2 of table.csv has 2 fields, and its line of names 3"),
        ("a,b,c\n1,2,3\n1,2,3,4\n", "Line 3 of table.csv has 4 fields"),
        ('a,b,c\n1,"2,5",3\n1,"2,3"\n', "Line 3 of table.csv has 2 fields"),
        ('a,b\n1,2\n"1,2\n3,4\n', "a quote .* never closed, perhaps in line 3"),
        ("a,b\n1,\x002\n", "bytes of 0"),
        ("a,b\n,\n,\n", "All 2 rows of table.csv must be left out: they are blank"),
        ("x" * 2000 + ",b\n1,2\n", "a name of 2,000 characters"),
    ],
)
def test_a_text_that_is_no_table(read, content, words):
    with pytest.raises(DataError, match=words):
        read(content)


def test_types_are_those_that_all_cells_have(read):
    frame = read(
        "whole,float,code,truth,word,none,mixed\n"
        "1,1.5,01,True,x,NA,1\n-2,1e3,20,false,y,,2\n,?,,NaN,null,None,3+\n3,inf,7,TRUE,z,,4\n"
    )
    assert types(frame) == ["Int64", "Float64", "String", "Boolean", "String", "Float64", "String"]
    assert frame.table.row(2) == (None, None, None, None, None, None, "3+")
    assert frame.table["code"].to_list() == ["01", "20", None, "7"]


@pytest.mark.parametrize(("last", "dtype"), [("7.5", "Float64"), ("abc", "String"), ("007", "String"), ("7", "Int64")])
def test_a_cell_far_down_decides_too(read, last, dtype):
    rows = "".join(f"{i},{i}\n" for i in range(3000))
    assert types(read(f"a,b\n{rows}{last},1\n"))[0] == dtype


def test_a_text_far_down_in_a_column_of_floats(read):
    rows = "".join(f"{i}.5,{i}\n" for i in range(3000))
    frame = read(f"a,b\n{rows} ? ,1\nNA,2\n 1.5,3\n")
    assert types(frame) == ["Float64", "Int64"]
    assert frame.table["a"].to_list()[-3:] == [None, None, 1.5]
    assert types(read(f"a,b\n{rows}x,1\n")) == ["String", "Int64"]


def test_columns_may_be_called_as_arguments_are(read):
    frame = read("self,name,exprs,a=b\n1,x,. ,2\n2,y,1,3\n3,z,.,4\n")
    assert frame.table.columns == ["self", "name", "exprs", "a=b"]
    assert frame.table["exprs"].to_list() == [None, 1, None]  # a point is what other programs write for it


def test_decimal_commas_where_the_separator_is_none(read):
    assert read("a;b\n1,5;2\n1234;3\n").table["a"].to_list() == [1.5, 1234]
    assert types(read("a;b\n1,5;2\n1.234;3\n")) == ["String", "Int64"]  # which may be meant in either way
    assert types(read('a,b\n"1,5",2\n"2,5",3\n')) == ["String", "Int64"]


def test_blank_lines_are_left_out_and_rows_keep_their_numbers(read):
    frame = read("a,b\n1,x\n\n2,y\n")
    assert frame.rows == 2
    assert frame.notices == ("1 of 3 rows are left out: they are blank.",)
    assert [frame.place(0), frame.place(1)] == ["row 1", "row 3"]


def test_blank_rows_of_other_tables_and_of_known_columns_stay(read, tmp_path):
    assert read("a,b\n1,\n2,x\n", known={"b": "category"}).rows == 2
    pl.DataFrame({"a": [1, None, 2]}).write_parquet(tmp_path / "t.parquet")
    assert read_frame(tmp_path / "t.parquet").rows == frame_of({"a": [1, None, 2]}).rows == 3


def test_rows_without_a_target_are_left_out(read):
    frame = read("a,b,y\n1,x,1\n2,y,\n3,z,2\n", target="y")
    assert frame.inputs == ("a", "b")
    assert frame.table["y"].to_list() == [1, 2]
    assert frame.notices == ("1 of 3 rows are left out: their target 'y' is missing.",)
    assert frame.place(1) == "row 3"
    with pytest.raises(DataError, match=r"All 2 rows .* their target 'y' is missing"):
        read("a,y\n1,\n2,NA\n", target="y")


def test_names_that_are_not_there(read):
    with pytest.raises(DataError, match=r"no column 'Incme'. Did you mean 'income'.* There are 'age', 'income'"):
        read("age,income\n1,2\n", target="Incme")
    with pytest.raises(DataError, match="no column 'wait'"):
        read("age,income\n1,2\n", weights="wait")
    with pytest.raises(ConfigError, match=r"no column 'agge'. Did you mean 'age'"):
        read("age,income\n1,2\n", columns={"agge": "number"})
    with pytest.raises(ConfigError, match="'income' is target, weights or group"):
        read("age,income\n1,2\n", target="income", columns={"income": "drop"})
    with pytest.raises(ConfigError, match="'income' was named twice"):
        read("age,income\n1,2\n", target="income", group="income")


def test_a_given_kind_decides_how_a_column_is_read(read):
    frame = read("zip,day,x\n1.0,20240131,1\n2.0,20240201,2\n", columns={"zip": "category", "day": "date", "x": "drop"})
    assert frame.table.rows() == [("1.0", "20240131"), ("2.0", "20240201")]


def test_several_files_by_a_pattern(tmp_path):
    (tmp_path / "b.csv").write_text("y,x\n3,4\n")
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    frame = read_frame(tmp_path / "*.csv")
    assert frame.table.rows() == [(1, 2), (4, 3)]
    assert frame.source == "2 files, a.csv to b.csv"
    assert read_frame([tmp_path / "b.csv", tmp_path / "a.csv"]).table.columns == ["y", "x"]
    (tmp_path / "c.csv").write_text("x,z\n1,2\n")
    with pytest.raises(DataError, match=r"c.csv lacks 'y' and has 'z' besides, compared with a.csv"):
        read_frame(tmp_path / "*.csv")
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError, match="several forms: Parquet, text"):
        read_frame(tmp_path / "*")


def test_files_that_are_not_there_or_no_tables(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MissingDataError, match=r"Did you mean 'table.csv'"):
        read_frame(tmp_path / "tabel.csv")
    with pytest.raises(MissingDataError, match=r"\*.parquet"):
        read_frame(tmp_path / "*.parquet")
    with pytest.raises(DataError, match="is no file"):
        read_frame(tmp_path)
    (tmp_path / "table.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"ends in '.xlsx'; tables end in .csv"):
        read_frame(tmp_path / "table.xlsx")
    with pytest.raises(ConfigError, match="No file was named"):
        read_frame([])


def test_parquet_and_arrow_keep_their_types(tmp_path):
    table = pl.DataFrame(
        {
            "f": pl.Series([1.5, float("nan")], dtype=pl.Float32),
            "i": pl.Series([1, 2], dtype=pl.UInt8),
            "s": ["01", None],
            "n": ["1", "2"],
            "c": pl.Series(["x", "y"], dtype=pl.Categorical),
            "d": [date(2024, 1, 31), None],
            "z": pl.Series([datetime(2024, 1, 1, tzinfo=UTC)] * 2),
            "t": [time(1), time(2)],
            "p": [timedelta(days=1)] * 2,
            "m": pl.Series(["1.5", "2.5"]).cast(pl.Decimal(10, 2)),
            "l": [[1], [2]],
        }
    )
    table.write_parquet(tmp_path / "t.parquet")
    table.write_ipc(tmp_path / "t.arrow")
    for name in ("t.parquet", "t.arrow"):
        frame = read_frame(tmp_path / name)
        assert types(frame) == [
            "Float32", "UInt8", "String", "Int64", "String", "Datetime", "Datetime", "Float64", "Float64", "Float64",
        ]  # fmt: skip
        assert frame.table["f"].to_list() == [1.5, None]
        assert frame.table["z"].dtype == pl.Datetime("us")
        assert frame.table["t"].to_list() == [3600, 7200]
        assert frame.table["p"].to_list() == [86400, 86400]
        assert "Column 'l' holds List" in frame.notices[0]
    with pytest.raises(DataError, match="Column 'l' holds List"):
        read_frame(tmp_path / "t.parquet", target="l")


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_damaged_file(tmp_path, rng, name):
    path = tmp_path / name
    table = pl.DataFrame({"a": rng.normal(size=1000), "b": ["x"] * 1000})
    table.write_parquet(path) if name == "t.parquet" else table.write_ipc(path)
    whole = path.read_bytes()
    for end in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"t\.\w+ (cannot be read|is empty)"):
            read_frame(path)
    for _ in range(30):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 20):
            damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_frame(path)
        except DataError as error:
            assert name in str(error) or "table" in str(error)  # noqa: PT017


def test_weights(read):
    frame = read("x,y,w\n1,2,0\n2,3,1.5\n", target="y", weights="w")
    assert frame.inputs == ("x",)
    assert frame.weight_values() == pytest.approx([0, 1.5])
    assert read("x,y\n1,2\n").weight_values() is None
    for weight, words in (
        ("-1", "row 2 is -1"),
        ("", "row 2 is missing"),
        ("inf", "row 2 is inf"),
        ("x", "no numbers"),
    ):
        with pytest.raises(DataError, match=words):
            read(f"x,w\n1,1\n2,{weight}\n", weights="w").weight_values()
    with pytest.raises(DataError, match="All weights 'w' are 0"):
        read("x,w\n1,0\n2,0\n", weights="w").weight_values()


def test_groups(read):
    groups = read("x,g\n1,b\n2,a\n3,\n4,b\n5,\n", group="g").group_values()
    assert groups is not None
    assert groups.dtype == np.int64
    assert groups.tolist() == [2, 1, 0, 2, 0]
    assert read("x,g\n1,7\n2,7\n", group="g").group_values().tolist() == [0, 0]  # type: ignore[union-attr]
    assert read("x\n1\n").group_values() is None


def test_an_order_by_time(read):
    frame = read("t,n,s\n2024-01-02,3,x\n2024-01-01,1,y\n")
    order = frame.order_values("t")
    assert order[0] - order[1] == 86400
    assert frame.order_values("n").tolist() == [3, 1]
    with pytest.raises(DataError, match="'x' in row 1"):
        frame.order_values("s")
    with pytest.raises(DataError, match="Row 1 has no 'n'"):
        read("n,x\n,1\n2,2\n").order_values("n")


def test_tables_in_memory():
    columns = {
        "f": np.array([1.5, np.nan]), "i": [1, 2], "s": np.array(["x", None], dtype=object), "b": [True, False],
        "d": np.array(["2024-01-31", "NaT"], dtype="datetime64[D]"), "h": np.array([1, 2], dtype=np.float16),
        "m": np.array([1, "x"], dtype=object), "w": np.array([1, None], dtype=object),
    }  # fmt: skip
    same = pl.DataFrame(
        {name: pl.Series(values, strict=False) for name, values in columns.items() if name not in "hmw"}
    )
    for data in (columns, pd.DataFrame(columns), same):
        frame = frame_of(data)
        assert types(frame)[:5] == ["Float64", "Int64", "String", "Boolean", "Datetime"]
        assert frame.table["f"].to_list() == [1.5, None]
        assert frame.table["d"].to_list() == [datetime(2024, 1, 31), None]
    assert types(frame_of(columns))[5:] == ["Float64", "String", "Float64"]
    own = pd.DataFrame({"c": pd.Categorical(["x", "y"]), "n": pd.array([1, None], dtype="Int64")})
    assert frame_of(own).table.rows() == [("x", 1.0), ("y", None)]
    with pytest.raises(DataError, match="different lengths: 'a' 1, 'b' 2"):
        frame_of({"a": [1], "b": [1, 2]})
    with pytest.raises(DataError, match="'a' has 2 dimensions"):
        frame_of({"a": np.zeros((2, 2))})


def test_what_is_no_table_in_memory():
    for data in (None, 5, [1, 2], "abc", {}, {"a": np.array([1j, 2])}, {"a": 5}, pd.DataFrame(), np.zeros((2, 2))):
        with pytest.raises(DataError, match=r"(?i)table|dimensions"):
            frame_of(data)
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="several columns called 'a'"):
        frame_of(twice)


def test_times_of_pandas_with_a_zone():
    times = pd.Series(pd.to_datetime(["2024-01-01 12:00", None])).dt.tz_localize("Europe/Rome")
    frame = frame_of(pd.DataFrame({"a": times, 0: [1, 2]}))
    assert frame.table["a"].to_list() == [datetime(2024, 1, 1, 11), None]
    assert frame.table.columns == ["a", "0"]


def test_only_known_columns_are_read_for_a_model(read):
    content = "c,a,b\n01,1,z\n02,2,y\n"
    assert read(content, known={"a": "number", "c": "category"}).table.rows() == [("01", 1), ("02", 2)]
    with pytest.raises(DataError, match=r"table.csv lacks the columns 'd', 'e' .* it has 'c', 'a', 'b'"):
        read(content, known={"a": "number", "d": "number", "e": "date"})


CELLS = st.one_of(
    st.sampled_from(["", "NA", "?", "true", "False", "007", "1.50", "1e5", "-3", "1,5", "x", "2024-01-31", " 4 "]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5),
    st.integers().map(str),
    st.floats().map(str),
)


def truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
def test_any_cells_of_a_csv_are_read(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("cells") / "t.csv"
    lines = ["a,b", *(",".join('"' + one.replace('"', '""') + '"' for one in row) for row in cells)]
    path.write_text("\n".join([*lines, '"end","1"']), encoding="utf-8")
    frame = read_frame(path)
    numbers = range(frame.rows) if frame.numbers is None else frame.numbers
    for row, number in zip(frame.table.rows(), numbers, strict=True):
        for cell, given_ in zip(row, [*cells, ("end", "1")][number], strict=True):
            text = given_.strip()
            if cell is None or isinstance(cell, bool | str):
                assert (
                    text in MISSING
                    if cell is None
                    else (text == cell if isinstance(cell, str) else truth(text) is cell)
                )
            else:
                assert float(text) == cell
    assert frame.rows + sum(int(word.split()[0]) for word in frame.notices if "blank" in word) == len(cells) + 1


@pytest.mark.parametrize("rows", [[0, 2, 5], [5], [0, 1, 2, 3, 4, 5], [5, 0, 2], [1, 1, 3], [], [-1, 2]])
def test_rows_are_taken_in_their_order_with_their_numbers(rows):
    frame = frame_of({"a": [0, 1, 2, 3, 4, 5, 6], "b": list("tuvwxyz"), "y": [0.0, 1, 2, None, 4, 5, 6]}, target="y")
    assert frame.rows == 6
    whole, index = frame.table.rows(), np.array(rows, np.int64)
    taken = frame.taken(index)
    assert taken.table.rows() == [whole[i] for i in rows]
    parts = dict(frame.each(["b", "a"], index))
    assert list(parts) == ["b", "a"]
    assert parts["a"].table.rows() == [whole[i][:1] for i in rows]
    assert [taken.place(i) for i in range(len(rows))] == [frame.place(i) for i in rows]
    with pytest.raises(IndexError):
        frame.taken(np.array([0, 6]))


def test_without_polars_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fastmlp\[tables\]'"):
        need_polars()
    with pytest.raises(MissingExtraError, match="tables"):
        read_frame("table.csv")


def test_nothing_imports_polars_before_a_table_is_read():
    code = (
        "import sys, fastmlp.data.columns, fastmlp.data.targets, fastmlp.data.describe; print('polars' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "kernels")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
