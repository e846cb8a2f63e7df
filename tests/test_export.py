"""The exported graph gives this package's probabilities."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from fastmlp import export, load_model, save_model
from fastmlp.errors import ConfigError, OutputError
from fastmlp.models import onnx as onnx_graph
from fastmlp.nn import precision
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.loss import LOSSES
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs.run import run_one
from fastmlp_kernels._activation_passes import USUAL
from models import KINDS, rows_for, small_model
from own import config_of, features, images

# An activation and a loss have the same nodes in models of all kinds, each of which is seconds of compiling more.
FEW = [("none", "float32"), ("none", "float64")]


@pytest.mark.parametrize(
    ("activation", "normalize", "precision"),
    [(name, *kind) for name in ACTIVATIONS for kind in (KINDS if name in USUAL else FEW)],
)
def test_onnxruntime_gives_the_same_probabilities(normalize, precision, activation):
    model = small_model(normalize, precision, activation=activation)
    found = onnx_graph.check(onnx_graph.to_onnx(model), model, rows_for(model, 300))
    assert found.difference <= onnx_graph.tolerance(model) == PRECISIONS[precision].tolerance
    assert found.agreement > 0.99


@pytest.mark.parametrize(("normalize", "precision"), FEW)
@pytest.mark.parametrize("loss", LOSSES)
def test_onnxruntime_gives_what_each_loss_makes_of_the_sums(normalize, precision, loss):
    model = small_model(normalize, precision, activation=("sigmoid", "tanh"), loss=loss)
    proto = onnx_graph.to_onnx(model)
    assert [out.name for out in proto.graph.output] == ["probabilities" if model.loss.of_probabilities else "outputs"]
    assert onnx_graph.check(proto, model, rows_for(model, 300)).difference <= onnx_graph.tolerance(model)


def test_the_command_exports_a_network_of_numbers(tmp_path, capsys):
    save_model(tmp_path / "m.npz", small_model("none", "float64", loss="huber"))
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.onnx")]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "rows of random numbers: outputs differ by at most" in said
    assert "class" not in said


def test_a_network_whose_hidden_layers_multiply_bytes_is_exported(monkeypatch):
    monkeypatch.setattr(precision, "WIDE", 1)
    model = small_model("image", "int8", activation="relu")
    found = onnx_graph.check(onnx_graph.to_onnx(model), model, rows_for(model, 300))
    assert found.difference <= onnx_graph.tolerance(model) == onnx_graph.BYTES_BETWEEN_LAYERS
    assert found.agreement > 0.99


def test_a_wide_network_in_int8_is_written(tmp_path):
    model = small_model("image", "int8", layers=(48, 700, 600, 500, 3), activation="relu")
    narrow = replace(model, parameters=model.parameters / 12)  # so that the probabilities are not all 0 and 1
    onnx_graph.export_onnx(tmp_path / "m.onnx", narrow, rows_for(narrow, 300))
    assert (tmp_path / "m.onnx").is_file()


def test_an_activation_that_is_in_no_table_is_refused():
    model = small_model()
    object.__setattr__(model, "activation", "swish")  # as `Model` itself refuses it
    with pytest.raises(ConfigError, match="unknown activation 'swish', allowed: tanh"):
        onnx_graph.to_onnx(model)


def test_each_layer_s_own_activation_is_in_the_graph(monkeypatch):
    monkeypatch.setattr(precision, "WIDE", 1)
    for own in ("float32", "int8"):
        model = small_model("image", own, layers=(48, 7, 6, 5, 3), activation=("tanh", "relu", "sigmoid"))
        found = onnx_graph.check(onnx_graph.to_onnx(model), model, rows_for(model, 300))
        assert found.difference <= onnx_graph.tolerance(model)
    assert onnx_graph.tolerance(model) == onnx_graph.BYTES_BETWEEN_LAYERS  # above the ReLU layer


def test_a_network_without_hidden_layers_is_exported():
    model = small_model(layers=(48, 3))
    assert onnx_graph.check(onnx_graph.to_onnx(model), model, rows_for(model)).difference < 1e-4


def test_the_command_writes_a_file_that_tells_its_classes(tmp_path, capsys):
    save_model(tmp_path / "m.npz", small_model())
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.onnx")]) == 0
    assert "random images: probabilities differ by at most" in " ".join(capsys.readouterr().err.split())
    proto = onnx.load(tmp_path / "m.onnx")
    props = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert props["classes"] == list(small_model().class_names)


def test_the_other_format_is_written_too(tmp_path):
    save_model(tmp_path / "m.npz", small_model())
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.safetensors")]) == 0
    assert export.main([str(tmp_path / "m.safetensors"), str(tmp_path / "b.npz")]) == 0
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()


def test_another_suffix_is_refused(tmp_path, capsys):
    save_model(tmp_path / "m.npz", small_model())
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.pt")]) == 2
    assert "ends in none of .onnx, .npz, .safetensors" in " ".join(capsys.readouterr().err.split())


def test_a_graph_that_differs_is_not_written(tmp_path, monkeypatch):
    model = small_model()
    monkeypatch.setattr(onnx_graph, "check", lambda *_: onnx_graph.Check(20, float("nan"), 0.0))
    with pytest.raises(OutputError, match="was not written"):
        onnx_graph.export_onnx(tmp_path / "m.onnx", model, rows_for(model))
    assert not np.any([p.suffix == ".onnx" for p in tmp_path.iterdir()])


@pytest.mark.parametrize(
    ("kind", "precision"),
    # what is peculiar to bfloat16, its tolerance, knows nothing of the targets
    [(kind, precision) for kind in ("classes", "labels", "numbers") for precision in ("float32", "float64")]
    + [("classes", "bfloat16")],
)
def test_a_runs_model_of_features_is_exported_with_their_units(kind, precision, tmp_path):
    data = features(kind)
    made = config_of(data, precision=precision, matmul="packed", epochs=3, optimizer="sgd", lr=0.001)
    run_one(made, data, model_file=tmp_path / "m.npz")
    model = load_model(tmp_path / "m.npz")
    x = data.test_images.astype(model.parameters.dtype)
    found = onnx_graph.check(onnx_graph.to_onnx(model), model, x)
    assert found.difference <= onnx_graph.tolerance(model)
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.onnx")]) == 0


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("normalize", ["image", "channel", "dataset"])
def test_a_runs_model_of_small_images_is_exported(normalize, precision, tmp_path):
    data = images(shape=(2, 5, 3))
    made = config_of(data, normalize=normalize, precision=precision, matmul="packed", epochs=3)
    run_one(made, data, model_file=tmp_path / "m.npz")
    model = load_model(tmp_path / "m.npz")
    found = onnx_graph.check(onnx_graph.to_onnx(model), model, data.test_images)
    assert found.difference <= onnx_graph.tolerance(model)
