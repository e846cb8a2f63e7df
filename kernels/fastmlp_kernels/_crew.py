"""A crew: threads that stand by between short compiled calls, so that even one of some ten microseconds is shared.

A `Team` wakes Python threads for each run, which takes longer than a small product. A helper of a crew stays in
compiled code for a while after its last call and watches its slot, in which the next caller puts down what is to be
called; that takes about a microsecond, and no Python. A helper that nobody calls goes to sleep, so that no core is kept
busy. A caller waits no longer for sleepers, whom it wakes, than pays: it takes those who stand by and works with them,
or alone. What a call computes must not depend on how many work, as in a team.

    @kernel
    def product(crew, a, b, out):
        share(crew, _product, (a, b, out))  # calls _product(member, a, b, out) in each member, and waits for all

There is one crew in a process, which grows as it is asked. A thread that calls while another one's call is under way
works alone; so does a forked process at first, whose helpers are started anew. A signal's handler may call, and raise,
between any two steps of Python: so who has the helpers is noted in compiled code, which none comes between, and all
that Python does for them may be left half done and be done again.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once, pack_struct
from numba.np.arrayobj import make_array

from fastmlp_kernels import _cores
from fastmlp_kernels._jit import kernel, part
from fastmlp_kernels._llvm import I32, I64, call, element_pointer, intrinsic
from fastmlp_kernels._team import LOOKS, SIZE, Member, give_way, load, now, pause, refuse_uncompiled
from fastmlp_kernels._views import row_at

# Places in a helper's slot, which is two cache lines, as some CPUs fetch them in pairs; the last two say that it is to
# end, and that it has.
_STATE, _CODE, _FRAME, _NUMBER, _CORE, _ENDS, _ENDED, _SLOT = 0, 1, 2, 3, 4, 5, 6, 16
# States: asleep; standing by; taken by a caller; called.
_AWAY, _READY, _TAKEN, _CALLED = range(4)
# Nanoseconds without a call after which a helper goes to sleep; looks at its slot after which it makes way for others
# on its core, maybe the caller, and reads the clock; and how many such times are enough where there is none.
_PATIENCE, _LOOKS, _TIMES = 500_000, 64, 1000
# Nanoseconds for which a call keeps helpers awake before it has them, where it does not end itself.
WANTED = 50_000_000
# Threads beside the caller; and seconds that the process's end waits for one.
MOST_HELPERS, SECONDS = 255, 1.0


@intrinsic
def _store(typingctx: Any, array: Any, at: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], element_pointer(context, builder, signature.args[0], *args[:2]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def _replace(typingctx: Any, array: Any, at: Any, expected: Any, value: Any) -> Any:
    """Write the value to array[at] if that is as expected; return whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = element_pointer(context, builder, signature.args[0], *args[:2])
        return builder.extract_value(builder.cmpxchg(place, *args[2:], "seq_cst", "seq_cst"), 1)

    return types.boolean(array, types.intp, types.int64, types.int64), codegen


# What the functions that helpers call are passed: a caller's frame, and the member's number.
_PASSED = (types.voidptr, types.int64)


@intrinsic
def _put_down(typingctx: Any, member: Any, body: Any, arguments: Any) -> Any:
    """Return addresses of code and of its frame: called with these and a number it is body(member, *arguments).

    member : number 0, as which the others are but for number and `own`. The frame lives until the calling function
        returns
    """
    kinds = (member, *arguments)
    called = body.get_call_type(typingctx, kinds, {})

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = [args[0], *(builder.extract_value(args[2], i) for i in range(len(arguments)))]
        frame = alloca_once(builder, ir.LiteralStructType([value.type for value in values]))
        builder.store(pack_struct(builder, values), frame)
        convention, module = context.call_conv, builder.module
        code = ir.Function(
            module, convention.get_function_type(types.none, _PASSED), module.get_unique_name("called_by_helpers")
        )
        code.linkage = "internal"
        inside = ir.IRBuilder(code.append_basic_block())
        given, number = convention.get_arguments(code)
        first, *others = (
            inside.extract_value(inside.load(inside.bitcast(given, frame.type)), i) for i in range(len(values))
        )
        own = make_array(member.types[member.fields.index("own")])(context, inside, inside.extract_value(first, 3))
        own.data = inside.gep(own.data, [inside.mul(number, I64(SIZE))])
        first = inside.insert_value(inside.insert_value(first, number, 0), own._getvalue(), 3)
        function = context.get_function(body, called)
        for library in function.libs:
            context.active_code_library.add_linking_library(library)
        function(inside, [first, *others])
        convention.return_value(inside, context.get_dummy_value())
        return context.make_tuple(
            builder, signature.return_type, [builder.ptrtoint(pointer, I64) for pointer in (code, frame)]
        )

    return types.UniTuple(types.int64, 2)(member, body, arguments), codegen


