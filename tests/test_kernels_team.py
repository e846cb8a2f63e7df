"""A team of threads: its members, tasks and barriers, and what becomes of an exception in one of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import perf_counter

import numpy as np
import pytest

from fastmlp_kernels import _team
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._team import Team
from test_kernels_process import run_python

MEMBERS = (1, 2, 3, 5)  # more than this machine may have cores: then they must make way for each other


@kernel
def take_tasks(member, phases, count, times, taker):
    """Count how often each task of each phase was taken, and note by whom; return the phases that were gone through."""
    for phase in range(phases):
        for task in _team.tasks(member, count + phase):
            times[member.number, task] += 1
            taker[task] = member.number
        if not _team.meet(member, phase):
            return phase
    return phases


@kernel
def meet(member, seen, wrong):
    """At each turn write the turn in one's own place; behind the barrier all places must hold it."""
    turns = seen.size // member.count
    for turn in range(1, turns):
        seen[member.number * turns] = turn
        if not _team.meet(member, 0):
            return False
        for other in range(member.count):
            if seen[other * turns] != turn:
                wrong[member.number] += 1
        if not _team.meet(member, 1):  # no one goes on while another still looks
            return False
    return True


@pytest.mark.parametrize("members", MEMBERS)
def test_every_member_is_called_with_its_number_and_fresh_counters(members):
    calls = []

    def call(member, first, second):
        calls.append((member.number, member.count, threading.get_ident()))
        assert not member.shared.any()
        assert np.count_nonzero(member.own) == 1  # when it began
        assert (first, second) == ("a", 2)
        return f"member {member.number}"

    with closing(Team(members)) as team:
        for _ in range(3):
            calls.clear()
            assert team.run(call, "a", 2) == "member 0"
            assert sorted(call[:2] for call in calls) == [(i, members) for i in range(members)]
            assert next(thread for member, _, thread in calls if member == 0) == threading.get_ident()


@pytest.mark.parametrize("members", MEMBERS)
def test_each_task_of_each_phase_is_taken_once(members):
    phases, count = 3, 20_000
    with closing(Team(members)) as team:
        for _ in range(3):
            times, taker = np.zeros((members, count + phases - 1), np.int64), np.full(count + phases - 1, -1)
            assert team.run(take_tasks, phases, count, times, taker) == phases
            np.testing.assert_array_equal(times.sum(axis=0), [*[phases] * count, 2, 1])
            assert taker.min() >= 0


@pytest.mark.parametrize("members", MEMBERS)
def test_a_run_tells_the_time_of_each_phase_of_each_member(members):
    phases, count = 3, 20_000
    with closing(Team(members)) as team:
        times, taker = np.zeros((members, count + phases - 1), np.int64), np.zeros(count + phases - 1, np.int64)
        team.run(take_tasks, phases, count, times, taker)  # compiles
        began = perf_counter()
        team.run(take_tasks, phases, count, times, taker)
        took, seconds = perf_counter() - began, team.seconds()
    assert seconds.shape == (members, _team.PHASES, 2)
    assert (seconds >= 0).all()
    assert not seconds[:, phases:].any()
    assert (seconds.sum(axis=(1, 2)) <= took).all()
    if _team._CLOCK is not None:
        assert (seconds[:, :phases, 0] > 0).all()
    if members == 1:
        assert not seconds[:, :, 1].any()  # no one to wait for


@pytest.mark.parametrize("members", MEMBERS)
def test_no_one_passes_a_barrier_before_all_have_come(members):
    turns = 300
    seen, wrong = np.zeros((turns + 1) * members, np.int64), np.zeros(members, np.int64)
    with closing(Team(members)) as team:
        assert team.run(meet, seen, wrong)
    assert not wrong.any()


def test_several_teams_at_once():
    def work(_):
        turns = 100
        seen, wrong = np.zeros((turns + 1) * 2, np.int64), np.zeros(2, np.int64)
        with closing(Team(2)) as team:
            return team.run(meet, seen, wrong) and not wrong.any()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))


def test_a_closed_team_leaves_no_thread():
    before = threading.active_count()
    team = Team(1)
    team.run(lambda *_: None)
    assert threading.active_count() == before  # a team of one is its caller
    team.close()
    with closing(Team(3)) as team:
        team.run(lambda *_: None)
    assert threading.active_count() == before


# In a process of its own, which ends by itself should a member wait for ever.
FAILING = """
import faulthandler, threading
faulthandler.dump_traceback_later(60, exit=True)
from fastmlp_kernels import _team
from fastmlp_kernels._jit import kernel

@kernel
def wait(member):
    return _team.meet(member, 0)

@kernel
def fail(member):
    if member >= 0:
        raise ValueError("compiled")

passed = []

def work(member, failing, error):
    wait(member)
    if member.number in failing:
        error(member.number)
    passed.append((member.number, wait(member)))
    return "done"

def python(member):
    raise KeyError(member)

for members in (2, 3):
    team = _team.Team(members)
    cases = [((), None), ((0,), python), ((members - 1,), python), ((0, 1), python), ((1,), fail), ((), None)]
    for failing, error in cases:
        passed.clear()
        try:
            answer = team.run(work, failing, error)
        except Exception as raised:
            answer = repr(raised)
        print(members, answer, sorted(passed))
    team.close()
print(threading.active_count())
"""


def test_an_exception_in_a_member_ends_the_others_and_is_raised():
    assert run_python(FAILING).splitlines() == [
        "2 done [(0, True), (1, True)]",
        "2 KeyError(0) [(1, False)]",
        "2 KeyError(1) [(0, False)]",
        "2 KeyError(0) []",  # of two the caller's own
        "2 ValueError('compiled') [(0, False)]",
        "2 done [(0, True), (1, True)]",  # it works on
        "3 done [(0, True), (1, True), (2, True)]",
        "3 KeyError(0) [(1, False), (2, False)]",
        "3 KeyError(2) [(0, False), (1, False)]",
        "3 KeyError(0) [(2, False)]",
        "3 ValueError('compiled') [(0, False), (2, False)]",
        "3 done [(0, True), (1, True), (2, True)]",
        "1",
    ]


def test_work_of_a_refused_thread_is_never_done_later(monkeypatch):
    def refuse(thread):  # noqa: ARG001 - as `start` is called
        raise RuntimeError("can't start new thread")

    times, taker = np.zeros((3, 100), np.int64), np.full(100, -1)
    with closing(Team(3)) as team:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                team.run(take_tasks, 1, 100, times, taker)
        own = np.zeros_like(times)
        team.run(take_tasks, 1, 100, own, taker)
        team.run(take_tasks, 1, 100, own, taker)
    assert not times.any()
    assert own.sum() == 200
