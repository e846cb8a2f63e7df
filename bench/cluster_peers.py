"""A dask scheduler and workers as processes of this machine, and a network to them that can be cut and frozen."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.chaos import LOOK_SECONDS, Process

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    """Wait for what takes a moment; AssertionError where it takes too long."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(LOOK_SECONDS)


class Network:
    """A port that leads to another one, `to`, until it is cut (connections end) or frozen (nothing arrives)."""

    def __init__(self) -> None:
        self.to, self._cut, self._flows, self._ends = 0, False, threading.Event(), list[socket.socket]()
        self._flows.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                try:
                    if self._cut:
                        raise ConnectionError
                    far = socket.create_connection(("127.0.0.1", self.to))
                except OSError:
                    near.close()
                    continue
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._lead, args=pair, daemon=True).start()

    def _lead(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        source.close()

    def cut(self) -> None:
        """End all connections, and take no more."""
        self._cut, ends = True, self._ends
        self._ends = []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Keep what is sent from now on."""
        self._flows.clear()

    def mend(self) -> None:
        """Lead on."""
        if not self._flows.is_set():
            self.cut()
        self._cut = False
        self._flows.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.cut()
        self._flows.set()
        self._server.close()


@dataclass
class Peers:
    """A scheduler and its workers, each a process of its own in `folder`, killed at the end of the context."""

    folder: Path
    paths: Sequence[Path] = ()
    started: list[Process] = field(default_factory=list)
    workers: dict[str, Process] = field(default_factory=dict)  # of this scheduler, by address
    port: int = 0

    @property
    def address(self) -> str:
        """The scheduler's."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What all of them said."""
        return self.folder / "log"

    def _start(self, *words: str) -> Process:
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "kernels", *self.paths)))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": paths},
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def start(self, workers: int = 0) -> None:
        """Start a scheduler, at a new port, and so many workers; return once all are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self.port, self.workers, before = free_port(), {}, self._said("Scheduler at")
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        wait_until(lambda: self._said("Scheduler at") > before, "the scheduler")
        before = self._said("Register worker")
        for _ in range(workers):
            self._worker()
        wait_until(lambda: self._said("Register worker") >= before + workers, "workers")

    def restore(self, workers: int) -> None:
        """Have so many workers: kill those that came later, start those that died, and the scheduler if need be."""
        if not self.started or self.scheduler.poll() is not None:
            self.start(workers)
            return
        alive = [address for address, process in self.workers.items() if process.poll() is None]
        for address in [address for address in self.workers if address not in alive[:workers]]:
            process = self.workers.pop(address)
            process.kill()
            process.wait(START_SECONDS)
            wait_until(lambda address=address: self._has_lost(address), "a worker's end")
        while len(self.workers) < workers:
            self.worker()

    def worker(self, *options: str) -> Process:
        """Start a worker, without the nanny that would start it again; return it once the scheduler knows it."""
        before = self._said("Register worker")
        process = self._worker(*options)
        wait_until(lambda: self._said("Register worker") > before, "a worker")
        return process

    def _worker(self, *options: str) -> Process:
        port = free_port()
        where = ("--host", "127.0.0.1", "--worker-port", str(port))
        process = self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny", *where, *options)
        self.workers[f"tcp://127.0.0.1:{port}"] = process
        return process

    def _said(self, words: str) -> int:
        return self.log.read_text(errors="replace").count(words)

    def _has_lost(self, address: str) -> bool:
        lines = self.log.read_text(errors="replace").splitlines()
        return any("Remove worker" in line and address in line for line in lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Kill them all."""
        for process in reversed(self.started):
            process.kill()
        for process in self.started:
            process.wait(START_SECONDS)
