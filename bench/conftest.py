"""Shared by the benchmarks: the machine's measured peak, and what every result's JSON says of the machine."""

from importlib.metadata import version
from typing import Any

import pytest


@pytest.fixture(scope="session")
def peak() -> dict[int, float]:
    """Give the float32 peak in GFLOP/s of one thread and of all, measured in this run."""
    from bench.peak import measure
    from fastmlp.threads import usable_cores

    return {threads: measure(threads) for threads in {1, usable_cores()}}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add what a table of timings has to say of the machine; leave out the machine's name."""
    from fastmlp.environment import cpu_model
    from fastmlp.threads import usable_cores

    machine_info["node"] = ""
    machine_info["fastmlp"] = {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "blas_kernels": blas_kernels(),
    }


def blas_kernels() -> str | None:
    """Return the name of the kernels that numpy's BLAS uses in this process, where it has several."""
    from fastmlp.threads import blas_info

    return next((library.get("architecture") for library in blas_info()), None)
