"""The compiled bodies: their names and options, their machine code, and their use inside a user's own jitted code."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import jit as compiler
from numba import njit, types
from numba.core.errors import TypingError

import fastmlp_kernels
from arrays import assert_within, images, normal
from bench.scalars import ELEMENTARY, SCALARS
from fastmlp_kernels import jit
from fastmlp_kernels._target import features, scales
from fastmlp_kernels.pointwise import POINTWISE
from listings import ARM64, instructions, readable
from test_kernels_check import GOOD, LOSSES, NO_KERNELS

KERNELS = [name for name in jit.__all__ if not name.endswith("1") and name != "widest_vectors"]
LOOPS = {*POINTWISE, "pow"} - set(jit.__all__)


def test_names():
    public = {name for name in vars(fastmlp_kernels) if not name.startswith("_")}
    modules = {path.stem for path in Path(jit.__file__).parent.glob("[a-z]*")}  # the imported ones are there too
    assert public - modules - {"TYPE_CHECKING"} == set(fastmlp_kernels.__all__)
    for name in jit.__all__:  # some are imported at their first use
        assert getattr(jit, name).__doc__ or name in KERNELS
    others = {"Any", "TYPE_CHECKING", "stamp"}
    assert {name for name in vars(jit) if not name.startswith("_")} - others == set(jit.__all__)
    assert set(jit.__all__) <= set(dir(jit))
    with pytest.raises(AttributeError, match=r"'fastmlp_kernels\.jit' has no attribute 'exp3'"):
        _ = jit.exp3  # pyright: ignore[reportAttributeAccessIssue]
    # each checked function has its unchecked body, but of loops over one element, which are as short as their calls
    assert {*KERNELS, *LOOPS, *NO_KERNELS} == set(fastmlp_kernels.__all__)
    assert set(jit.__all__) - set(KERNELS) == {*ELEMENTARY, *SCALARS, "widest_vectors"}


@pytest.mark.parametrize("name", [*KERNELS, *ELEMENTARY, *SCALARS])
def test_options(name):
    options = getattr(jit, name).targetoptions
    assert options["error_model"] == "numpy"
    assert options["nogil"] is True
    assert options["fastmath"] == {"contract"}  # neither nnan nor ninf: a NaN stays a NaN


# Machine code, whose instructions are named as on x86.
# float32 widened to float64 where it is meant: the loss adds each row's share in float64, one element at a time.
WIDENED = {"softmax_cross_entropy": {"cvtss2sd"}, "softmax_cross_entropy_eval": {"cvtss2sd"}}
WIDENED |= {f"{name}{form}": {"cvtss2sd", "cvtps2pd"} for name in LOSSES for form in ("", "_eval")}
# So are sums of exponentials, a piece of a row at a time, and the accurate sums, in whole vectors.
WIDENED |= {name: {"cvtss2sd"} for name in ("bias_softmax", "softmax")}
WIDENED["log_softmax"], WIDENED["logsumexp"] = {"cvtss2sd"}, {"cvtss2sd", "cvtps2pd"}  # the latter's logarithm, too
WIDENED |= {name: {"cvtss2sd", "cvtps2pd"} for name in ("accurate_sum", "accurate_mean")}
WIDENED |= {name: {"cvtss2sd", "cvtps2pd"} for name in ("layer_norm", "layer_norm_backward")}  # its sums
# With SSE alone LLVM takes whole vectors apart for their roots, and multiplies vectors of 32-bit integers in two parts.
ROOTS, INTEGERS = (("sqrtps",), "pmulld") if ARM64 or "avx" in features() else ((), "pmuludq")
WIDENED["bias_softplus"] = {"cvtss2sd", "cvtps2pd"}  # so are its logarithms, in whole vectors
# What each loop does with whole vectors; pslld makes a power of two, in exp and tanh.
PACKED = {
    **dict.fromkeys(("bias_identity", "bias_relu", "identity_backward"), ("addps",)),
    **dict.fromkeys(("bias_tanh", "bias_sigmoid"), ("addps", "mulps", "divps", "pslld")),
    **dict.fromkeys(("tanh_backward", "sigmoid_backward", "relu_backward", "momentum_step"), ("addps", "mulps")),
    **dict.fromkeys(("bias_leaky_relu", "leaky_relu_backward"), ("addps", "mulps")),
    **dict.fromkeys(("bias_elu", "bias_silu", "bias_gelu"), ("addps", "mulps", "pslld")),
    "bias_softplus": ("addps", "mulpd", "psllq"),
    **dict.fromkeys(("elu_backward", "softplus_backward"), ("addps", "mulps")),
    **dict.fromkeys(("silu_backward", "gelu_backward"), ("addps", "mulps", "divps", "pslld")),
    "nesterov_step": ("mulps",),
    **dict.fromkeys(("adam_step", "adamw_step"), ("divps", *ROOTS)),
    **dict.fromkeys(("softmax_cross_entropy", "softmax_cross_entropy_eval"), ("addps", "mulps", "pslld")),
    **{f"{name}{form}": ("addps", "mulps", "cvtps2pd") for name in LOSSES for form in ("", "_eval")},
    **dict.fromkeys(("sigmoid", "log_sigmoid"), ("mulps", "divps", "pslld")),
    "exp": ("mulps", "scalefps" if scales() else "pslld"),
    **dict.fromkeys(("bias_softmax", "softmax"), ("addps", "mulps", "pslld")),
    **dict.fromkeys(("log_softmax", "logsumexp"), ("addps", "mulps", "pslld", "cmpneqps")),
    **dict.fromkeys(("accurate_sum", "accurate_mean"), ("addpd", "cvtps2pd")),
    **dict.fromkeys(("layer_norm", "layer_norm_backward"), ("mulps", "addpd", "cvtps2pd")),
    "dropout": ("mulps", INTEGERS),
    "gather_normalize": ("cvtdq2ps", "mulps"),
    "image_moments": ("paddd",),
}


def _element(argument: types.Type) -> types.Type | None:
    return argument.dtype if isinstance(argument, types.Array) else None


def _listing(kernel: Any, signature: tuple[types.Type, ...]) -> str:
    if kernel.overloads[signature].library._disable_inspection:  # it came from the disk cache, which keeps no listing
        kernel = compiler(**kernel.targetoptions, pipeline_class=kernel._compiler.pipeline_class)(kernel.py_func)
        kernel.compile(signature)
    return kernel.inspect_asm(signature)


@cache
def instructions_of(name: str) -> set[str]:
    """Return what the float32 form of a kernel consists of."""
    fastmlp_kernels.warmup()
    kernel = getattr(jit, name)
    if not kernel.signatures:  # losses, whose checked functions share two kernels
        kernel(*GOOD[name]().values())
    code = [
        _listing(kernel, signature) for signature in kernel.signatures if types.float64 not in map(_element, signature)
    ]
    assert code
    assert not any(re.search(r"\b(exp|tanh)f?\b", text) for text in code), "it calls the C library"
    return instructions("".join(code))


@readable
@pytest.mark.parametrize("name", KERNELS)
def test_float32_stays_float32_and_loops_are_vectorised(name):
    found = instructions_of(name)
    assert found & {"cvtss2sd", "cvtps2pd"} == WIDENED.get(name, set())
    assert found.issuperset(PACKED[name])


@readable
@pytest.mark.parametrize("name", ["relu_backward", "leaky_relu_backward", "elu_backward"])
def test_slopes_write_every_element(name):
    assert not {"maskmovps", "maskmovpd"} & instructions_of(name), "it stores under a mask, which some CPUs do slowly"


@readable
@pytest.mark.parametrize("name", ["bias_identity", "bias_relu"])
def test_a_bias_is_read_in_vectors(name):
    assert "insertps" not in instructions_of(name), "it puts vectors together element by element"


# Use inside a user's own jitted functions.
@njit(nogil=True)
def product(a, b):
    """a @ b without numba's `@`, which needs SciPy."""
    out = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@njit(nogil=True)
