"""The chaos script: what it finds wrong, and whom it kills."""

import os
import random
import subprocess
import sys

import pytest

from bench import chaos

RIGHT = [("a", "done", "1" * 64), ("b", "done", "2" * 64)]


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        (RIGHT, []),
        (RIGHT[::-1], []),
        (RIGHT[:1], ["run b is there 0 times"]),
        ([*RIGHT, RIGHT[1]], ["run b is there 2 times"]),
        ([*RIGHT, ("c", "done", "")], ["run c is none of the sweep's"]),
        ([RIGHT[0], ("b", "done", "3" * 64)], ["run b is done with the weights 33333333"]),
        ([RIGHT[0], ("b", "failed", "")], ["run b is failed with the weights "]),
    ],
)
def test_every_way_to_differ_is_named(found: chaos.Hashes, sentences: list[str]) -> None:
    assert chaos.differences(found, RIGHT) == sentences


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_are_told_from_other_children() -> None:
    sleep = "import time; time.sleep(60)"
    worker = subprocess.Popen([sys.executable, "-c", sleep, "fastmlp.sweep.worker"])
    other = subprocess.Popen([sys.executable, "-c", sleep, "another"])
    try:
        while worker.pid not in chaos.workers_of(os.getpid()):  # its command line is there once it has started
            assert worker.poll() is None
        assert other.pid not in chaos.workers_of(os.getpid())
        assert chaos.workers_of(worker.pid) == []
        worker.kill()
        assert chaos.kill_sweep(other, random.Random(0)) == []  # noqa: S311
        assert other.returncode == -9
    finally:
        for process in (worker, other):
            process.kill()
            process.wait()
    assert chaos.alive(worker.pid) is None


def test_what_a_sweep_leaves_on_the_disk_is_named(tmp_path) -> None:
    folder, temporary = tmp_path / "0", tmp_path / "temporary"
    for path in (folder / "models" / "a.npz", folder / "results.json", temporary / "fastmlp-sweep-x" / "y"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert chaos.on_disk(folder, temporary) == ["fastmlp-sweep-x"]
    (folder / ".work").mkdir()
    (folder / "models" / ".0.part").touch()
    assert chaos.on_disk(folder, temporary) == ["0/.work", "0/models/.0.part", "fastmlp-sweep-x"]


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_sweep_leaves_in_memory_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chaos, "ORPHAN_SECONDS", 0.1)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before, its environment may not be there to be read
        assert chaos.in_memory(tmp_path, process.pid) == [f"process {process.pid} lives"]
        process.communicate(b"")
    assert chaos.in_memory(tmp_path, process.pid) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    assert chaos.main(["--out", str(tmp_path)]) == 2
    assert "choose an empty folder" in capsys.readouterr().err
