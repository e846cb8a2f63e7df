"""What is shown while runs go on, all of it on stderr: stdout holds the table alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from fastmlp.config import RunConfig
from fastmlp.data import Progress as Download
from fastmlp.fit import History
from fastmlp.report import duration
from fastmlp.results import RunResult

_REFRESH_SECONDS = 0.25  # drawing takes about a millisecond, a batch a few


class Silent:
    """Show nothing. The base of the others, and what `--quiet` asks for.

    Use it as a context manager around all runs; call `start` before a run and `finish` after it, and hand `on_batch`
    and `on_epoch` to the run.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self.total = total
        self.finished: list[RunResult] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass

    def start(self, config: RunConfig) -> None:
        """Begin a run."""

    def on_batch(self, images: int) -> None:
        """Take note of how many images of the current epoch are done."""

    def on_epoch(self, epoch: int, history: History) -> None:
        """Take note of the end of an epoch."""

    def finish(self, result: RunResult) -> None:
        """End a run."""
        self.finished.append(result)


class Lines(Silent):
    """Print one plain line for each finished run: for pipes, files and logs."""

    def finish(self, result: RunResult) -> None:
        """Print the run's line."""
        super().finish(result)
        say(self.console, f"run {len(self.finished)}/{self.total}: {title(result.config)}: {outcome(result)}")


class Bar(Lines):
    """Keep two lines up to date in place at the foot of a terminal, the lines of finished runs above them."""

    def __enter__(self) -> Self:
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def start(self, config: RunConfig) -> None:
        """Begin a run."""
        self._config, self._history = config, History()
        self._images_before = self._images_in_epoch = 0
        self._began = time.perf_counter()
        self._drawn = 0.0
        self._draw()

    def on_batch(self, images: int) -> None:
        """Draw anew, a few times a second at most."""
        self._images_in_epoch = images
        if time.perf_counter() - self._drawn > _REFRESH_SECONDS:
            self._draw()

    def on_epoch(self, epoch: int, history: History) -> None:  # noqa: ARG002 - the history is as long
        """Keep the losses, to be drawn with the next batch."""
        self._history = history
        self._images_before += self._images_in_epoch
        self._images_in_epoch = 0

    def _draw(self) -> None:
        self._drawn = time.perf_counter()
        seconds = self._drawn - self._began
        lines = status(
            self._config, self._history, self._images_before + self._images_in_epoch, seconds, self.finished, self.total
        )
        self._live.update(Text(lines, no_wrap=True, overflow="ellipsis"), refresh=True)


def make_progress(console: Console, total: int, *, quiet: bool) -> Silent:
    """Return the progress that fits: none if quiet, moving lines on a terminal, plain lines elsewhere."""
    kind = Silent if quiet else Bar if console.is_terminal and not console.is_dumb_terminal else Lines
    return kind(console, total)


@contextmanager
def download_bar(console: Console) -> Iterator[Callable[[Download], None]]:
    """Yield what `load_dataset` wants as `on_progress`; a bar with speed and time left appears once bytes arrive."""
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


def say(console: Console, text: str) -> None:
    """Print one line of plain text, whatever the width: brackets are not markup, numbers not coloured."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def title(config: RunConfig) -> str:
    """Return what tells this run from the others."""
    return f"{config.experiment}, {config.normalize}, seed {config.seed}"


def outcome(result: RunResult) -> str:
    """Return a finished run in a few words."""
    if result.status == "diverged":
        return f"diverged in epoch {result.epochs}: the loss is no longer finite; a lower --lr may help"
    return (
        f"test accuracy {100 * result.test_accuracy:.2f} %, best epoch {result.best_epoch} of {result.epochs}, "
        f"{duration(result.seconds)}, {result.images_per_second:,.0f} images/s"
    )


def status(
    config: RunConfig, history: History, images: int, seconds: float, finished: list[RunResult], total: int
) -> str:
    """Return the moving lines: run, time left; epoch, losses, speed. `images` and `seconds` are those of this run."""
    done = len(history.val_loss)
    head = f"run {len(finished) + 1}/{total}: {title(config)}"
    epoch = f"epoch {min(done + 1, config.epochs)}/{config.epochs}"
    speed = f"{images / seconds if seconds > 0 else 0:,.0f} images/s"
    if not done:
        return f"{head}\n{epoch}, {speed}"
    left = epochs_left(done, config.epochs, [run.epochs for run in finished], total) * seconds / done
    losses = f"loss {history.train_loss[-1]:.4f}, validation {history.val_loss[-1]:.4f}"
    return f"{head}; about {duration(left)} left\n{epoch}, {losses}, {speed}"


def epochs_left(done: int, limit: int, finished: list[int], total: int) -> float:
    """Return the epochs still to come: a run is thought to stop when the finished ones did, or else at its limit."""
    usual = sum(finished) / len(finished) if finished else limit
    current = max(usual, done + 1) - done if done < limit else 0
    return current + usual * (total - len(finished) - 1)
