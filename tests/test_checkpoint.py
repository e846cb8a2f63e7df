"""What a run leaves on disk: all that training needs to go on to the same bits, or nothing at all."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.errors import OutputError
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.inputs import ImageInput
from fastmlp.nn.network import MLP
from fastmlp.nn.optimizer import SGD
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs import checkpoint

RUN = "0123456789abcdef"
WAYS = [(name, matmul) for name, precision in PRECISIONS.items() for matmul in precision.matmuls]


def state(dtype: type = np.float32) -> State:
    """A state of few numbers, no two arrays alike, with the values that are lost most easily on the way."""
    parameters = np.array([0.1, -0.0, 5e-324, 1 / 3], dtype)
    history = History([1 / 3, 0.1], [2.5, 0.1 + 0.2], [0.0, 1.0], [1e-300, 0.7])
    generator = np.random.default_rng(3)
    generator.integers(7, dtype=np.int32)  # leaves half of a draw behind, which is part of the state
    return State(history, parameters, parameters[None] + 1, parameters - 1, generator.bit_generator.state, 12.25)


def facts(of: State) -> tuple[Any, ...]:
    """What two equal states have in common, the arrays to the bit."""
    arrays = [(a.tobytes(), a.shape, a.dtype) for a in (of.parameters, of.slots, of.best)]
    return (*arrays, of.history, of.generator, of.seconds)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_comes_back_to_the_bit(dtype: type, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "run.npz", RUN, state(dtype))
    loaded = checkpoint.load(tmp_path / "run.npz", RUN)
    assert loaded is not None
    assert facts(loaded) == facts(state(dtype))
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_later_state_replaces_the_earlier_one(tmp_path: Path) -> None:
    path, later = tmp_path / "run.npz", state()
    checkpoint.save(path, RUN, later)
    later.parameters += 1
    checkpoint.save(path, RUN, later)
    loaded = checkpoint.load(path, RUN)
    assert loaded is not None
    assert facts(loaded) == facts(later)


def images(x: np.ndarray) -> ImageInput:
    """Return rows near these as images, which int8 needs."""
    moments = np.full((len(x), 1), 128, np.float32), np.full((len(x), 1), 1 / 40, np.float32)
    return ImageInput(np.clip(np.rint(128 + 40 * x), 0, 255).astype(np.uint8), *moments)


class Training:
    """A small training run on noise; the validation labels are noise too, so that it soon stops early."""

    def __init__(self, precision: str, matmul: str, patience: int) -> None:
        rng = np.random.default_rng(8)
        self.x, self.labels = rng.normal(size=(50, 12)).astype(np.float32), rng.integers(0, 3, 50)
        self.validation = rng.normal(size=(20, 12)).astype(np.float32), rng.integers(0, 3, 20)
        if precision == "int8":
            self.x, self.validation = images(self.x), (images(self.validation[0]), self.validation[1])
        self.way: dict[str, Any] = {"precision": precision, "matmul": matmul, "threads": 1}
        self.patience = patience

    def run(self, *, seed: int = 0, until: int | None = None, resume: State | None = None) -> tuple[FitResult, MLP]:
        model = MLP((12, 6, 3), "tanh", rng=seed, **self.way)
        result = fit(
            model, self.x, self.labels, validation=self.validation, optimizer=SGD(0.2, 0.9, 0.001), epochs=9,
            batch_size=16, patience=self.patience, rng=seed + 1, resume=resume,
            pause=lambda state: len(state.history.train_loss) == until,
        )  # fmt: skip
        return result, model


@pytest.mark.parametrize("patience", [3, 100], ids=["stops early", "all epochs"])
@pytest.mark.parametrize(("precision", "matmul"), WAYS)
def test_training_resumed_from_any_epoch_ends_in_the_same_bits(
    precision: str, matmul: str, patience: int, tmp_path: Path
) -> None:
    training, path = Training(precision, matmul, patience), tmp_path / "run.npz"
    whole, model = training.run()
    assert (whole.status, whole.epochs < 9) == ("done", patience == 3)
    assert 0 < whole.best_epoch < whole.epochs  # the kept weights are not simply the last ones
    for epoch in range(1, whole.epochs):
        paused, _ = training.run(until=epoch)
        assert (paused.status, paused.epochs) == ("paused", epoch)
        checkpoint.save(path, RUN, paused.state)
        # Other initial weights and another generator: whatever the state leaves out, shows.
        resumed, again = training.run(seed=7, resume=checkpoint.load(path, RUN))
        assert (resumed.history, resumed.best_epoch, resumed.status) == (whole.history, whole.best_epoch, "done")
        assert again.parameters.tobytes() == model.parameters.tobytes()


def test_training_that_pauses_after_each_epoch_ends_in_the_same_bits(tmp_path: Path) -> None:
    training, path = Training("float32", "packed", 3), tmp_path / "run.npz"
    whole, model = training.run()
    result, again = training.run(until=1)
    for epoch in range(2, whole.epochs + 1):
        checkpoint.save(path, RUN, result.state)
        result, again = training.run(seed=epoch, until=epoch, resume=checkpoint.load(path, RUN))
    assert (result.status, result.history, result.best_epoch) == ("done", whole.history, whole.best_epoch)
    assert again.parameters.tobytes() == model.parameters.tobytes()


def test_training_that_was_done_is_done_when_it_is_resumed(tmp_path: Path) -> None:
    training, path = Training("float32", "packed", 3), tmp_path / "run.npz"
    whole, model = training.run()
    checkpoint.save(path, RUN, whole.state)
    resumed, again = training.run(seed=7, resume=checkpoint.load(path, RUN))
    assert (resumed.history, resumed.best_epoch, resumed.status) == (whole.history, whole.best_epoch, "done")
    assert again.parameters.tobytes() == model.parameters.tobytes()


def test_nothing_there_and_another_runs_state_are_no_state(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "run.npz", RUN) is None
    checkpoint.save(tmp_path / "run.npz", RUN, state())
    assert checkpoint.load(tmp_path / "run.npz", RUN[::-1]) is None


def test_a_file_cut_anywhere_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    checkpoint.save(path, RUN, state())
    content = path.read_bytes()
    for length in (*range(0, len(content), 7), len(content) - 1):
        path.write_bytes(content[:length])
        assert checkpoint.load(path, RUN) is None, f"cut after {length} of {len(content)} bytes"


@pytest.mark.parametrize("flipped", [0x01, 0xFF])
def test_a_damaged_byte_gives_no_state_or_the_true_one(flipped: int, tmp_path: Path) -> None:
    """The true one: not every byte of an archive, such as a member's date, has a say."""
    path, wanted = tmp_path / "run.npz", facts(state())
    checkpoint.save(path, RUN, state())
    content, refused = path.read_bytes(), 0
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ flipped]) + content[at + 1 :])
        loaded = checkpoint.load(path, RUN)
        assert loaded is None or facts(loaded) == wanted, f"byte {at} of {len(content)}"
        refused += loaded is None
    assert refused > len(content) / 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", b"[]", pickle.dumps({"run_id": RUN})])
