"""A team of threads in one compiled function: who takes which task, and where they wait for each other.

Member 0 is the caller; the others are Python threads that sleep until they are asked. Inside, the function releases
the GIL, so they run at once. It goes through phases: tasks that the members take in turn from a common counter, and a
barrier where they meet. Which member did a task never shows in the result: a task writes to places of its own, and sums
over tasks are taken in the order of the tasks.

    for task in tasks(member, count):
        ...
    if not meet(member, phase):
        return

This stands where numba's `prange` could: its workqueue layer, the only one that every installation has, ends the
process when two Python threads use it at once, and its start costs more than a small product. Nothing here outlives a
call but sleeping threads, a team of one uses none, and several teams can work side by side.

A member notes when it comes to a barrier and when it leaves it, so that every run tells how long each phase took it and
how long it waited (`Team.seconds`).
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types

from fastmlp_kernels import _cores
from fastmlp_kernels._jit import part
from fastmlp_kernels._llvm import I32, I64, call, element_pointer, intrinsic
from fastmlp_kernels._records import record

# Places in `Member.shared`, each on a cache line of its own.
_ARRIVED, _TAKEN, _ABORTED = 0, 16, 32
# Places in `Member.own`: tasks and barriers of the phases that lie behind the member, when it left the last barrier,
# and from _SPENT on two for each phase, nanoseconds at work and at its barrier.
_BEHIND, _MET, _LEFT, _SPENT = range(4)
# How many phases of one function are told apart.
PHASES = 8
SIZE = 48  # of both arrays
# The clock that no one sets; Windows has no such function.
_CLOCK = {"linux": 1, "darwin": 6}.get(sys.platform)
# Waiting is for microseconds as a rule. After so many looks the core is given away: the member that is waited for may
# be waiting for this very core.
LOOKS = 4000
_X86 = platform.machine().lower() in ("x86_64", "amd64")


@intrinsic
def _fetch_add(typingctx: Any, array: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], *args)
        return builder.atomic_rmw("add", pointer, I64(1), "seq_cst")

    return types.int64(array, types.intp), codegen


@intrinsic
def load(typingctx: Any, array: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(element_pointer(context, builder, signature.args[0], *args), "seq_cst", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def pause(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _X86:
            call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if os.name == "posix":
            call(builder, "sched_yield", I32)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def now(typingctx: Any) -> Any:
    """Return nanoseconds from some moment on, 0 where there is no clock."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _CLOCK is None:
            return I64(0)
        with builder.goto_entry_block():
            moment = builder.alloca(ir.ArrayType(I64, 2))
        call(builder, "clock_gettime", I32, I32(_CLOCK), moment)
        seconds, rest = (builder.load(builder.gep(moment, [I32(0), I32(i)])) for i in range(2))
        return builder.add(builder.mul(seconds, I64(10**9)), rest)

    return types.int64(), codegen


@record
class Member(NamedTuple):
    """One of a team's threads, as the function that they run together is told of it.

    number : 0 is the caller; count : of members
    shared : (48,) int64, one array for all members: counters of tasks taken and of arrivals at barriers
    own : (48,) int64, which this member alone writes: the phases behind it, and the time that they took
    """

    number: int
    count: int  # pyright: ignore[reportIncompatibleMethodOverride] - no one counts values in it
    shared: np.ndarray
    own: np.ndarray


@part
def tasks(member: Member, count: int) -> Iterator[int]:
    """Yield the tasks of a phase, of 0 to below count, that fall to this member: the next one that no other has taken.

    Members must go through all phases, with the same counts, and to the end of each.
    """
    task = _fetch_add(member.shared, _TAKEN) - member.own[_BEHIND]
    while task < count:
        yield task
        task = _fetch_add(member.shared, _TAKEN) - member.own[_BEHIND]
    member.own[_BEHIND] += count + member.count  # each member asks once too often


@part
def meet(member: Member, phase: int) -> bool:
    """Wait at the barrier that ends a phase until all members have come; False where one of them failed instead.

    phase : below PHASES, for `Team.seconds`
    """
    own, came = member.own, now()
    own[_SPENT + 2 * phase] += came - own[_LEFT]
    own[_MET] += 1
    all_came = member.count == 1 or _all_came(member.shared, own[_MET] * member.count)
    own[_LEFT] = came if member.count == 1 else now()
    own[_SPENT + 2 * phase + 1] += own[_LEFT] - came
    return all_came


@part
def _all_came(shared: np.ndarray, arrivals: int) -> bool:
    _fetch_add(shared, _ARRIVED)
    looks = 0
    while load(shared, _ARRIVED) < arrivals:
        if load(shared, _ABORTED):
            return False
        pause()
        looks += 1
        if looks == LOOKS:
            give_way()
            looks = 0
    return True


def refuse_uncompiled() -> None:
    """Raise RuntimeError under NUMBA_DISABLE_JIT=1: what threads share exists only compiled."""
    if config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - numba sets it by name
        raise RuntimeError("NUMBA_DISABLE_JIT is set, and packed products exist only compiled: unset it or take BLAS")


class Team:
    """`members` threads, the caller among them, that run a compiled function together.

    Raises RuntimeError under NUMBA_DISABLE_JIT=1: what runs in a team exists only compiled.
    """

    def __init__(self, members: int) -> None:
        refuse_uncompiled()
        self.members = members
        self._counters = np.zeros((1 + members, SIZE), np.int64)  # of the last run
        self._start()

    def _start(self) -> None:
        threads, self._process = self.members - 1, os.getpid()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fastmlp") if threads else None

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call function(member, *arguments) in every member, with its `Member`; return the answer of member 0.

        An exception in any member lets the others leave at their next barrier and is raised here.
        """
        counters = self._counters = np.zeros((1 + self.members, SIZE), np.int64)
        shared = counters[0]
        counters[1:, _LEFT] = 0 if _CLOCK is None else time.clock_gettime_ns(_CLOCK)
        if self._process != os.getpid():  # a fork copies the pool without its threads, and would wait for them for ever
            self._start()
        if self._pool is None:
            return function(Member(0, 1, shared, counters[1]), *arguments)

        of_caller = _cores.core()

        def work(number: int) -> Any:
            try:
                if number > 0:
                    _cores.leave(of_caller)
                return function(Member(number, self.members, shared, counters[1 + number]), *arguments)
            except BaseException:
                shared[_ABORTED] = 1
                raise

        others: list[Future[Any]] = []
        try:
            others.extend(self._pool.submit(work, member) for member in range(1, self.members))
        except BaseException:  # the system may refuse a thread, after its work was put into the pool's queue
            shared[_ABORTED] = 1
            self._pool.shutdown(cancel_futures=True)
            self._start()
            raise
        try:
            answer = work(0)
        except BaseException:
            shared[_ABORTED] = 1
            raise
        finally:
            for other in others:
                other.exception()  # wait: no member may still write when the caller goes on
        for other in others:
            other.result()
        return answer

    def seconds(self) -> np.ndarray:
        """Return (members, PHASES, 2) float64 of the last run: seconds in each phase's tasks, and at its barrier."""
        spent = self._counters[1:, _SPENT : _SPENT + 2 * PHASES]
        return spent.reshape(self.members, PHASES, 2) * 1e-9

    def close(self) -> None:
        """End the threads; the team is of no use afterwards."""
        if self._pool is not None:
            self._pool.shutdown()