def user_step(x, w, bias, v, labels, settings):
    """One training step of softmax regression over tanh outputs, all in compiled code."""
    h, dh_bias = x.copy(), np.empty(x.shape[1], x.dtype)
    jit.bias_tanh(h, np.zeros(x.shape[1], x.dtype))
    logits, dbias = product(h, w), np.empty_like(bias)
    wanted = jit.softmax_cross_entropy_eval(logits, bias, labels)
    result = jit.softmax_cross_entropy(logits, bias, labels, dbias)
    dh = product(logits, w.T)
    jit.tanh_backward(dh, h, dh_bias)
    jit.momentum_step(w, v, product(h.T, logits), settings[0], settings[1], settings[2])
    return result, wanted, dbias, dh, dh_bias


@njit
def user_images(pixels, index):
    mean, inv_std = np.empty((len(pixels), 3), np.float32), np.empty((len(pixels), 3), np.float32)
    jit.image_moments(pixels, 3, mean, inv_std)
    out = np.empty((index.size, pixels.shape[1]), np.float32)
    jit.gather_normalize(pixels, index, mean, inv_std, out)
    return out


@njit
def user_others(z, bias, dbias):
    jit.bias_relu(z, bias)
    jit.relu_backward(z, z, dbias)
    jit.bias_identity(z, bias)
    jit.identity_backward(z, z, dbias)
    jit.bias_sigmoid(z, bias)
    jit.sigmoid_backward(z, z, dbias)
    jit.bias_softmax(z, bias)


