"""The training loop: when it stops, which weights it leaves, what it tells, and what it refuses before it starts."""

import math
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput, reference
from fastmlp.errors import ConfigError, DataError
from fastmlp.nn import slices
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult
from fastmlp.nn.stopping import Rises
from scripted import Clock, Scripted

NAN = math.nan


@pytest.fixture
def data(rng):
    return rng.standard_normal((10, 4)).astype(np.float32), rng.integers(0, 3, 10)


@pytest.fixture
def a_call_a_batch(monkeypatch):
    """Look up after each batch, however fast it was."""
    monkeypatch.setattr(slices, "SLICE", 0.0)


def run(model: MLP, data: tuple, **options: Any) -> FitResult:
    defaults: dict[str, Any] = {"optimizer": SGD(0.1), "epochs": 10, "batch_size": 10, "patience": 3, "rng": 0}
    return fit(model, *data, **(defaults | {"validation": data} | options))


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([3.0], []),
        ([1.0, 2.0, 3.0], [2, 3]),
        ([5.0, 4.0, 5.0, 6.0], [4]),
        ([1.0, 2.0, 1.5, 1.6, 1.7], [5]),  # above the best all along, but it fell once
        ([2.0, 2.0, 2.0, 2.0], []),  # level is not rising
        ([1.0, 2.0, 2.0, 3.0], []),
    ],
)
def test_early_stopping_with_patience_2_or_1(losses, stops):
    def said_by(stopping: Rises) -> list[int]:
        told = []
        for loss in losses:
            stopping.take(loss)
            told.append(stopping.stops)
        return [i for i, stops in enumerate(told, start=1) if stops]

    assert said_by(Rises(2)) == [i for i in stops if i != 2]
    rises = said_by(Rises(1))
    assert rises == [i for i in range(2, len(losses) + 1) if losses[i - 1] > losses[i - 2]]


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([5, 4, 5, 6, 3, 4, 5, 6, 7, 8], 8, 5),  # two rises, a fall that resets the count, then three
        ([1, 2, 3, 4, 0], 4, 1),  # what would have come is not seen
        ([3, 2, 3, 2, 3, 2, 3, 2, 3, 2], 10, 2),  # never three in a row; of equal losses the first is kept
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 10, 10),
    ],
)
def test_it_stops_after_patience_and_leaves_the_best_weights(losses, epochs, best, data):
    model = Scripted(losses)
    result = run(model, data)
    assert result.history.val_loss == losses[:epochs]
    assert (result.epochs, result.best_epoch, result.status) == (epochs, best, "done")
    for array in (model.layers[0].weight, model.layers[0].bias):
        np.testing.assert_array_equal(array, np.full_like(array, best))


@pytest.mark.parametrize(
    ("val_losses", "train_losses", "kept_val"),
    [
        ([5, 4, NAN], [1, 1, 1, 1], [5, 4, NAN]),  # the validation loss goes first
        ([5, 4, math.inf], [1, 1, 1, 1], [5, 4, math.inf]),
        ([5, 4, 3], [1, 1, NAN], [5, 4, NAN]),  # the training loss: no validation then
        ([5, 4, 3], [1, 1, math.inf], [5, 4, NAN]),
    ],
)
def test_a_run_that_diverges_keeps_its_history_and_the_best_weights(val_losses, train_losses, kept_val, data):
    model, told = Scripted(val_losses, train_losses), []
    result = run(model, data, on_epoch=lambda epoch, history: told.append((epoch, list(history.val_loss))))
    assert (result.status, result.epochs, result.best_epoch) == ("diverged", 3, 2)
    np.testing.assert_array_equal(result.history.val_loss, kept_val)
    np.testing.assert_array_equal(result.history.train_loss, train_losses[:3])
    assert len(result.history.train_accuracy) == len(result.history.val_accuracy) == 3
    np.testing.assert_array_equal(model.layers[0].weight, np.full((4, 3), 2))
    assert [epoch for epoch, _ in told] == [1, 2, 3]  # the last one too


def test_a_first_epoch_that_diverges_has_no_best(data):
    for validation in (data, None):
        result = run(Scripted([NAN], [NAN]), data, validation=validation)
        assert (result.status, result.epochs, result.best_epoch) == ("diverged", 1, 0)


