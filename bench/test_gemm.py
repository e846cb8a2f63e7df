"""Matrix products of the network 3072-128-20, batch 1024, square and small ones, by one thread and by all.

From images (see `bench.products`), all that stands before the first layer's product in a training step counts too.
Rivals take turns, each in a process of its own, after their product was found to be the float64 one. PyTorch's bfloat16
operands are bfloat16 before, and its result is rounded to bfloat16.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from bench.peak import IN_HARDWARE
from bench.products import MULTIPLIERS, Product
from bench.rivals import describe, speed
from bench.training_tables import SOURCES
from fastmlp.nn.threads import usable_cores

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

PRODUCTS = [
    *(Product(1024, 3072, 128, False, source) for source in SOURCES),
    *(Product(3072, 1024, 128, True, source) for source in SOURCES),
    Product(1024, 128, 20),
    Product(1024, 1024, 1024),
    Product(2048, 2048, 2048),
]
# What a call costs, its packing and its threads, shows in these: beside float32's rivals alone.
SMALL = [*(Product(n, n, n) for n in (64, 128, 256, 512)), Product(1, 3072, 128), Product(16, 3072, 128)]
FLOATS = ("fastmlp", "torch", "numpy")
SHORT = [p for p in [PRODUCTS[0], *PRODUCTS[4:], *SMALL] if p.n not in (256, 1024, 2048)]
TURNS = 3
TURN_SECONDS, ROUNDS = 0.1, (3, 7)
QUIET_SECONDS = 0.1
READY_SECONDS = 90
AS_TESTS = {
    "threads": [usable_cores()],
    "product": PRODUCTS[: 2 * len(SOURCES)],
}  # each source, also transposed


def _cases() -> Iterator[Any]:
    for p in PRODUCTS + SMALL:
        for turn in range(TURNS):
            for rival, multiplier in MULTIPLIERS.items():
                if hasattr(multiplier, p.source) and (p not in SMALL or rival in FLOATS):
                    short = p in SHORT and IN_HARDWARE[multiplier.precision]
                    marks = [pytest.mark.full] * (not short) + [pytest.mark.slow] * (p.m == 2048)
                    name = f"{p.m}x{p.k}x{p.n}-{p.source}-{rival}-{turn}"
                    yield pytest.param(p, turn, rival, id=name, marks=marks)


@pytest.mark.parametrize(("product", "turn", "rival"), list(_cases()))
def test_product(benchmark, worker, peak, threads, product, turn, rival):
    process, precision = worker("multiply", rival), MULTIPLIERS[rival].precision
    if not benchmark.enabled:
        product = replace(product, images=1024)
    times, seconds = process.start(READY_SECONDS, short=not benchmark.enabled, **asdict(product))
    benchmark.group = "gemm"
    benchmark.extra_info |= describe(rival, process, precision, threads) | asdict(product) | {"turn": turn}
    if benchmark.enabled and threads > 1:
        time.sleep(QUIET_SECONDS)
    rounds = int(np.clip(TURN_SECONDS / seconds, *ROUNDS)) if benchmark.enabled else 1
    benchmark.pedantic(process.ask, args=("round",), kwargs={"times": times}, rounds=rounds, warmup_rounds=1)
    if benchmark.enabled:
        median = benchmark.stats.stats.median / times
        benchmark.extra_info |= {"products": times, **speed(product.flop, median, peak, precision)}
