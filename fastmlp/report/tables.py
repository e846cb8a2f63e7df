"""The tables of a sweep: its plan, its results with the report's published figures beside them, its candidates."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from statistics import fmean, stdev
from typing import Any

from fastmlp.config import OPTIMIZER_SETTINGS, RunConfig, dashed
from fastmlp.nn.initializers import resolve
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.report.words import duration, machine
from fastmlp.runs.experiments import CUSTOM, EXPERIMENTS, Experiment, published
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.sweep.space import apart
from fastmlp.table import Table
from fastmlp.text import Marked

_NOTHING = "-"
_MOST_VALUES = 8  # of a setting that a line can list


def experiments_table() -> Table:
    """Return a table of the report's experiments with their published figures."""
    rows = [
        [
            experiment.name,
            experiment.row,
            "-".join(["3072", *map(str, experiment.hidden), "100" if experiment.labels == "fine" else "20"])
            + _kind(experiment),
            *(_percent(figure) for figure in experiment.published.values()),
        ]
        for experiment in EXPERIMENTS.values()
    ]
    facts = ["The report's figures: test accuracy in % on CIFAR-100 under each of its normalisations."]
    return Table(facts, ["experiment", "row", "network", "channel, report", "image, report"], rows, words=3)


def _kind(of: Experiment | RunConfig) -> str:
    """Return what a network has besides its layers: activation and, where it is not the usual one, weight decay."""
    if of.weight_decay == 0:
        return f" {dashed(of.activation)}, no weight decay"
    return f" {dashed(of.activation)}" + (", decay per batch" if of.decay_per == "batch" else "")


def _scaled(runs: Sequence[RunResult]) -> str:
    """Return in words what the weight decay of these runs is divided by; empty where by nothing."""
    decayed = [run.config.decay_per for run in runs if run.config.weight_decay]
    if "batch" not in decayed:
        return ""
    return ", divided by the batch's rows" + ("" if set(decayed) == {"batch"} else " where the network says so")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def results_table(
    runs: Sequence[RunResult], environment: Mapping[str, Any], wall_seconds: float | None = None
) -> Table:
    """Return a table of test accuracies in %, a row an experiment, with the report's beside them by normalisation.

    runs : the finished ones, at least one
    environment : that of `fastmlp.runs.environment`
    wall_seconds : the time of the whole command, where one command made all runs
    """
    norms = list(dict.fromkeys(run.normalize for run in runs))
    with_report = {norm for norm in norms if any(published(run.config) for run in runs if run.normalize == norm)}
    columns = ["experiment", "row", "network"]
    for norm in norms:
        columns += [norm, f"{norm}, report"] if norm in with_report else [norm]
    columns += ["init", "best epoch", "epochs", "seconds"]
    rows = [
        _row(name, {norm: [run for run in some if run.normalize == norm] for norm in norms}, with_report)
        for name, some in apart(runs).items()
    ]
    return Table(_facts(runs, environment, wall_seconds, norms), columns, rows, words=3)


def plan_table(configs: Sequence[RunConfig], seconds: Sequence[float], jobs: int) -> Table:
    """Return a table of planned runs; seconds : that each takes at most, 0 if it is finished; jobs : runs at a time."""
    rows = [
        [
            config.experiment,
            config.normalize,
            str(config.seed),
            dashed(config.layers) + _kind(config),
            "finished" if at_most == 0 else duration(at_most),
        ]
        for config, at_most in zip(configs, seconds, strict=True)
    ]
    missing = sum(at_most > 0 for at_most in seconds)
    whole = max([sum(seconds) / jobs, *seconds])
    fact = f"Runs: {len(configs)}, {missing} of them to do, {jobs} at a time: {duration(whole)} at most."
    return Table([fact], ["experiment", "normalisation", "seed", "network", "at most"], rows, words=4)


def search_table(
    runs: Sequence[RunResult],
    best: Sequence[RunConfig] | None,
    environment: Mapping[str, Any],
    wall_seconds: float | None = None,
) -> Table:
    """Return a table of a search's candidates, best validation accuracy first; best : the runs of the tested one."""
    groups: dict[tuple[str, str], list[RunResult]] = {}
    for run in runs:
        groups.setdefault((run.experiment, run.normalize), []).append(run)
    chosen = {(config.experiment, config.normalize) for config in best or ()}
    ranked = sorted(groups.items(), key=lambda group: -_validation(group[1]))
    rows = [
        [
            experiment,
            norm,
            " ".join(dict.fromkeys(run.status for run in some)),
            _spread([100 * run.val_accuracy for run in some]),
            _spread([100 * run.test_accuracy for run in some]),
            str(len(some)),
            format(fmean(run.epochs for run in some), ".0f"),
            format(sum(run.seconds for run in some), ".1f"),
        ]
        for (experiment, norm), some in ranked
    ]
    columns = ["candidate", "normalisation", "status", "validation", "test", "seeds", "epochs", "seconds"]
    facts = _facts(runs, environment, wall_seconds, list(dict.fromkeys(run.normalize for run in runs)))
    facts[1] = (
        "Figures: accuracy in %, with the weights of the lowest validation loss; candidates are compared on the "
        "validation images, and the best one alone is tested."
    )
    best_rows = [i for i, (name, _) in enumerate(ranked) if name in chosen]
    return Table(facts, columns, rows, words=3, best=best_rows)


