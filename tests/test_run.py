import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp.runs.run as run_module
from compilations import compile_for_a_while
from fastmlp.config import SCHEDULE_SETTINGS, RunConfig
from fastmlp.models.file import load_model
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs.results import RunResult
from fastmlp.runs.run import kinds, run_one
from samples import config, dataset

DATA = dataset()


def small(**changes: Any) -> RunConfig:
    """A run of a fraction of a second on DATA."""
    fields = {"dataset": "embedded", "layers": (3072, 16, 20), "batch_size": 32, "epochs": 3, "lr": 0.02}
    return config(**(fields | changes))


def untimed(result: RunResult) -> RunResult:
    return replace(result, seconds=0.0, images_per_second=0.0)


def test_a_network_learns_what_is_there_to_learn() -> None:
    result = run_one(small(epochs=20), DATA)
    assert result.status == "done"
    assert result.test_accuracy > 0.6  # chance is 0.05
    assert result.test_loss < 2.0  # chance is log(20) = 3.0


WAYS = [(name, matmul) for name, precision in PRECISIONS.items() for matmul in precision.matmuls]


@pytest.mark.parametrize(("precision", "matmul"), WAYS)
@pytest.mark.parametrize("normalize", ["image", "channel", "dataset"])
def test_the_same_config_gives_the_same_bits(normalize: str, precision: str, matmul: str) -> None:
    made = small(normalize=normalize, precision=precision, matmul=matmul, seed=4)
    assert untimed(run_one(made, DATA)) == untimed(run_one(made, DATA))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_any_number_of_threads_gives_the_same_bits(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmlp.nn.threads.usable_cores", lambda: 2)
    monkeypatch.setattr("fastmlp.nn.packed.engine.TEAM_FLOP", 0)
    one, two = (run_one(small(precision=precision, threads=n), DATA) for n in (1, 2))
    assert one.history == two.history
    assert (one.test_loss, one.test_accuracy) == (two.test_loss, two.test_accuracy)


@pytest.mark.parametrize(("precision", "matmul"), WAYS)
def test_all_ways_to_compute_learn_alike(precision: str, matmul: str) -> None:
    """float32 is off by rounding errors; bfloat16 and int8 by more, and by units that a rounding switches."""
    exact = run_one(small(precision="float64"), DATA)
    result = run_one(small(precision=precision, matmul=matmul), DATA)
    tolerance = 2e-2 if precision in ("bfloat16", "int8") else 1e-5
    np.testing.assert_allclose(result.history["train_loss"], exact.history["train_loss"], rtol=tolerance)
    assert result.test_loss == pytest.approx(exact.test_loss, rel=tolerance)
    assert (result.config.matmul, result.precision) == (matmul, precision)


@pytest.mark.parametrize("epoch", [1, 3])
def test_augmented_and_scheduled_training_goes_on_to_the_same_bits(epoch: int, tmp_path: Path) -> None:
    """Both depend on the epoch: on the generator's state and on the share of the epochs that is done."""
    made = small(epochs=5, augment="mirror-shift", schedule="cosine", normalize="channel")
    whole = run_one(made, DATA)
    assert run_one(made, DATA, kept=tmp_path / "run.npz", until=epoch).status == "interrupted"
    assert run_one(made, DATA, kept=tmp_path / "run.npz").weights_sha256 == whole.weights_sha256
    plain = run_one(replace(made, augment="none"), DATA), run_one(replace(made, schedule="constant"), DATA)
    assert whole.weights_sha256 not in [result.weights_sha256 for result in plain]


STEPS = [
    {"optimizer": "adam", "schedule": "step", "schedule_every": 2, "warmup": 1, "dropout": 0.25, "input_dropout": 0.1},
    {"optimizer": "adamw", "schedule": "plateau", "schedule_patience": 0, "layers": (3072, 8, 7, 20), "clip_norm": 0.5,
     "activation": ("gelu", "tanh"), "dropout": 0.25, "label_smoothing": 0.1, "matmul": "blas"},
]  # fmt: skip


@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: steps["optimizer"])
def test_other_optimisers_with_dropout_go_on_to_the_same_bits(steps: dict[str, Any], tmp_path: Path) -> None:
    """Adam's corrections and what is dropped depend on the number of the step, and the rates on the history."""
    made = small(epochs=6, lr=None, momentum=None, **steps)
    whole = run_one(made, DATA, model_file=tmp_path / "model.npz")
    assert whole.status == "done"
    for epoch in (1, 4):
        assert run_one(made, DATA, kept=tmp_path / "run.npz", until=epoch).status == "interrupted"
    assert untimed(run_one(made, DATA, kept=tmp_path / "run.npz")) == untimed(whole)
    for other in (
        {"dropout": 0.5},
        {"optimizer": "nesterov", "beta1": None, "beta2": None, "eps": None},
        {"schedule": "constant", **dict.fromkeys(SCHEDULE_SETTINGS)},
    ):
        # a plateau may not come about, and another optimiser compiles two more runs
        if made.schedule == "step" if "schedule" in other else "optimizer" not in other or made.matmul == "blas":
            assert run_one(replace(made, **other), DATA).weights_sha256 != whole.weights_sha256
    kept = load_model(tmp_path / "model.npz")
    assert (kept.config, kept.loss.smoothing, kept.activation) == (made, made.label_smoothing, made.activation)
    assert kept.network().evaluate(
        kept.inputs(DATA.test_images, kept.parameters.dtype), DATA.test_labels["coarse"]
    ) == (
        pytest.approx(whole.test_loss),
        whole.test_accuracy,
    )


def test_another_seed_gives_other_numbers() -> None:
    assert run_one(small(seed=1), DATA).history != run_one(small(seed=2), DATA).history


