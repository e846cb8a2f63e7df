"""A crew: its members and tasks, helpers who fall asleep, are refused or were left behind by a fork."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastmlp_kernels import _crew
from fastmlp_kernels._crew import helpers, share
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._team import meet, tasks
from test_kernels_process import run_python

PHASES, COUNT = 3, 20_000
PATIENCE = 10**7  # looks: about a second


@part
def _take_tasks(member, times, taker):
    for phase in range(PHASES):
        for task in tasks(member, COUNT):
            times[member.number, task] += 1
            taker[phase, task] = member.number
        if not meet(member, phase):
            return


@kernel
def take_tasks(crew, times, taker):
    """Count how often each member took each task, and note by whom it was taken in each phase."""
    share(crew, _take_tasks, (times, taker))


def run(members, looks=PATIENCE):
    """Return how often each task was taken, and the numbers of those who took any."""
    times, taker = np.zeros((members, COUNT), np.int64), np.full((PHASES, COUNT), -1)
    helpers.run(members, looks, take_tasks, times, taker)
    return times.sum(axis=0), set(np.unique(taker))


def wait_until(states):
    end = time.monotonic() + 20
    while not set(helpers._slots[: len(helpers._threads), _crew._STATE]) <= states:
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_each_task_of_each_phase_is_taken_once(members):
    for _ in range(3):
        times, takers = run(members)
        np.testing.assert_array_equal(times, PHASES)
        assert takers <= set(range(members))


def test_helpers_whom_nobody_calls_fall_asleep_and_wake_again():
    run(3)
    wait_until({_crew._AWAY})
    assert run(3)[0].tolist() == [PHASES] * COUNT


def test_a_caller_goes_on_alone_who_may_not_wait(monkeypatch):
    wait_until({_crew._AWAY})
    monkeypatch.setattr(helpers, "_wake", lambda _: None)
    assert run(3, looks=0)[1] == {0}


def test_of_callers_at_once_one_has_the_helpers():
    with ThreadPoolExecutor(4) as pool:
        for times, _ in pool.map(run, [2, 3] * 6):
            np.testing.assert_array_equal(times, PHASES)


def test_fewer_share_where_the_system_refuses_a_thread(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    helpers.close()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert run(3)[1] == {0}
    assert run(3)[0].tolist() == [PHASES] * COUNT


# What a handler raises while `start` waits for the thread comes out as this: threading then lets go of a lock twice.
@pytest.mark.parametrize("late", [False, True])
def test_no_two_threads_have_a_slot_where_a_start_fails_after_all(monkeypatch, late):
    start, work, stand_by = threading.Thread.start, _crew._help, _crew._stand_by
    started, goes_on, stood = [], threading.Event(), threading.Event()

    def begin(*arguments):
        assert goes_on.wait(300)
        work(*arguments)

    def stand(slot):
        stood.set()
        stand_by(slot)

    def fail(thread):
        started.append(thread)
        start(thread)
        assert late or stood.wait(300)
        raise RuntimeError("release unlocked lock")

    if not late:
        goes_on.set()
    helpers.close()
    with monkeypatch.context() as patch:
        patch.setattr(_crew, "_help", begin)
        patch.setattr(_crew, "_stand_by", stand)
        patch.setattr(threading.Thread, "start", fail)
        run(2)
    helpers._wake(2)
    goes_on.set()
    kept = [one.thread for one in helpers._threads]
    assert len(kept) == 2
    assert (started[0] in kept) is not late
    if late:
        started[0].join(20)
    assert started[0].is_alive() is not late
    assert run(3)[0].tolist() == [PHASES] * COUNT


def test_no_more_share_than_were_asked_where_waking_them_fails(monkeypatch):
    def fail(_):
        raise RecursionError

    run(4)
    monkeypatch.setattr(helpers, "_wake", fail)
    assert helpers.run(2, 0, lambda crew: (len(crew[0]), len(crew[2]))) == (1, 3)


def test_closed_helpers_leave_no_thread_and_are_started_anew():
    run(3)
    helpers.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "fastmlp crew"]
    assert run(2)[0].tolist() == [PHASES] * COUNT


# The parent's helpers stand by while it forks, and while it ends.
FORKING = """
import os, signal, warnings
import numpy as np
from fastmlp_kernels import gemm

gemm.LOOK_FLOP = 0.1
a = np.random.default_rng(0).standard_normal((512, 128), np.float32)
alone, own = np.empty((2, 512, 512), np.float32)
gemm.matmul(a, a, alone, transpose_b=True)
gemm.matmul(a, a, own, transpose_b=True, threads=2)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of threads in a process that forks
    child = os.fork()
signal.alarm(60)  # ends it where it waits for ever
own[...] = 0
gemm.matmul(a, a, own, transpose_b=True, threads=2)
print("child" if child == 0 else os.waitpid(child, 0)[1], (own == alone).all(), flush=True)
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_helpers_of_its_own():
    assert run_python(FORKING).splitlines() == ["child True", "0 True"]


# A handler that raises comes between any two steps of Python, those of a thread's start among them.
INTERRUPTED = """
import random, signal, sys, time
import numpy as np
from fastmlp_kernels import gemm
from fastmlp_kernels._crew import helpers

def interrupt(*_):
    # once more later, as Python drops what is raised while it collects garbage; not at once, where it is being caught
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    raise KeyboardInterrupt

a = np.random.default_rng(0).standard_normal((160, 160), np.float32)
alone, own = np.empty_like(a), np.empty_like(a)
gemm.matmul(a, a, alone)
gemm.matmul(a, a, own, threads=3)
signal.signal(signal.SIGALRM, interrupt)
sys.unraisablehook = lambda _: None
times, wrong, end = 0, 0, time.monotonic() + {seconds}
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 6e-4))
        if times % 20 == 19:
            helpers.close()
        while True:
            gemm.matmul(a, a, own, threads=3)
            wrong += not np.array_equal(own, alone)
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        times += 1
signal.setitimer(signal.ITIMER_REAL, 0)
gemm.matmul(a, a, own, threads=3)
print(times > 20, wrong, int(helpers._busy[0]), np.array_equal(own, alone), flush=True)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.alarm(20)  # ends the process where its end waits for ever
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
def test_what_a_handler_raises_leaves_the_crew_at_work_and_the_process_able_to_end():
    assert run_python(INTERRUPTED.format(seconds=2)).split() == ["True", "0", "0", "True"]


HANDLED = """
import signal, time
import numpy as np
from fastmlp_kernels import gemm

a = np.ones((8, 8), np.float32)
out, other = np.empty_like(a), np.empty_like(a)
gemm.matmul(a, a, out)
signal.signal(signal.SIGALRM, lambda *_: gemm.matmul(a, a, other))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    gemm.matmul(a, a, out)
signal.setitimer(signal.ITIMER_REAL, 0)
print((out == 8).all() and (other == 8).all())
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
def test_a_handler_that_multiplies_disturbs_no_product():
    assert run_python(HANDLED.format(seconds=3)) == "True\n"
