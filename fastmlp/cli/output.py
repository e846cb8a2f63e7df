"""The output of `python -m fastmlp.train`: files of results while the sweep runs, and the table however it ends."""

import time
from collections.abc import Sequence

from rich.console import Console

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.report.baselines import Baseline
from fastmlp.report.own import own_table
from fastmlp.report.tables import results_table, search_table
from fastmlp.runs.environment import environment
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.folder import Folder
from fastmlp.sweep.plan import Plan, candidates_of
from fastmlp.sweep.search import best_of
from fastmlp.table import Table
from fastmlp.terminal import print_table, say


class Output:
    """Writer of a plan's results, as its folder holds them; began : when the command began."""

    def __init__(self, console: Console, folder: Folder, plan: Plan, dataset: Dataset, began: float) -> None:
        self._console, self._folder, self._plan, self._fingerprint = console, folder, plan, dataset.fingerprint
        self.environment = environment(dataset)
        self._derived = None if folder.out is None else Derived(folder.out, self.environment)
        self._dataset = dataset
        self.baselines: list[Baseline] = []
        """What simple models reach on own data, once training is done."""
        self._began = None if self.known() else began  # the time of a part of a sweep says nothing of the sweep

    def known(self) -> list[RunResult]:
        """Return the present results, in the plan's order."""
        return self._folder.known_of(self._plan.configs, self._fingerprint)

    def now_and_then(self) -> None:
        """Write the present results, unless that was done a moment ago."""
        if self._derived:
            self._derived.now_and_then(self.known, lambda words: say(self._console, words))

    def end(self) -> None:
        """Print and write the tables of the finished runs; OutputError where they cannot be written."""
        known, plan = self.known(), self._plan
        left = len(plan.configs) - sum(result.status != "interrupted" for result in known)
        if left:
            say(self._console, f"{len(plan.configs) - left} of {len(plan.configs)} runs have finished.")
        tables = self.tables()
        try:
            self.write(tables)
        finally:  # neither may cost the other
            for table in tables:
                print_table(table)

    def write(self, tables: Sequence[Table]) -> None:
        """Write the files of the finished runs; OutputError where they cannot be written."""
        if self._derived and tables:
            self._derived.write(self.known(), tables)

    def tables(self) -> list[Table]:
        """Return the tables of the finished runs: of a search its candidates, and of own data the metrics last."""
        known, plan = self.known(), self._plan
        ended = [result for result in known if result.status in (*ENDED, "diverged")]
        if not ended:
            return []
        wall = None if self._began is None else time.perf_counter() - self._began
        best: Sequence[RunConfig] = [result.config for result in ended]
        tables = []
        if plan.search:
            best = best_of(self._folder, candidates_of(plan.configs), self._fingerprint) or []
            tables.append(search_table(known, best, self.environment, wall))
        if self._dataset.reading is None:
            return tables or [results_table(ended, self.environment, wall)]
        tested = [result for result in ended if result.config in best]
        if tested:
            kind, words = self._dataset.kinds[tested[0].config.labels], self._dataset.words
            tables.append(own_table(kind, tested, self.baselines, self.environment, words, wall))
        return tables
