"""A process of its own for each rival: its own BLAS kernels and thread pool, asleep while another one runs.

`Worker` starts `python -m bench.worker RIVAL THREADS IMAGES` and sends a line for each piece of work: "step" trains on
the next batch, "epoch" on all images; the answer comes when it is done. The way there and back takes some 50 us, the
same for all. With one thread the process is pinned to one core, the only way that holds XLA.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from fastmlp import coretype

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A rival in its own process."""

    def __init__(self, rival: str, threads: int, images: int) -> None:
        environment = os.environ | dict.fromkeys(_THREADS, str(threads)) | {"JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", rival, str(threads), str(images)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        self.blas_kernels: str | None = self.ask("blas_kernels")
        self.prepared = False

    def ask(self, work: str) -> Any:
        """Have one piece of work done and wait for the answer: "prepare" first, then "step" or "epoch"."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"the worker ended at {work!r} with status {self._process.wait()}; see its messages above"
            )
        return json.loads(answer)

    def prepare(self) -> None:
        """Have the rival load its data, compile and warm up, once."""
        if not self.prepared:
            self.ask("prepare")
        self.prepared = True

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _prepare(rival: str, threads: int, count: int) -> dict[str, Callable[[], object]]:
    """Make a warm trainer, checked to compute the reference's loss; return what it can be asked for."""
    import numpy as np

    from bench.trainers import BATCH, LAYERS, TRAINERS, Images
    from fastmlp import reference

    images, rng = Images(count), np.random.default_rng(0)
    trainer, order = TRAINERS[rival](images, threads), rng.permutation(count)
    starts = cycle(range(0, count - BATCH + 1, BATCH))
    first = order[:BATCH]
    loss = trainer.step(first)
    if loss is not None:
        network = reference.Network(images.weights, [np.zeros(h) for h in LAYERS[1:]], "tanh")
        x = reference.gather_normalize(images.pixels, first, images.mean, images.inv_std)
        np.testing.assert_allclose(loss, network.evaluate(x, images.labels[first])[0], rtol=1e-4)

    def step() -> None:
        start = next(starts)
        trainer.step(order[start : start + BATCH])

    trainer.step(order[: count % BATCH])  # an epoch's last batch may be compiled by itself
    return {"step": step, "epoch": lambda: trainer.epoch(rng)}


def main(rival: str, threads: str, count: str) -> None:
    """Answer each line of standard input with one line, once what it asks for is done."""
    if threads == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if rival == "numpy_default_blas":
        os.environ.pop(coretype.VARIABLE, None)
    else:
        coretype.apply()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    work: dict[str, Callable[[], object]] = {"blas_kernels": _blas_kernels}
    work["prepare"] = lambda: work.update(_prepare(rival, int(threads), int(count)))
    for line in sys.stdin:
        print(json.dumps(work[line.strip()]()), file=answers, flush=True)


def _blas_kernels() -> str | None:
    from fastmlp.threads import blas_info

    return next((library.get("architecture") for library in blas_info()), None)


if __name__ == "__main__":
    main(*sys.argv[1:])
