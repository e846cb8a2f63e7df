"""The page of a sweep: every figure is there, a real browser shows all of it, and it needs nothing else."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from fastmlp import report
from fastmlp.cli import main
from fastmlp.results import load_results
from fastmlp.sweep.store import Store

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SMALL = ["--dataset", "embedded", "--layers", "3072,4,20", "--epochs", "3", "--workers", "threads", "--quiet"]
# Of a browser that is not to talk to anybody; --no-sandbox as tests may run as root.
ALONE = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
ALONE += ["--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def table_sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    assert main([*SMALL, "--seeds", "2", "--out", str(folder)]) == 0
    assert report.main([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def grid_sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    axes = ["--grid", "lr=0.001,0.01", "batch_size=256,1024", "weight_decay=0,0.01"]
    assert main([*SMALL, *axes, "--normalize", "image", "--out", str(folder)]) == 0
    assert report.main([str(folder)]) == 0
    return folder


def figures(folder):
    return {path.name for path in (folder / "figures").iterdir()}


def test_each_figure_is_there_in_both_forms(table_sweep):
    runs = load_results(table_sweep / "results.json")[1]
    names = ["times", "all-loss", "all-accuracy", "confusion", "mistakes", "weights", "classes-coarse"]
    names += [f"curves-{run.run_id}" for run in runs]
    assert figures(table_sweep) == {f"{name}.{form}" for name in names for form in ("svg", "png")}
    for path in (table_sweep / "figures").iterdir():
        assert path.stat().st_size > 1000
        if path.suffix == ".svg":
            ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - our own file


def test_a_search_has_its_figures_too(grid_sweep):
    assert {"grid.svg", "effects.svg", "parallel.svg"} <= figures(grid_sweep)


@pytest.mark.parametrize("name", ["table_sweep", "grid_sweep"])
def test_the_page_needs_nothing_else(name, request):
    html = (request.getfixturevalue(name) / "report.html").read_text(encoding="utf-8")
    outside = re.findall(
        r"""(?:src|href)=["'](?!#|data:)[^"']*["']|url\((?!["']?#)[^)]*\)|<script|<link rel="style""", html
    )
    assert outside == []
    assert "seed 0" in html
    assert "fingerprint" in html
    assert "python -m fastmlp.reproduce . " in html
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))  # one figure's clip path must not serve another


@pytest.mark.process
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.parametrize("name", ["table_sweep", "grid_sweep"])
def test_a_browser_draws_all_of_it_from_a_copied_folder(name, request, tmp_path):
    copied = shutil.copytree(request.getfixturevalue(name), tmp_path / "copy")
    page = copied / "report.html"
    # The page has no script of its own: this one, added to the copy, writes down what the browser made of it.
    look = """<script>
    const images = [...document.querySelectorAll("image")];
    const copies = images.map(image => Object.assign(new Image(), {src: image.href.baseVal}));  // "load" awaits them
    addEventListener("load", () => {
      document.querySelectorAll("details").forEach(d => d.open = true);
      const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      const flat = [...document.querySelectorAll("figure svg")].filter(s => s.getBoundingClientRect().height < 50);
      const bad = images.filter((one, i) => one.getBBox().width < 1 || !copies[i].naturalWidth);
      document.body.dataset.found = [document.querySelectorAll("figure svg").length, flat.length, bad.length, wide];
    });</script>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", look + "</body>"), encoding="utf-8")
    command = [str(BROWSER), *ALONE, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0"]
    command += ["--window-size=400,800", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    count, flat, unseen, too_wide = map(int, re.findall(r'data-found="([\d,-]+)"', done.stdout)[0].split(","))
    assert count == len(figures(copied)) // 2
    assert (flat, unseen, too_wide) == (0, 0, 0)
    assert "CONSOLE" not in done.stderr


def test_a_sweep_that_is_half_done_has_its_page(table_sweep, tmp_path):
    copied = shutil.copytree(table_sweep, tmp_path / "half")
    (copied / "report.html").unlink()
    shutil.rmtree(copied / "models")
    [first, second, *_] = load_results(copied / "results.json")[1]
    (copied / "runs.jsonl").unlink()
    store = Store(copied / "runs.jsonl")
    store.append(first)
    store.append(replace(second, status="interrupted", test_accuracy=float("nan"), test_loss=float("nan")))
    with (copied / "runs.jsonl").open("ab") as file:
        file.write(b'{"length": 12')  # a line that is being written
    before = (copied / "runs.jsonl").read_bytes()
    assert report.main([str(copied)]) == 0
    html = (copied / "report.html").read_text(encoding="utf-8")
    assert "Not done: 1 of 2 runs" in html
    assert "No network is saved" in html
    assert (copied / "runs.jsonl").read_bytes() == before


def test_a_folder_that_lost_a_part_is_told(table_sweep, tmp_path, capsys):
    copied = shutil.copytree(table_sweep, tmp_path / "lost")
    for path in (copied / "models").iterdir():
        path.write_bytes(path.read_bytes()[:999])
    assert report.main([str(copied)]) == 0
    assert "The best network's figures are left out" in " ".join(capsys.readouterr().err.split())
    (copied / "rivals.json").write_text("{}")
    assert report.main([str(copied)]) == 2
    assert "rivals.json cannot be read" in " ".join(capsys.readouterr().err.split())
    (copied / "results.json").unlink()
    assert report.main([str(copied)]) == 2
    assert "is not a results file" in " ".join(capsys.readouterr().err.split())


def test_each_file_of_a_figure_says_what_it_shows(table_sweep):
    for path in (table_sweep / "figures").glob("*.svg"):
        words = " ".join(" ".join(ET.fromstring(path.read_text(encoding="utf-8")).itertext()).split())  # noqa: S314
        assert re.search(r"embedded, seed (0|1|0, 1), float32\.", words)
        assert "seed 0, 1" not in words or not path.name.startswith(("curves", "confusion"))


def test_the_tables_are_files_of_three_forms(table_sweep):
    names = ["classes-coarse", "splits", "normalisation", "gradients", "directions"]
    there = {path.name for path in (table_sweep / "tables").iterdir()}
    assert there == {f"{name}{form}" for name in names for form in (".md", ".csv", ".json")}
    rows = json.loads((table_sweep / "tables" / "splits.json").read_text(encoding="utf-8"))
    [last] = (table_sweep / "tables" / "splits.csv").read_text(encoding="utf-8").splitlines()[-1:]
    assert last == ",".join(rows[-1].values())
    assert sum(int(row["images"]) for row in rows[:-1]) == int(rows[-1]["images"])


def test_data_that_are_not_found_are_told(table_sweep, tmp_path, capsys):
    copied = shutil.copytree(table_sweep, tmp_path / "other")
    results = copied / "results.json"
    fingerprint = load_results(results)[0]["dataset"]["fingerprint"]
    results.write_text(results.read_text(encoding="utf-8").replace(fingerprint, "f" * 16), encoding="utf-8")
    (copied / "report.html").unlink()  # which was made with the data: a poorer one is refused
    capsys.readouterr()
    assert report.main([str(copied)]) == 0
    assert "The confusion matrix and the mistakes are left out" in " ".join(capsys.readouterr().err.split())


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert report.main([str(tmp_path)]) == 2
    assert report.main([str(tmp_path / "none")]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "holds no run yet" in told
    assert "is no folder" in told


def test_a_sweep_can_end_with_its_page(tmp_path, capsys):
    assert main([*SMALL, "--normalize", "image", "--out", str(tmp_path), "--report"]) == 0
    assert (tmp_path / "report.html").exists()
    assert "report =" not in (tmp_path / "sweep.toml").read_text(encoding="utf-8")
    assert main([*SMALL, "--report"]) == 2
    assert "give --out DIR too" in " ".join(capsys.readouterr().err.split())
