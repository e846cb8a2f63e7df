"""The sections of a sweep's page, a module each, in the order in which they stand on it."""

from fastmlp.report.page import Section
from fastmlp.report.paper import Paper
from fastmlp.report.plots.search import searched
from fastmlp.report.sections import again, best_network, curves, data, gradients, report_figures, results, search
from fastmlp.table import Table


def sections_of(paper: Paper, table: Table | None) -> list[Section]:
    """Return all sections of a page; table : the one of `results.results_of`."""
    first = [results.section(paper, table), curves.section(paper)]
    if paper.sweep.is_search and searched([run.config for run in paper.sweep.runs]):
        first.append(search.section(paper))
    return [*first, *(part.section(paper) for part in (best_network, data, gradients, report_figures, again))]
