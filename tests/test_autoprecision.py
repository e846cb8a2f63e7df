"""`--precision auto`: the fastest of those whose gradients hold, once for a sweep, and kept with it."""

from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from command import embedded_made_once as embedded_made_once  # a fixture
from command import fails, refused, run, run_own
from fastmlp import MLP
from fastmlp.cli import sweep
from fastmlp.cli.python import train
from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, DataError
from fastmlp.files import toml_of
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs import autoprecision
from fastmlp.runs.results import load_results
from samples import config

STEPS = {"float32": {"packed": 4e-3, "blas": 5e-3}, "bfloat16": {"packed": 2e-3}, "int8": {"packed": 1e-3}}
ERRORS = {"float32": 1e-7, "bfloat16": 0.01, "int8": 0.02}
DATA: Any = None  # which nothing looks at where errors are pretended
SMALL = ("--layers", "3072,4,20", "--normalize", "image", "--epochs", "1", "--precision", "auto")


@pytest.fixture
def pretend(monkeypatch):
    """Return a function that sets steps, errors and instructions, and returns a list of the runs compared."""

    def pretending(steps: Any = STEPS, errors: Any = ERRORS, lacks: str = "") -> list[RunConfig]:
        compared: list[RunConfig] = []

        def gradient_errors(config: RunConfig, dataset: Any, start: Any) -> list[tuple[float, float]]:  # noqa: ARG001
            compared.append(config)
            error = errors[config.precision]
            if isinstance(error, Exception):
                raise error
            return [(1e-9, error), (0.0, 1e-9)]

        for module in (autoprecision, sweep):
            monkeypatch.setattr(module, "measured", lambda config: steps[config.precision])
        monkeypatch.setattr(autoprecision, "gradient_errors", gradient_errors)
        there = {n: SimpleNamespace(INSTRUCTIONS=None if n == lacks else "ADD") for n in ("bfloat16", "int8")}
        monkeypatch.setattr(autoprecision, "_WITH_INSTRUCTIONS", there)
        return compared

    return pretending


def choose(*configs: RunConfig, **options: Any) -> tuple[str, str]:
    found, note = autoprecision.choose(configs, DATA, **options)
    (precision,) = {config.precision for config in found}
    assert [config.seed for config in found] == [config.seed for config in configs]
    return precision, note


def exact(**changes: Any) -> RunConfig:
    return config(precision="float64", **changes)


def test_the_fastest_is_taken_and_its_figures_are_said(pretend) -> None:
    compared = pretend()
    assert choose(exact(), exact(seed=1)) == ("int8", (
        "Precision: int8 for 3072-128-20, batch 1024, threads 1 (a step takes 1.00 ms int8 with gradients off by 2 %, "
        "2.00 ms bfloat16, 4.00 ms float32)."
    ))  # fmt: skip
    assert [(c.precision, c.seed) for c in compared] == [("int8", 0)]


def test_one_whose_gradients_do_not_hold_is_passed_over(pretend) -> None:
    pretend(errors=ERRORS | {"int8": 0.12})
    precision, note = choose(exact())
    assert precision == "bfloat16"
    assert "1.00 ms int8 with gradients off by 12 %, more than 10 %, 2.00 ms bfloat16 with gradients off by 1 %" in note


@pytest.mark.parametrize("error", [nan, inf, DataError("inputs hold numbers that float32 cannot hold")])
def test_float64_is_the_last_resort(error, pretend) -> None:
    pretend(errors=dict.fromkeys(ERRORS, error))
    precision, note = choose(exact())
    assert precision == "float64"
    assert "4.00 ms float32 with no gradients that can be compared" in note


def test_one_that_rounds_more_is_taken_where_it_is_faster_by_more_than_noise(pretend) -> None:
    pretend(steps=STEPS | {"int8": {"packed": 3.9e-3}, "bfloat16": {"packed": 3.95e-3}})
    assert choose(exact())[0] == "float32"
    pretend(steps=STEPS | {"int8": {"packed": 1.95e-3}})
    assert choose(exact())[0] == "bfloat16"


def test_what_the_cpu_or_the_runs_cannot_have_is_not_tried(pretend) -> None:
    pretend(lacks="bfloat16")
    precision, note = choose(exact(normalize="standard"))  # of features
    assert precision == "float32"
    assert (
        "; not tried: bfloat16, for which this CPU has no instructions; not tried: int8, which these runs cannot have)"
        in note
    )
    tiny = {"optimizer": "adam", "momentum": None, "eps": 1e-300}  # 0 in float32
    assert choose(exact(**tiny))[0] == "float64"


