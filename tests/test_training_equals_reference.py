"""The fast path trains as the plain reference does, step by step and epoch by epoch, and a step allocates no array."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput, reference
from fastmlp.nn.examples import Examples
from fastmlp.nn.fit import fit
from fastmlp.nn.inputs import ArrayInput
from fastmlp.nn.packed.engine import Packed

LR, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 0.01
SETTINGS: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
NETWORKS = [
    pytest.param((40, 24, 6), "tanh", id="tanh"),
    pytest.param((40, 24, 6), "sigmoid", id="sigmoid"),
    pytest.param((40, 24, 6), "relu", id="relu"),
    pytest.param((40, 20, 12, 6), "tanh", id="two_hidden_tanh"),
    pytest.param((40, 20, 12, 6), "relu", id="two_hidden_relu"),
    pytest.param((40, 6), "tanh", id="no_hidden"),
]
# Other orders of summation differ by some rounding errors a step, and 200 steps carry them on: 200 errors added without
# cancelling are 2e-14 in float64 and 1.2e-5 in float32. Steps make some of them larger, by the curvature of the loss.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
WAYS = [("float64", "packed"), ("float64", "blas"), ("float32", "packed"), ("float32", "blas")]


def make_pair(sizes, activation, dtype, matmul=None):
    """Return a fast network and the reference with the same weights; biases that are not zero."""
    model = MLP(list(sizes), activation, precision=dtype, matmul=matmul, rng=np.random.default_rng(5))
    rng = np.random.default_rng(6)
    for layer in model.layers:
        layer.bias[...] = 0.1 * rng.standard_normal(layer.bias.shape)
    network = reference.Network([la.weight for la in model.layers], [la.bias for la in model.layers], activation)
    return model, network


def make_data(rows, features, classes, seed=9):
    """Return (x, labels) with something to learn and something to overfit."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, features)).astype(np.float32).astype(np.float64)  # the same in both precisions
    labels = (x[:, :classes] + rng.standard_normal((rows, classes))).argmax(axis=1)
    return x, labels


def assert_equal_parameters(model, network, tolerance):
    """Check every array to `tolerance` of its largest entry."""
    for layer, weight, bias in zip(model.layers, network.weights, network.biases, strict=True):
        np.testing.assert_allclose(layer.weight, weight, rtol=0, atol=tolerance * np.abs(weight).max())
        np.testing.assert_allclose(layer.bias, bias, rtol=0, atol=tolerance * np.abs(bias).max())


@pytest.mark.parametrize(("dtype", "matmul"), WAYS)
@pytest.mark.parametrize(("sizes", "activation"), NETWORKS)
def test_200_steps_equal_the_reference(sizes, activation, dtype, matmul):
    model, network = make_pair(sizes, activation, dtype, matmul)
    optimizer, tolerance = SGD(**SETTINGS), TOLERANCE[dtype]
    x, labels = make_data(1000, sizes[0], sizes[-1])
    rng, wanted_loss = np.random.default_rng(1), np.inf
    for step in range(200):
        batch = rng.integers(0, len(x), 64 if step % 4 else 37)  # a smaller batch now and then
        loss, correct = model.train_step(x[batch].astype(dtype), labels[batch], optimizer)
        wanted_loss, wanted_correct = network.train_step(x[batch], labels[batch], **SETTINGS)
        assert loss == pytest.approx(wanted_loss, rel=tolerance)
        assert abs(correct - wanted_correct) <= (dtype == "float32")  # two logits may tie but for rounding
    assert_equal_parameters(model, network, tolerance)
    assert np.abs(network.weights[0]).max() > 0
    assert wanted_loss < 0.9 * np.log(sizes[-1])  # it did learn


@pytest.mark.parametrize(("dtype", "matmul"), WAYS)
@pytest.mark.parametrize(("sizes", "activation"), NETWORKS)
def test_fit_equals_the_reference_epoch_by_epoch(sizes, activation, dtype, matmul):
    model, network = make_pair(sizes, activation, dtype, matmul)
    train, validation = make_data(500, sizes[0], sizes[-1]), make_data(200, sizes[0], sizes[-1], seed=10)
    options: dict[str, Any] = {"epochs": 6, "batch_size": 128, "patience": 5}  # 128, 128, 128 and a last batch of 116
    result = fit(
        model, train[0].astype(dtype), train[1], validation=(validation[0].astype(dtype), validation[1]),
        optimizer=SGD(**SETTINGS), rng=np.random.default_rng(2), **options,
    )  # fmt: skip
    history = reference.fit(network, train, validation, np.random.default_rng(2), **options, **SETTINGS)
    for name, wanted in history.items():
        slack = 1.5 / 200 if "accuracy" in name and dtype == "float32" else 0.0
        np.testing.assert_allclose(
            getattr(result.history, name), wanted, rtol=TOLERANCE[dtype], atol=slack, err_msg=name
        )
    assert_equal_parameters(model, network, TOLERANCE[dtype])


def test_early_stopping_and_the_weights_kept_equal_the_reference():
    sizes = (40, 24, 6)
    model, network = make_pair(sizes, "relu", "float64")
    train, validation = make_data(60, 40, 6), make_data(200, 40, 6, seed=10)  # few rows: it overfits soon
    options: dict[str, Any] = {"epochs": 200, "batch_size": 20, "patience": 4}
    settings: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM, "weight_decay": 0.0}
    result = fit(
        model, *train, validation=validation, optimizer=SGD(**settings), rng=np.random.default_rng(2), **options
    )
    history = reference.fit(network, train, validation, np.random.default_rng(2), **options, **settings)
    assert result.epochs == len(history["val_loss"]) < 200
    assert result.best_epoch == 1 + int(np.argmin(history["val_loss"])) < result.epochs
    np.testing.assert_allclose(result.history.val_loss, history["val_loss"], rtol=1e-9)
    assert_equal_parameters(model, network, 1e-9)
    assert model.evaluate(*validation)[0] == pytest.approx(min(history["val_loss"]), rel=1e-9)


