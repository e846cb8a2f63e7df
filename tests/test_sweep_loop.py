"""The sweep's loop: the same bits however it is run, what a failure costs, going on, Ctrl-C, and killed workers."""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastmlp.data.mapped import write_mapped
from fastmlp.errors import ClusterError, ConfigError, OutputError, WorkerError
from fastmlp.runs.results import RunResult
from fastmlp.sweep import job as job_module
from fastmlp.sweep import run_sweep
from fastmlp.sweep.board import Board
from fastmlp.sweep.deaths import WorkerDied
from fastmlp.sweep.job import Job, Outcome
from fastmlp.sweep.leftovers import Removed
from fastmlp.sweep.loop import Quiet, Sweep
from fastmlp.sweep.store import Store
from samples import config, dataset

ROOT = Path(__file__).parents[1]
NOISE = dataset()
CONFIGS = [
    config(dataset="embedded", layers=(3072, units, 20), batch_size=64, epochs=3, seed=seed)
    for units, seed in ((4, 0), (3, 0), (4, 1))
]


class Inline(Executor):
    """Does each job as it is submitted, and counts; `dies` says for a job whether its worker is to die."""

    def __init__(self, dies: Callable[[Job, int], bool] = lambda job, before: False) -> None:  # noqa: ARG005
        self.jobs: list[Job] = []
        self._dies = dies

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        [job] = args
        before = sum(other.run_id == job.run_id for other in self.jobs)
        self.jobs.append(job)
        try:
            if self._dies(job, before):
                raise BrokenExecutor("killed")
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def hashes(results: list[RunResult]) -> list[str]:
    return [result.weights_sha256 for result in results]


@pytest.fixture(scope="module")
def undisturbed() -> list[RunResult]:
    """Give what the runs come to, one after the other in this process."""
    results = run_sweep(CONFIGS, NOISE, executor=Inline())
    assert [result.status for result in results] == ["done"] * 3
    assert len(set(hashes(results))) == 3
    assert all(len(text) == 64 for text in hashes(results))
    return results


def test_threads_give_the_same_bits_for_any_number_of_jobs_and_twice_in_a_row(undisturbed: list[RunResult]) -> None:
    with ThreadPoolExecutor(2) as executor:
        for jobs in (1, 2, 2, None):
            results = run_sweep(CONFIGS, NOISE, executor=executor, jobs=jobs)
            assert [result.config for result in results] == CONFIGS
            assert hashes(results) == hashes(undisturbed)


@pytest.mark.process
def test_processes_give_the_same_bits_for_any_number_of_jobs_and_twice_in_a_row(undisturbed: list[RunResult]) -> None:
    for jobs in (1, 2, 2):
        results = run_sweep(CONFIGS, NOISE, jobs=jobs)
        assert [result.config for result in results] == CONFIGS
        assert hashes(results) == hashes(undisturbed)
        assert [r.test_accuracy for r in results] == [r.test_accuracy for r in undisturbed]


def test_a_run_that_raises_is_failed_with_its_text_and_the_others_go_on(undisturbed: list[RunResult]) -> None:
    bad = replace(CONFIGS[1], init_from="0" * 64)  # weights that nobody gave
    results = run_sweep([CONFIGS[0], bad, CONFIGS[2]], NOISE, executor=Inline(), jobs=1)
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert results[1].config == bad
    assert results[1].error.startswith("ConfigError: ")
    assert "The run began with weights" in results[1].error
    assert hashes(results)[::2] == hashes(undisturbed)[::2]
    assert results[0].error == ""


@pytest.mark.parametrize(("deaths", "status", "tries"), [(2, "done", 3), (3, "failed", 3)])
def test_a_worker_that_dies_costs_a_restart_twice_and_then_the_run(
    undisturbed: list[RunResult], deaths: int, status: str, tries: int
) -> None:
    unlucky = undisturbed[1].run_id
    executor = Inline(lambda job, before: job.run_id == unlucky and before < deaths)
    results = run_sweep(CONFIGS, NOISE, executor=executor, jobs=2)
    assert [result.status for result in results] == ["done", status, "done"]
    assert sum(job.run_id == unlucky for job in executor.jobs) == tries
    assert len(executor.jobs) == tries + 2
    assert hashes(results)[::2] == hashes(undisturbed)[::2]
    if status == "done":
        assert results[1].weights_sha256 == undisturbed[1].weights_sha256
    else:
        assert results[1].error == "its worker died 3 times, the last time: killed"


