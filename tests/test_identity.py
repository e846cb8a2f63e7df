"""A run's name changes with all that decides its result, and with nothing else."""

import json
import re
from dataclasses import fields
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
    "decay_per": "batch",
    "stopping": "best",
}


def test_a_name_is_sixteen_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", run_id(config(), FINGERPRINT))


def test_every_field_has_a_say() -> None:
    assert set(OTHERS) == {field.name for field in fields(RunConfig)}
    names = {run_id(config(**{name: value}), FINGERPRINT) for name, value in OTHERS.items()}
    assert len(names | {run_id(config(), FINGERPRINT)}) == len(OTHERS) + 1


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
    assert (identity.TRAINING_VERSION, run_id(config(), FINGERPRINT)) == (3, "a7f1427d5cadab9e")
