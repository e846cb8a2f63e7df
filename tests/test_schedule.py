"""The learning rate over the epochs."""

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from fastmlp import MLP, SGD
from fastmlp.errors import ConfigError
from fastmlp.nn.fit import fit
from fastmlp.nn.history import History
from fastmlp.nn.schedule import RANGES, SCHEDULES, Rates, Schedule

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
LABELS = np.arange(40) % 3


def rates(monkeypatch: pytest.MonkeyPatch, schedule: str | Schedule, epochs: int) -> tuple[list[float], SGD]:
    """Return the rate that each epoch of `fit` has, seen from the engine, and the optimiser afterwards."""
    mlp, optimizer, seen = MLP([6, 5, 3], threads=1), SGD(lr=0.2), []
    train = mlp._engine.train

    def watched(*arguments):
        seen.append(arguments[3].lr)
        return train(*arguments)

    monkeypatch.setattr(mlp._engine, "train", watched)
    fit(mlp, X, LABELS, optimizer=optimizer, epochs=epochs, batch_size=40, schedule=schedule)
    return seen, optimizer


def given(schedule: Schedule, history: History, epochs: int = 100, rows: int = 40, lr: float = 0.2) -> list[float]:
    """Return the rates of epochs that end with the figures of a history, and of the one after them."""
    so_far = History()
    of, found = Rates(schedule, epochs, rows, so_far), []
    for i in range(len(history.train_loss) + 1):
        found.append(of.following(lr))
        for name, figures in vars(history).items():
            getattr(so_far, name).extend(figures[i : i + 1])
    return found


def test_cosine_falls_from_the_whole_rate_to_nearly_none(monkeypatch):
    seen, optimizer = rates(monkeypatch, "cosine", 4)
    np.testing.assert_allclose(seen, 0.2 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2)
    assert optimizer.lr == 0.2  # the optimiser is the caller's


def test_constant_leaves_the_rate(monkeypatch):
    assert rates(monkeypatch, "constant", 3)[0] == [0.2] * 3


def test_the_rate_is_the_callers_again_after_an_error(monkeypatch):
    mlp, optimizer = MLP([6, 5, 3], threads=1), SGD(lr=0.2)

    def fail(*_):
        assert optimizer.lr < 0.2
        raise KeyboardInterrupt

    def later(epoch, _):
        if epoch == 1:
            monkeypatch.setattr(mlp._engine, "train", fail)

    with pytest.raises(KeyboardInterrupt):
        mlp.fit(X, LABELS, optimizer=optimizer, epochs=3, schedule="cosine", on_epoch=later)
    assert optimizer.lr == 0.2


def test_another_name_is_refused():
    with pytest.raises(ConfigError, match="schedule is 'linear', allowed: constant, cosine"):
        MLP([6, 5, 3]).fit(X, LABELS, schedule="linear")


def test_warm_up_rises_to_the_whole_rate_and_the_schedule_begins_there(monkeypatch):
    rising = [0.05, 0.1, 0.15]
    np.testing.assert_allclose(rates(monkeypatch, Schedule("constant", warmup=3), 5)[0], [*rising, 0.2, 0.2])
    seen = rates(monkeypatch, Schedule("cosine", warmup=3), 7)[0]
    np.testing.assert_allclose(seen[:3], rising)
    assert seen[3:] == rates(monkeypatch, "cosine", 4)[0]
    np.testing.assert_allclose(rates(monkeypatch, Schedule("cosine", warmup=3), 2)[0], rising[:2])  # ends within it


def test_step_falls_every_few_epochs(monkeypatch):
    seen = rates(monkeypatch, Schedule("step", every=2, factor=0.5, warmup=1), 6)[0]
    np.testing.assert_allclose(seen, [0.1, 0.2, 0.2, 0.1, 0.1, 0.05])


def test_a_rate_that_is_no_longer_above_0_ends_training():
    mlp = MLP([6, 5, 3], threads=1)
    result = fit(mlp, X, LABELS, optimizer=SGD(), epochs=9, schedule=Schedule("step", every=1, factor=1e-200))
    assert (result.status, result.epochs) == ("done", 2)


LOSSES = [1.0, 0.9, 0.95, 0.9, 0.91, 0.89995, 0.5, 0.6, 0.6, 0.6, 0.6]


@pytest.mark.parametrize("held", [True, False])
def test_a_plateau_of_the_loss_lowers_the_rate(held):
    # better by tol: epochs 1, 2, 7; so a plateau ends with epoch 5, the next with 10: epoch 6 begins the count anew
    nothing = [1.0] * len(LOSSES)
    history = History(nothing, LOSSES, nothing, nothing) if held else History(LOSSES)
    seen = given(Schedule("plateau", patience=2, factor=0.5, tol=1e-4), history)
    np.testing.assert_allclose(seen, [0.2] * 5 + [0.1] * 5 + [0.05] * 2)


def test_a_plateau_counts_what_is_within_tol():
    falling = list(accumulate([1.0] + [-0.01] * 20))
    assert given(Schedule("plateau", patience=3, tol=0.0), History(falling))[-1] == 0.2
    assert given(Schedule("plateau", patience=3, tol=0.02, factor=0.5), History(falling))[-1] < 0.2


