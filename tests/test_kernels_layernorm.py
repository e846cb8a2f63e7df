"""Layer normalisation and its way back against the float64 reference, far from 0 too, and by random directions."""

import numpy as np
import pytest

import fastmlp_kernels as fk
from arrays import assert_within, fenced, normal
from fastmlp import reference

DTYPES = [np.float32, np.float64]
# One column, fewer rows than a group of sums and more, more columns than the work array has room for.
SHAPES = [(1, 2), (5, 3), (33, 20), (17, 128), (2, 3, 64), (7,), (0, 4), (3, 1), (3, 2050)]


def arrays(rng, shape, dtype, offset=0.0):
    x = normal(rng, shape, dtype) + dtype(offset)
    return x, normal(rng, shape[-1:], dtype), normal(rng, shape[-1:], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_equal_the_reference(shape, offset, dtype, rng):
    x, gain, bias = arrays(rng, shape, dtype, offset)
    rows = shape[:-1]
    with fenced(x, np.zeros_like(x), np.zeros(rows, dtype), np.zeros(rows, dtype)) as (source, out, mean, inv_std):
        assert fk.layer_norm(source, gain, bias, out, mean, inv_std) is out
    near = x.astype(np.float64) - offset  # exact, and what is normalised is the same: of this the reference is exact
    want = reference.layer_norm(near, gain, bias)
    eps = float(np.finfo(dtype).eps)
    # five roundings of the normalised element n and of what it is multiplied by, one of the sum; in float64 also those
    # of its row's sums, in which the mean is off by steps of the standard deviation, a quarter of K in a lane at most
    most = (6 + (shape[-1] / 4 if dtype == np.float64 else 1)) * eps
    n = np.abs(reference.layer_norm(near, np.ones(1), np.zeros(1))) + (dtype == np.float64)
    assert_within(out, want, most * (n * np.abs(gain) + np.abs(bias)))
    np.testing.assert_allclose(mean, x.mean(axis=-1, dtype=np.float64), rtol=4 * eps, atol=4 * eps)
    np.testing.assert_array_equal(fk.layer_norm(x, gain, bias), out)
    np.testing.assert_array_equal(fk.layer_norm(x.copy(), gain, bias, None, mean.copy()), out)
    same = x.copy()
    assert fk.layer_norm(same, gain, bias, same) is same
    np.testing.assert_array_equal(same, out)

    delta = normal(rng, shape, dtype)
    with fenced(delta, x, gain, mean, inv_std, np.zeros_like(gain), np.zeros_like(gain)) as all_arrays:
        dx, *_, dgain, dbias = all_arrays
        fk.layer_norm_backward(*all_arrays)
    want_dx, want_dgain, want_dbias = reference.layer_norm_backward(delta.astype(np.float64), near, gain)
    # no term is larger than inv_std |g| (1 + |n|)
    scale = np.asarray(inv_std, np.float64)[..., None] if rows else float(inv_std)
    g = np.abs(delta * gain.astype(np.float64)).max(axis=-1, keepdims=True) if delta.size else 0
    assert_within(dx, want_dx, 2 * most * scale * g * (2 + n))
    axes = tuple(range(len(rows)))
    sums = (np.abs(delta) * n).sum(axis=axes), np.abs(delta).sum(axis=axes, dtype=np.float64)
    for got, wanted, size in zip((dgain, dbias), (want_dgain, want_dbias), sums, strict=True):
        assert_within(got, wanted, (16 * eps + 2 * most) * size)


def test_rows_far_from_0_keep_their_differences(rng):
    """float32 holds x itself to 1 in 16 million: a plain x - mean in float32 would be off by a thousandth of n here."""
    x, gain, bias = arrays(rng, (40, 500), np.float32, 16384.0)
    want = reference.layer_norm(x.astype(np.float64), gain, bias)
    np.testing.assert_allclose(fk.layer_norm(x, gain, bias), want, rtol=0, atol=3e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_rows_give_the_bias_and_nan_stays_in_its_row(dtype):
    x = np.full((3, 5), 0.1, dtype)
    x[1, 2] = np.nan
    gain, bias = np.full(5, 2, dtype), np.arange(5).astype(dtype)
    out = fk.layer_norm(x, gain, bias)
    np.testing.assert_array_equal(out[[0, 2]], [bias, bias])
    assert np.isnan(out[1]).all()
    x[1, 2] = np.inf
    assert np.isnan(fk.layer_norm(x, gain, bias)[1]).all()


def test_the_gradient_by_a_random_direction(rng):
    x, gain, bias = arrays(rng, (6, 9), np.float64)
    weights = rng.normal(size=x.shape)
    steps = rng.normal(size=x.shape), rng.normal(size=9), rng.normal(size=9)
    delta, (mean, inv_std), (dgain, dbias) = weights.copy(), np.empty((2, 6)), np.empty((2, 9))
    fk.layer_norm(x, gain, bias, None, mean, inv_std)
    fk.layer_norm_backward(delta, x, gain, mean, inv_std, dgain, dbias)

    def value(h):
        moved = (array + h * step for array, step in zip((x, gain, bias), steps, strict=True))
        return np.sum(weights * fk.layer_norm(*moved))

    slope = sum(np.sum(g * step) for g, step in zip((delta, dgain, dbias), steps, strict=True))
    assert (value(1e-5) - value(-1e-5)) / 2e-5 == pytest.approx(slope, rel=1e-8)


def test_the_sums_over_many_rows_do_not_drift():
    n = 1_000_000
    x, delta = np.tile(np.array([1, -1], np.float32), (n, 1)), np.full((n, 2), 0.1, np.float32)
    gain, mean, inv_std = np.ones(2, np.float32), np.zeros(n, np.float32), np.ones(n, np.float32)
    dgain, dbias = np.empty((2, 2), np.float32)
    fk.layer_norm_backward(delta, x, gain, mean, inv_std, dgain, dbias)
    want = n * np.float64(np.float32(0.1))
    np.testing.assert_allclose(dbias, [want, want], rtol=2e-7)
    np.testing.assert_allclose(dgain, [want, -want], rtol=2e-7)
