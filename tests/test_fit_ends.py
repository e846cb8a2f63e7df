"""How training ends when it does not go well, or is told to: its status, its history, and the weights it leaves."""

import math
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD
from fastmlp.nn import slices
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult
from fastmlp.nn.kept import FAR
from scripted import Scripted

NAN = math.nan
USUAL = math.log(3)
DATA = np.random.default_rng(1).standard_normal((10, 4)).astype(np.float32), np.arange(10) % 3


def run(model: MLP, **options: Any) -> FitResult:
    defaults: dict[str, Any] = {"optimizer": SGD(0.1), "epochs": 10, "batch_size": 10, "patience": 99, "rng": 0}
    return fit(model, *DATA, **(defaults | options))


def weights_of(model: MLP) -> float:
    """Return the number of steps that a scripted network has taken."""
    [steps] = np.unique(model.layers[0].weight)
    return steps


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([3.0, 2.0, 1.0, NAN], 4, 3),
        ([3.0, 1.0, 2.0, math.inf], 4, 2),
        ([3.0, 1.0, 2.0, 3.1 * FAR], 4, 2),
        ([0.01, 0.02, 1.01 * USUAL * FAR], 3, 1),  # against what a network knows that knows nothing
        ([3.0, 2.9 * FAR, 1.0], 10, 10),  # high, and it comes back
        ([NAN], 1, 0),
        ([3.0 * FAR, 1.0], 1, 0),  # the first weights give 1.1
    ],
)
def test_without_validation_the_best_by_training_loss_are_left(losses, epochs, best):
    model = Scripted([], losses)
    result = run(model)
    assert (result.status, result.epochs) == ("diverged" if best < epochs else "done", epochs)
    assert (result.best_epoch, weights_of(model)) == (best, best)
    assert ("those after epoch" if best else "those that training began with") in result.in_words


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [([3.0, 2.0, 2.5, 3.1 * FAR], 4, 2), ([3.0 * FAR], 1, 0), ([3.0, 2.9 * FAR, 1.0, *[2.0] * 7], 10, 3)],
)
def test_a_validation_loss_far_above_the_first_is_divergence(losses, epochs, best):
    model = Scripted(losses)
    result = run(model, validation=DATA)
    assert (result.status, result.epochs) == ("diverged" if epochs < 10 else "done", epochs)
    assert (result.best_epoch, weights_of(model)) == (best, best)
    assert result.val_loss == losses[best - 1] if best else math.isnan(result.val_loss)


class Bursting(Scripted):
    """Its weights are no longer finite after so many steps, while its losses still are."""

    at = 3

    def scripted_step(self, x, labels):
        answer = super().scripted_step(x, labels)
        if len(self.batches) == self.at:
            self.layers[0].weight[0, 0] = np.inf
        return answer


@pytest.mark.parametrize("validation", [None, DATA])
def test_weights_that_are_not_finite_after_a_finite_loss_are_divergence(validation):
    model = Bursting([5.0, 4.0, 3.0], [5.0, 4.0, 3.0])
    result = run(model, validation=validation)
    assert (result.status, result.epochs, result.best_epoch) == ("diverged", 3, 2)
    assert weights_of(model) == 2


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_last_step_that_no_epoch_has_seen_is_looked_at(precision):
    x = 1e12 * DATA[0].astype(precision)
    model = MLP([4, 5, 3], "relu", precision=precision, threads=1)
    before = model.parameters.copy()
    result = model.fit(x, DATA[1], optimizer=SGD(0.1), epochs=1, batch_size=10)
    assert all(map(math.isfinite, result.history.train_loss))
    assert (result.status, result.best_epoch) == ("diverged", 0)
    np.testing.assert_array_equal(model.parameters, before)