def test_a_run_that_is_killed_for_memory_says_so_with_its_size(undisturbed: list[RunResult]) -> None:
    class Kills(Inline):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            future: Future[Any] = Future()
            if args[0].run_id != undisturbed[1].run_id:
                return super().submit(fn, *args, **kwargs)
            future.set_exception(WorkerDied(-9, short=True))
            return future

    results = run_sweep(CONFIGS, NOISE, executor=Kills(), jobs=1)
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert "by the system for want of memory). The run takes about 1 MB (" in results[1].error


def test_data_that_a_worker_cannot_find_end_the_sweep_and_fail_no_run(tmp_path: Path) -> None:
    class Elsewhere(Inline):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            return super().submit(fn, replace(args[0], fingerprint="0" * 16), **kwargs)

    with pytest.raises(WorkerError, match=r"has no data set of fingerprint 0000.*Its runs stay to be done"):
        run_sweep(CONFIGS, NOISE, executor=Elsewhere(), out=tmp_path)
    assert not (tmp_path / "runs.jsonl").exists()


def test_a_sweep_keeps_no_data_in_its_process() -> None:
    fresh = dataset(images=100)
    run_sweep(CONFIGS[:1], fresh, executor=Inline())
    assert not job_module.holds(fresh.fingerprint)
    job_module.hold(fresh)
    run_sweep(CONFIGS[:1], fresh, executor=Inline())
    assert job_module.held_data(fresh.fingerprint) is fresh


def test_deaths_are_counted_for_each_run_by_itself(undisturbed: list[RunResult]) -> None:
    executor = Inline(lambda job, before: before < 2)  # noqa: ARG005
    assert hashes(run_sweep(CONFIGS, NOISE, executor=executor, jobs=2)) == hashes(undisturbed)
    assert len(executor.jobs) == 9


def test_at_most_so_many_runs_are_with_the_executor_and_each_has_a_slot_of_its_own(tmp_path: Path) -> None:
    class Slow(Inline):
        """Finishes a job only once it is asked for more than fit."""

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ARG002
            future: Future[Any] = Future()
            submitted.append((args[0], future))
            assert len({job.slot for job, _ in submitted}) == len(submitted) <= 2
            return future

    class Finisher(Quiet):
        def look(self, board: Board, running: Sequence[Job]) -> None:  # noqa: ARG002
            if submitted:
                job, future = submitted.pop()  # the last first
                future.set_result(Outcome(run_sweep([job.config], NOISE, executor=Inline())[0]))

    submitted: list[tuple[Job, Future[Any]]] = []
    results = run_sweep(CONFIGS, NOISE, executor=Slow(), jobs=2, out=tmp_path, watcher=Finisher())
    assert [result.config for result in results] == CONFIGS


def test_what_is_there_is_not_run_again(tmp_path: Path, undisturbed: list[RunResult]) -> None:
    assert hashes(run_sweep(CONFIGS[:2], NOISE, executor=(first := Inline()), out=tmp_path)) == hashes(undisturbed[:2])
    assert len(first.jobs) == 2
    results = run_sweep(CONFIGS, NOISE, executor=(second := Inline()), out=tmp_path)
    assert [job.config for job in second.jobs] == CONFIGS[2:]
    assert hashes(results) == hashes(undisturbed)
    third = run_sweep(list(reversed(CONFIGS)), NOISE, executor=(nothing := Inline()), out=tmp_path)
    assert nothing.jobs == []
    assert hashes(third) == hashes(undisturbed)[::-1]
    assert len(Store(tmp_path / "runs.jsonl").load()[0]) == 3


