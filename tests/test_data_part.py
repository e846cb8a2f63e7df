"""The part of a download: planted by someone else, wanted by two at once, on a full disk."""

import os
from threading import Event, Thread

import pytest

from data_server import Handler, proper, serving
from fastmlp.data import Progress
from fastmlp.data.download import download_file
from fastmlp.errors import DownloadError
from test_data_download import CONTENT, SPEC, direct, get  # noqa: F401 - a fixture is found by its name

posix = pytest.mark.skipif(os.name != "posix", reason="links and owners are those of POSIX")


@pytest.fixture
def told() -> list[Progress]:
    return []


@posix
@pytest.mark.parametrize(
    ("plant", "is_said"),
    [
        (lambda part, victim: part.symlink_to(victim), "is a symbolic link"),
        (lambda part, victim: part.symlink_to(victim.with_name("nowhere")), "is a symbolic link"),
        (lambda part, victim: part.hardlink_to(victim), "is a file that has other names too"),
        (lambda part, victim: os.mkfifo(part), "is no file"),  # noqa: ARG005
        (lambda part, victim: part.mkdir(), "Cannot write into"),  # noqa: ARG005
    ],
    ids=["a link", "a dangling link", "a hard link", "a FIFO", "a folder"],
)
def test_a_part_that_someone_planted_is_refused_and_leads_nowhere(tmp_path, told, plant, is_said):
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_bytes(b"kept")
    folder.mkdir()
    plant(folder / "a.tar.gz.part", victim)
    with serving(CONTENT) as server, pytest.raises(DownloadError, match=is_said):
        get(folder, server.url, told)
    assert (server.ranges, victim.read_bytes()) == ([], b"kept")
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "folder"}


@posix
def test_another_users_part_is_refused(tmp_path, told, monkeypatch):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(DownloadError, match="is another user's, not the part of a download"):
        get(tmp_path, "http://127.0.0.1:9", told)


@posix
def test_of_two_downloads_one_waits_and_asks_for_nothing(tmp_path, told):
    waits, other = Event(), []

    def second(progress: Progress) -> None:
        other.append(progress.note)
        if "waiting for its end" in progress.note:
            waits.set()

    def slow(handler: Handler) -> None:
        thread.start()
        assert waits.wait(60)
        proper(handler)

    with serving(CONTENT, slow) as server:
        thread = Thread(target=lambda: download_file(SPEC, tmp_path, server.url, on_progress=second))
        get(tmp_path, server.url, told)
        thread.join()
    assert len(server.ranges) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_a_folder_that_cannot_be_written_is_told_before_the_host_is_asked(tmp_path, told, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with serving(CONTENT) as server:
        with pytest.raises(DownloadError, match=r"Cannot write into .*Permission denied\. Name another"):
            get(tmp_path, server.url, told)
        assert server.ranges == []


def test_a_disk_that_fills_up_keeps_the_part(tmp_path, told, monkeypatch):
    real = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if os.fstat(descriptor).st_size > 100_000:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:7000])  # and short

    monkeypatch.setattr(os, "write", full)
    with serving(CONTENT) as server, pytest.raises(DownloadError, match="No space left on device"):
        get(tmp_path, server.url, told)
    monkeypatch.undo()
    part = (tmp_path / "a.tar.gz.part").read_bytes()
    assert part == CONTENT[: len(part)]
    with serving(CONTENT) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(part)}-"]


def test_the_name_is_given_once_all_is_on_the_disk(tmp_path, told, monkeypatch):
    steps = []
    fsync, replace_ = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("sync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("name"), replace_(*names)))
    with serving(CONTENT) as server:
        get(tmp_path, server.url, told)
    assert steps[:2] == ["sync", "name"]


@posix
def test_a_part_that_takes_its_name_as_it_is_opened_is_made_anew(tmp_path, told, monkeypatch):
    path, real = tmp_path / "a.tar.gz.part", os.open
    path.write_bytes(b"x")

    def renamed(name, flags, *mode):
        if name == path and not flags & os.O_EXCL:
            monkeypatch.undo()
            path.unlink()
        return real(name, flags, *mode)

    monkeypatch.setattr(os, "open", renamed)
    with serving(CONTENT) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
