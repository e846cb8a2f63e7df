"""Gradients of each loss with each activation, shallow and deep, and 200 steps of each with the reference."""

import pytest

from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.gradients import run_checks
from fastmlp.nn.loss import LOSSES, loss_named

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