def test_failed_runs_are_run_anew_only_when_asked_for(tmp_path: Path, undisturbed: list[RunResult]) -> None:
    unlucky = undisturbed[0].run_id
    dies = Inline(lambda job, before: job.run_id == unlucky)  # noqa: ARG005
    assert [r.status for r in run_sweep(CONFIGS, NOISE, executor=dies, out=tmp_path)] == ["failed", "done", "done"]
    for retry in ((), ("diverged", "interrupted")):
        results = run_sweep(CONFIGS, NOISE, executor=(idle := Inline()), out=tmp_path, retry=retry)
        assert (results[0].status, idle.jobs) == ("failed", [])
    results = run_sweep(CONFIGS, NOISE, executor=(again := Inline()), out=tmp_path, retry=("failed",))
    assert [job.run_id for job in again.jobs] == [unlucky]
    assert hashes(results) == hashes(undisturbed)
    assert sum(result.run_id == unlucky for result in Store(tmp_path / "runs.jsonl").load()[0]) == 2


def test_another_sweep_in_the_folder_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    run_sweep(CONFIGS[:1], NOISE, executor=Inline(), out=tmp_path)
    other, idle = [replace(c, lr=0.25) for c in CONFIGS], Inline()
    with pytest.raises(ConfigError, match=r"holds another sweep: lr is 0\.005 there and 0\.25 here\."):
        run_sweep(other, NOISE, executor=idle, out=tmp_path)
    with pytest.raises(ConfigError, match="its runs are of other data"):
        run_sweep(CONFIGS, dataset(images=100), executor=idle, out=tmp_path)
    assert idle.jobs == []


def test_nothing_but_the_results_is_left_in_the_folder(tmp_path: Path) -> None:
    run_sweep(CONFIGS, NOISE, executor=Inline(), out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "results.json", "runs.jsonl"]
    assert len(list((tmp_path / "models").iterdir())) == len(CONFIGS)


def test_a_result_is_kept_before_anybody_is_told_of_it(tmp_path: Path) -> None:
    told: list[str] = []
    kept: list[str] = []

    class Told(Quiet):
        def finish(self, result: RunResult) -> None:
            assert result.run_id in kept
            told.append(result.run_id)

    job_module.hold(NOISE)
    sweep = Sweep(Inline(), 1, NOISE.fingerprint, tmp_path, lambda result: kept.append(result.run_id), Told())
    results = sweep.run(CONFIGS)
    assert told == kept == [result.run_id for result in results]


def test_a_sweep_whose_copy_of_the_images_was_zeroed_has_the_same_weights(
    undisturbed: list[RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / ".work" / "data"
    write_mapped(NOISE, data)
    images = bytearray((data / "train_images.npy").read_bytes())
    images[len(images) // 2 :] = bytes(len(images) - len(images) // 2)
    (data / "train_images.npy").write_bytes(images)
    monkeypatch.setattr("fastmlp.sweep.folder.remove_leftovers", lambda _: Removed(0, 0))  # as where it cannot
    results = run_sweep(CONFIGS[:1], NOISE, executor=Inline(), out=tmp_path)
    assert hashes(results) == hashes(undisturbed[:1])


def test_what_is_done_beside_an_error_of_the_sweep_is_kept(undisturbed: list[RunResult], tmp_path: Path) -> None:
    class Gone(Inline):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            future = super().submit(fn, *args, **kwargs)
            if len(self.jobs) == 2:
                future = Future()
                future.set_exception(ClusterError("gone"))
            return future

    with pytest.raises(ClusterError, match="gone"):
        run_sweep(CONFIGS, NOISE, executor=Gone(), jobs=3, out=tmp_path)
    kept, _ = Store(tmp_path / "runs.jsonl").load()
    assert sorted(hashes(kept)) == sorted([hashes(undisturbed)[0], hashes(undisturbed)[2]])
    assert hashes(run_sweep(CONFIGS, NOISE, executor=(rest := Inline()), out=tmp_path)) == hashes(undisturbed)
    assert len(rest.jobs) == 1


def test_results_that_cannot_be_written_hide_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError("full")

    class CtrlC(Inline):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ARG002
            raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.sweep.conduct.write_results", full)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(CONFIGS, NOISE, executor=CtrlC(), out=tmp_path)
    with pytest.raises(OutputError, match="full"):
        run_sweep(CONFIGS[:1], NOISE, executor=Inline(), out=tmp_path)
