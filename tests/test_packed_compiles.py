"""How often the packed engine compiles: once for all that a network does."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from numba import typeof

from fastmlp import MLP, SGD, Adam, AdamW, ImageInput, Model, reference
from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError
from fastmlp.nn.inputs import ArrayInput
from fastmlp.nn.packed import engine

SIZES, ROWS = (30, 7, 5), 64
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, SIZES[0])).astype(np.float32)
PIXELS = RNG.integers(0, 256, X.shape, np.uint8)
LABELS, ORDER = RNG.integers(0, SIZES[-1], ROWS), RNG.permutation(ROWS)


def frozen(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def images() -> ImageInput:
    return ImageInput(PIXELS, *(a.astype(np.float32) for a in reference.image_moments(PIXELS, 3)))


def moves(inputs: Any, precision: str) -> None:
    """Do all that can be done with rows of this kind."""
    for activation in ("tanh", "sigmoid", "relu", "identity"):
        model = MLP(SIZES, activation, precision=precision, threads=1)
        model.train_epoch(inputs, LABELS, SGD(), ORDER, 16)
    weights = np.linspace(0, 2, ROWS)
    model.fit(inputs, LABELS, sample_weight=weights, validation=(inputs, LABELS), epochs=1, batch_size=16)
    model.evaluate(inputs, LABELS, sample_weight=weights)
    model.predict(inputs)
    if isinstance(inputs, ImageInput):
        model.loss_and_gradients(inputs, LABELS)
    else:
        for x, labels in ((X, frozen(LABELS)), (frozen(X), LABELS)):
            model.loss_and_gradients(x, labels)
            model.train_step(x, labels, SGD())


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """What the compiled run has been called with, by the types of its arguments."""
    kinds, run = set(), engine.run
    monkeypatch.setattr(engine, "run", lambda *a: (kinds.add(tuple(map(typeof, a))), run(*a))[1])
    return kinds


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_all_that_a_network_does_is_compiled_once(precision, kinds):
    """Activations, weights or none, arrays that may be written to or not, and every call share one compilation."""
    moves(images(), precision)
    assert len(kinds) == 1
    if precision != "int8":  # which is for images alone
        moves(ArrayInput(X), precision)
        moves(frozen(X), precision)
        assert len(kinds) == 2


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_adam_trains_is_evaluated_by_what_adam_compiled(dropout, kinds):
    """The network itself, a copy, a new one of its settings, and one of its model."""
    model = MLP(SIZES, dropout=dropout, threads=1)
    for optimizer in (Adam(), AdamW(clip_norm=1.0)):
        model.train_epoch(X, LABELS, optimizer, ORDER, 16)
        model.evaluate(X, LABELS)
        model.loss_and_gradients(X, LABELS)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.predict(X)
    config = RunConfig(dataset="own", layers=SIZES, optimizer="adam", dropout=dropout, normalize="none")
    network = config.new_network(0, threads=1)
    network.evaluate(X, LABELS)
    config_model = Model(SIZES, "tanh", "float32", network.parameters, "none", config=config)
    config_model.network(threads=1).evaluate(X, LABELS)
    assert len(kinds) == 1


def test_what_is_expected_changes_the_code_and_no_result(kinds):
    models = [MLP(SIZES, threads=1) for _ in range(2)]
    models[1].expect(Adam())
    assert models[0].evaluate(X, LABELS) == models[1].evaluate(X, LABELS)
    assert len(kinds) == 2
    blas = MLP(SIZES, matmul="blas")
    blas.expect(Adam())
    for model in (blas, models[0]):
        with pytest.raises(ConfigError, match="optimizer is 'adam', allowed is an optimiser such as"):
            model.expect("adam")  # pyright: ignore[reportArgumentType]
    assert blas.evaluate(X, LABELS) == pytest.approx(models[0].evaluate(X, LABELS), rel=1e-5)
