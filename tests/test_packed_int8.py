"""Training with the first layer in int8, beside the same rounding written in plain float64 numpy."""

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput, reference
from fastmlp.errors import ConfigError
from fastmlp.nn import precision
from fastmlp.nn.precision import byte_layers
from fastmlp_kernels.gemm.elements import ELEMENTS

SETTINGS: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
SHAPES = [((771, 45, 7), 3, 350), ((771, 7), 1, 350), ((64, 33, 19, 5), 1, 130), ((9, 5, 3), 3, 7), ((2, 2), 1, 1)]
# A rounded value is the other one of two neighbours where float32 errors move it across the middle between them: one
# in some thousand, by a step. Rounding itself is off by a third of a step everywhere, which comes to 5e-3 and more.
ROUNDED, ROUGH = 1e-3, 4e-2


def images(channels: int, inputs: int, rows: int, *, alike: bool = False) -> tuple[ImageInput, np.ndarray]:
    """Return images, and what they are in float64 once they are normalised."""
    pixels = np.random.default_rng(5).integers(0, 256, (rows, inputs), np.uint8)
    parts = pixels.reshape(rows, channels, -1).astype(np.float64)
    mean, inv_std = parts.mean(2), 1 / np.maximum(parts.std(2), 1)
    if alike:
        mean, inv_std = np.full_like(mean, 120), np.full_like(inv_std, 1 / 70)
    x = ((parts - mean[..., None]) * inv_std[..., None]).reshape(rows, -1)
    return ImageInput(pixels, mean.astype(np.float32), inv_std.astype(np.float32)), x


def in_steps(x: np.ndarray) -> np.ndarray:
    """Return x (K, N) with each column rounded to whole steps of a 127th of its largest magnitude."""
    steps = np.abs(x).max(axis=0) / 127
    steps[steps == 0] = 1
    return np.rint(x / steps) * steps


def row_steps(x: np.ndarray) -> np.ndarray:
    """Return the steps (N, 1) of outputs x (N, D) of a ReLU layer: a 255th of each row's largest."""
    steps = x.max(axis=1, keepdims=True) / 255
    steps[steps == 0] = 1
    return steps


class Rounded(reference.Network):
    """The plain network with the operands of those products rounded that are of bytes."""

    def __init__(self, model: MLP, inputs: ImageInput) -> None:
        activation = model.layers[0].activation
        super().__init__([x.weight for x in model.layers], [x.bias for x in model.layers], activation)
        self.bytes = byte_layers(model.sizes, self.activations)
        self.inv_std = np.asarray(inputs.source().scale, np.float64)

    def forward(self, x: np.ndarray, training: bool = False) -> list[np.ndarray]:  # noqa: ARG002
        outputs = [x]
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            left = outputs[-1]
            if i > 0 and i in self.bytes:
                left = np.rint(left / row_steps(left)) * row_steps(left)
            z = left @ (in_steps(weight) if i in self.bytes else weight)
            outputs.append(z if i == len(self.weights) - 1 else reference.ACTIVATIONS[self.activations[i]][0](z, bias))
        return outputs

    def weight_gradient(self, i: int, x: np.ndarray, delta: np.ndarray) -> np.ndarray:
        if i not in self.bytes:
            return x.T @ delta
        if i > 0:
            steps = row_steps(x)
            return np.rint(x / steps).T @ in_steps(steps * delta)
        channels = self.inv_std[: len(x)].T[..., None]  # for images that are all of one deviation, or in their order
        parts = zip(np.split(x, len(channels), axis=1), channels, strict=True)
        return np.vstack([(part / s).T @ in_steps(s * delta) for part, s in parts])

    def loss_and_gradients(
        self, x: np.ndarray, targets: np.ndarray, weights: Any = None, training: bool = False
    ) -> Any:
        *outputs, logits = self.forward(x, training)
        loss, correct, delta, dbias = reference.softmax_cross_entropy(logits, self.biases[-1], targets, weights)
        dweights, dbiases = [], []
        for i in reversed(range(len(self.weights))):
            dweights.insert(0, self.weight_gradient(i, outputs[i], delta))
            dbiases.insert(0, dbias)
            if i > 0:
                backward = reference.ACTIVATIONS[self.activations[i - 1]][1]
                delta, dbias = backward(delta @ self.weights[i].T, outputs[i])
        return loss, correct, dweights, dbiases


