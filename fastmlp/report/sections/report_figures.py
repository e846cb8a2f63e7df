"""An index of the report's figures: for each, its counterparts on a sweep's page."""

from fastmlp.report.page import Section, listed, text
from fastmlp.report.paper import Paper

# The report's pairs of learning curves, loss and accuracy, by the number of the first.
CURVES = {
    "momentum": 8,
    "l2": 10,
    "sigmoid": 14,
    "relu": 16,
    "half_units": 18,
    "double_units": 20,
    "two_hidden": 22,
    "classes100": 24,
}
# What needs nothing but the data, or nothing at all: words, place on the page, words of the link.
_PLACES = {
    1: ("An image of each class", "figure-classes-coarse", "One image of each coarse class"),
    2: ("Images by split", "figure-splits", "Images by split"),
    3: ("Images by class", "figure-counts-coarse", "Images by coarse class, all"),
    4: ("Training images by class", "figure-counts-coarse", "Images by coarse class, training"),
    5: ("Test images by class", "figure-counts-coarse", "Images by coarse class, test"),
    6: ("Statistics of an image before and after normalisation", "table-normalisation", "Normalisation of an image"),
    7: ("Gradient check", "table-gradients", "Gradients of single weights"),
    13: ("Results half-way through the grid search", "figure-grid", "The grid"),
    26: ("Results by experiment and normalisation", "table-results", "Results"),
}


def section(paper: Paper) -> Section:
    """Return the section that lists the report's Figures 1 to 26, each with links into the page, or why it has none."""
    rows = [_row(paper, number) for number in range(1, 27)]
    words = "What each figure of the report shows, and where it is on this page, drawn of this sweep's own runs."
    return Section("The report's figures", [text(words), listed(["figure", "shows", "on this page"], rows)])


def _row(paper: Paper, number: int) -> tuple[str, str, list[tuple[str, str]], str]:
    for name, first in CURVES.items():
        if number in (first, first + 1):
            links = _curves_of(paper, name)
            why = "" if links else f"none of the runs shown is of the experiment {name}"
            return str(number), f"{name}: {('loss', 'accuracy')[number - first]} by epoch", links, why
    if number == 12:
        why = "source code; here it is the command python -m fastmlp.train --preset report-grid"
        return str(number), "Loops of the grid search", [], why
    words, place, link = _PLACES[number]
    if place in paper.places:
        return str(number), words, [(link, place)], ""
    if number == 13:
        why = "these runs are no grid search"
    elif number == 26:
        why = "no run has ended yet"
    elif paper.sweep.dataset is None:
        why = "the data set was not found"
    else:
        why = "none of the runs is of the coarse labels"
    return str(number), words, [], why


def _curves_of(paper: Paper, name: str) -> list[tuple[str, str]]:
    """Return links to the curves of an experiment: of the first run of each normalisation."""
    links: dict[str, tuple[str, str]] = {}
    for run in paper.sweep.runs:
        if run.experiment == name and f"run-{run.run_id}" in paper.places:
            links.setdefault(run.normalize, (f"{run.normalize}, seed {run.seed}", f"run-{run.run_id}"))
    return list(links.values())
