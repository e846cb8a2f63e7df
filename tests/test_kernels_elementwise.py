"""Losses of each output by itself against the reference: usual and extreme outputs, soft targets, weights, NaN."""

import numpy as np
import pytest

import fastmlp_kernels
from arrays import assert_within, fenced
from fastmlp import reference

DTYPES = (np.float32, np.float64)
LOSSES = ("logistic_loss", "squared_error", "poisson_loss", "huber_loss")
# A run is 1024 elements: 1024 rows of 1, 341 of 3; a row of 1500 is a run by itself, and one of 9000 does not fit the
# work array.
SHAPES = [(1, 1), (5, 1), (1025, 1), (700, 3), (103, 20), (3, 1500), (2, 9000)]
SETTINGS = {"logistic_loss": {"label_smoothing": 0.2}, "huber_loss": {"delta": 0.3}}
PLAIN = {"label_smoothing": "smoothing", "delta": "delta"}  # the names of the plain forms


def batch(name, shape, dtype, rng):
    """Return (z, bias, targets) for a loss."""
    z, bias = (3 * rng.standard_normal(s).astype(dtype) for s in (shape, shape[1]))
    targets = {"logistic_loss": rng.random, "poisson_loss": lambda s: rng.poisson(1.5, s)}.get(
        name, rng.standard_normal
    )
    return z, bias, targets(shape).astype(dtype)


