"""Shared by the benchmarks: the rivals' processes, the machine's peak, and what every result's JSON says of it."""

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from fastmlp.nn.threads import usable_cores

if TYPE_CHECKING:
    from bench.worker import Worker


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all turns but the first where nothing is timed: as tests they are the same."""
    if config.option.benchmark_disable:
        again = [item for item in items if getattr(item, "callspec", None) and _params(item).get("turn", 0) != 0]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


def _params(item: Any) -> dict[str, Any]:
    return item.callspec.params


@pytest.fixture(scope="module", params=sorted({1, usable_cores()}), ids="threads{}".format)
def threads(request: pytest.FixtureRequest) -> int:
    """Give one thread, then all."""
    return request.param


@pytest.fixture(scope="module")
def peak(threads: int, request: pytest.FixtureRequest) -> dict[str, float]:
    """Give the peak in GFLOP/s by precision, measured in this run; bfloat16's only where the CPU multiplies it.

    The best of some measurements over two seconds: whatever else the machine does for a moment must not lower it.
    """
    from bench.peak import measure, precisions

    best = dict.fromkeys(precisions(), 0.0)
    for again in range(1 if request.config.option.benchmark_disable else 5):
        time.sleep(0.3 * bool(again))
        best = {precision: max(known, measure(threads, precision)) for precision, known in best.items()}
    return best


@pytest.fixture(scope="module")
def worker(threads: int) -> "Iterator[Callable[[str, str], Worker]]":
    """Start a rival, by kind of work and name, at its first use; end all before the next number of threads."""
    from bench.rivals import why_not
    from bench.worker import DEFAULT_BLAS, Worker

    started: dict[tuple[str, str], Worker] = {}

    def get(kind: str, rival: str) -> Worker:
        if (reason := why_not(rival)) is not None:
            pytest.skip(reason)
        if (kind, rival) not in started:
            started[kind, rival] = Worker(kind, rival, threads)
        found = started[kind, rival]
        if rival == DEFAULT_BLAS and found.blas_kernels == get(kind, "numpy").blas_kernels:
            pytest.skip(f"numpy's BLAS chooses the right kernels here by itself ({found.blas_kernels})")
        return found

    yield get
    for process in started.values():
        process.close()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add what a table of timings has to say of the machine; leave out the machine's name."""
    from fastmlp.nn.threads import blas_info
    from fastmlp.runs.environment import cpu_model

    machine_info["node"] = ""
    machine_info["fastmlp"] = {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "blas_kernels": next((library.get("architecture") for library in blas_info()), None),
    }
