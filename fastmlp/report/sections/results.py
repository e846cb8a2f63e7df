"""The section of results: their table, and their accuracies beside those of the report and of other programs."""

from collections.abc import Iterator
from functools import partial
from math import isfinite

from fastmlp.report.page import Section, folded, table, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import times
from fastmlp.report.rivals import rivals_of
from fastmlp.report.sweep import Sweep
from fastmlp.report.tables import results_table, search_table
from fastmlp.report.words import outcome, title
from fastmlp.runs.experiments import published
from fastmlp.runs.results import ENDED
from fastmlp.table import Table


def results_of(sweep: Sweep) -> Table | None:
    """Return the table of results, of a search its candidates; None where no run has ended."""
    ended = [run for run in sweep.runs if run.status in (*ENDED, "diverged")]
    if sweep.is_search:
        best = [run.config for run in sweep.runs if isfinite(run.test_accuracy)]
        return search_table(sweep.runs, best, sweep.environment)
    return results_table(ended, sweep.environment) if ended else None


def section(paper: Paper, results: Table | None) -> Section:
    """Return the section with the table of results, and figures of their times and of published and rival ones."""
    blocks, sweep = list[str](), paper.sweep
    unfinished = [run for run in sweep.runs if run.status not in ENDED]
    if unfinished:
        states = [f"{title(run.config)}: {outcome(run)}" for run in unfinished]
        blocks.append(
            folded(f"Not done: {len(unfinished)} of {len(sweep.runs)} runs", [text(state) for state in states])
        )
    if results is not None:
        blocks.append(table(results, "results"))
        paper.places.add("table-results")
    part = "validation" if sweep.is_search else "test"
    runs = [run for run in sweep.runs if isfinite(run.val_accuracy if part == "validation" else run.test_accuracy)]
    if runs:
        words = f"{part.capitalize()} accuracy of each run against its time in training and validation."
        make = partial(times.accuracy_and_time, runs, part)
        blocks.append(paper.draw("times", "Accuracy and time", words, make, runs))
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
