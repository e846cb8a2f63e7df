"""What figures show: curves that leave them, colours of normalisations, settings of a search, counts of images."""

import io
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastmlp.config import RunConfig
from fastmlp.report.plots import counts, curves, images, search, times
from fastmlp.report.plots.confusion import confusion
from fastmlp.report.plots.parallel import parallel_coordinates
from fastmlp.report.plots.picture import drawn, gallery
from fastmlp.report.plots.style import NARROW, colour_of, new_figure, styled
from fastmlp.runs.results import RunResult
from samples import dataset, result


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    with styled():
        yield


def losing(losses: list[float], **changes: Any) -> RunResult:
    run = result(epochs=len(losses), **changes)
    return replace(run, history=run.history | {"val_loss": losses})


def usual(count: int = 5) -> list[RunResult]:
    return [losing([2.9, 2.5, 2.4], seed=seed) for seed in range(count)]


@pytest.mark.parametrize("losses", [[1e3, 1e35], [3.0, math.nan], [math.nan]])
@pytest.mark.parametrize("narrow", [False, True])
def test_a_run_that_diverges_presses_no_other_flat_and_is_marked(losses: list[float], narrow: bool) -> None:
    runs = [*usual(), losing(losses, experiment="l2", normalize="channel")]
    figure = curves.experiments_together(runs, "loss", narrow)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 2 < low < 2.4 < high < 3.3
    [mark] = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "^"]
    assert mark.get_color() == colour_of("channel")
    assert np.ravel(mark.get_xdata())[0] == next(i for i, v in enumerate(losses, 1) if not v < 6)
    assert "1 of 6 do, l2, channel, seed 0." in curves.about_cut(runs, "loss")
    assert max(curves.run_curves(runs[-1], narrow).axes[0].get_ylim()) < 10 * math.log(20)


def test_a_loss_that_most_runs_reach_is_not_cut_off() -> None:
    assert curves.about_cut(usual(), "loss") == ""
    overfitted = [losing([2.5, 5.0, 9.0], seed=seed) for seed in range(4)]
    assert curves.about_cut(overfitted, "loss") == ""
    most_diverge = [*usual(2), *(losing([1e9, 1e20], seed=seed) for seed in range(5, 9))]
    assert curves.limits_of(most_diverge, "loss") == {20: pytest.approx(2 * math.log(20))}
    assert "and 1 more" in curves.about_cut(most_diverge, "loss")


def test_as_many_classes_have_one_scale_and_others_their_own() -> None:
    fine = losing([4.4, 3.8, 3.6], experiment="classes100", labels="fine", layers=(3072, 256, 100))
    figure = curves.experiments_together([*usual(), losing([2.8, 2.2], experiment="l2"), fine], "loss")
    limits = [axes.get_ylim() for axes in figure.axes]
    assert limits[0] == limits[1]
    assert limits[2][0] > limits[0][1]


@pytest.mark.parametrize("narrow", [False, True])
def test_published_figures_have_the_colour_of_their_normalisation(narrow: bool) -> None:
    runs = [result(normalize=norm) for norm in ("channel", "image")]
    [axes] = times.beside(runs, narrow).axes
    ticks = {
        round(float(np.ravel(line.get_xdata())[0]), 2): line.get_color()
        for line in axes.lines
        if line.get_marker() == "|" and np.size(line.get_xdata())
    }
    assert ticks == {27.84: colour_of("channel"), 32.37: colour_of("image")}
    assert colour_of("channel") != colour_of("image")


def grid(lrs: list[float]) -> list[RunResult]:
    return [result(lr=lr, batch_size=batch) for lr in lrs for batch in (256, 1024)]


@pytest.mark.parametrize("narrow", [False, True])
def test_a_value_whose_runs_all_diverged_is_still_there(narrow: bool) -> None:
    everything = grid([0.001, 0.01, 5.0])
    runs, configs = [run for run in everything if run.config.lr < 5], [run.config for run in everything]
    effects = search.axis_effects(runs, configs, narrow)
    texts = [text.get_text() for text in effects.legends[0].get_texts()]
    assert texts == ["a run", "mean of a value's runs", "value without an accuracy"]
    assert "5" in [tick.get_text() for axes in effects.axes for tick in axes.get_xticklabels()]
    assert "-" in [text.get_text() for text in search.heat_map(runs, configs, narrow).axes[0].texts]


@pytest.mark.parametrize("narrow", [False, True])
def test_parallel_coordinates_have_a_colour_bar(narrow: bool) -> None:
    runs = grid([0.001, 0.01])
    figure = parallel_coordinates(runs, [run.config for run in runs], narrow)
    [bar] = figure.axes[0].child_axes
    assert "validation accuracy in %" in (bar.get_xlabel() if narrow else bar.get_ylabel())


def test_many_numbers_lie_on_a_scale_and_make_no_map() -> None:
    lrs = [float(lr) for lr in np.geomspace(1e-4, 1, 20)]
    scale = search.scale_of(lrs)
    assert not scale.apart
    assert [text for _, text in scale.ticks] == ["0.0001", "0.0022", "0.046", "1"]
    assert scale.place(0.01) == pytest.approx(0.5)
    drawn_at_random = [result(lr=lr, momentum=m).config for lr, m in zip(lrs, np.linspace(0.5, 0.9, 20), strict=True)]
    assert not search.gridded(drawn_at_random)
    assert search.gridded([run.config for run in grid(lrs)])
    assert search.scale_of([16, 32]).apart


def _width(bar: Any) -> float:
    return bar.get_width()


