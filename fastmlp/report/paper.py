"""A page in the making: the sections add their figures and tables to it, which become files too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from fastmlp.nn.threads import usable_cores
from fastmlp.report.baselines import Baseline, baselines_of
from fastmlp.report.page import figure, table, text
from fastmlp.report.plots.images import Tiles
from fastmlp.report.plots.picture import Picture, drawn, gallery
from fastmlp.report.sweep import Sweep
from fastmlp.runs.results import RunResult
from fastmlp.sweep.source import kept_baselines
from fastmlp.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Paper:
    """A page in the making: the sections add figures and tables to it, which are kept as they become files too.

    tell(sentence) : called for each part that is left out; baselines : whether usual models are trained, to compare
    tables : by name; places : the anchors that a link on the page can lead to
    """

    sweep: Sweep
    tell: Callable[[str], None]
    baselines: bool = False
    pictures: list[Picture] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)

    @cached_property
    def others(self) -> list[Baseline]:
        """What simple models reach on the test rows of own data; none where these were not found."""
        dataset = self.sweep.dataset
        target = self.sweep.runs[0].config.labels
        if dataset is None or not self.sweep.is_own or target not in dataset.kinds:
            return []
        return baselines_of(
            dataset,
            target,
            threads=usable_cores(),
            tell=self.tell,
            models=self.baselines or kept_baselines(self.sweep.folder),
        )

    def draw(
        self, name: str, heading: str, words: str, make: "Callable[[bool], Figure]", runs: Sequence[RunResult]
    ) -> str:
        """Add a figure and return its HTML; make(narrow) : draws it; runs : those that it shows, none for data."""
        return self._shown(drawn(name, heading, f"{words} {self.sweep.about(runs)}", make))

    def show(self, name: str, heading: str, words: str, tiles: Tiles, runs: Sequence[RunResult]) -> str:
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
        if self.sweep.is_own:
            return self.missing(what, self.sweep.why_no_data)
        return self.missing(
            what,
            f"{data['name']} with fingerprint {data['fingerprint']} is not on this machine, or not where it was "
            "looked for; --data-dir names the place.",
        )
