"""The page of sweeps on own data of each kind: it says what is so of them, and nothing of CIFAR."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastmlp.cli.progress import status
from fastmlp.errors import ConfigError
from fastmlp.report import __main__ as report
from fastmlp.report.make import make_report
from fastmlp.report.numbers import writer
from fastmlp.report.own import own_table
from fastmlp.report.plots import curves, search
from fastmlp.report.plots.style import styled
from fastmlp.report.score import score_of
from fastmlp.report.sweep import read
from fastmlp.report.tables import results_table, search_table
from fastmlp.report.words import outcome
from fastmlp.train import main as train
from hostile import check_html, check_markdown, check_svg
from samples import ENVIRONMENT, config, result
from test_own_command import UNDROPPED
from test_report import BROWSER, check_drawn

QUICK = ["--epochs", "3", "--threads", "1", "--jobs", "1", "--workers", "threads", "--matmul", "packed", "--quiet"]
ROWS = 300
USED = ("age", "job", "income")
KINDS = ["classes", "labels", "numbers", "pictures"]


def write_table(path: Path) -> None:
    """Write a table of people, with missing values and a name that Markdown and HTML have marks for."""
    rng = np.random.default_rng(1)
    age, income = rng.integers(18, 80, ROWS), rng.normal(3e4, 8e3, ROWS).round(2)
    job = rng.choice(["clerk", "<b>|farmer|*", "driver_of_trucks"], ROWS)
    points = (age > 40) + (income > 3e4) + 0.3 * rng.standard_normal(ROWS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*USED, "rich", "a", "b", "price"])
        for i in range(ROWS):
            given = "" if i % 11 == 0 else income[i]
            rich = "yes" if points[i] > 1 else "no"
            writer.writerow([age[i], job[i], given, rich, int(age[i] > 40), int(income[i] > 3e4), 1e6 * points[i]])


def write_pictures(folder: Path) -> None:
    rng = np.random.default_rng(2)
    for k, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(0, 150, (9, 9, 3), dtype=np.uint8)
            pixels[4 * k : 4 * k + 4] += 60
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str], Path]:
    """Return what gives the folder of a sweep of a kind, with its page, beside its data."""
    base = tmp_path_factory.mktemp("own")
    write_table(base / "people.csv")
    write_pictures(base / "pets")
    table = ["--data", str(base / "people.csv"), "--columns"]
    options = {
        "classes": [*table, "a=drop,b=drop,price=drop", "--target", "rich", "--seeds", "2"],
        "labels": [*table, "rich=drop,price=drop", "--target", "a", "b"],
        "numbers": [
            *table,
            "rich=drop,a=drop,b=drop",
            "--target",
            "price",
            "--grid",
            "lr=1e-4,1e-2",
            "batch_size=16,64",
            *UNDROPPED,
        ],
        "pictures": ["--data", str(base / "pets"), "--image-size", "8"],
    }

    def sweep(kind: str) -> Path:
        out = base / kind
        if not out.exists():
            assert train([*QUICK, *options[kind], "--out", str(out), "--report"]) == 0
        return out

    return sweep


def words_of(folder: Path) -> str:
    """Return what a reader sees of a page, of its tables and of its figures."""
    html = (folder / "report.html").read_text(encoding="utf-8")
    seen = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join([seen, (folder / "table.md").read_text(encoding="utf-8")])


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.parametrize("width", [500, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_draws_all_of_it(kind, width, made, tmp_path):
    check_drawn(made(kind), width, tmp_path)


def rows_of(folder: Path, table: str) -> list[dict[str, str]]:
    return json.loads((folder / "tables" / f"{table}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_on_the_page_is_of_cifar(kind, made):
    words = words_of(made(kind))
    assert not re.search(r"CIFAR|the report\b|superclass|e_ReLU|gradients", words)
    if kind != "pictures":
        assert not re.search(r"\bimages?\b|pixel", words)
        assert "rows/s" in words
    if kind == "numbers":
        assert not re.search(r"accurac", words)
        assert "Validation R2 of all runs" in words
    if kind == "labels":
        assert "subset accuracy" in words
        assert not re.search(r"(?<!subset )(?<!Subset )accuracy", words)


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it_can_be_shown_and_pasted(kind, made):
    folder = made(kind)
    check_html((folder / "report.html").read_text(encoding="utf-8"))
    for path in (folder / "tables").glob("*.md"):
        check_markdown(path.read_text(encoding="utf-8"))
    for path in (folder / "figures").glob("*.svg"):
        check_svg(path.read_text(encoding="utf-8"))


FIGURES = {
    "classes": {"confusion", "roc", "calibration", "importance", "counts", "all-accuracy"},
    "labels": {"roc", "calibration", "importance", "all-subset-accuracy"},
    "numbers": {"residuals", "importance", "all-R2", "grid", "effects", "parallel"},
    "pictures": {"confusion", "roc", "calibration", "counts", "all-accuracy", "mistakes", "classes", "weights"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_figures(kind, made):
    there = {path.stem for path in (made(kind) / "figures").iterdir() if not path.stem.startswith("curves-")}
    lacks = FIGURES[kind] - there
    assert lacks <= {"mistakes"}  # of which a network may make none
    assert there - FIGURES[kind] == {"all-loss"} | ({"times"} if kind in ("classes", "numbers") else set())


def test_metrics_stand_beside_those_of_simple_models(made):
    names = [row["model"] for row in rows_of(made("classes"), "metrics")]
    assert names == ["this network", "most frequent class"]
    [network, constant] = rows_of(made("numbers"), "metrics")
    assert constant["model"] == "mean"
    assert float(network["R2"]) > float(constant["R2"])
    assert {"RMSE", "MAE", "R2"} < set(network)
    assert [row["label"] for row in rows_of(made("labels"), "metrics-label")] == ["a", "b"]
    assert "mean |" in (made("numbers") / "table.md").read_text(encoding="utf-8")


def test_baselines_are_trained_where_they_are_asked_for(made, tmp_path, request):
    copied = moved(made("classes"), tmp_path)
    request.getfixturevalue("undrawn")  # after that page, which others look at
    assert len(rows_of(copied, "metrics")) == 2
    assert report.main([str(copied), "--baselines"]) == 0
    assert len(rows_of(copied, "metrics")) == 4


def test_importance_is_that_of_the_tables_columns(made):
    for kind in ("classes", "labels", "numbers"):
        assert {row["column"] for row in rows_of(made(kind), "importance")} == set(USED)
        assert [row["column"] for row in rows_of(made(kind), "columns")] == list(USED)


def test_the_worst_rows_are_those_of_the_file(made):
    folder = made("classes")
    with (folder.parent / "people.csv").open(newline="", encoding="utf-8") as file:
        people = list(csv.DictReader(file))
    for row in rows_of(folder, "mistakes"):
        assert people[int(row["row"]) - 1]["rich"] == row["target"] != row["answer"]
    for row in rows_of(made("numbers"), "mistakes"):
        assert float(people[int(row["row"]) - 1]["price"]) == pytest.approx(float(row["target"]), rel=1e-5)


def test_the_split_is_told(made):
    assert "300 rows, split at random" in words_of(made("numbers"))
    assert "192 for training, 48 for validation, 60 for test" in words_of(made("classes"))


def moved(folder: Path, to: Path) -> Path:
    """Return a copy of a sweep's folder beside a copy of its data."""
    shutil.copytree(folder.parent / "pets", to / "pets")
    shutil.copy(folder.parent / "people.csv", to)
    return shutil.copytree(folder, to / folder.name)


