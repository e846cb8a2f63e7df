"""The network: shapes, dtypes and buffers held, evaluation in batches, and errors that say what fits."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, FastMLPError, ImageInput, reference
from fastmlp.errors import ConfigError, DataError

SIZES = (6, 5, 4, 3)


def make(activation: str = "tanh", **options: Any) -> MLP:
    """A network of three layers whose biases are not zero."""
    model = MLP(list(SIZES), activation, **options)
    for layer in model.layers:
        layer.bias[...] = np.linspace(-0.5, 0.5, layer.bias.size)
    return model


def plain(model: MLP, activation: str = "tanh") -> reference.Network:
    return reference.Network([la.weight for la in model.layers], [la.bias for la in model.layers], activation)


def copies(model: MLP) -> list[np.ndarray]:
    return [array.copy() for array in parameters(model)]


def parameters(model: MLP) -> list[np.ndarray]:
    return [array for layer in model.layers for array in (layer.weight, layer.bias)]


@pytest.fixture
def data(rng):
    return rng.standard_normal((10, 6)).astype(np.float32), rng.integers(0, 3, 10)


def test_sizes_names_and_count():
    model = MLP([3072, 128, 20])
    assert model.sizes == (3072, 128, 20)
    assert [layer.weight.shape for layer in model.layers] == [(3072, 128), (128, 20)]
    assert [layer.activation for layer in model.layers] == ["tanh", "identity"]
    assert model.parameter_count == 3072 * 128 + 128 + 128 * 20 + 20
    assert [layer.activation for layer in MLP([6, 2], "relu").layers] == ["identity"]


def test_seeds_and_generators_choose_the_weights():
    by_seed = MLP([6, 5, 3], rng=7)
    by_generator = MLP([6, 5, 3], rng=np.random.default_rng(7))
    other = MLP([6, 5, 3], rng=8)
    for same, array, unlike in zip(parameters(by_generator), parameters(by_seed), parameters(other), strict=True):
        np.testing.assert_array_equal(array, same)
        assert array.ndim == 1 or (array != unlike).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_dtype_throughout(dtype, data):
    x, labels = data
    model, optimizer = make(dtype=dtype), SGD(0.1, 0.9, 0.01)
    model.train_step(x.astype(dtype), labels, optimizer)
    loss, correct = model.train_step(x.astype(dtype), labels, optimizer)
    model.evaluate(x, labels)
    buffers = model.buffers(10)
    gradients = [array for layer in model.layers for array in (layer.dweight, layer.dbias)]
    for array in [*parameters(model), *gradients, buffers.x, *buffers.h, *buffers.delta, model.predict_proba(x)]:
        assert array.dtype == dtype
    assert buffers.labels.dtype == np.int64
    assert model.predict(x).dtype == np.int64
    assert (type(loss), type(correct)) == (float, int)
    assert [type(figure) for figure in model.evaluate(x, labels)] == [float, float]


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_loss_and_gradients_equal_the_reference(activation, data):
    x, labels = data
    model = make(activation, dtype="float64")
    before = copies(model)
    loss, correct = model.loss_and_gradients(x.astype(np.float64), labels)
    want_loss, want_correct, dweights, dbiases = plain(model, activation).loss_and_gradients(x, labels)
    assert loss == pytest.approx(want_loss, rel=1e-12)
    assert correct == want_correct
    for layer, dweight, dbias in zip(model.layers, dweights, dbiases, strict=True):
        np.testing.assert_allclose(layer.dweight, dweight, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(layer.dbias, dbias, rtol=1e-10, atol=1e-14)
    for array, same in zip(parameters(model), before, strict=True):
        np.testing.assert_array_equal(array, same)


def test_a_train_step_tells_the_loss_before_it(data):
    model, (x, labels) = make(), data
    loss, accuracy = model.evaluate(x, labels)
    told, correct = model.train_step(x, labels, SGD(0.1))
    assert told == pytest.approx(loss, rel=1e-6)
    assert correct == round(10 * accuracy)
    assert model.evaluate(x, labels)[0] < loss


def test_buffers_are_allocated_once_and_shared_by_smaller_batches():
    model = make()
    full = model.buffers(8)
    assert model.buffers(8) is full
    small = model.buffers(3)
    for large_array, small_array in zip([full.x, *full.h, *full.delta], [small.x, *small.h, *small.delta], strict=True):
        assert small_array.ctypes.data == large_array.ctypes.data
        assert small_array.shape == (3, large_array.shape[1])
        assert small_array.flags.c_contiguous
    assert model.buffers(8) is full
    assert [h.shape for h in full.h] == [(8, size) for size in SIZES[1:]]
    assert [delta.shape for delta in full.delta] == [(8, size) for size in SIZES[1:-1]]
    assert not any(np.shares_memory(a, b) for a, b in pairwise([full.x, *full.h, *full.delta]))
    larger = model.buffers(9)
    assert larger.x.shape == (9, 6)
    assert model.buffers(8).x.ctypes.data == larger.x.ctypes.data


def test_evaluation_is_the_references_whatever_the_batch(data):
    x, labels = data
    model = make("relu")
    loss, accuracy = plain(model, "relu").evaluate(x.astype(np.float64), labels)
    p = model.predict_proba(x)
    for batch_size in (1, 3, 10, 1024):
        got_loss, got_accuracy = model.evaluate(x, labels, batch_size)
        assert got_loss == pytest.approx(loss, rel=1e-6)
        assert got_accuracy == accuracy
        np.testing.assert_allclose(model.predict_proba(x, batch_size), p, rtol=1e-5)
        np.testing.assert_array_equal(model.predict(x, batch_size), p.argmax(axis=1))


def test_probabilities_predictions_loss_and_accuracy_agree(data):
    x, labels = data
    model = make()
    p = model.predict_proba(x)
    assert p.shape == (10, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    loss, accuracy = model.evaluate(x, labels)
    assert loss == pytest.approx(-np.log(p[np.arange(10), labels]).mean(), rel=1e-5)
    assert accuracy == np.mean(model.predict(x) == labels)
    want = reference.softmax(plain(model).forward(x.astype(np.float64))[-1], model.layers[-1].bias)
    np.testing.assert_allclose(p, want, rtol=1e-5)


def test_results_are_the_callers_own(data):
    x, _ = data
    model = make()
    p = model.predict_proba(x)
    kept = p.copy()
    model.predict_proba(-x)
    np.testing.assert_array_equal(p, kept)


def test_evaluating_between_steps_changes_nothing(data):
    x, labels = data
    models, optimizers = (make(), make()), (SGD(0.1), SGD(0.1))
    for _ in range(3):
        models[0].train_step(x[:4], labels[:4], optimizers[0])
        models[1].train_step(x[:4], labels[:4], optimizers[1])
        models[1].evaluate(x, labels)
        models[1].predict(x, 3)
    for array, same in zip(parameters(models[0]), parameters(models[1]), strict=True):
        np.testing.assert_array_equal(array, same)


def test_images_give_what_their_normalised_rows_give(rng):
    images, labels, rows = rng.integers(0, 256, (9, 6), np.uint8), rng.integers(0, 3, 5), np.array([8, 0, 3, 3, 1])
    mean, inv_std = (a.astype(np.float32) for a in reference.image_moments(images, 3))
    inputs = ImageInput(images, mean, inv_std, rows)
    x = np.empty((5, 6), np.float32)
    inputs.gather(np.arange(5), x)
    model = make()
    assert model.evaluate(inputs, labels, 2) == model.evaluate(x, labels, 2)
    np.testing.assert_array_equal(model.predict(inputs), model.predict(x))
    np.testing.assert_array_equal(model.predict_proba(inputs), model.predict_proba(x))


def test_batches_of_any_layout_are_taken(data):
    x, labels = data
    wanted = make().loss_and_gradients(x, labels)
    assert make().loss_and_gradients(np.asfortranarray(x), labels.astype(np.uint8)) == wanted
    assert make().loss_and_gradients(np.repeat(x, 2, axis=0)[::2], labels) == wanted


@pytest.mark.parametrize("layers", [5, None, [3], [], [3, 0], [3, -2], [3, 2.5], "32", [[3, 2]], [np.nan, 2]], ids=repr)
def test_layers_that_make_no_network_are_refused(layers):
    with pytest.raises(
        ConfigError, match=r"layers are .*, expected two or more positive sizes such as \[3072, 128, 20"
    ):
        MLP(layers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "softplus"}, "unknown activation 'softplus', allowed: tanh, sigmoid, relu, identity"),
        ({"init": "xavier"}, "unknown init 'xavier', allowed: auto, lecun"),
        ({"dtype": "float16"}, "dtype is float16, allowed: float32, float64"),
        ({"dtype": int}, "dtype is int64, allowed"),
        ({"dtype": ">f4"}, "dtype is >f4, allowed"),
    ],
)
@pytest.mark.parametrize("layers", [[6, 3], [6, 5, 3]])
def test_settings_that_do_not_fit_are_refused(layers, options, message):
    with pytest.raises(ConfigError, match=message) as error:
        MLP(layers, **options)
    assert isinstance(error.value, FastMLPError)


X, LABELS = np.ones((4, 6), np.float32), np.array([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (X[:0], LABELS[:0], r"batch has shape \(0, 6\), expected \(N, 6\) with N above 0"),
        (X[0], LABELS, r"batch has shape \(6,\), expected"),
        (X[:, :5], LABELS, r"batch has shape \(4, 5\), expected \(N, 6\)"),
        (X.astype(np.float64), LABELS, "batch has dtype float64, this network computes in float32"),
        (X.astype(np.uint8), LABELS, "batch has dtype uint8, this network computes in float32"),
        (X, LABELS[:3], r"labels are int64 of shape \(3,\), expected 4 integers"),
        (X, LABELS + 1, r"labels\[2\] is 3, allowed is 0 to 2"),
        (X, LABELS - 1, r"labels\[0\] is -1, allowed is 0 to 2"),
        (X, LABELS / 2, "labels are float64"),
    ],
)
def test_batches_that_do_not_fit_are_refused_and_train_nothing(x, labels, message):
    model = make()
    before = copies(model)
    with pytest.raises(DataError, match=message):
        model.loss_and_gradients(x, labels)
    with pytest.raises(DataError, match=message):
        model.train_step(x, labels, SGD())
    for array, same in zip(parameters(model), before, strict=True):
        np.testing.assert_array_equal(array, same)


def test_evaluation_names_what_does_not_fit():
    model = make()
    with pytest.raises(DataError, match="inputs have 5 features, this network takes 6"):
        model.predict(X[:, :5])
    with pytest.raises(DataError, match=r"labels\[2\] is 3, allowed is 0 to 2: one class an output unit"):
        model.evaluate(X, LABELS + 1)
    with pytest.raises(DataError, match="expected 4 integers"):
        model.evaluate(X, LABELS[:2])
    with pytest.raises(DataError, match="inputs hold NaN or infinity, first in row 0"):
        model.predict_proba(X * np.float32(np.nan))
    for batch_size in (0, -1, 2.5, "all"):
        options: Any = {"batch_size": batch_size}
        with pytest.raises(ConfigError, match=f"batch_size is {batch_size!r}, allowed is a whole number from 1 on"):
            model.predict(X, **options)
