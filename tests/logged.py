"""Runs for loggers, whose values tell their epoch."""

from dataclasses import replace

from fastmlp.runs.results import SERIES, RunResult
from fastmlp.sweep.loggers import figures_of
from samples import result


def run(epochs: int = 3, *, tested: bool = True, status: str = "done", seed: int = 0) -> RunResult:
    """A run whose values tell their epoch."""
    values = {name: [k + i / 8 for i in range(epochs)] for k, name in enumerate(SERIES)}
    accuracy = 0.5 if tested else float("nan")
    return replace(result(accuracy, epochs=epochs, seed=seed, status=status), history=values)


def part(whole: RunResult, epochs: int) -> dict[str, list[float]]:
    return {name: series[:epochs] for name, series in whole.history.items()}


def expected(whole: RunResult) -> list[tuple[str, int, float]]:
    told = [(name, i + 1, whole.history[name][i]) for i in range(whole.epochs) for name in SERIES]
    return told + [(name, whole.epochs, value) for name, value in figures_of(whole).items()]
