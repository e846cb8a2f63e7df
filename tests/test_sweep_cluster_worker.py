"""What a cluster's workers are asked to do: to be set up, and runs that end once nobody waits for them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from fastmlp import __version__
from fastmlp.nn import threads
from fastmlp.runs.identity import TRAINING_VERSION
from fastmlp.sweep import cluster_worker
from fastmlp.sweep.board import Board
from fastmlp.sweep.job import BOARD, Job, hold, run
from samples import config, dataset


@pytest.mark.parametrize("sees_the_folder", [True, False])
def test_a_run_ends_with_its_epoch_once_it_is_asked_to(tmp_path: Path, sees_the_folder: bool) -> None:
    noise = dataset()
    hold(noise)
    changes = {"dataset": "embedded", "layers": (3072, 4, 20), "epochs": 5, "patience": 5}
    job = Job(config(**changes), noise.fingerprint, tmp_path)
    job.checkpoint.parent.mkdir()
    if sees_the_folder:
        Board.create(tmp_path / BOARD, 1)
    result = run(job, lambda: True).result
    assert (result.status, result.epochs) == ("interrupted", 1)
    assert job.checkpoint.exists() == sees_the_folder


def test_a_run_is_asked_to_end_once_its_task_is_dropped_or_its_worker_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    task, status = SimpleNamespace(state="executing"), SimpleNamespace(name="running")
    state = SimpleNamespace(tasks={"key": task})
    worker = SimpleNamespace(get_current_task=lambda: "key", state=state, status=status)
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    monkeypatch.setattr(cluster_worker, "run", lambda _, stop: stop)
    stop = cluster_worker.call(cluster_worker.run, (None,), "topic")
    assert not stop()
    task.state = "cancelled"
    assert stop()
    task.state, status.name = "executing", "closing"
    assert stop()
    status.name = "running"
    assert not stop()
    del state.tasks["key"]
    assert stop()


def test_a_limit_that_an_ending_run_puts_back_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, look, noise = list[int](), threads.blas_info, dataset()

    def as_after_another_run() -> list[dict[str, Any]]:
        looks.append(len(looks))
        return [library | {"num_threads": 64 if len(looks) < 3 else library["num_threads"]} for library in look()]

    monkeypatch.setattr(threads, "blas_info", as_after_another_run)
    wanted = cluster_worker.Wanted(noise.name, noise.fingerprint, Path(), 1, (__version__, TRAINING_VERSION))
    before = look()[0]["num_threads"]
    try:
        found = cluster_worker._set_up(wanted, noise)
    finally:
        threadpool_limits(before, user_api="blas")
    assert found["has_data"]
    assert len(looks) == 3
