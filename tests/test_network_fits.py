"""`MLP.fit` call after call: what begins anew, what is kept, and what is refused before anything changes."""

from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD
from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.fit import fit

RNG = np.random.default_rng(4)
X, LABELS = RNG.standard_normal((40, 6)).astype(np.float32), RNG.integers(0, 3, 40)


def make(**options: Any) -> MLP:
    return MLP([6, 5, 3], threads=1, **options)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_second_fit_with_the_same_optimizer_begins_wholly_anew(precision):
    mlp, optimizer = make(precision=precision), SGD(0.1)
    first = mlp.fit(X, LABELS, optimizer=optimizer, epochs=5, batch_size=8)
    weights = mlp.parameters.copy()
    again = mlp.fit(X, LABELS, optimizer=optimizer, epochs=5, batch_size=8)
    assert again.history == first.history == mlp.history
    np.testing.assert_array_equal(mlp.parameters, weights)


def test_a_warm_start_trains_on_without_velocity():
    mlp, other, optimizer = make(), make(), SGD(0.1)
    mlp.fit(X, LABELS, optimizer=optimizer, epochs=5, batch_size=8)
    other.parameters[...] = mlp.parameters
    warm = mlp.fit(X, LABELS, optimizer=optimizer, epochs=2, batch_size=8, warm_start=True)
    wanted = other.fit(X, LABELS, optimizer=SGD(0.1), epochs=2, batch_size=8)
    assert warm.history == wanted.history


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("how", ["parameters", "layer", "train_epoch"])
def test_weights_that_were_assigned_are_what_training_begins_with(how, warm):
    mlp, wanted = make(), make(rng=7)
    mlp.fit(X, LABELS, epochs=3)
    if how == "train_epoch":
        mlp.train_epoch(X, LABELS, SGD(0.1), np.arange(40), 8)
        wanted.parameters[...] = mlp.parameters
    elif how == "layer":
        for layer, given in zip(mlp.layers, wanted.layers, strict=True):
            layer.weight, layer.bias = given.weight, given.bias
    else:
        mlp.parameters[...] = wanted.parameters
    began = wanted.fit(X, LABELS, epochs=3).history
    assert mlp.fit(X, LABELS, epochs=3, warm_start=warm).history == began
    assert mlp.fit(X, LABELS, epochs=3).history == began  # and so does the next one


def test_weights_that_were_there_are_kept_where_none_are_better():
    held, worse = (X, LABELS), SGD(100.0)
    mlp = make()
    mlp.fit(X, LABELS, validation=held, optimizer=SGD(0.1), epochs=30)
    trained, loss = mlp.parameters.copy(), mlp.evaluate(X, LABELS)[0]
    for warm in (True, False):
        if not warm:
            mlp = make()
            mlp.parameters[...] = trained
        result = mlp.fit(X, LABELS, validation=held, optimizer=worse, epochs=2, warm_start=warm)
        assert (result.best_epoch, result.val_loss) == (0, loss)
        np.testing.assert_array_equal(mlp.parameters, trained)
    fresh = make().fit(X, LABELS, validation=held, optimizer=worse, epochs=2)
    assert fresh.best_epoch > 0  # new weights are no candidate


def test_an_interrupt_leaves_the_best_weights_and_the_history():
    mlp, wanted = make(), make()

    def interrupt(epoch: int, _: Any) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mlp.fit(X, LABELS, epochs=9, batch_size=8, on_epoch=interrupt)
    result = wanted.fit(X, LABELS, epochs=3, batch_size=8)
    assert mlp.history == result.history
    np.testing.assert_array_equal(mlp.parameters, wanted.parameters)


