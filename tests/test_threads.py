import os

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from fastmlp.errors import ConfigError
from fastmlp.nn import threads
from fastmlp.nn.threads import blas_info, blas_threads, usable_cores

needs_blas = pytest.mark.skipif(not blas_info(), reason="threadpoolctl finds no BLAS in this numpy")
needs_two_cores = pytest.mark.skipif(usable_cores() < 2, reason="one core: there is no other number of threads")


def all_pools() -> dict[str, int]:
    return {pool["filepath"]: pool["num_threads"] for pool in ThreadpoolController().info()}


def blas_pools() -> set[int]:
    return {pool["num_threads"] for pool in blas_info()}


@needs_blas
@needs_two_cores
@pytest.mark.parametrize("n", [1, 2])
def test_threads_are_held_inside_and_restored_after(n: int) -> None:
    before = all_pools()
    with blas_threads(n) as libraries:
        assert libraries == len(blas_info()) >= 1
        assert blas_pools() == {n}
    assert all_pools() == before


@needs_blas
@needs_two_cores
def test_nested_use_restores_step_by_step() -> None:
    with blas_threads(2):
        with blas_threads(1):
            assert blas_pools() == {1}
        assert blas_pools() == {2}


@needs_blas
def test_threads_are_restored_after_an_exception() -> None:
    before = all_pools()
    with pytest.raises(ZeroDivisionError), blas_threads(1):
        raise ZeroDivisionError
    assert all_pools() == before


def test_other_pools_are_left_alone() -> None:
    before = {pool["filepath"]: pool for pool in ThreadpoolController().info() if pool["user_api"] != "blas"}
    with blas_threads(1):
        after = {pool["filepath"]: pool for pool in ThreadpoolController().info() if pool["user_api"] != "blas"}
    assert after == before


def test_one_controller_is_reused() -> None:
    assert threads._controller() is threads._controller()


@pytest.mark.parametrize("n", [0, -1, usable_cores() + 1, 1.0, True, "2", None])
def test_a_wrong_number_is_named_with_what_is_allowed(n: object) -> None:
    allowed = f"threads is {n!r}; allowed is a whole number from 1 to {usable_cores()}"
    with pytest.raises(ConfigError, match=allowed), blas_threads(n):  # type: ignore[arg-type]
        pytest.fail("the body ran")


def test_usable_cores_follow_the_affinity_mask_and_a_limit(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert usable_cores() == 1
    monkeypatch.undo()
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as a container's limit, which a test cannot set
    assert usable_cores() == 1


def test_it_works_where_no_blas_is_found(monkeypatch) -> None:
    none = ThreadpoolController().select(user_api="no such pool")
    monkeypatch.setattr(threads, "_controller", lambda: none)
    with blas_threads(1) as libraries:
        assert libraries == 0
        assert np.array_equal(np.eye(2) @ np.eye(2), np.eye(2))
    assert blas_info() == []
