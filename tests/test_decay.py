"""What weight decay is scaled by, in both engines and in every precision."""

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput
from fastmlp.errors import ConfigError

ROWS, INPUTS, CLASSES = 80, 12, 3
PIXELS = np.random.default_rng(0).integers(0, 256, (ROWS, INPUTS), np.uint8)
LABELS = np.random.default_rng(1).integers(0, CLASSES, ROWS)


def trained(precision: str, batch_size: int, rows: int, decay: float, decay_per: str) -> np.ndarray:
    """Return the weights after one epoch over so many rows."""
    model = MLP([INPUTS, 20, CLASSES], precision=precision, rng=2)
    model.layers[0].bias[...] = 0.3  # so that one that decays would show
    x = ImageInput(PIXELS, np.full((ROWS, 1), 120, model.dtype), np.full((ROWS, 1), 1 / 70, model.dtype))
    optimizer = SGD(0.05, 0.9, decay, decay_per)
    model.train_epoch(x, LABELS, optimizer, np.arange(rows), batch_size)
    return model.parameters


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16", "int8"])
def test_a_decay_per_batch_is_one_per_update_divided_by_the_rows_of_each_batch(precision: str) -> None:
    per_update = trained(precision, 32, 64, 0.25, "update")  # 32 is a power of two: dividing by it rounds nothing
    np.testing.assert_array_equal(trained(precision, 32, 64, 8.0, "batch"), per_update)
    last_is_half = trained(precision, 32, 80, 8.0, "batch")
    assert not np.array_equal(last_is_half, trained(precision, 32, 80, 0.25, "update"))
    alone = trained(precision, 16, 16, 8.0, "batch")
    np.testing.assert_array_equal(alone, trained(precision, 32, 16, 0.5, "update"))


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_a_name_that_was_assigned_is_checked_in_the_next_step(matmul: str) -> None:
    model, optimizer = MLP([INPUTS, CLASSES], matmul=matmul, threads=1), SGD(0.05, weight_decay=8.0)
    x = PIXELS.astype(np.float32)
    model.train_step(x, LABELS, optimizer)
    weights = model.parameters.copy()
    optimizer.decay_per = "bach"
    with pytest.raises(ConfigError, match="decay_per is 'bach', allowed: update, batch"):
        model.train_step(x, LABELS, optimizer)
    np.testing.assert_array_equal(model.parameters, weights)
