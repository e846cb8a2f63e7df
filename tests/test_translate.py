"""Twenty steps here, in scikit-learn and in PyTorch, from the same weights and on the same batches."""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD
from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.models.translate import to_sklearn, to_torch
from fastmlp.nn.activations import ACTIVATIONS

CONFIG = RunConfig(
    experiment="custom", dataset="embedded", labels="fine", normalize="image", layers=(13, 9, 5), activation="tanh",
    init="auto", lr=0.05, momentum=0.9, weight_decay=0.02, batch_size=16, epochs=30, patience=5, seed=3,
    precision="float64", matmul="blas", threads=1,
)  # fmt: skip
STEPS = 20
ROWS = STEPS * CONFIG.batch_size  # whole batches: scikit-learn decays more in a smaller one
VARIANTS = [
    replace(CONFIG, layers=layers, activation=activation, weight_decay=decay)
    for layers in ((13, 9, 5), (13, 8, 7, 3))
    for activation in ACTIVATIONS
    for decay in (0.0, 0.02)
]
_ADAM: dict[str, Any] = {"optimizer": "adam", "lr": 0.01, "momentum": None}
OTHERS = [
    replace(CONFIG, optimizer="nesterov"),
    replace(CONFIG, **_ADAM),
    # so large an eps that where it is added would show
    replace(CONFIG, **_ADAM | {"optimizer": "adamw"}, beta1=0.8, beta2=0.99, eps=1e-3, weight_decay=0.0),
    replace(CONFIG, **_ADAM | {"optimizer": "adamw"}, eps=1e-3, label_smoothing=0.2, clip_norm=0.3),
    replace(CONFIG, layers=(13, 9, 8, 5), activation=("gelu", "tanh"), clip_norm=0.3),
]
PER_BATCH = replace(CONFIG, decay_per="batch", weight_decay=0.02 * CONFIG.batch_size)
FLOAT32 = replace(CONFIG, precision="float32", matmul="packed")
# The same formulas with their sums in another order: float64 rounds by 1e-16, and twenty steps hand that on. A
# convention of another kind (decay by row, biases decayed, Nesterov's momentum) is off by more than 1e-4.
ALLOWED = {"float64": 1e-12, "float32": 1e-4}


def named(c: RunConfig) -> str:
    return f"{c.layers}-{c.activation}-{c.precision}-{c.decay_per}-{c.optimizer}-{c.weight_decay}-{c.clip_norm}"


def rows(config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(ROWS, config.layers[0])).astype(config.precision)
    return x, rng.integers(0, config.layers[-1], ROWS)


