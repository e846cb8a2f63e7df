"""`python -m fastmlp.reproduce DIR RUN_ID`: train a run of a sweep once more, and compare its weights and figures."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.reproduce")

import argparse
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

from fastmlp.cli.parser import Parser, place
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.errors import ConfigError, DataError
from fastmlp.files import check_no_links, temporary_folder
from fastmlp.report.words import title
from fastmlp.runs.results import RunResult, check_folder, load_results
from fastmlp.sweep.store import Store, newest
from fastmlp.table import Table
from fastmlp.terminal import Compiling, say
from fastmlp.text import plain

if TYPE_CHECKING:
    from rich.console import Console

_FIGURES = ("test_accuracy", "test_loss", "val_accuracy", "best_epoch", "epochs")
# What may make other bits of the same config: the parts of `fastmlp.runs.environment` that compute.
_COMPUTES = ("cpu", "fastmlp", "numpy", "numba", "llvmlite", "bfloat16", "int8")
_EXAMPLES = """examples:
  %(prog)s runs/all 7a720ad8d66dcbb5
  %(prog)s runs/all 7a7 --data-dir DIR      the first letters do, where they are one run's

Exit status: 0 where the weights are the same bits, 1 where they are not, 2 where it could not be tried."""


def find(runs: Sequence[RunResult], name: str) -> RunResult:
    """Return the run whose id begins with `name`; ConfigError where that is none, or several."""
    found = [run for run in runs if run.run_id.startswith(name)]
    if len(found) != 1:
        several = f"; {len(found)} begin so" if found else ""
        known = ", ".join(run.run_id for run in (found or runs)[:8])
        raise ConfigError(f"No single run is called {name!r}{several}; there are {known}{' ...' * (len(runs) > 8)}.")
    if found[0].status != "done":
        raise ConfigError(f"Run {found[0].run_id} is {found[0].status}; only one that is done can be compared.")
    return found[0]


def compared(before: RunResult, now: RunResult) -> Table:
    """Return a table of the hashes and scores of two results, side by side."""
    pairs = [("weights_sha256", before.weights_sha256[:16], now.weights_sha256[:16])]
    pairs += [(name, f"{getattr(before, name):.6g}", f"{getattr(now, name):.6g}") for name in _FIGURES]
    rows = [[name, old, new, "same" if old == new else "differs"] for name, old, new in pairs]
    return Table(
        [f"Run {before.run_id}: {title(before.config)}."], ["figure", "before", "now", "verdict"], rows, words=4
    )


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Train a run of a sweep once more and compare its weights, bit for bit, and its figures.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("folder", type=place, metavar="DIR", help="the folder that --out named")
    parser.add_argument("run_id", metavar="RUN_ID", help="its id, or the first letters")
    parser.add_argument("--data-dir", type=place, metavar="DIR", help="where the data lie (default: as in training)")
    parser.add_argument("--init-from", type=place, metavar="MODEL", help="what the run began with, if it did")
    return parser


def _load(_: Call) -> Work:
    import fastmlp.runs.run  # noqa: F401 - with the kernels

    return _reproduce


def _reproduce(args: argparse.Namespace, console: "Console") -> int:
    from fastmlp.models.file import load_model, save_model
    from fastmlp.nn.threads import blas_threads
    from fastmlp.runs.environment import environment
    from fastmlp.runs.identity import run_id
    from fastmlp.runs.run import compile_for, run_one
    from fastmlp.sweep.job import MODELS, model_path
    from fastmlp.sweep.leftovers import remove_if_free
    from fastmlp.sweep.source import dataset_of

    runs, _ = Store(args.folder / "runs.jsonl").load(mend=False)
    if not runs:
        raise DataError(f"{args.folder} holds no runs; give the folder that --out of a sweep named.")
    if (removed := remove_if_free(args.folder)).files:
        say(console, f"Removed what a killed sweep left: {removed}.")
    before = find(list(newest(runs).values()), args.run_id)
    config, there = before.config, load_results(args.folder / "results.json")[0]
    dataset = dataset_of(args.folder, config.dataset, there["dataset"]["fingerprint"], args.data_dir)
    here = environment(dataset)
    for name in _COMPUTES:
        if here[name] != (was := there.get(name)):
            say(console, f"{name} is {here[name]} here and was {was}: other bits are possible.")
    if run_id(config, dataset.fingerprint) != before.run_id:
        say(console, "The run is of a version of fastmlp that trained otherwise: other bits are to be expected.")
    start = load_model(args.init_from).parameters if args.init_from else None
    with blas_threads(config.threads):
        with Compiling(console).here():
            compile_for(config)
        status = console.status(plain(title(config)))

        def told(epoch: int, history: object) -> None:  # noqa: ARG001 - as run_one calls it
            status.update(plain(f"{title(config)}: epoch {epoch} of at most {config.epochs}, {before.epochs} before"))

        kept = model_path(args.folder / MODELS, before.run_id)
        with status, temporary_folder("fastmlp-") as place:
            file = None if isnan(before.test_accuracy) or kept.exists() else place / kept.name
            now = run_one(config, dataset, on_epoch=told, start=start, model_file=file)
            model = load_model(file) if file is not None and file.exists() else None
    print(compared(before, now).markdown(), end="")
    same = now.weights_sha256 == before.weights_sha256 and not isnan(now.test_accuracy)
    if same and model is not None:
        check_no_links(args.folder, MODELS)
        check_folder(kept.parent, option="")
        save_model(kept, model)
        say(console, f"Its model was missing, and is saved as {kept}.")
    say(console, "The same bits." if same else "The weights are others.")
    return 0 if same else 1


main = Door("reproduce", _parser, lambda args: f"training run {args.run_id} of {args.folder} once more", _load)
