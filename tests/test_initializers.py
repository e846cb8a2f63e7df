"""Initial weights: their measured spread, the choice by activation, and the same draws in both precisions."""

import math

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.errors import ConfigError
from fastmlp.nn.initializers import INITIALIZERS, initial_weight, resolve

FAN_IN, FAN_OUT = 400, 150  # unlike, so that one taken for the other shows
SPREAD = {
    "lecun": 1 / math.sqrt(FAN_IN),
    "he": math.sqrt(2 / FAN_IN),
    "glorot": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "small": 0.01,
}


def draw(name: str, dtype: str = "float32", seed: int = 1) -> np.ndarray:
    return initial_weight(name, FAN_IN, FAN_OUT, np.dtype(dtype), np.random.default_rng(seed))


def test_every_initialiser_is_measured_below():
    assert INITIALIZERS.keys() == SPREAD.keys()


@pytest.mark.parametrize("name", SPREAD)
def test_weights_are_normal_with_the_spread_of_the_name(name):
    z = draw(name) / SPREAD[name]
    assert z.shape == (FAN_IN, FAN_OUT)
    assert z.dtype == np.float32
    five_sigma = 5 / math.sqrt(z.size)  # of 60,000 draws
    assert abs(z.mean()) < five_sigma
    assert abs(z.std() - 1) < five_sigma / math.sqrt(2)
    assert abs(np.mean(np.abs(z) < 1) - 0.6827) < five_sigma / 2  # as many within one deviation as a normal law has


@pytest.mark.parametrize("name", SPREAD)
def test_one_seed_gives_the_same_weights_in_both_precisions(name):
    np.testing.assert_array_equal(draw(name), draw(name, "float64").astype(np.float32))
    assert (draw(name) != draw(name, seed=2)).any()


@pytest.mark.parametrize(
    ("activation", "name"), [("relu", "he"), ("tanh", "lecun"), ("sigmoid", "lecun"), ("identity", "lecun")]
)
def test_auto_is_chosen_by_the_activation(activation, name):
    assert resolve("auto", activation) == name
    for other in INITIALIZERS:
        assert resolve(other, activation) == other


def test_a_relu_network_takes_he_for_hidden_layers_and_lecun_for_the_output():
    model = MLP([300, 200, 100, 50], "relu")
    stds = [layer.weight.std() * math.sqrt(layer.weight.shape[0]) for layer in model.layers]
    np.testing.assert_allclose(stds, [math.sqrt(2), math.sqrt(2), 1], rtol=0.05)
    assert all(not layer.bias.any() for layer in model.layers)


@pytest.mark.parametrize("name", ["xavier", "", None])
def test_an_unknown_name_is_told_with_the_allowed_ones(name):
    with pytest.raises(ConfigError, match=f"unknown init {name!r}, allowed: auto, lecun, he, glorot"):
        resolve(name, "tanh")