def trained(config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's parameters before and after."""
    model = config.new_network(config.seed)
    model.layers[0].bias[...] = 0.3  # biases of zero would hide that they decay
    before, (x, labels) = model.parameters.copy(), rows(config)
    model.train_epoch(x, labels, config.new_optimizer(), np.arange(ROWS), config.batch_size)
    return before, model.parameters


def flat(pairs) -> np.ndarray:
    return np.concatenate([np.ravel(array) for pair in pairs for array in pair])


@pytest.mark.parametrize(
    "config", [c for c in [*VARIANTS, PER_BATCH, FLOAT32] if ACTIVATIONS[c.activation].sklearn], ids=named
)
def test_scikit_learn_takes_the_same_steps(config):
    before, after = trained(config)
    model = config.to_sklearn(before)
    model.shuffle = False
    model.partial_fit(*rows(config))
    got = flat(zip(model.coefs_, model.intercepts_, strict=True))
    assert got.dtype == config.precision
    np.testing.assert_allclose(got, after, rtol=0, atol=ALLOWED[config.precision])
    assert np.abs(got - before).max() > 0.05
    assert len(model.loss_curve_) == 1


@pytest.mark.parametrize("config", OTHERS[:2], ids=named)
def test_scikit_learn_takes_the_same_steps_by_other_optimisers(config):
    """Its Adam adds eps elsewhere: a share of eps / sqrt(v), which here is 1e-6 at most, of steps of lr."""
    before, after = trained(config)
    model = config.to_sklearn(before)
    model.shuffle = False
    model.partial_fit(*rows(config))
    got = flat(zip(model.coefs_, model.intercepts_, strict=True))
    np.testing.assert_allclose(got, after, rtol=0, atol=1e-5 if config.optimizer == "adam" else ALLOWED["float64"])
    assert np.abs(got - before).max() > 0.05


@pytest.mark.parametrize("config", [*VARIANTS, *OTHERS, PER_BATCH, FLOAT32], ids=named)
def test_pytorch_takes_the_same_steps(config):
    torch = pytest.importorskip("torch", reason="PyTorch is large, and not in the extra `test`")
    before, after = trained(config)
    model, optimizer = config.to_torch(before)
    x, labels = map(torch.from_numpy, rows(config))
    for start in range(0, ROWS, config.batch_size):
        batch = slice(start, start + config.batch_size)
        optimizer.zero_grad()
        smoothing = config.label_smoothing
        torch.nn.functional.cross_entropy(model(x[batch]), labels[batch], label_smoothing=smoothing).backward()
        optimizer.step()
    linear = [layer for layer in model if hasattr(layer, "weight")]
    got = flat((layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in linear)
    assert got.dtype == config.precision
    np.testing.assert_allclose(got, after, rtol=0, atol=ALLOWED[config.precision])


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_decay_per_batch_is_scikit_learn_s_alpha_in_the_smaller_last_batch_too(precision):
    config = replace(CONFIG, layers=(13, 9, 5), precision=precision, decay_per="batch", weight_decay=5.0)
    config = replace(config, matmul="blas" if precision == "float64" else "packed")
    x, labels = (array[: ROWS - 11] for array in rows(config))
    model = MLP(config.layers, config.activation, precision=precision, rng=0)
    theirs = config.to_sklearn(model.parameters.copy())
    assert theirs.alpha == 5.0
    theirs.shuffle = False
    theirs.partial_fit(x, labels)
    optimizer = SGD(config.lr, config.momentum, config.weight_decay, config.decay_per)
    model.train_epoch(x, labels, optimizer, np.arange(len(x)), config.batch_size)
    got = flat(zip(theirs.coefs_, theirs.intercepts_, strict=True))
    np.testing.assert_allclose(got, model.parameters, rtol=0, atol=ALLOWED[precision])


def test_scikit_learn_s_settings_are_the_translated_ones():
    model = to_sklearn(replace(CONFIG, activation="sigmoid"))
    wanted = {"hidden_layer_sizes": (9,), "activation": "logistic", "solver": "sgd", "alpha": 0.02 * 16,
              "nesterovs_momentum": False, "max_iter": 30, "random_state": 3, "early_stopping": False}  # fmt: skip
    assert {name: model.get_params()[name] for name in wanted} == wanted
    x, labels = rows(CONFIG)
    with pytest.warns(match=r"Maximum iterations"):  # all epochs, whatever the loss does
        assert len(model.set_params(max_iter=3, tol=1e9).fit(x, labels).loss_curve_) == 3


def test_what_has_no_counterpart_is_refused():
    for translate in (to_sklearn, to_torch):
        if translate is to_torch:
            pytest.importorskip("torch", reason="PyTorch is large, and not in the extra `test`")
        for wrong, message in (
            ({"schedule": "cosine"}, "schedule is 'cosine'; allowed is constant"),
            ({"warmup": 3}, "warmup is 3; allowed is 0"),
            ({"augment": "mirror"}, "augment is 'mirror'; allowed is none"),
            ({"precision": "bfloat16", "matmul": "packed"}, "precision is 'bfloat16'; allowed is float32 or float64"),
            ({"init_from": "0" * 64}, "init_from is set: give the weights"),
        ):
            with pytest.raises(ConfigError, match=message):
                translate(replace(CONFIG, **wrong))
        with pytest.raises(ConfigError, match=r"of shape \(3,\); allowed are numbers of shape \(176,\), .* 13-9-5"):
            translate(CONFIG, np.zeros(3))
        with pytest.raises(ConfigError, match="parameters hold NaN or infinity"):
            translate(CONFIG, np.full(176, np.nan))
        with pytest.raises(ConfigError, match=r"parameters are .* of shape \(176,\); allowed are numbers"):
            translate(CONFIG, ["a"] * 176)
    with pytest.raises(ConfigError, match=r"2 classes, for which scikit-learn has one logistic unit"):
        to_sklearn(replace(CONFIG, layers=(13, 2)))
    for name in ("dropout", "input_dropout", "label_smoothing", "clip_norm"):
        with pytest.raises(ConfigError, match=f"{name} is 0.5; allowed is 0, where a config is translated"):
            to_sklearn(replace(CONFIG, **{name: 0.5}))
    with pytest.raises(ConfigError, match=r"optimizer is 'adamw' with a weight_decay of 0.02, which scikit-learn does"):
        to_sklearn(OTHERS[3].__class__(**vars(OTHERS[3]) | {"label_smoothing": 0, "clip_norm": 0}))
    with pytest.raises(ConfigError, match=r"activation is \('gelu', 'tanh'\), which .*, one for all hidden layers"):
        to_sklearn(replace(OTHERS[4], clip_norm=0))


def test_pytorch_has_modules_of_dropout_where_outputs_are_dropped():
    pytest.importorskip("torch", reason="PyTorch is large, and not in the extra `test`")
    model, _ = replace(OTHERS[4], dropout=0.5, input_dropout=0.25).to_torch()
    assert [type(part).__name__ for part in model] == [
        "Dropout", "Linear", "GELU", "Dropout", "Linear", "Tanh", "Dropout", "Linear",
    ]  # fmt: skip
    assert [part.p for part in model if hasattr(part, "p")] == [0.25, 0.5, 0.5]


def test_an_activation_that_scikit_learn_has_not_is_refused(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "tanh", replace(ACTIVATIONS["tanh"], sklearn=None))
    with pytest.raises(ConfigError, match="activation is 'tanh', which scikit-learn does not have; allowed: sigmoid"):
        to_sklearn(CONFIG)


@pytest.mark.parametrize(("translate", "module"), [(to_sklearn, "sklearn.neural_network"), (to_torch, "torch")])
def test_a_library_that_is_missing_is_named(translate, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"to_sklearn needs scikit-learn|to_torch needs PyTorch"):
        translate(CONFIG)