def test_a_way_to_multiply_that_is_given_is_the_one_that_counts(pretend) -> None:
    pretend(steps=STEPS | {"float32": {"packed": 4e-3, "blas": 0.5e-3}})
    assert choose(exact())[0] == "float32"
    assert choose(exact(), any_matmul=False)[0] == "int8"
    precision, note = choose(exact(matmul="blas"), any_matmul=False)
    assert precision == "float32"
    assert "; not tried: bfloat16, int8, which these runs cannot have)" in note


def test_the_networks_that_take_the_work_are_looked_at(pretend) -> None:
    compared = pretend()
    small = [exact(layers=(3072, 64, 20), activation="tanh", seed=seed) for seed in range(3)]
    _, note = choose(exact(), *small)
    assert "for 3072-64-20," in note
    assert [c.layers[1] for c in compared] == [64, 128]
    pretend(errors=ERRORS)
    assert "for 3072-128-20," in choose(exact(), small[0])[1]
    wide = pretend()
    choose(exact(layers=(3072, 4096, 20)))
    assert wide[0].batch_size == 64


def results(folder: Path) -> tuple[list[str], str]:
    """Return the precisions of a folder's results, and that in its sweep's file."""
    found = load_results(folder / "results.json")[1]
    assert [run.precision for run in found] == [run.config.precision for run in found]
    return [run.precision for run in found], toml_of((folder / "sweep.toml").read_bytes())["precision"]


@pytest.mark.usefixtures("embedded_made_once")
def test_a_sweep_keeps_its_precision_and_all_that_is_written_has_it(tmp_path, capsys, pretend) -> None:
    out = ("--out", str(tmp_path / "sweep"))
    pretend(steps=STEPS | {"float32": {"packed": 1e-4}})
    assert run(*SMALL, *out) == 0
    said = capsys.readouterr()
    assert "in the fastest precision that holds" in said.err
    assert "Precision: float32 for 3072-4-20, batch 1024, threads 1 (a step takes 0.10 ms float32 with" in said.err
    assert ", float32, products packed" in said.out
    assert results(tmp_path / "sweep") == (["float32"], "float32")
    compared = pretend()  # another measurement, which would change its mind
    kept = f"Precision: float32, as the sweep in {tmp_path / 'sweep'} has it.\n"
    assert run(*SMALL, *out, "--seeds", "2") == 0
    assert kept in capsys.readouterr().err
    assert results(tmp_path / "sweep") == (["float32"] * 2, "float32")
    for name in ("runs.jsonl", "results.json"):  # as where no run had ended
        (tmp_path / "sweep" / name).unlink()
    assert run(*SMALL, *out, "--dry-run") == 0
    assert kept in capsys.readouterr().err
    assert compared == []
    (tmp_path / "sweep" / "sweep.toml").write_text("precision = [")
    assert run(*SMALL, *out, "--dry-run") == 0
    assert "Precision: int8 for" in capsys.readouterr().err


def test_own_data_and_a_search_have_one_precision(tmp_path, capsys, pretend) -> None:
    pretend(steps=STEPS | {"bfloat16": {"packed": 9e-3}}, errors=dict.fromkeys(ERRORS, 1e-9))
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(60)))
    options = ("--data", tmp_path / "rows.csv", "--target", "b", "--precision", "auto", "--grid", "lr=0.01,0.02")
    assert run_own(*options, "--folds", "2", "--dry-run") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "Precision: float32 for 1-4-2, batch 24, threads 1 (a step takes 4.00 ms float32 with" in said
    assert "not tried: int8, which these runs cannot have)." in said
    assert "precision is an axis of the search" in refused(capsys, *options[:-1], "precision=float32,bfloat16")
    x = np.arange(120, dtype=np.float32).reshape(60, 2)
    made = train(x, np.arange(60) % 2, precision="auto", epochs=1, hidden=[4], workers="threads", threads=1)
    assert made.result.precision == "float32"


def test_where_nothing_can_be_measured_auto_is_refused_by_name(capsys) -> None:
    for make in (lambda: MLP([3, 2], precision="auto"), lambda: config(precision="auto")):
        with pytest.raises(ConfigError, match=f"(?s)precision is 'auto'.*{'.*'.join(PRECISIONS)}"):
            make()
    assert "allowed is float32 or float64" in fails(capsys, "--grid", "precision=auto,float32")


@pytest.mark.usefixtures("embedded_made_once")
def test_it_is_really_measured(capsys) -> None:
    assert run(*SMALL, "--dry-run") == 0
    said = capsys.readouterr().err
    assert " ms float32" in said
    assert "no gradients that can be compared" not in said
