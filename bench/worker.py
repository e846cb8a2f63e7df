"""A process of its own for each rival: its own BLAS kernels and thread pool, asleep while another one runs.

`Worker` starts `python -m bench.worker KIND RIVAL THREADS` and sends a line for each piece of work; the answer comes
when it is done. The way there and back takes some 50 us, the same for all: a round is many steps where these are short.
With one thread the process is pinned to one core, the only way that holds XLA.
"""

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Any

from fastmlp import coretype

DEFAULT_BLAS = "numpy_default_blas"  # the rival for whom OPENBLAS_CORETYPE stays unset
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class TookTooLong(Exception):  # noqa: N818 - a rival's property rather than an error
    """A rival did not get ready within the time it was given."""


class Worker:
    """A rival in its own process, which does one of the `bench.rounds.KINDS` of work."""

    def __init__(self, kind: str, rival: str, threads: int) -> None:
        environment = os.environ | dict.fromkeys(_THREADS, str(threads)) | {"JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", kind, rival, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        self._ready: tuple[dict[str, Any], tuple[int, float]] | None = None
        self._too_long: str | None = None
        self.blas_kernels: str | None = self.ask("blas_kernels")

    def ask(self, work: str, *, within: float | None = None, **arguments: Any) -> Any:
        """Have one piece of work done and return the answer; raises TookTooLong, for good, after `within` seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._too_long is not None:
            raise TookTooLong(self._too_long)
        self._process.stdin.write(json.dumps([work, arguments]) + "\n")
        self._process.stdin.flush()
        if within is not None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                if not selector.select(within):
                    self._process.kill()
                    self._too_long = f"{work!r} took more than {within:.0f} s"
                    raise TookTooLong(self._too_long)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"the worker ended at {work!r} with status {self._process.wait()}; see its messages above"
            )
        return json.loads(answer)

    def start(self, within: float, **arguments: Any) -> tuple[int, float]:
        """Have the rival get ready, unless it is for this very work; return `bench.rounds.Rounds.start`'s answer."""
        if self._ready is None or self._ready[0] != arguments:
            self._ready = arguments, self.ask("start", within=within, **arguments)
        return self._ready[1]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main(kind: str, rival: str, threads: str) -> None:
    """Answer each line of standard input with one line, once what it asks for is done."""
    if threads == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if rival == DEFAULT_BLAS:
        os.environ.pop(coretype.VARIABLE, None)
    else:
        coretype.apply()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    from bench.rounds import KINDS  # numpy comes with it, and now finds the variable

    rounds = KINDS[kind](rival, int(threads))
    for line in sys.stdin:
        work, arguments = json.loads(line)
        print(json.dumps(getattr(rounds, work)(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
