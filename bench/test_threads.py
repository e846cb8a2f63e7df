"""Steps of small batches on all cores beside those on one, in turns in one process: sharing must never cost time.

`extra_info["gain"]` is the median of one thread's time over all threads', turn by turn; `extra_info["ways"]` are how
many threads took the steps of each turn, as the network finds the faster way itself.
"""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
import pytest

from bench.networks import Data, Work
from bench.peak import IN_HARDWARE
from bench.rounds import ROUND_SECONDS
from bench.trainers import TRAINERS
from fastmlp.nn.threads import usable_cores

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

LAYERS, SMALL = (3072, 128, 20), (100, 100, 10)
WORKS = [*(Work(LAYERS, batch) for batch in (1, 16, 32, 64, 256)), Work(SMALL, 200)]
RIVALS = ("fastmlp", "fastmlp_bf16", "fastmlp_int8")
SHORT = [*(("fastmlp", batch) for batch in (16, 64, 200)), *[("fastmlp_int8", 16)] * IN_HARDWARE["int8"]]
TURNS = 15


def _cases() -> Iterator[Any]:
    for work in WORKS:
        for rival in RIVALS:
            if rival != "fastmlp_int8" or work.layers == LAYERS:  # it multiplies pixels
                marks = () if (rival, work.batch) in SHORT else pytest.mark.full
                yield pytest.param(work, rival, id=f"{work.name}-batch{work.batch}-{rival}", marks=marks)


@pytest.mark.skipif(usable_cores() == 1, reason="there is one core")
@pytest.mark.parametrize(("work", "rival"), list(_cases()))
def test_gain(benchmark: Any, work: Work, rival: str) -> None:
    data = Data(work.layers, 8 * work.batch if not benchmark.enabled else max(4096, 8 * work.batch))
    networks: list[Any] = [TRAINERS[rival](data, work, threads) for threads in (1, usable_cores())]
    order = np.random.default_rng(0).permutation(len(data.labels))

    def seconds(network: Any, steps: int) -> float:
        began = time.perf_counter()
        network.train(np.take(order, np.arange(steps * work.batch), mode="wrap"))
        return time.perf_counter() - began

    steps = 1
    for network in networks:  # compile, and find how many steps last, and the faster way
        while seconds(network, steps) < ROUND_SECONDS and benchmark.enabled:
            steps *= 2
    found: list[float] = []
    ways: list[int] = []

    def turn() -> None:
        alone, shared = (seconds(network, steps) for network in networks)
        found.append(alone / shared)
        ways.append(networks[1].model.engine._ran.members)

    benchmark.group = "threads"
    benchmark.pedantic(turn, rounds=TURNS if benchmark.enabled else 1)
    benchmark.extra_info |= {
        "layers": work.name,
        "batch": work.batch,
        "rival": rival,
        "gain": median(found),
        "ways": ways,
    }
