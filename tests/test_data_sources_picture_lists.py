"""CSV files of pictures and labels: read as pictures, or refused with the line at fault."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.data.sources.read import is_table, read_raw
from fastmlp.errors import ConfigError, DataError
from pictures import pictures_folder, pixels, planes, read_pictures, save  # noqa: F401 - fixtures have other names

LIST = "path,label\ncat/a.png,one\ncat/b c.png,two\ndög/d.png,one\n"


@pytest.mark.parametrize(
    "text",
    [LIST, LIST.replace(",", ";"), LIST.replace("\n", "\r\n"), f"\ufeff{LIST}\n", LIST.replace("path", "Image")],
)
def test_a_list_of_pictures_comes_back(text: str, read: Any, folder: Path) -> None:
    path = folder / "my list.csv"
    path.write_text(text, "utf-8")
    assert not is_table(path)
    raw = read(path)
    np.testing.assert_array_equal(raw.rows, [planes(pixels(i)) for i in (0, 1, 3)])
    assert (raw.targets["label"].tolist(), raw.names["label"]) == ([0, 1, 0], ("one", "two"))


def test_a_list_may_lie_elsewhere_and_have_parts_and_targets(read: Any, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    lines = [f"{folder / name},{age},{kind},{part}" for name, age, kind, part in (
        ("cat/a.png", 1.5, "x", "train"), ("cat/b c.png", 2, "y", "Train"), ("dög/d.png", 3, "x", "test"))]  # fmt: skip
    path.write_text("\n".join(["file,age,kind,split", *lines]), "utf-8")
    assert read_raw(path, target="age", cache=tmp_path).rows.shape == (3, 3072)
    with pytest.raises(ConfigError, match="inside of the data's folder"):
        read(path, target="age", cache=folder / "cat" / "cache")
    raw = read(path, target="age")
    np.testing.assert_array_equal(raw.targets["age"], [1.5, 2, 3], strict=True)
    assert (raw.kinds, raw.part.tolist()) == ({"age": "numbers"}, [0, 0, 2])
    assert read.told[0] == "Left out the columns kind: a row is a picture."
    assert read(path, target="kind").names["kind"] == ("x", "y")
    with pytest.raises(ConfigError, match=r"target is 'aeg'; the columns are age, kind. Did you mean 'age'"):
        read(path, target="aeg")
    with pytest.raises(DataError, match="none of them alone is called label, class, target: name one as the target"):
        read(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LIST.replace("d.png", "missing.png"), "1 of its 3 pictures are not there, the first is dög/missing.png"),
        (LIST.replace(",two", ","), "line 3 has no label"),
        (LIST.replace("cat/b c.png", ""), "line 3 has no path"),
        (LIST.replace(",two", ""), "line 3 has 1 cells, and the header 2"),
        (LIST.replace("two", "two,three"), "line 3 has 3 cells"),
        (LIST.replace("two", '"two'), "is no CSV"),
        (LIST.replace("path,label", "path,path"), "two columns called 'path'"),
        (LIST.replace("path,label", "path,split"), "none of them alone is called"),
        (LIST.replace("two", "one"), "all its 3 pictures are of one label, 'one'"),
        (LIST.replace("b c.png", "b\0c.png"), "line 3 has no path|is no CSV"),
        ("path,label,part\ncat/a.png,one,somewhere\n", "line 2 has part 'somewhere'; allowed are train"),
    ],
)
def test_a_list_with_a_fault_is_refused(text: str, told: str, read: Any, folder: Path) -> None:
    path = folder / "list.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=told):
        read(path)


def test_a_list_in_another_encoding_is_refused(read: Any, folder: Path) -> None:
    (folder / "list.csv").write_text(LIST, "latin1")
    with pytest.raises(DataError, match=r"byte 42 of it is no UTF-8. Save it in that encoding"):
        read(folder / "list.csv")


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (("1", "2", "10"), "classes", ("1", "2", "10")),
        (("007", "1", "2"), "classes", ("007", "1", "2")),
        (("0.5", "1", "2"), "numbers", ("label",)),
        (("nan", "b", "c"), "classes", ("b", "c", "nan")),
        (("9" * 5000, "1", "2"), "classes", None),
    ],
)
def test_labels_of_a_list_are_what_they_look_like(
    labels: tuple[str, ...], kind: str, names: tuple[str, ...] | None, read: Any, folder: Path
) -> None:
    files = ("cat/a.png", "cat/b c.png", "dög/d.png")
    lines = [f"{file},{label}" for file, label in zip(files, labels, strict=True)]
    (folder / "list.csv").write_text("\n".join(["path,label", *lines]), "utf-8")
    if names is None:
        with pytest.raises(DataError, match="label is inf in row 0"):
            read(folder / "list.csv")
        return
    raw = read(folder / "list.csv")
    assert (raw.kinds["label"], raw.names["label"]) == (kind, names)
