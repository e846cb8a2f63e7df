"""The sections of a sweep's page, made from the sweep's folder and, where it is on this machine, the data set."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmlp.data import Dataset
from fastmlp.errors import DataError, FastMLPError
from fastmlp.files import json_of, read_small
from fastmlp.nn.checks import is_real
from fastmlp.report.data_section import data
from fastmlp.report.figure_index import figure_index
from fastmlp.report.network_section import checks, network
from fastmlp.report.page import Section, code, figure, folded, table, text
from fastmlp.report.plots import curves, images, search, times
from fastmlp.report.plots.parallel import parallel_coordinates
from fastmlp.report.plots.picture import Picture, drawn, gallery
from fastmlp.report.tables import results_table, search_table
from fastmlp.report.words import machine, outcome, title
from fastmlp.runs.environment import environment as described
from fastmlp.runs.experiments import published
from fastmlp.runs.results import ENDED, MOST_SECONDS, RunResult, load_results
from fastmlp.sweep.file import SWEEP_FILE
from fastmlp.sweep.job import MODELS, model_path
from fastmlp.sweep.source import about_own, dataset_of
from fastmlp.sweep.store import Store, newest
from fastmlp.table import Table
from fastmlp.text import visible_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 64  # runs whose own curves are on the page: each takes some 40 KB of it
RIVALS = "rivals.json"


@dataclass
class Sweep:
    """A sweep as its folder has it: the newest result of each run and, where it is on this machine, the data set.

    runs : those that have trained an epoch or more, in the order of the plan; every : all of them
    environment : that of `fastmlp.runs.environment`; why_no_data : where `dataset` is None, why, as a sentence
    """

    folder: Path
    runs: list[RunResult]
    environment: dict
    dataset: Dataset | None
    every: list[RunResult] = field(default_factory=list)
    why_no_data: str = ""

    def __post_init__(self) -> None:
        """Escape control characters in all texts that figures may show, here, once for all of them."""
        self.runs = [RunResult.from_json(visible_in(run.to_json())) for run in self.runs]
        self.environment = visible_in(self.environment)
        if self.dataset is not None:
            texts = {name: getattr(self.dataset, name) for name in ("name", "source", "label_names")}
            texts["label_names"] = dict(texts["label_names"])
            if (shown := visible_in(texts)) != texts:
                self.dataset = replace(self.dataset, **shown)

    def about(self, runs: Sequence[RunResult]) -> str:
        """Return a sentence for captions: the data set and, of these runs, seeds and precisions."""
        if not runs:
            return f"{self.environment['dataset']['name']}."
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
    results = newest(Store(folder / "runs.jsonl").load(mend=False)[0])
    if not any(run.epochs for run in results.values()):
        raise DataError(f"{folder} holds no run yet. Give the folder that --out named, once its first run has ended.")
    about, written = load_results(folder / "results.json")
    order = {run.run_id: i for i, run in enumerate(written)}  # the plan's, where runs.jsonl has that of their ends
    every = sorted(results.values(), key=lambda run: order.get(run.run_id, len(order)))
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
    """A page in the making: the sections add figures and tables to it, which are kept as they become files too.

    tell(sentence) : called for each part that is left out
    tables : by name; places : the anchors that a link on the page can lead to
    """

    sweep: Sweep
    tell: Callable[[str], None]
    pictures: list[Picture] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)

    def draw(
        self, name: str, heading: str, words: str, make: "Callable[[bool], Figure]", runs: Sequence[RunResult]
    ) -> str:
        """Add a figure and return its HTML; make(narrow) : draws it; runs : those that it shows, none for data."""
        return self._shown(drawn(name, heading, f"{words} {self.sweep.about(runs)}", make))

    def show(self, name: str, heading: str, words: str, tiles: images.Tiles, runs: Sequence[RunResult]) -> str:
        """Add a gallery of images and return its HTML; runs : those that they come from, none for data."""
        return self._shown(gallery(name, heading, f"{words} {self.sweep.about(runs)}", tiles))

    def _shown(self, picture: Picture) -> str:
        self.pictures.append(picture)
        self.places.add(f"figure-{picture.name}")
        return figure(picture)

    def table(self, name: str, shown: Table) -> str:
        """Add a table and return its HTML."""
        self.tables[name] = shown
        self.places.add(f"table-{name}")
        return table(shown, name)

    def missing(self, what: str, why: str) -> str:
        """Report that a part is left out, and why; return the same for the page, as HTML."""
        self.tell(f"{what} are left out: {why}")
        return text(f"{what} are left out: {why}")

    def missing_data(self, what: str) -> str:
        """Report that a part is left out as the data set is missing; return the same for the page, as HTML."""
        data = self.sweep.environment["dataset"]
        return self.missing(
            what,
            about_own(data["name"])
            or f"{data['name']} with fingerprint {data['fingerprint']} is not on this machine, or not where it was "
            "looked for; --data-dir names the place.",
        )


def _searching(sweep: Sweep) -> bool:
    return any(
        run.status == "pruned" or (run.status in ENDED and not isfinite(run.test_accuracy)) for run in sweep.runs
    )


def results_of(sweep: Sweep) -> Table | None:
    """Return the table of results, of a search its candidates; None where no run has ended."""
    ended = [run for run in sweep.runs if run.status in (*ENDED, "diverged")]
    if _searching(sweep):
        best = [run.config for run in sweep.runs if isfinite(run.test_accuracy)]
        return search_table(sweep.runs, best, sweep.environment)
    return results_table(ended, sweep.environment) if ended else None


def sections_of(paper: Paper, results: Table | None) -> list[Section]:
    """Return all sections of a page; results : the table of `results_of`."""
    sections = [_results(paper, results), _curves(paper)]
    if _searching(paper.sweep) and search.searched([run.config for run in paper.sweep.runs]):
        sections.append(_search(paper))
    return [*sections, network(paper), data(paper), checks(paper), figure_index(paper), _again(paper.sweep)]


def _results(paper: Paper, results: Table | None) -> Section:
    section, sweep = Section("Results"), paper.sweep
    unfinished = [run for run in sweep.runs if run.status not in ENDED]
    if unfinished:
        states = [f"{title(run.config)}: {outcome(run)}" for run in unfinished]
        section.blocks.append(
            folded(f"Not done: {len(unfinished)} of {len(sweep.runs)} runs", [text(state) for state in states])
        )
    if results is not None:
        section.blocks.append(table(results, "results"))
        paper.places.add("table-results")
    part = "validation" if _searching(sweep) else "test"
    runs = [run for run in sweep.runs if isfinite(run.val_accuracy if part == "validation" else run.test_accuracy)]
    if runs:
        words = f"{part.capitalize()} accuracy of each run against its time in training and validation."
        make = partial(times.accuracy_and_time, runs, part)
        section.blocks.append(paper.draw("times", "Accuracy and time", words, make, runs))
    tested = [run for run in sweep.runs if isfinite(run.test_accuracy) and published(run.config) is not None]
    if tested:
        words = (
            "Dots: test accuracy of each run. Bars: the report's for the same network and normalisation, in its colour."
        )
        make = partial(times.beside, tested)
        section.blocks.append(paper.draw("published", "Beside the report", words, make, tested))
    section.blocks += _rivals(paper)
    return section


def _rivals(paper: Paper) -> Iterator[str]:
    """Yield the figure of other programs' accuracies, where `python -m bench.rivals_accuracy` measured them."""
    sweep, path = paper.sweep, paper.sweep.folder / RIVALS
    if not path.exists():
        return
    try:
        measured = _measured(visible_in(json_of(read_small(path))))
    except (OSError, DataError) as error:
        raise DataError(f"{path} cannot be read ({error}). Measure it anew, or delete it.") from error
    runs = [run for run in sweep.runs if run.run_id == measured["run_id"]]
    words = f"{measured['about']} Run {measured['run_id']}."
    make = partial(times.rivals, measured["rivals"])
    yield paper.draw("rivals", "Beside other programs", words, make, runs or sweep.runs)


