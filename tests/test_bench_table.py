"""The tables of performance from a run's JSON, and which tests a bare pytest collects."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import conftest, table, training_tables
from bench.readme import markers

ROOT = Path(__file__).parents[1]
START, END = markers(table.BLOCK)
TEXT = f"before\n{START}\nold\n{END}\nafter\n"


def result(group, impl, seconds, **extra):
    return {"group": group, "stats": {"median": seconds}, "extra_info": {"impl": impl, **extra}}


def step(impl, seconds, threads):
    extra = {"layers": "3072-128-20", "batch": 1024, "threads": threads, "gflop_per_s": 80.0}
    extra |= {"precision": "float32", "peak_gflop_per_s": 100.0, "peak_share": 0.8}
    return result("train_step", impl, seconds, blas_kernels="SkylakeX", **extra)


@pytest.fixture
def run_json(tmp_path):
    machine = {"cpu": "Some CPU", "cores": 2, "numpy": "2.4", "numba": "0.68", "blas_kernels": "Haswell"}
    benchmarks = [
        *(step("fastmlp", seconds, 1) for seconds in (0.010, 0.900, 0.012)),  # one turn met a slow moment
        step("numpy", 0.036, 1),
        step("torch", 0.006, 1),  # a rival that wins
        step("fastmlp", 0.005, 2),
        result("bias_tanh", "fastmlp", 2e-5, shape=[1024, 128], gb_per_s=50.0),
        result("bias_tanh", "numpy_inplace", 7e-5, shape=[1024, 128], gb_per_s=15.0),
        result("import", "fastmlp", 0.02),
        {"group": "threads", "stats": {"median": 1.0},
         "extra_info": {"rival": "fastmlp", "layers": "3072-128-20", "batch": 16, "gain": 1.25, "ways": [2]}},
    ]  # fmt: skip
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"machine_info": {"fastmlp": machine}, "benchmarks": benchmarks}), encoding="utf-8")
    return path


def test_the_table_is_the_median_over_turns_with_ratios_and_losing_cases(run_json):
    block = table.render(json.loads(run_json.read_text(encoding="utf-8")))
    one, two = block.split("A training step of 3072-128-20, tanh, ")[1:3]
    assert one.startswith("1 thread:")
    assert "| **fastmlp**, float32 | 12 ms, 80 GFLOP/s (80%) |" in one
    assert "| plain numpy, float64 | 36 ms (3.00x) |" in one
    assert "| PyTorch eager, float32 | 6 ms (0.50x) |" in one
    assert two.startswith("2 threads:")
    assert "| **fastmlp**, float32 | 5 ms, 80 GFLOP/s (80%) |" in two
    assert "PyTorch" not in two  # only what was measured
    assert "| `bias_tanh` | 1024 x 128 | 20 us | 50.0 | 70 us (3.50x) |" in block
    assert "| start Python and `import fastmlp` | 20 ms |" in block
    assert "| step | 3072-128-20, batch 16 |\n| --- | ---: |\n| **fastmlp**, float32 | 1.25x |" in block
    assert "Some CPU, 2 cores; numpy 2.4 with BLAS kernels SkylakeX" in block
    assert "JAX" not in block  # it was not there


def rendered(*benchmarks, **run):
    machine = {"cpu": "Some CPU", "cores": 2, "numpy": "2.4", "numba": "0.68", "blas_kernels": None, **run}
    return table.render({"machine_info": {"fastmlp": machine}, "benchmarks": benchmarks})


def rival_step(rival, seconds, **case):
    one = step(rival.removesuffix("_bf16").removesuffix("_int8"), 40 * seconds, case.pop("threads", 1))
    # The benchmark timed a round of forty steps; what one took is in its extra_info.
    one["extra_info"] |= {"rival": rival, "seconds": seconds, "steps": 40, **case}
    return one


def test_steps_stand_by_batch_and_by_hidden_units_with_ratios_to_both_precisions():
    block = rendered(
        *(rival_step("fastmlp", seconds, batch=b) for b, seconds in ((1024, 8e-3), (64, 1e-3), (1, 1e-4))),
        *(rival_step("fastmlp_bf16", seconds, batch=b) for b, seconds in ((1024, 4e-3), (64, 2e-3))),
        *(rival_step("jax", seconds, batch=b) for b, seconds in ((1024, 2e-2), (1, 5e-5))),
        rival_step("fastmlp", 2e-3, layers="3072-20-20"),
        rival_step("jax", 3e-3, layers="3072-20-20"),
        rival_step("fastmlp", 3e-5, layers="4-120-84-2", batch=32),
    )
    assert "| step | batch 1 | batch 64 | batch 1024 | 4-120-84-2, batch 32 |" in block
    assert "| JAX jit, float32 | 50 us (0.50x) | - | 20 ms (2.50x, 5.00x) | - |" in block
    assert "| step | 20 hidden | 128 hidden |" in block
    assert "| JAX jit, float32 | 3 ms (1.50x) | 20 ms (2.50x, 5.00x) |" in block


def test_int8_stands_beside_the_other_precisions_with_speeds_above_a_thousand_in_full():
    block = rendered(
        *(rival_step(f"fastmlp{end}", seconds) for end, seconds in (("", 8e-3), ("_bf16", 4e-3), ("_int8", 1e-3))),
        rival_step("jax", 2e-2),
    )
    assert "(2.50x, 5.00x, 20.00x)" in block
    assert training_tables._speed([{"gflop_per_s": 4032.1, "peak_share": 0.5}]) == "4,032 GFLOP/s (50%)"


def test_epochs_stand_beside_the_memory_they_took():
    def epoch(rival, seconds, threads, **extra):
        return rival_step(rival, seconds, threads=threads, rows=40_000, **extra) | {"group": "epoch"}

    block = rendered(
        epoch("fastmlp", 0.2, 1, peak_bytes=400e6),
        epoch("torch", 0.8, 1, peak_bytes=1.2e9),
        epoch("fastmlp", 0.1, 2, peak_bytes=500e6),
    )
    case = "3072-128-20, batch 1024, 40,000 rows"
    assert f"| epoch | {case}, 1 thread | {case}, 2 threads | most memory, 1 thread |" in block
    assert "| PyTorch eager, float32 | 800 ms (4.00x) | - | 1,200 MB |" in block
    assert "400 MB |" in block


def test_answers_stand_beside_the_rivals():
    def answer(rival, seconds):
        return rival_step(rival, seconds, layers="64-128-4", batch=1) | {"group": "predict"}

    block = rendered(answer("fastmlp", 1e-5), answer("numpy", 5e-6))
    assert "| predict | 64-128-4, 1 row |" in block
    assert "| **fastmlp**, float32 | 10 us |" in block
    assert "| numpy, float32 | 5 us (0.50x) |" in block


def test_the_tables_say_of_which_run_they_are():
    assert set(table.RUNS) == {"full", "short", "chosen"}
    for run, text in table.RUNS.items():
        assert f"\n\n{text} Medians of one run" in rendered(rival_step("fastmlp", 1e-3), run=run)
    assert "\n\nMedians of one run" in rendered(rival_step("fastmlp", 1e-3))  # a file from before


class Item:
    def __init__(self, full):
        self.full = full

    def get_closest_marker(self, name):
        return name == "full" and self.full


@pytest.mark.parametrize(
    ("full", "keyword", "args", "run", "left"),
    [
        (False, "", ["bench"], "short", 1),
        (True, "", ["bench"], "full", 2),
        (False, "batch64", ["bench"], "chosen", 2),
        (False, "", ["bench/test_gemm.py::test_product[name]"], "chosen", 2),
        (True, "batch64", ["bench"], "chosen", 2),
    ],
)
def test_a_short_run_leaves_out_what_was_not_named(full, keyword, args, run, left):
    gone: list[Any] = []
    items: list[Any] = [Item(False), Item(True)]
    option = SimpleNamespace(full=full, keyword=keyword, benchmark_disable=False)
    hook = SimpleNamespace(pytest_deselected=lambda items: gone.extend(items))
    config: Any = SimpleNamespace(option=option, args=args, hook=hook)
    assert conftest.run_of(config) == run
    conftest.pytest_collection_modifyitems(config, items)
    assert len(items) == left
    assert len(gone) == 2 - left


def test_products_say_how_their_operands_came():
    def product(rival, source, transposed):
        case = {"m": 3072, "k": 1024, "n": 128, "transposed": transposed, "source": source}
        return rival_step(rival, 1e-3, **case) | {"group": "gemm"}

    block = rendered(
        product("fastmlp", "plain", True), product("numpy", "plain", True), product("fastmlp", "images", False)
    )
    assert "| product | **fastmlp**, float32 | numpy, float32 |" in block
    assert "| 1024 x 3072 transposed by 1024 x 128 | 80 GFLOP/s (80%) | 80 GFLOP/s (80%) |" in block
    assert (
        "| 3072 x 1024 by 1024 x 128, from uint8 images: gather, convert, normalise, pack | 80 GFLOP/s (80%) | - |"
        in block
    )


def test_writing_then_checking(run_json, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(TEXT, encoding="utf-8")
    argv = [str(run_json), "--readme", str(readme)]
    assert table.main([*argv, "--check"]) == 1
    assert readme.read_text(encoding="utf-8") == TEXT
    assert table.main(argv) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{START}\nSome CPU")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert table.main([*argv, "--check"]) == 0
    assert "current" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "bench.json"]


@pytest.mark.parametrize("text", ["none", f"{END}\n{START}", TEXT + TEXT], ids=["none", "order", "twice"])
def test_a_readme_without_the_two_markers_is_refused_and_left_alone(run_json, tmp_path, text, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        table.main([str(run_json), "--readme", str(readme)])
    assert error.value.code == 2
    assert START in capsys.readouterr().err
    assert readme.read_text(encoding="utf-8") == text


def _collected(*arguments):
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}  # not a worker
    environment = ours | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    # of the tests a few files alone, as each that is collected is imported
    few = ["--ignore-glob", str(ROOT / "tests" / "test_[!w]*")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *few, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return set(re.findall(r"^(\w+)/test_\w+\.py::", done.stdout, re.MULTILINE))


@pytest.mark.process
def test_a_bare_pytest_collects_tests_alone():
    assert _collected("-p", "no:benchmark") == {"tests"}  # with it, as whoever runs it sees


@pytest.mark.process
def test_benchmark_only_collects_benchmarks_alone():
    pytest.importorskip("pytest_benchmark", reason="the extra `bench` is not installed")
    assert _collected("--benchmark-only") == {"bench"}
