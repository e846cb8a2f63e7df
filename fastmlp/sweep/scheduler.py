"""The connection to a dask.distributed scheduler, every wait on which has a time limit.

A scheduler may be connected and silent, as a stopped process or a machine that lost its network is. So all requests run
in dask's own thread, and are observed from outside.
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
    """A connection to the scheduler at an address; ConfigError where none answers or dask is not installed."""

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
        """Run a coroutine in dask's thread; return its future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.client.loop.asyncio_loop)

    def workers(self) -> dict[str, dict[str, Any]]:
        """Return the scheduler's facts on each worker, by address; ClusterError where the scheduler is gone."""
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
        """Raise ClusterError where the connection was lost, even if dask has made a new one."""
        if self._ends or self.client.scheduler_comm is not self._stream or self._stream.closed():
            raise self.gone("the connection was closed")

    def gone(self, why: str) -> ClusterError:
        """Return the error for a scheduler that is gone; why : in words."""
        return ClusterError(
            f"The scheduler at {self.address} is gone: {why}. No run has failed by that: with --out, what is done is "
            "kept, and the rest stays to be done. Give the same command again, with --scheduler and the address of one "
            f"that runs: `dask scheduler` starts it, `{START.format(address='ADDRESS')}` its workers."
        )

    def close(self) -> None:
        """Close the connection; errors of a scheduler that does not answer are ignored."""

        def close() -> None:
            with suppress(Exception):
                self.client.close(timeout=CLOSE_SECONDS)

        self._ends = True
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _connected(address: str) -> Any:
    """Return dask's client, connected within a time limit: dask's own limits its wait, but not what it does after."""
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
    """Silence dask's loggers, unless the user's configuration of dask sets them."""
    from dask import config

    if "distributed" not in sys.modules and not config.get("logging", None):
        config.set(logging=_MUTED)