@njit
def user_rows(x, out, sums):
    jit.softmax(x, out)
    jit.log_softmax(out, out)
    jit.logsumexp(x, sums[0])
    jit.accurate_sum(x, sums[1])
    jit.accurate_mean(x, sums[2])


@njit
def user_layers(x, gain, bias, out, sums, delta):
    dgain = np.empty_like(gain)
    jit.dropout(x, out, 0.25, 7, 1, 2, 3)
    jit.layer_norm(out, gain, bias, x, sums[0], sums[1], 1e-5)
    jit.layer_norm_backward(delta, out, gain, sums[0], sums[1], dgain, bias)


@njit
def user_scalars(x):
    return jit.exp1(x) + jit.tanh1(x) * jit.sigmoid1(x)


def assert_same(got: np.ndarray, want: np.ndarray) -> None:
    """Inlined elsewhere, a kernel may fuse other multiplications with additions: a few roundings apart, no more."""
    assert_within(got, want.astype(np.float64), 16 * float(np.finfo(np.float32).eps) * max(1.0, np.abs(want).max()))


def test_a_training_step_inside_a_users_jitted_function(rng):
    x, w, bias = normal(rng, (37, 20), np.float32), normal(rng, (20, 5), np.float32), normal(rng, (5,), np.float32)
    v, labels = np.zeros_like(w), rng.integers(0, 5, 37)
    inside_w, inside_v = w.copy(), v.copy()
    result, evaluated, dbias, dh, dh_bias = user_step(x, inside_w, bias, inside_v, labels, (0.1, 0.9, 0.01))
    h, want_dbias, want_dh_bias = x.copy(), np.empty_like(bias), np.empty(20, np.float32)
    fastmlp_kernels.bias_tanh(h, np.zeros(20, np.float32))
    logits = h @ w
    want = fastmlp_kernels.softmax_cross_entropy(logits, bias, labels, want_dbias)
    want_dh = logits @ w.T
    fastmlp_kernels.tanh_backward(want_dh, h, want_dh_bias)
    fastmlp_kernels.momentum_step(w, v, np.ascontiguousarray(h.T @ logits), 0.1, 0.9, 0.01)
    assert result == pytest.approx(want, rel=1e-5)
    assert evaluated == result
    for got, array in ((dbias, want_dbias), (dh, want_dh), (dh_bias, want_dh_bias), (inside_w, w), (inside_v, v)):
        assert_same(got, array)


