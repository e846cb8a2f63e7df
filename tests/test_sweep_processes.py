"""Worker processes: how they are set up, what becomes of those that die, and of those whose parent does."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fastmlp.sweep.processes import Processes

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
SET_UP = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@pytest.fixture(autouse=True)
def _workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "kernels", ROOT / "tests"))
    monkeypatch.setenv("PYTHONPATH", paths)


def facts() -> dict[str, Any]:
    """Return what this process was set up with."""
    from fastmlp.threads import blas_info

    return {
        "environment": dict(os.environ),
        "blas": [library["num_threads"] for library in blas_info()],
        "ignores": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "pid": os.getpid(),
    }


def meet(folder: Path) -> int:
    """Wait until two processes are here; return this one's id."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid()


def wait_for(path: Path) -> None:
    """Wait until this file is there."""
    while not path.exists():
        time.sleep(0.01)


def test_a_worker_starts_with_its_limits_and_what_else_its_parent_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SET_UP:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASTMLP_NUMBA_CACHE", "0")
    with Processes(1, 1) as executor:
        found = executor.submit(facts).result()
    assert [found["environment"].get(name) for name in SET_UP] == ["1"] * 4
    assert all(threads == 1 for threads in found["blas"])
    assert {name: found["environment"][name] for name in os.environ if name not in SET_UP} == {
        name: value for name, value in os.environ.items() if name not in SET_UP
    }
    assert found["ignores"]
    assert found["pid"] != os.getpid()
    assert not set(SET_UP) & set(os.environ)


def test_two_jobs_have_a_process_each_and_one_that_died_is_replaced(tmp_path: Path) -> None:
    with Processes(2, 1) as executor:
        futures = [executor.submit(meet, tmp_path) for _ in range(2)]  # come back only if they are there at once
        first, second = [future.result(60) for future in futures]
        assert first != second
        assert os.getpid() not in (first, second)
        waiting = [executor.submit(wait_for, tmp_path / "killed") for _ in range(2)]
        os.kill(first, signal.SIGKILL)
        [died] = wait(waiting, 60, FIRST_COMPLETED).done
        assert isinstance(died.exception(), BrokenExecutor)
        assert "killed by SIGKILL" in str(died.exception())
        (tmp_path / "killed").touch()
        assert sorted(future.exception() is None for future in waiting) == [False, True]  # the other one goes on
        (tmp_path / "again").mkdir()
        again = {future.result(60) for future in [executor.submit(meet, tmp_path / "again") for _ in range(2)]}
        assert second in again
        assert first not in again


def test_a_process_that_dies_between_two_jobs_costs_one_job_at_most() -> None:
    with Processes(1, 1) as executor:
        died = executor.submit(os.getpid).result()
        os.kill(died, signal.SIGKILL)
        with suppress(BrokenExecutor):  # where its death was not yet noticed
            executor.submit(os.getpid).result(60)
        assert executor.submit(os.getpid).result(60) != died


def test_kill_ends_them_whatever_they_do() -> None:
    with Processes(1, 1) as executor:
        executor.submit(os.getpid).result()
        future = executor.submit(time.sleep, 60)
        executor.kill()
        assert future.exception(30) is not None  # None had it been waited for


def test_an_error_on_the_way_out_does_not_wait_for_them() -> None:
    def leave() -> None:
        with Processes(1, 1) as executor:
            executor.submit(os.getpid).result()
            futures.append(executor.submit(time.sleep, 20))
            raise KeyboardInterrupt

    futures: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        leave()
    assert futures[0].exception(30) is not None  # None where it was waited for


ORPHAN = """
import os, sys, time
from fastmlp.sweep.processes import Processes

if __name__ == "__main__":
    executor = Processes(1, 1)
    print(executor.submit(os.getpid).result(), flush=True)
    if sys.argv[1] == "busy":
        executor.submit(time.sleep, 60)
    time.sleep(60)
"""


@pytest.mark.parametrize("what", ["idle", "busy"])
def test_a_worker_ends_with_its_killed_parent(tmp_path: Path, what: str) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    parent = subprocess.Popen([sys.executable, str(script), what], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    try:
        parent.communicate(timeout=30)  # comes back when the last process that holds this end has gone
    except subprocess.TimeoutExpired:
        os.kill(worker, signal.SIGKILL)
        parent.communicate()
        raise
