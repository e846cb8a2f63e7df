"""One dense layer: the two matrix products each way, the activation between them, and that nothing is reallocated."""

import numpy as np
import pytest

from fastmlp import Dense, reference
from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.layers import split_parameters

N, D, H = 5, 4, 3


def make(activation: str = "tanh", dtype: type = np.float32) -> Dense:
    layer = Dense(D, H, activation, rng=np.random.default_rng(3), dtype=dtype)
    layer.bias[...] = [0.5, -1.0, 0.25]
    return layer


@pytest.fixture
def x(rng):
    return rng.standard_normal((N, D)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes(dtype):
    layer = Dense(D, H, "relu", rng=np.random.default_rng(0), dtype=dtype)
    shapes = {"weight": (D, H), "dweight": (D, H), "bias": (H,), "dbias": (H,)}
    for name, shape in shapes.items():
        array = getattr(layer, name)
        assert array.shape == shape, name
        assert array.dtype == dtype, name
        assert array.flags.c_contiguous, name
    assert not layer.bias.any()
    assert layer.weight.any()
    assert layer.activation == "relu"


def test_forward_by_hand():
    layer = make("identity")
    layer.weight[...] = np.arange(12).reshape(D, H)
    x, out = np.array([[1, 0, 0, 0], [0, 1, 0, 2]], np.float32), np.empty((2, H), np.float32)
    layer.product(x, out)
    np.testing.assert_array_equal(out, [[0, 1, 2], [21, 24, 27]])
    layer.forward(x, out)
    np.testing.assert_array_equal(out, [[0.5, 0, 2.25], [21.5, 23, 27.25]])


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_forward_and_backward_equal_the_reference(activation, x, rng):
    layer, h = make(activation), np.full((N, H), np.nan, np.float32)
    parameters = [layer.weight.copy(), layer.bias.copy()]
    forward, backward = reference.ACTIVATIONS[activation]
    kept = np.full((N, H), np.nan, np.float32) if layer.keeps_input else h
    layer.forward(x, h, kept)
    np.testing.assert_allclose(h, forward(x @ layer.weight, layer.bias), rtol=1e-5, atol=1e-6)
    delta = rng.standard_normal((N, H)).astype(np.float32)
    want_delta, want_dbias = backward(delta.astype(np.float64), kept.astype(np.float64))
    places = [a.ctypes.data for a in (layer.weight, layer.bias, layer.dweight, layer.dbias)]
    dx = np.full((N, D), np.nan, np.float32)
    layer.activation_backward(delta, kept)
    layer.weight_gradient(x, delta)
    layer.input_gradient(delta, dx)
    np.testing.assert_allclose(delta, want_delta, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.dbias, want_dbias, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.dweight, x.T @ want_delta, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx, want_delta @ layer.weight.T, rtol=1e-5, atol=1e-6)
    assert places == [a.ctypes.data for a in (layer.weight, layer.bias, layer.dweight, layer.dbias)]
    np.testing.assert_array_equal(layer.weight, parameters[0])  # only an optimiser changes these
    np.testing.assert_array_equal(layer.bias, parameters[1])
    assert layer.dweight.dtype == layer.dbias.dtype == np.float32


def test_what_is_assigned_is_copied_into_the_arrays(x):
    layer, out = make("identity"), np.empty((N, H), np.float32)
    weight, bias = layer.weight, layer.bias
    given = np.zeros((D, H))
    layer.weight, layer.bias = given, [1, 2, 3]
    given[...] = 9
    assert layer.weight is weight
    assert layer.bias is bias
    layer.forward(x, out)
    np.testing.assert_array_equal(out, np.broadcast_to([1, 2, 3], (N, H)))
    with pytest.raises(DataError, match=r"weight is given with shape \(3, 4\), this layer's has \(4, 3\)"):
        layer.weight = given.T
    with pytest.raises(DataError, match=r"bias is given with shape \(\)"):
        layer.bias = 0.0


def test_a_layer_lives_in_flat_arrays():
    layer, parameters, gradient = make(), np.arange(15, dtype=np.float32), np.zeros(15, np.float32)
    [own], [derivatives] = (split_parameters(flat, (D, H)) for flat in (parameters, gradient))
    layer.live_in(*own, *derivatives)
    np.testing.assert_array_equal(layer.weight, np.arange(12).reshape(D, H))
    np.testing.assert_array_equal(layer.bias, [12, 13, 14])
    layer.dweight[...], layer.dbias[...], layer.bias = 1, 2, [7, 7, 7]
    np.testing.assert_array_equal(gradient, [1] * 12 + [2] * 3)
    np.testing.assert_array_equal(parameters[12:], 7)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="unknown activation 'swish', allowed: tanh"):
        Dense(D, H, "swish", rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="unknown init 'xavier', allowed: auto"):
        Dense(D, H, "tanh", init="xavier", rng=np.random.default_rng(0))
