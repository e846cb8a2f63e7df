"""A model comes back from its file as it was, and no other file is taken for one."""

import io
import json
import os
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from fastmlp import FastMLPError, load_model, save_model
from fastmlp.config import RunConfig
from fastmlp.errors import DataError, OutputError
from fastmlp.nn.loss import LOSSES, loss_named
from models import KINDS, rows_for, small_model


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(("normalize", "precision"), KINDS)
def test_a_model_comes_back_as_it_was(tmp_path, suffix, normalize, precision):
    model = small_model(normalize, precision)
    save_model(tmp_path / f"m{suffix}", model)
    back = load_model(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(back.parameters, model.parameters)
    assert back.parameters.dtype == model.parameters.dtype
    assert (back.moments is None) == (model.moments is None)
    if model.moments is not None:
        np.testing.assert_array_equal(back.moments, model.moments)
    assert replace(back, parameters=model.parameters, moments=model.moments).__dict__ == model.__dict__
    assert [p.name for p in tmp_path.iterdir()] == [f"m{suffix}"]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    "loss",
    [*LOSSES, loss_named("cross-entropy", smoothing=0.1, by_weight=True), loss_named("huber", delta=2.5)],
    ids=[*LOSSES, "smoothed", "delta"],
)
def test_a_model_of_any_loss_and_activations_comes_back_as_it_was(tmp_path, suffix, loss):
    model = small_model("none", "float64", activation=("gelu", "logistic"), loss=loss)
    save_model(tmp_path / f"m{suffix}", model)
    back = load_model(tmp_path / f"m{suffix}")
    assert (back.activation, back.loss) == (("gelu", "sigmoid"), loss_named(loss))
    x = rows_for(model)
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    np.testing.assert_array_equal(back.outputs(x), model.outputs(x))


def test_a_loss_is_written_only_where_it_is_not_as_usual(tmp_path):
    """So that versions that knew no other read the file."""
    smooth = loss_named("logistic", smoothing=0.25), {"name": "logistic", "smoothing": 0.25}
    for loss, written in (("cross-entropy", None), ("poisson", {"name": "poisson"}), smooth):
        save_model(tmp_path / "m.npz", small_model(loss=loss))
        with zipfile.ZipFile(tmp_path / "m.npz") as archive:
            assert json.loads(archive.read("facts.json")).get("loss") == written


def test_the_same_model_makes_the_same_file_and_numpy_reads_it(tmp_path):
    model = small_model()
    save_model(tmp_path / "a.npz", model)
    save_model(tmp_path / "b.npz", model)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as parts:
        np.testing.assert_array_equal(parts["weight_2"], model.arrays()[1][0])
        assert json.loads(parts["facts.json"])["class_names"] == list(model.class_names)


