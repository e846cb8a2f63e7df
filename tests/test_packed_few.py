"""A few rows are answered without packing the network, with the same bits as in a batch."""

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.errors import DataError
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.packed import few
from fastmlp.nn.packed.engine import Packed
from fastmlp_kernels._activation_passes import USUAL

# The loss decides what is made of the logits, and not how they come about: all activations once, and all losses.
OTHERS = ["logistic", "squared-error", "poisson", "huber"]
CASES = [("cross-entropy", list(ACTIVATIONS)), *((loss, USUAL) for loss in OTHERS)]


def network(layers, **settings):
    model = MLP(layers, rng=1, threads=1, **settings)
    rng = np.random.default_rng(2)
    for layer in model.layers:
        layer.bias[...] = rng.standard_normal(layer.bias.shape)
    return model


def batch_alone(monkeypatch):
    monkeypatch.setattr(Packed, "few_logits", lambda *_: None)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "activation"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_few_rows_have_the_bits_that_they_have_in_a_batch(precision, loss, activation, monkeypatch, rng):
    layers = [37, *(range(9, 9 + len(activation))), 5]
    model = network(layers, activation=activation, loss=loss, precision=precision)
    x = rng.standard_normal((3, 37)).astype(precision)
    assert model.engine.few_logits(x) is not None
    found = model.outputs(x), model.predict(x)
    batch_alone(monkeypatch)
    for one, other in zip(found, (model.outputs(x), model.predict(x)), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("layers", [(1, 1), (3, 2), (1500, 33, 2), (3072, 20)])
def test_sums_over_many_inputs_are_taken_in_the_same_order(layers, monkeypatch, rng):
    model, x = network(layers), rng.standard_normal((1, layers[0])).astype(np.float32)
    assert model.engine.few_logits(x) is not None
    found = model.predict_proba(x)
    batch_alone(monkeypatch)
    np.testing.assert_array_equal(found, model.predict_proba(x))


def test_one_row_is_answered_so_by_any_network(rng):
    model = network([1000, 1500, 700, 3])
    assert model.parameter_count > few.MOST
    x = rng.standard_normal((2, 1000)).astype(np.float32)
    assert model.engine.few_logits(x[:1]) is not None
    assert model.engine.few_logits(x) is None


def test_what_is_not_a_few_rows_of_the_networks_floats_is_left_to_a_batch(rng):
    model = network([40, 30, 3])
    x = rng.standard_normal((few.MOST // model.parameter_count + 1, 40)).astype(np.float32)
    for other in (x, x[:0], x[:2].astype(np.float64), x[:2, ::2], x[:2, :39].copy(), x[0], np.asfortranarray(x[:2])):
        assert model.engine.few_logits(other) is None
    assert model.engine.few_logits(x[:2]) is not None
    assert network([40, 30, 3], precision="bfloat16").engine.few_logits(x[:2]) is None
    assert network([40, 30, 3], matmul="blas").engine.few_logits(x[:2]) is None
    deep = network([40_000, 2])  # of which the sums are put together otherwise
    assert deep.engine.few_logits(np.ones((1, 40_000), np.float32)) is None


def test_weights_that_were_changed_count_at_once(rng):
    model, x = network([6, 4, 3], loss="squared-error"), rng.standard_normal((1, 6)).astype(np.float32)
    model.predict(x)
    model.layers[-1].bias += 1
    model.layers[0].weight *= 2
    z = np.tanh(x @ model.layers[0].weight + model.layers[0].bias)
    # products and tanh are within a few roundings of sums below 10
    np.testing.assert_allclose(model.predict(x), z @ model.layers[1].weight + model.layers[1].bias, atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_told(wrong):
    model, x = network([3, 2, 2], activation="relu"), np.zeros((2, 3), np.float32)
    x[1, 2] = wrong
    with pytest.raises(DataError, match="inputs hold NaN or infinity, first in row 1"):
        model.predict(x)


def test_outputs_that_overflow_are_told():
    model = network([3, 2], loss="squared-error")
    model.layers[0].weight[...] = 1e30
    with pytest.raises(DataError, match="the outputs of row 0 overflow float32"):
        model.predict(np.full((1, 3), 1e30, np.float32))


def test_large_numbers_whose_squares_overflow_are_given():
    model = network([1, 1], loss="squared-error")
    model.layers[0].weight[...], model.layers[0].bias[...] = 1e30, 0
    assert model.predict(np.ones((1, 1), np.float32))[0] == np.float32(1e30)


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="with at least one of each"):
        network([3, 2]).predict(np.empty((0, 3), np.float32))
