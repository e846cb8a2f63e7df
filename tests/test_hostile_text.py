"""Names of classes, experiments, data sets and files, and texts of errors, through everything that shows them."""

import io
import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image
from rich.console import Console

from fastmlp import predict, reproduce, terminal
from fastmlp.cli.log import Log, logger
from fastmlp.cli.progress import Bar, Lines, Numbers
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.tables import class_table
from fastmlp.errors import ConfigError
from fastmlp.models import predictor
from fastmlp.models.file import load_model, save_model
from fastmlp.report.page import page
from fastmlp.report.paper import Paper
from fastmlp.report.plots import counts, curves, times
from fastmlp.report.plots.confusion import confusion
from fastmlp.report.plots.picture import Picture, drawn
from fastmlp.report.plots.style import styled
from fastmlp.report.sections import sections_of
from fastmlp.report.sections.results import results_of
from fastmlp.report.sweep import Sweep
from fastmlp.report.tables import plan_table, results_table, search_table
from fastmlp.runs.environment import environment
from fastmlp.runs.results import RunResult, failed_result, load_results
from fastmlp.sweep import run_sweep
from fastmlp.sweep.board import Board
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.file import write
from fastmlp.sweep.job import Job
from fastmlp.sweep.lock import held
from fastmlp.terminal import Compiling, print_table, say
from fastmlp.text import visible
from hostile import HOSTILE, TOGETHER, check_csv, check_html, check_markdown, check_shown, check_svg
from models import small_model
from samples import ENVIRONMENT, config, dataset, result

CLASSES = (*HOSTILE[:18], HOSTILE[22], "x" * 300)
ABOUT = ENVIRONMENT | {"cpu": TOGETHER, "dataset": ENVIRONMENT["dataset"] | {"name": TOGETHER, "source": TOGETHER}}


def data() -> Dataset:
    made = dataset(TOGETHER, kinds=("coarse",), images=60)
    labels = {"coarse": np.arange(60) % 20}
    names = {"coarse": CLASSES}
    return replace(made, source=TOGETHER, train_labels=labels, test_labels=labels, label_names=names)


def runs() -> list[RunResult]:
    ended = [result(experiment=text, dataset=TOGETHER, seed=i, layers=(3072, 4, 20)) for i, text in enumerate(HOSTILE)]
    return [*ended, failed_result(ended[0].config, "0" * 16, TOGETHER)]


@pytest.fixture(params=[False, True], ids=["plain", "terminal"])
def console(request: pytest.FixtureRequest) -> Console:
    """What a command writes to; on a terminal without colours, of which every control is one that a text brought."""
    return Console(file=io.StringIO(), force_terminal=request.param, width=120, color_system=None)


def said(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


def test_a_line_is_a_line_and_no_markup(console: Console) -> None:
    for text in HOSTILE:
        say(console, text)
    check_shown(said(console))
    assert said(console) == "".join(f"{visible(text)}\n" for text in HOSTILE)


def test_lines_of_runs_and_what_a_log_keeps_of_them(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "propagate", False)  # pytest-xdist cannot send what pytest would keep of it
    with Log() as log:
        log.begin(tmp_path / "log")
        lines = Lines(console, None, Numbers(99))
        for run in runs():
            lines.finish(run)
        lines.tell(TOGETHER)
        logger.info("python -m fastmlp.train %s", TOGETHER)  # as the command does with its arguments
    check_shown(said(console))
    kept = (tmp_path / "log").read_text(encoding="utf-8")
    check_shown(kept)
    assert len(kept.splitlines()) - 1 == len(said(console).splitlines()) == len(HOSTILE) + 2


def test_moving_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=5000, color_system=None, legacy_windows=False)
    drawn_lines = []
    bar = Bar(console, 9, Numbers(9))
    with bar:
        monkeypatch.setattr(bar._live, "update", lambda text, **_: drawn_lines.append(text.plain))
        board = Board.create(tmp_path / "board", len(HOSTILE))
        bar.look(board, [Job(config(experiment=text), "0" * 16, tmp_path, i) for i, text in enumerate(HOSTILE)])
    check_shown(drawn_lines[0])
    assert drawn_lines[0].count("\n") == len(HOSTILE)
    with Compiling(console).here(TOGETHER):
        pass
    assert "alert(1)" in said(console)
    assert "\x9b2J" not in said(console)
    assert "\x07" not in said(console)


