"""Arrays of .npz files and folders of .npy files: what was saved comes back as rows, and nothing else is believed."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from fastmlp.data.sources.build import rows_of
from fastmlp.data.sources.read import read_raw
from fastmlp.errors import ConfigError, DataError

X, Y = np.arange(24, dtype=np.float32).reshape(6, 4), np.array([0, 1, 2, 0, 1, 2])


def save(form: str, folder: Path, **arrays: np.ndarray) -> Path:
    if form == "folder":
        folder.mkdir()
        for name, one in arrays.items():
            np.save(folder / f"{name}.npy", one)
        return folder
    (np.savez_compressed if form == "packed" else np.savez)(folder.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
    return folder.with_suffix(".npz")


FORMS = pytest.mark.parametrize("form", ["npz", "packed", "folder"])


@FORMS
def test_rows_and_classes_come_back(form: str, tmp_path: Path) -> None:
    raw = read_raw(save(form, tmp_path / "mé data", x=X, y=Y))
    np.testing.assert_array_equal(raw.rows, X, strict=True)
    np.testing.assert_array_equal(raw.targets["y"], Y, strict=True)
    assert (raw.kinds, raw.names, raw.shape) == ({"y": "classes"}, {"y": ("0", "1", "2")}, None)
    assert (raw.features, raw.part) == (("x0", "x1", "x2", "x3"), None)
    assert "/" not in raw.source


@FORMS
@pytest.mark.parametrize(
    "names",
    [
        {"x_train": 0, "y_train": 0, "x_val": 1, "y_val": 1, "x_test": 2, "y_test": 2},
        {"train_images": 0, "train_labels": 0, "val_images": 1, "val_labels": 1, "test_images": 2, "test_labels": 2},
        {"X_test": 2, "y_test": 2, "X_train": 0, "y_train": 0, "X_validation": 1, "y_validation": 1},
    ],
)
def test_parts_are_joined_in_their_order(form: str, names: dict[str, int], tmp_path: Path) -> None:
    pieces = {0: slice(0, 3), 1: slice(3, 4), 2: slice(4, 6)}
    some = {name: (X if "x" in name.lower() or "im" in name else Y)[pieces[part]] for name, part in names.items()}
    raw = read_raw(save(form, tmp_path / "data", **some, unused=np.zeros(3)))
    np.testing.assert_array_equal(raw.rows, X, strict=True)
    (target,) = raw.targets.values()
    np.testing.assert_array_equal(target, Y, strict=True)
    assert raw.part is not None
    np.testing.assert_array_equal(raw.part, np.array([0, 0, 0, 1, 2, 2], np.uint8), strict=True)


@pytest.mark.parametrize("form", ["npz", "folder"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_what_lies_there_unpacked_is_mapped_and_not_changed(form: str, dtype: Any, tmp_path: Path) -> None:
    path = save(form, tmp_path / "data", x=X.astype(dtype), y=Y)
    raw = read_raw(path)
    base = raw.rows
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    if form == "folder" or dtype == np.uint8:
        assert isinstance(base, np.memmap)
    assert (type(raw.rows), raw.rows.flags.writeable, raw.rows.flags.aligned) == (np.ndarray, True, True)
    raw.rows[:] = 0
    np.testing.assert_array_equal(read_raw(path).rows, X.astype(dtype))


@pytest.mark.parametrize(
    ("x", "dtype", "shape"),
    [
        (np.ones((6, 5, 4), np.uint8), np.uint8, (1, 5, 4)),
        (np.ones((6, 5, 4, 3), np.uint8), np.uint8, (3, 5, 4)),
        (np.ones((6, 3, 5, 4), np.uint8), np.uint8, (3, 5, 4)),
        (np.ones((6, 8, 8, 7), np.uint8), np.uint8, (7, 8, 8)),
        (np.ones((6, 1, 4, 4), np.uint8), np.uint8, (1, 4, 4)),
        (np.ones((6, 5, 4), np.float32), np.float32, (1, 5, 4)),
        (np.ones((6, 3072), np.uint8), np.uint8, None),
        (np.ones(6), np.float64, None),
        (np.ones((6, 2), np.float16), np.float32, None),
        (np.ones((6, 2), ">f8"), np.float64, None),
        (np.ones((6, 2), ">f4"), np.float32, None),
        (np.ones((6, 2), np.int64), np.float32, None),
        (np.ones((6, 2), np.int8), np.float32, None),
        (np.ones((6, 2), bool), np.float32, None),
        (np.ones((2, 6), np.float32).T, np.float32, None),
        (np.ones((6, 2), np.longdouble), np.float64, None),
    ],
)
def test_rows_of_any_shape_and_dtype(x: np.ndarray, dtype: Any, shape: tuple[int, ...] | None) -> None:
    rows, found = rows_of(x)
    np.testing.assert_array_equal(rows, np.ones((6, x.size // 6), dtype), strict=True)
    assert found == shape
    assert rows.flags.c_contiguous


@given(arrays_of.arrays(np.uint8, (2, 5, 4, 3)))
def test_channels_last_and_first_are_the_same_rows(x: np.ndarray) -> None:
    last, first = rows_of(x), rows_of(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(last[0], first[0])
    assert last[1] == first[1] == (3, 5, 4)
    np.testing.assert_array_equal(last[0].reshape(2, 3, 5, 4)[:, 1], x[..., 1])


@given(st.integers(1, 3), st.data())
def test_rows_are_not_copied_where_they_are_rows(height: int, data: st.DataObject) -> None:
    x = data.draw(arrays_of.arrays(st.sampled_from([np.uint8, np.float32, np.float64]), (4, height)))
    assert np.shares_memory(rows_of(x)[0], x)


@FORMS
@pytest.mark.parametrize(
    ("y", "settings", "kind"),
    [
        (Y.astype(str), {}, "classes"),
        (Y.astype(float), {}, "numbers"),
        (Y.astype(float), {"task": "classes"}, "classes"),
        (np.eye(6, 3, dtype=np.uint8), {}, "labels"),
        (np.arange(12.0).reshape(6, 2), {}, "numbers"),
    ],
)
def test_the_target_tells_the_task(form: str, y: np.ndarray, settings: Any, kind: str, tmp_path: Path) -> None:
    assert read_raw(save(form, tmp_path / "data", x=X, y=y), **settings).kinds == {"y": kind}


@FORMS
def test_another_target_is_taken_by_its_name(form: str, tmp_path: Path) -> None:
    path = save(form, tmp_path / "data", x=X, y=Y, test_score=Y * 0.5)
    assert read_raw(path, target="test_score").kinds == {"test_score": "numbers"}
    with pytest.raises(
        ConfigError, match=r"'test_scor', which is no array there; it holds .* Did you mean 'test_score'"
    ):
        read_raw(path, target="test_scor")


@FORMS
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"x": X, "y": Y[:5]}, "the rows are 6, and y has 5 values"),
        ({"x": X}, "it holds x; expected are x and y, or x_train"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y}, "do not pair"),
        ({"x": X, "data": X, "y": Y}, "several arrays of rows: "),
        ({"x": X, "y": Y, "labels": Y}, "several arrays of targets: "),
        ({"x_train": X, "y_train": Y, "x_test": X}, "do not pair"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :3], "y_test": Y}, "the rows of its parts differ"),
        ({"x_train": X, "y_train": Y, "x_test": X.astype(float), "y_test": Y}, "float32 of shape .6, 4., float64"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y.astype(str)}, "y differs from part to part"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y[1:]}, "the rows of the test part are 6, and y has 5"),
        ({"x_test": X, "y_test": Y}, "no row is for training"),
        ({"x": X[:0], "y": Y[:0]}, "there must be one row at least"),
        ({"x": X.astype("U3"), "y": Y}, "the rows are <U3 .* Words belong into a table"),
        ({"x": X.astype(complex), "y": Y}, "not that of an array of numbers"),
        ({"x": X.astype(object), "y": Y}, "x cannot be read: .* objects are pickles, which are never read"),
        ({"x": X, "y": Y.astype(object)}, "y cannot be read: .* pickles"),
        ({"x": np.ones((6, 3, 4, 3), np.uint8), "y": Y}, "may have their channels first or last"),
        ({"x": np.ones((6, 1, 1, 2, 2), np.uint8), "y": Y}, "the rows have shape"),
        ({"x": np.where(X == 9, np.nan, X), "y": Y}, "row 2 has nan in column 1"),
        ({"x": np.full((6, 4), 1e300, np.longdouble) ** 2, "y": Y}, "row 0 has inf in column 0"),
        ({"x": np.ones((6, 1_000_001), np.uint8), "y": Y}, "a row has 1,000,001 features, and at most 1,000,000 are"),
        ({"x": X, "y": Y * 0}, "y is of one class, '0', in all 6 training rows"),
        ({"x": X, "y": np.where(Y == 1, np.nan, Y)}, "y is nan in row 1"),
    ],
)
def test_what_does_not_fit_is_refused(form: str, given: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = save(form, tmp_path / "data", **given)
    with pytest.raises(DataError, match=told) as caught:
        read_raw(path)
    assert str(path) in str(caught.value)


def test_a_damaged_npz_is_refused_whatever_is_damaged(tmp_path: Path) -> None:
    for form in ("npz", "packed"):
        content = save(form, tmp_path / form, x=X, y=Y).read_bytes()
        damaged = tmp_path / "damaged.npz"
        for at in range(0, len(content), 7):
            damaged.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
            try:
                raw = read_raw(damaged)
            except (DataError, ConfigError):
                continue
            np.testing.assert_array_equal(raw.rows, X)  # a byte that says nothing, such as a time
            np.testing.assert_array_equal(raw.targets["y"], Y)
        for size in range(0, len(content), 31):
            damaged.write_bytes(content[:size])
            with pytest.raises(DataError):
                read_raw(damaged)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 1)})
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(1000))
        archive.writestr("y.npy", header.getvalue())
    with pytest.raises(DataError, match=r"x cannot be read: it has 1,128 bytes, and an array .* 1,099,511,627,904"):
        read_raw(path)
    path = save("packed", tmp_path / "large", x=np.zeros((100, 100)), y=np.arange(100) % 2)
    monkeypatch.setattr("fastmlp.data.sources.arrays.MOST_UNPACKED", 80_000)
    with pytest.raises(
        DataError, match=r"unpacks to 80,128 bytes, and 80,000 are allowed in memory; save it with np.s"
    ):
        read_raw(path)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    path = save("npz", tmp_path / "data", x=X, y=Y)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(DataError, match="two of its arrays have one name"):
        read_raw(path)


def test_hidden_files_and_folders_are_no_arrays(tmp_path: Path) -> None:
    folder = save("folder", tmp_path / "data", x=X, y=Y)
    (folder / "._x_train.npy").write_bytes(b"of a Mac")
    (folder / "labels.npy").mkdir()
    np.testing.assert_array_equal(read_raw(folder).rows, X)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_pipe_is_refused_and_does_not_wait(tmp_path: Path) -> None:
    folder = save("folder", tmp_path / "data", x=X, y=Y)
    (folder / "x.npy").unlink()
    os.mkfifo(folder / "x.npy")
    with pytest.raises(DataError):
        read_raw(folder)
