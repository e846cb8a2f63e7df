import math
from dataclasses import replace
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmlp.cli.options import build_parser
from fastmlp.config import RunConfig, dashed
from fastmlp.errors import ConfigError
from fastmlp.nn.schedule import SCHEDULES
from fastmlp.sweep.space import FIELDS, PRESETS, Axis, grid, label, parse_axis, sample
from samples import config

# In which each field has a value.
ADAM: dict[str, Any] = {"optimizer": "adam", "lr": None, "momentum": None}
MADE = [config(), config(**ADAM), *(config(schedule=name) for name in SCHEDULES)]


def axes(*texts: str) -> list[Axis]:
    return [parse_axis(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("lr=0.001,0.005,1e-2", (0.001, 0.005, 0.01)),
        ("lr=1", (1.0,)),
        ("layers=3072-128-20,3072-256-64-20", ((3072, 128, 20), (3072, 256, 64, 20))),
        ("activation=tanh,relu", ("tanh", "relu")),
        ("activation=relu-logistic,tanh", (("relu", "sigmoid"), "tanh")),
        ("optimizer=sgd,adamw", ("sgd", "adamw")),
        ("schedule_every=5,10", (5, 10)),
        ("normalize=image,channel", ("image", "channel")),
        ("batch_size=256,1024", (256, 1024)),
    ],
)
def test_choices(text: str, choices: tuple[Any, ...]) -> None:
    axis = parse_axis(text)
    assert axis == Axis(text.partition("=")[0], choices=choices)
    assert [type(value) for value in axis.choices] == [type(value) for value in choices]


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("lr=1e-4..1e-1", (1e-4, 0.1)), ("batch_size=64..2048", (64, 2048)), ("momentum=.5...9", (0.5, 0.9))],
)
def test_ranges(text: str, bounds: tuple[float, float]) -> None:
    axis = parse_axis(text)
    assert axis == Axis(text.partition("=")[0], bounds=bounds)
    assert [type(value) for value in axis.bounds or ()] == [type(value) for value in bounds]


def test_every_field_but_six_is_an_axis_whose_values_make_a_config() -> None:
    assert set(get_type_hints(RunConfig)) - set(FIELDS) == {
        "experiment", "dataset", "seed", "threads", "init_from", "fold",
    }  # fmt: skip
    for field in FIELDS:
        made = next(one for one in MADE if getattr(one, field) is not None)
        (settings,) = grid(axes(f"{field}={dashed(getattr(made, field))}"))
        assert replace(made, **settings) == made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rate=0.1", "'rate=0.1' names no field that a search can vary; these are .*lr, "),
        ("=0.1", "names no field"),
        ("", "names no field"),
        ("seed=1,2", "names no field"),
        ("threads=1,2", "names no field"),
        ("lr", "'lr' lacks a value"),
        ("lr=", "lacks a value"),
        ("lr=0.1,,0.2", "lacks a value"),
        ("lr=0.1,", "lacks a value"),
        ("lr=0.1..", "lacks a value"),
        ("lr=..0.1", "lacks a value"),
        ("lr=fast", "^lr is 'fast'; allowed is a number above 0"),
        ("lr=0.1,-0.1", "^lr is -0.1; allowed"),
        ("lr=nan", "^lr is nan; allowed"),
        ("momentum=0.9,1", "^momentum is 1.0; allowed is a number from 0 to below 1"),
        ("batch_size=64.5", "^batch_size is '64.5'; allowed is a whole number"),
        ("activation=tanh,swish", "^activation is 'swish'; allowed is tanh or"),
        ("layers=3072", r"^layers is \(3072,\); allowed is at least two.*layers=3072-128-20,3072-256-20"),
        ("batch_sise=3", "Did you mean 'batch_size'"),
        ("layers=3072-x-20", "^layers is '3072-x-20'; allowed"),
        ("layers=3072--1-20", "^layers is '3072--1-20'; allowed"),
        ("activation=relu..tanh", "is a range, but activation is not a number"),
        ("layers=3072-64-20..3072-128-20", "is a range, but layers is not a number"),
        ("lr=0.1..0.01", "'lr=0.1..0.01' is no range: its ends must be above 0"),
        ("lr=0.1..0.1", "is no range"),
        ("weight_decay=0..0.1", "is no range"),
        ("lr=1e-4..inf", "^lr is inf; allowed"),
        ("lr=1e-4..1e-2,0.1", "^lr is '1e-2,0.1'; allowed"),
        ("batch_size=0..64", "^batch_size is 0; allowed"),
        ("momentum=0.5..1", "^momentum is 1.0; allowed"),
        ("lr=0.1,0.2,1e-1", "the same value more than once: 0.1, 1e-1"),
        ("layers=8-4-2,08-4-2", "the same value more than once"),
    ],
)
def test_what_is_no_axis_is_explained(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_axis(text)


def test_a_grid_has_all_combinations_the_first_axis_slowest() -> None:
    assert grid(axes("lr=0.1,0.2", "activation=tanh,relu", "batch_size=64")) == [
        {"lr": 0.1, "activation": "tanh", "batch_size": 64},
        {"lr": 0.1, "activation": "relu", "batch_size": 64},
        {"lr": 0.2, "activation": "tanh", "batch_size": 64},
        {"lr": 0.2, "activation": "relu", "batch_size": 64},
    ]
    assert grid([]) == [{}]


def test_a_grid_takes_no_range() -> None:
    with pytest.raises(ConfigError, match=r"^lr=0.01\.\.0.1 is a range. A grid needs values; --random takes ranges"):
        grid(axes("batch_size=64,128", "lr=0.01..0.1"))


@pytest.mark.parametrize("make", [grid, lambda given: sample(given, 1, 0)])
def test_two_axes_of_one_field_are_refused(make) -> None:
    with pytest.raises(ConfigError, match="more than one axis of lr"):
        make(axes("lr=0.1", "batch_size=64", "lr=0.2"))


MIXED = axes("lr=1e-4..1e-1", "batch_size=1..9", "activation=tanh,relu,sigmoid")


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12))
def test_fewer_draws_are_the_first_of_more(seed: int, count: int, more: int) -> None:
    drawn = sample(MIXED, count + more, seed)
    assert len(drawn) == count + more
    assert sample(MIXED, count, seed) == drawn[:count]


