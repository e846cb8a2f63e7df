"""SGD by hand: momentum carried over steps, weights decayed and biases not, one velocity a parameter."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from fastmlp import SGD, FastMLPError

PARTS = [(slice(0, 1), True), (slice(1, 2), False)]  # a weight and a bias


def pair(weight: float, bias: float, dtype: type = np.float64) -> np.ndarray:
    return np.array([weight, bias], dtype)


def test_two_steps_by_hand():
    parameters, optimizer = pair(2.0, 3.0), SGD(lr=0.1, momentum=0.5, weight_decay=0.25)
    optimizer.step(parameters, pair(1.0, 1.0), PARTS)
    assert parameters[0] == pytest.approx(2.0 - 0.1 * (1.0 + 0.5), rel=1e-14)
    assert parameters[1] == pytest.approx(3.0 - 0.1, rel=1e-14)  # a decayed one would lose 0.075 more
    optimizer.step(parameters, pair(-2.0, 0.0), PARTS)
    # v = 0.5 * -0.15 - 0.1 (-2 + 0.25 * 1.85) = 0.07875, and 0.5 * -0.1
    assert parameters[0] == pytest.approx(1.85 + 0.07875, rel=1e-14)
    assert parameters[1] == pytest.approx(2.9 - 0.05, rel=1e-14)


def test_without_gradient_weights_decay_and_biases_stay():
    parameters, optimizer = pair(1.0, 1.0), SGD(lr=0.5, momentum=0.0, weight_decay=0.5)
    for _ in range(3):
        optimizer.step(parameters, pair(0.0, 0.0), PARTS)
    assert parameters.tolist() == [0.75**3, 1.0]


def test_a_decay_per_batch_is_divided_by_its_rows():
    parameters = pair(1.0, 1.0)
    SGD(lr=0.5, momentum=0.0, weight_decay=0.5, decay_per="batch").step(parameters, pair(0.0, 0.0), PARTS, rows=4)
    assert parameters.tolist() == [1.0 - 0.5 * 0.5 / 4, 1.0]
    with pytest.raises(FastMLPError, match="decay_per is 'epoch', allowed: update, batch"):
        SGD(decay_per="epoch")


def test_each_network_has_its_own_velocity():
    first, second, optimizer = pair(0.0, 0.0), pair(0.0, 0.0), SGD(lr=1.0, momentum=0.5)
    for _ in range(2):
        optimizer.step(first, pair(1.0, 1.0), PARTS)
        optimizer.step(second, pair(0.0, 0.0), PARTS)
    assert first.tolist() == [-2.5, -2.5]  # -1, then -1 - 0.5
    assert second.tolist() == [0.0, 0.0]


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
    parameters = pair(0.0, 0.0)
    for _ in range(2):
        SGD(lr=1.0, momentum=0.5).step(parameters, pair(1.0, 1.0), PARTS)
    assert parameters.tolist() == [-2.0, -2.0]


def test_parameters_are_updated_in_place_and_gradients_stay():
    parameters, gradient = pair(1.0, 1.0, np.float32), pair(1.0, 1.0, np.float32)
    SGD(lr=0.25, momentum=0.5).step(parameters, gradient, PARTS)
    assert parameters.dtype == np.float32
    assert parameters.tolist() == [0.75, 0.75]
    assert gradient.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_a_copy_made_with_its_parameters_goes_on_alike(copied):
    parameters, optimizer = pair(0.0, 0.0), SGD(lr=1.0, momentum=0.5)
    optimizer.step(parameters, pair(1.0, 1.0), PARTS)
    others, other = copied((parameters, optimizer))
    for array, sgd in ((parameters, optimizer), (others, other)):
        sgd.step(array, pair(1.0, 1.0), PARTS)
        assert array.tolist() == [-2.5, -2.5]
    assert not other.velocity_of(parameters).any()  # those it does not know


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
    for value in (*values, True, "0.1", 10**400, None):
        options: Any = {name: value}
        said = "a whole number of hundreds of digits" if value == 10**400 else repr(value)
        with pytest.raises(ValueError, match=f"{name} is {said}, allowed is a finite number {allowed}") as error:
            SGD(**options)
        assert isinstance(error.value, FastMLPError)
