import json
from typing import Any

import pytest

from fastmlp.config import OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS, RunConfig, check_fields
from fastmlp.errors import ConfigError
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.nn.schedule import SCHEDULES
from samples import FIELDS, config


def test_json_gives_the_same_config_again() -> None:
    made = config(layers=(3072, 123, 123, 20), seed=2**40)
    text = json.dumps(made.to_json(), allow_nan=False)
    assert RunConfig.from_json(json.loads(text)) == made


def test_json_has_every_field() -> None:
    assert config().to_json() == FIELDS | {"layers": [3072, 128, 20]}


def test_unknown_keys_are_named_with_the_allowed_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"keys experiment, dataset, .*unknown: 'learning_rate', 'gpu'; missing: none"
    ):
        RunConfig.from_json(config().to_json() | {"learning_rate": 1, "gpu": True})


def test_missing_keys_are_named() -> None:
    data = config().to_json()
    del data["lr"], data["momentum"], data["init_from"]  # the last was not there from the beginning
    with pytest.raises(ConfigError, match="unknown: none; missing: lr, momentum"):
        RunConfig.from_json(data)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("experiment", "", "a name"),
        ("dataset", None, "a name"),
        ("labels", "", "a name"),
        ("normalize", "all", "image or channel or dataset or standard or none"),
        ("loss", "hinge", "cross-entropy or logistic or squared-error"),
        ("layers", (3072,), "at least two whole numbers"),
        ("layers", (3072, 0, 20), "at least two whole numbers"),
        ("layers", (3072, 12.0, 20), "at least two whole numbers"),
        ("layers", "3072,128,20", "at least two whole numbers"),
        ("activation", "swish", "tanh or sigmoid or relu"),
        ("init", "zeros", "auto or "),
        ("lr", 0, "a number above 0"),
        ("lr", float("nan"), "a number above 0"),
        ("lr", float("inf"), "a number above 0"),
        ("lr", True, "a number above 0"),
        ("lr", 10**400, "a number above 0"),
        ("weight_decay", 10**400, "at least 0"),
        ("stopping", "never", "rises or best"),
        ("lr", "fast", "a number above 0"),
        ("momentum", 1.0, "from 0 to below 1"),
        ("momentum", -0.1, "from 0 to below 1"),
        ("weight_decay", -0.01, "at least 0"),
        ("batch_size", 0, "at least 1"),
        ("batch_size", 10.5, "at least 1"),
        ("epochs", 0, "at least 1"),
        ("patience", 0, "at least 1"),
        ("seed", -1, "at least 0"),
        ("seed", True, "at least 0"),
        ("precision", "float16", "float32 or float64 or bfloat16"),
        ("threads", 0, "at least 1"),
        ("validation_fraction", 0.0, "between 0 and 1"),
        ("validation_fraction", 1, "between 0 and 1"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field} is .*; allowed is .*{allowed}"):
        config(**{field: value})
    with pytest.raises(ConfigError, match=f"^{field} is "):
        check_fields({field: value})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimizer": "sgd", "beta1": 0.8}, "beta1 is 0.8, and optimizer sgd has no beta1; allowed with it: lr, mom"),
        ({"optimizer": "sgd", "eps": 1.0}, "momentum, weight_decay. Leave eps away, or choose optimizer adam or ad"),
        ({"optimizer": "adamw", "momentum": 0.9}, "adamw has no momentum; .* lr, beta1, .* optimizer sgd or nesterov"),
        ({"schedule": "step", "schedule_power": 0.5}, "step has no schedule_power; .* warmup, .* schedule invscaling"),
        ({"schedule": "plateau", "warmup": 3}, "schedule plateau has no warmup; allowed with it: schedule_patience, "),
        ({"schedule_every": 3}, "schedule constant has no schedule_every"),
        ({"precision": "int8", "input_dropout": 0.1}, "int8 multiplies the images' own bytes; allowed with it"),
        ({"optimizer": "rmsprop"}, "optimizer is 'rmsprop'; allowed is sgd or nesterov or adam or adamw"),
        ({"optimizer": "adam", "eps": 0}, "eps is 0; allowed is a number above 0"),
        ({"optimizer": "adam", "eps": 1e-50}, "eps is 1e-50, allowed is .*float32"),
        ({"optimizer": "adam", "beta2": 1.0}, "beta2 is 1.0; allowed is a number from 0 to below 1"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; allowed is a number of at least 0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; allowed is a number from 0 to below 1"),
        ({"dropout": (0.1,)}, r"dropout is \(0.1,\); allowed is a number from 0 to below 1"),
        ({"warmup": -1}, "warmup is -1; allowed is a whole number of at least 0"),
        ({"schedule": "step", "schedule_every": 2**31}, "schedule_every is 2147483648; allowed is a whole number"),
        ({"schedule": "step", "schedule_factor": 1.0}, "schedule_factor is 1.0; allowed is a number above 0 and below"),
        ({"activation": ("tanh", "swish")}, "activation is .*swish.*; allowed is tanh or .*, or several, one a hidden"),
        ({"activation": ("tanh", "relu")}, "2 for 1 hidden layers: give one for all"),
        ({"activation": ()}, r"activation is \(\); allowed is"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RunConfig(dataset="x", layers=(3072, 128, 20), **fields)


def test_settings_that_are_not_given_are_those_of_the_tables() -> None:
    for name, kind in OPTIMIZERS.items():
        made = RunConfig(dataset="x", layers=(3, 2), optimizer=name)
        usual = {one: setting.default for one, setting in kind.SETTINGS.items()} | {"weight_decay": 0.01}
        assert {one: getattr(made, one) for one in OPTIMIZER_SETTINGS} == dict.fromkeys(OPTIMIZER_SETTINGS) | usual
        optimizer = made.new_optimizer()
        assert type(optimizer) is kind
        assert {one: getattr(optimizer, one) for one in kind.SETTINGS} == usual
    for name, kind in SCHEDULES.items():
        made = RunConfig(dataset="x", layers=(3, 2), schedule=name)
        assert made.new_schedule().settings == kind.defaults
        assert {own for field, own in SCHEDULE_SETTINGS.items() if getattr(made, field) is not None} == set(
            kind.defaults
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "adam", "momentum": None, "lr": None, "beta1": 0.5},
        {"schedule": "step", "schedule_every": 3, "warmup": 2},
        {"layers": (12, 8, 8, 3), "activation": ("gelu", "tanh"), "dropout": 0.5, "label_smoothing": 0.1},
    ],
)  # fmt: skip
def test_new_settings_go_to_json_where_they_are_set(fields: dict[str, Any]) -> None:
    made = config(**fields)
    text = json.dumps(made.to_json(), allow_nan=False)
    assert RunConfig.from_json(json.loads(text)) == made
    set_here = {name for name, value in fields.items() if value is not None}
    assert made.to_json().keys() == {name for name in FIELDS if getattr(made, name) is not None} | set_here