@pytest.mark.parametrize(("lr", "scale"), [(1e30, 1.0), (0.1, 1e15)])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_divergence_leaves_no_velocity(precision, lr, scale):
    model, optimizer = MLP([4, 5, 3], "relu", precision=precision, threads=1), SGD(lr)
    result = model.fit(scale * DATA[0].astype(precision), DATA[1], optimizer=optimizer, epochs=20)
    assert result.status == "diverged"
    assert np.isfinite(model.predict_proba(DATA[0])).all()
    assert not optimizer.state_of(model.parameters).any()


@pytest.mark.parametrize("validation", [None, DATA])
@pytest.mark.parametrize("answer", [True, np.True_])
def test_on_epoch_ends_training_by_true(answer, validation):
    model = Scripted([5.0, 3.0, 4.0])
    result = run(model, validation=validation, on_epoch=lambda epoch, _: answer if epoch == 3 else None)
    best = 2 if validation else 3
    assert (result.status, result.epochs, result.best_epoch, weights_of(model)) == ("stopped", 3, best, best)
    assert run(Scripted([5.0] * 9), epochs=2, on_epoch=lambda *_: 1).status == "done"  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("validation", [None, DATA])
def test_on_batch_ends_training_by_true_and_drops_its_epoch(validation, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 0.0)
    model, told = Scripted([5.0, 3.0, 4.0]), []

    def stop(images: int) -> bool:
        told.append(images)
        return len(told) == 5

    result = run(model, batch_size=4, validation=validation, on_batch=stop)
    assert told == [4, 8, 10, 4, 8]
    assert (result.status, result.epochs, result.best_epoch, weights_of(model)) == ("stopped", 1, 1, 3)
    assert len(result.history.train_loss) == 1


@pytest.mark.parametrize("error", [StopIteration, KeyboardInterrupt, GeneratorExit, ZeroDivisionError])
@pytest.mark.parametrize("validation", [None, DATA])
@pytest.mark.parametrize("where", ["on_epoch", "on_batch", "pause"])
def test_what_a_callback_raises_comes_out_as_it_is_and_leaves_the_best_weights(where, validation, error, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 0.0)
    model, calls = Scripted([5.0, 3.0, 4.0, 6.0]), []

    def fails(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise error("said")

    with pytest.raises(error, match="said"):
        run(model, validation=validation, **{where: fails})
    epochs = 2 if where == "on_batch" else 3
    assert model.history is not None
    assert model.history.train_loss == [1.0] * epochs
    assert model.history.val_loss == ([5.0, 3.0, 4.0][:epochs] if validation else [])
    assert weights_of(model) == (2 if validation else epochs)


def test_weights_that_were_there_are_a_candidate():
    model = Scripted([0.5, 3.0, 2.0, 1.0])  # the first of these before training
    result = run(model, validation=DATA, epochs=3, keep_start=True)
    assert (result.best_epoch, weights_of(model), result.status) == (0, 0, "done")
    assert (result.val_loss, result.val_accuracy) == (0.5, 0.25)
    assert result.history.val_loss == [3.0, 2.0, 1.0]
    better = run(Scripted([0.5, 3.0, 0.4, 1.0]), validation=DATA, epochs=3, keep_start=True)
    assert (better.best_epoch, better.val_loss) == (2, 0.4)


def test_the_candidate_outlives_a_pause():
    def pause(state: Any) -> bool:
        return len(state.history.train_loss) == 1

    paused = run(Scripted([0.5, 3.0]), validation=DATA, epochs=3, keep_start=True, pause=pause)
    model = Scripted([2.0, 1.0])
    result = run(model, validation=DATA, epochs=3, keep_start=True, resume=paused.state)
    assert (result.best_epoch, result.val_loss, weights_of(model)) == (0, 0.5, 0)


def test_a_pause_without_validation_goes_on_to_the_same_best():
    losses = [3.0, 1.0, 2.0, 2.5, NAN]
    for until in (1, 2, 3, 4):
        paused = run(Scripted([], losses), pause=lambda state, n=until: len(state.history.train_loss) == n)
        model = Scripted([], losses[until:])
        result = run(model, resume=paused.state)
        assert (result.status, result.best_epoch, weights_of(model)) == ("diverged", 2, 2)
