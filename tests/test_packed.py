"""The packed engine's numbers: gradients and training in float32, float64 and bfloat16, beside the plain reference.

Sizes are odd and go beyond the blocks of the products: 771 inputs and 300 rows are several blocks of each kind, and
three channels of 257 values are padded one by one where bfloat16 takes values in pairs.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastmlp import SGD, ImageInput, reference
from fastmlp.nn.activations import hidden_activations
from fastmlp.nn.dropout import dropout_of
from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import ArrayInput, Input
from fastmlp.nn.loss import CROSS_ENTROPY
from fastmlp.nn.packed.engine import Packed
from fastmlp.nn.packed.state import Batch
from fastmlp.nn.packed.weights import _rows_after
from fastmlp.nn.precision import PRECISIONS
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._rows import Rows
from fastmlp_kernels.gemm.blocks import MC
from packing import rounded

D, K, ROWS = 771, 7, 350
HIDDEN = [(), (45,), (45, 33), (45, 33, 19)]
SETTINGS: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
# How far an array of gradients may be off, by its norm.
# float32 rounds by 6e-8 at the most, and the errors of a sum of 771 terms grow with its root, to 2e-6; the layers on
# the way up and down hand on theirs.
FLOAT32 = 5e-6
# float64 rounds by 1.1e-16 at the most, 2^-29 of that; the reference does as well.
FLOAT64 = 2e-14
# bfloat16 rounds to nearest, by 2^-8 at the most, a third of which is usual, and at random: two factors of a product
# come to 2e-3 of it, and the layers on the way up and down add up.
BFLOAT16 = 1e-2
# With the factors rounded there too, what is left are those within a rounding error of float32 of the middle between
# two bfloat16, and so rounded to the other side: fewer than one in 2^8, by 2^-8 of itself.
ROUNDED = 1e-3
TOLERANCES = {"float32": FLOAT32, "float64": FLOAT64, "bfloat16": BFLOAT16}


class Rounding(np.ndarray):
    """float64, of which both factors of each matrix product are rounded to bfloat16 first."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(value) for value in inputs]
        if ufunc is np.matmul:
            plain = [rounded(value).astype(np.float64) for value in plain]
        if "out" in options:
            options["out"] = tuple(np.asarray(array) for array in options["out"])
        return np.asarray(getattr(ufunc, method)(*plain, **options)).view(Rounding)


class Made(NamedTuple):
    engine: Packed
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    gradients: list[np.ndarray]  # of the weights, then of the biases
    parameters: np.ndarray
    network: reference.Network