def test_figures_2_to_5_are_drawn() -> None:
    data = dataset()
    for narrow in (False, True):
        [axes] = counts.splits(data, narrow).axes
        assert [_width(bar) for bar in axes.patches] == [200, 200]
        assert "200 (50.0 %)" in [text.get_text() for text in axes.texts]
        panels = counts.classes(data, "coarse", narrow).axes
        train, test = (np.bincount(labels["coarse"], minlength=20) for labels in (data.train_labels, data.test_labels))
        for panel, expected in zip(panels, (train + test, train, test), strict=True):
            assert [_width(bar) for bar in panel.patches] == expected.tolist()


def test_those_with_the_largest_weights_are_shown_as_pictures_of_their_own() -> None:
    image = pytest.importorskip("PIL.Image")
    weight = np.random.default_rng(0).standard_normal((3072, 128)).astype(np.float32)
    weight[:, 100] *= 9
    tiles = images.first_weights(weight)
    assert len(tiles.pictures) == 64
    picture = gallery("weights", "Weights", "Words.", tiles)
    assert picture.inline.count("<img") == 64
    assert image.open(io.BytesIO(picture.png)).width > 1000
    scale = np.abs(weight[:, 100]).max()
    assert tiles.pictures[0][0, 0, 2] == round(127.5 + 127.5 * float(weight[2048, 100] / scale))


def test_both_forms_are_on_the_page_and_words_under_the_file_alone() -> None:
    def make(narrow: bool) -> Any:
        figure, [axes] = new_figure(width=NARROW if narrow else 8.0, height=2.0)
        axes.plot([1, 2], [1, 2])
        return figure

    picture = drawn("name", "A <title>", "Some caption.", make)
    assert b"Some caption." in picture.svg
    assert "Some caption." not in picture.inline
    assert re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture.inline) == [("576", "144"), ("252", "144")]
    assert drawn("name", "A <title>", "Some caption.", make) == picture


def test_a_scale_of_times_has_plain_numbers_alone() -> None:
    runs = [replace(result(seed=seed), seconds=seconds) for seed, seconds in enumerate((0.3, 4.0, 60.0))]
    figure = times.accuracy_and_time(runs, "test", narrow=True)
    figure.draw_without_rendering()
    ticks = figure.axes[0].xaxis.get_ticklabels(which="both")
    assert {text for tick in ticks if (text := tick.get_text())} >= {"0.5", "1", "2", "5", "10"}
    assert not any("10^" in tick.get_text() for tick in ticks)


@pytest.mark.parametrize(
    "losses", [[math.nan], [1.7e308, 1.7e308], [-1.7e308, 1.7e308], [5e-324, 1e-320], [3.0, -1e308], [0.0, 0.0]]
)
def test_losses_at_the_ends_of_float64_are_drawn_without_a_warning(losses: list[float]) -> None:
    runs = [losing(losses, seed=seed, layers=(3072, 8, classes)) for seed, classes in enumerate((20, 20, 1))]
    assert all(map(math.isfinite, curves.limits_of(runs, "loss").values()))
    for figure in (curves.experiments_together(runs, "loss"), curves.run_curves(runs[0])):
        figure.savefig(io.BytesIO(), format="svg")


def test_long_names_and_very_many_layers_leave_room_for_the_panels() -> None:
    runs = [losing([2.0, 1.0], experiment="a, b, " * 60)]
    figure = curves.experiments_together(runs, "loss")
    assert figure.axes[0].get_title().count("\n") < 10
    figure.savefig(io.BytesIO())
    runs = [result(lr=lr, layers=(3072, *hidden, 20)) for lr in (0.1, 0.2) for hidden in ([5] * 300, [5])]
    configs = [run.config for run in runs]
    for make in (search.heat_map, search.axis_effects, parallel_coordinates):
        make(runs, configs).savefig(io.BytesIO())


def test_panels_of_many_drawn_settings_are_those_that_were_met_in_order() -> None:
    steps = {"lr": 0.01, "momentum": 1e-4, "weight_decay": 0.01, "batch_size": 1, "patience": 1, "epochs": 1}
    configs = [
        RunConfig(dataset="a", layers=(4, 2), **{name: i * step for name, step in steps.items()})  # type: ignore[arg-type]
        for i in range(1000, 0, -1)  # a product of the values of all but two settings has 10^12 panels
    ]
    panels = search.panels_of(configs)[2]
    assert len(panels) == 1000
    assert [panel["epochs"] for panel in panels] == list(range(1, 1001))
    assert not search.gridded(configs)


def test_classes_without_images_and_the_largest_weights_are_drawn() -> None:
    data = dataset()
    labels = {kind: np.where(some == 3, 4, some) for kind, some in data.train_labels.items()}
    test_labels = {kind: np.full_like(some, 1) for kind, some in data.test_labels.items()}
    data = replace(data, train_labels=labels, test_labels=test_labels)
    tiles = images.class_samples(data, "coarse")
    assert [f"coarse {k}" for k in range(20) if k != 3] == tiles.texts
    right = np.eye(20)[test_labels["coarse"]]
    assert images.mistakes(data, "coarse", right).pictures == []
    gallery("mistakes", "a", "b", images.mistakes(data, "coarse", right))
    confusion(test_labels["coarse"], right.argmax(1), data.label_names["coarse"]).savefig(io.BytesIO())
    weight = np.full((3072, 2), np.finfo(np.float32).max, np.float32)
    assert images.first_weights(weight).pictures[0].min() == 255
