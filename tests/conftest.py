"""Shared by all tests: one seeded generator, and hypothesis settings that suit compiled code.

pytest loads this file for --benchmark-only too, which needs neither numpy this early nor hypothesis at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from bench.cluster_peers import Peers
    from kept import Tiny


def pytest_configure(config: pytest.Config) -> None:
    """Give property tests no deadline, and the same examples each time, so that a red run can be had again."""
    if config.getoption("benchmark_only", default=False):
        return
    from hypothesis import HealthCheck, settings

    # a kernel's first example compiles it, and an emulated machine is slow at all it does
    slow = [HealthCheck.too_slow]
    settings.register_profile("fastmlp", deadline=None, derandomize=True, suppress_health_check=slow)
    settings.load_profile("fastmlp")


@pytest.fixture
def rng() -> np.random.Generator:
    """Give a generator that starts from the same seed in every test."""
    import numpy as np

    return np.random.default_rng(20230203)


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Let pages be made without their drawings."""
    from undrawn import undrawn

    with undrawn():
        yield


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Tiny]:
    """Give tiny kernels and an empty cache for them; nothing may be said on standard output and error."""
    from fastmlp_kernels import _store
    from kept import tiny_kernels

    monkeypatch.delenv(_store.VARIABLE, raising=False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "caches"))
    with tiny_kernels(tmp_path) as made:
        yield made
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def shared_peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """Give what starts a dask scheduler and workers; it ends those that are left after the module."""
    from pathlib import Path

    from bench.cluster_peers import Peers

    with Peers(tmp_path_factory.mktemp("peers"), [Path(__file__).parent]) as made:
        yield made


@pytest.fixture
def peers(shared_peers: Peers) -> Peers:
    """Give a scheduler and one worker, those of the test before where it left them alive."""
    shared_peers.restore(workers=1)
    return shared_peers
