"""The soak: its short form is flat, and each thing that could be forgotten is found."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def told(parts: list[soak.Part]) -> list[str]:
    return [sentence for part in parts for sentence in part.wrong()]


def test_fits_networks_and_sweeps_of_threads_leave_nothing() -> None:
    assert told(soak.run(200, 20, 60, 0, ["threads"])) == []


@pytest.mark.process
def test_sweeps_of_processes_leave_nothing() -> None:
    assert told(soak.run(0, 4, 0, 0, ["processes"])) == []


@pytest.fixture
def kept() -> Iterator[list]:
    """Give a list for what is forgotten, which ends with the test."""
    things: list = []
    yield things
    for thing in things:
        if isinstance(thing, threading.Event):
            thing.set()
        elif isinstance(thing, int):
            os.close(thing)


def a_thread(kept: list) -> None:
    kept.append(threading.Event())
    threading.Thread(target=kept[-1].wait).start()


def test_what_is_forgotten_is_found(kept: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "SETTLE_SECONDS", 0.0)

    def some(count: int) -> None:
        for _ in range(count):
            kept.append(os.urandom(1_000_000))
            a_thread(kept)
            kept.append(os.open(os.devnull, os.O_RDONLY))
            tempfile.mkdtemp()

    wrong = soak.soak("fits", 10, some).wrong()
    assert [sentence.partition(":")[0] for sentence in wrong] == ["threads", "descriptors", "files", "memory"]
    assert wrong[:3] == ["threads: 8 more", "descriptors: 8 more", "files: 8 more"]
