"""The scikit-learn estimator: what it promises beside scikit-learn's own checks."""

import copy
import pickle
import sys
import threading
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLP, SGD
from fastmlp.errors import ConfigError, DataError
from fastmlp.sklearn import FastMLPClassifier

COPIES = [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]


def data(count=300, features=8, dtype=np.float32):
    """Rows whose largest of the first three features is their class, as a word."""
    x = np.random.default_rng(3).standard_normal((count, features)).astype(dtype)
    return x, np.array(["ash", "elm", "oak"])[x[:, :3].argmax(axis=1)]


X, Y = data()
SMALL: dict[str, Any] = {
    "hidden_layer_sizes": (16,),
    "batch_size": 50,
    "learning_rate_init": 0.05,
    "max_iter": 8,
    "random_state": 0,
}


def small(**changes):
    return FastMLPClassifier(**(SMALL | changes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_is_that_of_the_network_to_the_bit(dtype):
    x, y = data(dtype=dtype)
    model = small().fit(x, y)
    rng = np.random.default_rng(np.random.RandomState(0).randint(2**31 - 1))
    network = MLP([8, 16, 3], "relu", precision=np.dtype(dtype).name, threads=1, rng=rng)
    labels = np.searchsorted(["ash", "elm", "oak"], y)
    optimizer = SGD(0.05, 0.9, 1e-4)
    fitted = network.fit(x, labels, optimizer=optimizer, epochs=8, batch_size=50, rng=rng)
    np.testing.assert_array_equal(model.predict_proba(x), network.predict_proba(x))
    # the estimator's rows all have a weight, and a loss with weights adds up its float64 sum in another order
    assert model.loss_curve_ == pytest.approx(fitted.history.train_loss, rel=1e-12)
    assert model.predict_proba(x).dtype == dtype
    assert model.n_iter_ == 8
    assert model.score(x, y) == network.evaluate(x, labels)[1] > 0.8


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(("precision", "dtype"), [("float32", np.float32), ("float64", np.float64)])
def test_a_precision_that_is_named_converts_the_rows(precision, dtype):
    for given in (np.float32, np.float64):
        model = small(precision=precision).fit(X.astype(given), Y)
        assert model.predict_proba(X.astype(given)).dtype == dtype
    if precision == "float32":
        with pytest.raises(ValueError, match="Input X contains infinity or a value too large"):
            model.predict(np.full((1, 8), 1e300))


@pytest.mark.filterwarnings("ignore:this CPU has no bfloat16:RuntimeWarning")
def test_bfloat16_answers_in_float32():
    model = small(precision="bfloat16").fit(X, Y)
    assert model.predict_proba(X).dtype == np.float32
    assert model.score(X, Y) > 0.8


def test_logarithms_are_those_of_the_probabilities_also_of_zero():
    model = small().fit(X, Y)
    x = np.concatenate([X, 1e4 * X])
    logarithms = model.predict_log_proba(x)
    assert np.isneginf(logarithms).any()
    # exp returns a logarithm's rounding error, 6e-8 of at most 104, as a relative one
    np.testing.assert_allclose(np.exp(logarithms), model.predict_proba(x), rtol=1e-5)


def test_class_weights_are_sample_weights():
    factors = {"ash": 3.0, "elm": 1.0, "oak": 0.5}
    by_class = small(class_weight=factors).fit(X, Y)
    by_row = small().fit(X, Y, sample_weight=[factors[label] for label in Y])
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    plain = small().fit(X, Y)
    assert (by_class.predict(X) == "ash").sum() > (plain.predict(X) == "ash").sum()
    counts = {label: 300 / (3 * np.count_nonzero(label == Y)) for label in factors}
    balanced = small(class_weight="balanced").fit(X, Y)
    same = small(class_weight=counts).fit(X, Y)
    np.testing.assert_array_equal(balanced.predict_proba(X), same.predict_proba(X))


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    weights = np.where(Y == "oak", 0, 2)
    model = small().fit(X, Y, sample_weight=weights)
    assert list(model.classes_) == ["ash", "elm"]
    rest = small().fit(X[Y != "oak"], Y[Y != "oak"])
    np.testing.assert_array_equal(model.predict_proba(X), rest.predict_proba(X))


def test_an_own_validation_set_chooses_the_weights_and_may_stop_training():
    noise = np.random.default_rng(4).permutation(Y[:100])  # cannot be learnt: its loss falls, then rises
    greedy = {"max_iter": 60, "learning_rate_init": 0.1}
    model = small(**greedy).fit(X[:100], Y[:100], X_val=X[100:], y_val=noise.repeat(2))
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == len(model.loss_curve_) == 60
    lowest = min(model.validation_loss_curve_)
    assert lowest < model.validation_loss_curve_[-1]
    codes = np.searchsorted(model.classes_, noise.repeat(2))
    ones = np.ones(200)
    assert model.network_.evaluate(X[100:], codes, 50, sample_weight=ones)[0] == lowest
    stopped = small(early_stopping=True, patience=2, **greedy)
    stopped.fit(X[:100], Y[:100], X_val=X[100:], y_val=noise.repeat(2))
    assert stopped.n_iter_ < 60
    assert stopped.validation_loss_curve_ == model.validation_loss_curve_[: stopped.n_iter_]
    a, b, c = stopped.validation_loss_curve_[-3:]
    assert a < b < c


def test_weights_of_validation_rows_count():
    half = np.arange(300) < 150
    weighted = small().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=half)
    alone = small().fit(X, Y, X_val=X[half], y_val=Y[half])
    assert weighted.validation_loss_curve_ == alone.validation_loss_curve_
    doubled = small().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=1 + half)
    assert doubled.validation_loss_curve_ != small().fit(X, Y, X_val=X, y_val=Y).validation_loss_curve_


