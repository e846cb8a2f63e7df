"""The sections of a sweep's page, a module each, in the order in which they stand on it."""

from collections.abc import Sequence

from fastmlp.report.page import Section
from fastmlp.report.paper import Paper
from fastmlp.report.plots.search import searched
from fastmlp.report.sections import (
    again,
    best_network,
    curves,
    data,
    gradients,
    own_best,
    own_data,
    report_figures,
    results,
    search,
)
from fastmlp.table import Table


def sections_of(paper: Paper, tables: Sequence[Table]) -> list[Section]:
    """Return all sections of a page; tables : those of `results.results_of`."""
    first = [results.section(paper, tables)]
    if paper.sweep.is_own:
        first.append(own_best.section(paper))
    first.append(curves.section(paper))
    if paper.sweep.is_search and searched([run.config for run in paper.sweep.runs]):
        first.append(search.section(paper))
    if paper.sweep.is_own:
        return [*first, own_data.section(paper), again.section(paper)]
    return [*first, *(part.section(paper) for part in (best_network, data, gradients, report_figures, again))]
