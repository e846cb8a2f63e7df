"""`run_sweep` on a user's own data: images of any width are trained on and saved, what does not fit is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastmlp import SGD, load_model, reproduce
from fastmlp.cli.options import build_parser
from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError, DataError
from fastmlp.report import __main__ as report
from fastmlp.runs.results import load_results
from fastmlp.sweep import run_sweep
from samples import FIELDS, config

# Fields that are younger than the first results.
YOUNGER = {"schedule", "augment", "validation_fraction", "init_from", "decay_per", "stopping"}


def own(width: int = 784, dtype: type = np.uint8, count: int = 60) -> Dataset:
    """Images of two classes under a name of the user's own."""
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (count, width)).astype(dtype), {"fine": np.arange(count) % 2}
    return Dataset("mine", images, labels, images, labels, {"fine": ("a", "b")}, source="made for a test")


def asked(**changes) -> RunConfig:
    usual = {"dataset": "mine", "labels": "fine", "layers": (784, 3, 2), "epochs": 2, "batch_size": 16}
    return RunConfig(**(usual | changes))


@pytest.mark.parametrize("width", [784, 48, 1, 3072])
def test_images_of_any_width_are_trained_on_saved_and_predicted(width, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    data, norms = own(width), ["image", "channel", "dataset"]
    configs = [asked(layers=(width, 3, 2), normalize=norm) for norm in norms]
    with ThreadPoolExecutor(1) as executor:
        results = run_sweep(configs, data, executor=executor, out=tmp_path)
    assert [run.status for run in results] == ["done"] * len(norms)
    for run in results:
        saved = load_model(tmp_path / "models" / f"{run.run_id}.npz").predict_proba(data.test_images)
        accuracy = (saved.argmax(axis=1) == data.test_labels["fine"]).mean()
        assert accuracy == pytest.approx(run.test_accuracy)
    environment, written = load_results(tmp_path / "results.json")
    assert written == results
    assert environment["dataset"]["name"] == "mine"
    assert json.loads((tmp_path / "results.json").read_text())["runs"][0]["finished"].endswith("Z")


def test_a_folder_may_be_text_and_gets_its_results_even_where_nothing_is_left_to_run(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    configs = [asked(lr=lr) for lr in (0.01, 0.1)]
    for asked_for in (configs, configs[::-1]):
        with ThreadPoolExecutor(1) as executor:
            results = run_sweep(asked_for, own(), executor=executor, out=str(tmp_path))
        assert load_results(tmp_path / "results.json")[1] == results
        assert [run.config for run in results] == asked_for
        (tmp_path / "results.json").unlink()


@pytest.mark.usefixtures("undrawn")
def test_no_command_promises_to_find_a_users_own_data(tmp_path: Path, capsys) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        [run] = run_sweep([asked()], own(), executor=executor, out=tmp_path)
    assert report.main([str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "mine is no data set of this package" in page
    for said in ("--data-dir", "sweep.toml", "fastmlp.reproduce"):
        assert said not in page
    assert reproduce.main([str(tmp_path), run.run_id]) == 2
    assert "only the program that gave it to run_sweep has it" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("data", "changes", "error", "said"),
    [
        (own(dtype=np.int32), {}, DataError, r"train_images are int32 .*expected .*uint8 images, or float32"),
        (own(dtype=np.float32), {}, ConfigError, "normalize is 'image'; allowed for float32 features is standard or"),
        (
            replace(own(), test_images=own(48).test_images),
            {},
            DataError,
            "784 values each and test_images uint8 with 48",
        ),
        (own(), {"layers": (783, 3, 2)}, ConfigError, "the first must be 784"),
        (own(), {"layers": (784, 3, 5)}, ConfigError, "the last 2, the classes"),
        (own(), {"labels": "coarse"}, ConfigError, "mine has fine"),
        (own(), {"dataset": "yours"}, ConfigError, "the data set is called 'mine'"),
        (own(), {"normalize": "standard"}, ConfigError, "allowed for images is image or channel or dataset"),
        (own(), {"augment": "mirror"}, ConfigError, "augment is 'mirror'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(data, changes, error, said, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        run_sweep([asked(**changes)], data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_config_needs_no_more_than_its_data_and_layers_and_has_the_commands_defaults() -> None:
    made, args = RunConfig(dataset="cifar100", layers=(3072, 128, 20)), build_parser().parse_args([])
    same = "batch_size", "epochs", "patience", "optimizer", "schedule", "augment", "precision", "seed"
    for name in same:
        assert getattr(made, name) == getattr(args, name), name
    assert (args.lr, args.momentum) == (None, None)  # those of the optimiser
    assert (made.lr, made.momentum) == (SGD().lr, SGD().momentum)
    assert (made.matmul, RunConfig(dataset="a", layers=(9, 2), precision="bfloat16").matmul) == ("packed", "packed")
    assert made == config(experiment="custom", activation="tanh")


@pytest.mark.parametrize("name", sorted(set(FIELDS) - YOUNGER))
def test_what_was_always_written_may_not_be_missing_in_a_file(name) -> None:
    written = config().to_json()
    del written[name]
    with pytest.raises(ConfigError, match=f"missing: {name}"):
        RunConfig.from_json(written)