def rewritten(path, *, facts=None, drop=(), add=None, compressed=False):
    """Write the model's file anew with something changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name not in drop}
    if facts is not None:
        members["facts.json"] = json.dumps(json.loads(members["facts.json"]) | facts).encode()
    way = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, data in (members | (add or {})).items():
            archive.writestr(name, data)


def npy(array) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"facts": {"version": 2}}, "has version 2, this one reads 1"),
        ({"facts": {"format": "other"}}, "do not say 'fastmlp model'"),
        ({"facts": {"extra": 1}}, "unknown or missing keys: extra"),
        ({"facts": {"activation": "swish"}}, "activation is swish"),
        ({"facts": {"activation": ["tanh", "relu", "relu"]}}, "activation is"),
        ({"facts": {"activation": ["tanh", ["relu"]]}}, "activation is"),
        ({"facts": {"loss": "huber"}}, "loss is huber"),
        ({"facts": {"loss": {"name": "hinge"}}}, "loss is"),
        ({"facts": {"loss": {"name": "huber", "delta": -1}}}, "loss is"),
        ({"facts": {"loss": {"name": "huber", "smoothing": 0.5}}}, "loss is"),
        ({"facts": {"loss": {"name": "huber", "loss": "x"}}}, "loss is"),
        ({"facts": {"loss": None}}, "loss is"),
        ({"facts": {"layers": [48, 7, -5, 3]}}, "layers is"),
        ({"facts": {"layers": [48, True, 5, 3]}}, "layers is"),
        ({"facts": {"layers": [48, 7, 5, 5, 3], "class_names": []}}, "not those of its layers"),
        ({"facts": {"dtype": "float64"}}, "dtype is float64"),
        ({"facts": {"class_names": ["a"]}}, "class_names is"),
        ({"facts": {"normalize": "dataset"}}, "moments is None"),
        ({"facts": {"normalize": "standard"}}, "moments is None"),
        ({"facts": {"normalize": "standard", "moments": "00"}}, "not those of its layers"),
        ({"facts": {"shape": [3, 4, 5]}}, "shape is"),
        ({"facts": {"shape": [3, 16]}}, "shape is"),
        ({"facts": {"shape": "square"}}, "shape is"),
        ({"facts": {"features": ["a"]}}, "features is"),
        ({"facts": {"features": [7] * 48}}, "features is"),
        ({"facts": {"target_moments": [[0.0] * 3, [1.0] * 3]}}, "target_moments is"),
        ({"facts": {"config": {"experiment": "x"}}}, "missing"),
        ({"facts": {"weights_sha256": "00"}}, "hash"),
        ({"drop": ("bias_2.npy",)}, "not those of its layers"),
        ({"add": {"evil.npy": b"x"}}, "not those of its layers"),
        ({"add": {"weight_1.npy": npy(np.zeros((7, 48), np.float32))}}, "shape"),
        ({"add": {"weight_1.npy": npy(np.zeros((48, 7), np.float32).T.copy().T)}}, "shape"),
        ({"add": {"weight_1.npy": npy(np.full((48, 7), np.nan, np.float32))}}, "NaN"),
        ({"add": {"weight_1.npy": b"\x93NUMPY"}}, "too small"),
        ({"add": {"weight_1.npy": npy(np.zeros((48, 7), np.float32)), "facts.json": b"[" * 100_000}}, "no model"),
        ({"add": {"padding": b"0" * 99999}, "compressed": True}, "more than it does"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path, change, told):
    path = tmp_path / "m.npz"
    save_model(path, small_model())
    rewritten(path, **change)
    with pytest.raises(DataError, match=told):
        load_model(path)


def test_layers_that_the_file_cannot_hold_take_no_memory(tmp_path):
    path = tmp_path / "m.npz"
    save_model(path, small_model())
    rewritten(path, facts={"layers": [3 << 20, 1 << 20, 5, 3]})
    tracemalloc.start()
    with pytest.raises(DataError, match="too small for its shape"):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_damaged_file_is_refused_wherever_it_is_cut_or_changed(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    save_model(path, small_model())
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            try:
                back = load_model(path)
            except DataError:
                continue
            assert back.weights_sha256 == small_model().weights_sha256  # a byte that means nothing, such as a date


def test_a_file_that_is_not_there_or_of_another_kind_is_told(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        load_model(tmp_path / "none.npz")
    with pytest.raises(FastMLPError, match=r"end in \.npz or \.safetensors"):
        load_model(tmp_path / "model.pkl")
    with pytest.raises(OutputError, match="could not be written"):
        save_model(tmp_path / "no" / "m.npz", small_model())


def test_facts_that_were_changed_within_safetensors_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, small_model("dataset"))
    content = path.read_bytes()
    for old, new in ((b"[99.0,", b"[98.0,"), (b"small", b"large")):  # others' predictions, and no hash of the weights'
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
        with pytest.raises(DataError, match="facts are not those that their hash is of"):
            load_model(path)


def test_a_config_of_another_model_is_refused(tmp_path):
    config = RunConfig(dataset="cifar100", layers=(48, 7, 5, 3), precision="float64", normalize="image")
    save = tmp_path / "m.npz"
    with pytest.raises(OutputError, match="its config is that of another model"):
        save_model(save, replace(small_model(), config=config))
    save_model(save, replace(small_model(), config=replace(config, precision="float32", matmul="")))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"m{suffix}")
    with pytest.raises(DataError, match="it is a FIFO, not a file"):
        load_model(tmp_path / f"m{suffix}")


def test_moments_that_the_models_numbers_cannot_hold_are_refused(tmp_path):
    save_model(tmp_path / "m.npz", small_model("dataset"))
    rewritten(tmp_path / "m.npz", facts={"moments": [[1e300] * 3, [1.0] * 3]})
    with pytest.raises(DataError, match="its moments is"):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_model_of_features_comes_back_with_the_units_of_rows_and_numbers(suffix, tmp_path):
    plain, rng = small_model("none", "float32", loss="squared-error"), np.random.default_rng(0)
    moments, own = np.abs(rng.normal(size=(2, 48))) + 1, np.array([[1e6, 0.0, -3.0], [1e3, 1.0, 1e-9]])
    features = tuple(f"column {i}" for i in range(48))
    model = replace(plain, normalize="standard", moments=moments, target_moments=own, features=features)
    save_model(tmp_path / f"m{suffix}", model)
    back = load_model(tmp_path / f"m{suffix}")
    x = rng.normal(size=(9, 48)) * moments[1] + moments[0]
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    assert back.features == features
    told = plain.predict(((x - moments[0]) / moments[1]).astype(np.float32))
    np.testing.assert_allclose(model.predict(x), told * own[1] + own[0], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("damage", ["moments", "deviation", "target"])
def test_units_that_are_not_those_that_were_saved_are_refused(damage, tmp_path):
    moments, own = np.ones((2, 48)), np.ones((2, 3))
    model = replace(
        small_model("none", "float32", loss="huber"), normalize="standard", moments=moments, target_moments=own
    )
    save_model(path := tmp_path / "m.npz", model)
    if damage == "target":
        rewritten(path, facts={"target_moments": [[0.0] * 3, [1.0, 0.0, 1.0]]})
    else:
        rewritten(path, add={"moments.npy": npy(moments * (2 if damage == "moments" else -1))})
    with pytest.raises(DataError, match="moments"):
        load_model(path)
