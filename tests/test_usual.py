"""The usual settings for own data: that they fit any table, and learn the little that a noisy one tells."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fastmlp.cli.options import build_parser, parse
from fastmlp.cli.plan import make_plan
from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.own import Own, load_understood
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.runs.run import run_one
from fastmlp.runs.usual import LR, OWN_OPTIMIZER, WEIGHT_DECAY, usual_settings


def noisy(rows: int, seed: int = 0) -> Dataset:
    """Return rows of 20 columns whose two classes the sum of four tells, three times in four."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 20)).astype(np.float32)
    labels = ((x[:, :4].sum(axis=1) > 0) ^ (rng.random(rows) < 0.25)).astype(int)
    return load_understood(Own(data="noisy", split_seed=seed), data=x, targets=labels).dataset


def configs(dataset: Dataset, *options: str) -> Sequence[RunConfig]:
    return make_plan(parse(build_parser(), ["--data", "noisy", "--threads", "1", *options]), dataset).configs


@pytest.mark.parametrize("rows", [12, 120, 700, 100_000])
def test_a_batch_is_no_larger_than_the_training_rows(rows: int) -> None:
    dataset = noisy(rows)
    assert 1 <= usual_settings(dataset)["batch_size"] <= min(1024, len(dataset.train_images))


def test_a_small_noisy_table_is_learnt_with_less_of_its_noise_than_without_so_much_decay() -> None:
    losses = []
    for seed in range(3):
        dataset = noisy(1000, seed)
        (usual,) = configs(dataset, "--seed", str(seed))
        weaker = replace(usual, weight_decay=0.01, dropout=0.1)
        losses.append([run_one(config, dataset).test_metrics["log loss"] for config in (usual, weaker)])
    usual, weaker = np.mean(losses, axis=0)
    assert usual < np.log(2), "of who knows nothing"
    assert usual < weaker - 0.01


def test_another_optimiser_has_its_own_rate_and_decay() -> None:
    dataset = noisy(120)
    (usual,) = configs(dataset)
    assert (usual.optimizer, usual.lr, usual.weight_decay) == (OWN_OPTIMIZER, LR, WEIGHT_DECAY)
    (other,) = configs(dataset, "--optimizer", "sgd")
    assert (other.lr, other.weight_decay) == (OPTIMIZERS["sgd"].SETTINGS["lr"].default, 0.01)
    usual, other = configs(dataset, "--grid", "optimizer=adamw,sgd", "--weight-decay", "0.1")
    assert (usual.lr, usual.weight_decay, other.weight_decay) == (LR, 0.1, 0.1)
    assert other.lr == OPTIMIZERS["sgd"].SETTINGS["lr"].default
    _, other = configs(dataset, "--grid", "optimizer=adamw,sgd")
    assert other.weight_decay == 0.01
