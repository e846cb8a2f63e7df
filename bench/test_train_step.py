"""Whole training steps and epochs of 3072-128-20 at batch 1024, by one thread and by all.

Rivals take turns, each in a process of its own (`bench.worker`). A step gathers and normalises a shuffled batch and
trains on it; an epoch shuffles 40,000 images and trains on all of them once, without validation. `numpy` is the plain
float64 reference under the same BLAS kernels as `fastmlp`; `numpy_default_blas` is the reference under the kernels that
numpy's BLAS chooses by itself, where these are others.
"""

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec

import pytest

from bench.trainers import BATCH, FLOP_PER_IMAGE, LAYERS, TRAINERS
from bench.worker import Worker
from fastmlp.threads import usable_cores

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

TURNS = 3
IMAGES, FEW_IMAGES = 40_000, 2 * BATCH + 64  # the second where only the code is tested
STEPS, EPOCHS = 12, 1  # in one turn
PACKAGES = {"torch": "torch", "jax": "jax", "sklearn": "scikit-learn"}  # optional rivals and what installs them
QUIET_SECONDS = 0.3  # for the threads of the rival before to stop spinning


@pytest.fixture(scope="module")
def workers(request: pytest.FixtureRequest, threads: int) -> Iterator[Callable[[str], Worker]]:
    """Start each rival at its first use, at one number of threads; end all before the next number."""
    images = FEW_IMAGES if request.config.getoption("benchmark_disable") else IMAGES
    started: dict[str, Worker] = {}

    def get(rival: str) -> Worker:
        if rival not in started:
            started[rival] = Worker(rival, threads, images)
        return started[rival]

    yield get
    for worker in started.values():
        worker.close()


@pytest.fixture(scope="module", params=sorted({1, usable_cores()}), ids="threads{}".format)
def threads(request: pytest.FixtureRequest) -> int:
    """Give one thread, then all."""
    return request.param


def _require(rival: str, get: Callable[[str], Worker]) -> Worker:
    if rival in PACKAGES and find_spec(rival) is None:
        pytest.skip(f"{rival} is not installed: pip install {PACKAGES[rival]}")
    worker = get(rival)
    if rival == "numpy_default_blas" and worker.blas_kernels == get("numpy").blas_kernels:
        pytest.skip(f"numpy's BLAS chooses the right kernels here by itself ({worker.blas_kernels})")
    worker.prepare()
    return worker


@pytest.mark.parametrize("rival", TRAINERS)
@pytest.mark.parametrize("turn", range(TURNS))
@pytest.mark.parametrize(
    ("group", "work", "rounds", "images"),
    [
        pytest.param("train_step", "step", STEPS, BATCH, id="train_step"),
        pytest.param("epoch", "epoch", EPOCHS, IMAGES, id="epoch"),
    ],
)
def test_training(benchmark, workers, peak, threads, group, work, rounds, images, turn, rival):
    worker = _require(rival, workers)
    benchmark.group = group
    benchmark.extra_info |= {
        "impl": rival,
        "layers": "-".join(map(str, LAYERS)),
        "batch": BATCH,
        "images": images,
        "threads": threads,
        "turn": turn,
        "precision": TRAINERS[rival].precision,
        "blas_kernels": worker.blas_kernels,
        "numpy": version("numpy"),
        **({rival: version(PACKAGES[rival])} if rival in PACKAGES else {}),
    }
    if benchmark.enabled and threads > 1:
        time.sleep(QUIET_SECONDS)
    benchmark.pedantic(worker.ask, args=(work,), rounds=rounds, iterations=1, warmup_rounds=int(rounds > 1))
    if benchmark.enabled:
        rate = images * FLOP_PER_IMAGE / benchmark.stats.stats.median / 1e9
        benchmark.extra_info |= {
            "gflop_per_s": rate,
            "peak_gflop_per_s": peak[threads],
            "peak_share": rate / peak[threads],
        }
