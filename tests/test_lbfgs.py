"""L-BFGS: the objective and its gradient, convergence, how it ends, and what it leaves."""

import math
import sys

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from fastmlp import MLP, ImageInput
from fastmlp.errors import ConfigError, DataError, MissingExtraError
from fastmlp.nn.lbfgs import _Objective, fit_lbfgs
from fastmlp.reference import Network
from fastmlp_kernels import image_moments

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 6))
LABELS = (X[:, :3] + 0.3 * RNG.standard_normal((60, 3))).argmax(axis=1)
WEIGHTS = RNG.uniform(0.1, 3, 60)


def network(precision: str = "float64") -> MLP:
    return MLP([6, 5, 3], precision=precision, threads=1)


def rows(mlp: MLP) -> np.ndarray:
    return X.astype(mlp.dtype)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_objective_is_the_reference_s_loss_and_the_decay_of_weights(precision, weights):
    mlp = network(precision)
    for layer in mlp.layers:
        layer.bias[...] = RNG.standard_normal(layer.bias.shape)
    plain = Network([layer.weight for layer in mlp.layers], [layer.bias for layer in mlp.layers])
    factors = None if weights is None else weights / weights.mean()
    loss, correct, dweights, dbiases = plain.loss_and_gradients(rows(mlp).astype(np.float64), LABELS, factors)
    objective = _Objective(mlp, mlp.examples(rows(mlp), LABELS, weights), 0.3)
    value, gradient = objective(mlp.parameters.astype(np.float64))
    # float32: sums of 60 rows and 6 units, each term rounded to 6e-8 of at most about 4
    rtol, atol = (1e-12, 1e-14) if precision == "float64" else (1e-5, 2e-6)
    np.testing.assert_allclose(value, loss + 0.15 * sum(np.sum(w * w) for w in plain.weights), rtol=rtol, atol=atol)
    layers = zip(dweights, plain.weights, dbiases, strict=True)
    wanted = [part.ravel() for dw, w, db in layers for part in (dw + 0.3 * w, db)]
    np.testing.assert_allclose(gradient, np.concatenate(wanted), rtol=rtol, atol=atol)
    assert (objective.correct, gradient.dtype) == (correct, np.float64)


