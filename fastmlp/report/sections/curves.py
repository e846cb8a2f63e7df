"""The section of learning curves: those of all runs together, then each run's own."""

from functools import partial

from fastmlp.report.page import Section, folded, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import curves
from fastmlp.report.score import about_loss, score_of
from fastmlp.report.words import network, outcome, title

MOST_CURVES = 64  # runs whose own curves are on the page: each takes some 40 KB of it


def section(paper: Paper) -> Section:
    """Return the section with loss and score by epoch."""
    runs, blocks = paper.sweep.runs, []
    for what, name in (("loss", "loss"), ("accuracy", score_of(runs[0].config).name)):
        words = (
            "One line a run." + (about_loss(runs[0].config) if what == "loss" else "") + curves.about_cut(runs, what)
        )
        make = partial(curves.experiments_together, runs, what)
        blocks.append(paper.draw(f"all-{name.replace(' ', '-')}", f"Validation {name} of all runs", words, make, runs))
    for run in runs[:MOST_CURVES]:
        words = f"{network(run.config)}: {outcome(run)}. Run {run.run_id}."
        if run.status == "diverged" or (about_loss(run.config) and curves.is_cut(run)):
            words += " Triangles mark where a curve leaves the figure or is no longer a number."
        make = partial(curves.run_curves, run)
        picture = paper.draw(f"curves-{run.run_id}", title(run.config), words, make, [run])
        blocks.append(folded(f"{title(run.config)}: {outcome(run)}", [picture], f"run-{run.run_id}"))
        paper.places.add(f"run-{run.run_id}")
    if len(runs) > MOST_CURVES:
        blocks.append(text(f"The curves of the first {MOST_CURVES} of {len(runs)} runs are shown."))
    return Section("Learning curves", blocks)
