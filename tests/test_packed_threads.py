"""Training of odd sizes: neither the threads show in the bits, nor whether a step is taken at once or in two."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput
from fastmlp.nn.packed import engine as engine_module

# settings whose products are rounded
SETTINGS: dict[str, Any] = {"lr": 0.0123, "momentum": 0.9, "weight_decay": 0.0037}
# sizes, and the rows of a batch: inputs, units and rows with and without some beside whole tiles, and whole blocks; the
# last has weights that are larger than a cache, and are multiplied as they lie
ODD = [((9, 32, 5), 10), ((99, 32, 32, 3), 100), ((300, 64, 7), 64), ((300, 33, 17, 2), 1), ((129, 96, 64, 4), 131)]
ODD += [((9, 384, 416, 5), 72)]


@pytest.fixture(autouse=True)
def any_threads_for_any_size(monkeypatch):
    """More threads than cores, and for networks that one thread would do for."""
    monkeypatch.setattr("fastmlp.nn.threads.usable_cores", lambda: 8)
    monkeypatch.setattr(engine_module, "TEAM_FLOP", 0)


def rows_for(sizes: tuple[int, ...], rows: int, kind: str) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, sizes[-1], rows)
    if kind == "array":
        return rng.standard_normal((rows, sizes[0])).astype(np.float32), labels
    pixels = rng.integers(0, 256, (rows, sizes[0]), np.uint8)
    mean, inv_std = rng.uniform(90, 150, (rows, 3)), rng.uniform(0.01, 0.02, (rows, 3))
    return ImageInput(pixels, mean.astype(np.float32), inv_std.astype(np.float32)), labels


KINDS = [("float32", "array"), ("float32", "images"), ("bfloat16", "array"), ("bfloat16", "images"), ("int8", "images")]


@pytest.mark.parametrize(("precision", "kind"), KINDS)
@pytest.mark.parametrize(("sizes", "batch"), ODD)
def test_training_has_the_same_bits_on_one_to_four_threads(sizes, batch, precision, kind):
    x, labels = rows_for(sizes, 2 * batch + 3, kind)
    ends = set()
    for threads in (1, 2, 3, 4):
        model = MLP(sizes, "relu", precision=precision, matmul="packed", threads=threads)
        fitted = model.fit(x, labels, optimizer=SGD(**SETTINGS), epochs=3, batch_size=batch)
        ends.add((model.parameters.tobytes(), tuple(fitted.history.train_loss), model.predict_proba(x).tobytes()))
    assert len(ends) == 1


@pytest.mark.parametrize(("precision", "kind"), KINDS)
@pytest.mark.parametrize(("sizes", "batch"), ODD)
def test_a_step_is_the_gradient_and_then_the_update_to_the_bit(sizes, batch, precision, kind):
    x, labels = rows_for(sizes, batch, kind)
    at_once, in_two = (MLP(sizes, "relu", precision=precision, matmul="packed", threads=2) for _ in range(2))
    first, second = SGD(**SETTINGS), SGD(**SETTINGS)
    ends = np.cumsum([n for d, h in pairwise(sizes) for n in (d * h, h)])
    parts = [(slice(at, end), i % 2 == 0) for i, (at, end) in enumerate(pairwise([0, *ends]))]  # biases do not decay
    for _ in range(3):
        at_once.train_epoch(x, labels, first, np.arange(batch), batch)
        in_two.loss_and_gradients(x, labels)
        second.step(in_two.parameters, in_two.gradient, parts)
        np.testing.assert_array_equal(at_once.parameters, in_two.parameters)
