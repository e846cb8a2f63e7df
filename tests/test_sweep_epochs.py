"""Each epoch of a sweep is told once, in order and whole, whichever process trained it, and however its run ended."""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmlp.errors import ConfigError
from fastmlp.nn.history import History
from fastmlp.runs import run as run_module
from fastmlp.runs.results import SERIES
from fastmlp.sweep import run_sweep
from fastmlp.sweep.board import EPOCHS, MOST_EPOCHS, Board, Reporter
from fastmlp.sweep.epochs import Epochs
from fastmlp.sweep.job import Job
from fastmlp.sweep.loop import Quiet
from own import config_of, features
from samples import result

DATA = features()
CONFIGS = [config_of(DATA, seed=seed, epochs=epochs, patience=99) for seed, epochs in ((0, 3), (1, 7), (2, 5))]


def history(epochs: int, offset: float = 0.0) -> History:
    return History(*([k + i / 16 + offset for i in range(epochs)] for k in range(1, 5)))


def job(seed: int = 0, slot: int = 0) -> Job:
    return Job(replace(result(seed=seed).config, epochs=99), "0123456789abcdef", Path(), slot)


class Told:
    """What an `Epochs` told, by run: the number of each epoch and its values."""

    def __init__(self) -> None:
        self.epochs: dict[str, list[tuple[int, list[float]]]] = {}
        self.watcher = Epochs(Quiet(), self.take)

    def take(self, run_id: str, _: Any, history: History) -> None:
        last = [getattr(history, name)[-1] for name in SERIES]
        self.epochs.setdefault(run_id, []).append((len(history.train_loss), last))

    def of(self, one: Job) -> list[tuple[int, list[float]]]:
        return self.epochs.get(one.run_id, [])


def wanted(whole: History) -> list[tuple[int, list[float]]]:
    return [(i + 1, [getattr(whole, n)[i] for n in SERIES]) for i in range(len(whole.train_loss))]


def board_of(tmp_path: Path, slots: int = 2, epochs: int = 8) -> Board:
    return Board.create(tmp_path / "board", slots, epochs)


def reporter(board: Board, one: Job) -> Reporter:
    return Reporter(board.slot(one.slot), board.epochs(one.slot), one.run_id)


def test_epochs_are_told_at_the_look_after_the_one_that_first_saw_them(tmp_path: Path) -> None:
    board, one, told = board_of(tmp_path), job(), Told()
    writer = reporter(board, one)
    writer.on_epoch(1, history(1))
    told.watcher.look(board, [one])
    assert told.of(one) == []  # it may be half written
    writer.on_epoch(2, history(2))
    told.watcher.look(board, [one])
    assert told.of(one) == wanted(history(1))
    for _ in range(3):
        told.watcher.look(board, [one])
    assert told.of(one) == wanted(history(2))


def test_an_epoch_that_changes_between_two_looks_waits(tmp_path: Path) -> None:
    board, one, told = board_of(tmp_path), job(), Told()
    reporter(board, one).on_epoch(2, history(2))
    board.epochs(0)[1, 3] = 77  # half written
    told.watcher.look(board, [one])
    board.epochs(0)[1, 3] = history(2).val_loss[1]
    told.watcher.look(board, [one])
    assert told.of(one) == wanted(history(1))
    told.watcher.look(board, [one])
    assert told.of(one) == wanted(history(2))


def test_what_is_no_number_is_told_as_it_is(tmp_path: Path) -> None:
    board, one, told = board_of(tmp_path), job(), Told()
    reporter(board, one).on_epoch(1, History([np.inf], [np.nan], [0.5], [-np.inf]))
    for _ in range(2):
        told.watcher.look(board, [one])
    [(number, values)] = told.of(one)
    assert number == 1
    np.testing.assert_array_equal(values, [np.inf, np.nan, 0.5, -np.inf])


def test_a_slot_that_holds_another_runs_epochs_tells_none_of_them(tmp_path: Path) -> None:
    board, first, second, told = board_of(tmp_path), job(0), job(1), Told()
    reporter(board, first).on_epoch(5, history(5))
    for _ in range(3):
        told.watcher.look(board, [second])  # which was given the slot, and has not begun
    assert told.epochs == {}
    reporter(board, second).on_epoch(2, history(2, 9.0))
    for _ in range(2):
        told.watcher.look(board, [second])
    assert told.of(second) == wanted(history(2, 9.0))


def test_a_run_that_begins_again_in_another_slot_is_told_on(tmp_path: Path) -> None:
    """After its worker's death from its last checkpoint, or at the next rung of a search."""
    board, one, told = board_of(tmp_path), job(), Told()
    reporter(board, one).on_epoch(4, history(4))
    for _ in range(2):
        told.watcher.look(board, [one])
    moved = replace(one, slot=1)
    again = reporter(board, moved)
    again.on_epoch(3, history(3))  # since a checkpoint before that
    for _ in range(3):
        told.watcher.look(board, [moved])
    again.on_epoch(5, history(5))
    for _ in range(2):
        told.watcher.look(board, [moved])
    assert told.of(one) == wanted(history(5))


def test_the_end_of_a_run_tells_what_the_board_had_no_room_for(tmp_path: Path) -> None:
    board, one, told = board_of(tmp_path, epochs=4), job(), Told()
    reporter(board, one).on_epoch(9, history(9))  # it went on from a checkpoint: five have no room
    for _ in range(3):
        told.watcher.look(board, [one])
    assert told.of(one) == []
    part = replace(result(status="interrupted", epochs=9), run_id=one.run_id, history=vars(history(9)))
    told.watcher.finish(part)
    assert told.of(one) == wanted(history(9))
    assert part.history == vars(history(9))
    whole = replace(part, status="done", epochs=12, history=vars(history(12)))
    told.watcher.finish(whole)
    told.watcher.finish(replace(whole, test_accuracy=0.5))
    assert told.of(one) == wanted(history(12))