def test_another_seed_draws_others() -> None:
    assert sample(MIXED, 5, 0) != sample(MIXED, 5, 1)


@given(st.integers(0, 2**32))
def test_all_candidates_are_found_each_once(seed: int) -> None:
    few = axes("activation=tanh,relu", "batch_size=1..3")
    drawn = sample(few, 6, seed)
    assert sorted((s["activation"], s["batch_size"]) for s in drawn) == [
        (name, size) for name in ("relu", "tanh") for size in (1, 2, 3)
    ]
    with pytest.raises(ConfigError, match="draw 7 candidates, but these axes make only 6 different ones"):
        sample(few, 7, seed)


@given(st.floats(1e-8, 1e3), st.floats(1.0, 1e4, exclude_min=True), st.integers(0, 1000))
def test_a_range_of_reals_is_kept_to_and_reads_well(low: float, factor: float, seed: int) -> None:
    high = low * factor
    if high > low:
        (settings,) = sample([Axis("lr", bounds=(low, high))], 1, seed)
        assert low <= settings["lr"] <= high
        assert settings["lr"] in (low, high, float(f"{settings['lr']:.3e}"))


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 1000))
def test_a_range_of_whole_numbers_is_kept_to(low: int, more: int, seed: int) -> None:
    (settings,) = sample([Axis("batch_size", bounds=(low, low + more))], 1, seed)
    assert type(settings["batch_size"]) is int
    assert low <= settings["batch_size"] <= low + more


def test_draws_have_the_types_of_a_config() -> None:
    for settings in sample([*MIXED, *axes("layers=3072-8-20,3072-4-20")], 20, 3):
        made = config(**settings)
        assert made == RunConfig.from_json(made.to_json())
        assert {name: type(value) for name, value in settings.items()} == {
            "lr": float, "batch_size": int, "activation": str, "layers": tuple,
        }  # fmt: skip


def one_each(axis: Axis, seeds: int = 3000) -> list[Any]:
    return [sample([axis], 1, seed)[0][axis.field] for seed in range(seeds)]


# Each bound below is 5 standard deviations of a share of 3000 draws: 5 * sqrt(p (1 - p) / 3000) <= 0.046.


def test_a_range_of_reals_is_even_in_the_logarithm() -> None:
    logs = np.log10(one_each(parse_axis("lr=1e-4..1e-1")))
    for decade in (-4, -3, -2):
        assert abs(np.mean((logs >= decade) & (logs < decade + 1)) - 1 / 3) < 0.046


def test_a_range_of_whole_numbers_reaches_its_ends_as_often_as_the_logarithm_says() -> None:
    drawn = one_each(parse_axis("epochs=1..4"))
    for value in (1, 2, 3, 4):
        assert abs(drawn.count(value) / 3000 - math.log((value + 0.5) / (value - 0.5)) / math.log(4.5 / 0.5)) < 0.046


def test_choices_are_equally_likely() -> None:
    drawn = one_each(parse_axis("activation=tanh,relu,sigmoid"))
    for name in ("tanh", "relu", "sigmoid"):
        assert abs(drawn.count(name) / 3000 - 1 / 3) < 0.046


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=f"draw {count} candidates; allowed is a whole number of at least 1"):
        sample(MIXED, count, 0)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_searches_with_defaults_of_options_that_exist(name: str) -> None:
    preset = PRESETS[name]
    assert len({config(**settings) for settings in grid(axes(*preset.axes))}) > 1 or not preset.axes
    assert set(preset.defaults) <= set(vars(build_parser().parse_args([])))


def test_the_reports_grid_has_its_values_of_lambda_and_its_best() -> None:
    candidates = grid(axes(*PRESETS["report-grid"].axes))
    assert len(candidates) == 18
    assert {settings["weight_decay"] for settings in candidates} == {0.01, 0.001, 0.0001}
    assert {"lr": 0.005, "batch_size": 1024, "weight_decay": 0.01} in candidates
    parser = build_parser()
    as_options = parser.parse_args(["--experiments", "l2", "--normalize", "channel"])
    parser.set_defaults(**PRESETS["report-grid"].defaults)
    assert parser.parse_args([]) == as_options


def test_a_label_names_each_setting() -> None:
    settings = {"lr": 0.005, "batch_size": 1024, "layers": (3072, 8, 20), "activation": "relu"}
    assert label(settings) == "lr 0.005, batch_size 1024, layers 3072-8-20, activation relu"
    assert label({"lr": 1e-05}) == "lr 1e-05"