def test_another_file_is_no_state(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    assert checkpoint.load(path, RUN) is None


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{}", json.dumps({"run_id": RUN, "history": {"loss": []}})])
def test_another_archive_is_no_state(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    np.savez(path, facts=text, parameters=np.zeros(2), velocity=np.zeros(2), best=np.zeros(2))
    assert checkpoint.load(path, RUN) is None
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert checkpoint.load(path, RUN) is None


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path, sprung = tmp_path / "run.npz", tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    checkpoint.save(path, RUN, state())
    with np.load(path) as file:
        arrays = dict(file)
    for name in arrays:
        np.savez(path, **(arrays | {name: trap}))  # type: ignore[arg-type]
        assert checkpoint.load(path, RUN) is None
    path.write_bytes(pickle.dumps(Trap(sprung)))
    assert checkpoint.load(path, RUN) is None
    assert not sprung.exists()
    pickle.loads(path.read_bytes())  # the trap does work
    assert sprung.exists()


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path, large = tmp_path / "run.npz", state()
    checkpoint.save(path, RUN, state())
    large.parameters = np.zeros(100_000, np.float32)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # fails in the midst of a write, as a full disk does
    try:
        with pytest.raises(OutputError, match=r"run.npz could not be written .*Free some space, or choose"):
            checkpoint.save(path, RUN, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    loaded = checkpoint.load(path, RUN)
    assert loaded is not None
    assert facts(loaded) == facts(state())


def test_a_folder_that_is_gone_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"run.npz could not be written \(.*No such file"):
        checkpoint.save(tmp_path / "gone" / "run.npz", RUN, state())


ABSENT = object()


def damaged(change: dict[str, Any]) -> dict[str, Any]:
    """Return what `save` puts into a file, with other facts or arrays."""
    of = state()
    facts = {"run_id": RUN, "generator": of.generator, "seconds": of.seconds, "began": None}
    facts |= {"history": vars(of.history), "steps": of.steps}
    arrays = {"parameters": of.parameters, "velocity": of.slots, "best": of.best}
    said = facts | {name: value for name, value in change.items() if name in facts}
    said = {name: value for name, value in said.items() if value is not ABSENT}
    return {"facts": json.dumps(said), **arrays} | {k: v for k, v in change.items() if k not in facts}


def test_a_checkpoint_that_is_made_so_is_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", **damaged({}))
    loaded = checkpoint.load(tmp_path / "run.npz", RUN, state().parameters)
    assert loaded is not None
    assert facts(loaded) == facts(state())


def test_a_velocity_without_a_slot_s_axis_is_what_was_written_first(tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", **damaged({"velocity": state().slots[0]}))
    loaded = checkpoint.load(tmp_path / "run.npz", RUN, state().parameters)
    assert loaded is not None
    assert facts(loaded) == facts(state())


def test_steps_of_the_optimiser_were_not_counted_at_first(tmp_path: Path) -> None:
    for steps, count in ((ABSENT, 0), (7, 7)):
        np.savez(tmp_path / "run.npz", **damaged({"steps": steps}))
        loaded = checkpoint.load(tmp_path / "run.npz", RUN, state().parameters)
        assert loaded is not None
        assert loaded.steps == count


@pytest.mark.parametrize(
    "change",
    [
        {"steps": -1}, {"steps": 1.5}, {"steps": "many"},
        {"seconds": "long"}, {"seconds": -1}, {"generator": {}}, {"generator": []}, {"began": [1]}, {"began": 3},
        {"history": {}}, {"history": None}, {"facts": "[" * 100_000}, {"facts": "{}"}, {"more": np.zeros(3)},
        {"history": {"train_loss": [1.0], "val_loss": [1.0, 2.0], "train_accuracy": [1.0], "val_accuracy": [1.0]}},
        {"history": {name: ["a"] for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy")}},
        {"best": np.zeros(3, np.float32)}, {"velocity": np.zeros(4)},
        {"velocity": np.zeros((1, 3), np.float32)}, {"velocity": np.zeros((0, 4), np.float32)},
        {"parameters": np.full(4, np.nan, np.float32)},
        {name: np.zeros((2, 2), np.float32) for name in ("parameters", "velocity", "best")},
        {name: np.zeros(9, np.float32) for name in ("parameters", "velocity", "best")},  # of another network
    ],
)  # fmt: skip
def test_a_checkpoint_that_no_run_can_go_on_from_is_none(change: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", **damaged(change))
    assert checkpoint.load(tmp_path / "run.npz", RUN, state().parameters) is None
