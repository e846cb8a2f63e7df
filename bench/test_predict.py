"""The answer for one row, and for a few, of a network that was made before, on one thread.

Rivals take turns, each in a process of its own, after their answers were found to be the float64 reference's.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bench.networks import Work
from bench.predictors import PREDICTORS
from bench.rivals import describe

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

LAYERS, ROWS = ((64, 128, 4), (3072, 128, 20)), (1, 16)
TURNS = 3
TURN_SECONDS, ROUNDS = 0.1, (3, 7)
READY_SECONDS = 90


def _cases() -> Iterator[Any]:
    for work in (Work(layers, rows) for layers in LAYERS for rows in ROWS):
        for turn in range(TURNS):
            for rival in PREDICTORS:
                name = f"{work.name}-rows{work.batch}-{rival}-{turn}"
                yield pytest.param(work, turn, rival, id=name, marks=() if work.batch == 1 else pytest.mark.full)


@pytest.mark.parametrize("threads", [1], indirect=True, ids="threads{}".format)
@pytest.mark.parametrize(("work", "turn", "rival"), list(_cases()))
def test_predict(benchmark, worker, threads, work, turn, rival):
    process = worker("predict", rival)
    times, seconds = process.start(READY_SECONDS, short=not benchmark.enabled, **work.as_json())
    benchmark.group = "predict"
    benchmark.extra_info |= describe(rival, process, "float32", threads)
    benchmark.extra_info |= {"layers": work.name, "batch": work.batch, "turn": turn}
    rounds = int(np.clip(TURN_SECONDS / seconds, *ROUNDS)) if benchmark.enabled else 1
    benchmark.pedantic(process.ask, args=("round",), kwargs={"times": times}, rounds=rounds, warmup_rounds=1)
    if benchmark.enabled:
        benchmark.extra_info["seconds"] = benchmark.stats.stats.median / times
