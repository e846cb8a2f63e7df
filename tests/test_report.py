"""The page of a sweep: every figure is there, a real browser shows all of it, and it needs nothing else."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from fastmlp.report import __main__ as report
from fastmlp.runs.results import load_results
from fastmlp.sweep.store import Store
from fastmlp.train import main

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
    axes = ["--grid", "lr=0.001,0.01", "batch_size=256,1024"]
    assert main([*SMALL, *axes, "--normalize", "image", "--out", str(folder)]) == 0
    assert report.main([str(folder)]) == 0
    return folder


def figures(folder):
    return {path.name for path in (folder / "figures").iterdir()}


def test_each_figure_is_there_in_both_forms(table_sweep):
    runs = load_results(table_sweep / "results.json")[1]
    names = ["times", "all-loss", "all-accuracy", "confusion", "mistakes", "weights", "classes-coarse"]
    names += ["splits", "counts-coarse"]
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


@pytest.mark.parametrize("name", ["table_sweep", "grid_sweep"])
def test_each_figure_has_a_form_for_phones_with_words_that_can_be_read(name, request):
    html = (request.getfixturevalue(name) / "report.html").read_text(encoding="utf-8")
    shown = re.findall(r"<figure>.*?</figure>", html, flags=re.DOTALL)
    assert len(shown) == len(figures(request.getfixturevalue(name))) // 2
    for one in shown:
        forms = re.findall(r'<div class="(wide|narrow|gallery)"', one)
        assert forms in (["wide", "narrow"], ["gallery"])
        drawings = re.findall(r'viewBox="0 0 ([\d.]+) .*?</svg>', one, flags=re.DOTALL)
        sizes = [re.findall(r"font(?:-size)?: ([\d.]+)px", svg) for svg in re.findall(r"<svg.*?</svg>", one, re.DOTALL)]
        for pixels, width, points in zip((46 * 16 - 32, 400 - 32), drawings, sizes, strict=False):
            assert min(map(float, points)) * min(1.8, pixels / float(width)) >= 9


@pytest.mark.parametrize("name", ["table_sweep", "grid_sweep"])
def test_the_index_tells_where_each_of_the_reports_figures_is(name, request):
    html = (request.getfixturevalue(name) / "report.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr><td>(\d+)</td><td>([^<]+)</td><td>(.+?)</td></tr>", html)
    assert [int(number) for number, *_ in rows] == list(range(1, 27))
    ids = set(re.findall(r'\sid="([^"]+)"', html))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= ids
    linked = {int(number) for number, _, where in rows if "<a href=" in where}
    assert linked == {1, 2, 3, 4, 5, 6, 7, 26} | ({13} if name == "grid_sweep" else set())


def test_captions_and_tables_say_what_is_shown(table_sweep, grid_sweep):
    html = (table_sweep / "report.html").read_text(encoding="utf-8")
    assert "4 of 4 hidden units" in html
    assert html.count("64-16-12-5 tanh") == 3  # over both tables of gradients too
    html = (grid_sweep / "report.html").read_text(encoding="utf-8")
    assert "Each line is a run" in html
    assert "the bar is the mean of all runs with that value" in html
    assert "All candidates" not in html
    assert "64-16-12-5 tanh" in (grid_sweep / "tables" / "gradients.md").read_text(encoding="utf-8")


def check_drawn(folder, width, tmp_path):
    """A browser of this width, in pixels, draws all figures of a folder's page whole, with words that can be read."""
    copied = shutil.copytree(folder, tmp_path / "copy")
    page = copied / "report.html"
    # The page has no script of its own: this one, added to the copy, writes down what the browser made of it.
    look = """<script>
    const images = [...document.querySelectorAll("image, img")];
    const source = image => image.src ?? image.href.baseVal;
    const copies = images.map(image => Object.assign(new Image(), {src: source(image)}));  // "load" awaits them
    addEventListener("load", () => {
      document.querySelectorAll("details").forEach(d => d.open = true);
      const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      const all = [...document.querySelectorAll("figure svg, figure .gallery")];
      const shown = all.filter(s => s.getClientRects().length);
      const box = s => s.getBoundingClientRect();
      const flat = shown.filter(s => box(s).height < 50 || box(s).right > innerWidth);
      const bad = images.filter((one, i) => !copies[i].naturalWidth);
      const outside = shown.flatMap(s => [...s.querySelectorAll("text")].filter(
        t => box(t).left < box(s).left - 1 || box(t).right > box(s).right + 1));
      const small = shown.filter(s => s.viewBox).flatMap(s => [...s.querySelectorAll("text")].filter(
        t => parseFloat(getComputedStyle(t).fontSize) * box(s).width / s.viewBox.baseVal.width < 9));
      document.body.dataset.found = [shown, flat, bad, outside, small].map(some => some.length).concat(wide);
    });</script>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", look + "</body>"), encoding="utf-8")
    command = [str(BROWSER), *ALONE, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0"]
    command += [f"--window-size={width},800", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    count, *faults = map(int, re.findall(r'data-found="([\d,-]+)"', done.stdout)[0].split(","))
    assert count == len(figures(copied)) // 2
    assert faults == [0, 0, 0, 0, 0]  # flat or cut, not decoded, words outside, words too small, the page too wide
    assert "CONSOLE" not in done.stderr


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.parametrize("width", [400, 760, 1280])
@pytest.mark.parametrize("name", ["table_sweep", "grid_sweep"])
def test_a_browser_draws_all_of_it_from_a_copied_folder(name, width, request, tmp_path):
    check_drawn(request.getfixturevalue(name), width, tmp_path)


@pytest.mark.usefixtures("undrawn")
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


@pytest.mark.usefixtures("undrawn")
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


def test_each_file_of_a_figure_says_what_it_shows_and_of_which_runs(table_sweep):
    for path in (table_sweep / "figures").glob("*.svg"):
        words = " ".join(" ".join(ET.fromstring(path.read_text(encoding="utf-8")).itertext()).split())  # noqa: S314
        if path.name.startswith(("classes", "counts", "splits")):
            assert words.endswith("embedded.")  # what is of the data depends on no run
        else:
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


@pytest.mark.usefixtures("undrawn")
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


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_can_end_with_its_page(tmp_path, capsys):
    assert main([*SMALL, "--normalize", "image", "--out", str(tmp_path), "--report"]) == 0
    assert (tmp_path / "report.html").exists()
    assert "report =" not in (tmp_path / "sweep.toml").read_text(encoding="utf-8")
    assert main([*SMALL, "--report"]) == 2
    assert "give --out DIR too" in " ".join(capsys.readouterr().err.split())
