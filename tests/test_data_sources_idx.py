"""IDX files, as MNIST is published: what was written comes back, and a header is not believed."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from fastmlp.data.sources import idx
from fastmlp.data.sources.idx import is_idx
from fastmlp.data.sources.read import read_raw
from fastmlp.errors import ConfigError, DataError

IMAGES = np.arange(10 * 5 * 4, dtype=np.uint8).reshape(10, 5, 4)
LABELS = np.arange(10, dtype=np.uint8) % 3 + 7


def content(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write(path: Path, array: np.ndarray | bytes) -> Path:
    raw = array if isinstance(array, bytes) else content(array)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def write_set(folder: Path, end: str = "", parts: tuple[str, str] = ("train", "t10k"), dash: str = "-") -> Path:
    for part, rows in zip(parts, (slice(0, 7), slice(7, 10)), strict=True):
        write(folder / f"{part}-images{dash}idx3-ubyte{end}", IMAGES[rows])
        write(folder / f"{part}-labels{dash}idx1-ubyte{end}", LABELS[rows])
    return folder


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("parts", [("train", "t10k"), ("emnist-letters-train", "emnist-letters-test")])
@pytest.mark.parametrize("dash", ["-", "."])
def test_a_published_folder_comes_back(end: str, parts: tuple[str, str], dash: str, tmp_path: Path) -> None:
    raw = read_raw(write_set(tmp_path / "my 数据", end, parts, dash))
    np.testing.assert_array_equal(raw.rows, IMAGES.reshape(10, 20), strict=True)
    np.testing.assert_array_equal(raw.targets["label"], LABELS.astype(np.int64) - 7, strict=True)
    assert (raw.names["label"], raw.shape, raw.features) == (("7", "8", "9"), (1, 5, 4), ())
    assert raw.part is not None
    np.testing.assert_array_equal(raw.part, np.repeat([0, 2], [7, 3]))


@pytest.mark.parametrize("end", ["", ".gz"])
def test_one_file_of_images_has_its_labels_beside_it(end: str, tmp_path: Path) -> None:
    path = write_set(tmp_path, end) / f"train-images-idx3-ubyte{end}"
    raw = read_raw(path)
    np.testing.assert_array_equal(raw.rows, IMAGES[:7].reshape(7, 20))
    assert raw.part is None
    (tmp_path / f"train-labels-idx1-ubyte{end}").unlink()
    with pytest.raises(DataError, match=f"has no labels beside it; expected is train-labels-idx1-ubyte{end}"):
        read_raw(path)
    with pytest.raises(DataError, match="it is a file of labels; name that of the images"):
        read_raw(tmp_path / f"t10k-labels-idx1-ubyte{end}")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.* has no labels beside it"):
        read_raw(tmp_path)


def test_a_folder_of_one_pair_says_no_parts(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write(tmp_path / "train-labels-idx1-ubyte", LABELS)
    assert read_raw(tmp_path).part is None


def test_what_lies_there_unpacked_is_mapped_and_comes_before_the_packed(tmp_path: Path) -> None:
    write(tmp_path / "images-idx3-ubyte", IMAGES)
    write(tmp_path / "images-idx3-ubyte.gz", b"damaged")
    write(tmp_path / "labels-idx1-ubyte", LABELS)
    rows = read_raw(tmp_path).rows
    assert isinstance(rows.base.base if rows.base is not None else None, np.memmap)
    rows[:] = 0
    np.testing.assert_array_equal(read_raw(tmp_path).rows, IMAGES.reshape(10, 20))


def test_colour_images_and_plain_rows_are_read(tmp_path: Path) -> None:
    write(tmp_path / "labels-idx1-ubyte", LABELS)
    path = write(tmp_path / "images-idx4-ubyte", np.zeros((10, 4, 5, 3)))
    assert read_raw(path).shape == (3, 4, 5)
    path.unlink()
    assert read_raw(write(tmp_path / "images-idx2-ubyte", np.zeros((10, 6)))).features[:2] == ("x0", "x1")


HEADER = content(IMAGES)[:16]


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "begins with nothing"),
        (b"\0\0\10", "begins with 00 00 08, and an IDX file of bytes with 00 00 08"),
        (b"\1" + content(IMAGES)[1:], "begins with 01 00 08 03"),
        (b"\0\0\r" + content(IMAGES)[3:], "begins with 00 00 0d 03"),
        (content(LABELS), "has 1 axes, expected are 2 or 3 or 4"),
        (content(np.zeros((1, 1, 1, 1, 1))), "has 5 axes"),
        (HEADER[:9], "cut short within its header"),
        (HEADER, "it was cut short"),
        (content(IMAGES)[:-1], "it was cut short"),
        (content(IMAGES) + b"\0", "more than it says"),
        (content(IMAGES[:0]), "it is empty"),
        (HEADER[:4] + b"\xff" * 12 + bytes(50), "."),
        (content(IMAGES[:9]), "the rows are 9, and label has 10 values"),
    ],
)
def test_what_a_file_may_not_be_is_refused(end: str, raw: bytes, told: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"images-idx3-ubyte{end}", raw)
    write(tmp_path / "labels-idx1-ubyte", LABELS)
    with pytest.raises(DataError, match=told) as caught:
        read_raw(path)
    assert str(path) in str(caught.value)


def test_a_gzip_that_is_cut_or_damaged_anywhere_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "labels-idx1-ubyte", LABELS)
    path = write(tmp_path / "images-idx3-ubyte.gz", IMAGES)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError):
            read_raw(path)
    for at in range(10, len(whole)):  # before: a time, a name
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(DataError, match=r"images-idx3-ubyte.gz cannot be"):
            read_raw(path)


def test_a_bomb_takes_no_more_memory_than_its_header_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "labels-idx1-ubyte", LABELS)
    path = write(tmp_path / "images-idx3-ubyte.gz", content(IMAGES) + bytes(50 << 20))
    with pytest.raises(DataError, match="it holds more than it says"):
        read_raw(path)
    monkeypatch.setattr(idx, "MOST_UNPACKED", 100)
    with pytest.raises(DataError, match="unpacks to 200 bytes, and 100 are allowed; unpack it"):
        read_raw(path)


def test_a_folder_of_two_sets_must_be_chosen_from(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_set(tmp_path, parts=("emnist-train", "emnist-test"))
    with pytest.raises(DataError, match=r"expected is one set, train-images-idx3-ubyte .* Name the file"):
        read_raw(tmp_path)
    assert read_raw(tmp_path / "emnist-train-images-idx3-ubyte").rows.shape == (7, 20)


def test_the_only_target_is_the_label(tmp_path: Path) -> None:
    write_set(tmp_path)
    assert read_raw(tmp_path, target="label", task="numbers").kinds == {"label": "numbers"}
    with pytest.raises(ConfigError, match="target is 'digit', but the only target there is 'label'"):
        read_raw(tmp_path, target="digit")


@pytest.mark.parametrize("name", ["train-images.txt", "images-idx3-int", "a.npz"])
def test_another_name_is_none(name: str, tmp_path: Path) -> None:
    assert not is_idx(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    assert not is_idx(tmp_path)


@given(arrays_of.arrays(np.uint8, st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(1, 4))), st.booleans())
def test_any_images_come_back(tmp_path_factory: Any, images: np.ndarray, packed: bool) -> None:
    folder = tmp_path_factory.mktemp("idx")
    path = write(folder / f"images-idx3-ubyte{'.gz' if packed else ''}", images)
    write(folder / "labels-idx1-ubyte", np.arange(len(images)))
    np.testing.assert_array_equal(read_raw(path).rows, images.reshape(len(images), -1), strict=True)
