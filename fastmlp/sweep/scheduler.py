"""The connection to a dask.distributed scheduler, of which nothing is waited for without an end.

Who is connected may still be silent: a process that was stopped, a machine without its network. So all that asks the
scheduler runs in dask's own thread, and is looked at from outside.
"""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from typing import Any

from fastmlp.errors import ClusterError, ConfigError

CONNECT_SECONDS = 10
SILENT_SECONDS = 20.0
"""Who has not been heard of for so long is gone: a scheduler, or a worker, whose heart beats twice a second."""
CLOSE_SECONDS = 3.0
START = "dask worker {address} --nthreads 1 --nworkers auto"
# What dask would say of a connection that is lost, with tracebacks, is said here.
_MUTED = dict.fromkeys(("distributed", "distributed.client", "tornado.application", "asyncio"), "critical")


class Scheduler:
    """The scheduler at an address. Raises ConfigError where none answers, or the extra `cluster` is not installed."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            _mute()
            import distributed  # noqa: F401 - whether it is there
        except ImportError as error:
            raise ConfigError(
                f"--scheduler needs the package distributed ({error}): pip install 'fastmlp[cluster]'"
            ) from error
        try:
            self.client = _connected(address)
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise ConfigError(
                f"--scheduler is {address!r}, and no scheduler answers there ({error}). Start one with `dask "
                "scheduler`, and give the address that it prints, as in tcp://host:8786."
            ) from error
        # Where the client connects anew it has another, and dask has dropped all that it was doing.
        self._stream = self.client.scheduler_comm
        self._ends = False

    def later(self, coroutine: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Have dask's thread do it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.client.loop.asyncio_loop)

    def workers(self) -> dict[str, dict[str, Any]]:
        """Return by their addresses what is known of the workers; ClusterError where the scheduler is gone."""
        # Not `scheduler_info()`: its answer is a cache that the client itself empties of workers every two seconds.
        asked = self.later(self.client.scheduler.identity())
        for _ in range(int(SILENT_SECONDS)):  # one by one: a second may be an hour where this process was stopped
            self.check()
            if wait([asked], 1).done:
                try:
                    return asked.result()["workers"]
                except (OSError, CancelledError) as error:
                    raise self.gone(f"it cannot be reached: {error}") from error
        asked.cancel()
        raise self.gone(f"it has not answered for {SILENT_SECONDS:g} s")

    def check(self) -> None:
        """Raise ClusterError where the connection was lost, even if there is another by now."""
        if self._ends or self.client.scheduler_comm is not self._stream or self._stream.closed():
            raise self.gone("the connection was closed")

    def gone(self, why: str) -> ClusterError:
        """Return the error that says so, and what to do."""
        return ClusterError(
            f"The scheduler at {self.address} is gone: {why}. No run has failed by that: with --out, what is done is "
            "kept, and the rest stays to be done. Give the same command again, with --scheduler and the address of one "
            f"that runs: `dask scheduler` starts it, `{START.format(address='ADDRESS')}` its workers."
        )

    def close(self) -> None:
        """Leave; where the scheduler does not listen, without a word."""

        def close() -> None:
            with suppress(Exception):
                self.client.close(timeout=CLOSE_SECONDS)

        self._ends = True
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _connected(address: str) -> Any:
    """Return dask's client. What it waits for has a time limit, but what it does once that is over has none."""
    from distributed import Client

    made = Future[Any]()

    def make() -> None:
        try:
            made.set_result(Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="fastmlp"))
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=make, daemon=True).start()
    if not wait([made], 1.5 * CONNECT_SECONDS).done:
        made.add_done_callback(lambda late: late.exception() or late.result().close())
        raise TimeoutError("it does not answer")
    return made.result()


def _mute() -> None:
    """Have dask say nothing, unless its user's own configuration says what of it is to be logged."""
    from dask import config

    if "distributed" not in sys.modules and not config.get("logging", None):
        config.set(logging=_MUTED)
