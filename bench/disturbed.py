"""A small search by the command, in this process, and what must be true of its folder however it was disturbed."""

import io
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from fastmlp import train as command
from fastmlp.cli import output
from fastmlp.cli import sweep as cli
from fastmlp.data import Dataset
from fastmlp.errors import MissingDataError
from fastmlp.report import __main__ as report
from fastmlp.report import make
from fastmlp.report import sweep as swept
from fastmlp.report.paper import Paper
from fastmlp.runs import checkpoint, run
from fastmlp.runs.results import ENDED, RunResult, load_results
from fastmlp.sweep import conduct, derived
from fastmlp.sweep.folder import Folder
from fastmlp.sweep.store import Store, newest

# A search whose last rung two candidates of three do not reach; each run is saved after each epoch.
SEARCH = (
    "--dataset", "embedded", "--layers", "12,3,3", "--normalize", "image", "--epochs", "4", "--batch-size", "16",
    "--grid", "lr=0.1,0.2,0.3", "--halving", "2", "--matmul", "packed", "--threads", "1", "--workers", "threads",
    "--jobs", "1",
)  # fmt: skip


class Inline(Executor):
    """Does each job at once, in this thread."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def tiny() -> Dataset:
    """Return a data set of small pictures, each class with a bright pixel of its own."""
    rng = np.random.default_rng(5)
    labels = rng.integers(3, size=120)
    pixels = rng.integers(0, 200, (120, 12), np.uint8)
    pixels[np.arange(120), labels] = 255
    names = {"coarse": ("a", "b", "c")}
    halves = ((pixels[i : i + 60], {"coarse": labels[i : i + 60]}) for i in (0, 60))
    return Dataset("embedded", *next(halves), *next(halves), names, source="made to be disturbed")


@contextmanager
def quick() -> Iterator[None]:
    """Make the command small: tiny data, all in this thread, figures drawn once, a checkpoint after each epoch."""
    dataset, drawn = tiny(), make.sections_of
    known = output.environment(dataset)
    kept: list[Any] = []

    def drawn_once(paper: Paper, results: Any) -> Any:
        if not kept:
            kept.extend([drawn(paper, results), paper.pictures, paper.tables])
        paper.pictures, paper.tables = kept[1:]
        return kept[0]

    with ExitStack() as stack:
        for owner, name, new in (
            (cli, "load_dataset", lambda *_, **__: dataset),
            (output, "environment", lambda _: known),
            (swept, "dataset_of", _no_data),
            (make, "sections_of", drawn_once),
            (conduct, "ThreadPoolExecutor", Inline),
            (run, "CHECKPOINT_SECONDS", 0.0),
            (derived, "_SHARE", 1e9),
            (Store, "append", _append),
            (os, "fsync", lambda _: None),  # what it is for is looked at without a disk
        ):
            stack.enter_context(mock.patch.object(owner, name, new))
        yield


def _no_data(*_: object) -> Dataset:
    raise MissingDataError("The data are of no known width.")


appended: list[RunResult] = []
"""What the command's store has taken, in order."""
_append_as_usual = Store.append


def _append(store: Store, result: RunResult) -> None:
    _append_as_usual(store, result)
    appended.append(result)


class Ended(NamedTuple):
    """How a command ended: its exit status, None after a traceback, and what it said on stderr."""

    status: int | None
    said: str


def ended(command: Callable[[], int]) -> Ended:
    """Give a command in this process."""
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(io.StringIO()):
        try:
            status = command()
        except BaseException:
            status = None
            traceback.print_exc()
    return Ended(status, said.getvalue())


def train(out: Path) -> Ended:
    """Give the search's command."""
    return ended(lambda: command.main([*SEARCH, "--out", str(out)]))


def draw(out: Path) -> Ended:
    """Give the command that draws its page."""
    return ended(lambda: report.main([str(out)]))


Facts = dict[str, Any]


def facts(out: Path) -> Facts:
    """Return what two sweeps of the same bits have in common: results, models, and the names of all files."""
    results = out / "results.json"
    runs = load_results(results)[1] if results.exists() else []
    return {
        "runs": [(one.run_id, one.status, one.weights_sha256, one.test_accuracy, one.history) for one in runs],
        "models": {path.name: path.read_bytes() for path in (out / "models").glob("*")},
        "files": sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and not _aside(path)),
    }


