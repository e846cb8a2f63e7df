"""Sweeps by the command: gone on with, kept as a file, searched; on the embedded data set."""

import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from command import embedded_made_once, fails, run, table_rows  # noqa: F401 - a fixture is found by its name
from fastmlp import train
from fastmlp.runs.results import load_results
from fastmlp.sweep import conduct, job
from fastmlp.sweep.log_tensorboard import records
from fastmlp.sweep.processes import Processes
from fastmlp.terminal import Compiling
from samples import config

pytestmark = pytest.mark.usefixtures("embedded_made_once")


def test_the_same_command_runs_nothing_twice(tmp_path: Path, capsys) -> None:
    argv = ("--layers", "3072,4,20", "--seeds", "2", "--normalize", "image", "--out", str(tmp_path))
    assert run(*argv) == 0
    first = capsys.readouterr()
    assert first.err.count("test accuracy") == 2
    assert run(*argv) == 0
    again = capsys.readouterr()
    assert "Runs: 2, 2 of them finished before" in again.err
    assert "test accuracy" not in again.err
    assert table_rows(again.out) == table_rows(first.out)
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 2


def test_a_logger_has_the_runs_of_before_and_each_epoch_once(tmp_path: Path, capsys) -> None:
    summary = pytest.importorskip("tensorboardX.proto.event_pb2").Event
    argv = ("--layers", "3072,4,20", "--normalize", "image", "--out", str(tmp_path))
    assert run(*argv) == 0
    for _ in range(2):
        assert run(*argv, "--seeds", "2", "--log", "tensorboard") == 0
    assert "--log" not in capsys.readouterr().err
    folders = sorted((tmp_path / "tensorboard").iterdir())
    assert [folder.name for folder in folders] == sorted(r.run_id for r in load_results(tmp_path / "results.json")[1])
    for folder in folders:
        [file] = folder.iterdir()
        found = [value for record in records(file.read_bytes()) for value in summary.FromString(record).summary.value]
        assert [value.tag for value in found].count("val_loss") == 2
        assert [value.tag for value in found].count("test_accuracy") == 1


def test_a_logger_that_fails_is_told_once_and_ends_no_run(tmp_path: Path, capsys) -> None:
    pytest.importorskip("tensorboardX")
    (tmp_path / "tensorboard").write_text("in the way")
    argv = ("--layers", "3072,4,20", "--normalize", "image", "--seeds", "2", "--out", str(tmp_path))
    assert run(*argv, "--log", "tensorboard") == 0
    said = capsys.readouterr().err
    assert said.count("--log tensorboard failed (") == 1
    assert "Training goes on without it; with --out, the same command again logs what is missing." in said
    assert said.count("test accuracy") == 2


def test_a_logger_that_cannot_be_used_is_refused_before_the_data_are_loaded(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    assert "is missing; give --out DIR too" in fails(capsys, "--log", "tensorboard")
    monkeypatch.setitem(sys.modules, "tensorboardX.event_file_writer", None)
    said = fails(capsys, "--log", "tensorboard", "--out", str(tmp_path / "out"))
    assert "pip install 'fastmlp[tensorboard]'" in said
    assert "Data set" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_may_grow(tmp_path: Path, capsys) -> None:
    for seeds in ("1", "3"):
        assert run("--layers", "3072,4,20", "--normalize", "image", "--seeds", seeds, "--out", str(tmp_path)) == 0
    assert "Runs: 3, 1 of them finished before" in capsys.readouterr().err


def test_another_sweep_in_the_folder_is_refused_with_the_difference(tmp_path: Path, capsys) -> None:
    argv = ("--layers", "3072,4,20", "--normalize", "image", "--out", str(tmp_path))
    assert run(*argv) == 0
    capsys.readouterr()
    said = fails(capsys, *argv, "--lr", "0.5")
    assert "holds another sweep: lr is 0.005 there and 0.5 here" in said
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ("--experiments", "relu,l2", "--normalize", "image", "--lr", "0.01", "--batch-size", "256"),
        ("--layers", "3072-4-3-20", "--activation", "relu,gelu", "--normalize", "image", "--optimizer", "adam",
         "--beta1", "0.8", "--dropout", "0.25", "--label-smoothing", "0.1", "--schedule", "plateau",
         "--schedule-tol", "0", "--matmul", "blas"),
    ],
)  # fmt: skip
def test_a_sweep_is_kept_as_a_file_that_runs_it_again(argv: tuple[str, ...], tmp_path: Path, capsys) -> None:
    assert run(*argv, "--out", str(tmp_path / "a")) == 0
    first = capsys.readouterr().out
    config = ["--config", str(tmp_path / "a" / "sweep.toml"), "--threads", "1", "--workers", "threads", "--jobs", "1"]
    assert train.main([*config, "--out", str(tmp_path / "b")]) == 0
    ours, theirs = (load_results(tmp_path / name / "results.json")[1] for name in "ab")
    assert [r.weights_sha256 for r in ours] == [r.weights_sha256 for r in theirs]
    assert [row["image"] for row in table_rows(capsys.readouterr().out)] == [row["image"] for row in table_rows(first)]


