"""`python -m fastmlp.report DIR`: a sweep's figures and tables on one page, at any time, from what is in its folder."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from fastmlp.data import Dataset, load_dataset
from fastmlp.data.tables import REPORT_IMAGE, class_table, split_table, statistics_table
from fastmlp.environment import environment as described
from fastmlp.errors import ConfigError, DataError, FastMLPError
from fastmlp.gradcheck import run_checks, to_markdown
from fastmlp.model import Model
from fastmlp.model_file import load_model
from fastmlp.page import Section, code, figure, folded, page, table, text
from fastmlp.plots import curves, images, search, times
from fastmlp.plots.style import Picture, drawn, styled
from fastmlp.progress import outcome, say, title
from fastmlp.results import RunResult, check_folder, load_results, write_whole
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.job import MODELS, model_path
from fastmlp.sweep.store import Store, newest
from fastmlp.tables import Table, machine, results_table, search_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 64  # runs whose own curves are on the page: each takes some 50 KB of it
_EXAMPLES = """examples:
  python -m fastmlp.report runs/all                          writes runs/all/report.html and runs/all/figures/
  python -m fastmlp.report runs/all --data-dir DIR           with figures that need the images, where they lie elsewhere
"""


@dataclass
class Sweep:
    """What is known of a sweep: its runs, newest state each, and its data where they are found."""

    folder: Path
    runs: list[RunResult]
    environment: dict
    dataset: Dataset | None

    @property
    def about(self) -> str:
        """Data set, seeds and precision, for captions."""
        seeds, precisions = (
            ", ".join(dict.fromkeys(str(getattr(run, name)) for run in self.runs)) for name in ("seed", "precision")
        )
        return f"{self.environment['dataset']['name']}, seed {seeds}, {precisions}."

    @property
    def best(self) -> RunResult | None:
        """The run of the best validation accuracy among those whose network was saved."""
        saved = [run for run in self.runs if model_path(self.folder / MODELS, run.run_id).exists()]
        return max(saved, key=lambda run: run.val_accuracy, default=None)


def read(folder: Path, data_dir: Path | None = None) -> Sweep:
    """Read a sweep's folder, changing nothing; DataError where there is no run in it."""
    runs, _ = Store(folder / "runs.jsonl").load(mend=False)
    runs = [run for run in newest(runs).values() if run.epochs]
    if not runs:
        raise DataError(f"{folder} holds no run yet. Give the folder that --out named, once its first run has ended.")
    try:
        dataset = load_dataset(runs[0].dataset, data_dir, download=False)
        dataset = dataset if dataset.fingerprint == _fingerprint(folder) else None
    except FastMLPError:
        dataset = None
    about = load_results(folder / "results.json")[0]
    return Sweep(
        folder, runs, about if dataset is None else about | {"dataset": described(dataset)["dataset"]}, dataset
    )


def _fingerprint(folder: Path) -> str:
    return load_results(folder / "results.json")[0]["dataset"]["fingerprint"]


