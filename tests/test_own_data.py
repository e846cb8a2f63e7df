"""Runs and sweeps on rows and targets of every kind: they learn, resume to the same bits, and save models that tell."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.data import Dataset
from fastmlp.errors import ConfigError, DataError
from fastmlp.models.file import load_model, save_model
from fastmlp.models.model import Model
from fastmlp.models.precision_check import gradient_errors
from fastmlp.runs.autotune import measure
from fastmlp.runs.results import RunResult, load_results
from fastmlp.runs.run import compile_for, kinds, run_one
from fastmlp.sweep import run_sweep
from fastmlp.sweep.size import size_of
from own import config_of, features, images

KINDS = ("classes", "labels", "numbers")


def untimed(result: RunResult) -> RunResult:
    return replace(result, seconds=0.0, images_per_second=0.0, started="", finished="")


def told_by(model: Model, data: Dataset) -> float:
    """Return a score of a model's answers to raw test rows: of classes and labels the accuracy, of numbers R2."""
    answers, targets = model.predict(data.test_images), data.test_labels["y"]
    if data.kinds["y"] == "numbers":
        error = np.square(answers - targets).sum()
        return 1 - float(error / np.square(targets - targets.mean()).sum())
    same = answers == targets
    return float((same if same.ndim == 1 else same.all(axis=1)).mean())


DATA = [features(kind, dtype=dtype) for kind in KINDS for dtype in ("float32", "float64")]
DATA += [images(kind) for kind in KINDS]
DATA += [features(shape=(5, 1, 1), features=())]


@pytest.mark.parametrize("data", DATA, ids=lambda d: f"{d.kinds['y']}-{d.train_images.dtype}")
def test_a_run_learns_is_saved_and_its_model_takes_raw_rows(data: Dataset, tmp_path: Path) -> None:
    result = run_one(config_of(data, epochs=25), data, model_file=tmp_path / "m.npz")
    assert result.status == "done"
    assert result.test_accuracy > 0.7
    assert RunResult.from_json(result.to_json()) == result
    model = load_model(tmp_path / "m.npz")
    assert model.kind == data.kinds["y"]
    assert told_by(model, data) == pytest.approx(result.test_accuracy, abs=1e-5)
    assert (model.shape, model.features, model.class_names) == (data.shape, data.features, data.label_names["y"])
    for suffix in (".npz", ".safetensors"):
        save_model(tmp_path / f"again{suffix}", model)
        again = load_model(tmp_path / f"again{suffix}")
        np.testing.assert_array_equal(again.predict(data.test_images), model.predict(data.test_images))
    if data.kinds["y"] == "numbers":
        errors = model.predict(data.test_images) - data.test_labels["y"]
        assert result.test_rmse == [pytest.approx(float(np.sqrt(np.square(errors).mean())))]
    else:
        assert result.test_rmse == []
        assert model.predict_proba(data.test_images).shape == (len(data.test_images), len(model.class_names))


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16", "int8"])
@pytest.mark.parametrize("normalize", ["image", "channel", "dataset"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 4), (4, 3, 3), (2, 1, 7)], ids=str)
def test_images_of_any_shape_are_learnt_in_every_precision(
    shape: tuple[int, int, int], normalize: str, precision: str, tmp_path: Path
) -> None:
    data = images(shape=shape)
    made = config_of(data, normalize=normalize, precision=precision, matmul="", epochs=8)
    result = run_one(made, data, model_file=tmp_path / "m.npz")
    exact = run_one(replace(made, precision="float64", matmul="packed"), data)
    tolerance = 0.15 if precision in ("bfloat16", "int8") else 1e-3
    np.testing.assert_allclose(result.history["train_loss"][:3], exact.history["train_loss"][:3], rtol=tolerance)
    assert told_by(load_model(tmp_path / "m.npz"), data) == result.test_accuracy
    if precision != "float64":
        assert max(max(errors) for errors in gradient_errors(made, data)) < tolerance


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("changed", ["row", "target"])
@pytest.mark.parametrize("far", [1e25, 1e37, 1.7e308])
def test_a_test_row_far_away_is_tested_or_refused_before_training(far: float, changed: str) -> None:
    data = features("numbers", dtype="float64")
    rows, targets = data.test_images.copy(), data.test_labels["y"].copy()
    if changed == "row":
        rows[0, 0] = far
    else:
        targets[1] = far
    data, epochs = replace(data, test_images=rows, test_labels={"y": targets}), list[int]()
    try:
        result = run_one(config_of(data), data, on_epoch=lambda epoch, _: epochs.append(epoch))
    except DataError:
        assert far > 1e38
        assert not epochs
    else:
        assert np.isfinite(result.test_accuracy)
        assert RunResult.from_json(result.to_json()).test_rmse == result.test_rmse
        json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize("epoch", [1, 4])