@pytest.mark.parametrize(("schedule", "early"), [("invscaling", False), ("adaptive", False), ("adaptive", True)])
def test_the_rates_are_those_of_scikit_learn(schedule, early, monkeypatch):
    theirs, ends = [], SGDOptimizer.iteration_ends

    def watched(self, time_step):
        theirs.append(self.learning_rate)  # of the epoch that ends
        ends(self, time_step)

    monkeypatch.setattr(SGDOptimizer, "iteration_ends", watched)
    adaptive = schedule == "adaptive"
    model = MLPClassifier(
        (5,), solver="sgd", learning_rate=schedule, learning_rate_init=0.2, power_t=0.3, n_iter_no_change=2, tol=1e-3,
        max_iter=80, batch_size=8,  # pyright: ignore[reportArgumentType] - its default is a string
        early_stopping=early, validation_fraction=0.25, random_state=0,
    )  # fmt: skip
    with monkeypatch.context() if adaptive else pytest.warns(ConvergenceWarning):
        model.fit(X, LABELS)
    history = History(list(model.loss_curve_))
    if early:
        history.val_loss, history.val_accuracy = [1.0] * len(theirs), list(model.validation_scores_ or ())
    own = Schedule("adaptive", patience=2, tol=1e-3) if adaptive else Schedule("invscaling", power=0.3)
    ours = given(own, history, rows=30 if early else 40)
    # of invscaling the two sides differ in how they round
    np.testing.assert_allclose(ours[:-1], theirs, rtol=0 if adaptive else 1e-15)
    assert (ours[-1] == 0) == adaptive  # which ended before max_iter
    assert len(set(theirs)) > 5


def test_an_adaptive_rate_ends_training():
    mlp = MLP([6, 5, 3], threads=1)
    adaptive = Schedule("adaptive", patience=1, tol=1e3)  # which no epoch is better by
    result = fit(mlp, X, LABELS, optimizer=SGD(lr=2e-5), epochs=50, schedule=adaptive)
    # 1 epoch is the first best; plateaus end with the epochs 3, 5, 7; the rates are 2e-5, 4e-6 and 8e-7
    assert (result.status, result.epochs) == ("done", 7)


# Settings by which each schedule changes the rate within a few epochs.
QUICK = {
    "constant": Schedule("constant", warmup=2),
    "cosine": Schedule("cosine", warmup=1),
    "step": Schedule("step", every=2),
    "plateau": Schedule("plateau", patience=0, tol=0.01),
    "invscaling": Schedule("invscaling"),
    "adaptive": Schedule("adaptive", patience=0, tol=0.01),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("held", [True, False])
def test_resumed_training_has_the_same_bits(schedule, held):
    options = {"epochs": 9, "batch_size": 8, "patience": 9, "validation": (X[:9], LABELS[:9]) if held else None}

    def trained(pauses, **more):
        mlp = MLP([6, 5, 3], threads=1)
        result = fit(mlp, X, LABELS, optimizer=SGD(lr=0.05), schedule=QUICK[schedule], pause=pauses, **options, **more)
        return mlp, result

    whole, wanted = trained(None)
    _, paused = trained(lambda state: len(state.history.train_loss) == 5)
    assert paused.status == "paused"
    resumed, result = trained(None, resume=paused.state)
    assert result.history == wanted.history
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_the_rates_follow_from_the_history_alone():
    history = History(LOSSES)
    for schedule in QUICK.values():
        whole = given(schedule, history)
        for done in range(len(LOSSES) + 1):
            assert Rates(schedule, 100, 40, History(LOSSES[:done])).following(0.2) == whole[done]


def test_a_name_is_a_schedule_with_its_defaults():
    for name, kind in SCHEDULES.items():
        assert Schedule(name).settings == kind.defaults
        assert replace(Schedule(name), **kind.defaults).settings == kind.defaults
        assert set(kind.defaults) <= set(RANGES)
    assert Schedule("plateau", factor=0.7).settings == {"factor": 0.7, "patience": 2, "tol": 1e-4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "linear"}, "schedule is 'linear', allowed: constant, cosine, step, plateau, invscaling, adaptive"),
        ({"name": "cosine", "factor": 0.5}, "factor is no setting of the schedule 'cosine', allowed: warmup"),
        ({"name": "cosine", "warmup": -1}, "warmup is -1, allowed is a whole number from 0 on"),
        ({"name": "step", "every": 0}, "every is 0, allowed is a whole number from 1 on"),
        ({"name": "step", "factor": 1.0}, "factor is 1.0, allowed is a finite number above 0 and below 1"),
        ({"name": "plateau", "patience": 1.5}, "patience is 1.5, allowed is a whole number from 0 on"),
        ({"name": "invscaling", "power": float("nan")}, "power is nan, allowed is a finite number 0 or more"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Schedule(**settings)


def test_great_settings_give_no_error():
    history = History([1.0] * 1000)
    for schedule in (Schedule("invscaling", power=1e6), Schedule("step", every=1, factor=1e-9)):
        assert given(schedule, history, epochs=2000, rows=10**9)[-1] == 0
