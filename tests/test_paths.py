"""What a README of any version has imported can be imported still, and loads no more than it did."""

from importlib import import_module

import pytest

# As READMEs have written them; where a module has moved, its old name stays as one line, and this list grows.
SHOWN = [
    "fastmlp.FastMLPError",
    "fastmlp.ImageInput",
    "fastmlp.MLP",
    "fastmlp.SGD",
    "fastmlp.cli.main",
    "fastmlp.config.RunConfig",
    "fastmlp.coretype.apply",
    "fastmlp.data.Dataset",
    "fastmlp.load_model",
    "fastmlp.save_model",
    "fastmlp.sklearn.FastMLPClassifier",
    "fastmlp.sweep.hold",
    "fastmlp.sweep.run_sweep",
    "fastmlp_kernels.bias_tanh",
    "fastmlp_kernels.jit",
    "fastmlp_kernels.momentum_step",
    "fastmlp_kernels.softmax_cross_entropy",
    "fastmlp_kernels.warmup",
]
PROGRAMS = ["train", "report", "predict", "export", "gradcheck", "reproduce", "data"]


@pytest.mark.parametrize("path", SHOWN)
def test_a_name_that_was_shown_is_there(path: str) -> None:
    module, _, name = path.rpartition(".")
    found = import_module(module)
    assert getattr(found, name, None) is not None or import_module(path)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_was_shown_is_there(name: str) -> None:
    module = import_module(f"fastmlp.{name}")
    assert callable((import_module(f"fastmlp.{name}.__main__") if hasattr(module, "__path__") else module).main)


def test_the_way_into_training_from_a_program_is_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    from fastmlp import cli, train

    assert cli.main is train.main
    assert train.main(["--list"]) == 0
    assert "| relu |" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="has no attribute 'mian'"):
        cli.mian  # type: ignore[attr-defined]  # noqa: B018