def test_a_network_has_the_settings_of_its_config() -> None:
    made = config(
        layers=(12, 8, 7, 3), activation=("gelu", "tanh"), dropout=0.5, input_dropout=0.25, label_smoothing=0.1
    )
    model = made.new_network(3)
    assert [layer.activation for layer in model.layers] == ["gelu", "tanh", "identity"]
    assert (model.loss.name, model.loss.smoothing) == ("cross-entropy", 0.1)
    assert (model.dropout.inputs, model.dropout.hidden) == (0.25, (0.5, 0.5))
    assert (model.precision, model.matmul, model.threads) == ("float32", "packed", 1)


def test_each_field_has_its_rule() -> None:
    check_fields(vars(config()))  # KeyError for one without


def test_a_way_to_multiply_that_the_precision_has_not_is_named() -> None:
    for precision, matmul in (("int8", "blas"), ("bfloat16", "blas")):
        with pytest.raises(ConfigError, match=f"^matmul is '{matmul}'; allowed for {precision} is"):
            config(precision=precision, matmul=matmul)


@pytest.mark.parametrize(("field", "value"), [("lr", 1e39), ("weight_decay", 1e39), ("momentum", 1 - 1e-12)])
def test_what_float32_does_not_hold_is_for_float64_alone(field: str, value: float) -> None:
    for precision in ("float32", "bfloat16", "int8"):
        with pytest.raises(ConfigError, match=f"^{field} is .*float32"):
            config(precision=precision, **{field: value})
    assert getattr(config(precision="float64", **{field: value}), field) == value


def test_every_field_is_checked() -> None:
    for field in FIELDS:
        with pytest.raises(ConfigError, match=f"^{field} is "):
            config(**{field: object()})


@pytest.mark.parametrize(("field", "value"), [("momentum", 0), ("weight_decay", 0), ("lr", 1), ("batch_size", 1)])
def test_the_edges_are_allowed(field: str, value: Any) -> None:
    assert getattr(config(**{field: value}), field) == value


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        config().lr = 1  # type: ignore[misc]
