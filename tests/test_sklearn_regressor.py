"""`FastMLPRegressor`: its losses against plain figures, its weights, validation and parts, and what it refuses."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.history import History
from fastmlp.nn.network import MLP
from fastmlp.sklearn import FastMLPRegressor

RNG = np.random.default_rng(1)
X = RNG.standard_normal((300, 4))
Y = 20 + 5 * np.sin(X[:, 0]) + X[:, 1] * X[:, 2]


def small(**settings: Any) -> FastMLPRegressor:
    usual = {"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.01, "random_state": 0}
    return FastMLPRegressor(**(usual | settings))


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_it_learns_in_each_precision(precision):
    model = small(precision=precision).fit(X, Y)
    answers = model.predict(X)
    assert answers.shape == Y.shape
    assert answers.dtype == np.float64
    with pytest.warns(ConvergenceWarning):  # of one epoch
        plain = small(precision=precision, standardize_target=False, max_iter=1).fit(X, Y)
    assert plain.predict(X).dtype == (np.float64 if precision == "float64" else np.float32)
    assert model.score(X, Y) == r2_score(Y, answers) > 0.9
    assert model.loss_curve_[-1] < 0.1 * model.loss_curve_[0]
    assert model.n_iter_ == len(model.loss_curve_) == 40


def test_targets_far_from_zero_keep_their_digits_beside_float32_rows():
    plain, far = (small().fit(X.astype(np.float32), Y + offset) for offset in (0, 1e9))
    # of targets around 1e9 float64 has 1e-7 left
    np.testing.assert_allclose(far.predict(X) - 1e9, plain.predict(X), atol=1e-4)


def test_without_hidden_layers_squared_error_is_least_squares():
    weights = RNG.uniform(0.5, 2, len(X))
    settings = {"hidden_layer_sizes": (), "max_iter": 400, "weight_decay": 0.0, "schedule": "cosine"}
    model = small(**settings).fit(X, Y, sample_weight=weights)
    line = LinearRegression().fit(X, Y, sample_weight=weights)
    # steps on batches end near the least squares of all rows
    np.testing.assert_allclose(model.predict(X), line.predict(X), rtol=1e-2)
    layer = model.network_.layers[0]
    np.testing.assert_allclose(layer.weight[:, 0], line.coef_, atol=0.03)
    np.testing.assert_allclose(layer.bias, line.intercept_, rtol=1e-2)


def test_without_hidden_layers_poisson_is_poisson_regression():
    counts = RNG.poisson(np.exp(3 + 0.5 * X[:, 0] - 0.2 * X[:, 1])).astype(float)
    settings = {"hidden_layer_sizes": (), "max_iter": 400, "weight_decay": 0.0, "schedule": "cosine"}
    model = small(loss="poisson", **settings).fit(X, counts)
    other = PoissonRegressor(alpha=0).fit(X, counts)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=0.02)
    np.testing.assert_allclose(model.network_.predict(X), model.predict(X), rtol=1e-12)
    many = small(loss="poisson", **settings).fit(X, 1e5 * counts)
    np.testing.assert_allclose(many.loss_curve_, model.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(many.predict(X), 1e5 * model.predict(X), rtol=1e-6)


def test_huber_counts_outliers_by_their_size_alone():
    y = 2 * X[:, 0]
    wild = np.where(np.arange(300) % 10 == 0, 200.0, y)
    right = {
        loss: r2_score(y, small(loss=loss, delta=0.05).fit(X, wild).predict(X)) for loss in ("squared-error", "huber")
    }
    assert right["huber"] > 0.9 > right["squared-error"]
    one = small(loss="huber", delta=100.0, standardize_target=False).fit(X, y / 9)  # no error is beyond it
    same = small(standardize_target=False).fit(X, y / 9)
    np.testing.assert_array_equal(one.predict(X), same.predict(X))


def test_several_outputs_have_their_shape():
    both = np.column_stack([Y, 1000 * X[:, 0]])
    model = small().fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.9
    assert small(max_iter=1).fit(X, Y[:, None]).predict(X).shape == (300, 1)
    assert model.network_.sizes == (4, 16, 2)


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    kept = np.arange(300) % 3 > 0
    model = small(max_iter=5).fit(X, np.where(kept, Y, 1e9), sample_weight=kept)
    np.testing.assert_array_equal(model.predict(X), small(max_iter=5).fit(X[kept], Y[kept]).predict(X))


def test_validation_chooses_the_weights_and_stops():
    model = small(max_iter=400, early_stopping=True, patience=3, learning_rate_init=0.05).fit(X, Y)
    losses, scores = model.validation_loss_curve_, model.validation_scores_
    assert len(losses) == len(scores) == model.n_iter_ < 400
    assert model.n_iter_ - 1 - int(np.argmin(losses)) == 4
    assert max(scores) > 0.8
    given = small(max_iter=10).fit(X[:200], Y[:200], X_val=X[200:], y_val=Y[200:])
    best = int(np.argmin(given.validation_loss_curve_))
    # R2 of the standardised targets is that of the targets
    assert given.score(X[200:], Y[200:]) == pytest.approx(given.validation_scores_[best], rel=1e-9)


def test_parts_are_epochs_and_warm_starts_go_on():
    parts = small(max_iter=5)
    for _ in range(5):
        parts.partial_fit(X, Y)
    whole = small(max_iter=5, warm_start=True).fit(X, Y)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    again = pickle.loads(pickle.dumps(parts)).partial_fit(X, Y)
    np.testing.assert_array_equal(again.predict(X), parts.partial_fit(X, Y).predict(X))  # with its optimiser's state
    assert whole.fit(X, Y).n_iter_ == 10


def test_clones_and_searches_take_it():
    model = small(schedule="cosine", clip_norm=1.0, activation=["tanh"], dropout=0.1)
    copy: Any = clone(model)
    assert copy.get_params() == model.get_params()
    assert cross_val_score(model, X.astype(np.float32), Y, cv=2).min() > 0.5


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "nesterov"])
def test_every_optimiser_learns_by_its_own_rate(optimizer):
    assert small(optimizer=optimizer, learning_rate_init="auto", batch_size=20).fit(X, Y).score(X, Y) > 0.7


def test_another_optimiser_begins_anew_where_its_state_has_another_form():
    model = small().partial_fit(X, Y).set_params(optimizer="sgd", learning_rate_init=1e-30, weight_decay=0.0)
    before = model.predict(X)
    np.testing.assert_allclose(model.partial_fit(X, Y).predict(X), before)


def test_a_constant_target_is_learnt_as_it_is():
    with pytest.warns(ConvergenceWarning, match="no better than 0, which the best constant answer gives"):
        model = small(max_iter=2).fit(X, np.full(300, 7.0))
    assert abs(model.predict(X) - 7).max() < 3
    with pytest.warns(ConvergenceWarning, match="no better than 0"):
        none = small(loss="poisson").fit(X, np.zeros(300))
    assert none.predict(X).max() < 0.5


def fails(*_: Any, **__: Any) -> None:
    raise MemoryError


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_call_that_fails_changes_nothing(method, monkeypatch):
    model = small(warm_start=True).fit(X, Y)
    kept, wanted = dict(vars(model)), model.predict(X)
    for arguments in (
        (X, np.full(300, np.nan)),
        (X[:, :2], Y),
        (X, np.c_[Y, Y]),
        (X, Y, -np.ones(300)),
        (X, ["a"] * 300),
    ):
        with pytest.raises(ValueError, match=r"."):
            getattr(model, method)(*arguments)
        assert vars(model) == kept
    monkeypatch.setattr(MLP, "train_on", fails)
    with pytest.raises(MemoryError):
        getattr(model, method)(X, Y)
    assert vars(model) == kept
    np.testing.assert_array_equal(model.predict(X), wanted)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"loss": "cross-entropy"}, ValueError, "'loss' parameter"),
        ({"delta": 0}, ValueError, "'delta' parameter"),
        ({"delta": 1e39, "loss": "huber"}, ConfigError, "delta is 1e[+]39"),
        ({"loss": "poisson"}, DataError, 'y holds -.* the loss "poisson" is of numbers from 0 on'),
        ({"betas": (0.9,)}, ConfigError, r"betas is \(0.9,\), allowed are two numbers"),
        ({"betas": (0.9, 1.0)}, ConfigError, r"betas\[1\] is 1.0"),
        ({"epsilon": 1e-40}, ConfigError, "epsilon is 1e-40"),
        ({"clip_norm": np.inf}, ValueError, "'clip_norm' parameter"),
        ({"activation": ["relu", "tanh"]}, ConfigError, "2 for 1 hidden layers"),
        ({"dropout": [0.1, 0.2]}, ConfigError, "dropout"),
        ({"standardize": "yes"}, ValueError, "'standardize' parameter"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(settings, error, message):
    with pytest.raises(error, match=message):
        small(**settings).fit(X.astype(np.float32), Y - 20)


def test_a_callback_is_told_each_epoch_and_may_end_training() -> None:
    told: list[tuple[int, int]] = []

    def on_epoch(epoch: int, history: History) -> bool:
        told.append((epoch, len(history.train_loss)))
        return epoch == 4

    model = small(max_iter=9).fit(X, Y, on_epoch=on_epoch)
    assert told == [(i, i) for i in range(1, 5)]
    assert model.n_iter_ == 4
