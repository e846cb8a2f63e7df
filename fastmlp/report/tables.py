"""The tables of a sweep: its plan, its results with the report's published figures beside them, its candidates."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from statistics import fmean, stdev
from typing import Any

from fastmlp.config import OPTIMIZER_SETTINGS, RunConfig, dashed
from fastmlp.data import DATASET_NAMES
from fastmlp.data.normalize import AS_THEY_ARE
from fastmlp.nn.initializers import resolve
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.report.score import Score, meaning, rows_of, score_of
from fastmlp.report.words import duration, machine, repeats
from fastmlp.runs.experiments import CUSTOM, EXPERIMENTS, Experiment, published
from fastmlp.runs.results import ENDED, RunResult
from fastmlp.sweep.space import apart
from fastmlp.table import Table
from fastmlp.text import Marked

_NOTHING = "-"
_MOST_VALUES = 8  # of a setting that a line can list
_LOSS = Score("loss", form=".5g")


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
    """Return a table of test scores, a row an experiment, with the report's beside them by normalisation.

    runs : the finished ones, at least one
    environment : that of `fastmlp.runs.environment`
    wall_seconds : the time of the whole command, where one command made all runs
    """
    norms = list(dict.fromkeys(run.normalize for run in runs))
    with_report = {norm for norm in norms if any(published(run.config) for run in runs if run.normalize == norm)}
    own, score = is_own(runs[0].dataset), score_of(runs[0].config)
    columns = ["experiment", "network"] if own else ["experiment", "row", "network"]
    for norm in norms:
        columns += [norm, f"{norm}, report"] if norm in with_report else [norm]
    if own and len(norms) == 1:
        columns[-1:] = [score.heading, "loss"]
    columns += ["init", "best epoch", "epochs", "seconds"]
    rows = [
        _row(name, {norm: [run for run in some if run.normalize == norm] for norm in norms}, with_report)
        for name, some in apart(runs).items()
    ]
    rows = [[row[0], *row[2:]] for row in rows] if own else rows  # the report has no row of theirs
    return Table(_facts(runs, environment, wall_seconds, norms), columns, rows, words=2 if own else 3)


def is_own(dataset: str) -> bool:
    """Whether a data set of this name is a user's own, which the report knows nothing of."""
    return dataset not in DATASET_NAMES


def plan_table(configs: Sequence[RunConfig], seconds: Sequence[float], jobs: int) -> Table:
    """Return a table of planned runs; seconds : that each takes at most, 0 if it is finished; jobs : runs at a time."""
    folds = any(config.fold for config in configs)
    rows = [
        [
            config.experiment,
            config.normalize,
            *([str(config.fold)] if folds else []),
            str(config.seed),
            dashed(config.layers) + _kind(config),
            "finished" if at_most == 0 else duration(at_most),
        ]
        for config, at_most in zip(configs, seconds, strict=True)
    ]
    missing = sum(at_most > 0 for at_most in seconds)
    whole = max([sum(seconds) / jobs, *seconds])
    fact = f"Runs: {len(configs)}, {missing} of them to do, {jobs} at a time: {duration(whole)} at most."
    columns = ["experiment", "normalisation", *(["fold"] if folds else []), "seed", "network", "at most"]
    return Table([fact], columns, rows, words=len(columns) - 1)


def search_table(
    runs: Sequence[RunResult],
    best: Sequence[RunConfig] | None,
    environment: Mapping[str, Any],
    wall_seconds: float | None = None,
) -> Table:
    """Return a table of a search's candidates, best validation score first; best : the runs of the tested one."""
    score, groups = score_of(runs[0].config), dict[tuple[str, str], list[RunResult]]()
    for run in runs:
        groups.setdefault((run.experiment, run.normalize), []).append(run)
    chosen = {(config.experiment, config.normalize) for config in best or ()}
    ranked = sorted(groups.items(), key=lambda group: -_validation(group[1]))
    rows = [
        [
            experiment,
            norm,
            " ".join(dict.fromkeys(run.status for run in some)),
            _spread([run.val_accuracy for run in some], score),
            _spread([run.test_accuracy for run in some], score),
            str(len(some)),
            format(fmean(run.epochs for run in some), ".0f"),
            format(sum(run.seconds for run in some), ".1f"),
        ]
        for (experiment, norm), some in ranked
    ]
    folds = any(run.config.fold for run in runs)
    columns = [
        "candidate",
        "normalisation",
        "status",
        "validation",
        "test",
        "runs" if folds else "seeds",
        "epochs",
        "seconds",
    ]
    facts = _facts(runs, environment, wall_seconds, list(dict.fromkeys(run.normalize for run in runs)))
    facts[1] = (
        f"Figures: {score.heading}{meaning(score)}, with the weights of the lowest validation loss; candidates are "
        f"compared on the validation {rows_of(runs[0].config)}, and the best one alone is tested."
    )
    if folds:
        over = repeats([run.config for run in runs])
        facts[1] += (
            f" Mean ± standard deviation over {over}. Validation rows of one fold are test rows of another: the best "
            "one's test may look a little too good."
        )
    best_rows = [i for i, (name, _) in enumerate(ranked) if name in chosen]
    if all(run.normalize == AS_THEY_ARE for run in runs):
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    return Table(facts, columns, rows, words=len(columns) - 5, best=best_rows)


def _validation(runs: Sequence[RunResult]) -> float:
    mean = fmean(run.val_accuracy for run in runs)
    return mean if isfinite(mean) and all(run.status != "diverged" for run in runs) else -inf


