"""The section of a search: its grid, what each setting does, and all its runs."""

from functools import partial
from math import isfinite

from fastmlp.report.page import Section, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import search
from fastmlp.report.plots.parallel import parallel_coordinates
from fastmlp.report.score import score_of


def section(paper: Paper) -> Section:
    """Return the section with the scores of a search's runs by their settings."""
    blocks, everything = list[str](), paper.sweep.runs
    configs, runs = [run.config for run in everything], [run for run in everything if isfinite(run.val_accuracy)]
    score = score_of(everything[0].config)
    if not runs:
        blocks.append(text(f"No run has ended with {score.one} yet."))
        return Section("Search", blocks)
    words = f" {len(runs)} of {len(everything)} runs have ended with {score.one}, that of their lowest validation loss."
    words += score.about_floor(run.val_accuracy for run in runs)
    if search.gridded(configs):
        shown, panels = search.MOST_PANELS, len(search.panels_of(configs)[2])
        cut = f" The first {shown} of {panels} panels are shown." if panels > shown else ""
        caption = f"Mean over the runs of a cell; a dash where none has ended with {score.one}.{cut}{words}"
        make = partial(search.heat_map, runs, configs)
        blocks.append(paper.draw("grid", "The grid", caption, make, everything))
    caption = "A dot is a run, and the bar is the mean of all runs with that value, whatever their other settings."
    if not all(search.scale_of(values).apart for values in search.axes_of(configs).values()):
        caption += f" More than {search.MOST_VALUES} numbers lie on a scale, without bars."
    caption += words
    make = partial(search.axis_effects, runs, configs)
    blocks.append(paper.draw("effects", "What each setting does", caption, make, everything))
    caption = (
        f"Each line is a run: it goes through the run's settings and ends at its {score.name}, which is its colour."
    )
    caption += words
    make = partial(parallel_coordinates, runs, configs)
    blocks.append(paper.draw("parallel", "All runs by their settings", caption, make, everything))
    return Section("Search", blocks)
