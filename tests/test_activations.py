"""The table of activations: each name has the forward and the backward of that name."""

import numpy as np
import pytest

from fastmlp import FastMLPError, reference
from fastmlp.nn.activations import ACTIVATIONS, activation_named


def test_the_table_and_the_reference_have_the_same_names():
    assert list(ACTIVATIONS) == list(reference.ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_name_has_its_own_pair(name, rng):
    z, bias, delta = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 7), 7, (5, 7)))
    forward, backward = reference.ACTIVATIONS[name]
    want = forward(z.astype(float), bias.astype(float))
    want_delta, want_dbias = backward(delta.astype(float), want)
    activation, dbias = activation_named(name), np.empty(7, np.float32)
    activation.forward(z, bias)
    activation.backward(delta, z, dbias)
    for got, expected in ((z, want), (delta, want_delta), (dbias, want_dbias)):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["softplus", "Tanh", "", None])
def test_an_unknown_name_is_told_with_the_allowed_ones(name):
    with pytest.raises(
        ValueError, match=f"unknown activation {name!r}, allowed: tanh, sigmoid, relu, identity"
    ) as error:
        activation_named(name)
    assert isinstance(error.value, FastMLPError)
