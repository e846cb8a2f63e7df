"""Parts: their code stays apart until it is linked, and whoever calls one is given all that it calls."""

from typing import Any

from numba import njit, types

from fastmlp_kernels._jit import part, scalar


@part
def _doubled(x):
    return 2 * x


@part
def _with_one(x):
    return _doubled(x) + 1


@part
def _two_ways(x):
    return _with_one(x) + _doubled(x)


def _defined(function: Any) -> list[str]:
    library = function.overloads[(types.float64,)].library
    return [one.name for one in library._final_module.functions if not one.is_declaration]


def test_the_code_of_a_part_is_its_own_alone_however_much_it_calls():
    # copies of what it calls would be copied again into each of its callers, and a kernel of 200 parts takes seconds
    @scalar
    def kernel(x):
        return _two_ways(x)

    assert kernel(1.5) == 7.0
    assert [len(_defined(one)) for one in (_doubled, _with_one, _two_ways)] == [1, 1, 1]


def test_code_of_others_is_linked_with_all_that_a_part_calls():
    @njit
    def of_a_user(x):
        return _two_ways(x) + _two_ways(2 * x)

    assert of_a_user(1.5) == 20.0
