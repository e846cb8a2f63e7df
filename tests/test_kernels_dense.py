"""A dense layer's way forward and its update against the reference, from matrices and from images."""

from typing import Any

import numpy as np
import pytest

from arrays import assert_within, fenced, images, normal
from fastmlp import reference
from fastmlp_kernels import gemm, momentum_step
from fastmlp_kernels.gemm.blocks import KC, MC
from fastmlp_kernels.gemm.panels import NR
from packing import DTYPES, PRECISIONS, TWO_ROUNDINGS, U, exact, rounded

RATES: dict[str, Any] = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.25}
# (channels, D): 0 channels are a matrix; channels of odd length; of several blocks of the inner dimension.
SOURCES = [(0, 41), (0, 3 * KC + 1), (1, 41), (3, 3 * 41), (2, 2 * (2 * KC + 1))]
SIZES = [(MC + 5, NR + 5), (9, 20), (2 * KC + 3, 1)]  # N, H


def layer_input(rng, channels, n, d, dtype=np.float32):
    """(what the functions take, X in float64)."""
    if not channels:
        x = normal(rng, (n, d), dtype)
        return x, x.astype(np.float64)
    pixels = images(rng, 30, d)
    mean, inv_std = (m.astype(dtype) for m in reference.image_moments(pixels, channels))
    index = rng.integers(0, 30, n)  # repeated, in no order
    return gemm.Rows(pixels, index, mean, inv_std), reference.gather_normalize(pixels, index, mean, inv_std)


def blocks_of(x):
    """Raw pixels, means and scales of the rows, a channel at a time, in float64: (N, D / C), (N, 1), (N, 1)."""
    pixels = np.split(x.x[x.index].astype(np.float64), x.center.shape[1], axis=1)
    mean, scale = (np.split(m[x.index].astype(np.float64), m.shape[1], axis=1) for m in (x.center, x.scale))
    return zip(pixels, mean, scale, strict=True)


def forward_sums(x, values, weight, precision):
    """(X W, what the error of a float32 sum is proportional to), with W as the precision rounds it."""
    w = rounded(weight, precision)
    if precision != "bfloat16" or not isinstance(x, gemm.Rows):
        return exact(rounded(values, precision), w) if precision == "bfloat16" else exact(values, w)
    parts = zip(blocks_of(x), np.split(w.astype(np.float64), x.center.shape[1]), strict=True)
    size = sum(s * (p @ np.abs(part) + np.abs(m) * np.abs(part).sum(axis=0)) for (p, m, s), part in parts)
    return values @ w, size


