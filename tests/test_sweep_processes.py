"""Worker processes: how they are set up, what becomes of those that die, and of those whose parent does."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastmlp.errors import WorkerError
from fastmlp.runs.run import compile_for
from fastmlp.sweep import processes, run_sweep
from fastmlp.sweep.processes import Processes
from test_sweep_loop import CONFIGS, NOISE, Inline

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
SET_UP = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@pytest.fixture(autouse=True)
def _workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "kernels", ROOT / "tests"))
    monkeypatch.setenv("PYTHONPATH", paths)


def facts() -> dict[str, Any]:
    """Return what this process was set up with."""
    from fastmlp.nn.threads import blas_info

    return {
        "environment": dict(os.environ),
        "blas": [library["num_threads"] for library in blas_info()],
        "ignores": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "pid": os.getpid(),
    }


def meet(folder: Path) -> int:
    """Wait until two processes are here; return this one's id."""
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid()


def wait_for(path: Path, folder: Path) -> None:
    """Meet the others there, and wait until this file is there."""
    meet(folder)
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
        futures = [executor.submit(meet, tmp_path / "first") for _ in range(2)]  # come back only if there at once
        first, second = [future.result(60) for future in futures]
        assert first != second
        assert os.getpid() not in (first, second)
        waiting = [executor.submit(wait_for, tmp_path / "killed", tmp_path / "waiting") for _ in range(2)]
        while not (tmp_path / "waiting" / str(first)).exists():  # killed before its job, it would be replaced unseen
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        [died] = wait(waiting, 60, FIRST_COMPLETED).done
        assert isinstance(died.exception(), BrokenExecutor)
        assert "killed by SIGKILL" in str(died.exception())
        (tmp_path / "killed").touch()
        assert sorted(future.exception() is None for future in waiting) == [False, True]  # the other one goes on
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
        executor.submit(time.sleep, 900)
    time.sleep(900)
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
        parent.communicate(timeout=300)  # comes back when the last process that holds this end has gone
    except subprocess.TimeoutExpired:
        os.kill(worker, signal.SIGKILL)
        parent.communicate()
        raise


def test_the_error_of_a_worker_that_cannot_be_set_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "threadpoolctl.py").write_text("raise ImportError('cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with Processes(1, 1) as executor:
        told = str(executor.submit(os.getpid).exception(60))
    assert "could not be started or set up (ImportError: cannot open shared object file)" in told


def test_so_is_that_of_one_that_cannot_import_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fastmlp.py").write_text("raise SystemError('not for this Python')")
    monkeypatch.syspath_prepend(tmp_path)
    with Processes(1, 1) as executor:
        assert "(SystemError: not for this Python)" in str(executor.submit(os.getpid).exception(60))


def test_and_that_of_one_that_ends_before_it_can_say_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Processes(1, 1) as executor:
        assert "(it ended with exit status 3 before it was ready)" in str(executor.submit(os.getpid).exception(60))


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_a_system_that_refuses_a_process_ends_the_sweep_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", refuse)
        with pytest.raises(WorkerError, match=rf"could not be started.*{os.strerror(number)}.*runs stay to be done"):
            run_sweep(CONFIGS, NOISE, jobs=2, out=tmp_path)
    assert not (tmp_path / "runs.jsonl").exists()
    assert not (tmp_path / ".work").exists()
    assert {result.status for result in run_sweep(CONFIGS, NOISE, executor=Inline(), out=tmp_path)} == {"done"}


def test_a_dead_process_is_told_with_its_signal_and_no_run_is_done_by_a_broken_executor(tmp_path: Path) -> None:
    with Processes(1, 1) as executor:
        for number in (signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGKILL):
            assert f"was killed by {number.name} (" in str(executor.submit(signal.raise_signal, number).exception(60))
        assert "exit status 5" in str(executor.submit(os._exit, 5).exception(60))
        assert executor.submit(abs, -3).result(60) == 3
    with pytest.raises(WorkerError, match=r"No worker takes a run any more.*runs that are left stay to be done"):
        run_sweep(CONFIGS, NOISE, executor=executor, jobs=1, out=tmp_path)


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has."""
    import resource  # here: Windows has none

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_without_memory_fails_with_its_size_and_the_others_go_on() -> None:
    with Processes(1, 1) as executor:
        executor.submit(compile_for, CONFIGS[0]).result()
        executor.submit(limit_memory, 300_000_000).result()
        large = replace(CONFIGS[0], layers=(3072, 20_000, 20))
        results = run_sweep([CONFIGS[0], large, CONFIGS[1]], NOISE, executor=executor, jobs=1)
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert "Unable to allocate" in results[1].error
    assert "The run takes about 2.0 GB (2.0 GB for its weights" in results[1].error
    assert "Less is needed by smaller layers" in results[1].error


def test_a_kill_for_memory_is_told_as_the_system_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmlp.sweep.processes.memory_kills", iter(range(9)).__next__)
    with Processes(1, 1) as executor:
        died = executor.submit(signal.raise_signal, signal.SIGKILL).exception(60)
    assert "by the system for want of memory" in str(died)


def test_what_cannot_be_sent_is_told_and_costs_no_process() -> None:
    with Processes(1, 1) as executor:
        pid = executor.submit(os.getpid).result(60)
        assert "local object" in str(executor.submit(lambda: 0).exception(60))
        assert "pickle" in str(executor.submit(threading.Lock).exception(60))
        assert isinstance(executor.submit(next, iter(())).exception(60), StopIteration)
        assert executor.submit(print, "not an answer").result(60) is None
        assert executor.submit(os.getpid).result(60) == pid


def test_a_worker_whose_parent_is_gone_before_it_is_ready_says_nothing() -> None:
    command = [sys.executable, "-c", processes._PROGRAM, "1", str(os.getpid()), *sys.path]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdout.close()
        assert worker.stderr.read() == b""
    assert worker.returncode == 1


def test_nothing_is_left_of_processes(tmp_path: Path) -> None:
    shared = Path("/dev/shm")  # noqa: S108
    with Processes(2, 1) as executor:
        pids = [executor.submit(meet, tmp_path) for _ in range(2)]
        assert not list(shared.glob(f"*-{os.getpid()}-*"))  # as semaphores by name are called
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid.result(), 0)


def test_what_an_interpreter_prints_as_it_begins_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hello ' * 20_000, flush=True)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    with Processes(1, 1) as executor:
        assert executor.submit(abs, -1).result() == 1


def test_an_answer_without_memory_for_it_is_never_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    real = processes.receive

    def without_memory(pipe: Any) -> Any:  # noqa: ARG001 - as it is called
        monkeypatch.setattr(processes, "receive", real)
        raise MemoryError

    with Processes(1, 1) as executor:
        assert executor.submit(abs, -1).result() == 1
        monkeypatch.setattr(processes, "receive", without_memory)
        with pytest.raises(MemoryError):
            executor.submit(abs, -2).result()
        assert executor.submit(abs, -3).result() == 3