def test_a_board_has_room_for_all_epochs_of_few_runs_and_for_the_last_of_many(tmp_path: Path) -> None:
    assert Board.create(tmp_path / "few", 2, 1000).epochs(1).shape == (1000, 6)
    assert Board.create(tmp_path / "many", 1 << 12, 10**9).epochs(9).shape == (MOST_EPOCHS >> 12, 6)
    assert (tmp_path / "many").stat().st_size < 16 << 20
    none = Board.create(tmp_path / "none", 1)
    Reporter(none.slot(0), none.epochs(0), "ab" * 8).on_epoch(3, history(3))
    assert none.epochs_after(0, "ab" * 8, 0).shape == (0, 4)


@settings(max_examples=60, deadline=None)
@given(
    room=st.integers(1, 6),
    steps=st.lists(st.tuples(st.sampled_from(["train", "look", "die", "other"]), st.integers(0, 3)), max_size=30),
)
def test_any_course_of_a_run_tells_each_epoch_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, room: int, steps: Sequence[tuple[str, int]]
) -> None:
    board, told = Board.create(tmp_path_factory.mktemp("b") / "board", 2, room), Told()
    one, other = job(0), job(1)
    writer, done, saved = reporter(board, one), 0, 0
    for what, count in steps:
        if what == "train":
            for _ in range(count):
                done += 1
                writer.on_epoch(done, history(done))
            saved = done if count == 2 else saved
        elif what == "look":
            told.watcher.look(board, [one])
        elif what == "die":
            one = replace(one, slot=1 - one.slot)
            writer, done = reporter(board, one), saved
        else:
            reporter(board, replace(other, slot=1 - one.slot)).on_epoch(count + 1, history(count + 1, 5.0))
        assert told.of(one) == wanted(history(len(told.of(one))))
        assert int(board.slot(one.slot)[EPOCHS]) <= done
    most = max(done, len(told.of(one)))  # what was told before a death is done again to the same bits
    told.watcher.finish(replace(result(epochs=most), run_id=one.run_id, history=vars(history(most))))
    assert told.of(one) == wanted(history(most))
    assert told.of(other) == []


def sweep(**more: Any) -> tuple[list[tuple[int, int, list[float]]], Any]:
    told: list[tuple[int, int, list[float]]] = []

    def on_epoch(config: Any, epoch: int, history: History) -> None:
        told.append((config.seed, epoch, list(history.val_loss)))

    return told, run_sweep(CONFIGS, DATA, on_epoch=on_epoch, **more)


def check(told: Any, results: Any, seeds: Sequence[int] = (0, 1, 2)) -> None:
    for run in results:
        of_it = [(epoch, losses) for seed, epoch, losses in told if seed == run.seed]
        losses = run.history["val_loss"]
        expected = [(i, losses[:i]) for i in range(1, run.epochs + 1)] if run.seed in seeds else []
        assert of_it == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_of_threads_tells_its_epochs(jobs: int) -> None:
    with ThreadPoolExecutor(jobs) as executor:
        check(*sweep(executor=executor, jobs=jobs))


@pytest.mark.process
def test_a_sweep_of_processes_tells_its_epochs_in_this_one_and_changes_no_bit() -> None:
    told, results = sweep(jobs=2)
    check(told, results)
    with ThreadPoolExecutor(1) as executor:
        alone = run_sweep(CONFIGS, DATA, executor=executor)
    assert [run.weights_sha256 for run in results] == [run.weights_sha256 for run in alone]


def test_runs_that_were_there_are_not_told(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        run_sweep(CONFIGS[:1], DATA, executor=executor, out=tmp_path)
        told: list[Any] = []
        more: dict[str, Any] = {"on_epoch": lambda *given: told.append(given)}
        results = run_sweep(CONFIGS[:1], DATA, executor=executor, out=tmp_path, **more)
    assert told == []
    assert len(results) == 1


class Dying(Executor):
    """Does each job as it is submitted; that of seven epochs is killed once, after four of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 1
        monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ARG002
        future: Future[Any] = Future()
        if self._left and args[0].config.epochs == 7:
            self._left = 0
            fn(replace(args[0], until=4, test=False))
            future.set_exception(BrokenExecutor("killed"))
        else:
            future.set_result(fn(*args))
        return future


def test_a_run_whose_worker_dies_has_each_epoch_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check(*sweep(executor=Dying(monkeypatch), jobs=1))


def test_true_is_refused_as_a_run_cannot_be_ended_from_here() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ConfigError, match="on_epoch of a sweep returned True"):
        run_sweep(CONFIGS, DATA, executor=executor, on_epoch=cast("Any", lambda *_: True))


def test_what_it_raises_ends_the_sweep_and_finished_runs_are_kept(tmp_path: Path) -> None:
    def on_epoch(config: Any, *_: Any) -> None:
        if config.seed == 1:
            raise RuntimeError("enough")

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(RuntimeError, match="enough"):
            run_sweep(CONFIGS, DATA, executor=executor, jobs=1, out=tmp_path, on_epoch=on_epoch)
        told, results = sweep(executor=executor, jobs=1, out=tmp_path)
    assert 0 not in {seed for seed, *_ in told}
    check(told, results, seeds=sorted({seed for seed, *_ in told}))


def test_no_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="on_epoch is 3, allowed is a function, or None"):
        run_sweep(CONFIGS, DATA, on_epoch=cast("Any", 3))
