"""What the estimators do with features and targets of any scale: standardised inside, and folded into the network."""

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastmlp.nn.moments import Moments
from fastmlp.sklearn import FastMLPClassifier, FastMLPRegressor

RNG = np.random.default_rng(0)
PLAIN = RNG.standard_normal((300, 5))
Y = (PLAIN[:, 0] * PLAIN[:, 1] + PLAIN[:, 2] > 0).astype(int)
SCALES, OFFSETS = np.array([1e-3, 1.0, 50.0, 1e3, 0.2]), np.array([0.0, 9.0, -500.0, 1e6, 1.0])
RAW = PLAIN * SCALES + OFFSETS


def small(kind: Any = FastMLPClassifier, **settings: Any) -> Any:
    return kind(
        **({"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.01, "random_state": 0} | settings)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_are_those_of_float64_also_far_from_0(dtype):
    weights = RNG.uniform(0.1, 3, len(RAW))
    x = (1e6 + PLAIN).astype(dtype)
    moments = Moments.of(x, weights)
    means = np.average(x.astype(np.longdouble), axis=0, weights=weights)
    deviations = np.sqrt(np.average((x.astype(np.longdouble) - means) ** 2, axis=0, weights=weights))
    # float64 holds 1e6 to 1e-10
    np.testing.assert_allclose(moments.means, means.astype(float), rtol=1e-15)
    np.testing.assert_allclose(moments.deviations, deviations.astype(float), rtol=1e-9)
    standardised = moments.standardised(x)
    assert standardised.dtype == dtype
    np.testing.assert_allclose(np.average(standardised, axis=0, weights=weights), 0, atol=1e-6)
    np.testing.assert_allclose(moments.restored(standardised), x, rtol=np.finfo(dtype).eps)


def test_constant_columns_have_deviation_1_and_those_but_for_rounding_stay_so():
    x = np.column_stack(
        [np.full(50, 0.1), np.zeros(50), 1 + RNG.choice([0, 2**-52], 50), np.full(50, 5e-324), PLAIN[:50, 0]]
    )
    moments = Moments.of(x)
    assert moments.deviations[[0, 1, 3]].tolist() == [1, 1, 1]
    assert abs(moments.standardised(x)[:, :4]).max() < 1e-15
    assert Moments.of(np.array([[3.0, -2.0]])).means.tolist() == [3, -2]


def test_the_largest_numbers_do_not_overflow():
    x = np.array([[-1.7e308], [1.7e308], [0.0]])
    moments = Moments.of(x)
    assert moments.deviations[0] == pytest.approx(1.7e308 * np.sqrt(2 / 3), rel=1e-12)
    np.testing.assert_allclose(moments.standardised(x)[:, 0], np.sqrt(1.5) * np.array([-1, 1, 0]), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scale_of_features_does_not_matter(dtype):
    raw = RAW.astype(dtype)  # float32 holds 1e6 to 0.06, of a deviation of 1000
    model = small().fit(raw, Y)
    scaled = small(standardize=False).fit(StandardScaler().fit_transform(raw.astype(np.float64)).astype(dtype), Y)
    assert model.score(raw, Y) > 0.9
    # the same but for the rounding of the standardised rows, which 40 epochs enlarge
    np.testing.assert_allclose(model.loss_curve_, scaled.loss_curve_, rtol=1e-3 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_columns_far_from_0_are_right(dtype):
    x = (1e6 + PLAIN).astype(np.float32).astype(dtype)
    model = small(standardize=True).fit(x, Y)
    assert model.score(x, Y) > 0.85  # float32 has rounded the features to a sixteenth
    half = model.predict_proba(x[:100])
    np.testing.assert_array_equal(half, model.predict_proba(x)[:100])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_network_takes_rows_as_they_are(dtype):
    x = (PLAIN * SCALES + 3 * SCALES).astype(dtype)
    model = small().fit(x, Y)
    close: dict[str, Any] = {"atol": 1e-4 if dtype == np.float32 else 1e-12}
    np.testing.assert_allclose(model.network_.predict_proba(x), model.predict_proba(x), **close)
    assert model.network_ is model.network_
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    np.testing.assert_array_equal(again.network_.parameters, model.network_.parameters)
    before = model.network_
    model.partial_fit(x, Y)
    assert model.network_ is not before
    np.testing.assert_allclose(model.network_.predict_proba(x), model.predict_proba(x), **close)


def test_standardised_rows_and_parts_of_them_stay_as_they_are():
    x = StandardScaler().fit_transform(PLAIN)
    parts = train_test_split(x, test_size=0.8, random_state=0)
    for rows in (x, *parts):
        assert Moments.of(np.asarray(rows)).are_standard
    bare = small(standardize=False).fit(x, Y).predict_proba(x)
    np.testing.assert_array_equal(small().fit(x, Y).predict_proba(x), bare)
    assert (small(standardize=True).fit(x, Y).predict_proba(x) != bare).any()


def test_features_of_one_unit_keep_their_proportions():
    alike = Moments(np.arange(3.0), np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(alike.in_one_unit.deviations, np.sqrt(7))
    other = Moments(np.arange(3.0), np.array([1.0, 2.0, 5.1]))
    assert other.in_one_unit is other


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_a_unit_may_be_of_any_size(unit):
    plain, moments = Moments.of(PLAIN).in_one_unit, Moments.of(PLAIN * unit).in_one_unit
    np.testing.assert_allclose(moments.deviations / unit, plain.deviations, rtol=1e-12)


def test_sample_weights_weigh_in_the_moments():
    weights = np.where(Y == 1, 3.0, 1.0)
    twice = np.repeat(np.arange(300), weights.astype(int))
    np.testing.assert_allclose(Moments.of(RAW, weights).deviations, Moments.of(RAW[twice]).deviations, rtol=1e-9)
    model = small(max_iter=1, standardize=True).fit(RAW, Y, sample_weight=weights)
    np.testing.assert_array_equal(model._moments.means, Moments.of(RAW, weights).means)


def test_warm_starts_and_parts_keep_the_first_moments():
    model = small(warm_start=True, max_iter=10).fit(RAW, Y)
    first = model._moments
    model.fit(RAW + 0.5 * SCALES, Y).partial_fit(RAW - 0.5 * SCALES, Y)
    assert model._moments is first
    part = small().partial_fit(RAW[:100], Y[:100], classes=[0, 1])
    np.testing.assert_allclose(part._moments.means, Moments.of(RAW[:100]).means, rtol=1e-12)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_raw_features_are_learnt_out_of_the_box(load):
    x, x_test, y, y_test = train_test_split(*load(return_X_y=True), random_state=0, test_size=0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = FastMLPClassifier(random_state=0).fit(x, y)
    assert model.score(x_test, y_test) > 0.93


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_of_any_scale_are_learnt_and_given_back(dtype):
    x = PLAIN.astype(dtype)
    y = np.column_stack([1e-4 * PLAIN[:, 0], 1e6 + 10 * PLAIN[:, 1] ** 2])
    model = small(FastMLPRegressor).fit(x, y)
    assert model.score(x, y) > 0.9
    assert model.predict(x).dtype == np.float64
    tolerances: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-7} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(model.network_.predict(x), model.predict(x), **tolerances)
    bare = small(FastMLPRegressor, standardize_target=False).fit(x, y / y.std(axis=0) - y.mean(axis=0) / y.std(axis=0))
    np.testing.assert_allclose(bare.loss_curve_, model.loss_curve_, rtol=1e-2 if dtype == np.float32 else 1e-5)