@pytest.mark.parametrize(
    ("data", "changes"),
    [
        *((features(kind), {}) for kind in KINDS),
        (features("classes"), {"dropout": 0.2}),
        (features("classes"), {"precision": "bfloat16", "optimizer": "sgd"}),
        (features("numbers", dtype="float64"), {"matmul": "blas", "loss": "huber"}),
        (images(), {"precision": "int8"}),
        (images(), {"precision": "bfloat16", "normalize": "dataset"}),
        (images(shape=(2, 5, 8)), {"augment": "mirror-shift", "normalize": "channel"}),
    ],
)
def test_a_run_goes_on_from_its_checkpoint_to_the_same_bits(
    data: Dataset, changes: dict[str, Any], epoch: int, tmp_path: Path
) -> None:
    made = config_of(data, epochs=6, **changes)
    whole = run_one(made, data)
    assert run_one(made, data, kept=tmp_path / "run.npz", until=epoch).status == "interrupted"
    assert untimed(run_one(made, data, kept=tmp_path / "run.npz")) == untimed(whole)


@pytest.mark.parametrize("data", [features(kind) for kind in KINDS] + [images()], ids=lambda d: str(d.kinds["y"]))
def test_a_sweep_has_a_runs_results_and_models(data: Dataset, tmp_path: Path) -> None:
    configs = [config_of(data, epochs=4, seed=seed) for seed in (0, 1)]
    with ThreadPoolExecutor(1) as executor:
        results = run_sweep(configs, data, executor=executor, out=tmp_path)
    assert [untimed(one) for one in results] == [untimed(run_one(config, data)) for config in configs]
    assert load_results(tmp_path / "results.json")[1] == results
    for one in results:
        model = load_model(tmp_path / "models" / f"{one.run_id}.npz")
        assert told_by(model, data) == pytest.approx(one.test_accuracy, abs=1e-5)


@pytest.mark.process
@pytest.mark.parametrize("kind", KINDS)
def test_worker_processes_map_the_rows(kind: str, tmp_path: Path) -> None:
    data = features(kind, weights=np.ones(180), groups=np.arange(180) // 2)
    [run] = run_sweep([made := config_of(data, epochs=3)], data, out=tmp_path)
    assert untimed(run) == untimed(run_one(made, data))


def test_two_classes_may_be_one_logistic_unit(tmp_path: Path) -> None:
    data = features()
    labels = {part: {"y": np.minimum(getattr(data, f"{part}_labels")["y"], 1)} for part in ("train", "test")}
    data = replace(data, train_labels=labels["train"], test_labels=labels["test"], label_names={"y": ("no", "yes")})
    result = run_one(
        config_of(data, loss="logistic", layers=(5, 16, 1), epochs=25), data, model_file=tmp_path / "m.npz"
    )
    model = load_model(tmp_path / "m.npz")
    assert (model.kind, model.class_names) == ("classes", ("no", "yes"))
    assert told_by(model, data) == result.test_accuracy > 0.8
    p = model.predict_proba(data.test_images)
    assert p.shape == (60, 2)
    np.testing.assert_array_equal(p.argmax(axis=1), model.predict(data.test_images))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(data.test_images)), p, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared-error", "huber", "poisson"])
def test_several_numbers_come_back_in_their_own_units(loss: str, tmp_path: Path) -> None:
    data = features("numbers")
    targets = [
        {"y": np.stack((one["y"], one["y"] / 1e6, 0 * one["y"] + 7), axis=1)}
        for one in (data.train_labels, data.test_labels)
    ]
    names = {"y": ("price", "millions", "seven")}
    data = replace(data, train_labels=targets[0], test_labels=targets[1], label_names=names)
    result = run_one(config_of(data, loss=loss, epochs=40), data, model_file=tmp_path / "m.npz")
    told = load_model(tmp_path / "m.npz").predict(data.test_images)
    assert told.shape == (60, 3)
    np.testing.assert_allclose(told[:, 0], data.test_labels["y"][:, 0], rtol=0.4)
    np.testing.assert_allclose(told[:, 1], data.test_labels["y"][:, 1], rtol=0.4)
    np.testing.assert_allclose(told[:, 2], 7, rtol=0.2)
    np.testing.assert_allclose(result.test_rmse, np.sqrt(np.square(told - data.test_labels["y"]).mean(axis=0)))


def test_what_is_learnt_of_features_is_learnt_of_the_training_part_alone(tmp_path: Path) -> None:
    data = features("numbers")
    far = {"test_images": data.test_images * 1e3, "test_labels": {"y": data.test_labels["y"] * 1e3}}
    one, other = (run_one(config_of(data), some) for some in (data, replace(data, **far)))
    assert one.history == other.history
    run_one(config_of(data), data, model_file=tmp_path / "m.npz")
    model, rng = load_model(tmp_path / "m.npz"), np.random.default_rng(0)
    train = rng.permutation(180)[36:]
    assert model.moments is not None
    assert model.target_moments is not None
    np.testing.assert_allclose(model.moments[0], data.train_images[train].astype(float).mean(axis=0))
    np.testing.assert_allclose(model.moments[1], data.train_images[train].astype(float).std(axis=0))
    np.testing.assert_allclose(model.target_moments.ravel()[0], data.train_labels["y"][train].mean())


