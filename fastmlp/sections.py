"""The parts of a sweep's page, each from what is in the sweep's folder and, where they are found, its data."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastmlp.data import Dataset
from fastmlp.data.cifar import REPORT_IMAGE
from fastmlp.data.tables import class_table, split_table, statistics_table
from fastmlp.environment import environment as described
from fastmlp.errors import DataError, FastMLPError
from fastmlp.experiments import published
from fastmlp.gradients import run_checks, to_markdown
from fastmlp.model import Model
from fastmlp.model_file import load_model
from fastmlp.page import Section, code, figure, folded, table, text
from fastmlp.plots import curves, images, search, times
from fastmlp.plots.style import Picture, drawn
from fastmlp.progress import outcome
from fastmlp.results import RunResult, load_results
from fastmlp.sweep.job import MODELS, model_path
from fastmlp.sweep.source import dataset_of
from fastmlp.sweep.store import Store, newest
from fastmlp.tables import Table, machine, results_table, search_table, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 64  # runs whose own curves are on the page: each takes some 50 KB of it
RIVALS = "rivals.json"


@dataclass
class Sweep:
    """What is known of a sweep: its runs, newest state each, and its data where they are found.

    runs : those that came to something, in the order of the plan; every : all of them
    """

    folder: Path
    runs: list[RunResult]
    environment: dict
    dataset: Dataset | None
    every: list[RunResult] = field(default_factory=list)
    why_no_data: str = ""

    def about(self, runs: Sequence[RunResult]) -> str:
        """Return data set, seeds and precision of these runs, for captions."""
        seeds, precisions = (
            ", ".join(dict.fromkeys(str(getattr(run, name)) for run in runs)) for name in ("seed", "precision")
        )
        return f"{self.environment['dataset']['name']}, seed {seeds}, {precisions}."

    @property
    def best(self) -> RunResult | None:
        """The run of the best validation accuracy among those whose network was saved."""
        saved = [run for run in self.runs if model_path(self.folder / MODELS, run.run_id).exists()]
        return max(saved, key=lambda run: run.val_accuracy, default=None)


def read(folder: Path, data_dir: Path | None = None) -> Sweep:
    """Read a sweep's folder, changing nothing; DataError where it holds no run, or `data_dir` not its data."""
    found = newest(Store(folder / "runs.jsonl").load(mend=False)[0])
    if not any(run.epochs for run in found.values()):
        raise DataError(f"{folder} holds no run yet. Give the folder that --out named, once its first run has ended.")
    about, written = load_results(folder / "results.json")
    order = {run.run_id: i for i, run in enumerate(written)}  # the plan's, where runs.jsonl has that of their ends
    every = sorted(found.values(), key=lambda run: order.get(run.run_id, len(order)))
    runs = [run for run in every if run.epochs]
    try:
        dataset = dataset_of(folder, runs[0].dataset, about["dataset"]["fingerprint"], data_dir)
    except FastMLPError as error:
        if data_dir is not None:
            raise
        return Sweep(folder, runs, about, None, every, str(error))
    return Sweep(folder, runs, about | {"dataset": described(dataset)["dataset"]}, dataset, every)


@dataclass
class Paper:
    """What the sections are written on: it keeps their pictures and tables, which become files too.

    tell(sentence) : told of what is left out; tables : Markdown by name
    """

    sweep: Sweep
    tell: Callable[[str], None]
    pictures: list[Picture] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)

    def draw(
        self, name: str, heading: str, words: str, make: "Callable[[], Figure]", runs: Sequence[RunResult] | None = None
    ) -> str:
        """Return a figure for the page; runs : those that it shows, where these are not all."""
        about = self.sweep.about(self.sweep.runs if runs is None else runs)
        self.pictures.append(drawn(name, heading, f"{words} {about}", make()))
        return figure(self.pictures[-1])

    def table(self, name: str, markdown: str) -> str:
        """Return a table for the page."""
        self.tables[name] = markdown
        return table(markdown)

    def missing(self, what: str, why: str) -> str:
        """Return, and tell, that something is left out."""
        self.tell(f"{what} are left out: {why}")
        return text(f"{what} are left out: {why}")

    def missing_data(self, what: str) -> str:
        """Return, and tell, that something is left out for want of the data set."""
        data = self.sweep.environment["dataset"]
        return self.missing(
            what,
            f"{data['name']} with fingerprint {data['fingerprint']} is not on this machine, or not where it was looked "
            "for; --data-dir names the place.",
        )


