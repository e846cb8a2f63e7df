"""`MLPClassifier` and `MLPRegressor` beside scikit-learn's own: the same curves, attributes, messages and errors."""

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csc_matrix, csr_array
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from threadpoolctl import threadpool_limits

from fastmlp import sklearn as ours
from fastmlp.sklearn import training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, DIGIT = load_digits(return_X_y=True)
X, DIGIT = X[:600] / 16, DIGIT[:600]
NUMBERS = np.column_stack([X[:, :20].sum(axis=1), X[:, 20:40].sum(axis=1)])
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2, len(X))
OLD = sklearn.__version__.startswith("1.7.")
# By name: the estimator, its settings and its targets.
TASKS = {
    "binary": ("MLPClassifier", {}, DIGIT % 2 == 0),
    "classes": ("MLPClassifier", {}, np.array(list("abcdefghij"))[DIGIT]),
    "labels": ("MLPClassifier", {}, (DIGIT[:, None] > [2, 5, 7]).astype(int)),
    "numbers": ("MLPRegressor", {}, NUMBERS),
    "number": ("MLPRegressor", {}, NUMBERS[:, 0]),
    "counts": ("MLPRegressor", {"loss": "poisson"}, np.round(NUMBERS[:, 0])),
}
SOLVERS = {
    "adam": {},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.01, "learning_rate": "adaptive", "activation": "tanh"},
    "momentum": {
        "solver": "sgd", "learning_rate_init": 0.02, "learning_rate": "invscaling", "power_t": 0.1,
        "nesterovs_momentum": False, "batch_size": 32, "alpha": 0.1,
    },
    "early": {"early_stopping": True, "hidden_layer_sizes": (20, 10), "activation": "logistic", "shuffle": False},
    "lbfgs": {"solver": "lbfgs", "activation": "identity"},
}  # fmt: skip
# Of float64 sums in another order 20 epochs, 60 to 380 steps, make some 1e-13 as a rule. float32 rounds to 6e-8; steps
# pass an error on, and Adam's first ones, which only go by the gradient's sign, may double one that is near 0.
CLOSE = {np.float64: 1e-9, np.float32: 1e-3}


def both(task: str, **settings):
    kind, own, y = TASKS[task]
    settings = {"hidden_layer_sizes": 16, "max_iter": 20, "random_state": 1} | own | settings
    if OLD and task == "classes" and settings.get("early_stopping"):
        y = DIGIT  # scikit-learn 1.7 itself validates no classes that are words
    return getattr(ours, kind)(**settings), getattr(theirs, kind)(**settings), y


def agree(model, other, close=1e-9):
    """See that two estimators of one training have the same attributes, numbers within `close` of each other."""
    assert set(vars(model)) - {"_training"} == set(vars(other))
    assert type(getattr(model, "_optimizer", None)) is type(getattr(other, "_optimizer", None))
    for name in ("loss_curve_", "validation_scores_", "loss_", "best_loss_", "best_validation_score_"):
        mine, wanted = getattr(model, name, None), getattr(other, name, None)
        assert (mine is None) == (wanted is None)
        if mine is not None and wanted is not None:
            np.testing.assert_allclose(mine, wanted, rtol=close, err_msg=name)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(model, name, None) == getattr(other, name, None), name
    for name in ("coefs_", "intercepts_"):
        for mine, wanted in zip(getattr(model, name), getattr(other, name), strict=True):
            assert mine.dtype == wanted.dtype
            np.testing.assert_allclose(mine, wanted, rtol=0, atol=100 * close)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_training_is_the_same(task, solver):
    mine, other, y = both(task, **SOLVERS[solver])
    agree(mine.fit(X, y), other.fit(X, y))
    assert "_training" not in vars(mine)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(other, name):
            found, wanted = getattr(mine, name)(X), getattr(other, name)(X)
            assert found.dtype == wanted.dtype
            if found.dtype.kind == "f":
                np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)
            else:
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("task", ["classes", "labels", "numbers"])
@pytest.mark.parametrize("solver", ["adam", "momentum", "early", "lbfgs"])
@pytest.mark.parametrize("make", [np.asarray, csr_array, csc_matrix], ids=["dense", "csr", "csc"])
def test_so_it_is_with_weights_and_sparse_rows(task, solver, make):
    mine, other, y = both(task, **SOLVERS[solver])
    agree(mine.fit(make(X), y, WEIGHTS), other.fit(make(X), y, WEIGHTS))


