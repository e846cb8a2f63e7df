"""A search among candidates: they are compared on the validation images, and the best one is tested, once."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import inf, isfinite, isnan, nan
from statistics import fmean

from fastmlp.config import RunConfig
from fastmlp.runs.results import RunResult
from fastmlp.sweep.folder import Folder
from fastmlp.sweep.halving import rungs, survivors
from fastmlp.sweep.loop import Sweep

Candidate = list[RunConfig]
"""The runs of one candidate, which differ in seed and fold."""


def search(
    sweep: Sweep, folder: Folder, candidates: Sequence[Candidate], retry: Collection[str] = (), eta: int | None = None
) -> Candidate | None:
    """Train the candidates, test the best and return it; None where none came to an end.

    retry : statuses of runs to begin anew; eta : of successive halving, None: all are trained to their end

    All decisions follow from the folder's results, so that a search that is resumed decides as before.
    """
    alive = list(candidates)
    epochs = max(config.epochs for candidate in alive for config in candidate)
    for rung in rungs(epochs, len(alive), eta) if eta is not None else [epochs]:
        _train(sweep, folder, alive, retry, rung if rung < epochs else None)
        retry = ()
        if rung < epochs and eta is not None:
            going_on = [alive[i] for i in survivors([score(folder, c, sweep.fingerprint, rung) for c in alive], eta)]
            _prune(folder, [c for c in alive if c not in going_on], sweep.fingerprint)
            alive = going_on
    best = best_of(folder, alive, sweep.fingerprint)
    if best is not None:
        sweep.run(folder.missing(best, sweep.fingerprint))
    return best


def _train(
    sweep: Sweep, folder: Folder, candidates: Sequence[Candidate], retry: Collection[str], until: int | None
) -> None:
    """Train all candidates that have not reached the end of a rung to it; until : its last epoch."""
    configs = [config for candidate in candidates for config in candidate]
    to_run = folder.missing(configs, sweep.fingerprint, retry, test=False)
    if until is not None:
        there = folder.known_of(to_run, sweep.fingerprint)
        reached = {result.config for result in there if result.status == "interrupted" and result.epochs >= until}
        to_run = [config for config in to_run if config not in reached]
    sweep.run(to_run, until=until, test=False)


def _prune(folder: Folder, candidates: Sequence[Candidate], fingerprint: str) -> None:
    for candidate in candidates:
        for result in folder.known_of(candidate, fingerprint):
            if result.status == "interrupted":
                folder.keep(replace(result, status="pruned"))


def score(folder: Folder, candidate: Candidate, fingerprint: str, epochs: int | None = None) -> float:
    """Return a candidate's mean validation accuracy over its seeds and folds, NaN where one of them failed or diverged.

    epochs : how many of each run count, None: all; a rung's decision must not change with epochs after it
    """
    results = folder.known_of(candidate, fingerprint)
    return fmean(_accuracy(result, epochs) for result in results) if len(results) == len(candidate) else nan


def _accuracy(result: RunResult, epochs: int | None) -> float:
    """Return the validation accuracy at the lowest validation loss."""
    losses, accuracies = (result.history[name][:epochs] for name in ("val_loss", "val_accuracy"))
    diverged = result.status == "diverged" and (epochs is None or result.epochs <= epochs)
    if result.status == "failed" or diverged or not losses or not all(map(isfinite, losses)):
        return nan
    return accuracies[losses.index(min(losses))]


def best_of(folder: Folder, candidates: Sequence[Candidate], fingerprint: str) -> Candidate | None:
    """Return the candidate of the best score, the first of equal ones; None where none has one.

    Pruned candidates have no score, as theirs would be of fewer epochs.
    """
    candidates = [c for c in candidates if all(r.status != "pruned" for r in folder.known_of(c, fingerprint))]
    scores = [score(folder, candidate, fingerprint) for candidate in candidates]
    best = max(range(len(scores)), key=lambda i: -inf if isnan(scores[i]) else scores[i], default=None)
    return None if best is None or isnan(scores[best]) else candidates[best]
