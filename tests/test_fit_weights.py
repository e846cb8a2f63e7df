"""Weights of rows, in training and validation: what they are worth, and that they stay with their rows."""

import numpy as np
import pytest

from fastmlp import MLP, SGD
from fastmlp.errors import DataError
from fastmlp.nn.loss import loss_named


@pytest.mark.parametrize(("precision", "allowed"), [("float64", 1e-13), ("float32", 1e-5), ("bfloat16", 0.1)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_row_s_weight_is_worth_as_many_copies_of_it(precision, allowed, activation, rng):
    # In one batch, so that the same sums are taken in another order. Rounding to bfloat16 turns the last bit of a sum
    # into 2**-9 of it now and then, which 30 steps of this size carry on; a weight that is ignored is off by 0.5.
    dtype = np.float64 if precision == "float64" else np.float32
    x, labels, weights = rng.normal(size=(15, 30)).astype(dtype), rng.integers(0, 3, 15), rng.integers(0, 5, 15)
    copies = x.repeat(weights, 0), labels.repeat(weights)
    weighted, repeated, ignored = (MLP([30, 9, 3], activation, precision=precision) for _ in range(3))
    results = [
        model.fit(*data, sample_weight=w, validation=(*data, w) if w is not None else data, epochs=30,
                  optimizer=SGD(0.05), patience=30)
        for model, data, w in ((weighted, (x, labels), weights), (repeated, copies, None), (ignored, (x, labels), None))
    ]  # fmt: skip
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=0, atol=allowed)
    assert np.abs(ignored.parameters - repeated.parameters).max() > 0.2
    history, copied, _ = (result.history for result in results)
    np.testing.assert_allclose(history.train_loss, copied.train_loss, rtol=0, atol=allowed)
    np.testing.assert_allclose(history.val_loss, copied.val_loss, rtol=0, atol=allowed)


@pytest.mark.parametrize("weights", [[1, 2], [0, 0, 0], [1, -1, 1], [1, np.nan, 1], [1, np.inf, 1], ["a", "b", "c"]])
def test_weights_that_are_none_are_refused(weights, rng):
    with pytest.raises(DataError, match="sample_weight"):
        MLP([4, 3], precision="float64").fit(rng.normal(size=(3, 4)), np.arange(3), sample_weight=weights)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_weights_go_with_their_rows_through_shuffled_batches(precision):
    # Two classes of equal inputs: the logits' difference tends to the logarithm of the weights' ratio.
    x, labels = np.ones((64, 2), np.float32), np.arange(64) % 2
    weights = np.where(labels == 0, 3.0, 1.0)
    model = MLP([2, 2], precision=precision)
    model.fit(x, labels, sample_weight=weights, epochs=300, batch_size=10, optimizer=SGD(0.05, 0.0), rng=1)
    np.testing.assert_allclose(model.predict_proba(x[:1]), [[0.75, 0.25]], rtol=0, atol=0.03)


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_a_batch_without_weight_has_no_loss_and_no_gradient(matmul, rng):
    # where a loss is divided by the sum of the weights, here 0 in all batches but one
    x, targets, weights = rng.normal(size=(6, 4)), rng.normal(size=(6, 3)), np.eye(6)[2]
    model, alone = (
        MLP([4, 3], loss=loss_named("huber", by_weight=True), precision="float64", matmul=matmul) for _ in "ab"
    )
    fitted = model.fit(x, targets, sample_weight=weights, optimizer=SGD(0.05, 0.0), epochs=1, batch_size=1)
    mean, _ = alone.train_step(x[2:3], targets[2:3], SGD(0.05, 0.0))
    assert fitted.status == "done"
    np.testing.assert_allclose(fitted.history.train_loss[0], mean / 6, rtol=1e-12)
    np.testing.assert_allclose(model.parameters, alone.parameters, rtol=1e-12)