def test_an_error_and_the_owner_of_a_lock(
    tmp_path: Path, console: Console, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: TOGETHER)
    with held(tmp_path), pytest.raises(ConfigError, match="is in use") as error, held(tmp_path):
        pass
    say(console, f"error: {terminal.in_words(error.value)}")
    check_shown(said(console))

    def fail(_: Call) -> Work:
        raise ConfigError(TOGETHER)

    assert Door("predict", predict.main.parser, lambda _: TOGETHER, fail)(["x", "y"]) == 2
    check_shown(capsys.readouterr().err)


def test_tables_and_files_of_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = runs()
    ended = some[:-1]
    configs = [run.config for run in ended]
    for table in (
        results_table(ended, ABOUT),
        search_table(ended, configs[:2], ABOUT),
        plan_table(configs, [1.0] * len(configs), 2),
        reproduce.compared(ended[0], replace(ended[1], weights_sha256=TOGETHER)),
        class_table(data(), "coarse"),
    ):
        print_table(table)
        rows = check_markdown(capsys.readouterr().out)
        assert len(rows) == len(table.rows) + 1
        check_csv(table.csv())
        assert len(json.loads(table.json())) == len(table.rows)
        console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
        console.print(*table.rich(100))
        check_shown(said(console))
    Derived(tmp_path, ABOUT).write(some, [results_table(ended, ABOUT)])
    check_markdown((tmp_path / "table.md").read_text(encoding="utf-8"))
    rows = check_csv((tmp_path / "table.csv").read_bytes().decode())
    assert len(rows) == len(some) + 1
    assert float(rows[1][rows[0].index("lr")]) == some[0].config.lr
    about, again = load_results(tmp_path / "results.json")
    assert [(run.experiment, run.error) for run in again] == [(run.experiment, run.error) for run in some]
    assert about == ABOUT


