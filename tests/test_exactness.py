"""Whole networks keep what the kernels keep: the loss of sure answers, sums of many rows, logarithms of saturation."""

import numpy as np
import pytest

from fastmlp import MLP, ImageInput, Model, load_model, reference, save_model
from models import KINDS, rows_for, small_model

WAYS = [
    {"precision": "float32"},
    {"precision": "float32", "matmul": "blas"},
    {"precision": "float64"},
    {"precision": "bfloat16"},
]


@pytest.mark.parametrize("way", WAYS)
def test_a_sure_answer_has_a_loss_and_a_gradient(way):
    model = MLP([1, 2], **way)
    model.parameters[:] = 16, 0, 0.5, 0  # exact in bfloat16 too
    x, want = np.ones((3, 1), model.dtype), np.log1p(np.exp(-16.5))
    share = np.exp(-16.5) / (1 + np.exp(-16.5))
    rel = 1e-6 if model.dtype == np.float32 else 1e-14
    assert model.evaluate(x, np.zeros(3, int))[0] == pytest.approx(want, rel=rel)
    weighted, _ = model.evaluate(x, np.zeros(3, int), sample_weight=[1, 2, 1.5])
    assert weighted == pytest.approx(want, rel=rel)
    loss, correct = model.loss_and_gradients(x, np.zeros(3, int))
    assert loss == pytest.approx(want, rel=rel)
    assert correct == 3
    np.testing.assert_allclose(model.layers[0].dbias, [-share, share], rtol=rel)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hidden", [(), (3,)])
def test_bias_gradients_do_not_drift_over_a_large_batch(way, hidden):
    model = MLP([1, *hidden, 3], "identity", **way)
    model.parameters[:] = 0
    if hidden:
        model.layers[1].weight[0] = 0.5, -0.25, 0
    rows = 1_000_000
    model.loss_and_gradients(np.zeros((rows, 1), model.dtype), np.zeros(rows, int))
    np.testing.assert_allclose(model.layers[-1].dbias, [-2 / 3, 1 / 3, 1 / 3], rtol=1e-6)
    if hidden:
        rtol = 1e-6 if model.precision != "bfloat16" else 2**-8  # which rounds each row's gradient first
        np.testing.assert_allclose(model.layers[0].dbias, [-1 / 3 - 1 / 12, 0, 0], rtol=rtol, atol=1e-9)


def test_bias_gradients_of_bytes_do_not_drift():
    rows, model = 60_000, MLP([3, 2], precision="int8")
    model.parameters[:] = 0
    images = ImageInput(np.zeros((rows, 3), np.uint8), *np.ones((2, rows, 3), np.float32))
    model.loss_and_gradients(images, np.zeros(rows, int))
    np.testing.assert_allclose(model.layers[0].dbias, [-0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize(("normalize", "precision"), KINDS)
def test_logarithms_of_probabilities_stay_finite(normalize, precision, tmp_path):
    model = small_model(normalize, precision)
    x = rows_for(model)
    p, logs = model.predict_proba(x), model.predict_log_proba(x)
    assert logs.dtype == p.dtype
    np.testing.assert_allclose(logs, np.log(p), rtol=1e-5, atol=1e-6)
    model.arrays()[-1][0][...] *= 1000  # the weights of the output layer: all answers are sure
    save_model(tmp_path / "sure.npz", model)
    sure = load_model(tmp_path / "sure.npz")
    logs = sure.predict_log_proba(x)
    assert (sure.predict_proba(x) == 0).any()
    assert np.isfinite(logs).all()
    assert (logs <= 0).all()
    np.testing.assert_array_equal(logs.argmax(axis=1), sure.predict_proba(x).argmax(axis=1))


@pytest.mark.parametrize("way", WAYS)
def test_logarithms_are_those_of_the_logits(way):
    model = MLP([1, 3], **way)
    model.parameters[:] = 2, 0, -1, 0, 0.5, 0
    x = np.array([[-512], [-16], [0], [8], [512]], model.dtype)
    logits = x.astype(np.float64) * [2, 0, -1] + [0, 0.5, 0]
    want, rtol = reference.log_softmax(logits), 4 * float(np.finfo(model.dtype).eps)
    np.testing.assert_allclose(model.predict_log_proba(x), want, rtol=rtol, atol=1e-44)
    np.testing.assert_array_equal(model.predict_log_proba(x, batch_size=2), model.predict_log_proba(x))
    np.testing.assert_array_equal(Model.of(model).predict_log_proba(x), model.predict_log_proba(x))