def _aside(path: Path) -> bool:
    """Whether damaged lines are in it, as a kill may have left them or not."""
    return path.name.startswith("runs.jsonl.damaged-")


def differing(found: Facts, right: Facts) -> list[str]:
    """Say in what two sweeps differ."""
    sentences = [f"{name} differ" for name in ("runs", "models") if repr(found[name]) != repr(right[name])]
    return sentences + [f"there is {name}" for name in set(found["files"]) - set(right["files"])] + [
        f"{name} is missing" for name in set(right["files"]) - set(found["files"])
    ]  # fmt: skip


def _known(out: Path) -> dict[str, RunResult]:
    return newest(Store(out / "runs.jsonl").load(mend=False)[0])


class Kept(NamedTuple):
    """What a command has promised to keep: results that it was told of, models, and epochs of checkpoints by run id."""

    results: tuple[RunResult, ...]
    models: dict[str, bytes]
    epochs: dict[str, int]


def kept(out: Path) -> Kept:
    """Look at what is kept in a sweep's folder."""
    epochs = {}
    for path in (out / ".work" / "checkpoints").glob("[!.]*"):
        if state := checkpoint.load(path, path.stem):
            epochs[path.stem] = len(state.history.train_loss)
    models = {path.name: path.read_bytes() for path in (out / "models").glob("[!.]*")}
    return Kept(tuple(appended), models, epochs)


def promised(out: Path) -> Kept:
    """Return what the results promise that the command was told of: their models, and checkpoints to go on from."""
    now, last = kept(out), newest(appended)
    tested = {f"{name}.npz" for name, result in last.items() if isfinite(result.test_accuracy)}
    models = {name: data for name, data in now.models.items() if name in tested}
    going_on = {name: one.epochs for name, one in last.items() if one.status == "interrupted"}
    return Kept(now.results, models, going_on)


def lost(before: Kept, out: Path) -> list[str]:
    """Say what is no longer there; a checkpoint may go once its run has its last result."""
    now, known = kept(out), _known(out)
    runs = Store(out / "runs.jsonl").load(mend=False)[0]
    sentences = [f"result {one.run_id} lost" for one in before.results if repr(one) not in map(repr, runs)]
    sentences += [f"model {name} lost" for name, data in before.models.items() if now.models.get(name) != data]
    for name, epochs in before.epochs.items():
        result = known.get(name)
        over = result is not None and result.status != "interrupted"
        untested = result is not None and result.status in ENDED and not isfinite(result.test_accuracy)
        if now.epochs.get(name, -1) < epochs and (not over or (untested and not _is_over(out))):
            sentences.append(f"checkpoint of {name} lost")
    return sentences


def _is_over(out: Path) -> bool:
    """Whether a search has tested its best, so that the others' checkpoints are of no use."""
    return any(isfinite(result.test_accuracy) for result in _known(out).values())


@dataclass
class Count:
    """Trials of one kind: how they ended, and what was wrong."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def judge(self, name: str, first: Ended, again: Ended, sentences: Sequence[str], *, harmless: bool) -> None:
        """Add a trial: the disturbed command, the one after it, and what was found amiss."""
        found = [*sentences]
        if first.status is None:
            found.append(f"traceback: {first.said.splitlines()[-1]}")
        elif not harmless and not any(word in first.said for word in ("error: ", "could not", "cannot")):
            found.append(f"nothing said: {first}")
        if first.status == 2 and "error: " not in first.said:
            found.append("no error")
        if again.status != 0:
            found.append(f"the same command: {again.status}, {again.said[-300:]}")
        said = any(word in first.said for word in ("could not", "cannot"))
        self.ends["error" if first.status else "warning" if said else "nothing said"] += 1
        self.wrong += [f"{name}: {sentence}" for sentence in found]


def leave_as_killed(out: Path) -> None:
    """Leave a folder as a sweep does that is killed in its third run: with all that only a running one needs."""

    class Killed(BaseException):
        pass

    def kill(store: Store, result: RunResult) -> None:
        if len(appended) == 2:
            raise Killed
        _append(store, result)

    appended.clear()
    with mock.patch.object(Store, "append", kill), mock.patch.object(Folder, "clean"):
        assert train(out).status is None
    part = out / ".work" / f".{'0' * 32}.part"
    part.write_bytes(b"of one that was killed in the middle of a write")
    with (out / "runs.jsonl").open("ab") as file:
        file.write(b'{"length": 12')
