"""The estimator as scikit-learn's own checks see it, and as its users do."""

import json
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import reference
from fastmlp.errors import ConfigError, DataError
from fastmlp.sklearn import FastMLPClassifier

# In a process of its own, as SciPy reads its switch for the array API when it is imported: without that, and without
# pandas, scikit-learn leaves checks out.
CHECKS = """
import json, warnings
from sklearn.utils.estimator_checks import check_estimator
from fastmlp.sklearn import FastMLPClassifier, FastMLPRegressor
warnings.simplefilter("ignore")  # the checks fit few rows, which scikit-learn itself warns of
for estimator in (FastMLPClassifier(), FastMLPRegressor()):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in results]))
"""


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return train_test_split((x / 16).astype(np.float32), y, test_size=0.25, random_state=0)


def small(**settings) -> FastMLPClassifier:
    return FastMLPClassifier(**({"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0} | settings))


@pytest.mark.process
def test_every_check_of_scikit_learn_runs_and_passes():
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECKS], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    for results in map(json.loads, done.stdout.splitlines()):
        assert [result for result in results if result[1] != "passed"] == []
        assert len(results) >= 53  # 63 and 60 in scikit-learn 1.9; other releases have others


def test_digits_are_learnt_and_float32_stays_float32(digits):
    x, x_test, y, y_test = digits
    model = small(hidden_layer_sizes=(64,), max_iter=40, learning_rate_init=0.005).fit(x, y)
    assert model.score(x_test, y_test) > 0.95
    p = model.predict_proba(x_test)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.predict_log_proba(x_test), np.log(p), rtol=1e-5, atol=1e-6)
    assert small().fit(x.astype(float), y).predict_proba(x_test.astype(float)).dtype == np.float64
    assert model.n_iter_ == len(model.loss_curve_) == 40
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.validation_loss_curve_ == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 10])
def test_logarithms_of_sure_answers_are_finite(digits, dtype, classes):
    x, x_test, y, _ = digits
    model = small(hidden_layer_sizes=(), standardize=False).fit(x.astype(dtype), y % classes)
    layer = model.network_.layers[0]
    layer.weight[...] *= 1000
    logs = model.predict_log_proba(x_test.astype(dtype))
    assert logs.shape == (len(x_test), classes)
    assert logs.dtype == dtype
    assert (model.predict_proba(x_test.astype(dtype)) == 0).any()
    assert np.isfinite(logs).all()
    logits = x_test.astype(np.float64) @ layer.weight.astype(np.float64) + layer.bias
    # float32 sums 64 products of up to a thousand
    rtol, atol = (1e-4, 1e-2) if dtype == np.float32 else (1e-12, 1e-10)
    np.testing.assert_allclose(logs, reference.log_softmax(logits), rtol=rtol, atol=atol)


def test_it_works_in_pipelines_searches_clones_and_pickles(digits):
    x, x_test, y, _ = digits
    pipeline = make_pipeline(StandardScaler(), small(learning_rate_init=0.1))
    search = GridSearchCV(pipeline, {"fastmlpclassifier__hidden_layer_sizes": [(8,), (16,)]}, cv=2, n_jobs=2)
    with parallel_config(backend="threading"):  # processes would outlive this test, and be found by others
        search.fit(x, y)
    assert search.best_score_ > 0.8
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict_proba(x_test), best.predict_proba(x_test))
    fresh: Any = clone(best[-1])
    assert not hasattr(fresh, "network_")
    assert fresh.get_params() == best[-1].get_params()


def test_a_seed_gives_the_same_bits_and_a_second_fit_begins_anew(digits):
    x, x_test, y, _ = digits
    model = small()
    first = model.fit(x, y).predict_proba(x_test)
    np.testing.assert_array_equal(model.fit(x, y).predict_proba(x_test), first)
    np.testing.assert_array_equal(small().fit(x, y).predict_proba(x_test), first)
    assert (small(random_state=1).fit(x, y).predict_proba(x_test) != first).any()


