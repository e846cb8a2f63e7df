"""The estimators' parameters by name: scikit-learn's that are called otherwise, aliases, and what is shown."""

import io
import sys
from typing import Any, cast

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastmlp.errors import ConfigError
from fastmlp.nn.schedule import Schedule
from fastmlp.sklearn import FastMLPClassifier, FastMLPRegressor, watch
from fastmlp.sklearn.names import ELSEWHERE

X = np.random.default_rng(2).standard_normal((120, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
BOTH = (FastMLPClassifier, FastMLPRegressor)


def small(**settings: Any) -> FastMLPClassifier:
    usual = {"hidden_layer_sizes": (8,), "max_iter": 4, "learning_rate_init": 0.05, "random_state": 0}
    return FastMLPClassifier(**(usual | settings))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_of_scikit_learn_say_what_they_are_here(kind, name):
    for call in (lambda: kind(**{name: 1}), lambda: kind().set_params(**{name: 1})):
        with pytest.raises(ConfigError, match=f"^{name}, a parameter of scikit-learn's own estimators, "):
            call()


def test_each_name_of_scikit_learn_is_known_or_told():
    for kind, theirs in zip(BOTH, (MLPClassifier, MLPRegressor), strict=True):
        assert set(theirs().get_params()) <= {*kind().get_params(), *ELSEWHERE}


@pytest.mark.parametrize("kind", BOTH)
def test_unknown_names_and_those_of_subclasses(kind):
    class Own(kind):
        def __init__(self, alpha=1.0):
            super().__init__()
            self.alpha = alpha

    assert Own(alpha=2.0).get_params() == {"alpha": 2.0}
    assert Own().set_params(alpha=3.0).alpha == 3.0
    with pytest.raises(TypeError, match="unexpected keyword argument 'alhpa'"):
        kind(alhpa=1)
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        kind().set_params(alhpa=1)


@pytest.mark.parametrize("kind", BOTH)
def test_every_parameter_has_its_place_in_the_docstring(kind):
    for name in kind().get_params():
        assert name in kind.__doc__, name
        assert name in kind._parameter_constraints


def test_logistic_is_sigmoid():
    one, other = (small(activation=name).fit(X, Y).predict_proba(X) for name in ("logistic", "sigmoid"))
    np.testing.assert_array_equal(one, other)
    each = small(hidden_layer_sizes=(8, 5), activation=["logistic", "tanh"]).fit(X, Y)
    assert [layer.activation for layer in each.network_.layers] == ["sigmoid", "tanh", "identity"]


def test_schedules_go_by_name_or_record():
    by_name = small(schedule="step").fit(X, Y)
    by_record = small(schedule=Schedule("step")).fit(X, Y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_record.predict_proba(X))
    other = small(schedule=Schedule("step", every=1))
    assert (other.fit(X, Y).predict_proba(X) != by_name.predict_proba(X)).any()
    copy: Any = clone(other)
    assert copy.schedule == other.schedule


def test_label_smoothing_makes_answers_less_sure():
    sure, smooth = (small(label_smoothing=s, max_iter=60, learning_rate_init=0.05).fit(X, Y) for s in (0.0, 0.2))
    assert smooth.predict_proba(X).max() < sure.predict_proba(X).max()
    assert smooth.network_.loss.smoothing == 0.2
    assert smooth.score(X, Y) > 0.9
    with pytest.raises(ValueError, match="'label_smoothing' parameter"):
        small(label_smoothing=1.0).fit(X, Y)


def test_dropout_and_clipping_act_in_training_alone():
    plain = small(max_iter=20).fit(X, Y)
    for settings in ({"dropout": 0.5}, {"input_dropout": 0.3}, {"clip_norm": 1e-3}):
        other = small(max_iter=20, **settings).fit(X, Y)
        assert other.loss_curve_ != plain.loss_curve_
        np.testing.assert_array_equal(other.predict_proba(X), other.predict_proba(X))


def test_a_callback_sees_each_epoch_and_ends_training():
    seen = []

    def on_epoch(epoch, history):
        seen.append((epoch, history.train_loss[-1]))
        return epoch == 3

    model = small(max_iter=50).fit(X, Y, on_epoch=on_epoch)
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert [loss for _, loss in seen] == model.loss_curve_
    with pytest.raises(ConfigError, match="on_epoch is 3, allowed is a function"):
        model.fit(X, Y, on_epoch=cast("Any", 3))
    assert len(model.loss_curve_) == 3


def test_verbose_prints_a_line_an_epoch_on_stderr(capsys):
    small(verbose=True).fit(X, Y, X_val=X, y_val=Y)
    small(verbose=False).fit(X, Y)
    small().fit(X, Y)  # stderr is no terminal here
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/4: loss ")
    assert ", validation loss " in lines[3]


class Terminal(io.StringIO):
    """A terminal, for whoever asks."""

    def isatty(self) -> bool:
        return True


def test_a_long_fit_shows_its_progress_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = {}
    for seconds in (0.0, 100.0):
        monkeypatch.setattr(watch, "SECONDS", seconds)
        terminal = Terminal()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", terminal)
            small(max_iter=30).fit(X, Y)
        shown[seconds] = terminal.getvalue()
    assert "/30: loss" in shown[0.0]
    assert shown[100.0] == ""