def run(name, z, bias, targets, *more, **settings):
    """Return (loss, correct, gradient, dbias) from copies that stand between fences."""
    with fenced(z, bias, targets, np.full_like(bias, np.nan)) as (out, own_bias, own_targets, dbias):
        result = getattr(fastmlp_kernels, name)(out, own_bias, own_targets, dbias, *more, **settings)
        np.testing.assert_array_equal(own_bias, bias)
        np.testing.assert_array_equal(own_targets, targets)
    return *result, out, dbias


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_gradient_and_count_equal_the_reference(name, dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for shape in SHAPES:
        for settings in ({}, SETTINGS.get(name, {})):
            z, bias, targets = batch(name, shape, dtype, rng)
            weights = rng.integers(0, 4, shape[0]).astype(dtype)
            loss, correct, dz, dbias = run(name, z, bias, targets, weights, **settings)
            x = (z + bias).astype(float)  # rounded as the kernel rounds: what is left are its own errors
            wide = x, 0, targets.astype(float), weights.astype(float)
            want = getattr(reference, name)(*wide, **{PLAIN[key]: value for key, value in settings.items()})
            # Some roundings of the larger of the terms that make up an element: exp(x), or |x|, and the target's.
            terms = np.abs(x) + 1 + np.abs(targets) * (1 + np.abs(x)) + (np.exp(x) if name == "poisson_loss" else 0)
            terms *= weights[:, None] / len(z)
            square = (np.abs(x) + np.abs(targets)) if name == "squared_error" else 1
            assert_within(np.array(loss), np.array(want[0]), 8 * eps * (terms * square).sum())
            assert_within(dz, want[2], 6 * eps * terms)
            assert_within(dbias, want[3], 20 * eps * terms.sum(axis=0))
            assert correct == want[1]
            evaluated = getattr(fastmlp_kernels, f"{name}_eval")(z, bias, targets, weights, **settings)
            assert evaluated == (loss, correct)


@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_one_change_no_bit(name, rng):
    for shape in SHAPES:
        z, bias, targets = batch(name, shape, np.float32, rng)
        plain, weighted = run(name, z, bias, targets), run(name, z, bias, targets, np.ones(shape[0], np.float32))
        for got, want in zip(weighted, plain, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [0.0, 1.0, 0.5, 0.001, 0.9])
def test_a_sure_answer_keeps_its_digits(dtype, target):
    """No term of the logistic loss is negative, so that it is exact to some roundings, whatever its size."""
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    for x in (0.0, 1e-3, 0.7, 5.0, 16.0, 18.42, 40.0, 80.0, 1e4, 1e30):
        for sign in (1, -1):
            z, t = np.array([[sign * x]], dtype), np.array([[target]], dtype)
            loss, _, slope, _ = run("logistic_loss", z, np.zeros(1, dtype), t)
            want = reference.logistic_loss(z.astype(float), np.zeros(1), t.astype(float))
            assert loss == pytest.approx(want[0], rel=8 * eps, abs=tiny)
            missing = float(t[0, 0] if sign < 0 else 1 - t[0, 0])
            assert slope[0, 0] == pytest.approx(want[2][0, 0], rel=8 * eps, abs=4 * eps * missing + tiny)


def test_sure_answers_by_their_digits():
    for dtype, x, want in ((np.float32, 18.42, 1.00068e-08), (np.float64, 40.0, 4.24835e-18)):
        for t in (0, 1):
            z = np.array([[x if t else -x]], dtype)
            loss, correct, slope, _ = run("logistic_loss", z, np.zeros(1, dtype), np.full((1, 1), t, dtype))
            assert (loss, correct) == (pytest.approx(want, rel=1e-5), 1)
            assert slope[0, 0] == pytest.approx(-want if t else want, rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinite_outputs(dtype):
    for name, z, t, want in (
        ("logistic_loss", np.inf, 1, 0), ("logistic_loss", -np.inf, 0, 0), ("logistic_loss", np.inf, 0, np.inf),
        ("squared_error", np.inf, 0, np.inf), ("huber_loss", -np.inf, 0, np.inf), ("poisson_loss", -np.inf, 0, 0),
        ("poisson_loss", 1e4, 3, np.inf), ("poisson_loss", -np.inf, 1, np.inf),
    ):  # fmt: skip
        assert run(name, np.full((1, 1), z, dtype), np.zeros(1, dtype), np.full((1, 1), t, dtype))[0] == want


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_nan_makes_the_loss_nan_and_stays_in_its_place(name, dtype):
    for at in ("z", "targets"):
        arrays = {"z": np.ones((3, 2), dtype), "targets": np.ones((3, 2), dtype)}
        arrays[at][1, 1] = np.nan
        loss, correct, gradient, dbias = run(name, arrays["z"], np.zeros(2, dtype), arrays["targets"])
        assert np.isnan(loss)
        assert correct == (2 if name == "logistic_loss" else 0)
        np.testing.assert_array_equal(np.isnan(gradient), np.isnan(arrays[at]))
        np.testing.assert_array_equal(np.isnan(dbias), [False, True])


@pytest.mark.parametrize("name", LOSSES)
def test_sums_do_not_drift_over_many_rows(name):
    n = 1_000_003
    for columns in (1, 3):
        z, bias, targets = np.full((n, columns), 0.3, np.float32), np.zeros(columns, np.float32), np.zeros((n, columns))
        loss, _, dz, dbias = run(name, z, bias, targets.astype(np.float32))
        one = getattr(reference, name)(z[:1].astype(float), 0, targets[:1])
        assert loss == pytest.approx(one[0], rel=4e-7)
        assert_within(dbias, dz.sum(axis=0, dtype=np.float64), 3e-7 * np.abs(one[3]))
    ones = np.ones((n, 1), np.float32)  # a loss without any rounding of its own
    assert fastmlp_kernels.squared_error_eval(ones, ones[0], ones) == (pytest.approx(0.5, rel=1e-15), 0)


def test_a_row_is_right_where_all_its_outputs_are():
    z = np.array([[1, -1, 2], [1, 1, 1], [0, -1, 3], [-1, -1, -1]], float)
    targets = np.array([[1, 0, 0.6], [1, 0, 1], [0, 0.5, 1], [0, 1, 0]])
    assert fastmlp_kernels.logistic_loss_eval(z, np.zeros(3), targets)[1] == 2
    assert fastmlp_kernels.logistic_loss_eval(z[:, :1].copy(), np.zeros(1), targets[:, :1].copy())[1] == 4


def test_a_poisson_loss_is_never_below_0(rng):
    for dtype in DTYPES:
        targets = rng.gamma(2.0, 50.0, (2000, 1)).astype(dtype)
        for row in range(len(targets)):
            t = targets[row : row + 1]
            assert fastmlp_kernels.poisson_loss_eval(np.log(t), np.zeros(1, dtype), t)[0] >= 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_of_arrays(dtype, rng):
    eps, x = float(np.finfo(dtype).eps), (30 * rng.standard_normal((7, 3, 5))).astype(dtype)
    for name, want in (
        ("sigmoid", lambda x: reference.bias_sigmoid(x, 0)),
        ("log_sigmoid", lambda x: -np.logaddexp(0, -x)),
        ("exp", np.exp),
    ):
        exact = want(x.astype(float))
        got = getattr(fastmlp_kernels, name)(x)
        assert_within(got, exact, 5 * eps * np.abs(exact) + np.finfo(dtype).tiny)
        same = x.copy()
        assert getattr(fastmlp_kernels, name)(same, same) is same
        np.testing.assert_array_equal(same, got)