def make_report(folder: Path, data_dir: Path | None = None, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Write `report.html`, `figures/` and the tables into a sweep's folder; return the page's path.

    tell(sentence) : told of what is left out. Raises DataError, OutputError or MissingExtraError.
    """
    sweep = read(folder, data_dir)
    check_folder(folder / "figures")
    pictures: list[Picture] = []

    def draw(name: str, heading: str, words: str, make: "Callable[[], Figure]") -> str:
        picture = drawn(name, heading, f"{words} {sweep.about}".strip(), make())
        pictures.append(picture)
        return figure(picture)

    with styled():
        results = _table(sweep)
        sections = [_results(sweep, results, draw), _curves(sweep, draw)]
        if search.searched([run.config for run in sweep.runs]) and _searching(sweep):
            sections.append(_search(sweep, draw))
        sections += [_network(sweep, draw, tell), _data(sweep, draw, tell), _checks(), _again(sweep)]
    for picture in pictures:
        standalone = picture.svg.replace("<svg", '<svg color="#1c2430"', 1)
        write_whole(folder / "figures" / f"{picture.name}.svg", standalone + "\n")
        write_whole(folder / "figures" / f"{picture.name}.png", picture.png)
    if results is not None:
        Derived(folder, sweep.environment).write(sweep.runs, results)
    heading = f"{len(sweep.runs)} runs on {sweep.environment['dataset']['name']}"
    write_whole(folder / "report.html", page(heading, sections))
    return folder / "report.html"


def _searching(sweep: Sweep) -> bool:
    return any(
        run.status == "pruned" or (run.status == "done" and not isfinite(run.test_accuracy)) for run in sweep.runs
    )


def _table(sweep: Sweep) -> Table | None:
    ended = [run for run in sweep.runs if run.status in ("done", "diverged")]
    if _searching(sweep):
        best = [run.config for run in sweep.runs if isfinite(run.test_accuracy)]
        return search_table(sweep.runs, best, sweep.environment)
    return results_table(ended, sweep.environment) if ended else None


_Draw = Callable[[str, str, str, "Callable[[], Figure]"], str]


def _results(sweep: Sweep, results: Table | None, draw: _Draw) -> Section:
    section = Section("Results")
    unfinished = [run for run in sweep.runs if run.status != "done"]
    if unfinished:
        states = [f"{title(run.config)}: {outcome(run)}" for run in unfinished]
        section.blocks.append(folded(f"{len(unfinished)} runs are not done", [text(state) for state in states]))
    if results is not None:
        section.blocks.append(table(results.markdown()))
    if any(isfinite(run.test_accuracy) for run in sweep.runs):
        words = "Test accuracy of each run against its time in training and validation."
        section.blocks.append(draw("times", "Accuracy and time", words, lambda: times.accuracy_and_time(sweep.runs)))
        if any(times.published(run.config) for run in sweep.runs):
            words = "Test accuracy of each run, and the report's figure for the same network and normalisation."
            section.blocks.append(draw("published", "Beside the report", words, lambda: times.beside(sweep.runs)))
    return section


def _curves(sweep: Sweep, draw: _Draw) -> Section:
    words = "One line a run."
    blocks = [
        draw(
            f"all-{what}",
            f"Validation {what} of all runs",
            words,
            lambda w=what: curves.experiments_together(sweep.runs, w),
        )
        for what in ("loss", "accuracy")
    ]
    for run in sweep.runs[:MOST_CURVES]:
        words = f"{'-'.join(map(str, run.config.layers))} {run.config.activation}: {outcome(run)}. Run {run.run_id}."
        picture = draw(f"curves-{run.run_id}", title(run.config), words, lambda r=run: curves.run_curves(r))
        blocks.append(folded(f"{title(run.config)}: {outcome(run)}", [picture]))
    if len(sweep.runs) > MOST_CURVES:
        blocks.append(text(f"The curves of the first {MOST_CURVES} of {len(sweep.runs)} runs are shown."))
    return Section("Learning curves", blocks)


def _search(sweep: Sweep, draw: _Draw) -> Section:
    runs = [run for run in sweep.runs if isfinite(run.val_accuracy)]
    configs, words = [run.config for run in runs], "Validation accuracy with the weights of the lowest validation loss."
    figures = (
        ("grid", "The grid", lambda: search.heat_map(runs, configs)),
        ("effects", "What each setting does", lambda: search.axis_effects(runs)),
        ("parallel", "All candidates", lambda: search.parallel_coordinates(runs)),
    )
    return Section("Search", [draw(name, heading, words, make) for name, heading, make in figures])


def _network(sweep: Sweep, draw: _Draw, tell: Callable[[str], None]) -> Section:
    section, run = Section("The best network"), sweep.best
    if run is None:
        section.blocks.append(text("No network is saved in models/ yet: those of tested runs are."))
        return section
    model = load_model(model_path(sweep.folder / MODELS, run.run_id))
    words = f"{title(run.config)}, run {run.run_id}: the best validation accuracy of those that were tested."
    section.blocks.append(text(words))
    section.blocks += _of_test_images(sweep, run, model, draw, tell)
    if model.layers[0] == 3072:
        words = "Weights of the first layer for each pixel, one picture a hidden unit, the largest first; grey is zero."
        weight = model.arrays()[0][0]
        section.blocks.append(draw("weights", "First-layer weights", words, lambda: images.first_weights(weight)))
    return section


def _of_test_images(
    sweep: Sweep, run: RunResult, model: Model, draw: _Draw, tell: Callable[[str], None]
) -> Iterator[str]:
    dataset = sweep.dataset
    if dataset is None:
        yield _missing(sweep, "The confusion matrix and the mistakes", tell)
        return
    labels, names = dataset.test_labels[run.config.labels], dataset.label_names[run.config.labels]
    probabilities = model.predict_proba(dataset.test_images)
    said = probabilities.argmax(axis=1)
    words = (
        f"Test images, accuracy {100 * np.mean(said == labels):.2f} %. In % of each class; below 0.5 is not written."
    )
    yield draw("confusion", "Confusion matrix", words, lambda: images.confusion(labels, said, names))
    words = "Test images of which the network was most certain, wrongly: what it said, how surely, and what they are."
    yield draw(
        "mistakes", "Most confident mistakes", words, lambda: images.mistakes(dataset, run.config.labels, probabilities)
    )


def _data(sweep: Sweep, draw: _Draw, tell: Callable[[str], None]) -> Section:
    section, dataset = Section("Data"), sweep.dataset
    if dataset is None:
        section.blocks.append(_missing(sweep, "The images and their counts", tell))
        return section
    for kind in dict.fromkeys(run.config.labels for run in sweep.runs):
        words = f"One training image of each class, at random; {kind} labels."
        section.blocks.append(
            draw(f"classes-{kind}", "One image of each class", words, lambda k=kind: images.class_samples(dataset, k))
        )
        section.blocks.append(folded(f"Images by {kind} class", [table(class_table(dataset, kind))]))
    index = REPORT_IMAGE if dataset.name == "cifar100" else 0
    section.blocks += ["<h3>Images by split</h3>", table(split_table(dataset))]
    section.blocks += [
        f"<h3>Training image {index} before and after normalisation</h3>",
        table(statistics_table(dataset, index)),
    ]
    return section


def _missing(sweep: Sweep, what: str, tell: Callable[[str], None]) -> str:
    data = sweep.environment["dataset"]
    words = (
        f"{what} are left out: {data['name']} with fingerprint {data['fingerprint']} is not on this machine, or not "
        "where it was looked for; --data-dir names the place."
    )
    tell(words)
    return text(words)


def _checks() -> Section:
    """Check gradients numerically, now: what they are does not depend on the sweep."""
    singles, directions = run_checks([64, 16, 12, 5], "tanh")
    words = "Numerical against backpropagated gradients of a small tanh network in float64, computed for this page."
    blocks = [text(words), table(to_markdown(singles, "gradient of")), table(to_markdown(directions, "direction"))]
    return Section("Gradient check", blocks)


def _again(sweep: Sweep) -> Section:
    run = sweep.best or sweep.runs[0]
    commands = (
        "python -m fastmlp.train --config sweep.toml --out again\n"
        f"python -m fastmlp.reproduce . {run.run_id}\npython -m fastmlp.report ."
    )
    words = "In this folder: the whole sweep anew, one run with its hash compared, this page anew."
    return Section("Again", [text(words), code(commands), text(f"Made on: {machine(sweep.environment)}.")])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    errors = Console(stderr=True)
    parser = argparse.ArgumentParser(
        prog="python -m fastmlp.report",
        description="Draw a sweep's figures and put them, with its tables, on one page; also while it runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that --out named")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data lies (default: the user's cache)")
    args = parser.parse_args(argv)
    try:
        if not args.folder.is_dir():
            raise ConfigError(f"{args.folder} is no folder; give the one that --out of a sweep named.")
        with errors.status("Drawing the figures"):
            path = make_report(args.folder, args.data_dir, lambda words: say(errors, words))
    except FastMLPError as error:
        say(errors, f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say(errors, "Stopped by Ctrl-C.")
        return 130
    say(errors, f"{path}, and each figure as SVG and PNG in {args.folder / 'figures'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