def made(sizes, channels, rows, activation="tanh", *, alike=False, **options: Any):
    inputs, x = images(channels, sizes[0], rows, alike=alike)
    labels = np.random.default_rng(6).integers(0, sizes[-1], rows)
    return MLP(sizes, activation, precision="int8", rng=3, **options), inputs, x, labels


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])  # a ReLU's kinks are crossed by rounding errors
def test_gradients_are_those_of_rounded_operands(shape, activation):
    model, inputs, x, labels = made(*shape, activation=activation)
    rounded = Rounded(model, inputs)
    exact = reference.Network(rounded.weights, rounded.biases, activation)
    wanted, rough = rounded.loss_and_gradients(x, labels), exact.loss_and_gradients(x, labels)
    loss, correct = model.loss_and_gradients(inputs, labels)
    assert loss == pytest.approx(wanted[0], rel=1e-5)
    assert correct == wanted[1]
    for layer, dweight, dbias, near in zip(model.layers, *wanted[2:], rough[2], strict=True):
        assert relative(layer.dweight, dweight) < ROUNDED
        assert relative(layer.dbias, dbias) < ROUNDED
        assert relative(layer.dweight, near) < ROUGH


@pytest.fixture
def wide(monkeypatch):
    """Let every layer above a ReLU layer multiply bytes."""
    monkeypatch.setattr(precision, "WIDE", 1)


WIDE_SHAPES = [((771, 45, 33, 7), 3, 350), ((64, 129, 130, 40, 5), 1, 130), ((9, 5, 3, 3), 3, 7)]


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("shape", WIDE_SHAPES, ids=str)
def test_relu_layers_hand_on_bytes(shape):
    model, inputs, x, labels = made(*shape, activation="relu")
    rounded = Rounded(model, inputs)
    assert rounded.bytes == list(range(len(model.layers)))
    wanted = rounded.loss_and_gradients(x, labels)
    loss, correct = model.loss_and_gradients(inputs, labels)
    assert loss == pytest.approx(wanted[0], rel=1e-4)
    assert correct == wanted[1]
    for layer, dweight, dbias in zip(model.layers, *wanted[2:], strict=True):
        # a unit whose sum is zero but for rounding errors has a gradient in one of the two and none in the other
        assert relative(layer.dweight, dweight) < 10 * ROUNDED
        assert relative(layer.dbias, dbias) < 10 * ROUNDED


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("threads", [1, 2])
def test_training_with_bytes_in_all_layers_takes_the_rounded_network_s_steps(threads):
    model, inputs, x, labels = made((771, 45, 33, 7), 3, 350, "relu", alike=True, threads=threads)
    wanted, order = Rounded(model, inputs), np.random.default_rng(7).permutation(350)
    reference.train_epoch(wanted, x, labels, order, 100, **SETTINGS)
    model.train_epoch(inputs, labels, SGD(**SETTINGS), order, 100)
    for layer, weight, bias in zip(model.layers, wanted.weights, wanted.biases, strict=True):
        assert relative(layer.weight, weight) < 10 * ROUNDED
        assert relative(layer.bias, bias) < 30 * ROUNDED  # a small sum of large gradients
    assert model.evaluate(inputs, labels) == pytest.approx(wanted.evaluate(x, labels), abs=0.01)


@pytest.mark.parametrize("threads", [1, 2])
def test_training_takes_the_rounded_network_s_steps(threads):
    model, inputs, x, labels = made((771, 45, 7), 3, 350, alike=True, threads=threads)
    wanted, order = Rounded(model, inputs), np.random.default_rng(7).permutation(350)
    for _ in range(3):
        reference.train_epoch(wanted, x, labels, order, 100, **SETTINGS)
    optimizer = SGD(**SETTINGS)
    for _ in range(3):
        model.train_epoch(inputs, labels, optimizer, order, 100)
    for layer, weight, bias in zip(model.layers, wanted.weights, wanted.biases, strict=True):
        assert relative(layer.weight, weight) < 10 * ROUNDED  # twelve steps hand their errors on
        assert relative(layer.bias, bias) < 10 * ROUNDED
    told = model.evaluate(inputs, labels)
    assert told == pytest.approx(wanted.evaluate(x, labels), abs=0.01)
    assert (model.predict(inputs) == labels).mean() == told[1]


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("channels", [1, 3])
def test_threads_and_cuts_do_not_show(channels, activation):
    results = []
    for threads, cuts in ((1, (0, 350)), (2, (0, 350)), (2, (0, 100, 300, 350))):
        model, inputs, _, labels = made((771, 45, 33, 7), channels, 350, activation, threads=threads)
        optimizer, order = SGD(**SETTINGS), np.random.default_rng(7).permutation(350)
        for start, stop in pairwise(cuts):
            model.train_epoch(inputs, labels, optimizer, order[start:stop], 100)
        results.append((model.parameters.tobytes(), model.evaluate(inputs, labels)))
    assert results[0] == results[1] == results[2]