def _searching(sweep: Sweep) -> bool:
    return any(
        run.status == "pruned" or (run.status == "done" and not isfinite(run.test_accuracy)) for run in sweep.runs
    )


def results_of(sweep: Sweep) -> Table | None:
    """Return the results as a table, None where no run has ended."""
    ended = [run for run in sweep.runs if run.status in ("done", "diverged")]
    if _searching(sweep):
        best = [run.config for run in sweep.runs if isfinite(run.test_accuracy)]
        return search_table(sweep.runs, best, sweep.environment)
    return results_table(ended, sweep.environment) if ended else None


def sections_of(paper: Paper, results: Table | None) -> list[Section]:
    """Return all sections of a page; results : the table that `results_of` made."""
    sections = [_results(paper, results), _curves(paper)]
    if _searching(paper.sweep) and search.searched([run.config for run in paper.sweep.runs]):
        sections.append(_search(paper))
    return [*sections, _network(paper), _data(paper), _checks(paper), _again(paper.sweep)]


def _results(paper: Paper, results: Table | None) -> Section:
    section, sweep = Section("Results"), paper.sweep
    unfinished = [run for run in sweep.runs if run.status != "done"]
    if unfinished:
        states = [f"{title(run.config)}: {outcome(run)}" for run in unfinished]
        section.blocks.append(
            folded(f"Not done: {len(unfinished)} of {len(sweep.runs)} runs", [text(state) for state in states])
        )
    if results is not None:
        section.blocks.append(table(results.markdown()))
    part = "validation" if _searching(sweep) else "test"
    runs = [run for run in sweep.runs if isfinite(run.val_accuracy if part == "validation" else run.test_accuracy)]
    if runs:
        words = f"{part.capitalize()} accuracy of each run against its time in training and validation."
        make = partial(times.accuracy_and_time, runs, part)
        section.blocks.append(paper.draw("times", "Accuracy and time", words, make, runs))
    told = [run for run in sweep.runs if isfinite(run.test_accuracy) and published(run.config) is not None]
    if told:
        words = "Test accuracy of each run, and the report's figure for the same network and normalisation."
        section.blocks.append(paper.draw("published", "Beside the report", words, lambda: times.beside(told), told))
    section.blocks += _rivals(paper)
    return section


def _rivals(paper: Paper) -> Iterator[str]:
    """Draw what `python -m bench.rivals_accuracy` measured, where it did."""
    sweep, path = paper.sweep, paper.sweep.folder / RIVALS
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        runs = [run for run in sweep.runs if run.run_id == found["run_id"]]
        words = f"{found['about']} Run {found['run_id']}."
        yield paper.draw(
            "rivals", "Beside other programs", words, lambda: times.rivals(found["rivals"]), runs or sweep.runs
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error!r}). Measure it anew, or delete it.") from error


def _curves(paper: Paper) -> Section:
    runs, blocks = paper.sweep.runs, []
    for what in ("loss", "accuracy"):
        make = partial(curves.experiments_together, runs, what)
        blocks.append(paper.draw(f"all-{what}", f"Validation {what} of all runs", "One line a run.", make))
    for run in runs[:MOST_CURVES]:
        words = f"{'-'.join(map(str, run.config.layers))} {run.config.activation}: {outcome(run)}. Run {run.run_id}."
        make = partial(curves.run_curves, run)
        picture = paper.draw(f"curves-{run.run_id}", title(run.config), words, make, [run])
        blocks.append(folded(f"{title(run.config)}: {outcome(run)}", [picture]))
    if len(runs) > MOST_CURVES:
        blocks.append(text(f"The curves of the first {MOST_CURVES} of {len(runs)} runs are shown."))
    return Section("Learning curves", blocks)


def _search(paper: Paper) -> Section:
    runs = [run for run in paper.sweep.runs if isfinite(run.val_accuracy)]
    words = "Validation accuracy with the weights of the lowest validation loss."
    figures = (
        ("grid", "The grid", partial(search.heat_map, runs, [run.config for run in paper.sweep.runs])),
        ("effects", "What each setting does", partial(search.axis_effects, runs)),
        ("parallel", "All candidates", partial(search.parallel_coordinates, runs)),
    )
    return Section("Search", [paper.draw(name, heading, words, make) for name, heading, make in figures])


