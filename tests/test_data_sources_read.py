"""The door to all readers: what a path is, what is said of one that is nothing, and what is a table."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastmlp.data.sources import arrays
from fastmlp.data.sources.read import READERS, is_table, read_raw
from fastmlp.errors import ConfigError, DataError, FastMLPError, MissingDataError


def test_what_is_not_there_is_named_with_what_is_like_it(tmp_path: Path) -> None:
    (tmp_path / "digits.npz").write_bytes(b"")
    with pytest.raises(MissingDataError) as caught:
        read_raw(tmp_path / "digit.npz")
    assert str(caught.value) == (
        f"{tmp_path / 'digit.npz'} is not there. Did you mean 'digits.npz'? Name a file or a folder of data."
    )
    for name in ("a/b/c", "a\0b", "x" * 5000):
        with pytest.raises((MissingDataError, DataError)):
            read_raw(tmp_path / name)


def test_an_empty_path_and_a_home_that_is_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"path of the data is empty; allowed are an .npz file"):
        read_raw("")
    with pytest.raises(ConfigError, match="~nobody-of-this-name/x is no path"):
        read_raw("~nobody-of-this-name/x")


def test_the_home_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2)), y=np.arange(2))
    assert read_raw("~/a.npz").rows.shape == (2, 2)


@pytest.mark.parametrize("name", ["a.txt", "a.npy", "a.pkl", "a.png", "a"])
def test_what_is_known_to_nobody_is_refused_with_all_that_is_allowed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"some content\n")
    with pytest.raises(
        DataError, match=f"{name}: it is none that is known. Allowed are an .npz file, a folder of .npy"
    ) as caught:
        read_raw(tmp_path / name)
    for part in (*(one.words for one in READERS), "sklearn:NAME", ".parquet"):
        assert part in str(caught.value)


def test_classes_without_a_row_for_training_are_told(tmp_path: Path) -> None:
    y = {"y_train": np.array(["b", "c"]), "y_test": np.array(["a", "b"])}
    np.savez(tmp_path / "a.npz", x_train=np.zeros((2, 1)), x_test=np.zeros((2, 1)), **y)  # type: ignore[arg-type]
    told: list[str] = []
    assert read_raw(tmp_path / "a.npz", tell=told.append).names["y"] == ("a", "b", "c")
    assert told == ["1 of 3 classes of y have no row for training: 'a'."]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_pipe_is_refused_and_does_not_wait(tmp_path: Path) -> None:
    for name in ("a", "a.npz", "a.svm", "images-idx3-ubyte", "a.csv"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError):
            read_raw(tmp_path / name)


@pytest.mark.parametrize("task", ["class", "regression", ""])
def test_a_task_that_is_none_is_refused(task: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"task is '{task}'; allowed are classes, labels, numbers, or None"):
        read_raw(tmp_path, task=task)


def test_what_the_system_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2)), y=np.arange(2))

    def refuse(error: Exception) -> None:
        def opened(path: Path) -> None:  # noqa: ARG001
            raise error

        monkeypatch.setattr(arrays, "opened", opened)

    refuse(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a.npz")))
    with pytest.raises(DataError, match=r"a.npz cannot be read: permission denied. Check who owns it\."):
        read_raw(tmp_path / "a.npz")
    refuse(OSError(errno.EIO, "Input/output error"))
    with pytest.raises(DataError, match=r"a.npz cannot be read: Input/output error\."):
        read_raw(tmp_path / "a.npz")
    refuse(MemoryError())
    with pytest.raises(DataError, match="does not fit into this machine's memory"):
        read_raw(tmp_path / "a.npz")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read all")
def test_a_folder_that_may_not_be_entered_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0)
    try:
        with pytest.raises(DataError, match="permission denied"):
            read_raw(tmp_path / "data")
    finally:
        (tmp_path / "data").chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", True),
        ("A.CSV", True),
        ("a.tsv", True),
        ("a.parquet", True),
        ("a b.arrow", True),
        ("a.csv.gz", True),
        ("data/*.csv", True),
        ("data/*.tsv.GZ", True),
        ("data/part-*.parquet", True),
        ("a.npz", False),
        ("a", False),
        ("a.csv.bak", False),
        ("a.gz", False),
        ("a.parquet.gz", False),
        ("sklearn:iris", False),
    ],
)
def test_a_table_is_told_by_its_name(name: str, expected: bool, tmp_path: Path) -> None:
    assert is_table(tmp_path / name) is expected
    if "*" not in name:
        (tmp_path / name).write_text("a,b\n1,2\n")
        assert is_table(tmp_path / name) is expected


def test_a_pattern_is_a_table_where_it_matches_tables_alone(tmp_path: Path) -> None:
    pattern = str(tmp_path / "[ab]*")
    assert not is_table(pattern)
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.parquet").write_text("")
    assert is_table(pattern)
    (tmp_path / "b.txt").write_text("")
    assert not is_table(pattern)


def test_a_table_is_not_for_this(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,label\nnone,1\n")
    with pytest.raises(DataError, match="it is a table"):
        read_raw(tmp_path / "a.csv")


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", "path", "path,label\n", "path,label\n\n", '"', "\0\0"])
def test_a_csv_of_nothing_is_a_table(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert is_table(tmp_path / "a.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    name=st.sampled_from(["a.npz", "a.svm", "images-idx3-ubyte", "i-images-idx3-ubyte.gz", "a.csv"]),
)
def test_no_content_raises_anything_else(content: bytes, name: str, tmp_path: Path) -> None:
    path: Any = tmp_path / name
    path.write_bytes(content)
    with contextlib.suppress(FastMLPError):
        read_raw(path, cache=tmp_path / "cache")
