"""The logger `tensorboard`: event files in `DIR/tensorboard/RUN_ID`, for `tensorboard --logdir DIR/tensorboard`.

Each epoch is one record, with its values under the names that `runs.jsonl` has for them; the settings are those of the
tool's page of hyperparameters. A run that goes on has a new file beside its first ones, from the epoch after theirs.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from fastmlp.config import RunConfig
from fastmlp.files import check_no_links, make_folder
from fastmlp.runs.results import SERIES, RunResult
from fastmlp.sweep.loggers import Logger, figures_of, need_folder, settings_of

FOLDER = "tensorboard"
_FILES = "events.out.tfevents.*"
_numbers = count(1)  # files of one second would have one name


class TensorBoard:
    """The logger for the folder `root`, which it makes; it writes by tensorboardX."""

    def __init__(self, root: Path) -> None:
        def module(name: str) -> Any:  # here: it takes a second, and may not be installed
            return import_module(f"tensorboardX.{name}")

        self._root, self._Writer = root, module("event_file_writer").EventsWriter
        self._Event, self._Summary = module("proto.event_pb2").Event, module("proto.summary_pb2").Summary
        self._hparams = module("summary").hparams
        self._writers = dict[str, Any]()
        self._done = dict[str, int]()  # by run id, the last epoch that is in its files
        self._tested = set[str]()

    def log(
        self, run_id: str, config: RunConfig, history: Mapping[str, Sequence[float]], result: RunResult | None
    ) -> None:
        """Write what a run's files do not have, as `fastmlp.sweep.loggers.Logger.log` says."""
        if run_id not in self._done:
            self._read(run_id)
        epochs = min(map(len, history.values()))
        for i in range(self._done[run_id], epochs):
            self._write(run_id, config, i + 1, {name: history[name][i] for name in SERIES})
        self._done[run_id] = max(epochs, self._done[run_id])
        if result is not None and run_id not in self._tested and (figures := figures_of(result)):
            self._write(run_id, config, result.epochs, figures)
            self._tested.add(run_id)
        if run_id in self._writers:
            self._writers[run_id].flush()
            if result is not None:  # it may go on, in another file
                self._writers.pop(run_id).close()

    def close(self) -> None:
        """Close all files."""
        while self._writers:
            self._writers.popitem()[1].close()

    def _write(self, run_id: str, config: RunConfig, epoch: int, values: Mapping[str, float]) -> None:
        writer = self._writers.get(run_id)
        if writer is None:
            check_no_links(self._root.parent, FOLDER, f"{FOLDER}/{run_id}")
            folder = self._root / run_id
            make_folder(folder)
            new = not any(folder.glob(_FILES))
            writer = self._Writer(str(folder / "events"), f".{os.getpid()}.{next(_numbers)}")
            self._writers[run_id] = writer
            if new:
                for summary in self._hparams(settings_of(config), dict.fromkeys(SERIES[:2], 0.0)):
                    writer.write_event(self._Event(wall_time=time.time(), summary=summary))
        told = [self._Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        writer.write_event(self._Event(wall_time=time.time(), step=epoch, summary=self._Summary(value=told)))

    def _read(self, run_id: str) -> None:
        """Find what is in a run's files, up to where one was cut off."""
        self._done[run_id] = 0
        for path in (self._root / run_id).glob(_FILES):
            for record in records(path.read_bytes()):
                event = self._Event.FromString(record)
                names = {value.tag for value in event.summary.value}
                if SERIES[0] in names:
                    self._done[run_id] = max(self._done[run_id], event.step)
                if "test_loss" in names:
                    self._tested.add(run_id)


def records(content: bytes) -> Iterator[bytes]:
    """Yield the whole records of an event file: of each its length in 8 bytes, 4 of a checksum, itself, and 4 more."""
    at = 0
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 8], "little")
        if end + 4 > len(content):
            return
        yield content[at + 12 : end]
        at = end + 4


def make(out: Path | None) -> Logger:
    """Return the logger for a sweep's folder; ConfigError where it has none."""
    return TensorBoard(need_folder("tensorboard", out) / FOLDER)