def assert_forward(rng, source, size, activation, precision):
    (channels, d), (n, h), dtype, u = source, size, DTYPES[precision], U[precision]
    x, values = layer_input(rng, channels, n, d, dtype)
    weight, bias = normal(rng, (d, h), dtype, d**-0.5), normal(rng, (h,), dtype)
    outs = []
    for threads in (1, 2, 3):
        with fenced(weight, bias, np.full((n, h), np.nan, dtype)) as (w, b, out):
            gemm.dense_forward(x, w, b, activation, out, precision=precision, threads=threads)
            np.testing.assert_array_equal(w, weight)
        outs.append(out)
    activate = reference.ACTIVATIONS[activation][0]
    z, terms = forward_sums(x, values, weight, precision)
    want = activate(z, bias)
    # D products, two roundings to normalise or three of the folded form, one for the bias; no activation is steeper
    # than 1, and none is off by more than 4 ULP
    bound = (d + 6) * u * terms + 2 * u * np.abs(z + bias) + 8 * u * np.abs(want)
    assert_within(outs[0], want, bound)
    if precision == "bfloat16":
        assert_within(
            outs[0], activate(values @ weight, bias), bound + TWO_ROUNDINGS * (np.abs(values) @ np.abs(weight))
        )
    for other in outs[1:]:
        np.testing.assert_array_equal(other, outs[0])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_forward(precision, rng):
    for source in SOURCES:
        for size in SIZES:
            assert_forward(rng, source, size, "tanh", precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_forward_with_each_activation(activation, precision, rng):
    assert_forward(rng, (0, 41), (MC + 5, NR + 5), activation, precision)


def gradient_sums(x, values, delta, precision):
    """(X^T delta, what the error of a float32 sum is proportional to), rounded as the precision does."""
    if precision != "bfloat16" or not isinstance(x, gemm.Rows):
        return exact(rounded(values).T if precision == "bfloat16" else values.T, rounded(delta, precision))
    gradients, sizes = [], []
    for p, m, s in blocks_of(x):
        scaled = rounded(s.astype(np.float32) * delta).astype(np.float64)
        gradients.append((p - m).T @ scaled)
        sizes.append(p.T @ np.abs(scaled) + (np.abs(m) * np.abs(scaled)).sum(axis=0))
    return np.concatenate(gradients), np.concatenate(sizes)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_update(precision, rng):
    for channels, d in SOURCES:
        for n, h in SIZES:
            dtype, u = DTYPES[precision], U[precision]
            x, values = layer_input(rng, channels, n, d, dtype)
            delta, weight = normal(rng, (n, h), dtype, 1 / n), normal(rng, (d, h), dtype)
            velocity = normal(rng, (d, h), dtype)
            ends = []
            for threads in (1, 2, 3):
                with fenced(delta, weight, velocity) as (same, w, v):
                    gemm.dense_update(x, same, w, v, **RATES, precision=precision, threads=threads)
                    np.testing.assert_array_equal(same, delta)
                ends.append((w, v))
            gradient, size = gradient_sums(x, values, delta, precision)
            bound = (n + 6) * u * size
            loose = bound + TWO_ROUNDINGS * (np.abs(values).T @ np.abs(delta)) * (precision == "bfloat16")
            w, v = ends[0]
            for g, off in ((gradient, bound), (values.T @ delta, loose)):
                want_w, want_v = reference.momentum_step(weight.astype(np.float64), velocity, g, *RATES.values())
                # lr = 1/2 times the gradient's error, and a rounding for each of the five operations on each term
                terms = np.abs(velocity) + np.abs(g) + np.abs(weight)
                assert_within(v, want_v, off / 2 + 5 * u * terms)
                assert_within(w, want_w, off / 2 + 6 * u * (terms + np.abs(want_w)))
            for other_w, other_v in ends[1:]:
                np.testing.assert_array_equal(other_w, w)
                np.testing.assert_array_equal(other_v, v)


# settings whose products are rounded
FINE: dict[str, Any] = {"lr": 0.0123, "momentum": 0.9, "weight_decay": 0.0037}
# N, D, H: blocks of D, that the threads share, with and without rows beside whole tiles
ODD = [(10, 9, 32), (100, 100, 32), (64, 300, 64), (7, 33, 31), (1, 1, 1), (50, 17, 96), (130, 129, 40), (500, 260, 32)]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("n", "d", "h"), ODD)
def test_both_ways_have_the_same_bits_for_any_number_of_threads(n, d, h, precision, rng):
    for channels in (0, 1, 3):
        dtype = DTYPES[precision]
        x, _ = layer_input(rng, channels, n, d * max(channels, 1), dtype)
        weight, velocity = (normal(rng, (d * max(channels, 1), h), dtype) for _ in range(2))
        delta, ends = normal(rng, (n, h), dtype), set()
        for threads in (1, 2, 3, 4):
            w, v, out = weight.copy(), velocity.copy(), np.empty_like(delta)
            gemm.dense_forward(x, weight, weight[0], "tanh", out, precision=precision, threads=threads)
            gemm.dense_update(x, delta, w, v, **FINE, precision=precision, threads=threads)
            ends.add((w.tobytes(), v.tobytes(), out.tobytes()))
        assert len(ends) == 1


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("n", "d", "h"), [*ODD, (3 * KC + 1, 9, 5), (MC + 5, NR, NR + 5)])
def test_the_update_is_the_step_of_momentum_step_to_the_bit(n, d, h, precision, rng):
    dtype = DTYPES[precision]
    x, delta = normal(rng, (n, d), dtype), normal(rng, (n, h), dtype)
    weight, velocity = normal(rng, (d, h), dtype), normal(rng, (d, h), dtype)
    gradient, w, v = np.empty_like(weight), weight.copy(), velocity.copy()
    gemm.matmul(x, delta, gradient, transpose_a=True, precision=precision)
    momentum_step(w, v, gradient, **FINE)
    gemm.dense_update(x, delta, weight, velocity, **FINE, precision=precision)
    np.testing.assert_array_equal(velocity, v)
    np.testing.assert_array_equal(weight, w)


def test_pixels_take_no_rounding_in_bfloat16(rng):
    pixels, index = images(rng, 12, 40), rng.integers(0, 12, 20)
    x = gemm.Rows(pixels, index, np.zeros((12, 1), np.float32), np.ones((12, 1), np.float32))
    weight = rng.integers(-9, 10, (40, 7)).astype(np.float32)
    out = np.empty((20, 7), np.float32)
    gemm.dense_forward(x, weight, np.zeros(7, np.float32), "identity", out, precision="bfloat16")
    np.testing.assert_array_equal(out, pixels[index].astype(np.float32) @ weight)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_to_multiply(precision, rng):
    dtype = DTYPES[precision]
    weight, bias = normal(rng, (6, 5), dtype), normal(rng, (5,), dtype)
    none = np.empty((0, 6), dtype)
    pixels = gemm.Rows(np.zeros((3, 6), np.uint8), np.empty(0, np.int64), *np.ones((2, 3, 2), dtype))
    for x in (none, pixels):  # an empty batch
        gemm.dense_forward(x, weight, bias, "tanh", np.empty((0, 5), dtype), precision=precision)
        w, v = weight.copy(), np.ones_like(weight)
        gemm.dense_update(x, np.empty((0, 5), dtype), w, v, **RATES, precision=precision)
        np.testing.assert_allclose(v, 0.9 - 0.125 * weight, rtol=1e-6, atol=1e-6)  # three roundings of at most 2
        np.testing.assert_array_equal(w, weight + v)
    out = np.full((4, 5), np.nan, dtype)  # no inputs: the bias alone
    empty = np.empty((0, 5), dtype)
    gemm.dense_forward(np.empty((4, 0), dtype), empty, bias, "identity", out, precision=precision)
    np.testing.assert_array_equal(out, np.tile(bias, (4, 1)))
    gemm.dense_update(np.empty((4, 0), dtype), out, empty, empty.copy(), **RATES, precision=precision)


