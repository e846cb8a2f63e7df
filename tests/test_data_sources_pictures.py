"""Pictures of class folders and of lists: decoded once into a cache, never into the data's folder."""

import contextlib
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastmlp.data.sources import decoded, picture
from fastmlp.data.sources.read import read_raw
from fastmlp.errors import ConfigError, DataError, MissingExtraError, OutputError
from pictures import pictures_folder, pixels, planes, read_pictures, save  # noqa: F401 - fixtures have other names

ENDS = (".png", ".jpg", ".webp", ".bmp", ".JPEG")


def test_pictures_of_class_folders_come_back(read: Any, folder: Path) -> None:
    raw = read(folder)
    np.testing.assert_array_equal(raw.rows, [planes(pixels(i)) for i in range(5)], strict=True)
    np.testing.assert_array_equal(raw.targets["class"], np.array([0, 0, 0, 1, 1]), strict=True)
    assert (raw.names["class"], raw.shape, raw.features, raw.part) == (("cat", "dög"), (3, 32, 32), (), None)
    assert "pictures" not in raw.source.replace("pictures of", "")


def test_parts_are_folders_above_the_classes(read: Any, folder: Path) -> None:
    for i, name in enumerate(
        ("Train/cat/a", "Train/dog/b", "test/cat/c", "validation/dog/d", "docs/x/e", "test/loose")
    ):
        save(folder.parent / "parts" / f"{name}.png", pixels(i))
    raw = read(folder.parent / "parts")
    np.testing.assert_array_equal(raw.rows, [planes(pixels(i)) for i in (0, 1, 3, 2)])
    assert raw.part.tolist() == [0, 0, 1, 2]
    assert raw.targets["class"].tolist() == [0, 1, 1, 0]
    assert any("docs, which is no part" in line for line in read.told)
    assert any("1 pictures of the test part that lie in no class folder" in line for line in read.told)


def test_files_of_other_forms_are_told(read: Any, folder: Path) -> None:
    for name in ("a.gif", "b.GIF", "notes.txt"):
        (folder / "cat" / name).write_bytes(b"")
    assert len(read(folder).rows) == 5
    assert read.told[0] == "Left out 2 .gif, 1 .txt, which are none of .png, .jpg, .jpeg, .webp, .bmp."


def test_trains_may_be_a_class(read: Any, tmp_path: Path) -> None:
    for name in ("train/a", "bus/b"):
        save(tmp_path / "data" / f"{name}.png", pixels(0))
    assert read(tmp_path / "data").names["class"] == ("bus", "train")


def test_parts_without_class_folders_are_refused(read: Any, tmp_path: Path) -> None:
    for name in ("train/a", "test/b"):
        save(tmp_path / "data" / f"{name}.png", pixels(0))
    with pytest.raises(DataError, match="test, train hold no class folders for training"):
        read(tmp_path / "data")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("size", [(32, 32), (40, 90), (7, 5), (700, 3)])
