"""Runs, times and machines in words, for lines of text."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from fastmlp.config import RunConfig, dashed
from fastmlp.data.normalize import AS_THEY_ARE
from fastmlp.report.score import rows_of, score_of
from fastmlp.runs.results import ENDED, RunResult


def title(config: RunConfig) -> str:
    """Return the name of a run among those of a sweep: experiment, normalisation, fold, seed."""
    norm = "" if config.normalize == AS_THEY_ARE else f"{config.normalize}, "
    fold = f"fold {config.fold}, " if config.fold else ""
    return f"{config.experiment}, {norm}{fold}seed {config.seed}"


def repeats(configs: Sequence[RunConfig]) -> str:
    """Return over what these runs repeat one candidate, as in "the 5 folds" or "3 seeds in each of 5 folds"."""
    folds, seeds = ({getattr(config, name) for config in configs} for name in ("fold", "seed"))
    if not any(folds):
        return "the seeds"
    return f"{len(seeds)} seeds in each of {len(folds)} folds" if len(seeds) > 1 else f"the {len(folds)} folds"


def normalized(config: RunConfig) -> str:
    """Return the normalisation of a run, for a legend; of rows as they are, nothing but that it is a run."""
    return "a run" if config.normalize == AS_THEY_ARE else config.normalize


def network(config: RunConfig) -> str:
    """Return a run's network, and what is unusual in how it was trained."""
    settings = [f"{name.replace('_', ' ')} {value}" for name, value in config.changed.items()]
    return ", ".join([f"{dashed(config.layers)} {dashed(config.activation)}", *settings])


def outcome(result: RunResult) -> str:
    """Return a finished run in a few words."""
    score = score_of(result.config)
    validated = f"validation {score.words(result.val_accuracy)}"
    if result.status == "failed":
        return f"failed: {result.error}"
    if result.status in ("interrupted", "pruned"):
        return f"{result.status} after epoch {result.epochs}, {validated}"
    if result.status in ENDED and isnan(result.test_accuracy):
        return f"{validated}, best epoch {result.best_epoch} of {result.epochs}"
    if result.status == "diverged":
        what = "the loss is no longer finite, or far above that of the first"
        return f"diverged in epoch {result.epochs}: {what}; a lower --lr may help"
    return (
        f"test {score.words(result.test_accuracy)}, best epoch {result.best_epoch} of {result.epochs}, "
        f"{duration(result.seconds)}, {result.images_per_second:,.0f} {rows_of(result.config)}/s"
    )


def machine(environment: Mapping[str, Any]) -> str:
    """Return an environment's machine and libraries in one line."""
    blas = environment["blas"]
    libraries = ", ".join(f"{name} {environment[name]}" for name in ("numpy", "numba", "fastmlp"))
    return (
        f"{environment['cpu']}, {environment['usable_cores']} of {environment['cores']} cores, {environment['os']}, "
        f"Python {environment['python']}, {libraries}, "
        + (f"{blas['name']} {blas['version']} ({blas['kernels']} kernels)" if blas else "no BLAS found")
    )


def duration(seconds: float) -> str:
    """Return a duration in words: "1 h 5 min", "2 min 10 s" or "3.4 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
