"""`fastmlp.train(data, target, **settings)`: what the command does with own data, in Python."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import numpy as np
from rich.console import Console

from fastmlp.cli.options import build_parser, parse
from fastmlp.cli.output import Output
from fastmlp.cli.own import own_of
from fastmlp.cli.plan import make_plan
from fastmlp.cli.sweep import (
    check_report,
    check_sweep,
    more_baselines,
    resolved_plan,
    with_precision,
    write_sweep_file,
)
from fastmlp.data.library import listed
from fastmlp.data.own import Loaded, load_understood
from fastmlp.errors import ConfigError, DataError, suggestion
from fastmlp.models.file import load_model
from fastmlp.models.model import Model
from fastmlp.nn.threads import blas_threads
from fastmlp.runs.fits import check_fits
from fastmlp.runs.results import ENDED, RunResult, check_folder
from fastmlp.sweep import file as sweep_file
from fastmlp.sweep.conduct import conduct
from fastmlp.sweep.epochs import OnEpoch, calling
from fastmlp.sweep.folder import opened
from fastmlp.sweep.loop import Quiet
from fastmlp.table import Table

# Options of the command that say nothing of own data, or only print.
_NOT_HERE = (
    "check_precision",
    "clean",
    "config",
    "data_dir",
    "dataset",
    "dry_run",
    "experiments",
    "init_from",
    "labels",
    "list",
    "log",
    "mirror",
    "preset",
    "quiet",
)
_IN_MEMORY = "data"


@dataclass(frozen=True)
class Trained:
    """What `fastmlp.train` returns.

    results : of all runs; result : of them the tested one of the lowest validation loss, and model : its network
    table : the metrics of the test rows beside those of the baselines
    loaded : the data set, and what was understood of it
    """

    results: list[RunResult]
    result: RunResult
    model: Model
    table: Table
    loaded: Loaded


def train(data: Any, target: Any = None, *, on_epoch: OnEpoch | None = None, **settings: Any) -> Trained:
    """Train networks on own data as `python -m fastmlp.train --data` does, and return the best one with its results.

    data : a path, a pattern or sklearn:NAME; a DataFrame of polars or pandas, or columns by name; or an array (M, ...)
        of rows, (M, D) features or images of bytes
    target : names of columns; with an array (M,) classes, texts or numbers, or (M, L) labels or numbers
    settings : options of the command, without dashes: seeds=3, hidden=[64], lr=0.01, columns={"zip": "category"},
        grid={"lr": [0.001, 0.01]}, out="runs/mine", report=True, and so on; `python -m fastmlp.train --help` lists them
    on_epoch(config, epoch, history) : called for each epoch of each run, as by `fastmlp.sweep.run_sweep`

    What is trained is a network of each seed and fold, or of each candidate of a search, of which the best is tested;
    with `out` a second call goes on from what is there. Raises the errors that the command prints.
    """
    began, quiet = time.perf_counter(), Console(quiet=True)
    watcher = calling(on_epoch, Quiet())
    in_memory = not isinstance(data, str | Path)
    arrays = in_memory and not (isinstance(data, Mapping) or hasattr(data, "columns"))
    _check_given(data, target, in_memory=in_memory, arrays=arrays)
    given = {**settings, "data": _IN_MEMORY if in_memory else str(data)}
    if target is not None and not arrays:
        given["target"] = [target] if isinstance(target, str) else list(target)
    args = _options(given)
    if args.report:
        check_report(args)
    rows, targets = (data if in_memory else None), (np.asarray(target) if arrays else None)
    found = load_understood(own_of(args), data=rows, targets=targets)
    dataset = found.dataset
    plan = make_plan(args, dataset)
    check_fits(plan.configs, dataset)
    with ExitStack() as stack:
        out = args.out or Path(stack.enter_context(TemporaryDirectory(prefix="fastmlp-")))
        check_folder(out, option="out=")
        folder = stack.enter_context(opened(out))
        args, plan, _ = with_precision(args, plan, dataset, folder)
        plan, _ = resolved_plan(args, plan, folder)
        check_sweep(args, plan, dataset, folder)
        stack.enter_context(blas_threads(plan.threads))
        if args.out and not in_memory:
            write_sweep_file(args, dataset)
        output = Output(quiet, folder, plan, dataset, began)
        conduct(plan, dataset, folder, watcher=watcher)
        output.baselines = more_baselines(args, dataset, quiet)
        results = output.known()
        tested = [run for run in results if run.status in ENDED and run.test_metrics]
        if not tested:
            reasons = dict.fromkeys(run.error or f"it is {run.status}" for run in results)
            raise DataError(f"No run came to a test: {'; '.join(reasons)}.")
        tables = output.tables()
        output.write(tables)
        best = min(tested, key=lambda run: run.history["val_loss"][run.best_epoch - 1])
        model = load_model(out / "models" / f"{best.run_id}.npz")
        if args.report:
            from fastmlp.report.make import make_report  # here: matplotlib, which only this needs

            make_report(out, data=found, others=output.baselines or None)
    return Trained(results, best, model, tables[-1], found)


def _check_given(data: Any, target: Any, *, in_memory: bool, arrays: bool) -> None:
    """Raise ConfigError for data that are none, and for a target that does not go with them."""
    if data is None:
        raise ConfigError("data is None; give a path, a DataFrame, columns by name, or an array of rows.")
    if arrays and target is None:
        raise ConfigError("The rows are an array, and there is no target; give a value for each row, (M,) or (M, L).")
    if in_memory and not arrays and not isinstance(target, str | list | tuple):
        given = "missing" if target is None else f"a {type(target).__name__}"
        names = listed([str(name) for name in (data.columns if hasattr(data, "columns") else data)])
        raise ConfigError(
            f"target is {given}, and data are a table: give the name of the column that is to be predicted, after "
            f"adding it where it is none yet. There are {names}."
        )


def _options(given: Mapping[str, Any]) -> Any:
    """Return settings as the command's options, checked as those are; ConfigError for what it would refuse."""
    parser = build_parser()

    def refuse(message: str) -> NoReturn:
        raise ConfigError(message.replace("argument --", "setting "))

    parser.error = refuse
    known = [name for name in sweep_file.options(parser) if name not in _NOT_HERE]
    words = []
    for name, value in given.items():
        if name not in known:
            meant = suggestion(name, known)
            raise ConfigError(f"There is no setting {name!r}.{meant} Settings are {', '.join(known)}.")
        if value is not None:
            words += sweep_file.words(parser, name, _plain(name, value))
    return parse(parser, words)


def _plain(name: str, value: Any) -> Any:
    """Return a value in the form that a sweep's file has for it."""
    if isinstance(value, Mapping):
        pairs = [f"{key}={','.join(map(_dashed, _listed(one)))}" for key, one in value.items()]
        return ",".join(pairs) if name == "columns" else pairs
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _dashed(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