def _network(paper: Paper) -> Section:
    section, run = Section("The best network"), paper.sweep.best
    if run is None:
        section.blocks.append(text("No network is saved in models/ yet: those of tested runs are."))
        return section
    try:
        model = load_model(model_path(paper.sweep.folder / MODELS, run.run_id))
    except DataError as error:
        section.blocks.append(paper.missing("The best network's figures", str(error)))
        return section
    words = f"{title(run.config)}, run {run.run_id}: the best validation accuracy of those that were tested."
    section.blocks += [text(words), *_of_test_images(paper, run, model)]
    if model.layers[0] == 3072:
        words = "Weights of the first layer for each pixel, one picture a hidden unit, the largest first; grey is zero."
        make = partial(images.first_weights, model.arrays()[0][0])
        section.blocks.append(paper.draw("weights", "First-layer weights", words, make, [run]))
    return section


def _of_test_images(paper: Paper, run: RunResult, model: Model) -> Iterator[str]:
    dataset, kind = paper.sweep.dataset, run.config.labels
    if dataset is None:
        yield paper.missing_data("The confusion matrix and the mistakes")
        return
    labels, names = dataset.test_labels[kind], dataset.label_names[kind]
    probabilities = model.predict_proba(dataset.test_images)
    said = probabilities.argmax(axis=1)
    words = f"Test images, accuracy {100 * np.mean(said == labels):.2f} %."
    if kind == "fine" and "coarse" in dataset.label_names:  # a hundred names find no room
        superclass = np.zeros(len(names), np.int64)
        superclass[dataset.train_labels["fine"]] = dataset.train_labels["coarse"]
        labels, said, names = superclass[labels], superclass[said], dataset.label_names["coarse"]
        words += f" The superclass of what it said is right for {100 * np.mean(said == labels):.2f} %."
    words += " In % of each class; below 0.5 is not written."
    yield paper.draw("confusion", "Confusion matrix", words, partial(images.confusion, labels, said, names), [run])
    words = "Test images of which the network was most certain, wrongly: what it said, how surely, and what they are."
    make = partial(images.mistakes, dataset, kind, probabilities)
    yield paper.draw("mistakes", "Most confident mistakes", words, make, [run])


def _data(paper: Paper) -> Section:
    section, dataset = Section("Data"), paper.sweep.dataset
    if dataset is None:
        section.blocks.append(paper.missing_data("The images and their counts"))
        return section
    for kind in dict.fromkeys(run.config.labels for run in paper.sweep.runs):
        words, make = (
            f"One training image of each class, at random; {kind} labels.",
            partial(images.class_samples, dataset, kind),
        )
        section.blocks.append(paper.draw(f"classes-{kind}", f"One image of each {kind} class", words, make))
        counts = paper.table(f"classes-{kind}", class_table(dataset, kind))
        section.blocks.append(folded(f"Images by {kind} class", [counts]))
    index = REPORT_IMAGE if dataset.name == "cifar100" else 0
    section.blocks += ["<h3>Images by split</h3>", paper.table("splits", split_table(dataset))]
    section.blocks.append(f"<h3>Training image {index} before and after normalisation</h3>")
    section.blocks.append(paper.table("normalisation", statistics_table(dataset, index)))
    return section


def _checks(paper: Paper) -> Section:
    """Check gradients numerically, now: what they are does not depend on the sweep."""
    singles, directions = run_checks([64, 16, 12, 5], "tanh")
    words = "Numerical against backpropagated gradients of a small tanh network in float64, computed for this page."
    blocks = [text(words), paper.table("gradients", to_markdown(singles, "gradient of"))]
    return Section("Gradient check", [*blocks, paper.table("directions", to_markdown(directions, "direction"))])


def _again(sweep: Sweep) -> Section:
    run = sweep.best or sweep.runs[0]
    commands = (
        "python -m fastmlp.train --config sweep.toml --out again\n"
        f"python -m fastmlp.reproduce . {run.run_id}\npython -m fastmlp.report ."
    )
    words = (
        "In this folder: the whole sweep anew, one run with its hash compared, this page anew. The data are looked for "
        "where they lay, which sweep.toml keeps, and known by their fingerprint; --data-dir names another place."
    )
    return Section("Again", [text(words), code(commands), text(f"Made on: {machine(sweep.environment)}.")])
