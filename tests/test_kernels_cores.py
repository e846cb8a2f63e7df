"""Threads that work together leave each other's cores, and keep to those that they may be on."""

import os
import sys

import pytest

from fastmlp_kernels import _cores
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._team import Team, meet

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell cores")


@pytest.fixture
def allowed():
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


@on_linux
def test_a_thread_leaves_a_core_for_another_one_and_may_come_back(allowed):
    if len(allowed) == 1:
        pytest.skip("one core")
    left = 0
    for number in 10 * sorted(allowed)[:2]:
        os.sched_setaffinity(0, {number})
        os.sched_setaffinity(0, allowed)
        _cores.leave(number)  # it is there still, as a rule
        assert os.sched_getaffinity(0) == allowed
        left += _cores.core() != number
    assert left > 10  # the system may move it back, now and then


@on_linux
def test_of_one_core_a_thread_stays_there(allowed):
    only = min(allowed)
    os.sched_setaffinity(0, {only})
    _cores.leave(only)
    assert _cores.core() == only
    assert os.sched_getaffinity(0) == {only}


@on_linux
def test_a_thread_moves_only_from_the_core_that_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(_cores, "_GET", lambda: 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3, 5})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: asked.append(set(cores)))
    for number in (2, -1, 5):
        _cores.leave(number)
    assert asked == []
    _cores.leave(3)
    assert asked == [{1, 5}, {1, 3, 5}]


def test_a_system_that_tells_nothing_moves_no_one(monkeypatch):
    monkeypatch.setattr(_cores, "_GET", None)
    assert _cores.core() == -1
    _cores.leave(_cores.core())


@on_linux
def test_a_system_that_refuses_is_left_alone(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(_cores, "_GET", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    _cores.leave(0)


def test_members_do_not_wait_for_one_that_fails_before_its_work(monkeypatch):
    def fail(_):
        raise MemoryError

    @kernel
    def wait(member):
        return meet(member, 0)

    monkeypatch.setattr(_cores, "leave", fail)
    team = Team(2)
    try:
        with pytest.raises(MemoryError):
            team.run(wait)
    finally:
        team.close()


def test_members_but_the_caller_are_asked_to_leave_its_core(monkeypatch):
    asked = []
    monkeypatch.setattr(_cores, "core", lambda: 7)
    monkeypatch.setattr(_cores, "leave", asked.append)
    team = Team(3)
    try:
        team.run(lambda _: None)
    finally:
        team.close()
    assert asked == [7, 7]