@pytest.mark.parametrize(
    ("solver", "task"),
    # Nesterov's steps know nothing of the task, and are compiled for each kind of targets
    [
        ("nesterov", "classes"),
        *((solver, task) for solver in ("adam", "lbfgs") for task in ("binary", "classes", "number")),
    ],
)
def test_float32_stays_float32(solver, task):
    # the line searches of L-BFGS make more of a difference with each step, above all near a minimum
    mine, other, y = both(task, **SOLVERS[solver], max_iter=5 if solver == "lbfgs" else 20)
    x = X.astype(np.float32)
    agree(mine.fit(x, y), other.fit(x, y), CLOSE[np.float32])
    assert isinstance(mine.loss_, float)  # of float64: rounded to float32, it would stop line searches


def test_rows_that_compiled_code_cannot_read_are_made_dense_in_parts(monkeypatch):
    monkeypatch.setattr(training, "PART_BYTES", 8 * X.shape[1] * 100)
    for make in (np.asfortranarray, csr_array):
        mine, other, y = both("classes", batch_size=32)
        agree(mine.fit(make(X), y), other.fit(X, y))


def test_training_goes_on():
    for settings in ({}, SOLVERS["nesterov"]):
        mine, other, y = both("classes", warm_start=True, **settings)
        for model in (mine, other):
            model.fit(X, y)
            model.set_params(alpha=0.5).fit(X, y)
            model.partial_fit(X, y)
            model.fit(X, y)
        agree(mine, other)
    mine, other, y = both("numbers")
    for x in (X, X[:100], X.astype(np.float32)):
        mine.partial_fit(x, y[: len(x)])
        other.partial_fit(x, y[: len(x)])
    agree(mine, other, 1e-6)  # of float32 rows, which scikit-learn multiplies as float64, too


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_where_the_first_one_is(copied):
    mine, other, y = both("classes")
    mine.partial_fit(X, y, classes=np.unique(y))
    other.partial_fit(X, y, classes=np.unique(y))
    twin = copied(mine)
    assert "_training" not in vars(twin)
    np.testing.assert_array_equal(twin.predict_proba(X), mine.predict_proba(X))
    for model in (mine, twin, other):
        model.partial_fit(X, y)
    agree(twin, other)
    agree(mine, other)
    twin.coefs_[0][...] = 0
    agree(mine, other)


def test_a_fit_leaves_the_weights_of_the_one_before_alone():
    mine, _, y = both("classes")
    before = mine.fit(X, y).coefs_[0]
    kept = before.copy()
    mine.fit(X[:50], y[:50])
    np.testing.assert_array_equal(before, kept)


def test_weights_that_are_changed_or_assigned_are_the_model():
    mine, other, y = both("classes")
    for model in (mine, other):
        model.fit(X, y)
        model.coefs_[0] *= 2
        model.intercepts_ = [np.asarray(intercept) + 1 for intercept in model.intercepts_]
    np.testing.assert_allclose(mine.predict_proba(X), other.predict_proba(X), rtol=1e-7)
    agree(mine.partial_fit(X, y), other.partial_fit(X, y))


def test_a_clone_has_the_settings_alone():
    mine, other, y = both("classes", alpha=0.3)
    twin: Any = clone(mine.fit(X, y))
    assert repr(twin) == repr(mine) == repr(other)
    assert "MLPClassifier" in twin._repr_html_()
    assert vars(twin) == other.get_params() | {"loss": "log_loss"}


@pytest.mark.parametrize("settings", [{"solver": "sgd", "momentum": 1}, {"beta_2": 0}])
def test_settings_of_no_step_here_are_scikit_learn_s_own_loop(settings):
    mine, other, y = both("classes", max_iter=3, **settings)
    agree(mine.fit(X, y), other.fit(X, y), 0)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_targets_of_no_loss_here_are_scikit_learn_s_own_loop(solver):
    mine, other, _ = both("counts", **SOLVERS[solver])
    y = NUMBERS[:, 0] - 5
    agree(mine.fit(X, y), other.fit(X, y), 0)
    assert np.isnan(mine.loss_)
    mine, other, _ = both("number", **SOLVERS[solver])
    assert refusal(mine.fit, X, y.astype(str)) == refusal(other.fit, X, y.astype(str))


def messages(model, *args):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(*args)
    return [(one.category, str(one.message), one.filename) for one in told]


