"""What is made of a sweep's results: files that other programs read."""

import csv
import io
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastmlp.runs.results import RunResult, failed_result, load_results
from fastmlp.sweep import derived
from fastmlp.sweep.derived import Derived, as_csv
from fastmlp.table import Table
from samples import ENVIRONMENT, FIELDS, config, result

FIGURES = ("val_accuracy", "test_accuracy", "test_loss", "best_epoch", "epochs", "seconds", "images_per_second")
KEPT = ("weights_sha256", "error", "started", "finished")


def parsed(runs: list[RunResult]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(runs), newline="")))


def test_csv_has_a_line_a_run_with_its_name_config_and_figures() -> None:
    runs = [result(), result(0.1, seed=7, layers=(3072, 123, 45, 20), weight_decay=1e-05)]
    rows = parsed(runs)
    assert as_csv(runs).count("\n") == 3
    assert set(rows[0]) == {
        "run_id",
        "status",
        *FIELDS,
        "max_epochs",
        *FIGURES,
        *KEPT,
    }
    for row, run in zip(rows, runs, strict=True):
        assert (row["run_id"], row["status"]) == (run.run_id, run.status)
        for name in FIGURES:
            assert float(row[name]) == getattr(run, name)
        fields = run.config.to_json()
        fields["max_epochs"] = fields.pop("epochs")
        assert row["layers"] == "-".join(map(str, fields.pop("layers")))
        assert {name: type(value)(row[name]) for name, value in fields.items()} == fields


def test_csv_has_one_heading_for_runs_of_other_settings() -> None:
    adam = result(optimizer="adam", momentum=None, lr=None, layers=(3072, 8, 7, 20), activation=("relu", "gelu"))
    rows = parsed([result(), replace(adam, config=replace(adam.config, dropout=0.5))])
    told = [{name: row[name] for name in ("optimizer", "momentum", "dropout", "activation")} for row in rows]
    assert told == [
        {"optimizer": "sgd", "momentum": "0.9", "dropout": "0.0", "activation": "relu"},
        {"optimizer": "adam", "momentum": "", "dropout": "0.5", "activation": "relu-gelu"},
    ]
    assert "beta1" not in rows[0]  # it is as usual


def test_layers_are_one_cell_without_a_comma() -> None:
    assert parsed([result(layers=(3072, 123, 45, 20))])[0]["layers"] == "3072-123-45-20"


@pytest.mark.parametrize("text", ["a, b", 'a "b"', "a\nb\n\nc", "a\r\nb", ""])
def test_csv_keeps_what_a_text_holds(text: str) -> None:
    """Errors are of any text, also of several lines, and candidates have a comma in their name."""
    made = config(experiment="l2, lr 0.01, batch_size 64")
    runs = [replace(failed_result(made, "0" * 16, text), weights_sha256="ab" * 32), result()]
    rows = parsed(runs)
    assert [row["error"] for row in rows] == [text, ""]
    assert [row["experiment"] for row in rows] == [made.experiment, "relu"]
    assert [row["weights_sha256"] for row in rows] == ["ab" * 32, ""]


def test_a_figure_that_is_missing_is_an_empty_cell() -> None:
    row = parsed([result(math.nan, status="diverged")])[0]
    assert (row["test_accuracy"], row["status"], row["val_accuracy"]) == ("", "diverged", "0.335")


def test_all_files_are_written_and_replaced(tmp_path: Path) -> None:
    table = Table(["A fact."], ["name", "figure"], [["a", "1"]], words=1)
    files, made = Derived(tmp_path, ENVIRONMENT), []
    for runs in ([result()], [result(), result(seed=1)]):
        files.write(runs, [table])
        assert load_results(tmp_path / "results.json") == (ENVIRONMENT, runs)
        assert (tmp_path / "table.md").read_text() == table.markdown()
        assert (tmp_path / "table.csv").read_bytes().decode() == as_csv(runs)
        made.append(sorted(path.name for path in tmp_path.iterdir()))
    assert made == [["results.json", "table.csv", "table.md"]] * 2


class Clock(SimpleNamespace):
    """A clock that stands still, but for what is said to take time."""

    def __init__(self) -> None:
        super().__init__(now=50.0, perf_counter=lambda: self.now)


def test_results_are_written_at_once_and_then_for_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = Clock(), []

    def slow(path: Path, environment: object, runs: list[int]) -> None:
        assert (path, environment) == (tmp_path / "results.json", ENVIRONMENT)
        written.append((clock.now, *runs))
        clock.now += 0.5

    monkeypatch.setattr(derived, "time", clock)
    monkeypatch.setattr(derived, "write_results", slow)
    files = Derived(tmp_path, ENVIRONMENT)
    while clock.now < 150:
        files.now_and_then(lambda: [len(written)], pytest.fail)  # type: ignore[list-item]
        clock.now += 0.25
    assert [count for _, count in written] == list(range(len(written)))
    assert written[0][0] == 50
    pauses = [b - a - 0.5 for (a, _), (b, _) in pairwise(written)]
    assert pauses == [0.5 / derived._SHARE] * 3
    assert 0 < derived._SHARE < 0.1


def test_the_last_write_does_not_wait(tmp_path: Path) -> None:
    files = Derived(tmp_path, ENVIRONMENT)
    files.now_and_then(lambda: [result()], pytest.fail)
    files.write([result(), result(seed=1)], [Table([], ["a"], [], words=1)])
    assert len(load_results(tmp_path / "results.json")[1]) == 2
