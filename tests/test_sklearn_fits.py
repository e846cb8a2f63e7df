"""The estimator's fits against the network's own, its weights, and copies and threads that share it."""

import copy
import importlib
import pickle
import sys
import threading
from typing import Any

import joblib
import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.errors import MissingExtraError
from fastmlp.nn.optimizer import Adam
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
    optimizer = Adam(0.05, weight_decay=3e-3)
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


def test_bfloat16_answers_in_float32():
    model = small(precision="bfloat16", optimizer="sgd").fit(X, Y)  # as others compile it
    assert model.predict_proba(X).dtype == np.float32
    assert model.score(X, Y) > 0.8


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


def test_weights_of_validation_rows_count():
    half = np.arange(300) < 150
    weighted = small().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=half)
    alone = small().fit(X, Y, X_val=X[half], y_val=Y[half])
    assert weighted.validation_loss_curve_ == alone.validation_loss_curve_
    doubled = small().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=1 + half)
    assert doubled.validation_loss_curve_ != small().fit(X, Y, X_val=X, y_val=Y).validation_loss_curve_


def test_early_stopping_holds_out_a_share_of_each_class(monkeypatch):
    seen = []

    def split(*given, original=sys.modules["fastmlp.sklearn.base"].split, **options):
        seen.extend(original(*given, **options))
        return seen

    monkeypatch.setattr("fastmlp.sklearn.base.split", split)
    model = small(early_stopping=True, validation_fraction=0.2).fit(X, Y)
    train, held = seen
    assert (len(train.X), len(held.X)) == (240, 60)
    np.testing.assert_allclose(np.bincount(held.y) / 60, np.bincount(train.y) / 240, atol=1 / 60)  # to one row
    assert len(model.validation_scores_) == model.n_iter_


def test_partial_fit_takes_rows_without_some_classes_and_new_rates():
    model = small().partial_fit(X[Y == "elm"], Y[Y == "elm"], classes=["ash", "elm", "oak"])
    assert list(model.classes_) == ["ash", "elm", "oak"]
    assert (model.predict(X) == "elm").mean() > 0.8
    before = model.predict_proba(X)
    model.set_params(learning_rate_init=1e-30, momentum=0.0).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_decay_per_batch_is_divided_by_the_rows_of_the_batch(dtype):
    x, y = X[:256].astype(dtype), Y[:256]  # whole batches of a power of two: dividing by it rounds nothing
    divided = small(batch_size=64, weight_decay=6.4, decay_per="batch").fit(x, y)
    as_it_is = small(batch_size=64, weight_decay=6.4 / 64).fit(x, y)
    np.testing.assert_array_equal(divided.predict_proba(x), as_it_is.predict_proba(x))


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


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "fastmlp.sklearn")
    with pytest.raises(MissingExtraError, match=r"pip install 'fastmlp\[sklearn\]'"):
        importlib.import_module("fastmlp.sklearn")
