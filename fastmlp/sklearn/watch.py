"""What a fit shows while it trains, on stderr: a line an epoch, or on a terminal one line that changes."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from threading import current_thread, main_thread

from fastmlp.nn.history import History
from fastmlp.terminal import Compiling, is_moving, say
from fastmlp_kernels._compiling import is_compiling, when_compiling

# A shorter fit shows nothing by "auto".
SECONDS = 2.0

OnEpoch = Callable[[int, History], bool | None]
OnBatch = Callable[[int], None]


@contextmanager
def shown(verbose: bool | int | str, epochs: int) -> Iterator[tuple[OnEpoch | None, OnBatch | None]]:
    """Within the body, show a training of at most so many epochs; yield its callbacks, for `fastmlp.nn.fit.fit`.

    verbose : True for a line an epoch; "auto" for a line that changes, on a terminal and from the third second on,
        where nobody else draws there: in a program's main thread, not in a worker of joblib; False for nothing
    """
    watches = verbose == "auto" and sys.stderr is not None and sys.stderr.isatty()
    watches = watches and current_thread() is main_thread() and current_process().name == "MainProcess"
    lines = verbose != "auto" and bool(verbose)
    if not (lines or watches):
        yield None, None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if lines:
        yield (lambda epoch, history: say(console, described(epoch, epochs, history))), None
        return
    if not is_moving(console):
        yield None, None
        return
    display, began, done = Compiling(console), time.perf_counter(), History()

    def line() -> str:
        if is_compiling():
            return "Compiling the kernels for this machine, once"
        epoch = len(done.train_loss)
        return described(epoch, epochs, done) if epoch else f"epoch 1/{epochs}"

    def look() -> None:
        if is_compiling() or time.perf_counter() - began > SECONDS:
            display.show(float, line)

    def after_epoch(_: int, history: History) -> None:
        vars(done).update(vars(history))
        look()

    try:
        with when_compiling(look):
            yield after_epoch, lambda _: look()
    finally:
        display.end()


def described(epoch: int, epochs: int, history: History) -> str:
    """Return an epoch, from 1, in words, with its losses."""
    text = f"epoch {epoch}/{epochs}: loss {history.train_loss[-1]:.6g}"
    if history.val_loss:
        text += f", validation loss {history.val_loss[-1]:.6g}, score {history.val_accuracy[-1]:.4f}"
    return text


def both(first: OnEpoch | None, second: OnEpoch | None) -> OnEpoch:
    """Return a callback that calls these two, and gives the answer of the first."""

    def after_epoch(epoch: int, history: History) -> bool | None:
        if second is not None:
            second(epoch, history)
        return None if first is None else first(epoch, history)

    return after_epoch
