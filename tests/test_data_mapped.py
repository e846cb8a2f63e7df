"""The data set as files: what comes back is what went in, and whatever is not whole is written again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastmlp.data import Dataset, mapped
from fastmlp.data.mapped import read_mapped, write_mapped
from fastmlp.errors import DataError, OutputError
from samples import dataset

KINDS = [("coarse", "fine"), ("fine",)]
FILES = ("facts.json", "train_images.npy", "train_labels.npz", "test_images.npy", "test_labels.npz")


@pytest.fixture(scope="module", params=KINDS, ids=len)
def written(request: pytest.FixtureRequest) -> Dataset:
    return replace(dataset(kinds=request.param, images=20), notice="An image for you: \N{SNOWMAN}")


def arrays(of: Dataset) -> dict[str, np.ndarray]:
    labels = {f"{part} {kind}": a for part in ("train", "test") for kind, a in getattr(of, f"{part}_labels").items()}
    return {"train": of.train_images, "test": of.test_images, **labels}


def test_what_comes_back_is_what_went_in(written: Dataset, tmp_path: Path) -> None:
    for read in (write_mapped(written, tmp_path / "a" / "b"), read_mapped(tmp_path / "a" / "b", written.fingerprint)):
        for name in ("name", "label_names", "source", "notice", "fingerprint"):
            assert getattr(read, name) == getattr(written, name)
        assert list(arrays(read)) == list(arrays(written))
        for name, array in arrays(read).items():
            np.testing.assert_array_equal(array, arrays(written)[name], strict=True)
        assert replace(read).fingerprint == written.fingerprint  # reckoned anew, from the arrays


def test_the_fingerprint_is_known_without_hashing_the_pixels_for_it(written: Dataset, tmp_path: Path) -> None:
    assert write_mapped(written, tmp_path).__dict__["fingerprint"] == written.fingerprint


def test_images_are_plain_arrays_and_what_is_written_to_them_stays_in_memory(written: Dataset, tmp_path: Path) -> None:
    read = write_mapped(written, tmp_path)
    for images in (read.train_images, read.test_images):
        # As images that were never mapped: compiled code takes read-only arrays for another type.
        assert (type(images), images.flags.writeable, images.flags.c_contiguous) == (np.ndarray, True, True)
        assert isinstance(images.base, np.memmap)
        images[:] = 7
    again = read_mapped(tmp_path, written.fingerprint)
    np.testing.assert_array_equal(again.train_images, written.train_images)
    np.testing.assert_array_equal(again.test_images, written.test_images)


def test_what_is_there_is_not_written_again(written: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mapped(written, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(before) == set(FILES)
    for writer in ("save", "savez"):
        monkeypatch.delattr(np, writer)
    assert write_mapped(written, tmp_path).fingerprint == written.fingerprint
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_other_data_is_refused_to_a_reader_and_replaced_by_a_writer(written: Dataset, tmp_path: Path) -> None:
    other = replace(written, train_images=written.train_images + np.uint8(1))
    write_mapped(other, tmp_path)
    with pytest.raises(DataError, match=f"holds another data set than {written.fingerprint}"):
        read_mapped(tmp_path, written.fingerprint)
    np.testing.assert_array_equal(write_mapped(written, tmp_path).train_images, written.train_images)
    with pytest.raises(DataError, match="another data set"):
        read_mapped(tmp_path, other.fingerprint)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text"])
def test_a_folder_that_is_not_whole_is_refused_and_then_written_again(
    name: str, damage: str, written: Dataset, tmp_path: Path
) -> None:
    write_mapped(written, tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"null"}[damage])
    with pytest.raises(DataError, match="holds no whole data set"):
        read_mapped(tmp_path, written.fingerprint)
    np.testing.assert_array_equal(write_mapped(written, tmp_path).train_images, written.train_images)


def rewrite(path: Path, change: Callable[[dict], object]) -> None:
    """Change the facts, with their digest."""
    facts = json.loads(path.read_text(encoding="utf-8"))["facts"]
    change(facts)
    path.write_text(json.dumps({"facts": facts, "sha256": mapped._of_facts(facts)}), encoding="utf-8")


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_that_were_zeroed_in_part_are_named_to_a_reader_and_written_again(
    part: str, written: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "_BLOCK", 4096)
    write_mapped(written, tmp_path)
    path = tmp_path / f"{part}_images.npy"
    content = bytearray(path.read_bytes())
    content[9000:9100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{part}_images\.npy is not what was written, in block 2 of 15"):
        read_mapped(tmp_path, written.fingerprint)
    again = write_mapped(written, tmp_path)
    for name, array in arrays(again).items():
        np.testing.assert_array_equal(array, arrays(written)[name])


def test_labels_that_were_changed_are_refused(written: Dataset, tmp_path: Path) -> None:
    write_mapped(written, tmp_path)
    np.savez(tmp_path / "train_labels.npz", **{k: (v + 1) % 5 for k, v in written.train_labels.items()})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"train_labels\.npz is not what was written"):
        read_mapped(tmp_path, written.fingerprint)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(name=3),
        lambda facts: facts.update(label_names={}),
        lambda facts: facts["label_names"].update(fine=["one"]),
        lambda facts: facts["label_names"].update(fine=[["a"]] * 100),
        lambda facts: facts["digests"].pop("test"),
        lambda facts: facts["digests"]["test"]["images"].pop(),
    ],
)
def test_facts_that_do_not_fit_are_refused(change: Callable[[dict], object], written: Dataset, tmp_path: Path) -> None:
    write_mapped(written, tmp_path)
    rewrite(tmp_path / "facts.json", change)
    with pytest.raises(DataError, match="holds no whole data set"):
        read_mapped(tmp_path, written.fingerprint)


@pytest.mark.parametrize("key", ["fingerprint", "name", "label_names", "source"])
def test_facts_that_lack_one_are_refused(key: str, written: Dataset, tmp_path: Path) -> None:
    write_mapped(written, tmp_path)
    path = tmp_path / "facts.json"
    rewrite(path, lambda facts: facts.pop(key))
    with pytest.raises(DataError, match="holds no whole data set"):
        read_mapped(tmp_path, written.fingerprint)


def test_writing_that_breaks_off_leaves_nothing_that_is_taken_for_whole(
    written: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mapped(replace(written, train_images=written.train_images + np.uint8(1)), tmp_path)

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", no_space)
    with pytest.raises(OutputError, match="No space left on device"):
        write_mapped(written, tmp_path)
    monkeypatch.undo()
    with pytest.raises(DataError, match="holds no whole data set"):
        read_mapped(tmp_path, written.fingerprint)
    np.testing.assert_array_equal(write_mapped(written, tmp_path).train_images, written.train_images)