def test_the_gradient_is_that_of_the_objective():
    mlp = network()
    objective = _Objective(mlp, mlp.examples(X, LABELS, WEIGHTS), 0.1)
    start = mlp.parameters.copy() + 0.1
    direction = RNG.standard_normal(start.size)
    along, step = objective(start)[1] @ direction, 1e-5
    difference = (objective(start + step * direction)[0] - objective(start - step * direction)[0]) / (2 * step)
    # truncation ~ step^2, rounding ~ 1e-16 / step
    np.testing.assert_allclose(along, difference, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_it_finds_scikit_learn_s_minimum(precision):
    # strongly convex enough in its surroundings: no hidden layer, so one minimum
    mlp = MLP([6, 3], precision=precision, threads=1)
    result = fit_lbfgs(mlp, rows(mlp), LABELS, weight_decay=1.0, decay_per="batch", tol=1e-5)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(X, LABELS)
    assert (result.status, result.best_epoch) == ("done", result.epochs)
    assert precision == "float32" or result.converged
    # at a gradient g the distance is at most |g| / weight_decay * 60 rows: 1e-5 * 5 * 60
    np.testing.assert_allclose(mlp.predict_proba(rows(mlp)), theirs.predict_proba(X), atol=3e-3)


def test_iterations_are_scikit_learn_s_from_the_same_weights(monkeypatch):
    def begin(self, y, layer_units, dtype):
        initialize(self, y, layer_units, dtype)
        self.coefs_ = [layer.weight.copy() for layer in mlp.layers]
        self.intercepts_ = [layer.bias.copy() for layer in mlp.layers]

    mlp, initialize = network(), MLPClassifier._initialize
    monkeypatch.setattr(MLPClassifier, "_initialize", begin)
    theirs = MLPClassifier((5,), activation="tanh", solver="lbfgs", alpha=0.5, max_iter=8)
    with pytest.warns(ConvergenceWarning):
        theirs.fit(X, LABELS)
    result = fit_lbfgs(mlp, X, LABELS, weight_decay=0.5, decay_per="batch", max_iter=8)
    assert (result.epochs, result.converged) == (8, False)
    # the two round differently, and each iteration multiplies that
    np.testing.assert_allclose(result.objective, theirs.loss_, rtol=1e-8)
    np.testing.assert_allclose(mlp.layers[0].weight, theirs.coefs_[0], atol=1e-6)


def test_the_history_has_the_figures_of_each_iteration():
    mlp, seen = network(), []
    result = fit_lbfgs(
        mlp, X, LABELS, sample_weight=WEIGHTS, weight_decay=0.01,
        on_epoch=lambda i, history: seen.append((i, len(history.train_loss), mlp.parameters.copy())),
    )  # fmt: skip
    assert [pair[:2] for pair in seen] == [(i, i) for i in range(1, result.epochs + 1)]
    assert result.history is mlp.history
    assert result.evaluations >= result.epochs
    for (*_, parameters), loss, accuracy in zip(
        seen, result.history.train_loss, result.history.train_accuracy, strict=True
    ):
        mlp.parameters[...] = parameters
        np.testing.assert_allclose(mlp.evaluate(X, LABELS, sample_weight=WEIGHTS), (loss, accuracy), rtol=1e-12)
    assert math.isnan(result.val_loss)
    decay = 0.005 * sum(np.sum(layer.weight**2) for layer in mlp.layers)
    np.testing.assert_allclose(result.objective, result.history.train_loss[-1] + decay)
    assert result.objective < 0.7 * math.log(3)


def test_a_callback_stops_it_and_an_error_leaves_the_last_iteration():
    mlp = network()
    result = fit_lbfgs(mlp, X, LABELS, on_epoch=lambda i, _: i == 3)
    assert (result.status, result.epochs, result.best_epoch) == ("stopped", 3, 3)
    stopped = mlp.parameters.copy()

    def fail(i, _):
        if i == 3:
            raise KeyboardInterrupt

    again = network()
    with pytest.raises(KeyboardInterrupt):
        fit_lbfgs(again, X, LABELS, on_epoch=fail)
    np.testing.assert_array_equal(again.parameters, stopped)
    np.testing.assert_allclose(again.evaluate(X, LABELS)[0], result.history.train_loss[-1])


def test_limits_end_it():
    assert fit_lbfgs(network(), X, LABELS, max_iter=4).epochs == 4
    result = fit_lbfgs(network(), X, LABELS, max_evaluations=5)
    assert (result.converged, result.evaluations <= 6) == (False, True)
    level = fit_lbfgs(network(), X, LABELS, tol=10.0)  # it begins at a minimum by this measure
    assert (level.status, level.epochs, level.converged, level.best_epoch) == ("done", 0, True, 0)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_weights_stay_finite_where_the_loss_is_not(precision):
    mlp = network(precision)
    # the sums of the second layer overflow
    mlp.layers[1].weight[...] = np.finfo(mlp.dtype).max
    before = mlp.parameters.copy()
    result = fit_lbfgs(mlp, rows(mlp), LABELS)
    assert (result.status, result.epochs) == ("diverged", 0)
    np.testing.assert_array_equal(mlp.parameters, before)
    huge = fit_lbfgs(network(precision), rows(mlp) * 1e30, LABELS, max_iter=20)
    assert np.isfinite(huge.state.parameters).all()


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_it_trains_on_images(matmul):
    images = RNG.integers(0, 256, (40, 12)).astype(np.uint8)
    labels = np.argmax(images[:, :3], axis=1)
    moments = np.empty((40, 3), np.float32), np.empty((40, 3), np.float32)
    image_moments(images, 3, *moments)
    inputs = ImageInput(images, *moments)
    mlp = MLP([12, 8, 3], precision="float32", matmul=matmul, threads=1)
    result = fit_lbfgs(mlp, inputs, labels, sample_weight=WEIGHTS[:40], max_iter=30)
    assert result.history.train_loss[-1] < 0.1
    np.testing.assert_allclose(
        mlp.evaluate(inputs, labels, sample_weight=WEIGHTS[:40])[0], result.history.train_loss[-1], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_iter": 0}, ConfigError, "max_iter is 0, allowed is a whole number from 1 on"),
        ({"weight_decay": -1.0}, ConfigError, "weight_decay is -1.0, allowed is a finite number 0 or more"),
        ({"tol": math.nan}, ConfigError, "tol is nan, allowed is a finite number 0 or more"),
        ({"decay_per": "row"}, ConfigError, "decay_per is 'row', allowed: update, batch"),
        ({"on_epoch": 1}, ConfigError, "on_epoch is 1, allowed is a function, or None"),
        ({"sample_weight": [1.0]}, DataError, "sample_weight is float64 of shape"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, error, message):
    mlp = network()
    before = mlp.parameters.copy()
    with pytest.raises(error, match=message):
        fit_lbfgs(mlp, X, LABELS, **options)
    np.testing.assert_array_equal(mlp.parameters, before)
    assert mlp.history is None


def test_a_rounded_gradient_is_refused():
    with pytest.raises(ConfigError, match="the network's precision is 'bfloat16', allowed: float64, float32"):
        fit_lbfgs(network("bfloat16"), X, LABELS)


@pytest.mark.parametrize("rates", [{"dropout": 0.1}, {"input_dropout": 0.1}])
def test_dropout_is_refused(rates):
    with pytest.raises(ConfigError, match="L-BFGS takes no network with dropout"):
        fit_lbfgs(MLP([6, 5, 3], precision="float64", **rates), X, LABELS)


def test_the_history_has_the_score_of_the_loss():
    mlp = MLP([6, 5, 3], loss="huber", precision="float64", threads=1)
    result = fit_lbfgs(mlp, X, X[:, :3], sample_weight=WEIGHTS, max_iter=5)
    _, score = mlp.evaluate(X, X[:, :3], sample_weight=WEIGHTS)
    assert result.history.train_accuracy[-1] == pytest.approx(score, rel=1e-9)
    assert score > 0.1


def test_without_scipy_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fastmlp\[lbfgs\]'"):
        fit_lbfgs(network(), X, LABELS)
