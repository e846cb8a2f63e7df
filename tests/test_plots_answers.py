"""Figures of what a network says of rows: ROC curves, calibration and residuals, and the tables of the same numbers."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastmlp.errors import DataError
from fastmlp.report.plots.calibration import Calibration, calibration, calibration_of, calibration_table
from fastmlp.report.plots.residuals import residuals, residuals_of, residuals_table
from fastmlp.report.plots.roc import Curve, curves_of, roc, roc_table
from fastmlp.report.plots.style import styled
from fastmlp.runs.metrics import Answers, answers_of
from hostile import HOSTILE, TOGETHER


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    with styled():
        yield


def classes(k: int, n: int = 300) -> Answers:
    rng = np.random.default_rng(k)
    labels = rng.integers(0, k, n)
    odds = np.exp(rng.normal(size=(n, k)) + np.eye(k)[labels])
    return answers_of("classes", labels, odds / odds.sum(axis=1, keepdims=True), rng.exponential(size=n))


def names_of(k: int) -> list[str]:
    return [f"class {i}" for i in range(k)]


def legend(figure: Any) -> list[str]:
    shown = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for one in shown for text in one.get_texts()]


def saved(figure: Any) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg")
    return file.getvalue()


@pytest.mark.parametrize("k", [2, 4])
def test_roc_curves_are_those_of_scikit_learn(k: int) -> None:
    judge = pytest.importorskip("sklearn.metrics")
    answers = classes(k)
    curves = curves_of(answers, names_of(k))
    assert [one.name for one in curves] == (["class 1"] if k == 2 else names_of(k))
    for curve, column in zip(curves, answers.columns, strict=True):
        hits, scores = answers.hits(column), answers.outputs[:, column]
        false, true, _ = judge.roc_curve(hits, scores, sample_weight=answers.weights, drop_intermediate=False)
        assert np.allclose(curve.false, false)
        assert np.allclose(curve.true, true)
        assert curve.area == pytest.approx(judge.auc(false, true))
        assert curve.rows == hits.sum()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("k", [2, 6, 7, 120])
def test_few_curves_have_a_name_each_and_of_many_the_mean_and_the_lowest_have(k: int, narrow: bool) -> None:
    curves = curves_of(classes(k, 500), names_of(k))
    figure = roc(curves, narrow)
    words = legend(figure)
    assert words[-1] == "guessing, AUC 0.5"
    if k <= 6:
        assert words[:-1] == [f"{one.name}, AUC {one.area:.4f}" for one in curves]
    else:
        known = [one for one in curves if one.area is not None]
        lowest = sorted(known, key=lambda one: one.area or 0)[:3]
        assert words[0] == f"all {len(known)}"
        assert words[2:-1] == [f"{one.name}, AUC {one.area:.4f}" for one in lowest]
        colours = [line.get_color() for line in figure.axes[0].lines]
        assert len(set(colours)) == len(colours)
    assert len(saved(figure)) < 120_000


def test_a_curve_of_very_many_rows_has_few_points() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(100_000)
    answers = answers_of("classes", rng.random(100_000) < p, np.stack([1 - p, p], axis=1))
    [curve] = curves_of(answers, ["no", "yes"])
    assert len(curve.false) == 100_001
    assert len(saved(roc([curve]))) < 50_000


def test_the_table_of_the_curves_has_their_numbers() -> None:
    answers = answers_of("labels", [[1, 1], [0, 1], [0, 1], [1, 1]], [[0.9, 0.5], [0.8, 0.5], [0.1, 0.5], [0.7, 0.5]])
    curves = curves_of(answers, ["a", "b"])
    assert curves[0].true.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curves[0].false.tolist() == [0, 0, 0.5, 0.5, 1]
    table = roc_table(curves, "labels")
    assert table.columns == ["label", "rows", "AUC", "at 1 %", "at 5 %", "at 10 %", "at 20 %"]
    assert table.rows == [["a", "2", "0.7500", *["50.00"] * 4], ["b", "4", *["-"] * 5]]
    assert roc_table(curves, "classes").columns[0] == "class"
    assert len(legend(roc(curves))) == 2
    assert legend(roc([Curve("none", 0, np.empty(0), np.empty(0), None)])) == ["guessing, AUC 0.5"]


@pytest.mark.parametrize("k", [2, 3])
def test_the_calibration_is_that_of_scikit_learn(k: int) -> None:
    judge = pytest.importorskip("sklearn.calibration")
    answers = classes(k, 2000)
    answers = answers_of("classes", answers.targets, answers.outputs)
    found = calibration_of(answers, names_of(k))
    said = answers.outputs[:, 1] if k == 2 else answers.outputs.max(axis=1)
    so = answers.targets == (1 if k == 2 else answers.outputs.argmax(axis=1))
    true, predicted = judge.calibration_curve(so, said, n_bins=10)
    assert [one.predicted for one in found.bins] == pytest.approx(predicted.tolist())
    assert [one.observed for one in found.bins] == pytest.approx(true.tolist())
    assert sum(one.rows for one in found.bins) == 2000
    assert found.of == ("class 1" if k == 2 else "the predicted class")
    expected = sum(one.rows * abs(one.predicted - one.observed) for one in found.bins) / 2000
    assert found.error == pytest.approx(expected)


def test_a_range_has_its_wilson_interval() -> None:
    answers = answers_of("classes", [1, 1, 1, 1, 1, 1, 1, 1, 0, 0], [[0.25, 0.75]] * 10)
    [one] = calibration_of(answers, ["no", "yes"]).bins
    assert (one.low, one.high, one.rows, one.predicted, one.observed) == (0.7, 0.8, 10, 0.75, 0.8)
    assert (one.least, one.most) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # 8 of 10, as in the books
    certain = calibration_of(answers_of("labels", [[1, 0]], [[1.0, 0.0]]), ["a", "b"])
    assert [(bin_.low, bin_.observed, bin_.rows) for bin_ in certain.bins] == [(0.0, 0, 1), (0.9, 1, 1)]
    assert certain.of == "a label"
    assert certain.error == 0
    assert all(0 <= bin_.least <= bin_.observed <= bin_.most <= 1 for bin_ in certain.bins)


def test_weights_count_for_shares_and_intervals() -> None:
    answers = answers_of("classes", [1, 0], [[0.25, 0.75]] * 2, [3, 1])
    [one] = calibration_of(answers, ["no", "yes"]).bins
    assert one.observed == 0.75
    wide, even = (
        calibration_of(answers_of("classes", [1, 1, 0, 0], [[0.25, 0.75]] * 4, weights), ["no", "yes"]).bins[0]
        for weights in ([3, 1, 3, 1], [5, 5, 5, 5])
    )
    assert wide.observed == even.observed == 0.5
    assert wide.most - wide.least > even.most - even.least  # rows of unequal weights are worth less


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_of_the_calibration_has_the_counts(narrow: bool) -> None:
    found = calibration_of(classes(2), ["no", "yes"])
    above, below = calibration(found, narrow).axes
    heights = [bar.get_height() for bar in below.patches]  # type: ignore[attr-defined]
    assert heights == [one.rows for one in found.bins]
    assert below.get_xlabel() == "probability of yes in %"
    assert np.allclose(above.lines[1].get_ydata(), [100 * one.observed for one in found.bins])
    table = calibration_table(found)
    assert [row[1] for row in table.rows] == [str(one.rows) for one in found.bins]
    assert f"{100 * found.error:.2f} %" in table.facts[1]
    far = answers_of("labels", np.ones(1001), np.append(np.full(1000, 0.95), 0.05))
    figure = calibration(calibration_of(far, ["a"]), narrow)
    figure.draw_without_rendering()
    ticks = [text.get_text() for text in figure.axes[1].yaxis.get_ticklabels(which="both")]
    assert "1,000" in ticks
    assert not any("^" in text for text in ticks)


def numbers(k: int = 1, n: int = 2000, weights: Any = None) -> Answers:
    rng = np.random.default_rng(k)
    outputs = rng.normal(size=(n, k))
    return answers_of("numbers", outputs + 0.1 * rng.normal(size=(n, k)), outputs, weights)


def test_ranges_of_residuals_have_as_many_rows_and_their_quantiles() -> None:
    answers = numbers()
    [found] = residuals_of(answers, ["price"])
    assert np.allclose(found.residuals, (answers.targets - answers.outputs)[:, 0])
    assert [one.rows for one in found.ranges] == [200] * 10
    for one in found.ranges:
        inside = (found.predicted >= one.low) & (found.predicted <= one.high)
        some = found.residuals[inside]
        assert (one.tenth, one.median, one.ninetieth) == pytest.approx(np.quantile(some, [0.1, 0.5, 0.9]), abs=0.01)
        assert one.rmse == pytest.approx(np.sqrt(np.mean(some**2)))
        assert one.low <= one.middle <= one.high
    table = residuals_table([found])
    assert table.columns == ["prediction", "rows", "median", "10 %", "90 %", "RMSE"]
    assert len(table.rows) == 10
    several = residuals_table(residuals_of(numbers(2), ["a", "b"]))
    assert several.columns[:2] == ["number", "prediction"]
    assert [row[0] for row in several.rows] == ["a"] * 10 + ["b"] * 10


def test_residuals_are_by_weight() -> None:
    rng = np.random.default_rng(0)
    targets, weights = rng.normal(size=9), rng.integers(1, 4, 9)
    [[once], [often]] = (
        residuals_of(answers_of("numbers", t, np.zeros(len(t)), w), ["a"])[0].ranges
        for t, w in ((targets, weights), (np.repeat(targets, weights)[:19], None))
    )
    assert once.rmse == pytest.approx(often.rmse, rel=0.2)
    assert once.median == pytest.approx(often.median, abs=0.3)
    [heavy] = residuals_of(answers_of("numbers", targets, np.zeros(9), np.eye(9)[3] + 1e-9), ["a"])[0].ranges
    assert (heavy.median, heavy.rmse) == pytest.approx((targets[3], abs(targets[3])))


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("k", [1, 4, 9])
def test_each_number_has_a_panel(k: int, narrow: bool) -> None:
    figure = residuals(residuals_of(numbers(k), names_of(k)), narrow)
    shown = [axes for axes in figure.axes if axes.lines]
    assert len(shown) == min(k, 6)
    assert [axes.get_title() for axes in shown] == ([""] if k == 1 else names_of(k)[:6])
    assert legend(figure)[0] == "a row"
    assert len(saved(figure)) < 400_000


def test_residuals_far_away_press_no_others_flat_and_are_marked() -> None:
    answers = numbers(n=900)
    targets = answers.targets.copy()
    targets[5] = 1e6
    figure = residuals(residuals_of(answers_of("numbers", targets, answers.outputs), ["a"]))
    assert max(figure.axes[0].get_ylim()) < 1
    assert "beyond the edge" in legend(figure)
    assert "beyond the edge" not in legend(residuals(residuals_of(numbers(n=50), ["a"])))


@settings(max_examples=20)
@given(
    targets=arrays.arrays(np.float64, 12, elements=st.floats(-1e300, 1e300)),
    outputs=arrays.arrays(np.float64, 12, elements=st.floats(-1e300, 1e300)),
)
def test_residuals_of_any_size_are_drawn_without_a_warning(targets: np.ndarray, outputs: np.ndarray) -> None:
    found = residuals_of(answers_of("numbers", targets, outputs), ["a"])
    assert "nan" not in residuals_table(found).csv()
    residuals(found).draw_without_rendering()


@pytest.mark.parametrize("n", [1, 2, 30])
def test_few_rows_and_constants_are_drawn(n: int) -> None:
    for answers in (numbers(n=n), answers_of("numbers", np.full(n, 7.0), np.full(n, 7.0))):
        saved(residuals(residuals_of(answers, ["a"])))
    labels = answers_of("labels", np.ones(n), np.ones(n))
    saved(roc(curves_of(labels, ["a"])))
    saved(calibration(calibration_of(labels, ["a"])))
    saved(calibration(calibration_of(answers_of("classes", np.zeros(n), np.ones((n, 1))), ["a"])))


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 6))
def test_names_are_text(first: int) -> None:
    names = [*HOSTILE[first : first + 5], TOGETHER]
    saved(roc(curves_of(classes(len(names)), names)))
    saved(residuals(residuals_of(numbers(len(names), 20), names)))
    bins = calibration_of(classes(3), names).bins
    for name in names:
        calibration(Calibration(name, bins, 0.1)).draw_without_rendering()


def test_answers_that_are_not_finite_are_not_drawn() -> None:
    bad = answers_of("classes", [0, 1], [[np.nan, 0.5], [0.5, 0.5]])
    for function in (curves_of, calibration_of):
        with pytest.raises(DataError, match="1 of 2 rows have outputs that are not finite"):
            function(bad, names_of(2))
    with pytest.raises(DataError, match="not finite"):
        residuals_of(answers_of("numbers", [1.0], [np.inf]), ["a"])
    with pytest.raises(DataError, match=r"above 1e\+300 in size"):
        residuals_of(answers_of("numbers", [1e301], [1.0]), ["a"])