def test_a_sweep_file_can_be_read_again(tmp_path: Path) -> None:
    settings = {"lr": 0.5, "data_dir": tmp_path / "no\udcff", "grid": [TOGETHER.replace("\udcff\ud800", "")]}
    write(tmp_path / "sweep.toml", settings, {"data set": TOGETHER, "odd": "\x00"})
    text = (tmp_path / "sweep.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {"lr": 0.5, "grid": settings["grid"]}
    assert "data_dir = no\\udcff" in text
    check_shown(text.partition("\nlr")[0])


def test_what_a_model_says_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_model(layers=(3072, 4, len(HOSTILE)))
    save_model(tmp_path / "m.npz", replace(model, class_names=HOSTILE))
    assert load_model(tmp_path / "m.npz").class_names == HOSTILE
    names = ["=1+1|x", "a\nb\r\x1b[31m", "[red]$x$", "\u202egnp", "**b**"]
    for name in names:
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")
    (tmp_path / "bad\x1b[31m\n.png").write_bytes(b"no")
    arguments = [str(tmp_path / "m.npz"), str(tmp_path), "--top", "26"]
    assert predict.main(arguments) == 1
    told = capsys.readouterr()
    check_shown(told.err)
    rows = check_markdown(told.out)
    assert sorted(row[0] for row in rows[1:]) == sorted(visible(str(tmp_path / f"{name}.png")) for name in names)
    assert predict.main([*arguments, "--format", "csv"]) == 1
    rows = check_csv(capsys.readouterr().out)
    assert len(rows) == 1 + len(names)
    assert predict.main([*arguments, "--format", "json"]) == 1
    out = capsys.readouterr().out
    check_shown(out)
    answers = json.loads(out)
    assert sorted(one["source"] for one in answers) == sorted(str(tmp_path / f"{name}.png") for name in names)
    assert {one["class"] for one in answers[0]["top"]} == set(HOSTILE)
    table = predictor.class_table(predictor.Predictor(replace(model, class_names=HOSTILE)), data(), "coarse")
    check_markdown(table.markdown())


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep that was trained, by a program that gives data and names of its own."""
    folder, made = tmp_path_factory.mktemp("sweep"), data()
    names = [TOGETHER, HOSTILE[8], "_hidden"]
    usual = {"dataset": made.name, "layers": (3072, 4, 20), "epochs": 2}
    configs = [RunConfig(experiment=name, seed=i, **usual) for i, name in enumerate(names)]
    with ThreadPoolExecutor(1) as executor:
        ended = run_sweep(configs, made, executor=executor)
    assert [run.status for run in ended] == ["done"] * 3
    failed = replace(failed_result(replace(configs[0], seed=9), "0" * 16, TOGETHER), epochs=2,
        history=ended[0].history)  # fmt: skip
    (folder / "models").mkdir()
    model = small_model(layers=(3072, 4, 20))
    save_model(folder / "models" / f"{ended[0].run_id}.npz", replace(model, class_names=CLASSES))
    return Sweep(folder, [*ended, failed], environment(made), made, [*ended, failed])


def test_the_page_of_a_sweep(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, with the drawings themselves left to the next test: they take seconds."""

    def undrawn(name: str, heading: str, caption: str, make: object) -> Picture:  # noqa: ARG001 - as `drawn` is called
        return Picture(name, heading, caption, "", b"", b"")

    monkeypatch.setattr("fastmlp.report.paper.drawn", undrawn)
    told: list[str] = []
    with styled():
        paper = Paper(sweep, told.append)
        sections = sections_of(paper, results_of(paper))
    seen = check_html(page(TOGETHER, sections))
    words = "".join(seen.words).replace("_", " ")
    for text in (*CLASSES, *(run.experiment for run in sweep.every), sweep.every[-1].error):
        assert visible(text).replace("_", " ") in words
    ids = [value for _, name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for picture in paper.pictures:
        if picture.svg:
            check_svg(picture.svg.decode())
    for table in paper.tables.values():
        check_markdown(table.markdown())
        check_csv(table.csv())


def test_figures_draw_names_as_they_are(sweep: Sweep) -> None:
    """No mathtext, no warning for what a font lacks, well-formed, and no markup out of a name."""
    assert sweep.dataset is not None
    labels = sweep.dataset.test_labels["coarse"]
    makers = {
        "times": partial(times.accuracy_and_time, sweep.runs, "validation"),
        "together": partial(curves.experiments_together, sweep.runs, "loss"),
        "confusion": partial(confusion, labels, labels, sweep.dataset.label_names["coarse"]),
    }
    with styled():
        for name, make in makers.items():
            picture = drawn(name, TOGETHER, TOGETHER, make)
            assert Image.open(io.BytesIO(picture.png)).size[0] > 500
            words = check_svg(picture.svg.decode())
            seen = check_html(f"<figure>{picture.inline}</figure>")
            shown = HOSTILE[8] if name != "confusion" else HOSTILE[8].replace("_", " ")
            assert shown in words
            assert shown in "".join(seen.words)
            assert "#1c2430" in "".join(seen.words) or name != "times"


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac{1$", "\\$", "_hidden", "猫"])
def test_rivals_may_have_any_name(name: str) -> None:
    with styled():
        figure = times.rivals([{"name": name, "seconds": [1.0, 2.0], "val_accuracy": [0.1, 0.2]}])
        figure.savefig(io.BytesIO(), format="png")
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text().strip() for text in legend.get_texts()] == [name]


def test_two_classes_of_one_name_have_a_bar_each() -> None:
    names = ("a_b", "a b", *CLASSES[2:])
    with styled():
        figure = counts.classes(replace(data(), label_names={"coarse": names}), "coarse")
    for axes in figure.axes:
        assert len({bar.get_y() for bar in axes.patches if isinstance(bar, Rectangle)}) == len(names)
