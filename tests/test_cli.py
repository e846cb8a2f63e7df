"""The command end to end, in this process and as a process of its own, on the embedded data set."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command import QUICK, embedded_made_once, fails, run, table_rows  # noqa: F401 - a fixture is found by its name
from fastmlp import train
from fastmlp.config import RunConfig
from fastmlp.data import load_dataset
from fastmlp.errors import OutputError
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.threads import blas_info, usable_cores
from fastmlp.report.tables import Table
from fastmlp.runs.experiments import EXPERIMENTS
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import RunResult, load_results
from fastmlp.sweep import job
from fastmlp.sweep.folder import Folder

pytestmark = pytest.mark.usefixtures("embedded_made_once")


def test_two_experiments_under_two_normalisations(tmp_path: Path, capsys) -> None:
    assert run("--experiments", "relu", "classes100", "--normalize", "image", "channel", "--out", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert out == (tmp_path / "table.md").read_text()
    rows = table_rows(out)
    assert [(row["experiment"], row["network"]) for row in rows] == [
        ("relu", "3072-128-20 relu"),
        ("classes100", "3072-256-100 relu"),
    ]
    environment, runs = load_results(tmp_path / "results.json")
    assert environment["dataset"]["name"] == "embedded"
    assert environment["blas"] is None or environment["blas"]["threads"] == 1
    assert [(r.experiment, r.normalize, r.seed, r.epochs) for r in runs] == [
        ("relu", "image", 0, 2),
        ("relu", "channel", 0, 2),
        ("classes100", "image", 0, 2),
        ("classes100", "channel", 0, 2),
    ]
    assert rows[0]["image"] == f"{100 * runs[0].test_accuracy:.2f}"
    assert "image, report" not in rows[0]
    for text in (
        "Data set: embedded",
        "Runs: 4",
        "Jobs: 1 of 1 threads",
        "run 4/4: classes100, channel, seed 0",
        str(tmp_path),
    ):
        assert text in err


def test_seeds_give_mean_and_spread(tmp_path: Path, capsys) -> None:
    assert (
        run("--experiments", "l2", "--normalize", "image", "--seeds", "2", "--seed", "5", "--out", str(tmp_path)) == 0
    )
    [row] = table_rows(capsys.readouterr().out)
    assert "±" in row["image"]
    assert [r.seed for r in load_results(tmp_path / "results.json")[1]] == [5, 6]


def test_options_reach_the_config(tmp_path: Path) -> None:
    options = {
        "--layers": "3072,7,5,100", "--activation": "sigmoid", "--labels": "fine", "--lr": "0.25",
        "--batch-size": "128", "--momentum": "0.5", "--weight-decay": "0.125", "--epochs": "1", "--patience": "3",
        "--seed": "9", "--precision": "float64", "--matmul": "auto", "--normalize": "dataset",
        "--schedule": "cosine", "--augment": "mirror-shift", "--decay-per": "batch", "--stopping": "best",
    }  # fmt: skip
    assert run(*(text for pair in options.items() for text in pair), "--out", str(tmp_path), "--quiet") == 0
    [made] = [r.config for r in load_results(tmp_path / "results.json")[1]]
    expected = {
        "experiment": "custom", "dataset": "embedded", "labels": "fine", "normalize": "dataset",
        "layers": [3072, 7, 5, 100], "activation": "sigmoid", "init": "auto", "lr": 0.25, "momentum": 0.5,
        "weight_decay": 0.125, "batch_size": 128, "epochs": 1, "patience": 3, "seed": 9, "precision": "float64",
        "matmul": made.matmul, "threads": 1, "schedule": "cosine", "augment": "mirror-shift",
        "validation_fraction": 0.2, "init_from": "", "decay_per": "batch", "stopping": "best",
    }  # fmt: skip
    assert made.to_json() == expected
    assert made.matmul in PRECISIONS["float64"].matmuls  # the faster one


def test_overrides_apply_to_the_chosen_experiments(tmp_path: Path, capsys) -> None:
    assert (
        run("--experiments", "momentum,l2", "--activation", "relu", "--normalize", "image", "--out", str(tmp_path)) == 0
    )
    assert [row["network"] for row in table_rows(capsys.readouterr().out)] == [
        "3072-128-20 relu, no weight decay",
        "3072-128-20 relu",
    ]


def test_quiet_prints_the_table_alone(capsys) -> None:
    assert run("--layers", "3072,4,20", "--normalize", "image", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("- Data set: embedded")
    assert table_rows(out)[0]["experiment"] == "custom"


def test_without_out_nothing_is_written_and_that_is_said(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--layers", "3072,4,20", "--normalize", "image") == 0
    assert "Nothing was written; --out DIR keeps" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_run_is_marked_and_the_others_go_on(tmp_path: Path, capsys, monkeypatch) -> None:
    real = job.run_one

    def hot(config: RunConfig, *args: Any, **kwargs: Any) -> RunResult:
        if config.normalize == "channel":
            return real(config, *args, **kwargs)
        made = real(replace(config, lr=1e30), *args, **kwargs)
        return replace(made, config=config, run_id=run_id(config, load_dataset("embedded").fingerprint))

    monkeypatch.setattr(job, "run_one", hot)
    assert run("--experiments", "relu", "--normalize", "image", "channel", "--out", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    [row] = table_rows(out)
    assert row["image"] == "diverged"
    assert float(row["channel"]) > 0
    assert "diverged in epoch" in err
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [r["status"] for r in runs] == ["diverged", "done"]
    assert runs[0]["test_accuracy"] is None
    assert len(runs[0]["history"]["train_loss"]) == runs[0]["epochs"]


def test_what_ends_a_sweep_costs_no_finished_run(tmp_path: Path, capsys, monkeypatch) -> None:
    before, real, kept = blas_info(), Folder.keep, []

    def third_fails(self: Folder, result: Any) -> None:
        kept.append(result)
        if len(kept) == 3:
            raise ZeroDivisionError  # a bug is not swallowed
        real(self, result)

    monkeypatch.setattr(Folder, "keep", third_fails)
    with pytest.raises(ZeroDivisionError):
        run("--experiments", "relu", "l2", "--out", str(tmp_path))
    out, err = capsys.readouterr()
    assert len(load_results(tmp_path / "results.json")[1]) == 2
    assert (tmp_path / "table.md").read_text() == out
    assert "2 of 4 runs have finished" in err
    assert blas_info() == before


def test_list_needs_no_data(capsys, monkeypatch) -> None:
    monkeypatch.setattr("fastmlp.cli.sweep.load_dataset", None)
    assert train.main(["--list"]) == 0
    rows = table_rows(capsys.readouterr().out)
    assert [row["experiment"] for row in rows] == list(EXPERIMENTS)
    assert rows[1]["image, report"] == "29.28"


def test_help_fits_four_screens(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        train.main(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 160  # four screens of 40 lines
    assert sum("python -m fastmlp.train --" in line for line in lines) == 6


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--experiments", "rely"], "no experiment is called 'rely'; choose from momentum"),
        (["--normalize", "none"], "normalize is 'none'; allowed for images is image or channel or dataset"),
        (["--activation", "swish"], "no activation is called 'swish'; choose from tanh"),
        (["--optimizer", "rmsprop"], "invalid choice: 'rmsprop'; choose from sgd, nesterov, adam, adamw"),
        (["--optimizer", "adam", "--momentum", "0.9"], "optimizer adam has no momentum; allowed with it: lr, beta1"),
        (["--beta1", "0.9"], "optimizer sgd has no beta1; allowed with it: lr, momentum, weight_decay. Leave beta1"),
        (
            ["--schedule", "cosine", "--schedule-every", "3"],
            "schedule cosine has no schedule_every; allowed with it: war",
        ),
        (["--warmup", "-1"], "argument --warmup: '-1' is not a whole number of at least 0"),
        (["--dropout", "1"], "dropout is 1.0; allowed is a number from 0 to below 1"),
        (["--precision", "int8", "--input-dropout", "0.1"], "input_dropout is 0.1, and precision int8 multiplies"),
        (["--activation", "relu-tanh"], "2 for 1 hidden layers: give one for all"),
        (["--dataset", "mnist"], "invalid choice: 'mnist'"),
        (["--precision", "half"], "invalid choice: 'half'"),
        (
            ["--layers", "3072-x-20"],
            "'3072-x-20' is not a list of layer sizes; give inputs, hidden units and classes as in 3072-256-20 or",
        ),
        (["--layers", "3072,128,10"], "the last 20, the outputs"),
        (["--layers", "784,128,20"], "the first must be 3072"),
        (["--layers", "3072"], "layers is (3072,); allowed is at least two whole numbers"),
        (["--lr", "-1"], "lr is -1.0; allowed is a number above 0"),
        (["--lr", "nan"], "lr is nan; allowed is"),
        (["--momentum", "1"], "momentum is 1.0; allowed is a number from 0 to below 1"),
        (["--batch-size", "0"], "argument --batch-size: '0' is not a whole number of at least 1"),
        (["--epochs", "0"], "argument --epochs: '0' is not a whole number of at least 1"),
        (["--seed", "-1"], "argument --seed: '-1' is not a whole number of at least 0"),
        (["--seeds", "0"], "'0' is not a whole number of at least 1"),
        (["--threads", "1000000"], f"threads is 1000000; allowed is a whole number from 1 to {usable_cores()}"),
        (["--jobs", "3", "--threads", str(usable_cores())], f"allowed is no more than the {usable_cores()} cores"),
        (["--jobs", "many"], "argument --jobs: 'many' is not a whole number of at least 1"),
        (["--grid", "lr=1,2", "--random", "3", "lr=1,2"], "--grid and --random are two searches"),
        (["--grid", "depth=1,2"], "names no field that a search can vary"),
        (["--random", "lr=1e-3..1"], "allowed is a number of draws and then axes"),
        (["--halving"], "--halving needs candidates"),
        (["--retry", "done"], "no status is called 'done'; choose from failed, diverged, interrupted"),
        (["--config", "nowhere.toml"], "--config nowhere.toml cannot be read"),
        (["--learning-rate", "1"], "unrecognized arguments: --learning-rate."),
    ],
)
def test_bad_input_is_answered_with_what_is_allowed(capsys, argv: list[str], said: str) -> None:
    assert said in fails(capsys, *argv)


def test_an_out_that_cannot_take_results_is_refused_before_any_work(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("fastmlp.cli.sweep.load_dataset", None)
    (tmp_path / "file").touch()
    assert "cannot take results (it is a file)" in fails(capsys, "--out", str(tmp_path / "file"))


def test_a_refused_command_leaves_older_results_where_they_are(tmp_path: Path, capsys) -> None:
    (tmp_path / "results.json").write_text("old")
    fails(capsys, "--layers", "3072,128,10", "--out", str(tmp_path))
    assert (tmp_path / "results.json").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"results.json"}


@pytest.mark.process
def test_the_command_as_a_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "fastmlp.train", *QUICK, "--experiments", "half_units", "--out", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == (tmp_path / "table.md").read_text()
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("half_units, ") == 2
    refused = subprocess.run([*argv, "--lr", "0"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: lr is 0.0; allowed is a number above 0.\n"


def test_a_table_that_nobody_reads_is_written_all_the_same(tmp_path: Path, monkeypatch, capsys) -> None:
    def broken(_: Table) -> None:
        raise OutputError("The standard output cannot be written.")

    monkeypatch.setattr("fastmlp.cli.output.print_table", broken)
    assert run("--experiments", "relu", "--normalize", "image", "--out", str(tmp_path)) == 2
    assert "The standard output cannot be written." in capsys.readouterr().err
    assert {"results.json", "table.md", "table.csv"} <= {path.name for path in tmp_path.iterdir()}