def test_early_stopping_holds_out_a_share_of_each_class(monkeypatch):
    seen = []

    def split(rows, fraction, seed, original=sys.modules["fastmlp.sklearn"]._split):
        seen.extend(original(rows, fraction, seed))
        return seen

    monkeypatch.setattr("fastmlp.sklearn._split", split)
    model = small(early_stopping=True, validation_fraction=0.2).fit(X, Y)
    train, held = seen
    assert (len(train.X), len(held.X)) == (240, 60)
    np.testing.assert_allclose(np.bincount(held.y) / 60, np.bincount(train.y) / 240, atol=1 / 60)  # to one row
    assert len(model.validation_scores_) == model.n_iter_


def test_epochs_of_partial_fit_are_those_of_fit():
    parts = small()
    for _ in range(8):
        parts.partial_fit(X, Y, classes=["oak", "elm", "ash"])
    whole = small().fit(X, Y)
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == 8


def test_partial_fit_takes_rows_without_some_classes_and_new_rates():
    model = small().partial_fit(X[Y == "elm"], Y[Y == "elm"], classes=["ash", "elm", "oak"])
    assert list(model.classes_) == ["ash", "elm", "oak"]
    assert (model.predict(X) == "elm").mean() > 0.8
    before = model.predict_proba(X)
    model.set_params(learning_rate_init=1e-30, momentum=0.0).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_warm_start_trains_on_and_a_usual_fit_begins_anew():
    model = small(warm_start=True).fit(X, Y)
    first = list(model.loss_curve_)
    model.fit(X, Y)
    assert model.loss_curve_[:8] == first
    assert model.n_iter_ == 16
    assert model.loss_curve_[8] < first[4]
    with pytest.raises(ValueError, match="previously unseen labels"):
        model.fit(X, np.where(Y == "ash", "yew", Y))
    model.set_params(warm_start=False).fit(X, Y)
    assert model.loss_curve_ == first


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_predict_and_train_on_alike(dtype, tmp_path):
    model = small().fit(X.astype(dtype), Y)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    mapped = joblib.load(path, mmap_mode="r")  # as workers of joblib get large arrays
    copies = [*(copied(model) for copied in COPIES), joblib.load(path), mapped]
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    model.partial_fit(X, Y)  # has a velocity
    for other in copies:
        np.testing.assert_array_equal(other.partial_fit(X, Y).predict_proba(X), model.predict_proba(X))


