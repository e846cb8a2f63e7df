"""The epochs of a sweep's runs, told one by one in the sweep's own process, whichever process trains them.

While a run is under way they come from the board; at its end its result has all of them. So an epoch is told once, in
order, and none is left out: where a worker cannot reach the board, or the board had no room, it is told at the end.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError
from fastmlp.nn.checks import check_function
from fastmlp.nn.fit import says_stop
from fastmlp.nn.history import History
from fastmlp.runs.results import SERIES, RunResult
from fastmlp.sweep.board import Board
from fastmlp.sweep.job import Job
from fastmlp.sweep.loop import Watcher

OnEpoch = Callable[[RunConfig, int, History], None]


class Epochs:
    """A `fastmlp.sweep.loop.Watcher` that hands all it is told to another one, and each epoch to a callback.

    told(run_id, config, history) : called with the run's history up to the epoch that has ended
    """

    def __init__(self, watcher: Watcher, told: Callable[[str, RunConfig, History], None]) -> None:
        self._watcher, self._told = watcher, told
        self._runs = dict[str, History]()  # what was told of each
        self._seen = dict[str, np.ndarray]()  # what the board had at the last look, and was not told then

    def start(self, job: Job) -> None:
        """Hand it on."""
        self._watcher.start(job)

    def look(self, board: Board, running: Sequence[Job]) -> None:
        """Tell the epochs that are on the board as they were at the last look, and so are not half written."""
        for job in running:
            known = self._runs.setdefault(job.run_id, History())
            found = board.epochs_after(job.slot, job.run_id, len(known.train_loss))
            before = self._seen.get(job.run_id, found[:0])
            shared = min(len(found), len(before))
            same = (found[:shared].view(np.int64) == before[:shared].view(np.int64)).all(axis=1)  # bits: NaN is itself
            count = shared if same.all() else int(same.argmin())
            self._seen[job.run_id] = found[count:]
            for values in found[:count].tolist():
                self._tell(job.run_id, job.config, dict(zip(SERIES, values, strict=True)))
        self._watcher.look(board, running)

    def finish(self, result: RunResult) -> None:
        """Tell the epochs of a run, or of a part of it, that were not told before its end."""
        self._seen.pop(result.run_id, None)
        known = self._runs.setdefault(result.run_id, History())
        for i in range(len(known.train_loss), result.epochs):
            self._tell(result.run_id, result.config, {name: result.history[name][i] for name in SERIES})
        if result.status != "interrupted":
            self._runs[result.run_id] = History(**result.history)  # which is held anyway
        self._watcher.finish(result)

    def tell(self, sentence: str) -> None:
        """Hand it on."""
        self._watcher.tell(sentence)

    def _tell(self, run_id: str, config: RunConfig, values: Mapping[str, float]) -> None:
        history = self._runs[run_id]
        for name, value in values.items():
            getattr(history, name).append(value)
        self._told(run_id, config, history)


def calling(on_epoch: OnEpoch | None, watcher: Watcher) -> Watcher:
    """Return a watcher that calls on_epoch(config, epoch, history) for each epoch, and hands all else on to this one.

    Raises ConfigError where on_epoch is no function, and in the sweep where it returns True.
    """
    check_function("on_epoch", on_epoch)
    if on_epoch is None:
        return watcher

    def told(_: str, config: RunConfig, history: History) -> None:
        if says_stop(on_epoch(config, len(history.train_loss), history)):
            raise ConfigError(
                "on_epoch of a sweep returned True, as if to end a run, which has gone on in its worker and cannot "
                "end there. Return None, and let runs end by epochs, patience and stopping of their configs."
            )

    return Epochs(watcher, told)
