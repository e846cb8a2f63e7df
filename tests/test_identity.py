"""A run's name changes with all that decides its result, and with nothing else."""

import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest

from fastmlp.config import RunConfig
from fastmlp.runs import identity
from fastmlp.runs.identity import run_id
from samples import FIELDS, config

FINGERPRINT = "0123456789abcdef"

# For each field of RunConfig a value that differs from that of the sample, as little as it can.
OTHERS: dict[str, Any] = {
    "experiment": "relu2",
    "loss": "logistic",
    "dataset": "cifar10",
    "labels": "fine",
    "normalize": "channel",
    "layers": (3072, 128, 21),
    "activation": "tanh",
    "init": "he",
    "lr": 0.005000000000000001,
    "momentum": 0.8999999999999999,
    "weight_decay": 0.0,
    "batch_size": 1023,
    "epochs": 101,
    "patience": 6,
    "seed": 1,
    "precision": "bfloat16",
    "matmul": "blas",
    "threads": 2,
    "schedule": "cosine",
    "augment": "mirror",
    "validation_fraction": 0.20000000000000004,
    "init_from": "ab" * 32,
    "fold": 1,
    "decay_per": "batch",
    "stopping": "best",
    "optimizer": "nesterov",
    "clip_norm": 1e-300,
    "label_smoothing": 1e-300,
    "dropout": 1e-300,
    "input_dropout": 1e-300,
    "warmup": 1,
}
# The same for fields that need another optimiser or schedule.
OTHERS_OF: dict[tuple[str, str], dict[str, Any]] = {
    ("optimizer", "adam"): {"beta1": 0.8999999999999999, "beta2": 0.0, "eps": 1e-7, "lr": 1e-3},
    ("schedule", "step"): {"schedule_every": 31, "schedule_factor": 0.10000000000000002, "warmup": 1},
    ("schedule", "plateau"): {"schedule_patience": 3, "schedule_tol": 0, "schedule_factor": 0.25},
    ("schedule", "invscaling"): {"schedule_power": 0.5000000000000001},
    ("schedule", "adaptive"): {"schedule_patience": 0, "schedule_tol": 0},
}


def test_a_name_is_sixteen_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", run_id(config(), FINGERPRINT))


def test_every_field_has_a_say() -> None:
    own = {name for fields in OTHERS_OF.values() for name in fields}
    assert OTHERS.keys() | own == {field.name for field in fields(RunConfig)}
    made = [config(), *(config(**{name: value}) for name, value in OTHERS.items())]
    for (owner, kind), values in OTHERS_OF.items():
        base = config(**{owner: kind, "momentum": None if kind == "adam" else 0.9})
        made += [base, *(replace(base, **{name: value}) for name, value in values.items())]
    assert len({run_id(one, FINGERPRINT) for one in made}) == len(made)


def test_several_activations_are_told_apart_by_their_order() -> None:
    """And runs of one for all layers have one name, however they say so."""
    orders = [("relu", "tanh"), ("tanh", "relu"), ("tanh", "tanh"), ("logistic", "tanh")]
    made = [config(layers=(3072, 8, 8, 20), activation=own) for own in (*orders, "tanh", ["sigmoid", "tanh"])]
    assert [one.activation for one in made[2:5]] == ["tanh", ("sigmoid", "tanh"), "tanh"]
    assert len({run_id(one, FINGERPRINT) for one in made}) == 4


def test_what_a_config_has_by_default_it_may_say() -> None:
    usual = {"optimizer": "sgd", "clip_norm": 0, "label_smoothing": 0, "dropout": 0, "input_dropout": 0, "warmup": 0}
    assert run_id(config(**usual), FINGERPRINT) == run_id(config(), FINGERPRINT)
    adam = {"optimizer": "adam", "momentum": None, "lr": None}
    said = adam | {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert config(**adam) == config(**said)
    assert run_id(config(**adam), FINGERPRINT) == run_id(config(**said), FINGERPRINT)


def test_layers_are_told_apart_by_their_numbers_not_their_digits() -> None:
    assert run_id(config(layers=(3072, 1, 28, 20)), FINGERPRINT) != run_id(config(), FINGERPRINT)


def test_the_data_and_the_training_code_have_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    name = run_id(config(), FINGERPRINT)
    assert run_id(config(), FINGERPRINT[::-1]) != name
    monkeypatch.setattr(identity, "TRAINING_VERSION", identity.TRAINING_VERSION + 1)
    assert run_id(config(), FINGERPRINT) != name


def test_the_same_run_has_the_same_name_however_its_config_came_about() -> None:
    name = run_id(config(), FINGERPRINT)
    assert run_id(RunConfig(**dict(reversed(FIELDS.items()))), FINGERPRINT) == name
    assert run_id(RunConfig.from_json(json.loads(json.dumps(config().to_json()))), FINGERPRINT) == name


def test_names_stay_what_they_were() -> None:
    """Red after a change of this package: every sweep that people have on disk would run anew.

    Where that is right, because runs now end in other bits, count TRAINING_VERSION up and put the new name here.
    """
    assert (identity.TRAINING_VERSION, run_id(config(), FINGERPRINT)) == (8, "7bd2f1adb58dd8b3")