def _measured(document: Any) -> dict[str, Any]:
    """Return a file's measurements, checked for all that is drawn of them; DataError otherwise."""
    try:
        fits = all(isinstance(document[name], str) for name in ("run_id", "about")) and len(document["rivals"]) > 0
        for one in document["rivals"]:
            seconds, accuracies = one["seconds"], one["val_accuracy"]
            fits = fits and isinstance(one["name"], str) and len(seconds) == len(accuracies) > 0
            fits = fits and all(is_real(n) and 0 < n < MOST_SECONDS for n in seconds)
            fits = fits and all(is_real(n) and 0 <= n <= 1 for n in accuracies)
    except (KeyError, TypeError):
        fits = False
    if not fits:
        raise DataError("it has not the seconds and accuracies of programs by name")
    return document


def _curves(paper: Paper) -> Section:
    runs, blocks = paper.sweep.runs, []
    for what in ("loss", "accuracy"):
        words = "One line a run." + curves.about_cut(runs, what)
        make = partial(curves.experiments_together, runs, what)
        blocks.append(paper.draw(f"all-{what}", f"Validation {what} of all runs", words, make, runs))
    for run in runs[:MOST_CURVES]:
        words = f"{'-'.join(map(str, run.config.layers))} {run.config.activation}: {outcome(run)}. Run {run.run_id}."
        if run.status == "diverged":
            words += " Triangles mark where a curve leaves the figure or is no longer a number."
        make = partial(curves.run_curves, run)
        picture = paper.draw(f"curves-{run.run_id}", title(run.config), words, make, [run])
        blocks.append(folded(f"{title(run.config)}: {outcome(run)}", [picture], f"run-{run.run_id}"))
        paper.places.add(f"run-{run.run_id}")
    if len(runs) > MOST_CURVES:
        blocks.append(text(f"The curves of the first {MOST_CURVES} of {len(runs)} runs are shown."))
    return Section("Learning curves", blocks)


