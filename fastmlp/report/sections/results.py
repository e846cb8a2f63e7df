"""The section of results: their table, and their accuracies beside those of the report and of other programs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite

from fastmlp.report.own import folds_table, own_table
from fastmlp.report.page import Section, folded, table, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import times
from fastmlp.report.rivals import rivals_of
from fastmlp.report.score import score_of
from fastmlp.report.tables import results_table, search_table
from fastmlp.report.words import outcome, title
from fastmlp.runs.experiments import published
from fastmlp.runs.metrics import METRICS
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.table import Table

_ABOVE = ("Data set:", "Machine:", "Dates")  # facts that two tables share


def results_of(paper: Paper) -> list[Table]:
    """Return the tables of results, of a search first its candidates; none where no run has ended."""
    sweep = paper.sweep
    tested, tables = [run for run in sweep.runs if run.status in (*ENDED, "diverged")], list[Table]()
    if sweep.is_search:
        tested = [run for run in sweep.runs if isfinite(run.test_accuracy)]
        tables.append(search_table(sweep.runs, [run.config for run in tested], sweep.environment))
    kind = _kind_of(tested)
    if kind is not None:
        split = sweep.environment["dataset"].get("split", "")
        shown = own_table(kind, tested, paper.others, sweep.environment, split)
        if tables:  # which stands above it
            shown = replace(shown, facts=[fact for fact in shown.facts if not fact.startswith(_ABOVE)])
        tables.append(shown)
    elif tested and not tables:
        tables.append(results_table(tested, sweep.environment))
    return tables


def _kind_of(tested: Sequence[RunResult]) -> str | None:
    """Return the kind of targets whose metrics these runs on own data have; None where they have none."""
    told = next((set(run.test_metrics) for run in tested if run.test_metrics), None)
    return next((kind for kind, metrics in METRICS.items() if set(metrics) == told), None)


def section(paper: Paper, results: Sequence[Table]) -> Section:
    """Return the section with the tables of results, and figures of their times and of published and rival ones."""
    blocks, sweep = list[str](), paper.sweep
    unfinished = [run for run in sweep.runs if run.status not in ENDED]
    if unfinished:
        states = [f"{title(run.config)}: {outcome(run)}" for run in unfinished]
        blocks.append(
            folded(f"Not done: {len(unfinished)} of {len(sweep.runs)} runs", [text(state) for state in states])
        )
    for shown, name in zip(results, ("results", "tested"), strict=False):
        blocks.append(table(shown, name))
        paper.places.add(f"table-{name}")
    by_fold = [run for run in sweep.runs if run.config.fold and run.test_metrics]
    if (kind := _kind_of(by_fold)) is not None:
        blocks.append(folded("By fold", [paper.table("folds", folds_table(kind, by_fold))]))
    part = "validation" if sweep.is_search else "test"
    runs = [run for run in sweep.runs if isfinite(run.val_accuracy if part == "validation" else run.test_accuracy)]
    if len(runs) > sweep.is_own:  # one alone says little
        score = score_of(runs[0].config)
        words = f"{part.capitalize()} {score.name} of each run against its time in training and validation."
        words += score.about_floor(run.val_accuracy if part == "validation" else run.test_accuracy for run in runs)
        make = partial(times.accuracy_and_time, runs, part)
        blocks.append(paper.draw("times", f"{score.name[0].upper()}{score.name[1:]} and time", words, make, runs))
    tested = [run for run in sweep.runs if isfinite(run.test_accuracy) and published(run.config) is not None]
    if tested:
        words = (
            "Dots: test accuracy of each run. Bars: the report's for the same network and normalisation, in its colour."
        )
        make = partial(times.beside, tested)
        blocks.append(paper.draw("published", "Beside the report", words, make, tested))
    blocks += _beside_rivals(paper)
    return Section("Results", blocks)


def _beside_rivals(paper: Paper) -> Iterator[str]:
    """Yield the figure of other programs' accuracies, where they were measured."""
    measured = rivals_of(paper.sweep.folder)
    if measured is None:
        return
    runs = [run for run in paper.sweep.runs if run.run_id == measured["run_id"]]
    words = f"{measured['about']} Run {measured['run_id']}."
    make = partial(times.rivals, measured["rivals"])
    yield paper.draw("rivals", "Beside other programs", words, make, runs or paper.sweep.runs)
