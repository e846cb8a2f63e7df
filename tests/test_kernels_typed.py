"""What `jit` says of wrong types, in one sentence, from Python and inside a user's function; and what help() shows."""

import pydoc

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import fastmlp_kernels as fk
from fastmlp_kernels import jit

ONE = np.float32(1)


@njit
def whole_numbers(n):
    return jit.exp1(n), jit.exp1(2), jit.exp2_1(True), jit.pow1(ONE + ONE, 2)


def test_integers_count_as_float64_as_in_numpy():
    assert jit.exp1(ONE) != jit.exp1(1)  # where code for float32 is there already
    assert jit.exp1(1) == jit.exp1(np.int8(1)) == jit.exp1(True) == jit.exp1(1.0)
    assert whole_numbers(1) == (jit.exp1(1.0), jit.exp1(2.0), 2.0, 4.0)
    assert whole_numbers.signatures[0][0].name == "int64"


def test_float32_beside_float64_is_widened():
    third = np.float32(1 / 3)
    assert jit.pow1(third, 3.0) == jit.pow1(float(third), 3.0)
    assert jit.pow1(third, np.float32(3)) != jit.pow1(third, 3.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.ones(3), "an array of float64: call it in a loop over the elements"),
        ("x", "a str: convert it first"),
        (1j, "complex128: convert it first"),
        (None, "None: convert it first"),
        ([1.0], r"reflected list\(float64\): convert it first"),
        (np.float16(1), "float16: convert it first"),
    ],
)
@pytest.mark.parametrize("name", ["exp1", "gelu1"])
def test_functions_of_elements_take_numbers_alone(name, wrong, words):
    said = rf"jit\.{name} takes float32 or float64, and integers as float64; it got {words}"
    with pytest.raises(TypingError, match=rf"^{said}\s*$"):
        getattr(jit, name)(wrong)
    function1 = getattr(jit, name)
    inside = njit(lambda x: function1(x))
    with pytest.raises(TypingError, match=rf"(?m)^{said}$") as caught:
        inside(wrong)
    assert len(str(caught.value).splitlines()) < 15  # where in the user's function it is, and no more


X, ROW, LABELS = np.ones((2, 3), np.float32), np.ones(3, np.float32), np.zeros(2, np.int64)
WRONG = {
    "a dtype": (
        "bias_tanh",
        (X.astype(int), ROW),
        "z has dtype int64, allowed is float32 or float64: convert with z.ast",
    ),
    "a list": ("bias_tanh", ([1.0], ROW), r"z must be an array of float32 or float64, got reflected list\(float64\)"),
    "two dtypes": ("softmax", (X, X.astype(float)), "all arrays must have one dtype, .*, got x float32, out float64"),
    "labels": ("softmax_cross_entropy", (X, ROW, ROW, ROW), "labels has dtype float32, allowed is int64: convert with"),
    "weights": ("huber_loss", (X, ROW, X, ROW, LABELS), "weights has dtype int64, allowed is float32 or float64"),
    "a number": ("momentum_step", (X, X, X, "0.1", 0.9, 0.0), "lr must be a number, got a str"),
    "order": (
        "exp",
        (np.ones((4, 4))[:, ::2], np.ones((4, 2))),
        r"x is not C-contiguous: pass np\.ascontiguousarray\(x",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_bodies_take_the_arrays_that_they_are_for(name):
    body, arguments, words = WRONG[name]
    with pytest.raises(TypingError, match=rf"^jit\.{body}: {words}[^\n]*\s*$"):
        getattr(jit, body)(*arguments)
    function = getattr(jit, body)
    with pytest.raises(TypingError, match=rf"(?m)^jit\.{body}: {words}"):
        njit(lambda arguments: function(*arguments))(arguments)


def test_what_may_be_left_out_may():
    z = X.copy()
    assert jit.huber_loss_eval(z, ROW, z) == jit.huber_loss_eval(z, ROW, z, None, 1)


def test_a_sum_of_float32_may_be_of_float64():
    out = np.empty(2)
    jit.accurate_sum(X, out)
    np.testing.assert_array_equal(out, 3)
    assert fk.accurate_sum(X) == 6


def words_of(text):
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


@pytest.mark.parametrize("name", sorted({*jit.__all__} - {"widest_vectors"}))
def test_help_says_what_it_is(name):
    text = pydoc.plain(pydoc.render_doc(getattr(jit, name)))
    _, call, first, *others = words_of(text)
    assert call.startswith(f"{name}(")
    assert first.endswith((".", ":"))
    if name.endswith("1"):
        assert others[0].startswith("Integers count as float64")
    else:
        assert "returns `out`" not in first
        assert others[0].startswith("Unchecked: other shapes")
        public = words_of(getattr(fk, name).__doc__)[1:]
        assert others[-len(public) :] == public


def test_modules_are_there_without_an_import_of_their_own():
    assert fk.jit is jit
    assert {"bfloat16", "cache", "gemm", "jit"} <= set(dir(fk))
    assert fk.gemm.matmul.__doc__
    assert fk.bfloat16.round_to_bfloat16.__doc__
    assert fk.cache.folder.__doc__
