"""The display of a sweep's progress, all of it on stderr: stdout holds the table alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import isnan
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from fastmlp.config import RunConfig
from fastmlp.data import Progress as Download
from fastmlp.report.score import rows_of
from fastmlp.report.words import duration, outcome, title
from fastmlp.runs.results import RunResult
from fastmlp.sweep.board import BEGAN, EPOCHS, IMAGES, IN_EPOCH, TRAIN_LOSS, VAL_LOSS, Board
from fastmlp.sweep.job import Job
from fastmlp.terminal import is_moving, say
from fastmlp.text import visible


class Numbers:
    """The numbers of runs for display, in the order in which they first appear; a run in parts keeps its number.

    total : of runs; before : run ids of those that were finished before
    """

    def __init__(self, total: int, before: Sequence[str] = ()) -> None:
        self._total = total
        self._of = {name: i for i, name in enumerate(before, 1)}

    def __call__(self, run_id: str) -> str:
        """Return a run's number and the total, as in "3/16"."""
        return f"{self._of.setdefault(run_id, len(self._of) + 1)}/{self._total}"


class Silent:
    """The display that shows nothing, and the base of the others: a `fastmlp.sweep.loop.Watcher`.

    It is a context manager around the sweep. total : of results to come; None where it is unknown, as in a search
    numbers : of its runs
    """

    def __init__(self, console: Console, total: int | None, numbers: Numbers) -> None:
        self.console, self.numbers = console, numbers
        self.total = total
        self.finished: list[RunResult] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass

    def start(self, job: Job) -> None:
        """Begin a run."""

    def look(self, board: Board, running: Sequence[Job]) -> None:
        """Show the progress of the running jobs."""

    def finish(self, result: RunResult) -> None:
        """End a run."""
        self.finished.append(result)

    def tell(self, sentence: str) -> None:
        """Show a sentence to the user."""


class Lines(Silent):
    """The display for pipes, files and logs: one plain line for each finished run."""

    def finish(self, result: RunResult) -> None:
        """Print the run's line."""
        super().finish(result)
        say(self.console, f"run {self.numbers(result.run_id)}: {title(result.config)}: {outcome(result)}")

    def tell(self, sentence: str) -> None:
        """Print the sentence."""
        say(self.console, sentence)


class Bar(Lines):
    """The display for a terminal: at its foot a line for each running job and one for all, above them finished runs.

    It begins with the first run: what goes before, such as compilation, has lines of its own.
    """

    def __enter__(self) -> Self:
        self._began = time.time()
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def start(self, job: Job) -> None:  # noqa: ARG002 - as it is called
        """Begin a run."""
        if not self._live.is_started:
            self._began = time.time()
            self._live.start()

    def look(self, board: Board, running: Sequence[Job]) -> None:
        """Redraw the lines of the running jobs."""
        now = time.time()
        lines = [status(job.config, board.slot(job.slot), now) for job in running]
        epochs = [int(board.slot(job.slot)[EPOCHS]) for job in running]
        costs = [(cost(job.config), done, job.config.epochs) for job, done in zip(running, epochs, strict=True)]
        lines.append(overall(self.finished, self.total, costs, now - self._began))
        self._live.update(Text("\n".join(map(visible, lines)), no_wrap=True, overflow="ellipsis"), refresh=True)


def make_progress(console: Console, total: int | None, numbers: Numbers) -> Silent:
    """Return the display for a console: moving lines on a terminal, plain lines elsewhere, quiet or not."""
    return (Bar if is_moving(console) else Lines)(console, total, numbers)


@contextmanager
def download_bar(console: Console) -> Iterator[Callable[[Download], None]]:
    """Yield a callback for `load_dataset`'s on_progress, which draws a bar with speed and time left."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = RichProgress(TextColumn("{task.description}"), *columns, console=console)

    def show(state: Download) -> None:
        if not bar.tasks:
            bar.start()
            bar.add_task(state.name, total=state.total)
        bar.update(bar.tasks[0].id, completed=state.done)
        if state.note:
            say(console, state.note)

    try:
        yield show
    finally:
        if bar.tasks:
            bar.stop()


def status(config: RunConfig, row: np.ndarray, now: float) -> str:
    """Return the line of a running job, from its row (7,) float64 of the board; now : in seconds since 1970."""
    if isnan(row[BEGAN]):
        return f"{title(config)}: compiling the kernels for its machine"
    done = int(row[EPOCHS])
    images, seconds = row[IMAGES] + row[IN_EPOCH], now - row[BEGAN]
    parts = [f"{title(config)}: epoch {min(done + 1, config.epochs)}/{config.epochs}"]
    if done:
        parts.append(f"loss {row[TRAIN_LOSS]:.4f}, validation {row[VAL_LOSS]:.4f}")
    if images and seconds > 0:
        parts.append(f"{images / seconds:,.0f} {rows_of(config)}/s")
    return ", ".join(parts)


def cost(config: RunConfig) -> float:
    """Return the relative cost of an epoch of a run: the multiply-adds of a row."""
    return float(sum(d * h for d, h in pairwise(config.layers)))


def overall(finished: list[RunResult], total: int | None, running: list[tuple[float, int, int]], seconds: float) -> str:
    """Return the line of the whole sweep; running : cost of an epoch, epochs done and at most, of each running job.

    The time left is estimated: runs are taken to stop at the same fraction of their epochs as the finished ones.
    """
    if total is None:
        return f"{len(finished)} results so far"
    told = [run for run in finished if run.epochs]
    line = f"{len(finished)} of {total} runs done"
    worked = sum(cost(run.config) * run.epochs for run in told) + sum(each * done for each, done, _ in running)
    if not worked or seconds <= 0:
        return line
    share = sum(run.epochs / run.config.epochs for run in told) / len(told) if told else 1.0
    full = [cost(run.config) * run.config.epochs for run in told] + [each * limit for each, _, limit in running]
    waiting = max(0, total - len(finished) - len(running)) * sum(full) / len(full)
    left = share * waiting + sum(each * max(1.0, share * limit - done) for each, done, limit in running)
    return f"{line}, about {duration(left * seconds / worked)} left"