def test_features_as_they_are_are_not_copied_and_train_as_their_copies_do() -> None:
    data = features()
    x = [
        ((part - data.train_images.mean(0)) / data.train_images.std(0))
        for part in (data.train_images, data.test_images)
    ]
    prepared = [replace(data, train_images=x[0].astype(t), test_images=x[1].astype(t)) for t in ("float32", "float64")]
    one, two = (run_one(config_of(data, normalize="none"), some) for some in prepared)
    np.testing.assert_allclose(one.history["train_loss"], two.history["train_loss"], rtol=1e-3)
    assert one.test_accuracy > 0.7


def test_a_validation_part_of_ones_own_is_used_and_none_split_off() -> None:
    data = features()
    own = replace(data, validation_images=data.test_images, validation_labels=data.test_labels)
    assert own.fingerprint != data.fingerprint
    result = run_one(config_of(own), own)
    best = result.best_epoch - 1
    assert result.history["val_accuracy"][best] == result.test_accuracy
    # the same sum over the same rows, in blocks of other sizes
    assert result.history["val_loss"][best] == pytest.approx(result.test_loss, rel=1e-12)
    with pytest.raises(DataError, match="belong together"):
        replace(own, validation_labels=None).check()


def test_rows_without_weight_teach_nothing() -> None:
    data = features("numbers")
    weights = np.ones(180)
    weights[::3] = 0
    weighted = replace(data, weights=weights)
    wrong = data.train_labels["y"].copy()
    wrong[::3] = 1e9
    spoilt = replace(weighted, train_labels={"y": wrong})
    one, two = (run_one(config_of(data), some) for some in (weighted, spoilt))
    assert one.test_loss == pytest.approx(two.test_loss)
    assert one.weights_sha256 != run_one(config_of(data), data).weights_sha256


def test_rows_of_a_group_stay_together() -> None:
    from fastmlp.models.preparation import training_rows

    data = features(groups=np.arange(180) // 9)
    train, held = training_rows(config_of(data), data, np.random.default_rng(0))
    assert sorted([*train, *held]) == list(range(180))
    assert len(held) == 36
    assert not set(train // 9) & set(held // 9)


@pytest.mark.parametrize("data", [features(kind) for kind in KINDS] + [images(kind) for kind in KINDS])
def test_what_is_made_of_a_config_alone_knows_its_kind(data: Dataset) -> None:
    made = config_of(data)
    compile_for(made)
    assert set(measure(made)) == {"packed", "blas"}
    assert sum(size_of(made, data)) > 0
    assert max(max(errors) for errors in gradient_errors(made, data)) < 1e-2
    assert len(kinds([made, config_of(features()), config_of(images())])) == 2 + (data.kinds["y"] != "classes")


@pytest.mark.parametrize(
    ("data", "changes", "said"),
    [
        (
            features(),
            {"loss": "logistic", "layers": (5, 16, 3)},
            "loss is 'logistic'; allowed for y, classes, is cross-",
        ),
        (features("labels"), {"loss": "cross-entropy"}, "allowed for y, labels, is logistic"),
        (features("numbers"), {"loss": "logistic"}, "squared-error or huber or poisson"),
        (features("numbers"), {"layers": (5, 16, 2)}, "the first must be 5, the features, and the last 1, the numbers"),
        (features(), {"layers": (4, 16, 3)}, "the first must be 5, the features"),
        (features(), {"normalize": "image"}, "allowed for float32 features is standard or none"),
        (images(), {"normalize": "none"}, "allowed for images is image or channel or dataset"),
        (replace(images(), shape=None), {"augment": "mirror"}, "augment is 'mirror'; allowed for images of 64 values"),
        (features(shape=(5, 1, 1)), {"augment": "mirror"}, "allowed for features is 'none'"),
        (features(), {"labels": "z"}, "labels is 'z'; mine has y"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_before_training(data: Dataset, changes: Any, said: str) -> None:
    for run in (lambda c: run_one(c, data), lambda c: run_sweep([c], data)):
        with pytest.raises(ConfigError, match=said):
            run(config_of(data, **changes))


def test_int8_wants_images_and_negative_numbers_no_poisson() -> None:
    with pytest.raises(ConfigError, match="int8 multiplies images"):
        config_of(features(), precision="int8")
    data = features("numbers")
    below = replace(data, train_labels={"y": data.train_labels["y"] - 1e4})
    with pytest.raises(ConfigError, match="'poisson', and y goes down to -"):
        run_one(config_of(below, loss="poisson"), below)
    with pytest.raises(ConfigError, match="has no smoothing"):
        config_of(data, label_smoothing=0.1)