MASKED = np.ma.masked_array(X, X > 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"optimizer": "sgd"}, ConfigError, "optimizer is 'sgd', allowed is an optimiser such as SGD"),
        ({"optimizer": SGD(1e39)}, ConfigError, "lr is 1e[+]39, allowed is .* that float32 holds"),
        ({"optimizer": SGD(0.1, 1 - 1e-12)}, ConfigError, "momentum is .*, in float32"),
        ({"optimizer": SGD(0.1, 0.9, 1e39)}, ConfigError, "weight_decay is 1e[+]39"),
        ({"validation": (X,)}, DataError, r"validation is 1 parts, expected \(inputs, targets\)"),
        ({"validation": (X, LABELS, None, None)}, DataError, "validation is 4 parts"),
        ({"validation": X}, DataError, "validation is a ndarray"),
        ({"validation": (MASKED, LABELS)}, TypeError, "x is a masked array"),
        ({"x": MASKED}, TypeError, "x is a masked array"),
        ({"targets": np.ma.masked_array(LABELS, LABELS > 1)}, TypeError, "labels is a masked array"),
        (
            {"sample_weight": np.ma.masked_array(np.ones(40), np.arange(40) == 3)},
            TypeError,
            "sample_weight is a masked array",
        ),
        (
            {"x": np.where(np.arange(40)[:, None] == 3, -1e39, X.astype(float))},
            DataError,
            "that float32 cannot hold, first in row 3",
        ),
        ({"epochs": True}, ConfigError, "epochs is True, allowed is a whole number"),
        ({"batch_size": True}, ConfigError, "batch_size is True"),
        ({"patience": 2.5}, ConfigError, "patience is 2.5"),
        ({"schedule": ["cosine"]}, ConfigError, r"schedule is \['cosine'\], allowed: constant, cosine"),
        ({"stopping": None}, ConfigError, "stopping is None, allowed: rises, best"),
        ({"on_epoch": 3}, ConfigError, "on_epoch is 3, allowed is a function"),
        ({"rng": True}, ConfigError, "rng is True, allowed is a numpy generator or a seed"),
        ({"rng": -1}, ConfigError, "rng is -1"),
        ({"rng": "seed"}, ConfigError, "rng is 'seed'"),
    ],
)
def test_what_does_not_fit_changes_nothing(changes, error, message):
    mlp = make()
    mlp.fit(X, LABELS, epochs=2)
    weights = mlp.parameters.copy()
    with pytest.raises(error, match=message):
        mlp.fit(**({"x": X, "targets": LABELS} | changes))
    np.testing.assert_array_equal(mlp.parameters, weights)


def test_callbacks_and_states_of_another_kind_are_refused():
    for name, message in (("pause", "pause is 3"), ("on_batch", "on_batch is 3"), ("resume", "resume is 3")):
        options: Any = {name: 3}
        with pytest.raises(ConfigError, match=message):
            fit(make(), X, LABELS, optimizer=SGD(), **options)


def test_steps_and_epochs_of_ones_own_check_the_optimizer():
    optimizer, odd = SGD(), "sgd"
    optimizer.lr = float("nan")
    for wrong, message in ((odd, "optimizer is 'sgd'"), (optimizer, "lr is nan"), (SGD(1e39), "lr is 1e[+]39")):
        given: Any = wrong
        with pytest.raises(ConfigError, match=message):
            make().train_step(X, LABELS, given)
        with pytest.raises(ConfigError, match=message):
            make().train_epoch(X, LABELS, given, np.arange(40))
    make(precision="float64").train_step(X.astype(np.float64), LABELS, SGD(1e39))  # which float64 holds


def test_names_and_sizes_of_another_kind_are_refused():
    wrong: list[dict[str, Any]] = [
        {"activation": [["relu"]]}, {"init": ["he"]}, {"precision": ["float32"]}, {"rng": True}, {"rng": "a"},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(ConfigError, match=next(iter(options))):
            make(**options)
    with pytest.raises(ConfigError, match="layers are"):
        MLP([6, True])


@pytest.mark.parametrize(
    ("values", "message"),
    [([[np.nan] * 5] * 6, "NaN"), ([[1e39] * 5] * 6, "cannot hold"), ([["a"] * 5] * 6, "expected real numbers")],
)
def test_weights_that_are_no_numbers_are_not_assigned(values, message):
    mlp = make()
    before = mlp.parameters.copy()
    with pytest.raises(DataError, match=message):
        mlp.layers[0].weight = values
    np.testing.assert_array_equal(mlp.parameters, before)


@pytest.mark.parametrize("way", [{"matmul": "packed"}, {"matmul": "blas"}, {"precision": "float64"}], ids=str)
def test_outputs_that_overflow_are_an_error(way):
    mlp = make(activation="relu", **way)
    large = 1.7e308 if mlp.dtype == np.float64 else 3.4e38
    rows = np.vstack([X[:3], np.full((1, 6), large)]).astype(mlp.dtype)
    with pytest.raises(DataError, match="the outputs of row 3 overflow"):
        mlp.predict_proba(rows)
    with pytest.raises(DataError, match="the outputs of row 3 overflow"):
        mlp.predict(rows, 2)
    mlp.parameters[0] = np.nan
    with pytest.raises(DataError, match="its weights are not finite themselves, train it anew"):
        mlp.predict_proba(X[:3])


@pytest.mark.parametrize("options", [{"matmul": "packed"}, {"matmul": "blas"}, {"precision": "float64"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_of_any_size_is_all_rows(options, dtype):
    x, found = X.astype(dtype), []
    for batch_size in (len(X), 2**63 - 1, 10**30):
        mlp = make(**options)
        fitted = mlp.fit(x, LABELS, validation=(x, LABELS), epochs=3, batch_size=batch_size)
        epoch = mlp.train_epoch(x, LABELS, SGD(), np.arange(9), batch_size)
        found.append((fitted.history, epoch, mlp.evaluate(x, LABELS, batch_size), mlp.predict_proba(x, batch_size)))
    for history, epoch, evaluated, probabilities in found[1:]:
        assert (history, epoch, evaluated) == found[0][:3]
        np.testing.assert_array_equal(probabilities, found[0][3])