def test_threads_may_share_an_estimator():
    model = small().fit(X, Y)
    parts = np.array_split(X, 4)
    wanted = [model.predict_proba(part) for part in parts]
    same = []

    def work(part, probabilities):
        same.extend(np.array_equal(model.predict_proba(part), probabilities) for _ in range(500))

    together = [threading.Thread(target=work, args=pair) for pair in zip(parts, wanted, strict=True)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert len(same) == 2000
    assert all(same)


def test_pipelines_and_searches():
    x, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), small())
    grid = {"fastmlpclassifier__hidden_layer_sizes": [(2,), (32,)], "fastmlpclassifier__activation": ["tanh", "relu"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(x[:600], y[:600])
    assert search.best_params_["fastmlpclassifier__hidden_layer_sizes"] == (32,)
    assert accuracy_score(y[600:], search.predict(x[600:])) > 0.8


def test_training_that_diverges_warns_and_keeps_finite_weights():
    model = small(learning_rate_init=1e12, activation="identity", precision="float64")
    with pytest.warns(ConvergenceWarning, match="Scale the features"):
        model.fit(X, Y)
    assert not np.isfinite(model.loss_curve_[-1])
    assert np.isfinite(model.predict_proba(X)).all()
    model.set_params(learning_rate_init=1e-6).partial_fit(X, Y)
    assert np.isfinite(model.loss_curve_[-1])


@pytest.mark.parametrize(
    ("changes", "arguments", "error", "says"),
    [
        ({}, {"X_val": X}, ConfigError, "X_val and y_val belong together"),
        ({}, {"X_val": X[:, :3], "y_val": Y}, ValueError, "X has 3 features, but FastMLPClassifier is expecting 8"),
        ({}, {"X_val": X, "y_val": np.where(Y == "ash", "yew", Y)}, ValueError, "previously unseen labels"),
        ({}, {"sample_weight": np.arange(300) - 1}, DataError, "a negative number"),
        ({}, {"sample_weight": np.zeros(300)}, DataError, "only zeros"),
        ({}, {"sample_weight": np.ones(7)}, DataError, r"shape \(7,\), expected \(300,\)"),
        ({}, {"sample_weight": Y == "ash"}, DataError, "only 1 class, np.str_.'ash'.: a classifier needs"),
        ({"activation": "logistic"}, {}, ValueError, "'activation' parameter of FastMLPClassifier must be a str among"),
        ({"max_iter": 0}, {}, ValueError, "'max_iter' parameter"),
        ({"hidden_layer_sizes": (4, 0)}, {}, ConfigError, "positive sizes"),
        ({"threads": 4096}, {}, ConfigError, "threads is 4096; allowed is a whole number"),
    ],
)
def test_what_does_not_fit_is_a_value_error(changes, arguments, error, says):
    with pytest.raises(error, match=says):
        small(**changes).fit(X, Y, **arguments)


@pytest.mark.parametrize(
    ("changes", "arguments", "says"),
    [
        ({}, {}, "the first call of partial_fit needs classes"),
        ({}, {"classes": ["ash"]}, "only 1 class"),
        ({"early_stopping": True}, {"classes": np.unique(Y)}, "cannot stop early"),
        ({"class_weight": "balanced"}, {"classes": np.unique(Y)}, "give a dict"),
    ],
)
def test_what_partial_fit_cannot_do_is_refused(changes, arguments, says):
    with pytest.raises((ConfigError, DataError), match=says):
        small(**changes).partial_fit(X, Y, **arguments)
    model = small().fit(X, Y)
    with pytest.raises(ConfigError, match="leave them out"):
        model.partial_fit(X, Y, classes=["ash", "elm", "yew"])
