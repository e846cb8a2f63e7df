"""The output of `python -m fastmlp.train`: files of results while the sweep runs, and the table however it ends."""

import time

from rich.console import Console

from fastmlp.data import Dataset
from fastmlp.report.tables import results_table, search_table
from fastmlp.runs.environment import environment
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.folder import Folder
from fastmlp.sweep.plan import Plan, candidates_of
from fastmlp.sweep.search import best_of
from fastmlp.terminal import print_table, say


class Output:
    """Writer of a plan's results, as its folder holds them; began : when the command began."""

    def __init__(self, console: Console, folder: Folder, plan: Plan, dataset: Dataset, began: float) -> None:
        self._console, self._folder, self._plan, self._fingerprint = console, folder, plan, dataset.fingerprint
        self.environment = environment(dataset)
        self._derived = None if folder.out is None else Derived(folder.out, self.environment)
        self._began = None if self.known() else began  # the time of a part of a sweep says nothing of the sweep

    def known(self) -> list[RunResult]:
        """Return the present results, in the plan's order."""
        return self._folder.known_of(self._plan.configs, self._fingerprint)

    def now_and_then(self) -> None:
        """Write the present results, unless that was done a moment ago."""
        if self._derived:
            self._derived.now_and_then(self.known, lambda words: say(self._console, words))

    def end(self) -> None:
        """Print and write the table of the finished runs; OutputError where it cannot be written."""
        known, plan = self.known(), self._plan
        best = best_of(self._folder, candidates_of(plan.configs), self._fingerprint) if plan.search else None
        left = len(plan.configs) - sum(result.status != "interrupted" for result in known)
        if left:
            say(self._console, f"{len(plan.configs) - left} of {len(plan.configs)} runs have finished.")
        ended = [result for result in known if result.status in (*ENDED, "diverged")]
        if not ended:
            return
        wall = None if self._began is None else time.perf_counter() - self._began
        if plan.search:
            table = search_table(known, best, self.environment, wall)
        else:
            table = results_table(ended, self.environment, wall)
        try:
            if self._derived:
                self._derived.write(known, table)
        finally:  # neither may cost the other
            print_table(table)
