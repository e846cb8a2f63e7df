"""The index of the report's figures, and how tables stand on a page."""

from pathlib import Path

from fastmlp.report import page
from fastmlp.report.paper import Paper
from fastmlp.report.sections import report_figures as figures
from fastmlp.report.sections.report_figures import CURVES
from fastmlp.report.sweep import Sweep
from fastmlp.runs.experiments import EXPERIMENTS
from fastmlp.table import Table
from samples import ENVIRONMENT, dataset, result


def rows(paper: Paper) -> list[str]:
    return figures.section(paper).blocks[1].splitlines()[2:-1]


def test_curves_are_linked_by_the_first_run_of_each_normalisation() -> None:
    runs = [
        result(normalize=norm, experiment=name, seed=seed)
        for seed in (0, 1)
        for name in EXPERIMENTS
        for norm in ("image", "channel")
    ]
    paper = Paper(Sweep(Path(), runs, ENVIRONMENT, dataset()), print)
    paper.places |= {f"run-{run.run_id}" for run in runs}
    assert set(CURVES) == set(EXPERIMENTS)
    told = rows(paper)
    for name, first in CURVES.items():
        for number in (first, first + 1):
            assert [run.run_id for run in runs if f"#run-{run.run_id}" in told[number - 1]] == [
                run.run_id for run in runs if run.experiment == name and run.seed == 0
            ]


def test_what_is_not_on_the_page_has_its_reason() -> None:
    told = rows(Paper(Sweep(Path(), [result()], ENVIRONMENT, None), print))
    assert len(told) == 26
    assert not any("<a " in row for row in told)
    for number, why in ((1, "the data set was not found"), (8, "experiment momentum"), (12, "--preset report-grid"),
                        (13, "no grid search"), (26, "no run has ended")):  # fmt: skip
        assert why in told[number - 1]
    told = rows(Paper(Sweep(Path(), [result(labels="fine")], ENVIRONMENT, dataset()), print))
    assert "none of the runs is of the coarse labels" in told[0]


def table(*cells: str) -> Table:
    return Table([], list("abcdefgh"[: len(cells)]), [cells], words=len(cells))


def test_a_wide_table_says_that_it_scrolls_and_a_small_one_does_not() -> None:
    wide = page.table(table("1", "2", "3", "4", "5"), "wide")
    assert '<p class="hint">5 columns: the table scrolls sideways.</p>' in wide
    small = page.table(table("1", "2"), "small")
    assert "hint" not in small
    assert 'id="table-small"' in small


def test_sizes_of_a_network_stay_together_and_long_names_break() -> None:
    names = "large_omnivores_and_herbivores"
    shown = page.table(table("3072-123-20 relu", names, "e_ReLU"), "t")
    assert "<span>3072-123-20</span> relu" in shown
    assert names.replace("_", "_<wbr>") in shown
    assert "<td>e_ReLU</td>" in shown