@pytest.mark.usefixtures("a_call_a_batch")
def test_a_loss_that_is_not_finite_ends_the_epoch_at_once(data):
    model = Scripted([1, 1], [1, 1, 1, 1, NAN])
    batches = []
    result = run(model, data, batch_size=4, on_batch=batches.append)
    assert len(model.batches) == 5  # three, then two of three
    assert batches == [4, 8, 10, 4]
    assert result.status == "diverged"
    assert result.best_epoch == 1


@pytest.mark.parametrize("matmul", ["packed", "blas"])
@pytest.mark.parametrize("activation", ["relu", "identity"])  # tanh saturates, and its loss stays finite
def test_a_rate_far_too_high_diverges_without_a_warning(activation, matmul, data):
    model = MLP([4, 5, 3], activation, matmul=matmul)
    result = run(model, data, optimizer=SGD(1e30), patience=100)
    assert result.status == "diverged"
    assert not math.isfinite(result.history.train_loss[-1] + result.history.val_loss[-1])


def test_without_validation_the_last_weights_stay(data):
    model = Scripted([])
    result = run(model, data, validation=None, epochs=7, batch_size=4)
    assert (result.epochs, result.best_epoch, result.status) == (7, 7, "done")
    assert result.history.val_loss == result.history.val_accuracy == []
    np.testing.assert_array_equal(model.layers[0].weight, np.full((4, 3), 21))


def test_every_row_once_an_epoch_in_a_new_order_and_a_last_smaller_batch(data):
    x, labels = data
    model = Scripted([])
    run(model, (x, labels), validation=None, epochs=2, batch_size=4)
    assert [len(batch) for batch in model.batches] == [4, 4, 2, 4, 4, 2]
    orders, rng = [np.concatenate(model.batches[:3]), np.concatenate(model.batches[3:])], np.random.default_rng(0)
    for order in orders:
        np.testing.assert_array_equal(order, x[rng.permutation(10)])
    assert (orders[0] != orders[1]).any()


def test_labels_follow_their_rows(data):
    x, labels = data
    seen = []

    class Recorder(Scripted):
        def scripted_step(self, x, labels):
            seen.extend(zip(x[:, 0].tolist(), labels.tolist(), strict=True))
            return super().scripted_step(x, labels)

    run(Recorder([]), (x, labels.astype(np.uint8)), validation=None, epochs=1, batch_size=3)
    assert sorted(seen) == sorted(zip(x[:, 0].tolist(), labels.tolist(), strict=True))


def test_figures_of_an_epoch_weigh_batches_by_their_size(data):
    result = run(Scripted([0.5]), data, epochs=1, batch_size=4)
    assert result.history.train_loss == [1.0]
    result = run(Scripted([0.5], [2.0, 3.0, 7.0]), data, epochs=1, batch_size=4)
    assert result.history.train_loss == [pytest.approx((4 * 2 + 4 * 3 + 2 * 7) / 10)]
    assert result.history.train_accuracy == [pytest.approx(3 / 10)]  # one right a batch
    assert result.history.val_loss == [0.5]
    assert result.history.val_accuracy == [0.25]


@pytest.mark.usefixtures("a_call_a_batch")
def test_callbacks_are_told_the_epoch_the_history_and_the_images_done(data):
    epochs, batches, model = [], [], Scripted([3, 2, 1])
    result = run(
        model, data, epochs=3, batch_size=4, on_batch=batches.append,
        on_epoch=lambda epoch, history: epochs.append((epoch, history, len(history.train_loss), history.val_loss[-1])),
    )  # fmt: skip
    assert [(epoch, length, loss) for epoch, _, length, loss in epochs] == [(1, 1, 3), (2, 2, 2), (3, 3, 1)]
    assert all(history is result.history for _, history, _, _ in epochs)
    assert batches == [4, 8, 10] * 3


def test_time_and_speed(data):
    result = run(Scripted([3, 2, 1]), data, epochs=3)
    assert result.seconds > 0
    assert result.images_per_second == pytest.approx(30 / result.seconds)


