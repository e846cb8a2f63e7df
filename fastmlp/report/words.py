"""Runs, times and machines in words, for lines of text."""

from collections.abc import Mapping
from math import isnan
from typing import Any

from fastmlp.config import RunConfig, dashed
from fastmlp.runs.results import ENDED, RunResult


def title(config: RunConfig) -> str:
    """Return the name of a run among those of a sweep: experiment, normalisation, seed."""
    return f"{config.experiment}, {config.normalize}, seed {config.seed}"


def network(config: RunConfig) -> str:
    """Return a run's network, and what is unusual in how it was trained."""
    settings = [f"{name.replace('_', ' ')} {value}" for name, value in config.changed.items()]
    return ", ".join([f"{dashed(config.layers)} {dashed(config.activation)}", *settings])


def outcome(result: RunResult) -> str:
    """Return a finished run in a few words."""
    if result.status == "failed":
        return f"failed: {result.error}"
    if result.status in ("interrupted", "pruned"):
        return f"{result.status} after epoch {result.epochs}, validation accuracy {100 * result.val_accuracy:.2f} %"
    if result.status in ENDED and isnan(result.test_accuracy):
        return (
            f"validation accuracy {100 * result.val_accuracy:.2f} %, best epoch {result.best_epoch} of {result.epochs}"
        )
    if result.status == "diverged":
        what = "the loss is no longer finite, or far above that of the first"
        return f"diverged in epoch {result.epochs}: {what}; a lower --lr may help"
    return (
        f"test accuracy {100 * result.test_accuracy:.2f} %, best epoch {result.best_epoch} of {result.epochs}, "
        f"{duration(result.seconds)}, {result.images_per_second:,.0f} images/s"
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
