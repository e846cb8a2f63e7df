"""The network: shapes and dtypes held, evaluation in batches, and errors that say what fits, in each way to compute."""

from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, FastMLPError, ImageInput, reference
from fastmlp.errors import ConfigError, DataError

SIZES = (6, 5, 4, 3)
FLOAT32 = [pytest.param({"matmul": way}, id=f"float32-{way}") for way in ("packed", "blas")]
FLOATS = [*FLOAT32, pytest.param({"precision": "float64"}, id="float64")]
WAYS = [*FLOATS, pytest.param({"precision": "bfloat16"}, id="bfloat16")]


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


def test_each_precision_has_its_usual_way_and_dtype():
    ways = {"float32": ("packed", "float32"), "float64": ("packed", "float64"), "bfloat16": ("packed", "float32")}
    for precision, (matmul, dtype) in ways.items():
        model = MLP([6, 3], precision=precision)
        assert (model.precision, model.matmul, model.dtype) == (precision, matmul, dtype)
    assert (MLP([6, 3]).precision, MLP([6, 3]).matmul) == ("float32", "packed")


@pytest.mark.parametrize("way", WAYS)
def test_one_dtype_throughout(way, data):
    x, labels = data
    model, optimizer = make(**way), SGD(0.1, 0.9, 0.01)
    dtype = "float64" if way.get("precision") == "float64" else "float32"
    model.train_step(x.astype(dtype), labels, optimizer)
    loss, correct = model.train_step(x.astype(dtype), labels, optimizer)
    model.loss_and_gradients(x.astype(dtype), labels)
    gradients = [array for layer in model.layers for array in (layer.dweight, layer.dbias)]
    for array in [*parameters(model), *gradients, model.predict_proba(x)]:
        assert array.dtype == dtype
        assert array.flags.c_contiguous
    assert model.predict(x).dtype == np.int64
    assert (type(loss), type(correct)) == (float, int)
    for figures in (model.evaluate(x, labels), model.train_epoch(x, labels, optimizer, np.arange(10), 4)):
        assert [type(figure) for figure in figures] == [float, float]


