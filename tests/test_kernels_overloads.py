"""numpy's and math's functions in users' compiled code, taken from `jit`: each in a process of its own."""

import math
import os

import numpy as np
import pytest

from fastmlp_kernels import jit
from fastmlp_kernels._overloads import FUNCTIONS
from listings import X86
from test_kernels_process import ROOT, run_python


def test_all_functions_of_one_element_that_numba_has_are_in_the_table():
    """But for powers, which `jit` has of bases from 0 on alone."""
    for function, name in FUNCTIONS.items():
        assert name in jit.__all__
        assert name in (f"{function.__name__}1", f"{function.__name__}_1")
    named = [name.removesuffix("1").removesuffix("_") for name in jit.__all__ if name.endswith("1")]
    of_numpy = {getattr(home, name) for home in (np, math) for name in named if hasattr(home, name)}
    assert of_numpy - set(FUNCTIONS) == {math.pow, np.pow} & of_numpy


COMMON = """
import math, re
import numpy as np
from numba import njit, prange, vectorize
import fastmlp_kernels as fk
from fastmlp_kernels import jit

x = {{kind: np.linspace(0.1, 3, 1000).astype(kind) for kind in ("float32", "float64")}}
LIBRARY = {library!r}

def loop_over(function):
    @njit
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])
    return loop

def form(function, ours, kind):
    "Whose bits a loop gives, whether it is vectorised, and what of C's library it calls."
    loop, out, want = loop_over(function), np.empty_like(x[kind]), np.empty_like(x[kind])
    loop(x[kind], out)
    loop_over(ours)(x[kind], want)
    code = "".join(loop.inspect_asm().values())
    same = bool((out == want).all())
    return same, bool(re.search(r"mulp[sd]", code)), sorted(set(re.findall(LIBRARY, code)))

def forms():
    for name in ("exp", "tanh"):
        for home in (np, math):
            for kind in x:
                print(home.__name__, name, kind, *form(getattr(home, name), getattr(jit, name + "1"), kind))
    print("math erf float64", *form(math.erf, jit.erf1, "float64"))
"""
LIBRARY = r"\b(?:exp|tanh|erf)f?\b"

WORKS = """
fk.overload_numpy()
fk.overload_numpy()  # once more is the same
forms()

@njit
def of_arrays(x):
    return np.exp(x), 2 * np.tanh(x) + 1

@njit(parallel=True)
def in_parallel(x, out):
    for i in prange(x.size):
        out[i] = np.exp(x[i])

@vectorize
def by_ufunc(x):
    return math.exp(x)

@njit
def others(z, n):
    return np.exp(z), math.exp(n), np.exp(np.full(2, n))

for kind in x:
    e, t = np.empty_like(x[kind]), np.empty_like(x[kind])
    loop_over(jit.exp1)(x[kind], e)
    loop_over(jit.tanh1)(x[kind], t)
    got, expression = of_arrays(x[kind])
    print((got == e).all(), got.dtype, np.allclose(expression, 2 * t + 1, rtol=1e-6), (by_ufunc(x[kind]) == e).all())
code = "".join(of_arrays.inspect_asm().values())
print(bool(re.search("mulps", code)), bool(re.search("mulpd", code)), re.findall(LIBRARY, code))
out = np.empty_like(x["float64"])
in_parallel(x["float64"], out)
print((out == e).all())
z, n, a = others(1j, 2)
print(abs(z - np.exp(1j)) < 1e-15, n == a[0] == jit.exp1(2.0))
"""


def run(code):
    # nothing from the disk, which has no listing
    return run_python(COMMON.format(library=LIBRARY) + code, FASTMLP_NUMBA_CACHE="0").splitlines()


@pytest.mark.skipif(not X86, reason="the names of x86's instructions")
@pytest.mark.process
def test_loops_arrays_and_expressions_take_them():
    *loops, single, double, packed, parallel, others = run(WORKS)
    assert len(loops) == 9
    assert {tuple(line.split()[3:]) for line in loops} == {("True", "True", "[]")}
    assert single == "True float32 True True"
    assert double == "True float64 True True"
    assert packed == "True True []"
    assert parallel == "True"
    assert others == "True True"


BACK = """
fk.restore_numpy()  # not on: nothing to take back
fk.softmax_cross_entropy_eval(np.ones((2, 3)), np.ones(3), np.arange(2))  # has math.log inside, which is no user's
fk.overload_numpy()
print(form(np.exp, jit.exp1, "float64"))
fk.restore_numpy()
fk.overload_numpy()  # what was compiled meanwhile took these
fk.restore_numpy()
print(form(np.exp, jit.exp1, "float64"))
try:
    fk.overload_numpy()
except RuntimeError as error:
    print(error)
print(form(math.exp, jit.exp1, "float64"))
"""


@pytest.mark.skipif(not X86, reason="the names of x86's instructions")
@pytest.mark.process
def test_it_is_taken_back_and_refused_after_what_it_would_not_reach():
    on, off, refused, still_off = run(BACK)
    assert on == "(True, True, [])"
    assert off.endswith("False, ['exp'])")
    assert still_off.endswith("False, ['exp'])")
    assert refused == (
        "compiled before, and so still calling the C library: np.exp. Call overload_numpy() before any compiled "
        "function is called, or in a new process"
    )


CACHED = """
import numpy as np
from numba import njit

@njit(cache=True)
def wave(x):
    return np.sin(x)
"""
ASK = """
import os
import numpy as np, fastmlp_kernels as fk
import cached
if os.environ["ON"] == "first":
    fk.overload_numpy()
x = 1 + np.arange(1000) / 128
value = cached.wave(x)
if os.environ["ON"] == "later":
    try:
        fk.overload_numpy()
    except RuntimeError as error:
        print(error)
ours = np.array([fk.jit.sin1(one) for one in x])
print(bool((value == ours).all()), sum(cached.wave.stats.cache_hits.values()))
"""


@pytest.mark.process
def test_numba_s_cache_on_disk_keeps_both_apart(tmp_path):
    (tmp_path / "cached.py").write_text(CACHED, encoding="utf-8")

    def ask(on):
        path = os.pathsep.join([str(tmp_path), str(ROOT / "kernels")])
        return run_python(ASK, NUMBA_CACHE_DIR=str(tmp_path / "cache"), ON=on, PYTHONPATH=path).splitlines()

    assert [ask("no"), ask("first"), ask("first")] == [["False 0"], ["True 0"], ["True 1"]]
    refused, answer = ask("later")
    assert "wave() from numba's cache" in refused
    assert answer == "False 1"
