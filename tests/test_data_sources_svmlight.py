"""svmlight files: scikit-learn's reader, dense rows within a stated memory, and errors for anything else."""

import bz2
import gzip
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import dump_svmlight_file

from fastmlp.data.sources import packed, svmlight
from fastmlp.data.sources.read import read_raw
from fastmlp.data.sources.svmlight import is_svmlight
from fastmlp.errors import DataError, MissingExtraError

X = np.array([[0, 1.5, 0], [2, 0, 0], [0, 0, -3], [1, 0, 0]], np.float32)
Y = np.array([1, -1, 1, -1])


def write(path: Path, y: Any = Y, **settings: Any) -> Path:
    dump_svmlight_file(X, y, str(path), zero_based=False, **settings)
    return path


@pytest.mark.parametrize("name", ["a.svm", "a.svmlight", "my data.libsvm", "ijcnn1", "a.dat"])
def test_rows_and_classes_come_back(name: str, tmp_path: Path) -> None:
    raw = read_raw(write(tmp_path / name))
    np.testing.assert_array_equal(raw.rows, X, strict=True)
    np.testing.assert_array_equal(raw.targets["target"], [1, 0, 1, 0])
    assert (raw.kinds["target"], raw.names["target"]) == ("classes", ("-1", "1"))
    assert (raw.features, raw.part) == (("x0", "x1", "x2"), None)


def test_floats_are_numbers_and_may_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.svm", [0.5, 1, 2, 3], comment="a comment\nof two lines", query_id=[1, 1, 2, 2])
    assert read_raw(path).kinds["target"] == "numbers"
    assert read_raw(write(path), task="numbers").kinds["target"] == "numbers"


def test_several_labels_a_line_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "scene"
    path.write_text("0,2 1:1\n2 1:0.5\n")
    raw = read_raw(path)
    np.testing.assert_array_equal(raw.targets["target"], np.array([[1, 1], [0, 1]], np.uint8), strict=True)
    assert (raw.kinds["target"], raw.names["target"]) == ("labels", ("0", "2"))


@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed_files_are_read_within_a_limit(
    end: str, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write(tmp_path / "a.svm")
    path = tmp_path / f"a.svm{end}"
    path.write_bytes(pack(plain.read_bytes()))
    np.testing.assert_array_equal(read_raw(path).rows, X, strict=True)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="no svmlight file that can be read"):
        read_raw(path)
    path.write_bytes(b"not packed")
    with pytest.raises(DataError, match="no svmlight file that can be read"):
        read_raw(path)
    path.write_bytes(pack(b"1 1:1\n" * 1000))
    monkeypatch.setattr(packed.unpacked.__wrapped__, "__defaults__", (5000,))  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="it unpacks to more than 5,000 bytes"):
        read_raw(path)


def test_the_test_part_lies_beside(tmp_path: Path) -> None:
    path = tmp_path / "a1a"
    path.write_text("1 1:1\n0 2:1\n")
    (tmp_path / "a1a.t").write_text("1 4:1\n")
    raw = read_raw(path)
    np.testing.assert_array_equal(raw.rows, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert raw.part is not None
    assert raw.part.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it holds no row: there is nothing to learn from"),
        ("1 a:1\n", "no svmlight file"),
        ("1 1:b\n", "no svmlight file"),
        ("x 1:1\n", "no svmlight file"),
        ("1 1:1\n0 1:nan\n", "row 1 has nan in column 0"),
        ("1 1:1\n0 1:1e999\n", "row 1 has inf in column 0"),
        ("nan 1:1\n0 1:1\n", "target is nan in row 0"),
        ("1 1:1\n1 1:2\n", "of one class, '1'"),
        ("1 -1:1\n0 1:1\n", "no svmlight file"),
        ("1 2:1 1:1\n0 1:1\n", "no svmlight file"),
        ("1 999999999999:1\n0 1:1\n", "the number of a feature is too large"),
        (
            "1 1999999999:1\n0 1:1\n",
            "its 2 rows of .* features take .* bytes with their zeros; allowed are 4,294,967,296",
        ),
        ("1 1000001:1\n0 1:1\n", "and 1,000,000 features. Choose"),
        ("\x00\x01\x02\n", "no svmlight file"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_text(text)
    with pytest.raises(DataError, match=told):
        read_raw(tmp_path / "a.svm")


def test_too_many_labels_and_labels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_text("".join(f"{i},{i + 1} 1:1\n" for i in range(0, 10_002, 2)))
    with pytest.raises(DataError, match="it has 10,002 different labels; at most 10,000 are allowed"):
        read_raw(tmp_path / "a.svm")
    (tmp_path / "a.svm").write_text("0,nan 1:1\n2 1:1\n")
    with pytest.raises(DataError, match="each must be a number"):
        read_raw(tmp_path / "a.svm")


def test_rows_beyond_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svmlight, "MOST_DENSE", 47)
    with pytest.raises(
        DataError, match="its 4 rows of 3 features take 48 bytes with their zeros; allowed are 47 bytes"
    ):
        read_raw(write(tmp_path / "a.svm"))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "hello: 1\n", "", "1 2 3\n", "\x93NUMPY"])
def test_what_says_nothing_by_its_name_must_look_like_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text(text, "latin1")
    assert not is_svmlight(tmp_path / "data")


def test_without_scikit_learn_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.svm")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fastmlp\[sklearn\]'"):
        read_raw(path)