@pytest.mark.parametrize("way", FLOATS)
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_loss_and_gradients_equal_the_reference(activation, way, data):
    x, labels = data
    model = make(activation, **way)
    # a few roundings of numbers around 1, in sums of ten at the most
    rtol, atol, of_loss = (1e-10, 1e-14, 1e-12) if model.dtype == np.float64 else (1e-5, 1e-6, 1e-6)
    before = copies(model)
    loss, correct = model.loss_and_gradients(x.astype(model.dtype), labels)
    want_loss, want_correct, dweights, dbiases = plain(model, activation).loss_and_gradients(x, labels)
    assert loss == pytest.approx(want_loss, rel=of_loss)
    assert correct == want_correct
    for layer, dweight, dbias in zip(model.layers, dweights, dbiases, strict=True):
        np.testing.assert_allclose(layer.dweight, dweight, rtol=rtol, atol=atol)
        np.testing.assert_allclose(layer.dbias, dbias, rtol=rtol, atol=atol)
    for array, same in zip(parameters(model), before, strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("way", WAYS)
def test_a_train_step_tells_the_loss_before_it(way, data):
    model, x, labels = make(**way), data[0], data[1]
    x = x.astype(model.dtype)
    loss, accuracy = model.evaluate(x, labels)
    told, correct = model.train_step(x, labels, SGD(0.1))
    assert told == pytest.approx(loss, rel=1e-6)
    assert correct == round(10 * accuracy)
    assert model.evaluate(x, labels)[0] < loss


@pytest.mark.parametrize("way", WAYS)
def test_an_epoch_is_its_steps_one_by_one(way, data):
    models, optimizers, order = (make(**way), make(**way)), (SGD(0.1), SGD(0.1)), np.array([3, 9, 0, 3, 5, 6, 1])
    x, labels = data[0].astype(models[0].dtype), data[1]
    loss, accuracy = models[0].train_epoch(x, labels, optimizers[0], order.astype(np.int32), batch_size=3)
    steps = [models[1].train_step(x[b], labels[b], optimizers[1]) for b in (order[:3], order[3:6], order[6:])]
    assert loss == pytest.approx(np.average([step[0] for step in steps], weights=[3, 3, 1]), rel=1e-14)
    assert accuracy == sum(step[1] for step in steps) / 7
    for array, same in zip(parameters(models[0]), parameters(models[1]), strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("way", FLOAT32)
def test_evaluation_is_the_references_whatever_the_batch(way, data):
    x, labels = data
    model = make("relu", **way)
    loss, accuracy = plain(model, "relu").evaluate(x.astype(np.float64), labels)
    p = model.predict_proba(x)
    for batch_size in (1, 3, 10, 1024):
        got_loss, got_accuracy = model.evaluate(x, labels, batch_size)
        assert got_loss == pytest.approx(loss, rel=1e-6)
        assert got_accuracy == accuracy
        np.testing.assert_allclose(model.predict_proba(x, batch_size), p, rtol=1e-5)
        np.testing.assert_array_equal(model.predict(x, batch_size), p.argmax(axis=1))


@pytest.mark.parametrize("way", WAYS)
def test_probabilities_predictions_loss_and_accuracy_agree(way, data):
    x, labels = data
    model = make(**way)
    p = model.predict_proba(x)
    assert p.shape == (10, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    loss, accuracy = model.evaluate(x, labels)
    assert loss == pytest.approx(-np.log(p[np.arange(10), labels]).mean(), rel=1e-5)
    assert accuracy == np.mean(model.predict(x) == labels)
    want = reference.bias_softmax(plain(model).forward(x.astype(np.float64))[-1], model.layers[-1].bias)
    # bfloat16 rounds each factor of a product by up to 2^-9 of it: logits of about 1 are off by no more than 1e-2
    np.testing.assert_allclose(p, want, rtol=1e-2 if model.precision == "bfloat16" else 1e-5)


@pytest.mark.parametrize("way", FLOAT32)
def test_results_are_the_callers_own(way, data):
    x, _ = data
    model = make(**way)
    p = model.predict_proba(x)
    kept = p.copy()
    model.predict_proba(-x)
    np.testing.assert_array_equal(p, kept)


@pytest.mark.parametrize("way", WAYS)
def test_evaluating_between_steps_changes_nothing(way, data):
    models, optimizers = (make(**way), make(**way)), (SGD(0.1), SGD(0.1))
    x, labels = data[0].astype(models[0].dtype), data[1]
    for _ in range(3):
        models[0].train_step(x[:4], labels[:4], optimizers[0])
        models[1].train_step(x[:4], labels[:4], optimizers[1])
        models[1].evaluate(x, labels)
        models[1].predict(x, 3)
    for array, same in zip(parameters(models[0]), parameters(models[1]), strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("way", FLOAT32)  # bfloat16 multiplies the images as they are, and rounds other numbers
def test_images_give_what_their_normalised_rows_give(way, rng):
    images, labels, rows = rng.integers(0, 256, (9, 6), np.uint8), rng.integers(0, 3, 5), np.array([8, 0, 3, 3, 1])
    mean, inv_std = (a.astype(np.float32) for a in reference.image_moments(images, 3))
    inputs = ImageInput(images, mean, inv_std, rows)
    x = np.empty((5, 6), np.float32)
    inputs.gather(np.arange(5), x)
    model = make(**way)
    assert model.evaluate(inputs, labels, 2) == model.evaluate(x, labels, 2)
    np.testing.assert_array_equal(model.predict(inputs), model.predict(x))
    np.testing.assert_array_equal(model.predict_proba(inputs), model.predict_proba(x))


@pytest.mark.parametrize("way", WAYS)
def test_batches_of_any_layout_are_taken(way, data):
    x, labels = data[0].astype(make(**way).dtype), data[1]
    wanted = make(**way).loss_and_gradients(x, labels)
    assert make(**way).loss_and_gradients(np.asfortranarray(x), labels.astype(np.uint8)) == wanted
    assert make(**way).loss_and_gradients(np.repeat(x, 2, axis=0)[::2], labels) == wanted


@pytest.mark.parametrize("layers", [5, None, [3], [], [3, 0], [3, -2], [3, 2.5], "32", [[3, 2]], [np.nan, 2]], ids=repr)
def test_layers_that_make_no_network_are_refused(layers):
    with pytest.raises(
        ConfigError, match=r"layers are .*, expected two or more positive sizes such as \[3072, 128, 20"
    ):
        MLP(layers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "swish"}, "unknown activation 'swish', allowed: tanh, sigmoid, relu, identity"),
        ({"init": "xavier"}, "unknown init 'xavier', allowed: auto, lecun"),
        ({"precision": "float16"}, "precision is 'float16', allowed: float32, float64, bfloat16"),
        ({"precision": np.float32}, "precision is <class 'numpy.float32'>, allowed: float32"),
        ({"matmul": "gemm"}, "matmul is 'gemm', allowed for float32: packed, blas"),
        ({"precision": "float64", "matmul": "gemm"}, "matmul is 'gemm', allowed for float64: packed, blas"),
        ({"precision": "bfloat16", "matmul": "blas"}, "matmul is 'blas', allowed for bfloat16: packed"),
        (
            {"input_dropout": np.array([0.1, 0.2])},
            r"input_dropout is array\(\[0.1, 0.2\]\), allowed is a finite number",
        ),
        ({"input_dropout": 0.1, "precision": "int8"}, "input_dropout cannot be with precision int8"),
        *(
            ({"threads": value}, rf"threads is {value!r}; allowed is a whole number from 1 to \d+, the cores")
            for value in (0, -1, 1.5, True, "2", 100_000)
        ),
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


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 4], "order hold 0 to 4, allowed is 0 to 3"),
        ([-1, 2], "order hold -1 to 2, allowed is 0 to 3"),
        ([], r"order are float64 of shape \(0,\), expected integers"),
        ([0.0, 1.0], "order are float64"),
        ([[0, 1]], r"order are int64 of shape \(1, 2\), expected integers"),
        ([True] * 4, "order are bool .*, expected integers: np.flatnonzero of a mask"),
    ],
)
def test_an_order_that_does_not_fit_is_refused_and_trains_nothing(order, message):
    model = make()
    before = copies(model)
    with pytest.raises(DataError, match=message):
        model.train_epoch(X, LABELS, SGD(), order)
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
        with pytest.raises(ConfigError, match=f"batch_size is {batch_size!r}, allowed is a whole number from 1 on"):
            model.train_epoch(X, LABELS, SGD(), np.arange(4), **options)