@pytest.mark.usefixtures("a_call_a_batch")
def test_an_interrupt_passes_through(data):
    def interrupt(done: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    model = Scripted([])
    with pytest.raises(KeyboardInterrupt):
        run(model, data, batch_size=4, on_batch=interrupt)
    assert len(model.batches) == 2


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_training_from_images_and_from_arrays_is_the_same(matmul, rng):
    images, labels = rng.integers(0, 256, (30, 12), np.uint8), rng.integers(0, 3, 30)
    mean, inv_std = (a.astype(np.float32) for a in reference.image_moments(images, 3))
    inputs = ImageInput(images, mean, inv_std)
    x = np.empty((30, 12), np.float32)
    inputs.gather(np.arange(30), x)
    models = MLP([12, 5, 3], matmul=matmul), MLP([12, 5, 3], matmul=matmul)
    histories = [
        run(model, (source, labels), batch_size=8, epochs=3).history
        for model, source in zip(models, (inputs, x), strict=True)
    ]
    assert histories[0] == histories[1]
    assert len(histories[0].val_loss) == 3
    np.testing.assert_array_equal(models[0].layers[0].weight, models[1].layers[0].weight)


@pytest.mark.parametrize(
    ("clock", "calls"),
    [
        (Clock(1 / 128), [1, 2, 4, 8, 13, 13, 9]),  # 0.1 s hold 12.8 batches
        (Clock(1.0), [1] * 50),
        (Clock(0.0, 1 / 128), [1, 2, 4, 8, 16, 19]),  # however fast, no more than twice the last
        (Clock(0.0, 10.0), [1] * 50),
    ],
)
def test_an_epoch_is_cut_into_calls_of_a_tenth_of_a_second(clock, calls, monkeypatch):
    class Timed(Scripted):
        def scripted_step(self, x, labels):
            clock.now += clock.a_batch
            return super().scripted_step(x, labels)

    monkeypatch.setattr(slices, "time", clock)
    model, rows, told = Timed([]), np.zeros((199, 4), np.float32), []
    run(model, (rows, np.zeros(199, int)), validation=None, epochs=1, batch_size=4, on_batch=told.append)
    assert told == [*(4 * np.cumsum(calls)[:-1]), 199]  # after each call
    assert [len(batch) for batch in model.batches] == [4] * 49 + [3]


def test_where_an_epoch_is_cut_does_not_show_in_the_result(rng, monkeypatch):
    losses, x, labels = rng.uniform(0, 9, 40).tolist(), np.zeros((100, 4), np.float32), np.zeros(100, int)
    histories = []
    for seconds in (0.0, 1e9, 3.0):
        monkeypatch.setattr(slices, "SLICE", seconds)
        monkeypatch.setattr(slices, "time", Clock(0.0, 1.0))
        histories.append(run(Scripted([], losses), (x, labels), validation=None, epochs=2, batch_size=5).history)
    assert histories[0] == histories[1] == histories[2]


def test_the_networks_own_method_does_the_same_with_the_default_optimizer(data):
    first, second = MLP([4, 5, 3]), MLP([4, 5, 3])
    result = first.fit(*data, validation=data, epochs=4, batch_size=4, rng=3)
    wanted = fit(second, *data, validation=data, optimizer=SGD(), epochs=4, batch_size=4, rng=3)
    assert result.history == wanted.history
    np.testing.assert_array_equal(first.layers[0].weight, second.layers[0].weight)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "patience"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "10", None])
def test_counts_that_are_none_are_refused(name, value, data):
    with pytest.raises(ConfigError, match=f"{name} is {value!r}, allowed is a whole number from 1 on"):
        run(Scripted([]), data, **{name: value})


X, LABELS = np.ones((5, 4), np.float32), np.array([0, 1, 2, 0, 1])


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((X[:, :3], LABELS), "inputs have 3 features, this network takes 4"),
        ((X[0], LABELS), r"inputs have shape \(4,\)"),
        ((X[:0], LABELS[:0]), r"inputs have shape \(0, 4\)"),
        ((np.where(np.arange(5)[:, None] == 2, np.nan, X), LABELS), "inputs hold NaN or infinity, first in row 2"),
        ((X, LABELS[:4]), "expected 5 integers"),
        ((X, LABELS + 1), r"labels\[2\] is 3, allowed is 0 to 2"),
        ((X, LABELS * 1.0), "labels are float64"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_training(pair, message):
    for wrong in ({"data": pair}, {"data": (X, LABELS), "validation": pair}):
        model = Scripted([1.0] * 10)
        with pytest.raises(DataError, match=message):
            run(model, **wrong)
        assert model.batches == []