def test_wrong_arguments_are_refused(rng):
    x, weight, bias, delta = (normal(rng, shape, np.float32) for shape in ((4, 6), (6, 5), (5,), (4, 5)))
    out, velocity = np.zeros((4, 5), np.float32), np.zeros((6, 5), np.float32)
    mean = np.ones((3, 2), np.float32)
    good = gemm.Rows(np.zeros((3, 6), np.uint8), np.array([2, 0, 1, 2]), mean, mean.copy())
    frozen = weight.copy()
    frozen.flags.writeable = False
    sources = [
        (x.astype(np.float64), TypeError, "x has dtype float64"),
        (x.astype(np.uint8), TypeError, "x has dtype uint8, allowed is float32"),
        (np.asfortranarray(x), ValueError, "x is not C-contiguous"),
        (tuple(good), TypeError, "x must be a numpy array, got tuple"),
        (good._replace(x=x), TypeError, "x has dtype float32, allowed is uint8"),
        (good._replace(index=good.index.astype(np.int32)), TypeError, "index has dtype int32"),
        (good._replace(index=np.array([0, 1, 3, 0])), ValueError, r"index\[2\] is 3, allowed is 0 to 2"),
        (good._replace(index=np.array([0, -1, 2, 0])), ValueError, r"index\[1\] is -1"),
        (good._replace(center=mean[:2]), ValueError, r"center has shape \(2, 2\), expected \(3, 2\)"),
        (good._replace(scale=mean[:, :1].copy()), ValueError, r"scale has shape \(3, 1\)"),
        (good._replace(scale=mean.astype(np.float64)), TypeError, "scale has dtype float64"),
        (good._replace(center=np.ones((3, 4), np.float32)), ValueError, "channels is 4, allowed is a divisor"),
    ]  # fmt: skip
    for source, error, message in sources:
        with pytest.raises(error, match=message):
            gemm.dense_forward(source, weight, bias, "tanh", out)
        with pytest.raises(error, match=message):
            gemm.dense_update(source, delta, weight, velocity, **RATES)
    forwards = [
        ((x, weight[:5], bias, "tanh", out), {}, ValueError, r"weight has shape \(5, 5\), expected \(6, 5\)"),
        ((x, weight, bias[:4], "tanh", out), {}, ValueError, r"bias has shape \(4,\), expected \(5,\)"),
        ((good, weight, bias, "tanh", out[:3]), {}, ValueError, r"out has shape \(3, 5\), expected \(4, 5\)"),
        ((x, weight, bias, "swish", out), {}, ValueError, "activation is 'swish', allowed is 'tanh' or 'sigm"),
        ((x, weight, bias, "tanh", out), {"precision": "int8"}, ValueError, "precision is 'int8'"),
        ((x, weight, bias, "tanh", out), {"threads": 0}, ValueError, "threads is 0"),
        ((x, weight, weight[0], "tanh", weight[1:5]), {}, ValueError, "out and weight overlap"),
    ]  # fmt: skip
    for arguments, options, error, message in forwards:
        with pytest.raises(error, match=message):
            gemm.dense_forward(*arguments, **options)
    updates = [
        ((x, delta[:3], weight, velocity), RATES, ValueError, r"delta has shape \(3, 5\), expected \(4, 5\)"),
        ((x, delta, weight[:, :4].copy(), velocity), RATES, ValueError, r"weight has shape \(6, 4\)"),
        ((x, delta, frozen, velocity), RATES, ValueError, "weight is read-only"),
        ((x, delta, weight, frozen), RATES, ValueError, "velocity is read-only"),
        ((x, delta, weight, weight), RATES, ValueError, "weight and velocity overlap"),
        ((x, weight[:4], weight, velocity), RATES, ValueError, "weight and delta overlap"),
        ((x, delta, weight, velocity), RATES | {"lr": np.nan}, ValueError, "lr is nan, allowed is a finite number"),
        ((x, delta, weight, velocity), RATES | {"weight_decay": "no"}, TypeError, "weight_decay is 'no'"),
        ((x, delta, weight, velocity), RATES | {"momentum": 1e39}, ValueError, r"momentum is 1e\+39, allowed is"),
        ((x, delta, weight, velocity), RATES | {"lr": True}, TypeError, "lr is True, allowed is a finite number"),
        ((x, delta, weight, velocity), RATES | {"precision": None}, ValueError, "precision is None"),
    ]  # fmt: skip
    for arguments, options, error, message in updates:
        with pytest.raises(error, match=message):
            gemm.dense_update(*arguments, **options)
    assert not out.any()
    assert not velocity.any()
