"""A page that is made again finds the data where they lay, is never poorer than before, and leaves no figures."""

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastmlp import reproduce, train
from fastmlp.data import Dataset, load, load_dataset
from fastmlp.errors import MissingDataError, OutputError
from fastmlp.report import __main__ as report
from fastmlp.report.make import make_report
from fastmlp.report.record import RECORD, write_files
from fastmlp.runs.results import load_results
from samples import dataset
from undrawn import undrawn

pytestmark = pytest.mark.usefixtures("undrawn")
SMALL = [
    "--layers",
    "3072,4,20",
    "--epochs",
    "1",
    "--workers",
    "threads",
    "--matmul",
    "packed",
    "--normalize",
    "image",
    "--threads",
    "1",
]


@contextmanager
def only_data_in(base: Path) -> Iterator[dict[str, Dataset]]:
    """Work in a folder whose data/ holds a "cifar10", under any name that leads there; the machine has nothing else."""
    held = {str(base / "data"): dataset("cifar10")}

    def load_from(name, data_dir=None, **_):
        if name == "embedded":
            return load_dataset(name)
        place = str((base / data_dir).resolve()) if data_dir else ""
        if place not in held:
            raise MissingDataError(f"--data-dir {data_dir} does not hold {name}.")
        return held[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base)
        for module in ("cli.sweep", "sweep.source"):
            patch.setattr(f"fastmlp.{module}.load_dataset", load_from)
        patch.setattr(load, "fetch", None)
        yield held


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Give the folder of a sweep with its page, for copies."""
    base = tmp_path_factory.mktemp("made")
    out = base / "runs" / "a"
    with only_data_in(base), undrawn():
        assert train.main([*SMALL, "--dataset", "cifar10", "--data-dir", "data", "--out", str(out), "--report"]) == 0
    return out


@pytest.fixture
def places(tmp_path) -> Iterator[dict[str, Dataset]]:
    with only_data_in(tmp_path) as held:
        yield held


@pytest.fixture
def sweep(places, made, tmp_path):  # noqa: ARG001 - the data of the sweep
    return shutil.copytree(made, tmp_path / "runs" / "a")


def said(capsys) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_the_place_of_the_data_is_kept_and_no_path_of_the_machine(sweep, tmp_path) -> None:
    kept = tomllib.loads((sweep / "sweep.toml").read_text(encoding="utf-8"))
    assert (kept["dataset"], kept["data_dir"]) == ("cifar10", "../../data")
    assert kept["fingerprint"] == load_results(sweep / "results.json")[0]["dataset"]["fingerprint"]
    for name in ("sweep.toml", "results.json", "report.html", "table.md", "runs.jsonl"):
        text = (sweep / name).read_text(encoding="utf-8").replace(f"--config {sweep / 'sweep.toml'}", "")
        assert str(tmp_path) not in text, name


def test_the_commands_of_the_page_work_in_its_folder_alone(sweep, monkeypatch, capsys) -> None:
    monkeypatch.chdir(sweep)
    [run] = load_results(sweep / "results.json")[1]
    html = (sweep / "report.html").read_text(encoding="utf-8")
    for command in ("fastmlp.train --config sweep.toml --out again", f"reproduce . {run.run_id}", "fastmlp.report ."):
        assert command in html
    assert train.main(["--config", "sweep.toml", "--out", "again", "--workers", "threads"]) == 0
    assert load_results(sweep / "again" / "results.json")[1][0].weights_sha256 == run.weights_sha256
    assert tomllib.loads((sweep / "again" / "sweep.toml").read_text())["data_dir"] == "../../../data"
    assert reproduce.main([".", run.run_id]) == 0
    assert report.main(["."]) == 0
    assert "left out" not in said(capsys)


def test_a_poorer_page_is_refused(sweep, places, capsys) -> None:
    before = {path: path.read_bytes() for path in sweep.rglob("*") if path.is_file() and ".work" not in path.parts}
    places.clear()
    assert report.main([str(sweep)]) == 2
    told = said(capsys)
    assert "was made with the data, and a new one would be poorer" in told
    assert "--data-dir" in told
    assert {path: path.read_bytes() for path in before} == before
    (sweep / ".report.json").unlink()  # as versions before this one left it
    assert report.main([str(sweep)]) == 2
    (sweep / "report.html").unlink()
    assert report.main([str(sweep)]) == 0


def test_data_of_another_fingerprint_are_refused(sweep, places, tmp_path, capsys) -> None:
    [run] = load_results(sweep / "results.json")[1]
    places[str(tmp_path / "other")] = dataset("cifar10", images=100)
    for command in (report.main, lambda words: reproduce.main([*words, run.run_id])):
        assert command([str(sweep), "--data-dir", "other"]) == 2
        assert "the sweep's had" in said(capsys)
    again = ["--config", str(sweep / "sweep.toml"), "--out", str(tmp_path / "b")]
    assert train.main([*again, "--data-dir", "other"]) == 2
    assert "or give --fingerprint any" in said(capsys)
    assert train.main([*again, "--data-dir", "other", "--fingerprint", "any", "--workers", "threads"]) == 0


def test_a_place_that_is_named_must_hold_the_data(sweep, capsys) -> None:
    [run] = load_results(sweep / "results.json")[1]
    for command in (report.main, lambda words: reproduce.main([*words, run.run_id])):
        assert command([str(sweep), "--data-dir", "typo"]) == 2
        assert "--data-dir typo does not hold cifar10" in said(capsys)


def test_data_that_are_gone_are_asked_for(sweep, places, capsys) -> None:
    [run] = load_results(sweep / "results.json")[1]
    places.clear()
    assert reproduce.main([str(sweep), run.run_id]) == 2
    told = said(capsys)
    assert "are not where they were" in told
    assert f"{sweep.parent.parent / 'data'}, nor in the cache. --data-dir names the place" in told


def test_a_copied_sweep_finds_its_data_in_the_cache(sweep, places, tmp_path) -> None:
    [run] = load_results(sweep / "results.json")[1]
    copied = shutil.copytree(sweep, tmp_path / "far" / "away" / "b")
    places[""] = places.pop(str(tmp_path / "data"))
    assert reproduce.main([str(copied), run.run_id]) == 0


def test_figures_that_are_no_longer_made_go_and_a_users_own_stay(sweep) -> None:
    figures = sweep / "figures"
    record = json.loads((sweep / ".report.json").read_text())
    made = (figures / "times.svg").read_bytes()
    for name, content in (("stale.svg", made), ("edited.svg", made + b"mine"), ("own.svg", made)):
        (figures / name).write_bytes(content)
    record["files"] |= {f"figures/{name}": record["files"]["figures/times.svg"] for name in ("stale.svg", "edited.svg")}
    (sweep / ".report.json").write_text(json.dumps(record))
    assert report.main([str(sweep)]) == 0
    assert not (figures / "stale.svg").exists()
    assert {"edited.svg", "own.svg", "times.svg"} <= {path.name for path in figures.iterdir()}


def test_the_page_lists_runs_in_the_plans_order_and_loses_none(sweep) -> None:
    lines = (sweep / "runs.jsonl").read_bytes()
    assert train.main([*SMALL, "--dataset", "cifar10", "--data-dir", "data", "--out", str(sweep), "--seeds", "3"]) == 0
    first, *later = (sweep / "runs.jsonl").read_bytes().splitlines(keepends=True)
    assert first == lines
    (sweep / "runs.jsonl").write_bytes(b"".join([*reversed(later), first]))  # as they might have ended
    assert report.main([str(sweep)]) == 0
    assert [run.seed for run in load_results(sweep / "results.json")[1]] == [0, 1, 2]


@pytest.mark.skipif(os.name != "posix", reason="links may be refused")
def test_no_page_is_written_through_a_link(sweep, tmp_path) -> None:
    victim = tmp_path / "victim"
    shutil.move(sweep / "figures", victim)
    before = {path: path.stat().st_mtime_ns for path in victim.iterdir()}
    (sweep / "figures").symlink_to(victim)
    with pytest.raises(OutputError, match="figures is a symbolic link, and nothing is written"):
        make_report(sweep)
    assert {path: path.stat().st_mtime_ns for path in victim.iterdir()} == before


def test_a_record_that_was_made_up_removes_nothing_but_figures_and_tables(tmp_path) -> None:
    names = ["runs.jsonl", "models/a.npz", "figures/deep/a.svg", "figures/../b", "tables/a.md"]
    digest = hashlib.sha256(b"kept").hexdigest()[:16]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"kept")
    (tmp_path / RECORD).write_text(json.dumps({"with_data": False, "files": dict.fromkeys(names, digest)}))
    write_files(tmp_path, {}, with_data=False)
    assert [name for name in names if not (tmp_path / name).exists()] == ["tables/a.md"]
