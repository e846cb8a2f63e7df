"""A sweep's folder: the results it has, the runs that are still to do, and the file that each new result goes to."""

import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from shutil import rmtree
from typing import Any

from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError
from fastmlp.files import check_no_links
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.sweep.job import BOARD, CHECKPOINTS, DATA, MODELS, model_path
from fastmlp.sweep.leftovers import remove_leftovers, temporary
from fastmlp.sweep.lock import WORK, held
from fastmlp.sweep.store import Store, newest


class Folder:
    """A sweep's folder while it is open; made by `opened`.

    work : folder of files that last as long as the sweep; out : the sweep's folder, or None to keep nothing
    reads : whether nothing may be changed or made
    known : results by run id, each of which is in `runs.jsonl` first; notes : sentences on damage in that file
    """

    def __init__(self, work: Path, out: Path | None, *, reads: bool = False) -> None:
        self.work, self.out, self.notes, self._reads = work, out, list[str](), reads
        self._anew = set[str]()
        self.known: dict[str, RunResult] = {}
        self.models = None if out is None else out / MODELS
        self._store = None if out is None else Store(out / "runs.jsonl")
        if self._store is not None:
            runs, self.notes = self._store.load(mend=not reads)
            self.known = newest(runs)

    def keep(self, result: RunResult) -> None:
        """Add a result; remove the run's checkpoint unless it may resume. A resumed run keeps its first start."""
        before = self.known.get(result.run_id)
        if before is not None and before.started and result.run_id not in self._anew:
            result = replace(result, started=before.started)
        self._anew.discard(result.run_id)
        if self._store is not None:
            self._store.append(result)
        self.known[result.run_id] = result
        if not _goes_on(result):
            self.drop_checkpoint(result.run_id)

    def drop_checkpoint(self, name: str) -> None:
        """Remove a run's checkpoint: if it runs again, it begins anew."""
        with suppress(OSError):  # it would go on from there to the same bits
            (self.work / CHECKPOINTS / f"{name}.npz").unlink()

    def known_of(self, configs: Iterable[RunConfig], fingerprint: str) -> list[RunResult]:
        """Return the results of those of these runs that have one, in their order."""
        names = (run_id(config, fingerprint) for config in configs)
        return [self.known[name] for name in names if name in self.known]

    def missing(
        self, configs: Sequence[RunConfig], fingerprint: str, retry: Collection[str] = (), *, test: bool = True
    ) -> list[RunConfig]:
        """Return the configs that are still to run, interrupted ones among them, which resume from their checkpoints.

        retry : statuses of runs to begin anew; test : whether a run is finished only once it was tested
        """
        to_run = []
        for config in configs:
            name = run_id(config, fingerprint)
            result = self.known.get(name)
            if result is not None and result.status in retry:
                if not self._reads:
                    self._anew.add(name)
                    self.drop_checkpoint(name)
            elif result is not None and _finished(result, test=test):
                continue
            to_run.append(config)
        return to_run

    def without_models(self, configs: Iterable[RunConfig], fingerprint: str) -> list[str]:
        """Return a sentence, in a list, on those of these runs that were tested and whose model's file is gone."""
        if self.models is None:
            return []
        tested = [run.run_id for run in self.known_of(configs, fingerprint) if isfinite(run.test_accuracy)]
        lacking = [name for name in tested if not model_path(self.models, name).exists()]
        if not lacking:
            return []
        names, runs = ", ".join(lacking[:8]) + " ..." * (len(lacking) > 8), f"run{'s' * (len(lacking) > 1)}"
        again = f"python -m fastmlp.reproduce {shlex.quote(str(self.out))} RUN_ID"
        return [
            f"{self.models} lacks the models of {len(lacking)} finished {runs}: {names}. To make one again: {again}"
        ]

    def check_sweep(self, configs: Sequence[RunConfig], fingerprint: str) -> None:
        """Raise ConfigError where the folder has results of other runs than these, and so holds another sweep."""
        planned = {run_id(config, fingerprint) for config in configs}
        for name, result in self.known.items():
            if name not in planned:
                raise ConfigError(f"--out {self.out} holds another sweep: {_difference(result.config, configs)}")

    def clean(self, *, ended: bool = True) -> None:
        """Remove what only a running sweep needs: the mapped data, the board, and checkpoints that no run resumes.

        Interrupted runs keep theirs and, unless the sweep has `ended`, so do those that are still to be tested. What
        cannot be removed now, the next sweep removes.
        """
        rmtree(self.work / DATA, ignore_errors=True)
        with suppress(OSError):
            (self.work / BOARD).unlink()
        for name, result in self.known.items():
            if result.status != "interrupted" and (ended or not _goes_on(result)):
                self.drop_checkpoint(name)


def _goes_on(result: RunResult) -> bool:
    """Whether a run may resume from its checkpoint: to its end, or to its test."""
    return result.status == "interrupted" or (result.status in ENDED and not isfinite(result.test_accuracy))


def _finished(result: RunResult, *, test: bool) -> bool:
    if result.status in ENDED:
        return isfinite(result.test_accuracy) or not test
    return result.status in ("diverged", "failed") or (result.status == "pruned" and not test)


def _difference(there: RunConfig, configs: Sequence[RunConfig]) -> str:
    """Return a sentence on how a run differs from the one of `configs` most like it, and what to do."""

    def differing(config: RunConfig) -> dict[str, tuple[Any, Any]]:
        here, old = asdict(config), asdict(there)
        return {name: (old[name], here[name]) for name in old if old[name] != here[name]}

    differences = min(map(differing, configs), key=len)
    if not differences:
        other = "other data, or another number of --folds" if there.fold else "other data"
        return f"its runs are of {other}, or of a version of fastmlp that trained otherwise. Choose another --out."
    told = [f"{name} is {old!r} there and {new!r} here" for name, (old, new) in differences.items()]
    return "; ".join(told) + ". Give the options that its sweep.toml has, or choose another --out."


@contextmanager
def opened(out: Path | None, *, looking: bool = False) -> Iterator[Folder]:
    """Lock a folder for one sweep and yield it; a temporary one, without a store, where `out` is None.

    looking : whether the folder is only read, without a lock; it need not exist

    Leftovers of a killed sweep are removed. Raises ConfigError where another sweep holds the folder, OutputError or
    DataError where it cannot be used.
    """
    if looking:
        yield Folder(Path(), out, reads=True)
        return
    if out is None:
        with temporary() as place:
            yield Folder(place / WORK, None)
        return
    with held(out) as notes:
        check_no_links(out, f"{WORK}/{DATA}", f"{WORK}/{CHECKPOINTS}", MODELS)
        removed = remove_leftovers(out)
        folder = Folder(out / WORK, out)
        folder.notes[:0] = [*notes, f"Removed what it left: {removed}."] if removed.files else notes
        try:
            yield folder
        except BaseException:
            folder.clean(ended=False)
            raise
        folder.clean()
