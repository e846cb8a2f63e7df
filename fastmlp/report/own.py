"""The table of runs on own data: the test rows' metrics beside those of the best constant answer and other models."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from fastmlp.config import RunConfig, dashed
from fastmlp.report.baselines import Baseline
from fastmlp.report.tables import about_runs, deviation, training_words
from fastmlp.report.words import repeats
from fastmlp.runs.metrics import LARGE, METRICS, Metric
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
        cells = [label, _network([run.config for run in some])]
        cells += [_spread([run.test_metrics.get(key) for run in done], metric) for key, metric in metrics.items()]
        cells += [_count(some) + (f" ({lost} diverged)" if lost else "")]
        cells += [format(fmean(run.best_epoch for run in some), ".0f"), format(sum(run.seconds for run in some), ".1f")]
        rows.append(cells)
    folds = {run.config.fold for run in runs} - {0}
    by_name: dict[str, list[Baseline]] = {}
    for one in others:
        by_name.setdefault(one.name, []).append(one)
    for name, each in by_name.items():
        scores = [{} if one.scores is None else one.scores.values for one in each]
        cells = [
            name,
            "baseline",
            *(_spread([one.get(key) for one in scores], metric) for key, metric in metrics.items()),
        ]
        cells += [str(len(each)) if folds else _NOTHING, _NOTHING]
        rows.append([*cells, format(sum(one.seconds for one in each), ".1f")])
    count = "folds" if folds else "seeds"
    columns = ["model", "network", *(metric.heading for metric in metrics.values()), count, "best epoch", "seconds"]
    data = environment["dataset"]
    over = repeats([run.config for run in runs])
    several = f"; mean ± standard deviation over {over}" if any("±" in cell for row in rows for cell in row) else ""
    better = [f"{metric.name} {'high' if metric.higher else 'low'}" for metric in metrics.values()]
    whose = "each fold's" if folds else "the"
    figures = f"Figures: of {whose} test rows, with the weights of the lowest validation loss{several}. Better is: "
    notes = dict.fromkeys(f"{one.name}: {one.note}." for one in others if one.note)
    facts = [
        f"Data set: {data['name']} ({data['source']}; fingerprint {data['fingerprint']}). {words}",
        f"{figures}{', '.join(better)}.",
        *notes,
        f"Training: {training_words(runs)}.",
        *about_runs(runs, environment, wall_seconds),
    ]
    return Table(facts, columns, rows, words=2)


def folds_table(kind: str, runs: Sequence[RunResult]) -> Table:
    """Return a table with the metrics of each tested run of a cross-validation, by fold; kind : of the target."""
    metrics, several = METRICS[kind], len({run.seed for run in runs}) > 1
    rows = []
    for name, some in apart(runs).items():
        for run in sorted(some, key=lambda run: (run.config.fold, run.seed)):
            cells = [name, str(run.config.fold), *([str(run.seed)] if several else []), str(run.config.layers[0])]
            cells += [metric.text(run.test_metrics.get(key)) for key, metric in metrics.items()]
            rows.append([*cells, str(run.best_epoch)])
    columns = ["model", "fold", *(["seed"] if several else []), "inputs"]
    columns += [*(metric.heading for metric in metrics.values()), "best epoch"]
    return Table(["Of the test rows of each fold."], columns, rows, words=1)


def _count(runs: Sequence[RunResult]) -> str:
    """Return how many seeds there are, or folds, and seeds in each where there are several."""
    folds, seeds = ({getattr(run.config, name) for run in runs} for name in ("fold", "seed"))
    if not any(folds):
        return str(len(runs))
    return str(len(folds)) + (f" x {len(seeds)} seeds" if len(seeds) > 1 else "")


def _network(configs: Sequence[RunConfig]) -> str:
    """Return a network, of which folds may have more inputs or fewer, with its activations."""
    inputs = sorted({config.layers[0] for config in configs})
    first = f"{inputs[0]}..{inputs[-1]}" if len(inputs) > 1 else str(inputs[0])
    return f"{first}-{dashed(configs[0].layers[1:])} {dashed(configs[0].activation)}"


def _spread(values: Sequence[float | None], metric: Metric) -> str:
    """Return mean and standard deviation; a dash where one is not defined."""
    known = [value for value in values if value is not None and isfinite(value)]
    if not known or len(known) < len(values):
        return _NOTHING
    mean, middle = metric.text(fmean(known)), fmean(known)
    if len(known) < 2:
        return mean
    if metric.form == ".5g" and abs(middle) < LARGE:
        mean = format(middle, "z#.5g").rstrip(".")  # with the noughts at its end
    digits = len(mean.partition(".")[2])  # of the deviation no more than of the mean, as in 292.44 ± 8.94
    spread = deviation(known) * (100 if metric.unit == "%" else 1)
    plain = "e" not in mean and spread < LARGE
    return f"{mean} ± {spread:.{digits}f}" if plain else f"{mean} ± {metric.text(deviation(known))}"
