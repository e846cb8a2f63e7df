"""The steps of the optimisers against the reference and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastmlp_kernels
from arrays import assert_within, fenced, normal
from fastmlp import reference
from fastmlp_kernels.update import clip

SHAPES = [(1,), (1, 1), (3,), (17,), (513,), (7, 3), (37, 20), (20, 123), (2, 3, 5), (0,), (0, 4)]


def step(w, v, g, *settings):
    """Return (w, v) after one step of copies that stand between fences."""
    with fenced(w, v, g) as (new_w, new_v, same_g):
        fastmlp_kernels.momentum_step(new_w, new_v, same_g, *settings)
        np.testing.assert_array_equal(same_g, g)
    return new_w, new_v


def assert_reference_step(w, v, g, lr, momentum, weight_decay):
    new_w, new_v = step(w, v, g, lr, momentum, weight_decay)
    w64, v64, g64 = (a.astype(np.float64) for a in (w, v, g))
    want_w, want_v = reference.momentum_step(w64, v64, g64, lr, momentum, weight_decay)
    # The three settings are rounded once; two products, two sums and a product round once each, of numbers that this
    # sum of sizes bounds. Subnormal products lose a few of the smallest floats.
    sizes = momentum * abs(v64) + lr * (abs(g64) + weight_decay * abs(w64))
    info = np.finfo(w.dtype)
    assert_within(new_v, want_v, 4 * float(info.eps) * sizes + 4 * float(info.tiny))
    assert_within(new_w, want_w, float(info.eps) * (4 * sizes + abs(want_w)) + 4 * float(info.tiny))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_shape_equals_the_reference(dtype, rng):
    for shape in SHAPES:
        w, v, g = (normal(rng, shape, dtype) for _ in range(3))
        if w.size:
            assert_reference_step(w, v, g, 0.005, 0.9, 0.01)
        else:
            step(w, v, g, 0.005, 0.9, 0.01)


def test_a_single_number_is_an_array_too():
    w, v, g = np.array(2.0), np.array(0.5), np.array(1.0)
    fastmlp_kernels.momentum_step(w, v, g, 0.5, 0.5, 0.25)
    assert v == 0.25 - 0.5 * 1.5
    assert w == 2.0 - 0.5


def test_two_steps_by_hand():
    w, v = step(np.array([2.0, -1.0]), np.zeros(2), np.array([1.0, 4.0]), 0.1, 0.9, 0.01)
    np.testing.assert_allclose(v, [-0.102, -0.399], rtol=1e-14)  # -0.1 (1 + 0.02) and -0.1 (4 - 0.01)
    np.testing.assert_allclose(w, [1.898, -1.399], rtol=1e-14)
    w, v = step(w, v, np.zeros(2), 0.2, 0.5, 0.0)
    np.testing.assert_allclose(v, [-0.051, -0.1995], rtol=1e-14)
    np.testing.assert_allclose(w, [1.847, -1.5985], rtol=1e-14)


def test_settings_may_be_any_numbers():
    w, v, g = (np.ones(3, np.float32) for _ in range(3))
    new_w, new_v = step(w, v, g, 1, np.float32(0), np.int64(0))
    np.testing.assert_array_equal(new_v, -np.ones(3))
    np.testing.assert_array_equal(new_w, np.zeros(3))
    np.testing.assert_array_equal(step(w, v, g, -1.0, 0.0, 0.0)[1], np.ones(3))  # a negative rate climbs


def test_nan_and_infinity_stay_where_they_are():
    w, v = np.ones(4, np.float32), np.zeros(4, np.float32)
    new_w, new_v = step(w, v, np.array([np.nan, np.inf, -np.inf, 1], np.float32), 0.5, 0.9, 0.0)
    np.testing.assert_array_equal(new_v, np.array([np.nan, -np.inf, np.inf, -0.5], np.float32))
    np.testing.assert_array_equal(new_w, np.array([np.nan, -np.inf, np.inf, 0.5], np.float32))


@given(
    arrays(np.float32, st.tuples(st.just(3), st.integers(1, 70)), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(1e-4, 2),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_any_settings_equal_the_reference(wvg, lr, momentum, weight_decay):
    w, v, g = wvg
    assert_reference_step(w, v, g, lr, momentum, weight_decay)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nesterovs_step_equals_the_reference(dtype, rng):
    for shape in SHAPES:
        w, v, g = (normal(rng, shape, dtype) for _ in range(3))
        with fenced(w, v, g) as (new_w, new_v, same_g):
            fastmlp_kernels.nesterov_step(new_w, new_v, same_g, 0.005, 0.9, 0.01)
        np.testing.assert_array_equal(same_g, g)
        w64, v64, g64 = (a.astype(np.float64) for a in (w, v, g))
        want_w, want_v = reference.nesterov_step(w64, v64, g64, 0.005, 0.9, 0.01)
        # as for momentum; w takes two more products and sums, which the same sizes bound
        sizes = 0.9 * abs(v64) + 0.005 * (abs(g64) + 0.01 * abs(w64))
        eps, tiny = (float(getattr(np.finfo(dtype), name)) for name in ("eps", "tiny"))
        assert_within(new_v, want_v, 4 * eps * sizes + 4 * tiny)
        assert_within(new_w, want_w, eps * (10 * sizes + 2 * abs(want_w)) + 4 * tiny)


ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["adam_step", "adamw_step"])
@pytest.mark.parametrize("number", [1, 2, 1000, 10**9])
def test_adams_steps_equal_the_reference(name, number, dtype, rng):
    for shape in SHAPES:
        w, g = (normal(rng, shape, dtype) for _ in range(2))
        state = np.abs(normal(rng, (2, *shape), dtype))
        with fenced(w, state, g) as (new_w, new_state, same_g):
            getattr(fastmlp_kernels, name)(new_w, new_state, same_g, number, **ADAM)
        np.testing.assert_array_equal(same_g, g)
        wide = (a.astype(np.float64) for a in (w, *state, g))
        want_w, *want_state = getattr(reference, name)(*wide, number, **ADAM)
        # g' is of some roundings of g and w; m and v of a handful more of what they are sums of, or rounds to 0. What w
        # is moved by, lr (|m| + ...) / (sqrt(v) + eps) at the most, has the relative errors of m, of v and of its own
        eps = float(np.finfo(dtype).eps)
        sizes = np.abs(state[0].astype(np.float64)) + np.abs(g) + np.abs(w)
        assert_within(new_state[0], want_state[0], 4 * eps * sizes)
        assert_within(new_state[1], want_state[1], 4 * eps * (state[1] + sizes**2))
        bound = 0.1 * sizes / (np.sqrt(want_state[1]) + 1e-5)
        assert_within(new_w, want_w, eps * (8 * bound * (1 + sizes**2 / (want_state[1] + 1e-9)) + 2 * np.abs(w)))


def test_the_first_steps_of_adam_by_hand():
    w, state = np.array([1.0, 1.0, 1.0]), np.zeros((2, 3))
    fastmlp_kernels.adam_step(w, state, np.array([0.5, -1e-3, 0.0]), 1, 0.1)
    # of the first step the corrected means are g and g g: it is the rate, less what eps takes of it
    np.testing.assert_allclose(w, [0.9, 1.1, 1.0], rtol=0, atol=2e-6)
    np.testing.assert_allclose(state, [[0.05, -1e-4, 0], [2.5e-4, 1e-9, 0]], rtol=1e-12)
    fastmlp_kernels.adamw_step(w, np.zeros((2, 3)), np.zeros(3), 1, 0.1, weight_decay=0.5)
    np.testing.assert_allclose(w, np.array([0.9, 1.1, 1.0]) * 0.95, rtol=1e-5)


def test_v_of_adam_never_falls_below_zero(rng):
    """Its root is taken: one bit below 0, and the weight was lost."""
    w, state = np.ones(999, np.float32), np.zeros((2, 999), np.float32)
    for number in range(1, 300):
        g = (rng.standard_normal(999) * 10.0 ** rng.integers(-25, 10, 999)).astype(np.float32)
        fastmlp_kernels.adam_step(w, state, g * (rng.random(999) < 0.3), number, beta2=(0.0, 0.5, 1 - 1e-7)[number % 3])
        assert (state[1] >= 0).all()
    assert np.isfinite(w).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_is_clipped_to_its_norm(dtype, rng):
    for size in (0, 1, 7, 1000):
        g = normal(rng, (size,), dtype)
        (want,) = reference.clip_norm([g.astype(np.float64)], 0.5)
        got = g.copy()
        clip(got, 0.5)
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)
        clip(got, 1.0)  # which it is within
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)
