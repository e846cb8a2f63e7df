"""A search: who is compared on what, who goes on, who is tested, and that stopping in the middle changes none of it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest

from fastmlp.runs.identity import run_id
from fastmlp.runs.results import RunResult
from fastmlp.sweep.folder import Folder, opened
from fastmlp.sweep.job import Job, hold
from fastmlp.sweep.loop import Quiet, Sweep
from fastmlp.sweep.search import best_of, score, search
from samples import config, dataset, result

NOISE = dataset()
PRINT = NOISE.fingerprint
RATES = (1e-5, 0.01, 1e-6, 0.002)
# Every candidate twice, with two seeds; none stops early.
CANDIDATES = [
    [
        config(dataset="embedded", layers=(3072, 8, 20), batch_size=32, epochs=4, patience=4, lr=lr, seed=seed)
        for seed in (0, 1)
    ]
    for lr in RATES
]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Recorder(Quiet):
    """Notes each job that begins."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def start(self, job: Job) -> None:
        self.jobs.append(job)


def sweep_in(folder: Folder, executor: ThreadPoolExecutor, keep: Any = None, jobs: int = 2) -> tuple[Sweep, Recorder]:
    hold(NOISE)
    recorder = Recorder()
    return Sweep(executor, jobs, PRINT, folder.work, keep or folder.keep, recorder), recorder


def decided(folder: Folder) -> list[tuple[Any, ...]]:
    """Return what a search left of each run, but for times."""
    configs = [config for candidate in CANDIDATES for config in candidate]
    return [
        (r.config, r.status, r.epochs, r.history, r.weights_sha256, repr(r.test_accuracy))
        for r in folder.known_of(configs, PRINT)
    ]


def of(folder: Folder, candidate: Sequence[Any]) -> list[RunResult]:
    return folder.known_of(candidate, PRINT)


def test_all_are_trained_and_the_best_alone_is_tested(executor: ThreadPoolExecutor) -> None:
    with opened(None) as folder:
        sweep, recorder = sweep_in(folder, executor)
        assert search(sweep, folder, CANDIDATES) == CANDIDATES[1]
        assert [r.status for c in CANDIDATES for r in of(folder, c)] == ["done"] * 8
        assert [c for c in CANDIDATES if not all(isnan(r.test_accuracy) for r in of(folder, c))] == [CANDIDATES[1]]
        assert all(r.test_accuracy > 0 for r in of(folder, CANDIDATES[1]))
        assert [job.config for job in recorder.jobs if job.test] == CANDIDATES[1]
        assert len(recorder.jobs) == 10
        scores = [score(folder, candidate, PRINT) for candidate in CANDIDATES]
        assert max(scores) == scores[1]


@pytest.fixture(scope="module")
def halved(executor: ThreadPoolExecutor) -> list[tuple[Any, ...]]:
    """Give what a search with halving comes to that nobody disturbs."""
    with opened(None) as folder:
        sweep, recorder = sweep_in(folder, executor, jobs=1)
        assert search(sweep, folder, CANDIDATES, eta=2) == CANDIDATES[1]
        assert [sum(job.until == rung for job in recorder.jobs) for rung in (1, 2)] == [8, 4]
        assert [(job.config, job.test) for job in recorder.jobs if job.until is None] == [
            (c, test) for test in (False, True) for c in CANDIDATES[1]
        ]
        return decided(folder)


def test_halving_prunes_and_the_pruned_keep_their_history(halved: list[tuple[Any, ...]]) -> None:
    assert [status for _, status, *_ in halved[2:4]] == ["done"] * 2
    epochs = [epochs for _, _, epochs, *_ in halved]
    assert sorted(epochs) == [1, 1, 1, 1, 2, 2, 4, 4]
    for _, status, epochs, history, sha256, accuracy in halved:
        assert status == ("done" if epochs == 4 else "pruned")
        assert len(history["val_loss"]) == epochs
        assert len(sha256) == 64
        assert (accuracy == "nan") == (status == "pruned")


def test_survivors_end_in_the_bits_of_a_search_that_halves_nothing(
    executor: ThreadPoolExecutor, halved: list[tuple[Any, ...]]
) -> None:
    with opened(None) as folder:
        sweep, _ = sweep_in(folder, executor)
        search(sweep, folder, CANDIDATES)
        assert decided(folder)[2:4] == halved[2:4]


