"""Gradients of each loss with each activation, shallow and deep, and 200 steps of each with the reference."""

import numpy as np
import pytest

from fastmlp import MLP, reference
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.gradients import run_checks
from fastmlp.nn.loss import LOSSES, loss_named
from fastmlp.nn.optimizer import Adam

# Every activation in a shallow network, and deep ones in which all of them take turns.
NAMES = list(ACTIVATIONS)
NETWORKS = {name: ((14, 9, 4), name) for name in NAMES} | {
    f"{first} and two more": ((14, 9, 8, 7, 4), [first, *(NAMES * 2)[i + 3 : i + 5]]) for i, first in enumerate(NAMES)
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_the_slopes_of_the_loss(loss, network):
    layers, activation = NETWORKS[network]
    weights, directions = run_checks(layers, activation, seed=3, loss=loss)
    assert [check.name for check in weights + directions if not check.passed] == []


@pytest.mark.parametrize(("loss", "smoothing"), [("cross-entropy", 0.1), ("logistic", 0.2)])
def test_gradients_of_smoothed_labels_are_the_slopes_of_their_loss(loss, smoothing):
    weights, directions = run_checks((14, 9, 4), "tanh", seed=1, loss=loss_named(loss, smoothing=smoothing))
    assert all(check.passed for check in weights + directions)


X = np.random.default_rng(0).standard_normal((120, 14))
TARGETS = {
    "cross-entropy": np.random.default_rng(1).integers(0, 4, 120),
    "logistic": np.random.default_rng(2).integers(0, 2, (120, 4)).astype(float),
    "squared-error": np.sin(X[:, :4]) + 0.1,
    "poisson": np.random.default_rng(3).poisson(2, (120, 4)).astype(float),
    "huber": 3 * np.sin(X[:, 4:8]),
}
STEPS = 200


@pytest.mark.parametrize("matmul", ["packed", "blas"])
@pytest.mark.parametrize("loss", LOSSES)
def test_200_steps_equal_the_references(loss, matmul):
    """In float64, with dropout, weighted rows, clipping and Adam; sums in another order are all that differs."""
    activations, weights = ["gelu", "tanh", "elu"], np.random.default_rng(4).uniform(0.5, 1.5, len(X))
    model = MLP([14, 9, 8, 7, 4], activations, loss=loss, dropout=0.2, input_dropout=0.1, precision="float64",
                matmul=matmul, rng=5)  # fmt: skip
    layers = [layer.weight for layer in model.layers], [layer.bias for layer in model.layers]
    rates = [model.dropout.inputs, *model.dropout.hidden]
    plain = reference.Network(*layers, activations, loss=loss, dropout=rates, seed=model.dropout.seed)
    examples, optimizer = model.examples(X, TARGETS[loss], weights), Adam(0.003, weight_decay=0.01, clip_norm=0.5)
    order, losses = np.random.default_rng(6).integers(0, len(X), STEPS * 30), []
    settings = {"lr": 0.003, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01, "clip": 0.5}
    for start in range(0, len(order), 30):
        batch = order[start : start + 30]
        losses.append(
            plain.train_step(
                X[batch], TARGETS[loss][batch], weights=weights[batch] / weights.mean(), optimizer="adam", **settings
            )[0]
        )
    mean, _ = model.train_on(examples, order, 30, optimizer)
    assert mean == pytest.approx(np.mean(losses), rel=1e-9)
    for layer, w, b in zip(model.layers, plain.weights, plain.biases, strict=True):
        # 200 steps of 0.003 carry a weight up to 0.6; Adam's quotient of two means passes a relative error on
        np.testing.assert_allclose(layer.weight, w, rtol=0, atol=1e-9)
        np.testing.assert_allclose(layer.bias, b, rtol=0, atol=1e-9)
