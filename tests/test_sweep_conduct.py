"""What does a sweep's runs: what it compiles before them, and errors that would befall each of them."""

import subprocess
from pathlib import Path

import pytest

from command import embedded_made_once, fails, run  # noqa: F401 - a fixture is found by its name
from fastmlp.runs.results import load_results

pytestmark = pytest.mark.usefixtures("embedded_made_once")
SMALL = ["--layers", "3072,4,20", "--normalize", "image"]


def test_a_kernel_that_cannot_be_compiled_is_the_runs_own_error(tmp_path: Path, capsys, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("in the compiler")

    monkeypatch.setattr("fastmlp.sweep.conduct.compile_for", fail)
    assert run(*SMALL, "--out", str(tmp_path / "well")) == 0  # the run compiles what it needs
    monkeypatch.setattr("fastmlp.sweep.job.run_one", fail)
    assert run(*SMALL, "--out", str(tmp_path / "fails")) == 1
    [result] = load_results(tmp_path / "fails" / "results.json")[1]
    assert (result.status, result.error) == ("failed", "ZeroDivisionError: in the compiler")
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["processes", "threads"])
def test_workers_that_cannot_start_end_the_command_and_its_runs_stay_to_be_done(
    workers: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    if workers == "threads":
        monkeypatch.setattr("concurrent.futures.thread.ThreadPoolExecutor._adjust_thread_count", no_thread)
    told = fails(capsys, *SMALL, "--workers", workers, "--out", str(tmp_path))
    assert ("Resource temporarily unavailable" if workers == "processes" else "can't start new thread") in told
    assert "stay to be done" in " ".join(told.split())
    assert not (tmp_path / "runs.jsonl").exists()
    assert not (tmp_path / ".work").exists()
