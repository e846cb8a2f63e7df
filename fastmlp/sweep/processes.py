"""A pool of worker processes for a sweep, each with pipes of its own, so that a killed one harms no other.

A process starts with its thread limits in the environment, before numpy loads there. What one has compiled, the next
ones load from the cache of kernels.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any

from fastmlp.errors import WorkerError
from fastmlp.sweep.deaths import WorkerDied, memory_kills
from fastmlp.sweep.worker import BEGINS, HELD, receive, send, skip_to_answers

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# How often a worker looks whether its parent is there: an idle one waits for jobs for ever and would not notice.
ORPHAN_SECONDS = 1.0
# How long an idle process may take to end once it has nothing to do.
END_SECONDS = 10.0
# A failing import is told like any other error: the pipe is still there to tell it on.
_PROGRAM = """
import sys
sys.path[:] = sys.argv[4:]
try:
    from fastmlp.sweep.worker import main
except BaseException as error:
    import pickle
    text = pickle.dumps((False, f"{type(error).__name__}: {error}"))
    sys.stdout.buffer.write(bytes.fromhex(sys.argv[3]) + len(text).to_bytes(8, "little") + text)
else:
    main(int(sys.argv[1]), int(sys.argv[2]))
"""


class _Process:
    """A worker process, with this end of its pipes."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment)  # noqa: S603 - our own program
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.calls, self.answers = self.popen.stdin, self.popen.stdout

    def end(self) -> int:
        """Close the pipes, which ends a waiting process; kill it after a while; return its exit status."""
        for pipe in (self.calls, self.answers):
            with suppress(OSError):  # what could not be sent is not to be
                pipe.close()
        try:
            return self.popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


def _cannot_start(error: object) -> WorkerError:
    return WorkerError(
        f"A worker process could not be started or set up ({error}). Its runs stay to be done, and others would meet "
        "the same. Mend that, or take fewer --jobs or --workers threads, and give the same command again."
    )


def _end_with(parent: int) -> None:
    """End this process, whatever it does, once its parent is gone, as its sweep may be running again elsewhere."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def begin_worker(threads: int, parent: int) -> None:
    """Set up a new worker, in its process, and check that the limits of its threads hold."""
    _end_with(parent)
    from fastmlp.signals import STOPS

    for signum in STOPS:  # terminals and batch systems send them to all; the parent decides what they mean
        signal.signal(signum, signal.SIG_IGN)
    from fastmlp.nn.threads import blas_info

    wrong = [library for library in blas_info() if library["num_threads"] > threads]
    if wrong:
        raise RuntimeError(f"{wrong[0]['internal_api']} took {wrong[0]['num_threads']} threads, not {threads}")


class Processes(Executor):
    """An executor over `jobs` processes of `threads` threads each, started as they are needed.

    A future whose process died raises WorkerDied, and the process is replaced. One whose process cannot start or cannot
    be set up raises WorkerError: all other runs would fail alike.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        self._environment = dict.fromkeys(_THREADS, str(threads))
        self._threads = threads
        self._pool = ThreadPoolExecutor(jobs, "fastmlp-worker")  # a thread waits for each process
        self._lock = threading.Lock()  # of those below
        self._idle, self._all, self._killed = list[_Process](), set[_Process](), False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run fn in the next idle process; return its future."""
        return self._pool.submit(self._call, fn, args, kwargs)

    def _call(self, *call: Any) -> Any:
        process, kills = self._process(), memory_kills()
        try:
            send(process.calls, call)
            is_result, answer = receive(process.answers)
        except (OSError, EOFError):
            raise self._died(process, kills) from None
        except MemoryError:  # in the midst of an answer, whose rest would be taken for the next one's
            process.popen.kill()
            self._died(process, kills)
            raise
        finally:
            with self._lock:
                if process in self._all:  # it has not died
                    self._idle.append(process)
        if is_result:
            return answer
        raise answer

    def _process(self) -> _Process:
        """Return an idle process, or a new one."""
        with self._lock:
            if self._killed:
                raise BrokenExecutor("the processes were ended")
            while self._idle:
                process = self._idle.pop()
                if process.popen.poll() is None:
                    return process
                self._all.discard(process)  # it died between two jobs
                process.end()
            kills, process = memory_kills(), self._start()
            self._all.add(process)
        try:
            skip_to_answers(process.answers)
            is_set_up, error = receive(process.answers)
        except EOFError:
            died = self._died(process, kills)
            if self._killed or died.was_killed:
                raise died from None
            raise _cannot_start(f"it {died} before it was ready") from None
        if is_set_up:
            return process
        self._died(process, kills)
        raise _cannot_start(error)

    def _start(self) -> _Process:
        command = [sys.executable, "-c", _PROGRAM, str(self._threads), str(os.getpid()), BEGINS.hex(), *sys.path]
        mask = getattr(signal, "pthread_sigmask", lambda *_: set())  # a process begins with its parent's
        before = mask(signal.SIG_BLOCK, HELD)
        try:
            return _Process(command, os.environ | self._environment)
        except (OSError, ValueError, MemoryError) as error:
            raise _cannot_start(error) from error
        finally:
            mask(signal.SIG_SETMASK, before)

    def _died(self, process: _Process, kills: int) -> WorkerDied:
        with self._lock:
            self._all.discard(process)
        return WorkerDied(process.end(), memory_kills() > kills)

    def kill(self) -> None:
        """End all processes at once, whatever they do."""
        with self._lock:
            self._killed = True
            for process in self._all:
                process.popen.kill()
        self.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes once their jobs are done."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
        with self._lock:
            ending, self._idle = self._idle, []
            self._all.difference_update(ending)
        for process in ending:
            process.calls.close()  # all at once
        for process in ending:
            process.end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes: once their jobs are done, or at once where something went wrong or was stopped."""
        if kind is not None:
            self.kill()
        self.shutdown()
