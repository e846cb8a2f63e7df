"""Activations and their derivatives against the reference, on awkward shapes, edges of the floats, and by property."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastmlp_kernels
from arrays import SHAPES, assert_ulps, assert_within, edge_floats, fenced, normal
from fastmlp import reference
from fastmlp_kernels.activations import ACTIVATIONS, ALONE

DTYPES = (np.float32, np.float64)
NAMES = list(ALONE)
# As promised, and one of two libraries in float64
ULPS = {"tanh": 4, "sigmoid": 4, "relu": 0, "identity": 0, "leaky_relu": 1, "elu": 3, "softplus": 4, "silu": 4}
ULPS["gelu"] = 7


def forward(name, z, bias):
    """Return the kernel's result; the arrays around z, and bias, stay as they are."""
    with fenced(z, bias) as (out, same_bias):
        result: Any = getattr(fastmlp_kernels, f"bias_{name}")(out, same_bias)
        np.testing.assert_array_equal(same_bias, bias)
    assert result is None
    return out


def backward(name, delta, h):
    with fenced(delta, h, np.full(delta.shape[1], np.nan, delta.dtype)) as (dz, same_h, dbias):
        result: Any = getattr(fastmlp_kernels, f"{name}_backward")(dz, same_h, dbias)
        np.testing.assert_array_equal(same_h, h)
    assert result is None
    return dz, dbias


def assert_close(name, got, z, bias):
    """Compare with the reference: in ULP, but for what is lost where a factor, or the reference, is less precise."""
    want, eps, tiny = expected(name, z, bias), np.finfo(z.dtype).eps, np.finfo(z.dtype).smallest_subnormal
    lost = 800 * float(tiny) if name == "silu" else 0.0  # a subnormal sigmoid's, times x
    with np.errstate(over="ignore", invalid="ignore"):
        if name == "gelu" and z.dtype == np.float64:  # the reference's: rounding x / sqrt(2) moves erfc by x^2 of eps
            lost = np.abs(want) * eps * (5 + np.minimum((z + bias) ** 2, 1600))
        near = np.isfinite(want) & (np.abs(got - want) <= lost)
        assert_ulps(np.where(near, want, got).astype(z.dtype), want, ULPS[name])


