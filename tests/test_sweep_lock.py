import errno
import json
import os
import platform
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from fastmlp.errors import ConfigError, OutputError
from fastmlp.sweep.lock import held

ROOT = Path(__file__).parents[1]
HOLD = """
import os, subprocess, sys, time
from pathlib import Path
from fastmlp.sweep.lock import held

def fork():
    begun, say = os.pipe()
    if not (child := os.fork()):
        os.write(say, b"!")
        time.sleep(60)
        os._exit(0)
    os.read(begun, 1)  # a child lets go of the lock as it begins, which on a busy machine may be later
    return child

def spawn():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False).pid

with held(Path(sys.argv[1])):
    print(os.getpid(), {"alone": int, "fork": fork, "spawn": spawn}[sys.argv[2]](), flush=True)
    sys.stdin.read()
"""
Holder = tuple[subprocess.Popen[str], int]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str], Holder]]:
    """Give a function that starts a process which holds the folder until its input ends; all end with the test."""
    started: list[Holder] = []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}

    def begin(child: str = "alone") -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), child],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        pid, child_pid = map(int, process.stdout.readline().split())
        assert pid == process.pid
        started.append((process, child_pid))
        return process, child_pid

    yield begin
    for process, child_pid in started:
        process.kill()
        if child_pid:
            os.kill(child_pid, signal.SIGKILL)
        process.communicate()


def test_the_folder_is_made_and_the_owner_named_while_it_is_held(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with held(folder) as notes:
        assert notes == []
        owner = json.loads((folder / ".work" / "owner.json").read_text())
        assert list(owner) == ["pid", "host", "since"]
        assert (owner["pid"], owner["host"]) == (os.getpid(), platform.node())
    assert not (folder / ".work" / "owner.json").exists()
    with held(folder) as notes:
        assert notes == []


@pytest.mark.process
def test_a_second_sweep_is_refused_and_told_of_the_first(tmp_path: Path, hold: Callable[..., Holder]) -> None:
    process, _ = hold()
    owner = (tmp_path / ".work" / "owner.json").read_text()
    since = json.loads(owner)["since"]
    with (
        pytest.raises(ConfigError, match=r"Wait for its end, stop it, or choose another --out\.$") as refused,
        held(tmp_path),
    ):
        pass
    assert f"--out {tmp_path} is in use by the sweep of process {process.pid} on host {platform.node()}" in str(
        refused.value
    )
    assert since in str(refused.value)
    assert (tmp_path / ".work" / "owner.json").read_text() == owner
    process.communicate("")
    with held(tmp_path) as notes:
        assert notes == []


@pytest.mark.process
def test_the_lock_of_a_killed_sweep_is_free_and_noticed_once(tmp_path: Path, hold: Callable[..., Holder]) -> None:
    process, _ = hold()
    process.kill()
    process.wait()
    with held(tmp_path) as [note]:
        assert f"A sweep of process {process.pid} on host {platform.node()}" in note
        assert "killed or crashed" in note
        assert json.loads((tmp_path / ".work" / "owner.json").read_text())["pid"] == os.getpid()
    with held(tmp_path) as notes:
        assert notes == []


@pytest.mark.process
@pytest.mark.parametrize("child", ["spawn", "fork"])
def test_a_child_that_outlives_its_sweep_does_not_keep_the_lock(
    tmp_path: Path, hold: Callable[..., Holder], child: str
) -> None:
    process, child_pid = hold(child)
    with pytest.raises(ConfigError, match=f"process {process.pid} "), held(tmp_path):
        pass
    process.kill()
    process.wait()
    os.kill(child_pid, 0)  # it is there still
    with held(tmp_path) as notes:
        assert len(notes) == 1


def test_nothing_is_left_of_a_lock_and_never_are_there_two(tmp_path: Path) -> None:
    inside, held_times = list[int](), Counter[int]()

    def take_turns(number: int) -> None:
        while held_times[number] < 6:
            try:
                with held(tmp_path):
                    inside.append(number)
                    assert inside == [number]
                    held_times[number] += 1
                    inside.remove(number)
            except ConfigError:  # another has it
                continue

    with ThreadPoolExecutor(3) as executor:
        for future in [executor.submit(take_turns, number) for number in range(3)]:
            future.result()
    assert not list(tmp_path.iterdir())


def test_what_is_to_be_kept_keeps_its_folder(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / ".work" / "checkpoints").mkdir()
        (tmp_path / ".work" / "empty").mkdir()
        (tmp_path / ".work" / "checkpoints" / "run.npz").touch()
    assert {path.name for path in (tmp_path / ".work").iterdir()} == {"checkpoints", "lock"}


def test_the_same_process_cannot_hold_a_folder_twice(tmp_path: Path) -> None:
    with held(tmp_path):
        with pytest.raises(ConfigError, match=f"process {os.getpid()} "), held(tmp_path):
            pass
        assert (tmp_path / ".work" / "owner.json").exists()


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_the_lock_is_free_after_an_error(tmp_path: Path, monkeypatch, error: type[BaseException]) -> None:
    kept = []  # a lock object that is collected is released without anybody asking for it

    def make(path: Path, **options: Any) -> FileLock:
        kept.append(FileLock(path, **options))
        return kept[-1]

    monkeypatch.setattr("fastmlp.sweep.lock.FileLock", make)
    with pytest.raises(error), held(tmp_path):
        raise error
    with held(tmp_path) as notes:
        assert notes == []


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_owner_file_stops_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work" / "owner.json").write_text(text)
    with held(tmp_path) as [note]:
        assert "an unknown process" in note


def test_a_lock_without_an_owner_file_is_refused_too(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / ".work" / "owner.json").unlink()
        with pytest.raises(ConfigError, match="sweep of another process"), held(tmp_path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_flock)
    with pytest.raises(OutputError, match=r"cannot be locked, .*choose another"), held(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match=r"--out .*out cannot be locked"), held(tmp_path / "out"):
        pass


def test_an_owner_file_that_cannot_be_written_frees_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OutputError("full")

    with monkeypatch.context() as patch:
        patch.setattr("fastmlp.sweep.lock.write_whole", no_space)
        with pytest.raises(OutputError, match="full"), held(tmp_path):
            pass
    with held(tmp_path) as notes:
        assert notes == []


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "[]", '{"pid": "1", "host": "a", "since": "b"}', '{"pid": 1, "host": "\\u001b[2J", "since": "b"}',
     '{"pid": 1, "host": ["a"], "since": "b"}', '{"pid": 1, "host": "\\ud800", "since": "b"}', " " * 70_000],
)  # fmt: skip
def test_an_owner_that_no_sweep_wrote_is_unknown(tmp_path: Path, content: str) -> None:
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work" / "owner.json").write_text(content)
    with held(tmp_path) as [note]:
        assert "A sweep of an unknown process (owner.json is damaged) ended" in note