def test_images_inside_a_users_jitted_function(rng):
    pixels, index = images(rng, 9, 48), rng.integers(0, 9, 20)
    mean, inv_std = np.empty((9, 3), np.float32), np.empty((9, 3), np.float32)
    fastmlp_kernels.image_moments(pixels, 3, mean, inv_std)
    out = np.empty((20, 48), np.float32)
    fastmlp_kernels.gather_normalize(pixels, index, mean, inv_std, out)
    assert_same(user_images(pixels, index), out)


def test_the_last_axis_inside_a_users_jitted_function(rng):
    x = normal(rng, (19, 23), np.float32)
    out, sums = np.empty_like(x), np.empty((3, 19), np.float32)
    user_rows(x, out, sums)
    assert_same(out, fastmlp_kernels.log_softmax(fastmlp_kernels.softmax(x)))
    wanted = fastmlp_kernels.logsumexp(x), fastmlp_kernels.accurate_sum(x, -1), fastmlp_kernels.accurate_mean(x, -1)
    assert_same(sums, np.stack(wanted))


def test_layers_inside_a_users_jitted_function(rng):
    x, gain, bias = normal(rng, (19, 23), np.float32), normal(rng, (23,), np.float32), normal(rng, (23,), np.float32)
    kept, delta = fastmlp_kernels.dropout(x, 0.25, 7, 1, 2, 3), normal(rng, (19, 23), np.float32)
    mean, inv_std = np.empty((2, 19), np.float32)
    normed = fastmlp_kernels.layer_norm(kept, gain, bias, None, mean, inv_std)
    want, (dgain, dbias) = delta.copy(), np.empty((2, 23), np.float32)
    fastmlp_kernels.layer_norm_backward(want, kept, gain, mean, inv_std, dgain, dbias)
    out = np.empty_like(x)
    weights = gain.copy(), bias.copy()
    user_layers(x, *weights, out, np.empty((2, 19), np.float32), delta)
    np.testing.assert_array_equal(out, kept)
    for got, array in ((x, normed), (delta, want), (weights[1], dbias)):
        assert_same(got, array)


def test_the_other_kernels_and_scalars_inside_a_users_jitted_function(rng):
    z, bias = normal(rng, (19, 23), np.float32), normal(rng, (23,), np.float32)
    inside, dbias, want_dbias = z.copy(), np.empty_like(bias), np.empty_like(bias)
    user_others(inside, bias, dbias)
    for name in ("relu", "identity", "sigmoid"):
        getattr(fastmlp_kernels, f"bias_{name}")(z, bias)
        # the same array as gradient and output: a user's own risk, which the checked function does not take
        getattr(fastmlp_kernels, f"{name}_backward")(z, z.copy(), want_dbias)
    fastmlp_kernels.bias_softmax(z, bias)
    assert_same(inside, z)
    assert_same(dbias, want_dbias)
    one = np.float32(1)
    assert user_scalars(one) == pytest.approx(np.e + np.tanh(1) / (1 + np.exp(-1)), rel=1e-6)
    assert isinstance(jit.exp1(one), float)  # callable from Python too


AWKWARD = {"a part": lambda x: x[:, :4], "transposed": lambda x: x.T, "turned": lambda x: x[::-1]}
WHOLE = ["softmax", "log_softmax", "bias_tanh", "relu_backward", "momentum_step", "bias_softmax"]


@pytest.mark.parametrize("awkward", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_contiguous_is_refused_while_it_compiles(name, place, awkward):
    """The bodies check nothing while they run, but the order of memory is a part of an array's type."""
    x, row = np.ones((4, 8), np.float32), np.ones(8, np.float32)
    arguments: list[Any] = {
        "softmax": [x, x.copy()], "log_softmax": [x, x.copy()], "bias_tanh": [x, row], "bias_softmax": [x, row],
        "relu_backward": [x, x.copy(), row], "momentum_step": [x, x.copy(), x.copy(), 0.1, 0.9, 0.0],
    }[name]  # fmt: skip
    if arguments[place].ndim == 1:
        pytest.skip("a row has one order")
    arguments[place] = awkward(arguments[place])
    with pytest.raises(TypingError, match="not C-contiguous"):
        getattr(jit, name)(*arguments)