@pytest.mark.parametrize("grey", [False, True])
def test_any_form_and_size_becomes_one(end: str, size: tuple[int, int], grey: bool, read: Any, tmp_path: Path) -> None:
    array = np.zeros((*size, 3), np.uint8)
    array[size[0] // 2 :, :] = (250, 120, 10)  # the lower half
    for name in ("a", "b"):
        save(tmp_path / "data" / name / f"x{end}", array)
    raw = read(tmp_path / "data", image_size=16, grey=grey)
    assert raw.shape == (1 if grey else 3, 16, 16)
    image = raw.rows[0].reshape(raw.shape).astype(int)
    assert abs(image[:, 1:5] - 0).max() < 30
    lower = [144] if grey else [250, 120, 10]
    assert abs(image[:, 12:15] - np.array(lower)[:, None, None]).max() < 30


def test_a_picture_of_the_size_is_taken_as_it_is_and_nothing_of_a_larger_one_is_cut_off(tmp_path: Path) -> None:
    for end in (".png", ".bmp"):
        path = save(tmp_path / f"a{end}", pixels(3))
        np.testing.assert_array_equal(picture.read_whole_picture(path, 32, grey=False), planes(pixels(3)))
    wide = np.zeros((32, 128, 3), np.uint8)
    wide[:, :8] = wide[:, -8:] = 255  # both ends, which a square of the middle would lose
    row = picture.read_whole_picture(save(tmp_path / "wide.png", wide), 32, grey=True).reshape(32, 32)
    assert row[:, 0].min() > 200
    assert row[:, -1].min() > 200
    assert row[:, 8:24].max() < 20


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_of_colours_is_read(mode: str, tmp_path: Path) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 0x8123, np.uint16))
    else:
        image = Image.new("RGB", (8, 8), (129, 129, 129)).convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    row = picture.read_whole_picture(path, 8, grey=False)
    assert row.shape == (192,)
    assert mode in ("1", "P") or abs(row.astype(int) - 129).max() <= 3


def test_transparent_parts_become_white_and_exif_turns(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert picture.read_whole_picture(tmp_path / "clear.png", 4, grey=False).min() == 255
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    array = np.zeros((8, 8, 3), np.uint8)
    array[:, :4] = 255
    row = picture.read_whole_picture(save(tmp_path / "turned.png", array, exif=exif), 8, grey=True).reshape(8, 8)
    assert row[0].min() == 255
    assert row[-1].max() == 0


def test_the_second_time_nothing_is_decoded(read: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(folder)
    monkeypatch.delattr(decoded, "read_whole_picture")
    read.told.clear()
    again = read(folder)
    assert read.told == []
    np.testing.assert_array_equal(again.rows, first.rows)
    assert (type(again.rows), again.rows.flags.writeable) == (np.ndarray, True)
    again.rows[:] = 0  # which stays in this process
    np.testing.assert_array_equal(read(folder).rows, [planes(pixels(i)) for i in range(5)])


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: save(folder / "cat" / "a.png", pixels(77)),
        lambda folder: save(folder / "cat" / "new.png", pixels(77)),
        lambda folder: (folder / "cat" / "a.png").unlink(),
        lambda folder: (folder / "cat" / "a.png").rename(folder / "cat" / "z.png"),
    ],
)
def test_what_changes_is_decoded_anew_into_the_same_file(change: Any, read: Any, folder: Path, tmp_path: Path) -> None:
    first = read(folder)
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    before = np.array(first.rows)
    change(folder)
    again = read(folder)
    assert len(again.rows) != len(before) or not np.array_equal(again.rows, before)
    np.testing.assert_array_equal(first.rows, before)  # still mapped from the file that was replaced
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == names
    assert len(names) == 2


def test_a_picture_with_the_times_of_another_is_seen(read: Any, folder: Path) -> None:
    path = save(folder / "cat" / "a.bmp", pixels(1))
    status = path.stat()
    read(folder)
    save(path, pixels(2))  # as many bytes
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    np.testing.assert_array_equal(read(folder).rows[0], planes(pixels(2)))


def test_settings_have_their_own_files(read: Any, folder: Path, tmp_path: Path) -> None:
    shapes = {read(folder, image_size=size, grey=grey).shape for size in (8, 9) for grey in (False, True)}
    assert shapes == {(3, 8, 8), (1, 8, 8), (3, 9, 9), (1, 9, 9)}
    assert len(list((tmp_path / "cache").iterdir())) == 8


@pytest.mark.parametrize("end", [".npy", ".json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text", "bit", "folder"])
def test_a_damaged_cache_is_written_anew(end: str, damage: str, read: Any, folder: Path, tmp_path: Path) -> None:
    read(folder)
    (path,) = (tmp_path / "cache").glob(f"*{end}")
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
        with pytest.raises(OutputError, match="cache"):
            read(folder)
        return
    at = len(content) // 2
    damaged = {
        "empty": b"",
        "cut": content[:-1],
        "text": b'{"key": 3}',
        "bit": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
    }
    if damage != "missing":
        path.write_bytes(damaged[damage])
    np.testing.assert_array_equal(read(folder).rows, [planes(pixels(i)) for i in range(5)])
    assert path.read_bytes() == content