@intrinsic
def _call(typingctx: Any, code: Any, frame: Any, number: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        convention = context.call_conv
        function = builder.inttoptr(args[0], convention.get_function_type(types.none, _PASSED).as_pointer())
        frame = builder.inttoptr(args[1], ir.IntType(8).as_pointer())
        convention.call_function(builder, function, types.none, _PASSED, [frame, args[2]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def _core(typingctx: Any) -> Any:
    """Return the number of the core that this runs on, negative where the system does not tell."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(call(builder, "sched_getcpu", I32), I64) if sys.platform == "linux" else I64(-1)

    return types.int64(), codegen


# Who may share a call, as a plain tuple, whose type numba finds ten microseconds sooner than that of a named one:
#     slots : (helpers, 16) int64, a row each
#     busy : (1,) int64, 1 while a call has them
#     counters : (2 + helpers, SIZE) int64 zeros: `Member.shared`, then each one's `own`
#     looks : how often to look for helpers who do not stand by yet
Crew = tuple[np.ndarray, np.ndarray, np.ndarray, int]


@part
def _taken(slots: np.ndarray, looks: int) -> int:
    """Take all helpers who stand by, and give them the numbers from 1 on; return how many they are.

    One who stands by on the caller's own core, where the others are busy, would only take turns with it.
    """
    taken, own = 0, _core()
    for i in range(slots.shape[0]):
        if own >= 0 and load(slots, i * _SLOT + _STATE) == _READY and load(slots, i * _SLOT + _CORE) == own:
            continue
        while not _replace(slots, i * _SLOT + _STATE, _READY, _TAKEN):
            if looks <= 0:
                break
            looks -= 1
            pause()
        if load(slots, i * _SLOT + _STATE) == _TAKEN:
            taken += 1
            slots[i, _NUMBER] = taken
    return taken


@part
def share(crew: Crew, body: Any, arguments: Any) -> None:
    """Call body(member, *arguments), a part or kernel that returns nothing, in the caller and in who stands by."""
    states, busy, counters, looks = crew
    has_them = states.shape[0] > 0 and _replace(busy, 0, 0, 1)
    others = _taken(states, looks) if has_them else 0
    member = Member(0, 1 + others, row_at(counters, 0), row_at(counters, 1))
    code, frame = _put_down(member, body, arguments)
    for i in range(states.shape[0] if others > 0 else 0):
        if load(states, i * _SLOT + _STATE) == _TAKEN:
            states[i, _CODE], states[i, _FRAME] = code, frame
            _store(states, i * _SLOT + _STATE, _CALLED)
    _call(code, frame, 0)
    for i in range(states.shape[0] if others > 0 else 0):  # no helper may still write when the caller goes on
        waited = 0
        while load(states, i * _SLOT + _STATE) == _CALLED:
            pause()
            waited += 1
            if waited == LOOKS:
                give_way()
                waited = 0
    if has_them:
        _store(busy, 0, 0)


@kernel
def _stand_by(slot: np.ndarray) -> None:
    """Do what the slot (16,) int64 is called for, until no call has come for a while."""
    looks, since = 0, now()
    _store(slot, _CORE, _core())
    _store(slot, _STATE, _READY)
    while True:
        if load(slot, _STATE) == _CALLED:
            _call(slot[_CODE], slot[_FRAME], slot[_NUMBER])
            _store(slot, _STATE, _READY)
            looks, since = 0, now()
        looks += 1
        pause()
        if looks % _LOOKS == 0:
            give_way()
            _store(slot, _CORE, _core())
            waited = now() - since
            if (waited > _PATIENCE or (waited == 0 and looks > _TIMES * _LOOKS)) and _replace(
                slot, _STATE, _READY, _AWAY
            ):
                return


def _help(slot: np.ndarray, place: Any, asleep: Any, busy: np.ndarray, wanted: np.ndarray, caller: np.ndarray) -> None:
    if not place.acquire(blocking=False):  # who started it has given the slot back
        return
    while True:
        # A call that has begun may have seen it awake.
        if not busy[0] and time.monotonic_ns() >= wanted[0]:
            asleep.acquire()
        if slot[_ENDS]:
            slot[_ENDED] = 1
            return
        _cores.leave(int(caller[0]))
        _stand_by(slot)


def _wake(asleep: Any) -> None:
    with suppress(RuntimeError):  # who is not asleep any more
        asleep.release()


class _Helper(NamedTuple):
    """A thread, its slot, and the lock that it waits for when it sleeps, which any thread may release."""

    number: int
    slot: np.ndarray
    asleep: Any
    thread: threading.Thread


class _Helpers:
    """The process's crew as Python sees it: its threads, and what wakes each."""

    def __init__(self) -> None:
        self._slots, self._busy = np.zeros((MOST_HELPERS, _SLOT), np.int64), np.zeros(1, np.int64)
        self._wanted = np.zeros(1, np.int64)  # until when a call wants helpers, by `time.monotonic_ns`
        self._caller = np.full(1, -1)  # the core of who woke them last
        self._threads: list[_Helper] = []
        self._unused = list(range(MOST_HELPERS))[::-1]  # slots without a thread, the first one last

    def _start(self) -> None:
        number, place, asleep = self._unused.pop(), threading.Lock(), threading.Lock()
        asleep.acquire()
        slot = self._slots[number]
        known = slot, place, asleep, self._busy, self._wanted, self._caller
        thread = threading.Thread(target=_help, args=known, name="fastmlp crew", daemon=True)
        one = _Helper(number, slot, asleep, thread)
        self._threads.append(one)
        try:
            thread.start()
        except RuntimeError:
            # Can't start new thread. Or it has started: what a handler raises while `start` waits may become this.
            # Two threads in one slot would both work, one of them when the caller has gone on: who has the lock first,
            # the thread or this, has the slot.
            if place.acquire(blocking=False):
                self._threads.remove(one)
                self._unused.append(number)
            raise

    def _wake(self, count: int) -> None:
        self._wanted[0], self._caller[0] = time.monotonic_ns() + WANTED, _cores.core()
        while len(self._threads) < count:
            self._start()
        for one in self._threads:
            if one.number < count and one.slot[_STATE] == _AWAY:
                _wake(one.asleep)

    def alone(self) -> Crew:
        """Return a crew of the caller alone, for one call after the other."""
        refuse_uncompiled()
        return self._slots[:0], self._busy, np.zeros((2, SIZE), np.int64), 0

    def run(self, members: int, looks: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call function(crew, *arguments), which shares its work among at most so many members; return its answer.

        looks : see `Crew`. Where the system refuses a thread, fewer share it.
        """
        refuse_uncompiled()
        members = min(members, 1 + MOST_HELPERS)
        try:
            self._wake(members - 1)
        except (RuntimeError, IndexError):  # no thread, or no slot
            members = min(members, 1 + len(self._threads))  # of more there are no work arrays
        crew: Crew = self._slots[: members - 1], self._busy, np.zeros((1 + members, SIZE), np.int64), looks
        try:
            return function(crew, *arguments)
        finally:
            self._wanted[0] = 0

    def close(self) -> None:
        """End the threads, those who stand by once they have waited long enough."""
        self._wanted[0] = 0
        for one in self._threads:
            one.slot[_ENDS] = 1
            _wake(one.asleep)
        for one in list(self._threads):
            if one.thread.is_alive():
                one.thread.join(SECONDS)
            self._threads.remove(one)
            # A thread may live that does not look so, where its start was cut short: two in one slot would both work.
            if one.slot[_ENDED]:
                one.slot[:] = 0
                self._unused.append(one.number)
        self._unused.sort(reverse=True)  # at once: no one else takes one meanwhile


helpers = _Helpers()
atexit.register(helpers.close)  # else the interpreter would end while compiled code runs
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=helpers.__init__)