def test_a_copy_goes_on_with_the_same_bits():
    model, inputs, _, labels = made((64, 9, 5), 1, 50)
    model.fit(inputs, labels, epochs=2, batch_size=16)
    other = copy.deepcopy(model)
    np.testing.assert_array_equal(other.predict_proba(inputs), model.predict_proba(inputs))


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_show(value, layer):
    model, inputs, _, labels = made((64, 9, 5), 1, 50, "relu")
    model.layers[layer].weight[3, 4] = value
    assert not np.isfinite(model.evaluate(inputs, labels)[0])


def test_wide_relu_layers_alone_hand_on_bytes():
    assert byte_layers((3072, 1024, 1024, 20), ["relu", "relu"]) == [0, 1]
    assert byte_layers((3072, 1024, 1024, 20), ["relu", "tanh", "identity"]) == [0, 1]
    assert byte_layers((3072, 1024, 1024, 1024, 20), ["tanh", "relu", "tanh"]) == [0, 2]
    assert byte_layers((3072, 1024, 1024, 20), ["tanh", "relu"]) == [0]
    assert byte_layers((3072, 128, 64, 20), ["relu", "relu"]) == [0]
    assert byte_layers((3072, 20), []) == [0]


def test_units_without_weights_and_rows_without_errors_are_zero():
    model, inputs, _, labels = made((64, 9, 5), 1, 50, activation="relu")
    model.layers[0].weight[:, 2] = 0
    model.layers[0].bias[2] = -1  # so that no gradient comes to it either
    model.train_epoch(inputs, labels, SGD(0.1, 0.9, 0.0), np.arange(50), 16)
    assert not model.layers[0].weight[:, 2].any()
    assert np.isfinite(model.parameters).all()


def test_brightest_pixels_and_largest_weights_do_not_overflow():
    inputs = 6144
    pixels = np.full((40, inputs), 255, np.uint8)
    moments = np.zeros((40, 1), np.float32), np.full((40, 1), 1 / 255, np.float32)
    model = MLP([inputs, 2], precision="int8")
    model.layers[0].weight[...] = [1, -1]
    p = model.predict_proba(ImageInput(pixels, *moments))
    np.testing.assert_array_equal(p, np.tile([[1.0, 0.0]], (40, 1)))
    model.layers[0].weight[...] = np.array([1, -1], np.float32) / inputs  # logits of 1 and -1
    p = model.predict_proba(ImageInput(pixels, *moments))
    np.testing.assert_allclose(p[:, 0], 1 / (1 + np.exp(-2)), rtol=1e-5)


def test_what_int8_cannot_take_is_refused():
    model, _, x, labels = made((64, 9, 5), 1, 50)
    with pytest.raises(ConfigError, match=r"int8 multiplies images of uint8 pixels as they are.*give an ImageInput"):
        model.fit(x.astype(np.float32), labels)
    with pytest.raises(ConfigError, match="give an ImageInput"):
        model.train_step(x.astype(np.float32), labels, SGD())
    with pytest.raises(ConfigError, match="matmul is 'blas', allowed for int8: packed"):
        MLP([64, 5], precision="int8", matmul="blas")
    most = ELEMENTS["int8"].exact_depth
    many = ImageInput(np.zeros((most + 1, 1), np.uint8), *np.ones((2, most + 1, 1), np.float32))
    tiny = MLP([1, 2], precision="int8")
    with pytest.raises(ConfigError, match="batch_size is 65794, allowed with precision int8 is at most 65,793"):
        tiny.train_epoch(many, np.zeros(len(many), int), SGD(), np.arange(len(many)), len(many))