def _validation(runs: Sequence[RunResult]) -> float:
    mean = fmean(run.val_accuracy for run in runs)
    return mean if isfinite(mean) and all(run.status != "diverged" for run in runs) else -inf


def _spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation as text; a dash where a value is not finite."""
    if not all(map(isfinite, values)):
        return _NOTHING
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def _row(name: str, by_norm: Mapping[str, Sequence[RunResult]], with_report: set[str]) -> list[str]:
    config = next(runs[0].config for runs in by_norm.values() if runs)
    cells = [name, EXPERIMENTS.get(config.experiment, CUSTOM).row, dashed(config.layers) + _kind(config)]
    for norm, runs in by_norm.items():
        cells.append(_accuracy(runs))
        if norm in with_report:
            figure = published(runs[0].config) if runs else None
            cells.append(_NOTHING if figure is None else _percent(figure))
    activations = [config.activation] if isinstance(config.activation, str) else config.activation
    cells.append(" and ".join(dict.fromkeys(resolve(config.init, one) for one in activations)))
    for field, form in (("best_epoch", ".0f"), ("epochs", ".0f"), ("seconds", ".1f")):
        means = [format(fmean(getattr(run, field) for run in runs), form) for runs in by_norm.values() if runs]
        cells.append(" / ".join(means))
    return cells


def _accuracy(runs: Sequence[RunResult]) -> str:
    """Return the test accuracy in %, with its spread where there are several seeds, and the runs that diverged."""
    if not runs:
        return _NOTHING
    done = [100 * run.test_accuracy for run in runs if run.status in ENDED]
    lost = len(runs) - len(done)
    if not done:
        return "diverged"
    mean = f"{fmean(done):.2f}" + (f" ± {stdev(done):.2f}" if len(done) > 1 else "")
    return mean + (f" ({lost} of {len(runs)} diverged)" if lost else "")


def _facts(
    runs: Sequence[RunResult], environment: Mapping[str, Any], wall_seconds: float | None, norms: Sequence[str]
) -> list[str]:
    def each(field: str) -> str:
        values = dict.fromkeys(value for run in runs if (value := getattr(run.config, field)) is not None)
        if len(values) > _MOST_VALUES and all(isinstance(value, int | float) for value in values):
            return f"{min(values):g} to {max(values):g} ({len(values)} values)"
        return " and ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)

    data, config = environment["dataset"], runs[0].config
    spread = "; mean ± standard deviation over the seeds" if len({run.seed for run in runs}) > 1 else ""
    images = (
        f"{data['train_images']:,} training images, {config.validation_fraction:.0%} of them for validation, and "
        f"{data['test_images']:,} test images"
    )
    optimizers = " and ".join(dict.fromkeys(OPTIMIZERS[run.config.optimizer].__name__ for run in runs))
    steps = [f"{name.replace('_', ' ')} {each(name)}" for name in OPTIMIZER_SETTINGS if each(name)]
    steps = [step + _scaled(runs) if step.startswith("weight decay") else step for step in steps]
    training = (
        f"{optimizers}, {', '.join(steps)}, batch {each('batch_size')}, up to {each('epochs')} epochs, patience "
        f"{each('patience')}, {each('precision')}, products {each('matmul')}"
    )
    training += "".join(
        f", {text} {each(name)}"
        for name, text, usual in (
            ("stopping", "stopping by", "rises"),
            ("schedule", "schedule", "constant"),
            ("augment", "images", "none"),
        )
        if any(getattr(run.config, name) != usual for run in runs)
    )
    told = {"optimizer", *OPTIMIZER_SETTINGS}
    more = dict.fromkeys(name for run in runs for name in run.config.changed if name not in told)
    training += "".join(f", {name.replace('_', ' ')} {each(name)}" for name in more)
    order = ", in this order also under best epoch, epochs and seconds (of one run)" if len(norms) > 1 else ""
    if wall_seconds is None:
        took = f"{duration(sum(run.seconds for run in runs))} of training and validation in all"
    else:
        took = f"in {duration(wall_seconds)} of wall time with loading and compilation"
    return [
        f"Data set: {data['name']} ({data['source']}; fingerprint {data['fingerprint']}): {images}.",
        f"Figures: test accuracy in %, with the weights of the lowest validation loss; seed {each('seed')}{spread}.",
        f"Normalisation: {' / '.join(norms)}{order}.",
        f"Training: {training}.",
        *_about_published(runs),
        f"Machine: {machine(environment)}; threads a run: {each('threads')}.",
        f"Runs: {len(runs)}, {took}.",
        *_dates(runs),
    ]


def _dates(runs: Sequence[RunResult]) -> list[str]:
    """Return a fact with the dates of the first start and the last end of these runs; none where they are unknown."""
    began, ended = (sorted(filter(None, (getattr(run, name) for run in runs))) for name in ("started", "finished"))
    return [f"Dates (UTC): {began[0]} to {ended[-1]}."] if began and ended else []


def _about_published(runs: Sequence[RunResult]) -> list[str]:
    if runs[0].dataset != "cifar100":
        fetch = "`python -m fastmlp.data fetch cifar100` fetches it"
        return [Marked(f"The report's figures are for CIFAR-100 and so are not shown here; {fetch}.")]
    if all(published(run.config) for run in runs):
        return []
    return ["The report's figure is left out where the report did not run these settings."]
