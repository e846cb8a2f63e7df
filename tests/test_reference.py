"""The reference against numbers worked out by hand: everything else is measured by it."""

import numpy as np
import pytest

from fastmlp import reference


def test_momentum_step_by_hand():
    w, v, g = np.array([2.0, -1.0]), np.array([0.5, 0.0]), np.array([1.0, 4.0])
    w, v = reference.momentum_step(w, v, g, lr=0.1, momentum=0.9, weight_decay=0.01)
    # v = 0.9 * 0.5 - 0.1 * (1 + 0.01 * 2) = 0.348 and 0 - 0.1 * (4 - 0.01) = -0.399
    np.testing.assert_allclose(v, [0.348, -0.399], rtol=1e-15)
    np.testing.assert_allclose(w, [2.348, -1.399], rtol=1e-15)
    w, v = reference.momentum_step(w, v, np.zeros(2), lr=0.1, momentum=0.5, weight_decay=0.0)
    np.testing.assert_allclose(v, [0.174, -0.1995], rtol=1e-15)
    np.testing.assert_allclose(w, [2.522, -1.5985], rtol=1e-15)


def test_two_class_softmax_by_hand():
    # The difference of the two logits is ln 3, so the probabilities are 3/4 and 1/4 whatever their common part.
    logits = np.array([[np.log(3.0), 0.0], [1000.0, 1000.0 + np.log(3.0)]])
    bias = np.zeros(2)
    np.testing.assert_allclose(reference.bias_softmax(logits, bias), [[0.75, 0.25], [0.25, 0.75]], rtol=1e-12)
    loss, correct, dlogits, dbias = reference.softmax_cross_entropy(logits, bias, np.array([0, 0]))
    assert loss == pytest.approx((np.log(4 / 3) + np.log(4)) / 2, rel=1e-12)
    assert correct == 1
    np.testing.assert_allclose(dlogits, [[-0.125, 0.125], [-0.375, 0.375]], rtol=1e-12)
    np.testing.assert_allclose(dbias, [-0.5, 0.5], rtol=1e-12)


def test_softmax_bias_is_added_to_the_logits():
    logits = np.zeros((1, 2))
    bias = np.array([np.log(3.0), 0.0])
    np.testing.assert_allclose(reference.bias_softmax(logits, bias), [[0.75, 0.25]], rtol=1e-12)
    assert reference.softmax_cross_entropy(logits, bias, np.array([1]))[0] == pytest.approx(np.log(4), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "z", "h", "slope"),
    [
        ("tanh", np.log(2.0), 0.6, 0.64),  # (2 - 1/2) / (2 + 1/2), and 1 - 0.36
        ("sigmoid", np.log(3.0), 0.75, 0.1875),  # 1 / (1 + 1/3), and 3/4 * 1/4
        ("sigmoid", -np.log(3.0), 0.25, 0.1875),
        ("relu", 2.0, 2.0, 1.0),
        ("relu", -2.0, 0.0, 0.0),
        ("relu", 0.0, 0.0, 0.0),
        ("identity", -2.0, -2.0, 1.0),
    ],
)
def test_activation_and_slope_by_hand(name, z, h, slope):
    activate, backward = reference.ACTIVATIONS[name]
    out = activate(np.full((3, 1), z - 0.5), np.array([0.5]))
    np.testing.assert_allclose(out, np.full((3, 1), h), rtol=1e-15, atol=1e-15)
    delta, dbias = backward(np.array([[1.0], [-2.0], [4.0]]), out)
    np.testing.assert_allclose(delta[:, 0], slope * np.array([1.0, -2.0, 4.0]), rtol=1e-14)
    np.testing.assert_allclose(dbias, [3 * slope], rtol=1e-14)


def test_sigmoid_far_out_neither_overflows_nor_rounds_to_zero():
    far = reference.bias_sigmoid(np.array([[-700.0, 700.0, -np.inf, np.inf]]), np.zeros(4))
    np.testing.assert_allclose(far, [[np.exp(-700.0), 1.0, 0.0, 1.0]], rtol=1e-14)


def test_image_moments_and_normalize_by_hand():
    images = np.array([[0, 2, 7, 7], [1, 3, 10, 20]], dtype=np.uint8)
    mean, inv_std = reference.image_moments(images, channels=2)
    np.testing.assert_array_equal(mean, [[1, 7], [2, 15]])
    np.testing.assert_array_equal(inv_std, [[1, 1], [1, 0.2]])  # a constant channel keeps its scale
    np.testing.assert_allclose(reference.normalize(images, mean, inv_std), [[-1, 1, 0, 0], [-1, 1, -1, 1]])
    picked = reference.gather_normalize(images, np.array([1, 1, 0]), mean, inv_std)
    np.testing.assert_allclose(picked, [[-1, 1, -1, 1], [-1, 1, -1, 1], [-1, 1, 0, 0]])


