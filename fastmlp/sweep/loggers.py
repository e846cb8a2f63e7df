"""Loggers: writers of a sweep's epochs and results for other people's tools, beside `runs.jsonl`, always there.

They work in a thread of their own, so that no disk and no server keeps the runs waiting. One that fails is told of
once, and training goes on without it; as each is given whole histories and leaves out what its tool has, the same
command again logs what is missing, and nothing twice.
"""

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from fastmlp.config import RunConfig, dashed
from fastmlp.data.places import without_password
from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.history import History
from fastmlp.runs.results import RunResult
from fastmlp.sweep.board import Board
from fastmlp.sweep.epochs import Epochs
from fastmlp.sweep.job import Job
from fastmlp.sweep.logger_names import LOGGERS
from fastmlp.sweep.loop import Watcher

# How long the end of a sweep waits for what is not yet logged.
CLOSE_SECONDS = 30.0


class Logger(Protocol):
    """A writer for one tool. What it raises ends it, and no run."""

    def log(
        self, run_id: str, config: RunConfig, history: Mapping[str, Sequence[float]], result: RunResult | None
    ) -> None:
        """Write what the tool does not have of a run: its settings, epochs and, once it was tested, its results.

        history : as of `fastmlp.runs.results.RunResult`, up to now; result : of a run, or a part of it, that has ended
        """
        ...

    def close(self) -> None:
        """End the writing."""
        ...


def make_logger(name: str, out: Path | None) -> Logger:
    """Return the logger of a name of LOGGERS; out : the sweep's folder, None where it has none.

    Raises MissingExtraError where its package is not installed, ConfigError where it cannot be used.
    """
    module = import_module(f"fastmlp.sweep.log_{name}")
    try:
        return cast("Logger", module.make(out))
    except ImportError as error:
        raise MissingExtraError(
            f"--log {name} needs {LOGGERS[name]} ({error}): pip install 'fastmlp[{name}]'."
        ) from error


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return a run's settings for a tool's table: numbers and texts, several sizes or activations with dashes."""
    return {name: dashed(tuple(v)) if isinstance(v, list) else v for name, v in config.to_json().items()}


def figures_of(result: RunResult) -> dict[str, float]:
    """Return the figures of a tested run, by their names in `runs.jsonl`; nothing where it was not tested."""
    if not math.isfinite(result.test_accuracy):
        return {}
    rmse = result.test_rmse
    names = ["test_rmse"] if len(rmse) == 1 else [f"test_rmse/{i}" for i in range(1, len(rmse) + 1)]
    figures = {name: getattr(result, name) for name in ("test_loss", "test_accuracy", "best_epoch", "seconds")}
    own = {f"test_metrics/{name}": value for name, value in result.test_metrics.items() if value is not None}
    return {name: float(value) for name, value in [*figures.items(), *zip(names, rmse, strict=True), *own.items()]}


class Loggers:
    """A context manager of loggers by name, which have what they are given within its body."""

    def __init__(self, loggers: Mapping[str, Logger]) -> None:
        self._loggers = dict(loggers)
        self._changed = threading.Condition()  # of those below
        self._waiting = dict[str, tuple[RunConfig, dict[str, list[float]], RunResult | None]]()  # by run id
        self._notes, self._ends = list[str](), False
        self._thread = threading.Thread(target=self._work, name="fastmlp-log", daemon=True)

    def __enter__(self) -> Self:
        if self._loggers:
            self._thread.start()
        return self

    def epoch(self, run_id: str, config: RunConfig, history: History) -> None:
        """Have a run's epochs logged."""
        self._give(run_id, config, {name: list(series) for name, series in vars(history).items()}, None)

    def finish(self, result: RunResult) -> None:
        """Have the result of a run logged, and those of its epochs that are not."""
        self._give(result.run_id, result.config, result.history, result)

    def _give(self, *given: Any) -> None:
        run_id, *rest = given
        if not self._loggers:
            return
        with self._changed:
            self._waiting[run_id] = tuple(rest)  # a longer history takes the place of one that still waits
            self._changed.notify()

    def notes(self) -> list[str]:
        """Return the sentences on what failed since the last call."""
        with self._changed:
            notes, self._notes = self._notes, []
        return notes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.ident is None:  # there are none
            return
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            names = " and ".join(self._loggers)
            self._notes.append(f"--log {names} did not take all in {CLOSE_SECONDS:g} s; {_AGAIN}")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ends)
                if not self._waiting:
                    break
                run_id = next(iter(self._waiting))
                given = self._waiting.pop(run_id)
            for name, logger in list(self._loggers.items()):
                try:
                    logger.log(run_id, *given)
                except Exception as error:  # of another's package, disk or server
                    self._lose(name, error)
        for name, logger in list(self._loggers.items()):
            try:
                logger.close()
            except Exception as error:
                self._lose(name, error)

    def _lose(self, name: str, error: Exception) -> None:
        logger = self._loggers.pop(name)
        words = next(iter(str(error).strip().splitlines()), "")[:300]
        said = without_password(f"{type(error).__name__}: {words}" if words else type(error).__name__)
        with self._changed:
            self._notes.append(f"--log {name} failed ({said}). Training goes on without it; {_AGAIN}")
        with suppress(Exception):
            logger.close()


class Logged(Epochs):
    """The watcher that gives loggers all epochs and results, and tells once of each that failed."""

    def __init__(self, watcher: Watcher, loggers: Loggers) -> None:
        super().__init__(watcher, loggers.epoch)
        self._loggers = loggers

    def look(self, board: Board, running: Sequence[Job]) -> None:
        """Log the epochs that are on the board."""
        super().look(board, running)
        for note in self._loggers.notes():
            self.tell(note)

    def finish(self, result: RunResult) -> None:
        """Log a result."""
        super().finish(result)
        self._loggers.finish(result)


_AGAIN = "with --out, the same command again logs what is missing."


def opened_loggers(names: Iterable[str], out: Path | None) -> Loggers:
    """Return the loggers of these names; ConfigError or MissingExtraError where one cannot be used."""
    return Loggers({name: make_logger(name, out) for name in names})


def need_folder(name: str, out: Path | None) -> Path:
    """Return the sweep's folder; ConfigError where it has none."""
    if out is None:
        raise ConfigError(f"--log {name} writes into the folder of --out, which is missing; give --out DIR too.")
    return out