def test_warnings_and_words_are_scikit_learn_s(capsys):
    for settings in (
        {"verbose": True, "max_iter": 3, "batch_size": 1000},
        {"verbose": True, "tol": 10, "n_iter_no_change": 2},
        {"verbose": True, "tol": 10, "n_iter_no_change": 2, "early_stopping": True},
        {"verbose": True, "tol": 10, "n_iter_no_change": 1, "solver": "sgd", "learning_rate": "adaptive"},
        {"verbose": True, "solver": "lbfgs", "max_iter": 3},
    ):
        mine, other, y = both("classes", **settings)
        found, said = messages(mine, X, y), capsys.readouterr().out
        assert (found, said) == (messages(other, X, y), capsys.readouterr().out)


def refusal(call, *args, **settings):
    with pytest.raises(Exception) as stop:  # noqa: PT011 - whichever it is
        call(*args, **settings)
    return type(stop.value), str(stop.value)


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({}, {"sample_weight": np.zeros(len(X))}),
        ({"batch_size": 10, "shuffle": False}, {"sample_weight": np.arange(len(X)) >= 30}),
        ({"early_stopping": True}, {"X": X[:2], "y": DIGIT[:2]}),
        ({}, {"X": np.full_like(X, np.nan)}),
        ({"hidden_layer_sizes": (0,)}, {}),
        ({"solver": "newton"}, {}),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_in_scikit_learn_s_words(settings, change):
    mine, other, y = both("classes", **settings)
    given = {"X": X, "y": y} | change
    if "sample_weight" in given:
        given["sample_weight"] = np.asarray(given["sample_weight"], float)
    assert refusal(mine.fit, **given) == refusal(other.fit, **given)


def test_partial_fit_does_not_stop_early():
    mine, other, y = both("number", early_stopping=True)
    assert refusal(mine.partial_fit, X, y) == refusal(other.partial_fit, X, y)


def test_rows_are_checked_as_scikit_learn_does():
    mine, other, y = both("classes")
    assert refusal(mine.predict, X) == refusal(other.predict, X)
    assert refusal(mine.predict, X)[0] is NotFittedError
    mine.fit(X, y)
    other.fit(X, y)
    broken = X[:1].copy()
    broken[0, 3] = np.inf
    for rows in (broken, X[0], X[:1, :5], X[:0], np.array([["a"] * X.shape[1]]), None):
        assert refusal(mine.predict, rows) == refusal(other.predict, rows)
        assert refusal(mine.predict_proba, rows) == refusal(other.predict_proba, rows)
    for rows in (X[:1], X[:1].tolist(), X[:3].astype(np.float32), np.asfortranarray(X[:3]), X[:2].astype(int)):
        found, wanted = mine.predict_proba(rows), other.predict_proba(rows)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        np.testing.assert_array_equal(mine.predict(rows), other.predict(rows))


def test_names_of_features_are_asked_for():
    mine, _, y = both("classes", max_iter=1)
    mine.fit(pd.DataFrame(X).add_prefix("pixel"), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        mine.predict(X[:1])


def test_ctrl_c_keeps_what_is_trained(monkeypatch):
    mine, _, y = both("number", max_iter=5)
    epoch, calls = training.Training.epoch, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return epoch(self, *args)

    monkeypatch.setattr(training.Training, "epoch", interrupted)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        mine.fit(X, y)
    assert mine.n_iter_ == len(mine.loss_curve_) == 2


def test_ctrl_c_within_an_epoch_counts_its_steps(monkeypatch):
    mine, _, y = both("number", batch_size=32)
    train, calls = training.Training._train, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(self, *args)

    monkeypatch.setattr(training.Training, "_train", interrupted)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        mine.partial_fit(X, y)
    assert mine._optimizer.t == mine._training._memory.steps > 0


def test_what_diverges_ends_as_in_scikit_learn():
    for settings in ({"early_stopping": True}, {}):
        mine, other, y = both("number", solver="sgd", learning_rate_init=1e3, activation="identity", **settings)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            results = [refusal(model.fit, X, y) if not settings else model.fit(X, y) for model in (mine, other)]
        assert mine.n_iter_ == other.n_iter_
        if not settings:
            assert results[0] == results[1]


def test_threads_are_those_that_blas_may_take(monkeypatch):
    monkeypatch.setattr(training, "usable_cores", lambda: 64)
    with threadpool_limits(1, user_api="blas"):
        assert training.threads() == 1
    monkeypatch.setattr(training, "blas_info", lambda: [{"num_threads": 3}, {"num_threads": 5}])
    assert training.threads() == 3
    monkeypatch.setattr(training, "blas_info", list)
    assert training.threads() == 64


def test_a_warning_of_training_counts_as_one_of_scikit_learn_s():
    mine, _, y = both("number", max_iter=1)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(1\) reached") as told:
        mine.fit(X, y)
    assert "sklearn" in told[0].filename