def views(flat: np.ndarray, sizes: tuple[int, ...]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the weights and the biases that lie in W1, b1, W2, b2, ..."""
    weights, biases, at = [], [], 0
    for d, h in pairwise(sizes):
        weights.append(flat[at : at + d * h].reshape(d, h))
        biases.append(flat[at + d * h : at + d * h + h])
        at += d * h + h
    return weights, biases


def make(
    sizes: tuple[int, ...],
    precision: str = "float32",
    activation: str = "tanh",
    threads: int = 1,
    *,
    rounding: bool = False,
) -> Made:
    """An engine, its arrays, and the reference of the same weights; with `rounding` that of products in bfloat16."""
    rng = np.random.default_rng(3)
    parameters = np.zeros(sum((d + 1) * h for d, h in pairwise(sizes)), PRECISIONS[precision].dtype)
    gradient = np.zeros_like(parameters)
    weights, biases = views(parameters, sizes)
    for weight, bias in zip(weights, biases, strict=True):
        weight[...] = rng.standard_normal(weight.shape) / np.sqrt(len(weight))
        bias[...] = 0.1 * rng.standard_normal(bias.shape)
    network = reference.Network(weights, biases, activation)
    if rounding:
        network.weights[:] = (weight.view(Rounding) for weight in network.weights)
    names = [*hidden_activations(activation, len(sizes) - 2), "identity"]
    goal = CROSS_ENTROPY, dropout_of(0.0, 0.0, len(sizes) - 2)
    engine = Packed(sizes, names, goal, (parameters, gradient), precision, threads)
    return Made(engine, weights, biases, [*views(gradient, sizes)[0], *views(gradient, sizes)[1]], parameters, network)


def images_of(
    channels: int, rows: int = ROWS, values: int = D, dtype: str = "float32"
) -> tuple[ImageInput, np.ndarray]:
    """Images in an order of their own, and what they are once normalised."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (rows + 9, values), np.uint8)
    images[: rows // 2] //= 3  # of another mean and range
    mean, inv_std = (a.astype(dtype) for a in reference.image_moments(images, channels))
    picked = rng.permutation(rows + 9)[:rows]
    return ImageInput(images, mean, inv_std, picked), reference.gather_normalize(images, picked, mean, inv_std)


def array_of(rows: int = ROWS, values: int = D, dtype: str = "float32") -> tuple[ArrayInput, np.ndarray]:
    x = np.random.default_rng(8).standard_normal((rows, values)).astype(dtype)
    return ArrayInput(x), x.astype(np.float64)


SOURCES: dict[str, Callable[..., tuple[Input, np.ndarray]]] = {
    "array": array_of,
    "image": partial(images_of, 1),
    "channels": partial(images_of, 3),
}


def labels_of(rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(9).integers(0, K, rows)


def apart(got: np.ndarray, want: np.ndarray) -> float:
    """How far one array is from another, by the norm of the second."""
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def gradients_by_a_step(made: Made, inputs: Input, labels: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """From v = -1 g, the velocity after a first step at rate 1: the way on which images have a gradient too."""
    optimizer = SGD(lr=1.0, momentum=0.0, weight_decay=0.0)
    made.engine.train(Examples(inputs, labels), order, len(order), optimizer)
    weights, biases = views(-optimizer.state_of(made.parameters)[0], (D, *(b.size for b in made.biases)))
    return [*weights, *biases]


def assert_gradients(made: Made, inputs: Input, x: np.ndarray, tolerance: float, rows: int = 300) -> None:
    """Compare all gradients of a batch of so many rows, out of order."""
    labels, order = labels_of(), np.random.default_rng(1).permutation(ROWS)[:rows]
    _, _, dweights, dbiases = made.network.loss_and_gradients(x[order], labels[order])
    off = list(map(apart, gradients_by_a_step(made, inputs, labels, order), [*dweights, *dbiases]))
    assert max(off) < tolerance, off


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
def test_gradients_in_float32_equal_the_reference(hidden, source):
    assert_gradients(make((D, *hidden, K)), *SOURCES[source](), FLOAT32)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
def test_gradients_in_float64_equal_the_reference(hidden, source):
    assert_gradients(make((D, *hidden, K), "float64"), *SOURCES[source](dtype="float64"), FLOAT64)


@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
def test_gradients_in_bfloat16_equal_those_of_rounded_factors(hidden):
    assert_gradients(make((D, *hidden, K), "bfloat16", rounding=True), *array_of(), ROUNDED)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
def test_gradients_in_bfloat16_are_near_the_reference(hidden, source):
    assert_gradients(make((D, *hidden, K), "bfloat16"), *SOURCES[source](), BFLOAT16)


@pytest.mark.parametrize("hidden", HIDDEN[1:], ids=str)
def test_gradients_of_relu_in_bfloat16_are_near_the_reference_but_for_its_kinks(hidden):
    """Where a unit's sum is nearer to zero than its rounding, it is on here and off there, with its whole gradient."""
    # by 2^-8 of a sum's usual size: one unit in 250 a layer, and so 1/16 of the norm; three layers add up to more
    assert_gradients(make((D, *hidden, K), "bfloat16", "relu"), *images_of(3), 0.15)


def test_gradients_alone_are_those_of_a_step_and_move_nothing():
    labels = labels_of()
    for precision in ("float32", "float64", "bfloat16"):
        x = array_of()[1].astype(PRECISIONS[precision].dtype)
        made, stepping = make((D, 45, 33, K), precision), make((D, 45, 33, K), precision)
        before = made.parameters.copy()
        told = made.engine.gradients(x, labels)
        np.testing.assert_array_equal(made.parameters, before)
        steps = gradients_by_a_step(stepping, ArrayInput(x), labels, np.arange(ROWS))
        for got, want in zip(made.gradients, steps, strict=True):
            np.testing.assert_array_equal(got, want)
        assert told == make((D, 45, 33, K), precision).engine.step(x, labels, SGD())


# A batch of one; of two, a pair of bfloat16; around 128, a block of rows where the L2 cache has 1 MiB; above all rows.
@pytest.mark.parametrize("batch", [1, 2, 127, 128, 129, 1000])
@pytest.mark.parametrize("source", ["array", "channels"])
@pytest.mark.parametrize(
    ("precision", "tolerance", "of_loss", "answers"),
    [("float32", 2e-5, 1e-7, 1), ("float64", 8e-14, 1e-14, 0), ("bfloat16", BFLOAT16, 1e-3, 4)],
)
def test_training_equals_the_reference_whatever_the_batch(precision, tolerance, of_loss, answers, source, batch):
    """The loss is not as far off as gradients are: the errors of many sums are in its mean."""
    sizes = (111, 45, 33, K)
    made, start = make(sizes, precision), make(sizes, precision).network
    inputs, x = SOURCES[source](300, 111, PRECISIONS[precision].dtype)
    lr = min(0.05, batch / 2500)  # higher rates throw small batches about, and errors with them
    settings: dict[str, Any] = SETTINGS | {"lr": lr}
    labels, optimizer, rng = labels_of(300), SGD(**settings), np.random.default_rng(2)
    for _ in range(2):
        order = rng.permutation(300)
        totals = made.engine.train(Examples(inputs, labels), order, batch, optimizer)
        loss, accuracy = reference.train_epoch(made.network, x, labels, order, batch, **settings)
        assert totals.rows == 300
        assert totals.loss == pytest.approx(300 * loss, rel=of_loss)
        assert abs(totals.correct - 300 * accuracy) <= answers  # two logits may tie but for rounding
    for got, want, first in (
        *zip(made.weights, made.network.weights, start.weights, strict=True),
        *zip(made.biases, made.network.biases, start.biases, strict=True),
    ):
        assert apart(got - first, want - first) < tolerance


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_evaluation_and_logits_are_the_references(precision, source):
    labels, made = labels_of(), make((D, 45, 33, K), precision)
    inputs, x = SOURCES[source](dtype=PRECISIONS[precision].dtype)
    logits = made.network.forward(x)[-1]
    loss, accuracy = made.network.evaluate(x, labels)
    allowed = {"float32": (FLOAT32, 1e-6, 0), "float64": (FLOAT64, 1e-14, 0), "bfloat16": (BFLOAT16, 1e-3, 4)}
    tolerance, of_loss, answers = allowed[precision]
    before, sums = made.parameters.copy(), set()
    for batch in (1, 127, 350, 1024):
        totals = made.engine.evaluate(Examples(inputs, labels), np.arange(ROWS), batch)
        assert totals.rows == ROWS
        assert totals.loss == pytest.approx(ROWS * loss, rel=of_loss)
        assert abs(totals.correct - ROWS * accuracy) <= answers
        parts = [(start, part.copy()) for start, part in made.engine.logits(inputs, batch)]
        assert [start for start, _ in parts] == list(range(0, ROWS, batch))
        got = np.concatenate([part for _, part in parts])
        assert apart(got, logits) < tolerance
        sums.add(got.tobytes())
    assert len(sums) == 1  # a row's arithmetic does not depend on its batch
    np.testing.assert_array_equal(made.parameters, before)


def test_logits_in_bfloat16_are_those_of_rounded_weights_and_exact_pixels():
    (inputs, x), made = images_of(3), make((D, K), "bfloat16")
    _, got = next(iter(made.engine.logits(inputs, 512)))
    assert apart(got, x @ rounded(made.weights[0]).astype(np.float64)) < FLOAT32


class Own:
    """Rows of a user's own making, which only Python can gather."""

    def __init__(self, x: np.ndarray) -> None:
        self._x, self.features = x, x.shape[1]

    def __len__(self) -> int:
        return len(self._x)

    def gather(self, index: np.ndarray, out: np.ndarray) -> None:
        out[...] = self._x[index]


class Unreadable(Own):
    """Such rows that say so."""

    def source(self) -> None:
        """No array that compiled code could read."""


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rows_of_any_kind_give_the_same_bits(precision):
    x = np.random.default_rng(8).integers(-9, 10, (50, 24)).astype(np.float32)
    others = [ArrayInput(x.astype(kind)) for kind in (np.float32, np.float64, np.int64, np.int8, np.float16, ">f4")]
    others += [ArrayInput(np.asfortranarray(x)), ArrayInput(np.repeat(x, 2, axis=1)[:, ::2]), Own(x), Unreadable(x)]
    order, labels, results = np.random.default_rng(2).permutation(50), labels_of(50), []
    for inputs in (ArrayInput(x), *others):
        made = make((24, 9, K), precision)
        totals = made.engine.train(Examples(inputs, labels), order, 16, SGD(**SETTINGS))
        evaluated = made.engine.evaluate(Examples(inputs, labels), order, 16)
        logits = np.concatenate([part.copy() for _, part in made.engine.logits(inputs, 16)])
        results.append((totals, evaluated, logits.tobytes(), made.parameters.tobytes()))
    assert all(result == results[0] for result in results)


# Few rows and layers whose units fill the micro-kernels' tiles take ways of their own: weights that are read as they
# lie, a flat tile, and an update as the tiles leave the registers.
@pytest.mark.parametrize("rows", [1, 4, 5, 16, 32, 33])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES.items())
@pytest.mark.parametrize("hidden", [(128,), (64, 32), (128, 45)], ids=str)
def test_gradients_of_few_rows_equal_the_reference(hidden, precision, tolerance, source, rows):
    inputs, x = SOURCES[source](dtype=PRECISIONS[precision].dtype)
    assert_gradients(make((D, *hidden, K), precision), inputs, x, tolerance, rows)


# Weights larger than a cache are multiplied as they lie, forwards panel by panel, and on the way back from the left.
@pytest.mark.parametrize("rows", [40, 150])
@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES.items())
def test_gradients_of_wide_layers_equal_the_reference(precision, tolerance, rows):
    inputs, x = array_of(dtype=PRECISIONS[precision].dtype)
    assert_gradients(make((D, 416, 384, K), precision), inputs, x, tolerance, rows)


@pytest.mark.parametrize("rows", [1, 16, 300])
@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES.items())
def test_steps_with_decay_and_momentum_equal_the_reference(precision, tolerance, rows):
    """Each way to take a step has its own code for the rule: two steps, the second from a velocity."""
    made, (inputs, x) = make((D, 128, K), precision), images_of(3, dtype=PRECISIONS[precision].dtype)
    labels, order, optimizer = labels_of(), np.arange(rows), SGD(**SETTINGS)
    velocity = [np.zeros(w.shape) for w in made.weights]
    for _ in range(2):
        _, _, dweights, _ = made.network.loss_and_gradients(x[order], labels[order])
        before = [w.astype(np.float64) for w in made.weights]
        made.engine.train(Examples(inputs, labels), order, rows, optimizer)
        for i, (w, dw) in enumerate(zip(before, dweights, strict=True)):
            velocity[i] = 0.9 * velocity[i] - 0.05 * (dw + 0.01 * w)
            got = views(optimizer.state_of(made.parameters)[0], (D, 128, K))[0][i]
            assert apart(got, velocity[i]) < 2 * tolerance
            # the weights are of order 0.04, of which the step is a part: float32 rounds them by 6e-8 of that
            assert np.abs(made.weights[i] - (w + got)).max() < 1e-7
            velocity[i] = got.astype(np.float64)
        made.network.weights[:] = [w.astype(np.float64) for w in made.weights]
        made.network.biases[:] = [b.astype(np.float64) for b in made.biases]


@kernel
def _asked_for(x, index, criterion):
    rows = Rows(x, index, None, None)
    after = _rows_after(Batch(rows, rows, x, x, 1, criterion, 1.0, 0), (0, x.shape[1]))
    return after.first, after.end


def test_the_rows_that_the_next_batch_begins_with_are_asked_for():
    narrow, wide = np.zeros((300, 4), np.float32), np.zeros((300, 1 << 14), np.float32)
    criterion = CROSS_ENTROPY.criterion
    assert _asked_for(narrow, np.arange(300), criterion) == (0, MC)  # all that a task takes through the layers at once
    assert _asked_for(narrow, np.arange(9), criterion) == (0, 9)
    assert _asked_for(wide, np.arange(300), criterion) == (0, 0)