def expected(name, z, bias):
    """Apply the reference, in float64, to the sum as the kernel rounds it."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = (z + bias).astype(np.float64)
        return reference.ACTIVATIONS[name][0](total, np.zeros(1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_forward_equals_the_reference(name, dtype, rng):
    for shape in SHAPES:
        z, bias = normal(rng, shape, dtype, 3), normal(rng, shape[1:], dtype)
        assert_close(name, forward(name, z, bias), z, bias)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_forward_at_the_edges(name, dtype):
    edges = edge_floats(dtype)
    edges = edges[: edges.size // 6 * 6]
    for width in (1, 6):  # one column: whole vectors; six: the tiled bias
        z = edges.reshape(-1, width)
        got = forward(name, z, np.zeros(width, dtype))
        assert_close(name, got, z, np.zeros(1, dtype))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(z))


def test_each_column_has_its_own_bias():
    for shape in SHAPES:
        bias = np.arange(shape[1], dtype=np.float32)
        np.testing.assert_array_equal(
            forward("identity", np.zeros(shape, np.float32), bias), np.broadcast_to(bias, shape)
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_backward_equals_the_reference(name, dtype, rng):
    eps = np.finfo(dtype).eps
    for shape in SHAPES:
        h = normal(rng, shape, dtype)
        h = h if ACTIVATIONS[name].keeps_input else forward(name, h, np.zeros(shape[1:], dtype))
        delta = normal(rng, shape, dtype)
        dz, dbias = backward(name, delta, h)
        want, want_dbias = reference.ACTIVATIONS[name][1](delta.astype(np.float64), h.astype(np.float64))
        # Four roundings at most, each of half an eps of a number that is no larger than |delta|; slopes of inputs are
        # within 2 eps, and the product rounds.
        exact, roundings = name in ("relu", "identity"), 6 if ACTIVATIONS[name].keeps_input else 4
        bound = 0.0 if exact else roundings / 2 * eps * np.abs(delta.astype(np.float64))
        assert_within(dz, want, bound)
        # 16 additions in a lane, four of lanes in pairs, each of which rounds a sum that that of all |delta| bounds
        assert_within(dbias, want_dbias, 14 * eps * np.abs(delta.astype(np.float64)).sum(axis=0))


@pytest.mark.parametrize(("name", "rows"), [("identity", 10_000_000), *((name, 1_000_000) for name in NAMES)])
def test_the_bias_gradient_does_not_drift_over_many_rows(name, rows, rng):
    for shape in ((rows, 1), (rows // 600, 600)):
        delta, h = np.full(shape, 0.1, np.float32), np.full(shape, 0.5, np.float32)
        dbias = np.empty(shape[1], np.float32)
        if rows < 10_000_000:
            delta[::2] = rng.random((len(delta[::2]), shape[1]), np.float32)
        getattr(fastmlp_kernels, f"{name}_backward")(delta, h, dbias)
        assert_within(dbias, delta.sum(axis=0, dtype=np.float64), 1e-6 * np.abs(delta).sum(axis=0, dtype=np.float64))


@pytest.mark.parametrize("shape", [(1000, 3), (1000, 600)])
def test_an_infinite_gradient_in_a_tall_array_is_an_infinite_sum(shape):
    delta, h, dbias = np.ones(shape, np.float32), np.ones(shape, np.float32), np.empty(shape[1], np.float32)
    delta[5, 0], delta[700, 1], delta[[3, 999], 2] = np.inf, -np.inf, (np.inf, -np.inf)
    fastmlp_kernels.relu_backward(delta, h, dbias)
    np.testing.assert_array_equal(dbias[:3], [np.inf, -np.inf, np.nan])
    assert (dbias[3:] == 1000).all()


@pytest.mark.parametrize("name", ["relu", "identity"])
def test_the_bias_gradient_of_whole_numbers_is_exact(name, rng):
    for shape in SHAPES:
        delta = rng.integers(-9, 10, shape).astype(np.float32)
        h = rng.integers(0, 2, shape).astype(np.float32)
        _, dbias = backward(name, delta, h)
        np.testing.assert_array_equal(dbias, (delta * h if name == "relu" else delta).sum(axis=0))


def test_derivatives_by_hand():
    delta, half = np.array([[8.0], [-4.0]]), np.array([[0.5], [0.5]])
    known = {"tanh": 0.75, "sigmoid": 0.25, "relu": 1.0, "identity": 1.0, "leaky_relu": 1.0, "elu": 1.0}
    for name, slope in known.items():
        dz, dbias = backward(name, delta, half)
        np.testing.assert_array_equal(dz, delta * slope)
        np.testing.assert_array_equal(dbias, [4 * slope])
    np.testing.assert_array_equal(backward("relu", delta, 0 * half)[0], [[0], [-0.0]])  # the kink counts as closed
    zero = 0 * half
    for name, slope in {"leaky_relu": 0.01, "elu": 1.0, "softplus": 0.0, "silu": 0.5, "gelu": 0.5}.items():
        np.testing.assert_allclose(backward(name, delta, zero)[0], delta * slope, rtol=1e-15)
    np.testing.assert_array_equal(backward("elu", delta, -half)[0], delta / 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_is_not_finite_shows_whatever_the_unit(name):
    delta = np.array([[np.nan, np.inf, 1.0]], np.float32)
    for output in (0.0, 0.5):
        dz, dbias = backward(name, delta, np.full((1, 3), output, np.float32))
        np.testing.assert_array_equal(np.isfinite(dz), [[False, False, True]])
        np.testing.assert_array_equal(np.isfinite(dbias), [False, False, True])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in NAMES if ACTIVATIONS[name].keeps_input])
def test_an_input_that_is_to_be_kept_is_kept(name, dtype, rng):
    for shape in SHAPES:
        z, bias = normal(rng, shape, dtype), normal(rng, shape[1:], dtype)
        want = forward(name, z, bias)
        with fenced(z, bias, np.full_like(z, np.nan)) as (out, same_bias, kept):
            getattr(fastmlp_kernels, f"bias_{name}")(out, same_bias, kept)
            np.testing.assert_array_equal(kept, z + bias)
            np.testing.assert_array_equal(out, want)  # in every bit as without
    z, bias = np.zeros((4, 3), dtype), np.zeros(3, dtype)
    for wrong in (np.zeros((4, 2), dtype), np.zeros((4, 3), np.float16), z):
        with pytest.raises((TypeError, ValueError), match="x"):
            getattr(fastmlp_kernels, f"bias_{name}")(z, bias, wrong)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_slopes_at_the_edges(name, dtype):
    edges = edge_floats(dtype)[:, None]
    kept = edges if ACTIVATIONS[name].keeps_input else forward(name, edges, np.zeros(1, dtype))
    dz, _ = backward(name, np.ones_like(edges), kept)
    with np.errstate(all="ignore"):
        want, _ = reference.ACTIVATIONS[name][1](np.ones(edges.shape), kept.astype(np.float64))
    numbers = ~np.isnan(kept)  # of a NaN, slopes that only compare with 0 are some number
    assert_within(dz[numbers], want[numbers], 3 * float(np.finfo(dtype).eps))
    if name in ("tanh", "sigmoid", "softplus", "silu", "gelu", "elu"):
        assert np.isnan(dz[~numbers]).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_and_no_columns_are_no_work(name):
    for shape in ((0, 3), (3, 0), (0, 0)):
        empty = np.empty(shape, np.float32)
        forward(name, empty, np.zeros(shape[1:], np.float32))
        np.testing.assert_array_equal(backward(name, empty, empty)[1], np.zeros(shape[1:]))


# 40 columns hold two vectors of 16 and a rest
BATCHES = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=st.floats(width=32)),
        arrays(np.float32, shape[1:], elements=st.floats(width=32)),
    )
)
FINITE = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda shape: st.tuples(*2 * [arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32))])
)


@given(BATCHES)
def test_any_floats_at_all_give_what_the_reference_gives(batch):
    z, bias = batch
    for name in NAMES:
        assert_close(name, forward(name, z, bias), z, bias)


@given(BATCHES)
def test_negated_input(batch):
    z, bias = batch
    np.testing.assert_array_equal(forward("tanh", -z, -bias), -forward("tanh", z, bias))
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = ~np.isnan(z + bias)
    both = forward("sigmoid", z, bias) + forward("sigmoid", -z, -bias)
    assert_within(
        both[numbers], np.ones(numbers.sum()), 3 * float(np.finfo(np.float32).eps)
    )  # 4 ULP below one half, twice


@given(FINITE)
def test_backward_is_linear_in_the_gradient_and_sums_it(batch):
    delta, h = batch
    h = np.tanh(h)
    for name in NAMES:
        dz, dbias = backward(name, delta, h)
        twice, twice_dbias = backward(name, 2 * delta, h)
        normals = np.abs(dz) > 1e-37  # halves of subnormal numbers are rounded
        np.testing.assert_array_equal(twice[normals], 2 * dz[normals])
        sums = dz.astype(np.float64).sum(axis=0)
        bound = (1 + len(h)) * np.finfo(np.float32).eps * np.abs(dz.astype(np.float64)).sum(axis=0) + 1e-37
        assert_within(dbias, sums, bound)
        assert_within(twice_dbias, 2 * sums, 2 * bound)
