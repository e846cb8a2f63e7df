"""The files derived from a sweep's results: results.json, table.md and table.csv, each replaced in one step."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastmlp.config import dashed
from fastmlp.errors import OutputError
from fastmlp.files import write_whole
from fastmlp.runs.results import RunResult, write_results
from fastmlp.table import Table
from fastmlp.text import csv_line

# Writing all results again may take this share of a sweep's time.
_SHARE = 0.02


class Derived:
    """Writer of the derived files in `folder`; environment : that of `fastmlp.runs.environment`."""

    def __init__(self, folder: Path, environment: Mapping[str, Any]) -> None:
        self._folder, self._environment = folder, environment
        self._next, self._told = 0.0, False

    def now_and_then(self, runs: Callable[[], Sequence[RunResult]], tell: Callable[[str], None]) -> None:
        """Write results.json, unless that would take more than 2 % of the sweep's time; runs() : those to write.

        tell(sentence) : called once where it cannot be written; `runs.jsonl` has all that it would hold
        """
        start = time.perf_counter()
        if start >= self._next:
            try:
                write_results(self._folder / "results.json", self._environment, runs())
            except OutputError as error:
                if not self._told:
                    tell(f"{error} The sweep goes on, and tries again.")
                self._told = True
            end = time.perf_counter()
            self._next = end + (end - start) / _SHARE

    def write(self, runs: Sequence[RunResult], tables: Sequence[Table]) -> None:
        """Write all three files; table.md has these tables."""
        write_results(self._folder / "results.json", self._environment, runs)
        write_whole(self._folder / "table.md", "\n".join(table.markdown() for table in tables))
        write_whole(self._folder / "table.csv", as_csv(runs))


def as_csv(runs: Sequence[RunResult]) -> str:
    """Return runs as CSV, a line a run: its name, status, config and figures, without the history."""
    figures = ("val_accuracy", "test_accuracy", "test_loss", "best_epoch", "epochs", "seconds", "images_per_second")
    rows, known = [], {name for run in runs for name in run.config.to_json()}
    for run in runs:
        data = run.to_json()
        values = {name: value for name, value in vars(run.config).items() if name in known}
        config = {name: dashed(value) if isinstance(value, tuple) else value for name, value in values.items()}
        config["max_epochs"] = config.pop("epochs")  # a figure has this name too
        rows.append({"run_id": run.run_id, "status": run.status, **config}
            | {name: data[name] for name in (*figures, "started", "finished", "weights_sha256", "error")})  # fmt: skip
    return "".join(map(csv_line, [rows[0], *(row.values() for row in rows)]))
