import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fastmlp.errors import DataError, FastMLPError, OutputError
from fastmlp.report.make import make_report
from fastmlp.runs.results import RunResult, check_folder, failed_result, load_results, write_results
from fastmlp.sweep.store import Store
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


ODD = [
    ("run_id", "../../../../X"), ("run_id", "0123456789ABCDEF"), ("run_id", 7), ("run_id", "0123456789abcdef\n"),
    ("status", "over"), ("status", []), ("status", None),
    ("test_accuracy", "0.5"), ("test_accuracy", 1.5), ("val_accuracy", math.inf), ("val_accuracy", True),
    ("test_loss", 10**400), ("seconds", -1.0), ("seconds", 1e300), ("seconds", None), ("images_per_second", []),
    ("best_epoch", 4), ("best_epoch", -1), ("epochs", 2), ("epochs", 3.0), ("epochs", None),
    ("history", {}), ("history", []), ("history", {"train_loss": [1.0] * 3}), ("weights_sha256", "abc"),
    ("error", None), ("started", "yesterday"), ("finished", 3), ("experiment", "other"), ("seed", 1), ("config", []),
    ("config", None), ("config", {"experiment": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ODD)
def test_a_value_that_no_run_has_is_named(tmp_path: Path, name: str, value: object) -> None:
    data = result().to_json() | {name: value}
    with pytest.raises(ValueError, match=rf"run's {name}|history has not as many") as found:
        RunResult.from_json(data)
    assert isinstance(found.value, FastMLPError)
    (tmp_path / "results.json").write_text(json.dumps({"environment": ENVIRONMENT, "runs": [data]}))
    with pytest.raises(DataError, match="is not a results file"):
        load_results(tmp_path / "results.json")


@pytest.mark.parametrize("series", [[None, "0.5", 0.5], [0.5] * 2, {"0": 1}, [[0.5]] * 3])
def test_a_history_of_other_things_than_numbers_is_refused(series: object) -> None:
    data = result().to_json()
    data["history"]["val_loss"] = series
    with pytest.raises(DataError, match="history"):
        RunResult.from_json(data)


@pytest.mark.parametrize(
    "change",
    [{"cpu": None}, {"blas": {}}, {"dataset": []}, {"dataset": {**ENVIRONMENT["dataset"], "train_images": "9"}}],
)
def test_an_environment_that_no_table_can_tell_of_is_refused(tmp_path: Path, change: dict) -> None:
    write_results(tmp_path / "results.json", ENVIRONMENT | change, [])
    with pytest.raises(DataError, match=r"its environment has no"):
        load_results(tmp_path / "results.json")


def test_what_is_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"environment":' + "[" * 100_000)
    with pytest.raises(DataError, match="it is not JSON"):
        load_results(tmp_path / "results.json")


def test_a_crafted_run_id_writes_nothing_outside_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "in" / "runs"
    folder.mkdir(parents=True)
    evil = replace(result(), run_id="../../../../X")
    Store(folder / "runs.jsonl").append(evil)  # with the right CRC
    write_results(folder / "results.json", ENVIRONMENT, [evil])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"run_id is '../../../../X'; allowed is 16 hexadecimal digits"):
        make_report(folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_whole_numbers_for_fractions_come_back_as_what_arrays_hold() -> None:
    written = result().to_json()
    history = written["history"] | {"val_loss": [10**300, 2, None]}
    back = RunResult.from_json(written | {"test_loss": 10**300, "seconds": 3, "test_accuracy": 1, "history": history})
    assert all(isinstance(v, float) for v in (back.test_loss, back.seconds, back.test_accuracy))
    assert all(isinstance(v, float) for v in back.history["val_loss"])