def _spread(values: Sequence[float], score: Score) -> str:
    """Return mean and standard deviation as text; a dash where a value is not finite."""
    if not all(map(isfinite, values)):
        return _NOTHING
    shown = [score.factor * value for value in values]
    return score.text(fmean(shown)) + (f" ± {score.text(deviation(shown))}" if len(shown) > 1 else "")


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of two values or more; infinite where it is beyond all numbers."""
    try:
        return stdev(values)
    except OverflowError:  # of scores beyond the numbers whose squares are finite
        return inf


def _row(name: str, by_norm: Mapping[str, Sequence[RunResult]], with_report: set[str]) -> list[str]:
    config = next(runs[0].config for runs in by_norm.values() if runs)
    cells = [name, EXPERIMENTS.get(config.experiment, CUSTOM).row, dashed(config.layers) + _kind(config)]
    for norm, runs in by_norm.items():
        cells.append(_accuracy(runs))
        if norm in with_report:
            figure = published(runs[0].config) if runs else None
            cells.append(_NOTHING if figure is None else _percent(figure))
    if is_own(config.dataset) and len(by_norm) == 1:
        losses = [run.test_loss for runs in by_norm.values() for run in runs if run.status in ENDED]
        cells.append(_spread(losses, _LOSS) if losses else _NOTHING)
    activations = [config.activation] if isinstance(config.activation, str) else config.activation
    cells.append(" and ".join(dict.fromkeys(resolve(config.init, one) for one in activations)))
    for field, form in (("best_epoch", ".0f"), ("epochs", ".0f"), ("seconds", ".1f")):
        means = [format(fmean(getattr(run, field) for run in runs), form) for runs in by_norm.values() if runs]
        cells.append(" / ".join(means))
    return cells


def _accuracy(runs: Sequence[RunResult]) -> str:
    """Return the test score, with its spread where there are several seeds, and the runs that diverged."""
    if not runs:
        return _NOTHING
    done = [run.test_accuracy for run in runs if run.status in ENDED]
    lost = len(runs) - len(done)
    if not done:
        return "diverged"
    return _spread(done, score_of(runs[0].config)) + (f" ({lost} of {len(runs)} diverged)" if lost else "")


def _each(runs: Sequence[RunResult], field: str) -> str:
    """Return in words the values of a setting of these runs."""
    values = dict.fromkeys(value for run in runs if (value := getattr(run.config, field)) is not None)
    if len(values) > _MOST_VALUES and all(isinstance(value, int | float) for value in values):
        return f"{min(values):g} to {max(values):g} ({len(values)} values)"
    return " and ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def training_words(runs: Sequence[RunResult]) -> str:
    """Return how these runs were trained: optimiser, batch, epochs, and what is unusual."""

    def each(field: str) -> str:
        return _each(runs, field)

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
    return training + "".join(f", {name.replace('_', ' ')} {each(name)}" for name in more)


def _facts(
    runs: Sequence[RunResult], environment: Mapping[str, Any], wall_seconds: float | None, norms: Sequence[str]
) -> list[str]:
    data, config = environment["dataset"], runs[0].config
    several = len({(run.seed, run.config.fold) for run in runs}) > 1
    spread = f"; mean ± standard deviation over {repeats([run.config for run in runs])}" if several else ""
    kind, score = rows_of(config), score_of(config)
    held = f"{config.validation_fraction:.0%} of them for validation,"
    if data.get("validation_images"):
        held = f"{data['validation_images']:,} validation {kind}"
    parts = f"{data['train_images']:,} training {kind}, {held} and {data['test_images']:,} test {kind}."
    order = ", in this order also under best epoch, epochs and seconds (of one run)" if len(norms) > 1 else ""
    figures = f"Figures: test {score.heading}{meaning(score)}, with the weights of the lowest validation loss; "
    figures += f"seed {_each(runs, 'seed')}{spread}."
    return [
        f"Data set: {data['name']} ({data['source']}; fingerprint {data['fingerprint']}): {data.get('split') or parts}",
        figures,
        *([] if list(norms) == [AS_THEY_ARE] else [f"Normalisation: {' / '.join(norms)}{order}."]),
        f"Training: {training_words(runs)}.",
        *_about_published(runs),
        *about_runs(runs, environment, wall_seconds),
    ]


def about_runs(
    runs: Sequence[RunResult], environment: Mapping[str, Any], wall_seconds: float | None = None
) -> list[str]:
    """Return facts on the machine, the time and the dates of these runs."""
    took = f"in {duration(wall_seconds or 0)} of wall time with loading and compilation"
    if wall_seconds is None:
        took = f"{duration(sum(run.seconds for run in runs))} of training and validation in all"
    return [
        f"Machine: {machine(environment)}; threads a run: {_each(runs, 'threads')}.",
        f"Runs: {len(runs)}, {took}.",
        *_dates(runs),
    ]


def _dates(runs: Sequence[RunResult]) -> list[str]:
    """Return a fact with the dates of the first start and the last end of these runs; none where they are unknown."""
    began, ended = (sorted(filter(None, (getattr(run, name) for run in runs))) for name in ("started", "finished"))
    return [f"Dates (UTC): {began[0]} to {ended[-1]}."] if began and ended else []


def _about_published(runs: Sequence[RunResult]) -> list[str]:
    if is_own(runs[0].dataset):
        return []
    if runs[0].dataset != "cifar100":
        fetch = "`python -m fastmlp.data fetch cifar100` fetches it"
        return [Marked(f"The report's figures are for CIFAR-100 and so are not shown here; {fetch}.")]
    if all(published(run.config) for run in runs):
        return []
    return ["The report's figure is left out where the report did not run these settings."]
