"""`jit` in users' own code: `prange`, `@vectorize`, `@guvectorize`, and numba's cache of a user's functions on disk."""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numba import guvectorize, njit, prange, vectorize

from arrays import normal
from fastmlp_kernels import jit
from test_kernels_process import run_python

ROOT = Path(__file__).parents[1]


@njit(parallel=True, fastmath=True, error_model="numpy")
def gelu_of_softmax(x, out):
    for i in prange(x.shape[0]):
        jit.softmax(x[i : i + 1], out[i : i + 1])
        for j in range(x.shape[1]):
            out[i, j] = jit.gelu1(out[i, j])


def test_prange(rng):
    x = normal(rng, (64, 33), np.float32)
    out = np.empty_like(x)
    gelu_of_softmax(x, out)
    e = np.exp(x.astype(np.float64))
    p = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(out, p * np.vectorize(math.erfc)(-p / math.sqrt(2)) / 2, rtol=1e-6)


@pytest.mark.parametrize("signatures", [(["float32(float32)", "float64(float64)"],), ()])
def test_vectorize(rng, signatures):
    @vectorize(*signatures)
    def sigmoid(x):
        return jit.sigmoid1(x)

    for dtype in (np.float32, np.float64):
        x = normal(rng, (5, 7), dtype)
        got = sigmoid(x[:, ::2])  # pyright: ignore[reportCallIssue]
        assert got.dtype == dtype
        np.testing.assert_allclose(got, 1 / (1 + np.exp(-x[:, ::2])), rtol=1e-6 if dtype == np.float32 else 1e-15)
    assert sigmoid(np.arange(3)).dtype == np.float64  # pyright: ignore[reportCallIssue]


@guvectorize(["void(float32[::1], float32[::1])", "void(float64[::1], float64[::1])"], "(k)->(k)")
def log_softmax_of_row(x, out):
    total = x.dtype.type(0)
    for k in range(x.size):
        total += jit.exp1(x[k])
    for k in range(x.size):
        out[k] = x[k] - jit.log1(total)


def test_guvectorize(rng):
    x = normal(rng, (3, 4, 5), np.float64)
    got = log_softmax_of_row(x)  # pyright: ignore[reportCallIssue]
    np.testing.assert_allclose(got, x - np.log(np.exp(x).sum(axis=-1, keepdims=True)), rtol=1e-13, atol=1e-14)


CACHED = """
from numba import guvectorize, njit, vectorize
from fastmlp_kernels import jit

@njit(cache=True)
def plain(x):
    return jit.tanh1(x)

@njit(cache=True)
def stamped(x, _stamp=jit.stamp):
    return jit.tanh1(x)

@njit(cache=True)
def caller(x, _stamp=jit.stamp):
    return stamped(x)

def made(stamp):
    @vectorize(["float32(float32)"], cache=True)
    def closure(x):
        stamp
        return jit.tanh1(x)

    @guvectorize(["void(float32[::1], float32[::1])"], "(k)->(k)", cache=True)
    def of_row(x, out):
        stamp
        out[0] = jit.tanh1(x[0])

    return closure, of_row

closure, of_row = made(jit.stamp)
"""
ASK = """
import numpy as np, user
one = np.float32(1)
functions = user.plain, user.stamped, user.caller
print(*(function(one) for function in functions), user.closure(one), user.of_row(one[None])[0])
print(*(sum(function.stats.cache_hits.values()) for function in functions))
"""


@pytest.mark.process
def test_numba_s_own_cache_goes_stale_unless_it_is_stamped(tmp_path):
    """The trap: `plain` has `tanh1` inlined, and numba looks at the file of `plain` alone. The way out: `jit.stamp`."""
    copy = tmp_path / "kernels"
    shutil.copytree(ROOT / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "user.py").write_text(CACHED, encoding="utf-8")

    def ask():
        values, hits = run_python(ASK, copy, NUMBA_CACHE_DIR=str(tmp_path / "cache")).splitlines()
        return [round(float(value), 6) for value in values.split()], hits

    before, after = round(float(np.tanh(1)), 6), round(float(np.tanh(0.5)), 6)
    assert ask() == ([before] * 5, "0 0 0")
    assert ask() == ([before] * 5, "1 1 1")
    helper = copy / "fastmlp_kernels" / "_elementary32.py"  # an upgrade that changes what tanh1 gives
    changed = re.sub(r"TANH_HIGH = F\(.*\)", "TANH_HIGH = F(0.5)", helper.read_text(encoding="utf-8"))
    helper.write_text(changed, encoding="utf-8")
    assert ask() == ([before, *[after] * 4], "1 0 0")
    assert ask() == ([before, *[after] * 4], "1 1 1")


def test_the_stamp_is_a_number_of_compiled_code():
    assert 0 < jit.stamp < 2**63
