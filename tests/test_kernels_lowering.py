"""How kernels are written for LLVM: variables and arguments are values, whatever way the code takes to them."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from fastmlp_kernels import _jit, _whole
from fastmlp_kernels._jit import part


class Pair(NamedTuple):
    """Arrays of two kinds, and a number."""

    floats: np.ndarray
    counts: np.ndarray
    n: int


@part
def swapped(pair):
    return Pair(pair.floats[::-1], pair.counts[::-1], -pair.n)


@part
def added(first, second, rows):
    total = 0.0
    for i in rows:
        total += first.floats[i] * first.counts[i] + first.n
        total += second.floats[i] * second.counts[i] + second.n
    return total


def of_branches(x, n):
    """Variables that are assigned on one way, on both, before, and in a loop that may not run."""
    before = x[0]
    if n > 2:
        chosen, once = x[1], x[2]
        before += once
    else:
        chosen = x[3]
    for i in range(n):
        late = x[i] * chosen
        if late < 0:
            continue
        before += late
    else:
        chosen += 1.0
    return before + chosen


def of_loops(x, n):
    """Variables of nested loops, one of which is left early; the outer one goes on with what the inner one set."""
    last, count, at = x[0], 0, 0
    while at < n:
        step = at
        for i in range(step, n):
            found = x[i] > last
            if found:
                last = x[i]
                break
            count += 1
        at += 1 if step % 2 else 2
    return last + count + at


def of_tuples(x, n):
    """A tuple that changes, of which loops read what was before."""
    pair, other = (x[0], 0), (x[1], 1)
    for i in range(n):
        pair, other = other, (x[i] + pair[0], pair[1] + 2)
    return pair[0] + other[0] * pair[1] - other[1]


def gone_on(n):
    value = 1.0
    for i in range(n):
        value += i
        yield value * n


@pytest.mark.parametrize("function", [of_branches, of_loops, of_tuples])
def test_variables_have_pythons_values(function, rng):
    compiled = _jit._compile(function)  # not kept on disk
    for n in range(8):
        x = rng.standard_normal(8)
        assert compiled(x, n) == pytest.approx(function(x, n), rel=1e-15)  # a product may be added unrounded


def test_a_generator_goes_on_where_it_was():
    compiled = part(gone_on)

    @_jit._compile
    def total(n):
        total = 0.0
        for value in compiled(n):
            total = total * 2 + value
        return total

    for n in range(5):
        want = 0.0
        for value in gone_on(n):
            want = want * 2 + value
        assert total(n) == want


def pairs(rng):
    return [Pair(rng.standard_normal(5), rng.integers(0, 9, 5).astype(np.int32), n) for n in (3, 7)]


def test_records_and_arrays_go_into_parts_and_come_back(rng):
    @_jit._compile
    def own(first, second, rows):
        return added(swapped(first), second, rows) + added(first, swapped(second), rows[1:])

    @njit  # which counts what parts return, and so may be given no array by one
    def of_a_user(first, second, rows):
        return added(first, second, rows)

    (first, second), rows = pairs(rng), np.array([0, 4, 4, 2])
    want = sum(
        one.floats[::sign][i] * one.counts[::sign][i] + sign * one.n
        for signs, use in (((-1, 1), rows), ((1, -1), rows[1:]))
        for one, sign in zip((first, second), signs, strict=True)
        for i in use
    )
    want_of_user = sum(one.floats[i] * one.counts[i] + one.n for one in (first, second) for i in rows)
    assert own(first, second, rows) == pytest.approx(want, rel=1e-13)  # of 14 sums
    assert of_a_user(first, second, rows) == pytest.approx(want_of_user, rel=1e-13)


@part
def halved(pair, n):
    return pair.floats[n] if n == 0 else pair.floats[n] + halved(Pair(pair.floats, pair.counts, pair.n - 1), n - 1) / 2


def test_a_part_may_call_itself(rng):
    (one, _), want = pairs(rng), 0.0
    for value in one.floats:
        want = want / 2 + value
    assert _jit._compile(lambda pair, n: halved(pair, n))(one, 4) == want
    assert njit(lambda pair, n: halved(pair, n))(one, 4) == want


def test_a_record_is_one_argument_of_a_part(rng):
    first, second = pairs(rng)
    _jit._compile(lambda one, other, rows: added(one, other, rows))(first, second, np.arange(3))
    part_of_it: Any = added
    *_, compiled = part_of_it.overloads.values()
    llvm = _whole.whole(compiled.target_context).declare_function(ir.Module(), compiled.fndesc)
    assert len(llvm.args) == 3 + 2  # and where the result goes, and an error
