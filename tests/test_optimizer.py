"""SGD by hand: momentum carried over steps, weights decayed and biases not, one velocity a parameter."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from fastmlp import SGD, FastMLPError, reference
from fastmlp.nn.optimizer import OPTIMIZERS, Adam
from fastmlp_kernels._optimizers import settings_of_step

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


def test_an_array_of_parameters_keeps_its_state():
    first, second, optimizer = np.ones((2, 3), np.float32), np.ones(4), SGD()
    states = [optimizer.state_of(first), optimizer.state_of(second)]
    for parameters, state in zip((first, second), states, strict=True):
        assert (state.shape, state.dtype) == ((1, *parameters.shape), parameters.dtype)
        assert not state.any()
        assert optimizer.state_of(parameters) is state
    assert SGD().state_of(first) is not states[0]


def test_an_array_in_the_place_of_one_that_is_gone_starts_without_velocity():
    """An id is given again once its array is gone; no velocity may pass on with it."""
    optimizer = SGD()
    for _ in range(50):
        velocity = optimizer.state_of(np.ones(1000))
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
    assert not other.state_of(parameters).any()  # those it does not know


def test_defaults():
    optimizer = SGD()
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.005, 0.9, 0.0)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, int])
def test_settings_are_numbers_of_any_kind(kind):
    optimizer = SGD(kind(2), kind(0), kind(1))  # warnings are errors
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (2.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "values", "allowed"),
    [
        ("lr", (0, -0.1, float("nan"), float("inf")), "above 0"),
        ("momentum", (-0.1, 1, 1.5, float("nan")), "from 0 up to, not including, 1"),
        ("weight_decay", (-0.1, float("nan"), float("inf")), "0 or more"),
        ("clip_norm", (-1.0, float("nan"), float("inf")), "0 or more"),
    ],
)
def test_settings_outside_their_range_are_refused(name, values, allowed):
    for value in (*values, True, "0.1", 10**400, None):
        options: Any = {name: value}
        said = "a whole number of hundreds of digits" if value == 10**400 else repr(value)
        with pytest.raises(ValueError, match=f"{name} is {said}, allowed is a finite number {allowed}") as error:
            SGD(**options)
        assert isinstance(error.value, FastMLPError)


@pytest.mark.parametrize(("name", "value"), [("beta1", 1.0), ("beta2", 1 - 1e-9), ("eps", 1e-39), ("lr", 1e39)])
def test_settings_of_adam_must_fit_the_dtype(name, value):
    if name == "beta1":
        with pytest.raises(FastMLPError, match=r"beta1 is 1\.0, allowed is a finite number from 0 up to"):
            Adam(beta1=value)
        return
    options: dict[str, Any] = {name: value}
    optimizer = Adam(**options)
    optimizer.check_for(np.dtype(np.float64))
    with pytest.raises(FastMLPError, match=f"{name} is .*, allowed .*float32"):
        optimizer.check_for(np.dtype(np.float32))


def test_adam_leaves_what_never_has_a_gradient():
    parameters, optimizer = pair(1.0, 1.0, np.float32), Adam()
    for _ in range(3):
        optimizer.step(parameters, pair(0.0, 1.0, np.float32), [(slice(0, 2), True)])
    assert parameters[0] == 1.0
    assert parameters[1] < 1.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimiser_of_the_table_has_all_that_is_asked_of_it(name):
    kind = OPTIMIZERS[name]
    optimizer: Any = kind()
    compiled = optimizer.compiled()
    assert {"lr", "weight_decay"} <= kind.SETTINGS.keys() <= set(compiled._fields)
    for setting, (default, numbers) in kind.SETTINGS.items():
        assert getattr(optimizer, setting) == getattr(compiled, setting) == default
        assert numbers.holds(default, float32=True)
    assert reference.OPTIMIZERS[name] is getattr(reference, kind.PLAIN)
    defaults = {setting: default for setting, (default, _) in kind.SETTINGS.items()}
    theirs = pytest.importorskip("sklearn.neural_network").MLPClassifier(**kind.sklearn(defaults))
    assert theirs.learning_rate_init == defaults["lr"]


def test_both_tables_have_one_order():
    assert list(OPTIMIZERS) == list(reference.OPTIMIZERS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimiser_takes_the_step_of_its_plain_form_and_of_its_formula(name, dtype, rng):
    """The same step three times: by the kernel, by the formula that compiled code is made of, and plainly."""
    optimizer: Any = OPTIMIZERS[name]()
    parameters, gradient = (rng.standard_normal(40).astype(dtype) for _ in range(2))
    state = optimizer.state_of(parameters)
    state[...] = rng.random(state.shape)
    optimizer.memory_of(parameters).steps = 2
    settings = settings_of_step(optimizer.compiled(), 3)
    wide = parameters.astype(float), state.astype(float), gradient.astype(float)
    number = {"step": 3} if name.startswith("adam") else {}
    options = {setting: getattr(optimizer, setting) for setting in optimizer.SETTINGS}
    want, *want_state = reference.OPTIMIZERS[name](wide[0], *wide[1], wide[2], **number, **options)
    of_type = type(settings)(*map(dtype, settings))
    pairs = [of_type.step(w, tuple(s), g) for w, s, g in zip(parameters, state.T, gradient, strict=True)]
    optimizer.step(parameters, gradient, [(slice(0, 40), True)])
    # a handful of roundings of numbers of about one
    for got, exact in ((parameters, want), (state, want_state)):
        np.testing.assert_allclose(got, exact, rtol=0, atol=20 * np.finfo(dtype).eps)
    np.testing.assert_allclose([w for w, _ in pairs], parameters, rtol=0, atol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(np.array([s for _, s in pairs]).T, state, rtol=0, atol=4 * np.finfo(dtype).eps)


def test_the_velocity_of_sgd_is_its_state() -> None:
    optimizer, parameters = SGD(lr=0.5), np.ones(4, np.float32)
    optimizer.step(parameters, np.full(4, 2.0, np.float32), [(slice(None), True)])
    assert optimizer.velocity_of(parameters).tolist() == [-1.0] * 4  # -lr g, exact
    assert np.shares_memory(optimizer.velocity_of(parameters), optimizer.state_of(parameters))
