import json
from typing import Any

import pytest

from fastmlp.config import RunConfig, check_fields
from fastmlp.errors import ConfigError
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
        ("labels", "medium", "coarse or fine"),
        ("normalize", "none", "image or channel or dataset"),
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
