"""The learning rate over the epochs."""

import numpy as np
import pytest

from fastmlp import MLP, SGD
from fastmlp.errors import ConfigError
from fastmlp.nn.schedule import SCHEDULES

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
LABELS = np.arange(40) % 3


def rates(monkeypatch: pytest.MonkeyPatch, schedule: str, epochs: int) -> tuple[list[float], SGD]:
    """Return the rate that each epoch of `fit` has, seen from the engine, and the optimiser afterwards."""
    mlp, optimizer, seen = MLP([6, 5, 3], threads=1), SGD(lr=0.2), []
    train = mlp._engine.train

    def watched(*arguments):
        seen.append(arguments[3].lr)
        return train(*arguments)

    monkeypatch.setattr(mlp._engine, "train", watched)
    mlp.fit(X, LABELS, optimizer=optimizer, epochs=epochs, batch_size=40, schedule=schedule)
    return seen, optimizer


def test_cosine_falls_from_the_whole_rate_to_nearly_none(monkeypatch):
    seen, optimizer = rates(monkeypatch, "cosine", 4)
    np.testing.assert_allclose(seen, 0.2 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2)
    assert optimizer.lr == 0.2  # the optimiser is the caller's


def test_constant_leaves_the_rate(monkeypatch):
    assert rates(monkeypatch, "constant", 3)[0] == [0.2] * 3


def test_a_schedule_goes_from_all_to_none():
    assert {f(0.0) for f in SCHEDULES.values()} == {1.0}
    assert SCHEDULES["cosine"](1.0) == 0


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
