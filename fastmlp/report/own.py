"""The table of runs on own data: the test rows' metrics beside those of the best constant answer and other models."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from fastmlp.config import dashed
from fastmlp.report.baselines import Baseline
from fastmlp.report.tables import about_runs, deviation, training_words
from fastmlp.runs.metrics import METRICS, Metric
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.sweep.space import apart
from fastmlp.table import Table

_NOTHING = "-"


def own_table(
    kind: str,
    runs: Sequence[RunResult],
    others: Sequence[Baseline],
    environment: Mapping[str, Any],
    words: str,
    wall_seconds: float | None = None,
) -> Table:
    """Return a table with the metrics of tested runs, a row a network, and of the baselines under them.

    kind : of the target; words : how the rows were split; wall_seconds : of the whole command, where it made all runs
    """
    metrics = METRICS[kind]
    rows = []
    for name, some in apart(runs).items():
        done = [run for run in some if run.status in ENDED]
        lost = len(some) - len(done)
        label = f"{name}, {some[0].normalize}" if len({run.normalize for run in runs}) > 1 else name
        cells = [label, dashed(some[0].config.layers) + f" {dashed(some[0].config.activation)}"]
        cells += [_spread([run.test_metrics.get(key) for run in done], metric) for key, metric in metrics.items()]
        cells += [str(len(some)) + (f" ({lost} diverged)" if lost else "")]
        cells += [format(fmean(run.best_epoch for run in some), ".0f"), format(sum(run.seconds for run in some), ".1f")]
        rows.append(cells)
    for one in others:
        values = {} if one.scores is None else one.scores.values
        cells = [one.name, "baseline", *(metric.text(values.get(key)) for key, metric in metrics.items())]
        rows.append([*cells, _NOTHING, _NOTHING, format(one.seconds, ".1f")])
    columns = ["model", "network", *(metric.heading for metric in metrics.values()), "seeds", "best epoch", "seconds"]
    data = environment["dataset"]
    several = "; mean ± standard deviation over the seeds" if any("±" in cell for row in rows for cell in row) else ""
    better = [f"{metric.name} {'high' if metric.higher else 'low'}" for metric in metrics.values()]
    figures = f"Figures: of the test rows, with the weights of the lowest validation loss{several}. Better is: "
    facts = [
        f"Data set: {data['name']} ({data['source']}; fingerprint {data['fingerprint']}). {words}",
        f"{figures}{', '.join(better)}.",
        *(f"{one.name}: {one.note}." for one in others if one.note),
        f"Training: {training_words(runs)}.",
        *about_runs(runs, environment, wall_seconds),
    ]
    return Table(facts, columns, rows, words=2)


def _spread(values: Sequence[float | None], metric: Metric) -> str:
    """Return mean and standard deviation; a dash where one is not defined."""
    known = [value for value in values if value is not None and isfinite(value)]
    if not known or len(known) < len(values):
        return _NOTHING
    return metric.text(fmean(known)) + (f" ± {metric.text(deviation(known))}" if len(known) > 1 else "")