def test_the_data_folder_is_never_written_to(read: Any, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    read(folder)
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))} == before
    for cache in (folder, folder / "cache", folder / ".." / folder.name / "cat"):
        with pytest.raises(ConfigError, match="inside of the data's folder, which is never written to"):
            read(folder, cache=cache)
    assert not (folder / "cache").exists()


def test_the_cache_is_where_downloads_are(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    read_raw(folder)
    assert len(list((tmp_path / "xdg" / "fastmlp" / "pictures").iterdir())) == 2
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "")
    with pytest.raises(ConfigError, match="name a folder for decoded pictures with cache"):
        read_raw(folder)


def test_a_cache_that_cannot_be_written_to_is_an_error(read: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot take decoded pictures .*[Nn]ame another folder with cache"):
        read(folder, cache=tmp_path / "file")
    with pytest.raises(OutputError):
        read(folder, cache=tmp_path / "file" / "below")


def test_broken_files_are_left_out_and_named_each_time(read: Any, folder: Path) -> None:
    (folder / "cat" / "b c.png").write_bytes(b"no picture")
    for _ in range(2):
        read.told.clear()
        raw = read(folder)
        np.testing.assert_array_equal(raw.rows, [planes(pixels(i)) for i in (0, 2, 3, 4)])
        assert raw.targets["class"].tolist() == [0, 0, 1, 1]
        where = os.path.join("cat", "b c.png")  # noqa: PTH118 - as it is shown
        assert (
            read.told[-1] == f"Left out one picture that cannot be read: {where} (it is none of PNG, JPEG, WEBP, BMP)."
        )


def test_more_broken_files_than_the_limit_are_refused(read: Any, folder: Path, tmp_path: Path) -> None:
    for i in range(196):
        save(folder / "more" / f"{i:03}.png", np.zeros((2, 2, 3), np.uint8))
    for name in ("a.png", "b c.png", "deep/er/ü.png"):
        (folder / "cat" / name).write_bytes(b"")
    assert len(read(folder).rows) == 198  # of 201, where 3 are allowed
    (folder / "dög" / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"4 pictures that cannot be read: .*a.png .*At most 1 in 100 may be broken"):
        read(folder)
    assert not list((tmp_path / "cache").glob(".*"))


def test_no_picture_that_can_be_read_is_refused(read: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "data")


@pytest.mark.parametrize("end", ENDS)
def test_a_picture_cut_anywhere_is_read_or_refused(end: str, tmp_path: Path) -> None:
    whole = save(tmp_path / f"a{end}", pixels(0, 9, 9)).read_bytes()
    cut = tmp_path / f"cut{end}"
    for size in range(0, len(whole) - 20, 3):
        cut.write_bytes(whole[:size])
        with pytest.raises(DataError):
            picture.read_whole_picture(cut, 8, grey=False)


@given(data=st.data())
def test_a_damaged_picture_never_raises_anything_else(data: st.DataObject, tmp_path_factory: Any) -> None:
    end = data.draw(st.sampled_from(ENDS))
    path = save(tmp_path_factory.mktemp("damaged") / f"a{end}", pixels(0, 9, 9))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    picture.check_pillow()
    with contextlib.suppress(DataError):
        assert picture.read_whole_picture(path, 8, grey=False).shape == (192,)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_a_bomb_is_refused_before_it_is_unpacked(read: Any, folder: Path) -> None:
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**7))) + chunk(b"IEND", b"")
    )
    (folder / "cat" / "a.png").write_bytes(bomb)
    assert len(read(folder).rows) == 4
    assert "a.png (" in read.told[-1]
    size = struct.pack(">IIBBBBB", 8000, 8000, 8, 2, 0, 0, 0)
    (folder / "cat" / "a.png").write_bytes(bomb.replace(chunk(b"IHDR", head), chunk(b"IHDR", size)))
    assert len(read(folder).rows) == 4
    assert "a.png (it has 64,000,000 pixels, and 50,000,000 are allowed)" in read.told[-1]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({}, "it is a folder with no files. Allowed are an .npz file, "),
        ({"a/b.txt": b"", "a/c.txt": b"", "d": b""}, "with 2 .txt, 1 files without an end to their name. Allowed"),
        ({".hidden/a.png": b"", "a/.b.png": b""}, "a folder with no files"),
        (
            {"a.png": b"", "b.png": b"", "empty/x.txt": b""},
            "holds 2 .png, 1 .txt, and no picture in a class folder. Exp",
        ),
        ({"cat/a.png": b"", "cat/b.png": b""}, "all its 2 pictures are of one class, 'cat': there is nothing to learn"),
    ],
)
def test_a_folder_without_pictures_is_refused_with_what_it_holds(
    made: dict[str, bytes], told: str, read: Any, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for name, content in made.items():
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        read(tmp_path / "data")
    assert not (tmp_path / "cache").exists()


def test_hidden_files_are_not_looked_at(read: Any, folder: Path) -> None:
    (folder / "cat" / "._a.png").write_bytes(b"of a Mac")
    save(folder / ".thumbnails" / "a.png", pixels(9))
    save(folder / "cat" / ".cache" / "a.png", pixels(9))
    assert len(read(folder).rows) == 5


def test_a_class_whose_name_is_no_unicode_is_refused(read: Any, folder: Path) -> None:
    name = os.fsdecode(b"bad\xff")
    try:
        save(folder / name / "a.png", pixels(9))
    except OSError:
        pytest.skip("this file system takes Unicode alone")
    with pytest.raises(DataError, match=r"a name of the target class, 'bad.udcff', is no text of Unicode; rename it"):
        read(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_pipe_is_broken_and_does_not_wait(read: Any, folder: Path) -> None:
    (folder / "cat" / "a.png").unlink()
    os.mkfifo(folder / "cat" / "a.png")
    assert len(read(folder).rows) == 4


@pytest.mark.parametrize("size", [0, -1, 1025, 2.0, True, "32"])
def test_a_size_that_is_none_is_refused(size: Any, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"image_size is .*; allowed is a whole number of pixels from 1 to 1,024"):
        read_raw(folder, image_size=size)


def test_without_pillow_the_extra_is_named(read: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fastmlp\[images\]'"):
        read(folder)


def test_what_takes_long_is_told(read: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "_SECONDS", 0.0)
    read(folder)
    assert read.told[0].startswith("Decoding 5 pictures, once, into ")
    assert read.told[1:] == [f"Decoded {i} of 5 pictures." for i in range(1, 6)]


def test_an_interrupted_decoding_leaves_nothing(read: Any, folder: Path, tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        read(folder, tell=interrupt)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_task_that_does_not_fit_is_refused_before_anything_is_decoded(
    read: Any, folder: Path, tmp_path: Path
) -> None:
    for task, told in (
        ("numbers", "class is text, such as 'cat', and the task is numbers"),
        ("labels", "must be 0 or 1"),
    ):
        with pytest.raises(DataError, match=told):
            read(folder, task=task)
    assert not (tmp_path / "cache").exists()


def test_class_folders_are_classes_whatever_their_names(read: Any, tmp_path: Path) -> None:
    for i, name in enumerate(("0.5", "1.5")):
        save(tmp_path / "data" / name / "a.png", pixels(i))
    assert read(tmp_path / "data").names["class"] == ("0.5", "1.5")
    assert read(tmp_path / "data", task="numbers").targets["class"].tolist() == [0.5, 1.5]
