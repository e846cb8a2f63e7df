"""Whole training steps and epochs, by one thread and by all.

Rivals take turns, each in a process of its own (`bench.worker`), after their losses were found to be the reference's. A
step gathers and normalises a shuffled batch and trains on it; a round is so many steps that it lasts, and
`extra_info["seconds"]` is the median of one step. An epoch shuffles all rows and trains on them once, without
validation. `numpy` is the plain float64 reference under the BLAS kernels that `fastmlp.coretype` asks for;
`numpy_default_blas` runs under those that numpy's BLAS chooses by itself, where these are others.

A short run measures the network of the report in two batch sizes and a small one, in the precisions that the CPU has
instructions for; `--full` more of them, epochs and rivals; `--full -m "slow or not slow"` all there are.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bench.networks import PIXELS, Work
from bench.peak import IN_HARDWARE
from bench.rivals import describe, speed
from bench.trainers import TRAINERS
from bench.worker import TookTooLong

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

MAIN, SMALL = Work((3072, 128, 20), 1024), Work((4, 120, 84, 2), 32)
# MAIN first: a process's memory is read after it
USUAL = [MAIN, Work(MAIN.layers, 64), Work(MAIN.layers, 16), Work(MAIN.layers, 1), SMALL]
WORKS = [
    *USUAL,
    *(Work(MAIN.layers, batch) for batch in (256, 4096)),
    *(Work((3072, hidden, 20), 1024) for hidden in (20, 64, 256, 512, 2048)),
]
SHORT = [MAIN, Work(MAIN.layers, 16), SMALL]
# Those that another form of theirs beats as a rule, what this package was before, and what takes long to compile.
COMPILED = ("torch_compile", "torch_compile_bf16")  # half a minute for each network, batch and number of threads
FULL_RIVALS = ("fastmlp_blas", "fastmlp_steps", "trial", "trial_bf16", "jax_bf16", *COMPILED)
SLOW_RIVALS = ("sklearn", "numpy")  # in a short run beside the report's network alone
EPOCHS = [MAIN, *(Work(MAIN.layers, batch) for batch in (64, 256, 4096)), SMALL]
ROWS = {3072: 40_000, 4: 4096}  # by the network's inputs
TURNS, EPOCH_TURNS = 3, 2
TURN_SECONDS, ROUNDS = 0.15, (3, 7)  # a turn's rounds last so long, but are so many at the least and at the most
QUIET_SECONDS = 0.1  # for the threads of the rival before to stop spinning
READY_SECONDS = 90  # what some rivals take to compile
AS_TESTS = {"threads": [1], "work": [MAIN, SMALL]}


def _takes_part(work: Work, rival: str) -> bool:
    if rival.startswith("trial"):
        return len(work.layers) == 3
    if rival == "fastmlp_steps":
        return work.batch <= 64  # what a call costs is lost in larger batches
    if rival == "fastmlp_int8":
        return work.layers[0] == PIXELS  # it multiplies pixels
    return True


def _is_usual(work: Work, rival: str, usual: list[Work]) -> bool:
    return work == MAIN or (work in usual and rival not in (*COMPILED, "jax_bf16", "fastmlp_blas"))


def _is_short(work: Work, rival: str, short: list[Work]) -> bool:
    usual = rival not in FULL_RIVALS and IN_HARDWARE[TRAINERS[rival].precision]
    return work in short and usual and (work == MAIN or rival not in SLOW_RIVALS)


def _cases(works: list[Work], usual: list[Work], short: list[Work], turns: int) -> Iterator[Any]:
    for work in works:
        for turn in range(turns):
            for rival in TRAINERS:
                if _takes_part(work, rival):
                    name = f"{work.name}-batch{work.batch}-{rival}-{turn}"
                    marks = [] if _is_usual(work, rival, usual) else [pytest.mark.slow]
                    marks += [pytest.mark.full] * (not _is_short(work, rival, short))
                    yield pytest.param(work, turn, rival, id=name, marks=marks)


@pytest.fixture
def ready(benchmark, worker, threads, work, turn, rival):
    """Give the rival's process, warm for this network, with the size and the seconds of its rounds."""
    process = worker("train", rival)
    rows = ROWS[work.layers[0]] if benchmark.enabled else 2 * work.batch + 3
    try:
        size = process.start(READY_SECONDS, short=not benchmark.enabled, count=rows, **work.as_json())
    except TookTooLong as slow:
        pytest.skip(str(slow))
    benchmark.extra_info |= describe(rival, process, TRAINERS[rival].precision, threads)
    benchmark.extra_info |= {"layers": work.name, "batch": work.batch, "rows": rows, "turn": turn}
    if benchmark.enabled and threads > 1:
        time.sleep(QUIET_SECONDS)
    return process, *size


@pytest.mark.parametrize(("work", "turn", "rival"), list(_cases(WORKS, USUAL, SHORT, TURNS)))
def test_step(benchmark, ready, peak, work, rival):
    process, times, seconds = ready
    benchmark.group = "train_step"
    rounds = int(np.clip(TURN_SECONDS / seconds, *ROUNDS)) if benchmark.enabled else 1
    benchmark.pedantic(process.ask, args=("round",), kwargs={"times": times}, rounds=rounds, warmup_rounds=1)
    if benchmark.enabled:
        median = benchmark.stats.stats.median / times
        flop = work.batch * work.flop_per_row
        benchmark.extra_info |= {"steps": times, **speed(flop, median, peak, TRAINERS[rival].precision)}


@pytest.mark.parametrize(("work", "turn", "rival"), list(_cases(EPOCHS, [MAIN], [], EPOCH_TURNS)))
def test_epoch(benchmark, ready, peak, work, turn, rival):
    process, _, _ = ready
    benchmark.group = "epoch"
    benchmark.pedantic(process.ask, args=("epoch",), rounds=1, warmup_rounds=int(turn == 0))
    if benchmark.enabled:
        flop = benchmark.extra_info["rows"] * work.flop_per_row
        median = benchmark.stats.stats.median
        benchmark.extra_info |= {**speed(flop, median, peak, TRAINERS[rival].precision)}
        if work == MAIN:
            benchmark.extra_info["peak_bytes"] = process.ask("memory")
