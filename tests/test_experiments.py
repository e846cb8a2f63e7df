from typing import Any

import pytest

from fastmlp.data import Dataset
from fastmlp.errors import ConfigError
from fastmlp.runs.experiments import CUSTOM, EXPERIMENTS, make_config, published, select
from samples import config, dataset

SETTINGS: dict[str, Any] = {
    "lr": 0.005, "batch_size": 1024, "momentum": 0.9, "epochs": 100, "patience": 5, "init": "auto",
    "precision": "float32", "threads": 1,
}  # fmt: skip

# The report's Figure 26 and the networks that its text gives, typed again from it.
TABLE = {
    "momentum": ("c", (3072, 128, 20), "tanh", 0.0, 24.46, 29.17),
    "l2": ("d", (3072, 128, 20), "tanh", 0.01, 24.74, 29.28),
    "sigmoid": ("e_sigmoid", (3072, 128, 20), "sigmoid", 0.01, 24.17, 28.72),
    "relu": ("e_ReLU", (3072, 128, 20), "relu", 0.01, 27.84, 32.37),
    "half_units": ("f_1_half", (3072, 64, 20), "relu", 0.01, 25.73, 30.83),
    "double_units": ("f_1_double", (3072, 256, 20), "relu", 0.01, 28.21, 33.64),
    "two_hidden": ("f_2_equal", (3072, 123, 123, 20), "relu", 0.01, 27.97, 32.67),
    "classes100": ("g", (3072, 256, 100), "relu", 0.01, 17.55, 20.83),
}


@pytest.fixture
def cifar100() -> Dataset:
    return dataset("cifar100")


def test_the_experiments_are_the_reports(cifar100: Dataset) -> None:
    assert list(EXPERIMENTS) == list(TABLE)
    for name, (row, layers, activation, weight_decay, channel, image) in TABLE.items():
        for normalize, percent in (("channel", channel), ("image", image)):
            made = make_config(EXPERIMENTS[name], cifar100, normalize=normalize, seed=1, settings=SETTINGS)
            assert EXPERIMENTS[name].row == row
            assert (made.layers, made.activation, made.weight_decay) == (layers, activation, weight_decay)
            assert made.decay_per == ("batch" if name == "sigmoid" else "update")
            assert published(made) == pytest.approx(percent / 100)


def test_settings_override_the_experiments_own(cifar100: Dataset) -> None:
    settings = SETTINGS | {
        "layers": (3072, 5, 100),
        "activation": "tanh",
        "labels": "fine",
        "weight_decay": 0.5,
        "lr": 1,
    }
    made = make_config(EXPERIMENTS["relu"], cifar100, normalize="dataset", seed=7, settings=settings)
    assert made == config(
        layers=(3072, 5, 100), activation="tanh", labels="fine", weight_decay=0.5, lr=1, normalize="dataset", seed=7
    )


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "embedded"},
        {"normalize": "dataset"},
        {"experiment": "custom"},
        {"labels": "fine", "layers": (3072, 128, 100)},
        {"layers": (3072, 129, 20)},
        {"activation": "tanh"},
        {"weight_decay": 0.0},
        {"lr": 0.01},
        {"momentum": 0.8},
        {"batch_size": 512},
    ],
)
def test_no_figure_is_published_for_other_data_or_settings(change: dict[str, Any]) -> None:
    assert published(config()) == 0.3237
    assert published(config(**change)) is None


@pytest.mark.parametrize(
    "change",
    [{"epochs": 300}, {"patience": 9}, {"seed": 3}, {"precision": "float64"}, {"threads": 2}, {"decay_per": "batch"}],
)
def test_a_figure_stands_beside_settings_that_the_report_does_not_state(change: dict[str, Any]) -> None:
    assert published(config(**change)) == 0.3237


def test_select_keeps_order_and_drops_repeats(cifar100: Dataset) -> None:
    chosen, left_out = select(["relu", "l2", "relu"], cifar100)
    assert [experiment.name for experiment in chosen] == ["relu", "l2"]
    assert left_out == ""


def test_all_is_all_eight(cifar100: Dataset) -> None:
    assert select(["l2", "all"], cifar100) == (list(EXPERIMENTS.values()), "")


def test_an_unknown_name_is_answered_with_the_known_ones(cifar100: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"'rely'; there are momentum, l2, .*classes100, best20, best100, and all"):
        select(["relu", "rely"], cifar100)


def test_one_set_of_labels_leaves_classes100_out_and_says_so() -> None:
    cifar10 = dataset("cifar10", kinds=("fine",))
    chosen, left_out = select(["all"], cifar10)
    assert [experiment.name for experiment in chosen] == list(EXPERIMENTS)[:-1]
    assert "classes100 is left out: cifar10 has one set of labels" in left_out
    with pytest.raises(ConfigError, match="one set of labels, where classes100 would repeat double_units"):
        select(["classes100"], cifar10)


def test_the_output_size_follows_the_data_set() -> None:
    cifar10 = dataset("cifar10", kinds=("fine",))
    made = make_config(EXPERIMENTS["two_hidden"], cifar10, normalize="image", seed=0, settings=SETTINGS)
    assert (made.labels, made.layers) == ("fine", (3072, 123, 123, 10))
    with pytest.raises(ConfigError, match="cifar10 has no coarse labels; it has fine"):
        make_config(CUSTOM, cifar10, normalize="image", seed=0, settings=SETTINGS | {"labels": "coarse"})


@pytest.mark.parametrize("layers", [(3072, 256, 100), (1024, 256, 20), (3072, 20, 256)])
def test_layers_that_do_not_fit_are_answered_with_what_does(cifar100: Dataset, layers: tuple[int, ...]) -> None:
    expected = "the first must be 3072.*the last 20, .*--labels coarse has 20, --labels fine has 100"
    with pytest.raises(ConfigError, match=expected):
        make_config(CUSTOM, cifar100, normalize="image", seed=0, settings=SETTINGS | {"layers": layers})
