"""`--folds`: runs of a cross-validation, their table, search and page; they go on and come again in the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest

import fastmlp
from command import table_rows
from fastmlp import reproduce
from fastmlp.data.folds import joined
from fastmlp.errors import ConfigError
from fastmlp.models.file import load_model
from fastmlp.report.sweep import read
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import RunResult, load_results
from fastmlp.sweep import run_sweep
from fastmlp.sweep.plan import candidates_of
from fastmlp.sweep.space import differing
from own import config_of, features
from test_own_command import SMALL, UNDROPPED, csv, npz, refused, run

pytest.importorskip("polars")
ROOT = Path(__file__).parents[1]


def results(out: Path) -> list[RunResult]:
    return load_results(out / "results.json")[1]


def rare(folder: Path) -> Path:
    """A table whose folds have other columns: some towns are in one row alone."""
    path, lines = folder / "rare.csv", ["age,town,rich"]
    lines += [f"{20 + i % 41},{'ab'[i % 2] if i % 8 else f'town{i}'},{'yes' if i % 3 else 'no'}" for i in range(120)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("seeds", "told", "count"), [(1, "the 3 folds", "3"), (2, "2 seeds in each of 3 folds", "3 x 2 seeds")]
)
def test_the_table_has_mean_and_spread_over_the_folds(
    seeds: int, told: str, count: str, tmp_path: Path, capsys
) -> None:
    data, out = csv(tmp_path), tmp_path / "out"
    options = ["--target", "income", "--folds", "3", "--seeds", str(seeds), "--baselines", "--out", out]
    assert run("--data", data, *options) == 0
    printed, err = capsys.readouterr()
    runs = results(out)
    assert [(one.seed, one.config.fold) for one in runs] == [(s, f) for s in range(seeds) for f in (1, 2, 3)]
    assert "Split: 3 folds of 120 rows" in err
    assert "of the training rows of the first fold" in err
    assert "network, fold 2, seed 0: test accuracy" in err
    assert f"mean ± standard deviation over {told}." in printed
    network, *others = table_rows(printed)
    values = [100 * (one.test_metrics["accuracy"] or 0) for one in runs]
    assert network["accuracy in %"] == f"{fmean(values):.2f} ± {stdev(values):.2f}"
    assert [row["folds"] for row in (network, *others)] == [count, "3", "3", "3"]
    assert all("±" in row["log loss in nats"] for row in others)
    assert err.count("In each of 3 folds.") == 2
    models = [load_model(out / "models" / f"{one.run_id}.npz") for one in runs]
    assert [model.config for model in models] == [one.config for one in runs]
    assert len({model.weights_sha256 for model in models}) == len(runs)
    # The same command, and its sweep file, have nothing left to do.
    for again in (["--data", data, *options], ["--config", out / "sweep.toml", "--out", out]):
        assert run(*again) == 0
        assert f"{3 * seeds} of them finished before" in capsys.readouterr().err
    assert results(out) == runs


def test_dry_run_lists_the_folds(tmp_path: Path, capsys) -> None:
    assert run("--data", rare(tmp_path), "--target", "rich", "--folds", "3", "--dry-run") == 0
    rows = table_rows(capsys.readouterr().out)
    assert [row["fold"] for row in rows] == ["1", "2", "3"]
    assert len({row["network"] for row in rows}) > 1
    assert run("--data", csv(tmp_path), "--target", "income", "--dry-run") == 0
    assert "fold" not in table_rows(capsys.readouterr().out)[0]


def test_that_rows_count_by_their_weights_is_said_of_folds_too(tmp_path: Path, capsys) -> None:
    asked = ["--target", "rich", "--weights", "age", "--dry-run"]
    for folds in ([], ["--folds", "3"]):
        assert run("--data", rare(tmp_path), *asked, *folds) == 0
        assert "Rows count by their 'age'" in " ".join(capsys.readouterr().err.split())


def test_precision_is_checked_in_the_first_fold(tmp_path: Path, capsys) -> None:
    asked = ["--folds", "3", "--check-precision", "--precision", "bfloat16", *UNDROPPED]
    assert run("--data", rare(tmp_path), "--target", "rich", *asked) == 0
    assert len(table_rows(capsys.readouterr().out)) == 2  # layers


@pytest.mark.parametrize("halving", [[], ["--halving", "2"]])
def test_a_search_compares_means_over_the_folds(halving: list[str], tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    axes = ["--grid", "hidden=3,4-2", "lr=0.001,0.1", *halving, *UNDROPPED]
    assert run("--data", rare(tmp_path), "--target", "rich", "--folds", "3", *axes, "--out", out) == 0
    ranking, _, metrics = capsys.readouterr().out.partition("| model")
    ranked, [best, _] = table_rows(ranking), table_rows(f"| model{metrics}")
    assert [row["runs"] for row in ranked] == ["3"] * 4
    assert sorted(row["candidate"].removesuffix(" **(best)**") for row in ranked) == sorted(
        f"hidden {hidden}, lr {lr}" for hidden in ("3", "4-2") for lr in (0.001, 0.1)
    )
    assert "the best one's test may look a little too good" in ranking
    runs = results(out)
    candidates = candidates_of([one.config for one in runs])
    assert [len(candidate) for candidate in candidates] == [3] * 4
    assert len({config.layers[0] for config in candidates[0]}) > 1
    means = {candidate[0].experiment: fmean(one.val_accuracy for one in runs if one.config in candidate)
             for candidate in candidates}  # fmt: skip
    tested = {one.experiment for one in runs if one.test_metrics}
    assert len(tested) == 1
    assert sum(bool(one.test_metrics) for one in runs) == 3
    assert best["model"] in tested
    assert best["network"].startswith("3..") or ".." in best["network"]
    if not halving:
        assert means[best["model"]] == max(means.values())
    assert sorted(differing([one.config for one in runs])) == ["layers", "lr"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--folds", "1"], "at least 2"),
        (["--folds", "3", "--test-size", "0.2"], "--folds 3 tests each row once, in a fold, and --test-size"),
        (["--folds", "3", "--test-data", "other.csv"], "and --test-data names test rows"),
        (["--folds", "121"], "from 2 to the number of rows, 120"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_folds_is_refused(options: list[str], words: str, tmp_path: Path, capsys) -> None:
    assert words in refused(capsys, "--data", csv(tmp_path), "--target", "income", *options)


def test_folds_are_of_own_data_and_of_one_number(tmp_path: Path, capsys) -> None:
    assert "--folds is about own data" in refused(capsys, "--folds", "3")
    data, out = npz(tmp_path), tmp_path / "out"
    assert run("--data", data, "--folds", "3", "--out", out) == 0
    capsys.readouterr()
    assert "or another number of --folds" in refused(capsys, "--data", data, "--folds", "4", "--out", out)
    assert "fold is 1 there and 0 here" in refused(capsys, "--data", data, "--out", out)


def test_the_fold_is_part_of_what_a_run_is() -> None:
    data = features()
    made = config_of(data)
    assert "fold" not in made.to_json()
    assert replace(made, fold=2).to_json()["fold"] == 2
    assert type(made).from_json(replace(made, fold=2).to_json()) == replace(made, fold=2)
    assert len({run_id(replace(made, fold=fold), data.fingerprint) for fold in range(4)}) == 4
    assert replace(made, fold=2, seed=5, layers=(9, *made.layers[1:])).candidate == made.candidate


def test_run_sweep_takes_folds_of_ones_own(tmp_path: Path) -> None:
    parts = [features(count=count) for count in (80, 100)]
    data = joined(parts, "two")
    configs = [config_of(parts[0], fold=fold, epochs=2) for fold in (1, 2)]
    found = run_sweep(configs, data, jobs=1, out=tmp_path)
    alone = [run_sweep([replace(config, fold=0)], one)[0] for config, one in zip(configs, parts, strict=True)]
    assert [one.weights_sha256 for one in found] == [one.weights_sha256 for one in alone]
    for fold in (0, 3):
        with pytest.raises(ConfigError, match=f"fold is {fold}; allowed with mine is 1 to 2"):
            run_sweep([replace(configs[0], fold=fold)], data)
    with pytest.raises(ConfigError, match="fold is 1; allowed with mine is 0"):
        run_sweep(configs, parts[0])


def test_train_in_python_takes_folds(tmp_path: Path) -> None:
    settings: dict[str, Any] = {**SMALL, "folds": 3, "out": tmp_path / "out"}
    trained = fastmlp.train(csv(tmp_path), "income", **settings)
    assert [one.config.fold for one in trained.results] == [1, 2, 3]
    assert "over the 3 folds" in str(trained.table)
    assert trained.model.config == trained.result.config
    assert fastmlp.train(csv(tmp_path), "income", **settings).results == trained.results
    x = np.random.default_rng(0).normal(size=(60, 3))
    assert len(fastmlp.train(x, x[:, 0] > 0, **SMALL, folds=2).results) == 2
    with pytest.raises(ConfigError, match="--test-size names test rows"):
        fastmlp.train(x, x[:, 0] > 0, folds=2, test_size=0.3, **SMALL)


def test_a_run_of_a_fold_comes_again(tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert run("--data", rare(tmp_path), "--target", "rich", "--folds", "3", "--out", out) == 0
    for one in results(out):
        (out / "models" / f"{one.run_id}.npz").unlink()
        assert reproduce.main([str(out), one.run_id]) == 0
        assert "The same bits." in capsys.readouterr().err
        assert load_model(out / "models" / f"{one.run_id}.npz").weights_sha256 == one.weights_sha256


@pytest.mark.usefixtures("undrawn")
def test_the_page_shows_each_fold_and_the_best_ones_own_rows(tmp_path: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    data, out = rare(tmp_path), tmp_path / "out"
    assert run("--data", data, "--target", "rich", "--folds", "3", "--out", out, "--report") == 0
    capsys.readouterr()
    page, runs = (out / "report.html").read_text(), results(out)
    folds = json.loads((out / "tables" / "folds.json").read_text())
    assert "3 folds of 120 rows" in page
    assert "those of the first fold" in page
    sweep = read(out)
    best = sweep.best
    assert best is not None
    assert f"the test rows of its fold, {best.config.fold}." in page
    assert sweep.dataset is not None
    assert f"Of {len(sweep.dataset.of_fold(best.config.fold).test_images)} test rows" in page
    assert "mean ± standard deviation over the 3 folds" in page
    assert str(folds).count("network") == len(runs)
    metrics = table_rows((out / "tables" / "metrics.md").read_text())
    assert [row["model"] for row in metrics] == ["this network", "most frequent class"]
    assert metrics[0]["accuracy in %"] == f"{100 * best.test_accuracy:.2f}"
    # The rows with the worst answers are those of the file.
    lines = data.read_text().splitlines()
    for row in table_rows((out / "tables" / "mistakes.md").read_text()):
        assert lines[int(row["row"])].endswith(f",{row['target']}")


@pytest.mark.process
def test_a_killed_cross_validation_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    data = csv(tmp_path, 3000)
    argv = [sys.executable, "-m", "fastmlp.train", "--data", data, "--target", "income", "--folds", "3", "--seeds", "2",
            "--epochs", "60", "--patience", "60", "--hidden", "64", "--matmul", "packed", "--jobs", "2"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"

    def begin(out: Path) -> "subprocess.Popen[bytes]":
        words = [*map(str, argv), "--out", str(out)]
        return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert begin(undisturbed).wait(200) == 0
    store = killed / "runs.jsonl"
    first = begin(killed)
    while first.poll() is None and not (store.exists() and store.stat().st_size):
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    assert first.wait(60) == -signal.SIGKILL
    before = len(store.read_text().splitlines())
    assert 0 < before < 6
    assert begin(killed).wait(200) == 0
    assert len(store.read_text().splitlines()) == 6  # what was done is not done again
    assert [one.weights_sha256 for one in results(killed)] == [one.weights_sha256 for one in results(undisturbed)]
    assert [one.test_metrics for one in results(killed)] == [one.test_metrics for one in results(undisturbed)]
    assert not (killed / ".work").exists()