def test_one_step_of_a_network_by_hand():
    # One input 2, one tanh unit with weight ln(2)/2 (so h = 0.6), output weights 1 and -1: logits 0.6 and -0.6.
    half = np.log(2.0) / 2
    network = reference.Network([np.array([[half]]), np.array([[1.0, -1.0]])], [np.zeros(1), np.zeros(2)], "tanh")
    loss, correct = network.train_step(np.array([[2.0]]), np.array([1]), lr=0.1, momentum=0.9, weight_decay=0.01)
    p = 1 / (1 + np.exp(-1.2))  # of the wrong class
    assert loss == pytest.approx(-np.log(1 - p), rel=1e-12)
    assert correct == 0
    np.testing.assert_allclose(network.weights[1], [[1 - 0.1 * (0.6 * p + 0.01), -1 - 0.1 * (-0.6 * p - 0.01)]])
    np.testing.assert_allclose(network.biases[1], [-0.1 * p, 0.1 * p])  # not decayed
    dz = 2 * p * 0.64  # (p * 1 + -p * -1) back through the output weights, times the slope
    np.testing.assert_allclose(network.weights[0], [[half - 0.1 * (2 * dz + 0.01 * half)]])
    np.testing.assert_allclose(network.biases[0], [-0.1 * dz])


@pytest.mark.parametrize(
    ("losses", "rising"),
    [
        ([], 0),
        ([3.0], 0),
        ([3.0, 2.0], 0),
        ([2.0, 3.0], 1),
        ([2.0, 2.0], 0),  # level is not rising
        ([1.0, 2.0, 3.0, 2.5, 2.6, 2.7], 2),  # above the best all along, but it fell once
        ([5.0, 1.0, 2.0, 3.0, 4.0], 3),
        ([1.0, float("nan")], 0),
    ],
)
def test_rising_epochs_by_hand(losses, rising):
    assert reference.rising_epochs(losses) == rising


class Scripted(reference.Network):
    """A network whose validation losses are given, and whose one weight counts the epochs trained."""

    def __init__(self, losses):
        super().__init__([np.zeros((1, 2))], [np.zeros(2)])
        self.losses = iter(losses)

    def train_step(self, x, targets, **_):  # noqa: ARG002
        self.weights[0] = self.weights[0] + 1
        return 0.0, 0

    def evaluate(self, x, targets):  # noqa: ARG002
        return next(self.losses), 0.0


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([5, 4, 5, 6, 3, 4, 5, 6, 7, 8], 8, 5),  # two rises, a fall that resets the count, then three
        ([1, 2, 3, 4, 0], 4, 1),  # what would have come is not seen
        ([3, 2, 3, 2, 3, 2, 3, 2, 3, 2], 10, 2),  # never three in a row; of equal losses the first is kept
    ],
)
def test_fit_stops_after_patience_and_keeps_the_best_weights(losses, epochs, best):
    network = Scripted(losses)
    data = np.zeros((4, 1)), np.zeros(4, dtype=np.int64)
    history = reference.fit(
        network, data, data, np.random.default_rng(0), epochs=10, patience=3, lr=0.1, momentum=0.0, weight_decay=0.0
    )
    assert history["val_loss"] == losses[:epochs]
    np.testing.assert_array_equal(network.weights[0], np.full((1, 2), best))


def test_an_epoch_takes_every_image_once_and_weighs_batches_by_size(rng):
    seen = []

    class Recorder(reference.Network):
        def train_step(self, x, targets, **_):  # noqa: ARG002
            seen.append(x[:, 0].astype(int))
            return float(len(x)), 1

    network = Recorder([np.zeros((1, 2))], [np.zeros(2)])
    x, labels = np.arange(7.0)[:, None], np.zeros(7, dtype=np.int64)
    order = rng.permutation(7)
    loss, accuracy = reference.train_epoch(network, x, labels, order, 3, lr=0.1, momentum=0.9, weight_decay=0.0)
    assert [len(batch) for batch in seen] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(seen), order)
    assert loss == pytest.approx((3 * 3 + 3 * 3 + 1) / 7)
    assert accuracy == pytest.approx(3 / 7)


def test_training_learns(rng):
    x = rng.standard_normal((300, 5))
    labels = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    weights = [rng.standard_normal((5, 8)) / np.sqrt(5), rng.standard_normal((8, 3)) / np.sqrt(8)]
    network = reference.Network(weights, [np.zeros(8), np.zeros(3)], "relu")
    first = network.evaluate(x, labels)
    data = x, labels
    reference.fit(network, data, data, rng, epochs=30, batch_size=64, lr=0.1, momentum=0.9, weight_decay=1e-4)
    loss, accuracy = network.evaluate(x, labels)
    assert loss < first[0] / 3
    assert accuracy > 0.95
