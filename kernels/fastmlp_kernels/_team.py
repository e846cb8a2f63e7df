"""A team of threads in one compiled function: who takes which task, and where they wait for each other.

Member 0 is the caller; the others are Python threads that sleep until they are asked. Inside, the function releases
the GIL, so they run at once. They take tasks from a common counter and meet at barriers. Which member did a task never
shows in the result: a task writes to places of its own, and sums over tasks are taken in the order of the tasks.

This stands where numba's `prange` could: its workqueue layer, the only one that every installation has, ends the
process when two Python threads use it at once, and its start costs more than a small product. Nothing here outlives a
call but sleeping threads, a team of one uses none, and several teams can work side by side.

`sync` is an int64 array of SYNC zeros, made anew for each call.
"""

import os
import platform
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types

from fastmlp_kernels._jit import part
from fastmlp_kernels._llvm import I32, I64, call, element_pointer, intrinsic

# places in `sync`, each on a cache line of its own
_ARRIVED, _TAKEN, _ABORTED, SYNC = 0, 16, 32, 48
# Waiting is for microseconds as a rule. After so many looks the core is given away: the member that is waited for may
# be waiting for this very core.
_LOOKS = 4000
_X86 = platform.machine().lower() in ("x86_64", "amd64")


@intrinsic
def _fetch_add(typingctx: Any, array: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], *args)
        return builder.atomic_rmw("add", pointer, I64(1), "seq_cst")

    return types.int64(array, types.intp), codegen


@intrinsic
def _load(typingctx: Any, array: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(element_pointer(context, builder, signature.args[0], *args), "seq_cst", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def _pause(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _X86:
            call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _give_way(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if os.name == "posix":
            call(builder, "sched_yield", I32)
        return context.get_dummy_value()

    return types.void(), codegen


@part
def next_task(sync: np.ndarray) -> int:
    """Return the number of the next task that no member has taken, over all phases so far."""
    return _fetch_add(sync, _TAKEN)


@part
def barrier(sync: np.ndarray, members: int, count: int) -> bool:
    """Wait until all members have come to their `count`-th barrier, from 1; False where one of them failed instead."""
    if members == 1:
        return True
    _fetch_add(sync, _ARRIVED)
    looks = 0
    while _load(sync, _ARRIVED) < count * members:
        if _load(sync, _ABORTED):
            return False
        _pause()
        looks += 1
        if looks == _LOOKS:
            _give_way()
            looks = 0
    return True


class Team:
    """`members` threads, the caller among them, that run a compiled function together.

    Raises RuntimeError under NUMBA_DISABLE_JIT=1: what runs in a team exists only compiled.
    """

    def __init__(self, members: int) -> None:
        if config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - numba sets it by name
            raise RuntimeError(
                "NUMBA_DISABLE_JIT is set, and packed products exist only compiled: unset it or take BLAS"
            )
        self.members = members
        self._start()

    def _start(self) -> None:
        threads, self._process = self.members - 1, os.getpid()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fastmlp") if threads else None

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call function(member, members, sync, *arguments) in every member; return the answer of member 0.

        An exception in any member lets the others leave at their next barrier and is raised here.
        """
        sync = np.zeros(SYNC, np.int64)
        if self._process != os.getpid():  # a fork copies the pool without its threads, and would wait for them for ever
            self._start()
        if self._pool is None:
            return function(0, 1, sync, *arguments)

        def work(member: int) -> Any:
            try:
                return function(member, self.members, sync, *arguments)
            except BaseException:
                sync[_ABORTED] = 1
                raise

        others: list[Future[Any]] = []
        try:
            others.extend(self._pool.submit(work, member) for member in range(1, self.members))
        except BaseException:  # the system may refuse a thread, after its work was put into the pool's queue
            sync[_ABORTED] = 1
            self._pool.shutdown(cancel_futures=True)
            self._start()
            raise
        try:
            answer = work(0)
        except BaseException:
            sync[_ABORTED] = 1
            raise
        finally:
            for other in others:
                other.exception()  # wait: no member may still write when the caller goes on
        for other in others:
            other.result()
        return answer

    def close(self) -> None:
        """End the threads; the team is of no use afterwards."""
        if self._pool is not None:
            self._pool.shutdown()
