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
    """Leave out where nothing is timed what is the same as a test: turns but the first, and sizes."""
    if config.option.benchmark_disable:
        _leave_out(config, items, [item for item in items if not _is_test(item)])
    elif run_of(config) == "short":
        _leave_out(config, items, [item for item in items if item.get_closest_marker("full")])


def _leave_out(config: pytest.Config, items: list[pytest.Item], others: list[pytest.Item]) -> None:
    gone = set(others)
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in gone]


def run_of(config: pytest.Config) -> str:
    """Return what is measured: "full", "chosen" by `-k` or by id, or "short", which leaves out the marker `full`."""
    if config.option.keyword or any("::" in given for given in config.args):
        return "chosen"
    return "full" if config.option.full else "short"


def _is_test(item: Any) -> bool:
    """Return whether this is the first turn, with parameters that the module's AS_TESTS allows, where it names them."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    allowed = {"turn": [0], **getattr(item.module, "AS_TESTS", {})}
    return all(value in allowed.get(name, [value]) for name, value in parameters.items())


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
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add what a table of timings has to say of the machine; leave out the machine's name."""
    from bench.machine import cpu
    from fastmlp.nn.threads import blas_info

    machine_info["node"] = ""
    machine_info["fastmlp"] = {
        "run": run_of(config),
        "cpu": cpu(),
        "cores": usable_cores(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "blas_kernels": next((library.get("architecture") for library in blas_info()), None),
    }
