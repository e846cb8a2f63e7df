"""Files are written whole or not at all, under names that nobody can guess, and read only where they are files."""

import errno
import os
import sys
from pathlib import Path

import pytest

from fastmlp.errors import DataError, OutputError
from fastmlp.files import Part, dead_parts, is_inside, json_of, read_small, replacing, toml_of, write_whole


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


posix = pytest.mark.skipif(os.name != "posix", reason="the system has no such files")


def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_whole(path, "old")

    def no_space(descriptor: int) -> None:  # noqa: ARG001 - as a full disk does: the name is there, the content is not
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match=r"results.json could not be written .*No space left.*Free some space, or"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["results.json"]


def test_what_takes_a_part_of_the_bytes_gets_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:1000])))
    content = bytes(range(256)) * 20
    write_whole(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == content


def test_an_error_of_the_body_is_raised_as_it_is(tmp_path: Path) -> None:
    def fail() -> None:
        with replacing(tmp_path / "file") as part:
            part.file.write(b"some of it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("n" * 255), "all")
    assert names(tmp_path) == ["n" * 255]


@posix
def test_a_planted_link_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_text("mine")
    monkeypatch.setattr("os.urandom", bytes)  # as if it could be guessed
    (tmp_path / f".{'0' * 32}.part").symlink_to(victim)
    with pytest.raises(OutputError, match="File exists"):
        write_whole(path, "theirs")
    assert victim.read_text() == "mine"
    path.symlink_to(victim)  # the file's own name: the link is replaced, not what it leads to
    monkeypatch.undo()
    write_whole(path, "theirs")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("mine", "theirs", False)


@posix
def test_parts_of_the_dead_are_found_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    living, dead = Part(tmp_path), Part(tmp_path, ".npz")
    dead.close()  # as the system does for a process that is killed
    (tmp_path / ".mine.part").touch()
    (tmp_path / f".{'0' * 32}.part").symlink_to(tmp_path / ".mine.part")
    assert list(dead_parts(tmp_path)) == [dead.path]
    living.close()


@posix
@pytest.mark.parametrize("kind", ["FIFO", "folder", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "path"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    with pytest.raises(DataError, match=f"it is a {kind}, not a file"):
        read_small(path)


def test_a_file_beyond_its_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    with pytest.raises(DataError, match="it has more than 4 bytes"):
        read_small(path, 4)


def test_nesting_beyond_reason_is_no_json_and_no_toml() -> None:
    deep = 100_000
    assert json_of('{"a": [1]}') == {"a": [1]}
    assert toml_of(b"a = [1]") == {"a": [1]}
    for text in ("[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep, "\xff", "{", ""):
        with pytest.raises(DataError, match="it is not JSON"):
            json_of(text.encode("latin1"))
    deep = sys.getrecursionlimit()
    for text in ("a = " + "[" * deep + "]" * deep, "a.\xff = 1", "a"):
        with pytest.raises(DataError, match="it is not TOML"):
            toml_of(text.encode("latin1"))


@pytest.mark.parametrize(
    ("name", "inside"),
    [("report.html", True), ("figures/loss.svg", True), ("", False), (".", False), ("..", False),
     ("/etc/passwd", False), ("figures/../../x", False), ("a\\..\\..\\x", False), ("C:x", False), ("a\0b", False)],
)  # fmt: skip
def test_names_out_of_files_stay_in_their_folder(name: str, inside: bool) -> None:
    assert is_inside(name) is inside


def test_what_is_said_of_a_failed_write_names_no_part(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"model.onnx could not be written \(.*No such file or directory\)\. Choose"):
        write_whole(tmp_path / "gone" / "model.onnx", "")
