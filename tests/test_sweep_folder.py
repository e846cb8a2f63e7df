"""What a sweep's folder knows: what is there, what is missing, and what is kept for how long."""

from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from fastmlp.errors import ConfigError
from fastmlp.runs.results import RunResult
from fastmlp.sweep.folder import Folder, opened
from fastmlp.sweep.job import BOARD, CHECKPOINTS, DATA
from fastmlp.sweep.store import Store
from samples import ENVIRONMENT, config, result

PRINT = ENVIRONMENT["dataset"]["fingerprint"]
UNTESTED = replace(result(nan, seed=9), test_loss=nan)


def checkpoint(folder: Folder, run: RunResult) -> Path:
    """Give the run a checkpoint."""
    path = folder.work / CHECKPOINTS / f"{run.run_id}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_result_is_on_disk_when_it_is_kept_and_there_again_when_opened(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        assert (folder.out, folder.work, folder.known, folder.notes) == (tmp_path, tmp_path / ".work", {}, [])
        folder.keep(result(seed=1))
        assert Store(tmp_path / "runs.jsonl").load()[0] == [result(seed=1)]
        folder.keep(result(0.5, seed=1))
        folder.keep(result(seed=0))
    with opened(tmp_path) as folder:
        assert list(folder.known.values()) == [result(0.5, seed=1), result(seed=0)]


def test_notes_tell_of_damage(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text("torn")
    with opened(tmp_path) as folder:
        [note] = folder.notes
        assert "1 damaged line" in note


def test_without_a_folder_nothing_is_kept_and_its_work_goes_with_it() -> None:
    with opened(None) as folder:
        folder.keep(result())
        assert folder.known_of([config()], PRINT) == [result()]
        work = folder.work
        assert work.is_dir()
    assert not work.exists()


def test_a_second_sweep_is_refused_while_the_first_holds_the_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(ConfigError, match="is in use by the sweep of process"), opened(tmp_path):
        pass


def test_known_runs_come_in_the_order_of_the_configs() -> None:
    with opened(None) as folder:
        for seed in (2, 0, 1):
            folder.keep(result(seed=seed))
        configs = [config(seed=seed) for seed in (0, 5, 2)]
        assert folder.known_of(configs, PRINT) == [result(seed=0), result(seed=2)]
        assert folder.known_of(configs, "another") == []


@pytest.mark.parametrize(
    ("status", "retry", "missing"),
    [
        ("done", (), False),
        ("done", ("failed", "diverged", "interrupted"), False),
        ("failed", (), False),
        ("failed", ("failed",), True),
        ("diverged", (), False),
        ("diverged", ("failed",), False),
        ("diverged", ("failed", "diverged"), True),
        ("interrupted", (), True),
        ("interrupted", ("interrupted",), True),
    ],
)
def test_what_is_missing_depends_on_status_and_retry(status: str, retry: tuple[str, ...], missing: bool) -> None:
    with opened(None) as folder:
        folder.keep(result(seed=0))
        folder.keep(result(seed=1, status=status))
        configs = [config(seed=seed) for seed in (2, 1, 0)]
        assert folder.missing(configs, PRINT, retry) == configs[: 1 + missing]


def test_an_untested_run_is_missing_only_where_it_is_to_be_tested() -> None:
    with opened(None) as folder:
        folder.keep(UNTESTED)
        assert folder.missing([UNTESTED.config], PRINT) == [UNTESTED.config]
        assert folder.missing([UNTESTED.config], PRINT, test=False) == []


@pytest.mark.parametrize(
    ("run", "stays"),
    [
        (result(), False),
        (UNTESTED, True),
        (result(status="interrupted"), True),
        (result(status="pruned"), False),
        (result(status="diverged"), False),
        (result(status="failed"), False),
    ],
)
def test_a_checkpoint_goes_once_no_run_goes_on_from_it(run: RunResult, stays: bool) -> None:
    with opened(None) as folder:
        path = checkpoint(folder, run)
        folder.keep(run)
        assert path.exists() is stays


def test_an_interrupted_run_begins_anew_only_where_that_is_asked_for() -> None:
    run = result(status="interrupted")
    with opened(None) as folder:
        path = checkpoint(folder, run)
        folder.keep(run)
        folder.missing([run.config], PRINT, ("failed",))
        assert path.exists()
        folder.missing([run.config], PRINT, ("interrupted",))
        assert not path.exists()


def test_another_sweep_is_refused_by_its_nearest_difference(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.check_sweep([config(lr=0.5)], PRINT)  # an empty folder takes any
        folder.keep(result())
        folder.check_sweep([config(lr=0.5), config()], PRINT)  # more runs than before are no other sweep
        with pytest.raises(ConfigError) as refused:
            folder.check_sweep([config(lr=0.5, epochs=7), config(layers=(3072, 7, 20))], PRINT)
        assert str(refused.value) == (
            f"--out {tmp_path} holds another sweep: layers is (3072, 128, 20) there and (3072, 7, 20) here. "
            "Give the options that its sweep.toml has, or choose another --out."
        )
        with pytest.raises(ConfigError, match=r"lr is 0\.005 there and 0\.5 here; epochs is 100 there and 7 here\."):
            folder.check_sweep([config(lr=0.5, epochs=7)], PRINT)
        with pytest.raises(ConfigError, match="its runs are of other data"):
            folder.check_sweep([config()], "another")


def test_cleaning_leaves_what_an_interrupted_run_needs(tmp_path: Path) -> None:
    interrupted = result(seed=1, status="interrupted")
    with opened(tmp_path) as folder:
        needed, tested_elsewhere = checkpoint(folder, interrupted), checkpoint(folder, UNTESTED)
        folder.keep(interrupted)
        folder.keep(UNTESTED)
        (folder.work / DATA).mkdir()
        (folder.work / DATA / "facts.json").touch()
        (folder.work / BOARD).touch()
        folder.clean()
        assert needed.exists()
        assert not tested_elsewhere.exists()
        assert not (folder.work / DATA).exists()
        assert not (folder.work / BOARD).exists()
        assert (tmp_path / "runs.jsonl").exists()
        folder.clean()  # twice is no error