def test_a_dry_run_lists_the_runs_and_trains_none(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run("--layers", "3072,4,20", "--seeds", "2", "--dry-run", "--out", str(tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    rows = table_rows(out)
    assert [(row["normalisation"], row["seed"]) for row in rows] == [(n, s) for s in "01" for n in ("image", "channel")]
    assert all(row["at most"].endswith(" s") for row in rows)
    assert "Runs: 4, 4 of them to do, 1 at a time" in out
    assert "test accuracy" not in err
    assert not (tmp_path / "out").exists()


def test_the_data_set_is_named_before_anything_is_measured(tmp_path: Path, capsys, monkeypatch) -> None:
    said = []

    def resolve(configs: Any, before: Any) -> Any:  # noqa: ARG001 - as fastmlp.runs.autotune has it
        said.append(capsys.readouterr().err)
        return configs, ["Products: measured."]

    monkeypatch.setattr("fastmlp.cli.sweep.resolve", resolve)
    assert run("--layers", "3072,4,20", "--normalize", "image", "--matmul", "auto", "--out", str(tmp_path)) == 0
    assert said[0].splitlines()[-1].startswith("Data set: embedded (")
    assert "Products: measured.\nRuns: 1.\n" in capsys.readouterr().err


@pytest.mark.parametrize("executor", [ThreadPoolExecutor(1), Processes(1, 1)], ids=["threads", "processes"])
def test_a_worker_that_compiles_before_the_runs_is_told_of(executor: Executor, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(conduct, "compile_for", compile_slowly)
    with executor:
        conduct.compile_by(executor, [config()], tmp_path / "mark", Compiling(Console(stderr=True)))
    assert capsys.readouterr().err == "Compiling the kernels for this machine, once; it takes some seconds.\n"
    assert list(tmp_path.iterdir()) == []


def compile_slowly(config: Any, mark: Path) -> None:  # noqa: ARG001 - as fastmlp.runs.run has it
    mark.touch()
    time.sleep(1)


def test_a_search_tests_its_best_alone(tmp_path: Path, capsys) -> None:
    argv = ("--layers", "3072,4,20", "--normalize", "image", "--seeds", "2", "--out", str(tmp_path))
    axes = ("--grid", "lr=0.0001,0.01,0.02", "--epochs", "4", "--batch-size", "128", "--halving", "2")
    assert run(*argv, *axes) == 0
    rows = table_rows(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["done", "pruned", "pruned"]
    assert [row["test"] == "-" for row in rows] == [False, True, True]
    assert "(best)" in rows[0]["candidate"]
    validation = [float(row["validation"].split()[0]) for row in rows]
    assert validation[0] == max(validation)
    before = (tmp_path / "runs.jsonl").read_text()
    assert run(*argv, *axes) == 0
    assert table_rows(capsys.readouterr().out) == rows
    assert (tmp_path / "runs.jsonl").read_text() == before


def test_a_failed_run_costs_no_other_and_can_be_tried_again(tmp_path: Path, capsys, monkeypatch) -> None:
    real = job.run_one

    def broken(config: Any, *args: Any, **kwargs: Any) -> Any:
        if config.normalize == "image":
            raise MemoryError("all gone")
        return real(config, *args, **kwargs)

    argv = ("--layers", "3072,4,20", "--out", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(job, "run_one", broken)
        assert run(*argv) == 1
    err = capsys.readouterr().err
    assert "custom, image, seed 0: failed: MemoryError: all gone" in err
    assert "error: 1 run failed" in err
    assert run(*argv) == 1
    assert run(*argv, "--retry", "failed") == 0
    assert [r.status for r in load_results(tmp_path / "results.json")[1]] == ["done", "done"]
