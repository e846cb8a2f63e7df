"""What the estimator says when training goes wrong, what an interrupt leaves, and that errors change nothing."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.network import MLP
from fastmlp.sklearn import FastMLPClassifier

IRIS = load_iris(return_X_y=True)
X, Y = IRIS[0].astype(np.float32), np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]
SCALED = StandardScaler().fit_transform(X)


SMALL: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0, "learning_rate_init": 0.01}
# What does not standardise the features, and diverges where they are large.
BARE: dict[str, Any] = {"standardize": False, "optimizer": "sgd"}


def small(**settings: Any) -> FastMLPClassifier:
    return FastMLPClassifier(**(SMALL | settings))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_iter", [6, 200])
def test_divergence_is_told_with_what_to_do(dtype, max_iter):
    x = (1e5 * X).astype(dtype)
    with pytest.warns(ConvergenceWarning, match="in epoch 2.*those that training began with.*standardize") as told:
        model = small(max_iter=max_iter, batch_size=200, **BARE).fit(x, Y)
    assert told[0].filename == __file__
    assert np.isfinite(model.predict_proba(x)).all()
    assert len(model.loss_curve_) == model.n_iter_ == 2


def test_partial_fit_tells_divergence_too():
    x = 1e15 * X
    model = small(batch_size=200, **BARE)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1") as told:
        model.partial_fit(x, Y, classes=np.unique(Y))
    assert told[0].filename == __file__
    assert np.isfinite(model.predict_proba(x)).all()


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_a_fit_that_learnt_nothing_says_so_and_names_scaling(load):
    x, y = load(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match=r"no better than .* constant answer .* standardize=True"):
        FastMLPClassifier(random_state=0, batch_size=200, **BARE).fit(x, y)
    weights = np.where(y == 0, 5.0, 1.0)
    with pytest.warns(ConvergenceWarning, match="no better than"):
        FastMLPClassifier(random_state=0, batch_size=200, class_weight="balanced", **BARE).fit(x, y, weights)


def test_a_fit_that_learns_says_nothing():
    for load in (load_breast_cancer, load_wine, load_iris, load_digits):
        x, y = load(return_X_y=True)
        FastMLPClassifier(random_state=0, max_iter=20).fit(x, y)
        FastMLPClassifier(random_state=0, max_iter=20, early_stopping=True).fit(x, y)


def test_outputs_that_overflow_are_an_error_that_names_the_row():
    for dtype, large in ((np.float32, 3e38), (np.float64, 1.7e308)):
        model = small().fit(SCALED.astype(dtype), Y)
        rows = np.vstack([SCALED[:2], np.full((1, 4), large)]).astype(dtype)
        with pytest.raises(DataError, match=r"the outputs of row 2 overflow float\d\d: scale inputs"):
            model.predict_proba(rows)


def test_noisy_validation_ends_a_long_fit():
    x, y = load_digits(return_X_y=True)
    model = FastMLPClassifier(max_iter=1000, early_stopping=True, random_state=0).fit(x / 16, y)
    assert model.n_iter_ < 500
    assert model.n_iter_ - 1 - int(np.argmin(model.validation_loss_curve_)) == 11  # more than ten since the best


def test_a_warm_start_does_not_lose_what_validated_better():
    model = small(warm_start=True, max_iter=60, learning_rate_init=0.1).fit(SCALED, Y, X_val=SCALED, y_val=Y)
    labels = np.searchsorted(model.classes_, Y)
    before, _ = model.network_.evaluate(SCALED, labels)
    model.set_params(max_iter=1, learning_rate_init=50.0).fit(SCALED, Y, X_val=SCALED, y_val=Y)
    assert model.network_.evaluate(SCALED, labels)[0] == before
    assert model.validation_loss_curve_[-1] > before


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("validated", [False, True])
def test_an_interrupt_leaves_the_epochs_before_it(warm, validated, monkeypatch):
    model = small(warm_start=warm)
    if warm:
        model.fit(SCALED, Y)
    held = {"X_val": SCALED[::3], "y_val": Y[::3]} if validated else {}
    whole = small(warm_start=warm, max_iter=3)
    if warm:
        whole.set_params(max_iter=6).fit(SCALED, Y).set_params(max_iter=3)
    whole.fit(SCALED, Y, **held)
    train, calls = MLP.train_on, []

    def interrupted(self: MLP, *given: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            self.parameters += 1  # half of an epoch
            raise KeyboardInterrupt
        return train(self, *given, **options)

    monkeypatch.setattr(MLP, "train_on", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(SCALED, Y, **held)
    assert model.loss_curve_ == whole.loss_curve_
    assert model.validation_loss_curve_ == whole.validation_loss_curve_
    assert model.n_iter_ == len(model.loss_curve_) == (9 if warm else 3)
    np.testing.assert_array_equal(model.predict_proba(SCALED), whole.predict_proba(SCALED))


def test_a_second_fit_that_fails_on_its_way_changes_nothing(monkeypatch):
    model, twin = (small(warm_start=True).fit(SCALED, Y) for _ in range(2))
    kept, wanted = dict(vars(model)), model.predict_proba(SCALED)
    train, calls = MLP.train_on, []

    def failing(self: MLP, *given: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError
        return train(self, *given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MLP, "train_on", failing)
        with pytest.raises(MemoryError):
            model.fit(SCALED, Y)
    assert vars(model) == kept
    np.testing.assert_array_equal(model.predict_proba(SCALED), wanted)
    for each in (model, twin):
        each.fit(SCALED, Y)
    np.testing.assert_array_equal(model.predict_proba(SCALED), twin.predict_proba(SCALED))


def fails(*_: Any, **__: Any) -> None:
    raise MemoryError


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_call_that_fails_leaves_the_fitted_estimator_as_it_was(method, warm, monkeypatch):
    model = small(warm_start=warm, max_iter=20).fit(SCALED, Y)
    kept, wanted = dict(vars(model)), model.predict_proba(SCALED)
    wide, other = np.ones((150, 7), np.float32), np.where(Y == "setosa", "other", Y)
    wrong: list[tuple[Any, ...]] = [
        (wide, np.zeros(150)), (wide, np.linspace(0, 1, 150)), (SCALED, Y, -np.ones(150)), (SCALED, np.zeros(150)),
    ]  # fmt: skip
    wrong += [(SCALED, other), (wide, Y)] if warm or method == "partial_fit" else []
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"."):
            getattr(model, method)(*arguments)
        assert vars(model) == kept
    for settings in ({"learning_rate_init": 1e39}, {"hidden_layer_sizes": (3.5,)}, {"class_weight": {"setosa": -1}}):
        usual = {name: getattr(model, name) for name in settings}
        with pytest.raises(ConfigError, match=next(iter(settings))):
            getattr(model.set_params(**settings), method)(SCALED, Y)
        assert vars(model.set_params(**usual)) == kept
    monkeypatch.setattr(MLP, "train_on", fails)
    with pytest.raises(MemoryError):
        getattr(model, method)(SCALED, Y)
    assert vars(model) == kept
    np.testing.assert_array_equal(model.predict_proba(SCALED), wanted)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_layer_sizes": (3.5,)}, r"hidden_layer_sizes is \(3.5,\), allowed are whole numbers"),
        ({"hidden_layer_sizes": (True,)}, r"hidden_layer_sizes is \(True,\)"),
        ({"hidden_layer_sizes": [[3, 4]]}, r"hidden_layer_sizes is \[\[3, 4\]\]"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes is"),
        ({"class_weight": {"setosa": -1.0}}, r"class_weight\['setosa'\] is -1.0, allowed is a finite number from 0 on"),
        ({"class_weight": {"setosa": np.nan}}, r"class_weight\['setosa'\] is nan"),
        ({"class_weight": {"setosa": "2"}}, r"class_weight\['setosa'\] is '2'"),
        ({"class_weight": dict.fromkeys(np.unique(Y).tolist(), 0)}, "class_weight is 0 for all classes"),
        ({"learning_rate_init": 1e39}, "learning_rate_init is 1e[+]39, allowed is .* float32 holds"),
        ({"learning_rate_init": 10**400}, "learning_rate_init is a whole number of hundreds of digits"),
        ({"learning_rate_init": True}, "learning_rate_init is True"),
        ({"momentum": False}, "momentum is False"),
        ({"momentum": 1 - 1e-12}, "momentum is 0.99.*, in float32"),
        ({"weight_decay": 1e39}, "weight_decay is 1e[+]39"),
        ({"batch_size": True}, "batch_size is True"),
        ({"max_iter": True}, "max_iter is True"),
        ({"patience": True}, "patience is True"),
        ({"random_state": True}, "random_state is True"),
    ],
)
def test_settings_that_scikit_learn_lets_through_are_refused_by_name(settings, message):
    with pytest.raises(ConfigError, match=message):
        small(**settings).fit(SCALED, Y)


def test_frequencies_of_one_class_alone_give_a_loss_of_0():
    model = small(warm_start=True, max_iter=60).fit(SCALED, Y).set_params(max_iter=1)
    with pytest.warns(ConvergenceWarning, match="no better than 0, which"):
        model.fit(SCALED[:20], Y[:20])


def test_a_number_as_sample_weight_is_that_of_all_rows():
    plain = small().fit(SCALED, Y).predict_proba(SCALED)
    for weight in (1, 2.0, np.float32(0.5)):
        np.testing.assert_allclose(small().fit(SCALED, Y, weight).predict_proba(SCALED), plain, rtol=1e-5)
    for wrong in (True, -2.0, 0, np.nan, "2"):
        with pytest.raises(ValueError, match="sample_weight is"):
            small().fit(SCALED, Y, wrong)


def test_extreme_rows_make_no_warning_of_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for precision in ("float32", "float64"):
            model = small(precision=precision, max_iter=3).fit(1e30 * SCALED, Y)
            assert np.isfinite(model.predict_proba(1e30 * SCALED)).all()
