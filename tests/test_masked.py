"""Masked arrays: what is masked is no number, and whoever would take it for one refuses it by its argument's name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput
from fastmlp.models.model import Model
from fastmlp.nn.augment import AugmentedImages
from fastmlp.nn.augmentations import AUGMENTATIONS
from fastmlp.nn.inputs import ArrayInput, checked_rows

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])
PIXELS, ONES = np.zeros((6, 3072), np.uint8), np.ones((6, 3), np.float32)


def masked(values: np.ndarray) -> Any:
    return np.ma.array(values, mask=np.arange(values.size).reshape(values.shape) == 1)


def network() -> MLP:
    return MLP([4, 5, 3], threads=1)


def assign(name: str) -> None:
    layer = network().layers[0]
    setattr(layer, name, masked(getattr(layer, name)))


def moments(images: np.ndarray) -> Any:
    return ONES[: len(images)], ONES[: len(images)]


TAKEN: list[tuple[str, Callable[[], Any]]] = [
    ("x", lambda: ArrayInput(masked(X))),
    ("x", lambda: ArrayInput([masked(row) for row in X])),  # pyright: ignore[reportArgumentType]
    ("x", lambda: network().fit(masked(X), Y, epochs=1)),
    ("labels", lambda: network().fit(X, masked(Y), epochs=1)),
    ("sample_weight", lambda: network().fit(X, Y, sample_weight=masked(np.ones(6)), epochs=1)),
    ("x", lambda: network().fit(X, Y, validation=(masked(X), Y), epochs=1)),
    ("labels", lambda: network().fit(X, Y, validation=(X, masked(Y)), epochs=1)),
    ("x", lambda: network().train_step(masked(X), Y, SGD())),
    ("labels", lambda: network().train_step(X, masked(Y), SGD())),
    ("x", lambda: network().loss_and_gradients(masked(X), Y)),
    ("order", lambda: network().train_epoch(X, Y, SGD(), masked(np.arange(6)))),
    ("rows", lambda: checked_rows("rows", masked(np.arange(3)), 6)),
    ("x", lambda: network().evaluate(masked(X), Y)),
    ("sample_weight", lambda: network().evaluate(X, Y, sample_weight=masked(np.ones(6)))),
    ("x", lambda: network().predict(masked(X))),
    ("x", lambda: network().predict_proba(masked(X))),
    ("x", lambda: Model.of(network()).predict_proba(masked(X), threads=1)),
    ("weight", lambda: assign("weight")),
    ("bias", lambda: assign("bias")),
    ("images", lambda: ImageInput(masked(PIXELS), ONES, ONES)),
    ("mean", lambda: ImageInput(PIXELS, masked(ONES), ONES)),
    ("inv_std", lambda: ImageInput(PIXELS, ONES, masked(ONES))),
    ("rows", lambda: ImageInput(PIXELS, ONES, ONES, masked(np.arange(6)))),
    ("images", lambda: AugmentedImages(masked(PIXELS), np.arange(6), moments, AUGMENTATIONS["mirror-shift"])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call"), TAKEN, ids=range(len(TAKEN)))
def test_what_is_masked_is_refused(name, call):
    with pytest.raises(TypeError, match=f"^{name} is a masked array, whose mask would be ignored"):
        call()


def test_other_subclasses_are_the_arrays_that_they_hold(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped, nothing_masked = np.load(tmp_path / "x.npy", mmap_mode="r"), np.ma.array(X, mask=False)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.asmatrix(X)
    want = network().predict_proba(X)
    for x in (mapped, nothing_masked, matrix):
        np.testing.assert_array_equal(network().predict_proba(x), want)


def test_the_estimator_refuses_what_is_masked():
    FastMLPClassifier = pytest.importorskip("fastmlp.sklearn").FastMLPClassifier
    model = FastMLPClassifier((30,), max_iter=100, random_state=0).fit(X, Y)
    x, y, weights, small = masked(X), masked(Y), masked(np.ones(6)), FastMLPClassifier((5,))
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("X", lambda: model.fit(x, Y)),
        ("y", lambda: model.fit(X, y)),
        ("sample_weight", lambda: model.fit(X, Y, weights)),
        ("X_val", lambda: model.fit(X, Y, X_val=x, y_val=Y)),
        ("y_val", lambda: model.fit(X, Y, X_val=X, y_val=y)),
        ("sample_weight_val", lambda: model.fit(X, Y, X_val=X, y_val=Y, sample_weight_val=weights)),
        ("X", lambda: model.partial_fit(x, Y)),
        ("y", lambda: model.partial_fit(X, y)),
        ("sample_weight", lambda: model.partial_fit(X, Y, weights)),
        ("classes", lambda: small.partial_fit(X, Y, classes=masked(np.arange(3)))),
        ("X", lambda: model.predict(x)),
        ("X", lambda: model.predict_proba(x)),
        ("X", lambda: model.predict_log_proba(x)),
        ("X", lambda: model.score(x, Y)),
    ]
    for name, call in calls:
        with pytest.raises(TypeError, match=f"^{name} is a masked array, whose mask would be ignored"):
            call()
