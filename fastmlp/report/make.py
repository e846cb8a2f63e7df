"""A sweep's page: `report.html`, its figures and its tables, written into the sweep's folder."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from fastmlp.data import Dataset
from fastmlp.data.own import Loaded
from fastmlp.errors import ConfigError
from fastmlp.files import check_no_links, write_whole
from fastmlp.report.baselines import Baseline
from fastmlp.report.page import page
from fastmlp.report.paper import Paper
from fastmlp.report.plots.style import styled
from fastmlp.report.record import FOLDERS, check_not_poorer, write_files
from fastmlp.report.sections import sections_of
from fastmlp.report.sections.results import results_of
from fastmlp.report.sweep import read
from fastmlp.runs.results import check_folder
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.leftovers import remove_if_free
from fastmlp.terminal import Compiling, say


def make_report(
    folder: Path,
    data_dir: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    *,
    data: Dataset | Loaded | None = None,
    baselines: bool = False,
    others: Sequence[Baseline] | None = None,
) -> Path:
    """Write `report.html`, `figures/` and `tables/` into a sweep's folder; return the page's path.

    data_dir : folder of the sweep's data; None: where they lay when it ran, or the cache
    data : the data set itself, for one that is in memory alone: what `run_sweep` was given, or `Trained.loaded`
    tell(sentence) : called for each part of the page that is left out
    baselines : whether to train usual models of scikit-learn's on own data, and show what they reach
    others : what simple models reach, where they were trained before

    Raises DataError, also where `data` are not the sweep's, OutputError or MissingExtraError; MissingDataError where
    `data_dir` does not hold the data, and
    ConfigError where a page made without the data would replace one made with them.
    """
    paper = Paper(read(folder, data_dir, tell, data), tell, baselines)
    if others is not None:
        paper.others = list(others)
    sweep = paper.sweep
    if sweep.dataset is None:
        check_not_poorer(folder, sweep.why_no_data)
    check_no_links(folder, *FOLDERS)
    for name in FOLDERS:
        check_folder(folder / name, option="")
    results = results_of(paper)
    with styled():
        sections = sections_of(paper, results)
    files: dict[str, str | bytes] = {}
    for picture in paper.pictures:
        files |= {f"figures/{picture.name}.svg": picture.svg, f"figures/{picture.name}.png": picture.png}
    for name, table in paper.tables.items():
        forms = {".md": table.markdown(), ".csv": table.csv(), ".json": table.json()}
        files |= {f"tables/{name}{suffix}": written for suffix, written in forms.items()}
    write_files(folder, files, with_data=sweep.dataset is not None)
    if results and not (sweep.is_own and sweep.dataset is None):  # of which the tables there now may have more
        Derived(folder, sweep.environment).write(sweep.every, results)
    heading = f"{len(sweep.runs)} run{'s' * (len(sweep.runs) != 1)} on {sweep.environment['dataset']['name']}"
    write_whole(folder / "report.html", page(heading, sections))
    return folder / "report.html"


def report(args: Namespace, console: Console) -> int:
    """Run `python -m fastmlp.report` with these options; return its exit status."""
    if not args.folder.is_dir():
        raise ConfigError(f"{args.folder} is no folder; give the one that --out of a sweep named.")
    if (removed := remove_if_free(args.folder)).files:
        say(console, f"Removed what a killed sweep left: {removed}.")
    with Compiling(console).here("Drawing the figures"):
        path = make_report(args.folder, args.data_dir, lambda words: say(console, words), baselines=args.baselines)
    say(console, f"{path}, with its figures and tables in {args.folder / 'figures'} and {args.folder / 'tables'}.")
    return 0