@pytest.mark.parametrize("kind", ["classes", "pictures"])
def test_data_that_have_moved_are_told_and_found_where_they_are_now(kind, made, tmp_path, capsys, request):
    folder = moved(made(kind), tmp_path)
    request.getfixturevalue("undrawn")  # after that page, which others look at
    assert report.main([str(folder)]) == 0  # the place is from the folder's own
    before = (folder / "report.html").read_bytes(), (folder / "table.md").read_bytes()
    (tmp_path / "new").mkdir()
    name = {"classes": "people.csv", "pictures": "pets"}[kind]
    (tmp_path / name).rename(tmp_path / "new" / name)
    capsys.readouterr()
    assert report.main([str(folder)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "was made with the data" in told
    assert f"are not at {tmp_path / name}" in told
    for place in (tmp_path / "new", tmp_path / "new" / name):
        assert report.main([str(folder), "--data-dir", str(place)]) == 0
        assert ((folder / "report.html").read_bytes(), (folder / "table.md").read_bytes()) == before
    (folder / "report.html").unlink()
    assert report.main([str(folder)]) == 0
    words = words_of(folder)
    assert "The metrics and figures of the best network are left out: The data of the sweep" in words
    assert (folder / "table.md").read_bytes() == before[1]


def test_data_that_have_changed_are_refused(made, tmp_path, capsys):
    folder = moved(made("classes"), tmp_path)
    path = tmp_path / "people.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("clerk", "clerc"), encoding="utf-8")
    assert report.main([str(folder), "--data-dir", str(path)]) == 2
    assert "have changed since the sweep" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ConfigError, match="have changed since"):
        make_report(folder)


def test_a_sweep_knows_its_data_again(made):
    sweep = read(made("classes"))
    assert sweep.is_own
    assert sweep.understood is not None
    assert len(sweep.understood.numbers) == 60


OWN = {"dataset": "mine", "labels": "y", "normalize": "standard", "layers": (3, 4, 1), "loss": "squared-error"}


def test_scores_are_called_by_the_kind_of_target():
    assert score_of(config()).heading == "accuracy in %"
    assert score_of(config(layers=(3, 4, 2), loss="logistic")).heading == "subset accuracy in %"
    assert score_of(config(layers=(3, 4, 1), loss="logistic")).heading == "accuracy in %"
    assert score_of(config(**OWN)).heading == "R2"
    assert score_of(config(**OWN | {"loss": "poisson"})).heading == "D2"
    assert outcome(result(0.91, **OWN)).startswith("test R2 0.9100, best epoch 2 of 3, 6.2 s, 412,346 rows/s")
    assert "validation R2 0.3350" in outcome(result(0.91, status="pruned", **OWN))
    assert outcome(result()).startswith("test accuracy 34.20 %, ")
    assert score_of(config(**OWN)).words(-1.7e308) == "R2 -1.7e+308"


def test_tables_of_own_data_without_metrics_have_no_row_of_the_report():
    table = results_table([result(0.9, **OWN), result(0.7, seed=1, **OWN)], ENVIRONMENT, 1)
    assert table.columns[:4] == ["experiment", "network", "R2", "loss"]
    assert table.rows[0][2] == "0.8000 ± 0.1414"
    assert not any("report" in fact or "image" in fact for fact in table.facts)
    table = search_table([result(nan, **OWN), result(0.7, lr=0.1, **OWN)], None, ENVIRONMENT)
    assert table.rows[0][3] == "0.3350 ± 0.0000"
    assert "Figures: R2 (1 is exact" in table.facts[1]


def test_running_rows_are_called_rows():
    row = np.array([1, 500, 0, 990.0, 0.5, 0.25, 0])
    assert status(config(**OWN), row, 1000.0).endswith("loss 0.5000, validation 0.2500, 50 rows/s")
    assert status(config(), row, 1000.0).endswith("50 images/s")


def test_a_cut_is_told_only_where_there_is_one():
    score = score_of(config(**OWN))
    assert score.about_floor([0.3, -0.9]) == ""
    assert score.about_floor([0.3, -1.1]) == " An R2 below -1 is drawn as -1."
    assert score_of(config()).about_floor([0.0, 0.4]) == ""
    assert not curves.is_cut(result(0.9, **OWN))


def test_scores_far_below_zero_do_not_flatten_the_others():
    good, bad = result(0.9, **OWN), result(-1e5, lr=0.1, batch_size=32, **OWN)
    bad = replace(bad, val_accuracy=-1e5, history=bad.history | {"val_accuracy": [-1e5, -3.0, nan]})
    runs = [good, bad]
    assert list(curves.limits_of(runs, "loss").values()) == [1.0]
    assert "below -1 or no longer a number, a curve leaves the figure" in curves.about_cut(runs, "accuracy")
    with styled():
        [axes, *_] = curves.experiments_together(runs, "accuracy").axes
        assert axes.get_ylim()[0] > -2
        [axes, *_] = search.axis_effects(runs, [run.config for run in runs]).axes
        assert axes.get_ylabel() == "validation R2"
        assert axes.get_ylim()[0] > -2


@pytest.mark.parametrize(
    ("values", "value", "text"),
    [
        ([1000.0, 3000.0], 1234.56, "1,235"),
        ([0.1, 0.7], 0.25, "0.2500"),
        ([25000, 47000.5], -7221.77, "-7,222"),
        ([3.0, 3.0], 3.0, "3.000"),
        ([0.0, 0.0], 0.0, "0"),
        ([1e-9, 2e-9], 1.23456e-9, "1.2346e-09"),
        ([1e300, -1e308], 1e299, "1e+299"),
        ([5.0, 1.0], -0.00001, "0.000"),
    ],
)
def test_numbers_of_a_unit_have_as_many_decimals(values, value, text):
    assert writer(values)(value) == text


def test_a_deviation_has_no_more_digits_than_its_mean():
    runs = [replace(result(0.9, seed=seed, **OWN), test_metrics={"RMSE": value, "MAE": 1e-7 * value, "R2": 0.5})
        for seed, value in enumerate((283.505, 301.375))]  # fmt: skip
    [row] = own_table("numbers", runs, [], ENVIRONMENT, "").rows
    assert row[2] == "292.44 ± 12.64"
    even = [replace(one, test_metrics={"RMSE": 300 + k, "MAE": 12345.6 + k, "R2": None}) for k, one in enumerate(runs)]
    [more] = own_table("numbers", even, [], ENVIRONMENT, "").rows
    assert more[2:5] == ["300.50 ± 0.71", "12346 ± 1", "-"]
    assert row[3].startswith("2.9244e-05 ± 1.26")
    assert row[4] == "0.5000 ± 0.0000"


def test_no_accuracy_above_all_of_it_is_on_a_scale():
    runs = [replace(result(lr=lr, batch_size=size), val_accuracy=0.982) for lr in (0.1, 0.2) for size in (8, 16)]
    with styled():
        for draw in (search.heat_map, search.axis_effects):
            figure = draw(runs, [run.config for run in runs])
            tops = [max(axes.get_ylim()) for axes in figure.axes if "accuracy" in axes.get_ylabel()]
            assert tops
            assert max(tops) <= 100.5
