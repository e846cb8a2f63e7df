import json
import math
import os
from pathlib import Path

import pytest

from fastmlp.errors import DataError, OutputError
from fastmlp.results import RunResult, check_folder, failed_result, load_results, write_results
from samples import ENVIRONMENT, config, result

KEYS = [
    "run_id", "experiment", "normalize", "seed", "status", "dataset", "precision", "config", "test_accuracy",
    "test_loss", "val_accuracy", "best_epoch", "epochs", "seconds", "images_per_second", "history",
    "weights_sha256", "error", "started", "finished",
]  # fmt: skip


def strict(text: str) -> dict:
    """Parse JSON that other languages can read too."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_file_has_exactly_the_documented_keys(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", ENVIRONMENT, [result(), result(seed=1)])
    document = strict((tmp_path / "results.json").read_text())
    assert list(document) == ["environment", "runs"]
    assert document["environment"] == ENVIRONMENT
    assert [list(run) for run in document["runs"]] == [KEYS, KEYS]
    assert list(document["runs"][0]["history"]) == ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]


def test_results_load_back(tmp_path: Path) -> None:
    runs = [result(), result(0.2, normalize="channel", seed=3, layers=(3072, 123, 123, 20))]
    write_results(tmp_path / "results.json", ENVIRONMENT, runs)
    assert load_results(tmp_path / "results.json") == (ENVIRONMENT, runs)


def test_a_file_without_runs_is_a_results_file(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", ENVIRONMENT, [])
    assert load_results(tmp_path / "results.json") == (ENVIRONMENT, [])


def test_nan_and_infinity_are_null_and_come_back_as_nan(tmp_path: Path) -> None:
    diverged = result(math.nan, status="diverged")
    diverged.history["train_loss"][-1] = math.inf
    write_results(tmp_path / "results.json", ENVIRONMENT, [diverged])
    run = strict((tmp_path / "results.json").read_text())["runs"][0]
    assert run["test_accuracy"] is None
    assert run["history"]["train_loss"] == [0.5, 0.5, None]
    _, [loaded] = load_results(tmp_path / "results.json")
    assert math.isnan(loaded.test_accuracy)
    assert math.isnan(loaded.history["train_loss"][-1])
    assert loaded.status == "diverged"


def test_unknown_and_missing_keys_are_named() -> None:
    data = result().to_json()
    data["gpu"] = data.pop("seed")
    with pytest.raises(DataError, match="unknown or missing: gpu, seed"):
        RunResult.from_json(data)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"environment": {}, "runs": [{}]}', '{"environment": {}, "runs": [1]}']
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"is not a results file .*run that again"):
        load_results(path)


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in ((tmp_path / "file", "it is a file"), (tmp_path / "file" / "below", "Not a directory")):
        with pytest.raises(OutputError, match=rf"--out {folder} cannot take results \({reason}\)"):
            check_folder(folder)


def test_a_folder_that_refuses_writes_is_named(tmp_path: Path, monkeypatch) -> None:
    # Permissions do not stop root, which runs many a test machine: refuse in their place.
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match=r"cannot take results \(Permission denied\).*choose another"):
        check_folder(tmp_path)


def test_a_failed_run_has_its_config_its_error_and_no_figures(tmp_path: Path) -> None:
    made = config(seed=4, normalize="channel", experiment="l2")
    failed = failed_result(made, "0123456789abcdef", "MemoryError: 7 GB\nat once")
    assert (failed.run_id, failed.status, failed.error) == ("0123456789abcdef", "failed", "MemoryError: 7 GB\nat once")
    assert failed.config == made
    for name in ("experiment", "normalize", "seed", "dataset", "precision"):
        assert getattr(failed, name) == getattr(made, name)
    assert all(math.isnan(figure) for figure in (failed.test_accuracy, failed.test_loss, failed.val_accuracy))
    assert (failed.best_epoch, failed.epochs, failed.seconds, failed.weights_sha256) == (0, 0, 0.0, "")
    assert failed.history == {name: [] for name in result().history}
    write_results(tmp_path / "results.json", ENVIRONMENT, [failed])
    _, [loaded] = load_results(tmp_path / "results.json")
    assert loaded.to_json() == failed.to_json()
