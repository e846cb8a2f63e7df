"""The engine over numpy's BLAS: buffers that all batches share, a run over batches, and what it hands out."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, reference
from fastmlp.nn.blas import Blas
from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import ArrayInput

SIZES = (6, 5, 4, 3)
SETTINGS: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def make(precision: str = "float64", activation: str = "tanh") -> tuple[MLP, Blas]:
    """A network of three layers whose biases are not zero, and an engine of its layers."""
    model = MLP(list(SIZES), activation, precision=precision, matmul="blas")
    for layer in model.layers:
        layer.bias[...] = np.linspace(-0.5, 0.5, layer.bias.size)
    return model, Blas(model.layers, model.parameters, model.gradient, model.loss, model.dropout)


def plain(model: MLP, activation: str = "tanh") -> reference.Network:
    return reference.Network([la.weight for la in model.layers], [la.bias for la in model.layers], activation)


def parameters(model: MLP) -> list[np.ndarray]:
    return [array for layer in model.layers for array in (layer.weight, layer.bias)]


@pytest.fixture
def data(rng):
    return rng.standard_normal((10, 6)), rng.integers(0, 3, 10)


def test_buffers_are_allocated_once_and_shared_by_smaller_batches():
    _, engine = make()
    full = engine.buffers(8)
    assert engine.buffers(8) is full
    small = engine.buffers(3)
    for large_array, small_array in zip([full.x, *full.h, *full.delta], [small.x, *small.h, *small.delta], strict=True):
        assert small_array.ctypes.data == large_array.ctypes.data
        assert small_array.shape == (3, large_array.shape[1])
        assert small_array.flags.c_contiguous
    assert engine.buffers(8) is full
    assert [h.shape for h in full.h] == [(8, size) for size in SIZES[1:]]
    assert [delta.shape for delta in full.delta] == [(8, size) for size in SIZES[1:-1]]
    assert not any(np.shares_memory(a, b) for a, b in pairwise([full.x, *full.h, *full.delta]))
    larger = engine.buffers(9)
    assert larger.x.shape == (9, 6)
    assert engine.buffers(8).x.ctypes.data == larger.x.ctypes.data


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_buffers_are_of_the_layers_dtype(dtype):
    buffers = make(dtype)[1].buffers(4)
    for array in (buffers.x, *buffers.h, *buffers.delta):
        assert array.dtype == dtype


def test_a_run_over_batches_is_its_steps_one_by_one(data):
    x, labels = data
    (model, engine), (by_hand, stepping), order = make(), make(), np.array([7, 2, 2, 9, 0, 4, 1])
    totals = engine.train(Examples(ArrayInput(x), labels), order, 3, SGD(**SETTINGS))
    optimizer, loss, correct = SGD(**SETTINGS), 0.0, 0
    for batch in (order[:3], order[3:6], order[6:]):
        mean, right = stepping.step(x[batch], labels[batch], optimizer)
        loss, correct = loss + mean * len(batch), correct + right
    assert totals == (pytest.approx(loss, rel=1e-14), correct, 7, 0)
    for array, same in zip(parameters(model), parameters(by_hand), strict=True):
        np.testing.assert_array_equal(array, same)


def test_a_loss_that_is_not_finite_ends_the_run_after_its_batch(data, monkeypatch):
    x, labels = data
    x[4] = 1e308  # finite itself; its products with these weights are not
    model, engine = make(activation="relu")
    model.layers[0].weight[...] = 10 * np.sign(model.layers[0].weight)
    seen = []
    step = engine.step
    monkeypatch.setattr(engine, "step", lambda x, *rest: seen.append(len(x)) or step(x, *rest))
    with np.errstate(over="ignore", invalid="ignore"):
        totals = engine.train(Examples(ArrayInput(x), labels), np.arange(10), 2, SGD(**SETTINGS))
    assert seen == [2, 2, 2]
    assert totals.rows == 6
    assert not math.isfinite(totals.loss)


def test_logits_and_sums_are_the_references_whatever_the_batch(data):
    x, labels = data
    model, engine = make()
    wanted, network = plain(model).forward(x)[-1], plain(model)
    loss, accuracy = network.evaluate(x, labels)
    for batch_size in (1, 3, 10, 64):
        parts = [(start, part.copy()) for start, part in engine.logits(ArrayInput(x), batch_size)]
        assert [start for start, _ in parts] == list(range(0, 10, batch_size))
        np.testing.assert_allclose(np.concatenate([part for _, part in parts]), wanted, rtol=1e-12, atol=1e-14)
        totals = engine.evaluate(Examples(ArrayInput(x), labels), np.arange(10), batch_size)
        assert totals == (pytest.approx(10 * loss, rel=1e-13), round(10 * accuracy), 10, 0)
