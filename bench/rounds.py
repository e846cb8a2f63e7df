"""What the workers do: train on batches, multiply matrices, or predict. Each rival is checked first, then measured."""

import gc
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.networks import LR, MOMENTUM, WEIGHT_DECAY, Data, Trainer, Work, batches
from bench.predictors import PREDICTORS
from bench.products import MULTIPLIERS, Operands, Product
from bench.trainers import TRAINERS
from fastmlp import reference
from fastmlp.nn.threads import blas_info

ROUND_SECONDS = 0.03
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

# How far a rival's result may lie from the float64 reference's, relatively: a batch's mean loss, or the norm of a
# product. float32: 3072 rounding errors of random sign, 6e-8 * sqrt(3072) = 3e-6. bfloat16: a factor is off by 2^-8 at
# most, so are a product's norm and a logit, which is about 1 beside a loss of 3; a batch of one row averages nothing.
# int8: a column's largest magnitude is 3 to 4 standard deviations, and a step the 127th part of it; rounding to whole
# steps is off by 0.29 of one, 0.8 % of a standard deviation, as a rule.
RTOL = {"float64": 1e-9, "float32": 1e-5, "bfloat16": 5e-3, "int8": 1.5e-2}


class Rounds(ABC):
    """What a worker does, repeated so often that a round lasts ROUND_SECONDS or more."""

    @abstractmethod
    def prepare(self, arguments: dict[str, Any]) -> Callable[[int], object]:
        """Return a call that does the work a number of times, compiled and checked against the reference."""

    def start(self, *, short: bool, **arguments: Any) -> tuple[int, float]:
        """Get ready; return how many times a round does the work, and its seconds. A `short` round does it once."""
        self.work = self.prepare(arguments)
        if short:
            return 1, 0.0
        times, seconds = 1, 0.0
        while True:
            self.work(times)  # a length may be compiled by itself
            started = time.perf_counter()
            self.work(times)
            seconds = time.perf_counter() - started
            if seconds >= ROUND_SECONDS:
                break
            times = int(np.ceil(times * min(1.2 * ROUND_SECONDS / seconds, 10)))
        reset_peak_memory()
        return times, seconds

    def round(self, *, times: int) -> None:
        """Do the work so many times."""
        self.work(times)

    def memory(self) -> int:
        """Return the most bytes of memory that this process held since it got ready."""
        return peak_memory()

    def blas_kernels(self) -> str | None:
        """Return the name of the kernels that numpy's BLAS uses here, where it has several."""
        return next((library.get("architecture") for library in blas_info()), None)


def reset_peak_memory() -> None:
    """Count the peak from here on, where the system is Linux; elsewhere it stays that since the start."""
    if _RESET.exists():
        _RESET.write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Return the largest resident set of this process in bytes."""
    if _STATUS.exists():
        status = _STATUS.read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) << 10
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def check_losses(trainer: Trainer, data: Data, work: Work, order: np.ndarray) -> None:
    """Take the first steps; AssertionError unless their losses are the reference's."""
    network = reference.Network(data.weights, [np.zeros(h) for h in work.layers[1:]], "tanh")
    for index in islice(batches(order, work.batch), trainer.steps_to_check):
        settings: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        wanted, _ = network.train_step(data.normalized(np.float64, index), data.labels[index], **settings)
        np.testing.assert_allclose(trainer.train(index), wanted, rtol=RTOL[trainer.precision])


class Training(Rounds):
    """Steps on shuffled batches, and epochs."""

    def __init__(self, rival: str, threads: int) -> None:
        self.rival, self.threads = TRAINERS[rival], threads

    def prepare(self, arguments: dict[str, Any]) -> Callable[[int], object]:
        """Return a call that trains on the next batches; arguments: layers and batch of `Work`, count of rows."""
        self.work = self.train = None  # the former network's copy of the rows goes before the next one's comes
        gc.collect()
        batch, count = arguments["batch"], arguments["count"]
        work, self.rng = Work(tuple(arguments["layers"]), batch), np.random.default_rng(0)
        data, order = Data(work.layers, count), self.rng.permutation(count)
        trainer = self.rival(data, work, self.threads)
        check_losses(trainer, data, work, order)
        trainer.train(order[: batch + count % batch])  # an epoch's last batch may be compiled by itself
        self.train, self.count, at = trainer.train, count, 0

        def steps(times: int) -> None:
            nonlocal at
            trainer.train(np.take(order, np.arange(at, at + times * batch), mode="wrap"))
            at = (at + times * batch) % count

        return steps

    def epoch(self) -> None:
        """Train on all rows once, in a new order."""
        assert self.train is not None
        self.train(self.rng.permutation(self.count))


class Products(Rounds):
    """Matrix products."""

    def __init__(self, rival: str, threads: int) -> None:
        self.rival = MULTIPLIERS[rival](threads)

    def prepare(self, arguments: dict[str, Any]) -> Callable[[int], object]:
        """Return a call that multiplies the same operands again and again; arguments: those of `Product`."""
        operands = Operands(Product(**arguments))
        multiply = getattr(self.rival, operands.product.source)(operands)
        wanted = self.rival.wanted(operands)
        error = np.linalg.norm(self.rival.as_array(multiply()) - wanted) / np.linalg.norm(wanted)
        assert error < RTOL[self.rival.precision], f"the product is off by {error}"

        def products(times: int) -> None:
            for _ in range(times):
                multiply()

        return products


class Predictions(Rounds):
    """Answers for the same few rows."""

    def __init__(self, rival: str, threads: int) -> None:
        self.rival, self.threads = PREDICTORS[rival], threads

    def prepare(self, arguments: dict[str, Any]) -> Callable[[int], object]:
        """Return a call that predicts again and again; arguments: layers and batch of `Work`."""
        work = Work(tuple(arguments["layers"]), arguments["batch"])
        data = Data(work.layers, max(work.batch, work.layers[-1]))
        x = data.normalized(np.float32)[: work.batch]
        predict = self.rival(data, work, self.threads)
        network = reference.Network(data.weights, [np.zeros(h) for h in work.layers[1:]], "tanh")
        logits = network.forward(x.astype(np.float64))[-1]
        np.testing.assert_array_equal(predict(x), np.argmax(logits, axis=1))

        def predictions(times: int) -> None:
            for _ in range(times):
                predict(x)

        return predictions


KINDS: dict[str, Callable[[str, int], Rounds]] = {"train": Training, "multiply": Products, "predict": Predictions}