@pytest.mark.parametrize(("dtype", "matmul"), WAYS)
@pytest.mark.parametrize("channels", [1, 3])
def test_training_from_images_equals_the_reference_on_normalised_rows(channels, dtype, matmul):
    sizes = (48, 16, 5)
    model, network = make_pair(sizes, "tanh", dtype, matmul)
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (300, 48), dtype=np.uint8)
    rows, labels = rng.permutation(300)[:200], rng.integers(0, 5, 200)
    mean, inv_std = (a.astype(dtype) for a in reference.image_moments(images, channels))
    inputs = ImageInput(images, mean, inv_std, rows)
    fit(model, inputs, labels, optimizer=SGD(**SETTINGS), epochs=3, batch_size=64, rng=np.random.default_rng(2))
    x, order = reference.gather_normalize(images, rows, mean, inv_std), np.random.default_rng(2)
    for _ in range(3):
        reference.train_epoch(network, x, labels, order.permutation(200), 64, **SETTINGS)
    assert_equal_parameters(model, network, TOLERANCE[dtype])


def _bits(seed, **way):
    model = MLP([40, 24, 6], "tanh", rng=np.random.default_rng(seed), **way)
    data = make_data(300, 40, 6)
    result = fit(
        model,
        *data,
        validation=data,
        optimizer=SGD(**SETTINGS),
        epochs=4,
        batch_size=64,
        rng=np.random.default_rng(seed),
    )
    return [array.tobytes() for la in model.layers for array in (la.weight, la.bias)], result.history


@pytest.mark.parametrize("way", [{"matmul": "packed"}, {"matmul": "blas"}, {"precision": "bfloat16"}], ids=str)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(way):
    assert _bits(3, **way) == _bits(3, **way)
    assert _bits(3, **way)[0] != _bits(4, **way)[0]


def traced(call: Callable[[], object]) -> tuple[int, int]:
    """Return (most bytes that 5 calls held at any moment, bytes they left behind), the least of twenty rounds.

    numpy tells tracemalloc of its arrays, and so does numba. Python's stores of small objects, kept for the next ones,
    fill up now and then; what each call leaves behind is left in every round. Those of tuples, of thousands, are filled
    before.
    """
    tuples = [tuple([None] * size) for size in range(1, 21) for _ in range(2000)]
    del tuples
    for _ in range(8):
        call()
    rounds = []
    tracemalloc.start()
    try:
        for _ in range(20):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(5):
                call()
            after, peak = tracemalloc.get_traced_memory()
            rounds.append((peak - before, after - before))
    finally:
        tracemalloc.stop()
    return min(peak for peak, _ in rounds), min(left for _, left in rounds)


def training(source: str, rows: int, batch: int, matmul: str, threads: int = 1) -> tuple[int, int]:
    """Trace calls of `rows` rows in batches."""
    sizes, rng = (300, 64, 10), np.random.default_rng(0)
    images = rng.integers(0, 256, (2048, sizes[0]), dtype=np.uint8)
    mean, inv_std = (a.astype(np.float32) for a in reference.image_moments(images, 1))
    inputs = ImageInput(images, mean, inv_std) if source == "images" else ArrayInput(images.astype(np.float32) / 255)
    labels, order = rng.integers(0, sizes[-1], 2048), rng.permutation(2048)[:rows]
    model, optimizer = MLP(list(sizes), "tanh", matmul=matmul), SGD(LR, MOMENTUM, WEIGHT_DECAY)
    if matmul == "packed":  # with threads beside it even on one core
        model._engine = Packed(
            sizes,
            ["tanh", "identity"],
            (model.loss, model.dropout),
            (model.parameters, model.gradient),
            "float32",
            threads,
        )
    return traced(lambda: model._engine.train(Examples(inputs, labels), order, batch, optimizer))


@pytest.mark.parametrize("source", ["array", "images"])
def test_a_training_step_over_blas_allocates_no_array(source):
    """Views and numbers are some hundred bytes of objects."""
    small, left = training(source, 256, 256, "blas")
    large, left_large = training(source, 1024, 1024, "blas")
    assert abs(large - small) < 1024
    assert large < 2048
    assert max(left, left_large) < 1024


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("source", ["array", "images"])
def test_a_packed_training_call_allocates_labels_and_row_numbers_and_nothing_by_the_batch(source, threads):
    """Those are 16 bytes a row of the call, where one row of an input or a hidden layer has 1200 or 256."""
    small, left = training(source, 1024, 64, "packed", threads)
    large, left_large = training(source, 1024, 1024, "packed", threads)
    longer, _ = training(source, 2048, 64, "packed", threads)
    assert abs(large - small) < 4096  # some objects, and with a second thread those by which they meet
    assert longer - small < 16 * 1024 + 4096
    assert large < 16 * 1024 + 16384
    assert max(left, left_large) < 1024


def test_the_count_of_allocations_sees_an_array():
    """Guards the test above: it would notice one temporary."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        np.ones((1024, 10), np.float32).sum()
        assert tracemalloc.get_traced_memory()[1] - before >= 1024 * 10 * 4
    finally:
        tracemalloc.stop()
