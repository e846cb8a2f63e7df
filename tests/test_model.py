"""A model predicts as the network that it is of, whatever the inputs are."""

from dataclasses import replace

import numpy as np
import pytest

from fastmlp import MLP, SGD, FastMLPError, Model
from models import KINDS, rows_for, small_model


@pytest.mark.parametrize(("normalize", "precision"), KINDS)
def test_probabilities_are_those_of_the_reference(normalize, precision):
    model = small_model(normalize, precision)
    x = rows_for(model)
    if normalize == "none":
        z = x.astype(np.float64)
    else:
        blocks = x.reshape(len(x), 1 if normalize == "image" else 3, -1).astype(np.float64)
        if model.moments is not None:
            z = (blocks - model.moments[0].reshape(1, 3, 1)) * model.moments[1].reshape(1, 3, 1)
        else:
            std = blocks.std(axis=2, keepdims=True)
            z = (blocks - blocks.mean(axis=2, keepdims=True)) / np.where(std == 0, 1, std)
        z = z.reshape(len(x), -1)
    h = z
    for i, (weight, bias) in enumerate(model.arrays(), 1):
        h = h @ weight.astype(np.float64) + bias
        h = np.tanh(h) if i < 3 else np.exp(h - h.max(axis=1, keepdims=True))
    expected = h / h.sum(axis=1, keepdims=True)
    # bfloat16 keeps 8 bits: each operand is off by up to 2^-9 of it, and sums of 48 such products of unit size by some
    # 48^0.5 * 2^-8 = 0.03 in a logit; float32 by 2^-24 in place of 2^-9. In int8 the first layer's weights are off by
    # up to a 254th of the largest, 0.006, and its 48 products together by some 0.02.
    tolerance = {"float32": 1e-5, "float64": 1e-13, "bfloat16": 0.05, "int8": 0.05}[precision]
    np.testing.assert_allclose(model.predict_proba(x), expected, atol=tolerance)


def test_a_model_of_a_network_holds_copies(rng):
    mlp = MLP([4, 3, 2], "relu", rng=1)
    x = rng.standard_normal((6, 4)).astype(np.float32)
    model, before = Model.of(mlp, ["a", "b"]), mlp.predict_proba(x)
    mlp.train_step(x, np.array([0, 1] * 3), SGD(lr=0.5))
    np.testing.assert_array_equal(model.predict_proba(x), before)
    assert model.names() == ("a", "b")
    assert Model.of(mlp).names() == ("0", "1")


@pytest.mark.parametrize(
    ("given", "told"),
    [({"class_names": ["a"]}, "are 1, expected 2"), ({"normalize": "dataset"}, "allowed: none, image, channel")],
)
def test_what_does_not_fit_a_network_is_refused(given, told):
    with pytest.raises(FastMLPError, match=told):
        Model.of(MLP([4, 2]), **given)


def test_rows_that_do_not_fit_are_refused():
    model = small_model()
    with pytest.raises(FastMLPError, match=r"takes \(M, 48\)"):
        model.predict_proba(np.zeros((2, 47), np.uint8))
    with pytest.raises(FastMLPError, match="uint8, 0 to 255"):
        model.predict_proba(np.zeros((2, 48), np.float32))


def test_a_network_can_be_made_in_another_precision():
    model = replace(small_model(precision="bfloat16"))
    assert model.network(precision="float64").dtype == np.float64


def test_fit_begins_anew_unless_warm(rng):
    x, labels = rng.standard_normal((40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    mlp = MLP([6, 5, 3], rng=2)
    first = mlp.fit(x, labels, epochs=3, batch_size=8)
    again = mlp.fit(x, labels, epochs=3, batch_size=8)
    assert again.history == first.history
    warm = mlp.fit(x, labels, epochs=1, batch_size=8, warm_start=True)
    assert warm.history.train_loss[0] < first.history.train_loss[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": (48, True, 5, 3)}, "layers are"),
        ({"layers": [48, 7, 5, 3]}, "layers are .*, expected a tuple"),
        ({"activation": ["tanh"]}, "1 for 2 hidden layers: give one for all"),
        ({"precision": "float16"}, "precision is 'float16', allowed"),
        ({"normalize": "rows"}, "normalize is 'rows', allowed"),
        ({"parameters": np.zeros(1, np.float32)}, r"parameters are float32 of shape \(1,\), expected"),
        ({"parameters": np.zeros(401, int)}, "parameters are int64"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(changes, message):
    with pytest.raises(FastMLPError, match=message):
        replace(small_model(), **changes)


def test_one_string_is_no_list_of_names():
    with pytest.raises(FastMLPError, match="class_names are 1, expected 3"):
        Model.of(MLP([4, 3]), "abc")
