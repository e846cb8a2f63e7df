"""The comparison of a precision's gradients with float64's."""

from dataclasses import replace

import pytest

from command import embedded_made_once as embedded_made_once  # a fixture
from command import run, table_rows
from fastmlp.config import RunConfig
from fastmlp.data import load_dataset
from fastmlp.errors import ConfigError
from fastmlp.models.precision_check import gradient_errors

pytestmark = [
    pytest.mark.usefixtures("embedded_made_once"),
]
CONFIG = RunConfig(
    experiment="custom", dataset="embedded", labels="coarse", normalize="image", layers=(3072, 12, 20),
    activation="tanh", init="auto", lr=0.005, momentum=0.9, weight_decay=0.0, batch_size=256, epochs=1, patience=1,
    seed=0, precision="float32", matmul="packed", threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("embedded")


def test_each_precision_is_off_by_what_it_rounds(dataset):
    # least and most that rounding makes of a gradient here: a factor of two products is off by 2^-25, 2^-9 or a
    # third of a step of a 127th of the largest at most; usual errors are some of these, at random
    for precision, least, most in (("float32", 1e-8, 1e-5), ("bfloat16", 1e-4, 2e-2), ("int8", 1e-4, 5e-2)):
        label = "coarse" if "coarse" in dataset.train_labels else next(iter(dataset.train_labels))
        errors = gradient_errors(replace(CONFIG, labels=label, precision=precision), dataset)
        assert len(errors) == 2
        assert all(least < error < most for pair in errors for error in pair)


def test_float64_is_what_others_are_compared_with(dataset):
    with pytest.raises(ConfigError, match="precision is float64, which the others are compared with"):
        gradient_errors(replace(CONFIG, precision="float64", matmul="blas"), dataset)


def test_the_command_prints_a_row_a_layer_and_trains_nothing(capsys, tmp_path):
    options = ("--layers", "3072,8,6,20", "--precision", "int8", "--check-precision", "--seeds", "2")
    assert run(*options, "--normalize", "image", "--out", str(tmp_path / "out")) == 0
    rows = table_rows(capsys.readouterr().out)
    assert [row["layer"] for row in rows] == ["1: 3072-8", "2: 8-6", "3: 6-20"]
    assert not (tmp_path / "out" / "results.json").exists()