def _search(paper: Paper) -> Section:
    section, everything = Section("Search"), paper.sweep.runs
    configs, runs = [run.config for run in everything], [run for run in everything if isfinite(run.val_accuracy)]
    if not runs:
        section.blocks.append(text("No run has ended with an accuracy yet."))
        return section
    words = f" {len(runs)} of {len(everything)} runs have ended with an accuracy, that of their lowest validation loss."
    if search.gridded(configs):
        shown, panels = search.MOST_PANELS, len(search.panels_of(configs)[2])
        cut = f" The first {shown} of {panels} panels are shown." if panels > shown else ""
        caption = f"Mean over the runs of a cell; a dash where none has ended with an accuracy.{cut}{words}"
        make = partial(search.heat_map, runs, configs)
        section.blocks.append(paper.draw("grid", "The grid", caption, make, everything))
    caption = "A dot is a run, and the bar is the mean of all runs with that value, whatever their other settings."
    if not all(search.scale_of(values).apart for values in search.axes_of(configs).values()):
        caption += f" More than {search.MOST_VALUES} numbers lie on a scale, without bars."
    caption += words
    make = partial(search.axis_effects, runs, configs)
    section.blocks.append(paper.draw("effects", "What each setting does", caption, make, everything))
    caption = (
        f"Each line is a run: it goes through the run's settings and ends at its accuracy, which is its colour.{words}"
    )
    make = partial(parallel_coordinates, runs, configs)
    section.blocks.append(paper.draw("parallel", "All runs by their settings", caption, make, everything))
    return section


def _again(sweep: Sweep) -> Section:
    run = sweep.best or sweep.runs[0]
    lines, words = ["python -m fastmlp.report ."], "this page anew"
    if unknown := about_own(run.dataset):
        words = f"In this folder: {words}. {unknown}"
    else:
        lines.insert(0, f"python -m fastmlp.reproduce . {run.run_id}")
        words = f"one run with its hash compared, {words}. "
        if (sweep.folder / SWEEP_FILE).exists():  # not of `run_sweep`
            lines.insert(0, f"python -m fastmlp.train --config {SWEEP_FILE} --out again")
            words = f"the whole sweep anew, {words}The data are looked for where they lay, which {SWEEP_FILE} keeps, "
            words += "and "
        else:
            words += "The data are looked for in the cache, and "
        words = f"In this folder: {words}known by their fingerprint; --data-dir names another place."
    commands = "\n".join(lines)
    return Section("Again", [text(words), code(commands), text(f"Made on: {machine(sweep.environment)}.")])