class Killed(BaseException):
    """The sweep's process is gone."""


@pytest.mark.parametrize("after", range(1, 17))
def test_a_search_that_was_killed_goes_on_to_the_same_decisions(
    tmp_path: Path, executor: ThreadPoolExecutor, halved: list[tuple[Any, ...]], after: int
) -> None:
    kept = 0

    def keep(run: RunResult) -> None:
        nonlocal kept
        kept += 1
        if kept == after:  # the run has ended, and written its checkpoint, but nobody knows
            raise Killed
        folder.keep(run)

    with opened(tmp_path) as folder, pytest.raises(Killed):
        search(sweep_in(folder, executor, keep, jobs=1)[0], folder, CANDIDATES, eta=2)
    with opened(tmp_path) as folder:
        sweep, recorder = sweep_in(folder, executor)
        assert search(sweep, folder, CANDIDATES, eta=2) == CANDIDATES[1]
        assert decided(folder) == halved
        assert len(recorder.jobs) == 16 - after + 1  # 8 + 4 + 2 runs and parts, then 2 tests: none of them twice


def test_a_search_that_has_ended_trains_nothing_again(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    with opened(tmp_path) as folder:
        best = search(sweep_in(folder, executor)[0], folder, CANDIDATES, eta=2)
    with opened(tmp_path) as folder:
        before = decided(folder)
        sweep, recorder = sweep_in(folder, executor)
        assert search(sweep, folder, CANDIDATES, eta=2) == best
        assert recorder.jobs == []
        assert decided(folder) == before


def known(folder: Folder, accuracies: Sequence[float], losses: Sequence[float], **changes: Any) -> Any:
    """Keep a run of these figures; return its config."""
    run = result(**changes)
    status = changes.get("status", "done")
    history = {"val_loss": list(losses), "val_accuracy": list(accuracies)}
    folder.keep(replace(run, run_id=run_id(run.config, PRINT), history=run.history | history, status=status))
    return run.config


def test_a_score_is_the_mean_over_seeds_at_the_lowest_loss() -> None:
    with opened(None) as folder:
        candidate = [
            known(folder, [0.1, 0.5, 0.9], [3.0, 2.0, 2.5], seed=0),
            known(folder, [0.1, 0.2, 0.3], [3.0, 2.0, 1.0], seed=1),
        ]
        assert score(folder, candidate, PRINT) == pytest.approx(0.4, rel=1e-15)
        assert score(folder, candidate, PRINT, 2) == pytest.approx(0.35, rel=1e-15)
        assert score(folder, candidate, PRINT, 1) == 0.1
        assert isnan(score(folder, [*candidate, config(seed=2)], PRINT))  # one seed is not there yet


@pytest.mark.parametrize(
    ("losses", "status"),
    [
        ([3.0, nan], "diverged"),
        ([], "diverged"),
        ([3.0, 2.0], "failed"),
        ([3.0, 1e30], "diverged"),
        ([3.0, 2.0], "diverged"),
    ],
)
def test_one_seed_that_came_to_nothing_takes_its_candidate_out(losses: list[float], status: str) -> None:
    with opened(None) as folder:
        good = known(folder, [0.5, 0.9], [3.0, 2.0], seed=0)
        bad = known(folder, [0.5, 0.9], losses, seed=1, status=status)
        other = known(folder, [0.1, 0.1], [3.0, 2.0], seed=0, lr=0.5)
        assert isnan(score(folder, [good, bad], PRINT))
        assert best_of(folder, [[good, bad], [other]], PRINT) == [other]
        assert best_of(folder, [[good, bad]], PRINT) is None
        assert best_of(folder, [], PRINT) is None


def test_of_equal_candidates_the_first_is_best() -> None:
    with opened(None) as folder:
        equal = [[known(folder, [0.5], [1.0], lr=lr)] for lr in (0.5, 0.25)]
        assert best_of(folder, equal, PRINT) == equal[0]
        assert best_of(folder, equal[::-1], PRINT) == equal[1]


def test_a_pruned_candidate_is_not_the_best() -> None:
    with opened(None) as folder:
        pruned = [known(folder, [0.9], [1.0], lr=0.5, status="pruned")]
        survivor = [known(folder, [0.8, 0.7], [2.0, 1.0], lr=0.25)]
        assert best_of(folder, [pruned, survivor], PRINT) == survivor
        assert best_of(folder, [pruned], PRINT) is None