def test_the_result_agrees_with_config_and_history() -> None:
    made = small(normalize="channel", seed=3, epochs=4)
    result = run_one(made, DATA)
    assert result.config is made
    assert (result.experiment, result.normalize, result.seed) == ("relu", "channel", 3)
    assert (result.dataset, result.precision) == ("embedded", "float32")
    assert list(result.history) == ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]
    assert {len(series) for series in result.history.values()} == {result.epochs}
    assert result.best_epoch == 1 + int(np.argmin(result.history["val_loss"]))
    assert result.val_accuracy == result.history["val_accuracy"][result.best_epoch - 1]
    assert result.seconds > 0
    assert result.images_per_second > 0


def test_test_images_have_no_part_in_training() -> None:
    other = replace(DATA, test_images=255 - DATA.test_images)
    for normalize in ("image", "dataset"):
        one, two = (run_one(small(normalize=normalize), data) for data in (DATA, other))
        assert one.history == two.history
        assert one.test_loss != two.test_loss


def test_fine_labels_are_used_where_asked_for() -> None:
    result = run_one(small(labels="fine", layers=(3072, 16, 100)), DATA)
    assert result.history["train_loss"][0] > math.log(20) + 0.5  # nearer to log(100) = 4.6


def test_a_run_leaves_the_data_as_it_is() -> None:
    before = DATA.train_images.copy(), DATA.test_images.copy()
    run_one(small(epochs=1), DATA)
    assert np.array_equal(DATA.train_images, before[0])
    assert np.array_equal(DATA.test_images, before[1])


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_its_history() -> None:
    result = run_one(small(lr=1e30, epochs=10), DATA)
    assert result.status == "diverged"
    assert math.isnan(result.test_accuracy)
    assert math.isnan(result.test_loss)
    assert 1 <= result.epochs < 10
    assert len(result.history["train_loss"]) == result.epochs


def test_hooks_are_called_as_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmlp.nn.slices.SLICE", 0.0)  # look up after each batch, however fast it was
    epochs, images = [], []
    run_one(
        small(epochs=2),
        DATA,
        on_epoch=lambda epoch, history: epochs.append((epoch, len(history.val_loss))),
        on_batch=images.append,
    )
    assert epochs == [(1, 1), (2, 2)]
    assert images == [32, 64, 96, 128, 160] * 2


def test_a_callback_ends_a_run_that_is_then_tested() -> None:
    result = run_one(small(epochs=9), DATA, on_epoch=lambda epoch, _: epoch == 2)
    whole = run_one(small(epochs=2), DATA)
    assert (result.status, result.epochs, result.history) == ("stopped", 2, whole.history)
    assert (result.test_loss, result.weights_sha256) == (whole.test_loss, whole.weights_sha256)
    assert not run_one(small(epochs=2), DATA, on_batch=lambda _: True).history["train_loss"]


def test_a_run_keeps_the_weights_that_it_began_with_where_none_are_better(tmp_path: Path) -> None:
    model = tmp_path / "model.npz"
    before = run_one(small(epochs=20), DATA, model_file=model)
    start = load_model(model).parameters
    made = small(epochs=3, lr=0.3, init_from=hashlib.sha256(start.tobytes()).hexdigest())
    whole = run_one(made, DATA, start=start)
    assert (whole.status, whole.best_epoch, whole.weights_sha256) == ("done", 0, made.init_from)
    assert (whole.val_accuracy, whole.test_loss) == (before.val_accuracy, before.test_loss)
    kept = tmp_path / "run.npz"
    assert run_one(made, DATA, start=start, kept=kept, until=1).status == "interrupted"
    assert untimed(run_one(made, DATA, start=start, kept=kept)) == untimed(whole)


def test_the_rule_of_patience_reaches_training() -> None:
    runs = [run_one(small(epochs=60, lr=0.2, patience=2, stopping=rule), DATA) for rule in ("rises", "best")]
    assert runs[0].epochs != runs[1].epochs
    assert runs[1].epochs == runs[1].best_epoch + 3


def test_kinds_are_as_many_as_there_are_kernels_to_compile() -> None:
    same = [small(), small(seed=1), small(lr=0.5), small(layers=(3072, 8, 20)), small(normalize="channel")]
    same += [small(activation="tanh"), small(layers=(3072, 20))]
    others = [small(matmul="blas"), small(matmul="blas", activation="tanh"), small(augment="mirror")]
    same += [small(clip_norm=1.0), small(label_smoothing=0.1), small(schedule="step"), small(weight_decay=0.0)]
    adam = {"optimizer": "adam", "momentum": None}
    adams = [small(**adam), small(**adam | {"optimizer": "adamw"}), small(**adam, beta1=0.8)]
    same += [small(dropout=0.5)]
    gelus = [small(activation="gelu"), small(layers=(3072, 8, 8, 20), activation=("gelu", "tanh"), dropout=0.5)]
    others += [small(optimizer="nesterov"), small(input_dropout=0.5), small(matmul="blas", dropout=0.5)]
    assert len(kinds(same)) == len(kinds(adams)) == len(kinds(gelus)) == 1
    assert len(kinds([*same, *adams, *gelus, *others])) == 3 + len(others)


def test_a_mark_is_made_where_a_kernel_is_compiled_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, compiles in (("loaded", False), ("compiled", True)):
        monkeypatch.setattr(run_module, "_run_small", lambda _, now=compiles: now and compile_for_a_while(0.0))
        run_module.compile_for(small(), tmp_path / name)
        run_module.compile_for(small())
        run_module.compile_for(small(), tmp_path / "nowhere" / name)  # that folder is gone
    assert [path.name for path in tmp_path.iterdir()] == ["compiled"]
