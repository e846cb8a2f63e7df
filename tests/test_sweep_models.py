"""A sweep saves the networks that it tested, and can begin with the weights of one."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from fastmlp import export, load_model, predict
from fastmlp.data import load_dataset
from fastmlp.runs.results import load_results
from fastmlp.train import main

SMALL = ["--dataset", "embedded", "--layers", "3072,4,20", "--epochs", "1", "--workers", "threads", "--quiet"]


@pytest.mark.parametrize("normalize", ["image", "dataset"])
def test_each_run_saves_what_predicts_as_it_did(tmp_path, normalize, capsys):
    assert main([*SMALL, "--normalize", normalize, "--out", str(tmp_path)]) == 0
    [run] = load_results(tmp_path / "results.json")[1]
    model = load_model(tmp_path / "models" / f"{run.run_id}.npz")
    dataset = load_dataset("embedded")
    assert model.weights_sha256 == run.weights_sha256
    assert (model.config, model.fingerprint) == (run.config, dataset.fingerprint)
    found = model.predict_proba(dataset.test_images).argmax(axis=1) == dataset.test_labels["coarse"]
    assert found.mean() == run.test_accuracy
    capsys.readouterr()
    assert predict.main([str(tmp_path / "models" / f"{run.run_id}.npz"), "--dataset", "embedded"]) == 0
    assert f"| all | 1000 | {100 * run.test_accuracy:.2f} |" in capsys.readouterr().out


@pytest.mark.process
def test_a_fresh_process_and_the_exported_graph_reach_the_runs_accuracy(tmp_path):
    assert main([*SMALL, "--normalize", "channel", "--out", str(tmp_path)]) == 0
    [run] = load_results(tmp_path / "results.json")[1]
    path = tmp_path / "models" / f"{run.run_id}.npz"
    command = [sys.executable, "-m", "fastmlp.predict", str(path), "--dataset", "embedded", "--quiet"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"| all | 1000 | {100 * run.test_accuracy:.2f} |" in told
    assert export.main([str(path), str(tmp_path / "m.onnx")]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    dataset = load_dataset("embedded")
    probabilities = np.asarray(session.run(["probabilities"], {"inputs": dataset.test_images})[0])
    right = (probabilities.argmax(axis=1) == dataset.test_labels["coarse"]).mean()
    # The graph adds in another order: an image whose two best classes are equal to six digits may fall to the other.
    assert abs(right - run.test_accuracy) <= 0.001


def test_a_search_saves_the_best_alone(tmp_path):
    assert main([*SMALL, "--grid", "lr=0.001,0.01", "--normalize", "image", "--out", str(tmp_path)]) == 0
    runs = load_results(tmp_path / "results.json")[1]
    tested = [run.run_id for run in runs if np.isfinite(run.test_accuracy)]
    assert [p.stem for p in (tmp_path / "models").iterdir()] == tested
    assert len(tested) == 1


def test_training_goes_on_from_a_model(tmp_path, capsys):
    assert main([*SMALL, "--normalize", "channel", "--out", str(tmp_path / "a")]) == 0
    [first] = load_results(tmp_path / "a" / "results.json")[1]
    given = str(tmp_path / "a" / "models" / f"{first.run_id}.npz")
    on = ["--dataset", "embedded", "--init-from", given, "--epochs", "2", "--quiet"]
    assert main([*on, "--out", str(tmp_path / "b")]) == 0
    [second] = load_results(tmp_path / "b" / "results.json")[1]
    assert second.config.layers == first.config.layers
    assert second.config.normalize == "channel"
    assert second.config.init_from == first.weights_sha256
    assert second.history["train_loss"][0] < first.history["train_loss"][0]
    assert main([*on, "--layers", "3072,5,20", "--out", str(tmp_path / "c")]) == 2
    assert "--init-from has the network 3072-4-20" in " ".join(capsys.readouterr().err.split())
    assert main([*on, "--experiments", "relu", "--out", str(tmp_path / "d")]) == 2
    assert "is not that of --experiments relu" in " ".join(capsys.readouterr().err.split())
