"""SGD by hand: momentum carried over steps, weights decayed and biases not, one velocity a parameter."""

from typing import Any

import numpy as np
import pytest

from fastmlp import SGD, Dense, FastMLPError


def make(weight: float, bias: float, dweight: float, dbias: float, dtype: type = np.float64) -> Dense:
    layer = Dense(1, 1, "identity", rng=np.random.default_rng(0), dtype=dtype)
    for array, value in ((layer.weight, weight), (layer.bias, bias), (layer.dweight, dweight), (layer.dbias, dbias)):
        array[...] = value
    return layer


def test_two_steps_by_hand():
    layer, optimizer = make(2.0, 3.0, 1.0, 1.0), SGD(lr=0.1, momentum=0.5, weight_decay=0.25)
    optimizer.step(layer)
    assert layer.weight[0, 0] == pytest.approx(2.0 - 0.1 * (1.0 + 0.5), rel=1e-14)
    assert layer.bias[0] == pytest.approx(3.0 - 0.1, rel=1e-14)  # a decayed one would lose 0.075 more
    layer.dweight[...], layer.dbias[...] = -2.0, 0.0
    optimizer.step(layer)
    # v = 0.5 * -0.15 - 0.1 (-2 + 0.25 * 1.85) = 0.07875, and 0.5 * -0.1
    assert layer.weight[0, 0] == pytest.approx(1.85 + 0.07875, rel=1e-14)
    assert layer.bias[0] == pytest.approx(2.9 - 0.05, rel=1e-14)


def test_without_gradient_weights_decay_and_biases_stay():
    layer, optimizer = make(1.0, 1.0, 0.0, 0.0), SGD(lr=0.5, momentum=0.0, weight_decay=0.5)
    for _ in range(3):
        optimizer.step(layer)
    assert layer.weight[0, 0] == 0.75**3
    assert layer.bias[0] == 1.0


def test_each_layer_has_its_own_velocity():
    first, second, optimizer = make(0.0, 0.0, 1.0, 1.0), make(0.0, 0.0, 0.0, 0.0), SGD(lr=1.0, momentum=0.5)
    for _ in range(2):
        optimizer.step(first)
        optimizer.step(second)
    assert (first.weight[0, 0], first.bias[0]) == (-2.5, -2.5)  # -1, then -1 - 0.5
    assert (second.weight[0, 0], second.bias[0]) == (0.0, 0.0)


def test_an_array_of_parameters_keeps_its_velocity():
    first, second, optimizer = np.ones((2, 3), np.float32), np.ones(4), SGD()
    velocities = [optimizer.velocity_of(first), optimizer.velocity_of(second)]
    for parameters, velocity in zip((first, second), velocities, strict=True):
        assert (velocity.shape, velocity.dtype) == (parameters.shape, parameters.dtype)
        assert not velocity.any()
        assert optimizer.velocity_of(parameters) is velocity
    assert SGD().velocity_of(first) is not velocities[0]


def test_an_array_in_the_place_of_one_that_is_gone_starts_without_velocity():
    """An id is given again once its array is gone; no velocity may pass on with it."""
    optimizer = SGD()
    for _ in range(50):
        velocity = optimizer.velocity_of(np.ones(1000))
        assert not velocity.any()
        velocity += 1


def test_each_optimizer_has_its_own_velocities():
    layer = make(0.0, 0.0, 1.0, 1.0)
    SGD(lr=1.0, momentum=0.5).step(layer)
    SGD(lr=1.0, momentum=0.5).step(layer)
    assert layer.weight[0, 0] == -2.0


def test_parameters_are_updated_in_place_and_keep_their_dtype():
    layer = make(1.0, 1.0, 1.0, 1.0, np.float32)
    weight, bias = layer.weight, layer.bias
    SGD(lr=0.25, momentum=0.5).step(layer)
    assert layer.weight is weight
    assert layer.bias is bias
    assert (weight.dtype, bias.dtype) == (np.float32, np.float32)
    assert (weight[0, 0], bias[0]) == (0.75, 0.75)
    assert (layer.dweight[0, 0], layer.dbias[0]) == (1.0, 1.0)


def test_defaults():
    optimizer = SGD()
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.005, 0.9, 0.0)


@pytest.mark.parametrize(
    ("name", "values", "allowed"),
    [
        ("lr", (0, -0.1, float("nan"), float("inf")), "above 0"),
        ("momentum", (-0.1, 1, 1.5, float("nan")), "from 0 up to, not including, 1"),
        ("weight_decay", (-0.1, float("nan"), float("inf")), "0 or more"),
    ],
)
def test_settings_outside_their_range_are_refused(name, values, allowed):
    for value in values:
        options: Any = {name: value}
        with pytest.raises(ValueError, match=f"{name} is {value}, allowed is a finite number {allowed}") as error:
            SGD(**options)
        assert isinstance(error.value, FastMLPError)
