"""The chart of bench/README.md: drawn from a run's JSON, the same file for the same figures, legible on any page."""

import json

import pytest

from bench import chart
from bench.training_tables import RIVALS


def step(rival, batch, threads, seconds):
    precision = "bfloat16" if rival.endswith("_bf16") else "float32"
    speed = {"seconds": seconds, "gflop_per_s": 1e-3 / seconds, "peak_gflop_per_s": 100.0 * threads, "peak_share": 0.5}
    case = {"layers": chart.LAYERS, "batch": batch, "threads": threads, "precision": precision}
    extra = {"impl": rival, "rival": rival, **case, **speed}
    return {"group": "train_step", "stats": {"median": seconds}, "extra_info": extra}


@pytest.fixture
def run_json(tmp_path):
    rivals = [("fastmlp", 1), ("fastmlp_bf16", 0.5), ("torch", 3)]
    steps = [step(r, b, t, b * f * 1e-5 / t) for r, f in rivals for b in (1, 1024) for t in (1, 2)]
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"benchmarks": steps}), encoding="utf-8")
    return path


def test_every_rival_has_a_line_of_its_own():
    assert chart.STYLES.keys() == RIVALS.keys() - {"numpy_default_blas"}  # whose line would mostly hide numpy's
    assert len(set(chart.STYLES.values())) == len(chart.STYLES)


def test_ratios_are_to_our_float32_and_miss_no_batch(run_json):
    batches = chart.speeds(json.loads(run_json.read_text(encoding="utf-8")))[2]
    sizes, ratios = chart._line(batches, "torch", ratio=True)
    assert sizes == [1, 1024]
    assert ratios == pytest.approx([3, 3])
    assert chart._line(batches, "jax", ratio=False) == ([], [])
    assert chart._peaks(batches) == {"bfloat16, float32": 200.0}  # one line, one label
    batches[1]["fastmlp_bf16"] = [batches[1]["fastmlp"][0] | {"precision": "bfloat16", "peak_gflop_per_s": 400.0}]
    batches[1024]["fastmlp_bf16"] = batches[1]["fastmlp_bf16"]
    assert chart._peaks(batches) == {"bfloat16": 400.0, "float32": 200.0}


def test_the_same_figures_draw_the_same_picture_on_light_ground(run_json, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    assert chart.main([str(run_json), "--out", str(first)]) == 0
    assert chart.main([str(run_json), "--out", str(second)]) == 0
    text = first.read_text(encoding="utf-8")
    assert text == second.read_text(encoding="utf-8")
    assert f"fill: {chart.PAPER}" in text
    for label in ("fastmlp, bfloat16", "PyTorch eager, float32", "peak, bfloat16, float32", "1 thread", "2 threads"):
        assert f">{label}</text>" in text
    assert "JAX" not in text


def test_a_run_without_steps_is_refused(tmp_path, capsys):
    path = tmp_path / "bench.json"
    path.write_text('{"benchmarks": []}', encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        chart.main([str(path), "--out", str(tmp_path / "chart.svg")])
    assert error.value.code == 2
    assert "no training step" in capsys.readouterr().err
    assert not (tmp_path / "chart.svg").exists()
