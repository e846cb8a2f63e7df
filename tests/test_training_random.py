"""Training on data and settings drawn at random, most of them bad: no NaN comes out, and nothing fails in silence."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLP, SGD
from fastmlp.nn.history import FitResult
from fastmlp.sklearn import FastMLPClassifier


@dataclass(frozen=True)
class Case:
    """Rows of which each class has a few, in features of one scale, or of several; and how to train on them."""

    scales: tuple[float, ...]
    kind: str = "plain"
    rows: int = 3  # of each class
    classes: int = 3
    noise: float = 0.0  # share of labels drawn anew
    lr: float = 0.01
    momentum: float = 0.9
    batch_size: int = 200
    hidden: tuple[int, ...] = (5,)
    activation: str = "relu"
    precision: str = "float32"
    validation: bool = False
    weighted: bool = False
    epochs: int = 8
    seed: int = 0

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng(self.seed)
        y = np.arange(self.rows * self.classes) % self.classes
        x = rng.normal(size=(len(y), len(self.scales))) + y[:, None]
        if self.kind == "constant":
            x[:, 0] = 1.0
        elif self.kind == "duplicate":
            x[:, 1:] = x[:, :1]
        elif self.kind == "outlier":
            x[0] *= 1e6
        drawn = rng.random(len(y)) < self.noise
        y = np.where(drawn & (np.arange(len(y)) >= self.classes), rng.integers(0, self.classes, len(y)), y)
        dtype = np.float64 if self.precision == "float64" else np.float32
        return (x * self.scales).astype(dtype), y, rng.uniform(0.1, 5, len(y)) if self.weighted else None


powers = st.integers(-30, 30).map(lambda power: 10.0**power)
cases = st.builds(
    Case,
    scales=st.one_of(
        st.builds(lambda scale, count: (scale,) * count, powers, st.integers(1, 4)),
        st.lists(powers, min_size=1, max_size=4).map(tuple),
    ),
    kind=st.sampled_from(["plain", "constant", "duplicate", "outlier"]),
    rows=st.integers(1, 3),
    classes=st.integers(2, 4),
    noise=st.sampled_from([0.0, 0.3, 1.0]),
    lr=st.one_of(st.sampled_from([0.01, 0.1, 1.0]), st.integers(-4, 3).map(lambda power: 10.0**power)),
    momentum=st.sampled_from([0.0, 0.9, 0.99]),
    batch_size=st.sampled_from([1, 4, 200]),
    hidden=st.sampled_from([(), (5,), (5, 4)]),
    activation=st.sampled_from(["relu", "tanh", "sigmoid", "identity"]),
    precision=st.sampled_from(["float32", "float64", "bfloat16"]),
    validation=st.booleans(),
    weighted=st.booleans(),
    epochs=st.sampled_from([1, 2, 8, 30]),
    seed=st.integers(0, 5),
)


def loss_of(probabilities: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
    with np.errstate(divide="ignore"):
        lost = -np.log(probabilities[np.arange(len(y)), y].astype(np.float64))
    return float(np.average(lost, weights=weights))


@settings(max_examples=150)
@given(case=cases)
# a training row that is not in the first batch
@example(case=Case((1e15, 1e15), rows=2, classes=2, momentum=0.0, batch_size=1, epochs=1, seed=4))
# loss far above that of the first epoch, then the frequencies' own
@example(case=Case((1e5,) * 4, precision="float64"))
def test_the_estimator_gives_no_nan_and_tells_what_failed(case):
    x, y, weights = case.data()
    model = FastMLPClassifier(
        case.hidden, case.activation, optimizer="sgd", standardize=False, weight_decay=1e-4,
        learning_rate_init=case.lr, momentum=case.momentum, batch_size=case.batch_size,
        precision=case.precision, max_iter=case.epochs, random_state=0,
    )  # fmt: skip
    held: dict[str, Any] = {"X_val": x[::2], "y_val": y[::2]} if case.validation else {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(x, y, sample_weight=weights, **held)
    assert np.isfinite(model.network_.parameters).all()
    probabilities = model.predict_proba(x)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    shares = np.bincount(y, weights) / (len(y) if weights is None else weights.sum())
    usual = -sum(share * math.log(share) for share in shares if share)
    if loss_of(probabilities, y, weights) > usual * 1.001:
        assert told


@settings(max_examples=150)
@given(case=cases)
# a training row that is not among the held-out ones
@example(case=Case((1e22, 1e22), rows=1, classes=2, momentum=0.0, hidden=(5, 4), validation=True, epochs=1))
def test_a_network_is_left_with_sound_weights(case):
    x, y, weights = case.data()
    model = MLP([x.shape[1], *case.hidden, case.classes], case.activation, precision=case.precision, threads=1)
    before = model.parameters.copy()
    held = (x[::2], y[::2]) if case.validation else None
    result: FitResult = model.fit(
        x, y, sample_weight=weights, validation=held, optimizer=SGD(case.lr, case.momentum), epochs=case.epochs,
        batch_size=case.batch_size, patience=100,
    )  # fmt: skip
    assert np.isfinite(model.parameters).all()
    assert np.isfinite(model.predict_proba(x)).all()
    loss, _ = model.evaluate(x, y, sample_weight=weights)
    assert math.isfinite(loss)
    if result.best_epoch == 0:
        assert result.status == "diverged"
        np.testing.assert_array_equal(model.parameters, before)
    if result.status == "done":
        assert result.epochs == case.epochs
        assert all(map(math.isfinite, result.history.train_loss + result.history.val_loss))