def test_the_best_weights_of_a_validation_set_are_kept(digits):
    x, x_test, y, y_test = digits
    model = small(max_iter=60, learning_rate_init=0.05, early_stopping=True, patience=2, standardize=False)
    model.fit(x[:200], y[:200], X_val=x_test, y_val=y_test)
    losses = model.validation_loss_curve_
    assert len(losses) == len(model.validation_scores_) == model.n_iter_
    loss, accuracy = model.network_.evaluate(x_test, y_test)
    assert loss == pytest.approx(min(losses), rel=1e-12)  # float64 sums over batches of another size
    assert accuracy == model.validation_scores_[int(np.argmin(losses))]
    held_out = small(max_iter=3, early_stopping=True, validation_fraction=0.3).fit(x, y)
    assert len(held_out.validation_loss_curve_) == 3


def test_warm_start_and_partial_fit_train_on(digits):
    x, x_test, y, _ = digits
    model = small(warm_start=True).fit(x, y)
    weights = model.network_.parameters.copy()
    model.fit(x, y)
    assert model.n_iter_ == 10
    assert (model.network_.parameters != weights).any()
    # partial_fit keeps its velocity and its shuffling: as many calls are as many epochs of one `fit`
    parts = small()
    for _ in range(5):
        parts.partial_fit(x, y, classes=np.arange(10))
    np.testing.assert_array_equal(parts.predict_proba(x_test), small().fit(x, y).predict_proba(x_test))


# equal rows have nothing to be learnt from, and a fit says so
@pytest.mark.filterwarnings("ignore:The training loss is:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", ["sample_weight", "class_weight"])
def test_weights_shift_what_is_predicted(weighted):
    # two classes of equal rows: the probability tends to the share of the weights
    x, y = np.ones((60, 2), np.float32), np.array(["a", "b"] * 30)
    settings = {"hidden_layer_sizes": (), "max_iter": 300, "learning_rate_init": 0.1, "weight_decay": 0.0}
    if weighted == "class_weight":
        model = small(class_weight={"a": 3.0, "b": 1.0}, **settings).fit(x, y)
    else:
        model = small(**settings).fit(x, y, sample_weight=np.where(y == "a", 3.0, 1.0))
    np.testing.assert_allclose(model.predict_proba(x[:1]), [[0.75, 0.25]], atol=0.03)
    assert model.predict(x[:1]) == ["a"]
    balanced = small(class_weight="balanced", **settings).fit(x[:40], y[[0] * 30 + [1] * 10])
    np.testing.assert_allclose(balanced.predict_proba(x[:1]), [[0.5, 0.5]], atol=0.03)


def test_training_that_diverges_warns_and_keeps_what_was_before(digits):
    x, _, y, _ = digits
    with pytest.warns(ConvergenceWarning, match="was not finite"):
        model = small(activation="identity", learning_rate_init=1e6, max_iter=50).fit(x * 1e3, y)
    assert np.isfinite(model.network_.parameters).all()


def test_what_does_not_fit_is_refused(digits):
    x, _, y, _ = digits
    wrong = [
        (lambda: small(activation="swish").fit(x, y), ValueError, "'activation' parameter"),
        (lambda: small(precision="int8").fit(x, y), ValueError, "'precision' parameter"),
        (lambda: small(momentum=1.0).fit(x, y), ValueError, "'momentum' parameter"),
        (lambda: small().fit(x, y, X_val=x), ConfigError, "X_val and y_val belong together"),
        (lambda: small().fit(x, y, sample_weight_val=np.ones(len(y))), ConfigError, "sample_weight_val is of the rows"),
        (lambda: small().fit(x, y, sample_weight=-np.ones(len(y))), DataError, "negative"),
        (lambda: small().fit(x, y, sample_weight=np.ones(3)), DataError, r"shape \(3,\)"),
        (lambda: small().fit(x, np.zeros(len(y))), DataError, "only 1 class"),
        (lambda: small().partial_fit(x, y), ConfigError, "needs classes"),
        (lambda: small(class_weight="balanced").partial_fit(x, y, classes=range(10)), ConfigError, "balanced"),
        (lambda: small(early_stopping=True).partial_fit(x, y, classes=range(10)), ConfigError, "early_stopping"),
        (lambda: small().partial_fit(x, y, classes=range(10)).partial_fit(x, y, classes=range(9)), ConfigError,
         "in the call before"),
        (lambda: small().fit(x, y).predict(x[:, :3]), ValueError, "features"),
    ]  # fmt: skip
    for call, error, message in wrong:
        with pytest.raises(error, match=message):
            call()
