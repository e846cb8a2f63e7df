"""The board: each run writes its own row, and all of them see the order to stop."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from compilations import compilation, compile_for_a_while
from fastmlp.nn.history import History
from fastmlp.sweep.board import BEGAN, COLUMNS, EPOCHS, IMAGES, IN_EPOCH, TRAIN_LOSS, VAL_LOSS, Board, Reporter
from fastmlp_kernels._compiling import when_compiling


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.create(tmp_path / "board", 3)


def test_a_new_board_is_blank_and_asks_nobody_to_stop(board: Board) -> None:
    assert not board.stops
    for i in range(3):
        np.testing.assert_array_equal(board.slot(i), np.zeros(COLUMNS))
    with pytest.raises(IndexError):
        board.slot(3)


def test_who_opens_the_board_has_the_same_rows(board: Board, tmp_path: Path) -> None:
    theirs = Board.open(tmp_path / "board")
    for i in range(3):
        theirs.slot(i)[:] = i + 1
    assert [board.slot(i).tolist() for i in range(3)] == [[i + 1] * COLUMNS for i in range(3)]
    assert not board.stops


def test_the_order_to_stop_reaches_all_and_touches_no_row(board: Board, tmp_path: Path) -> None:
    theirs = Board.open(tmp_path / "board")
    board.order_stop()
    assert (board.stops, theirs.stops, Board.open(tmp_path / "board").stops) == (True, True, True)
    assert not any(board.slot(i).any() for i in range(3))
    Reporter(theirs.slot(0))  # a run that begins now has to see it too
    assert theirs.stops


def test_a_new_board_at_the_same_path_is_another_one(board: Board, tmp_path: Path) -> None:
    left_behind = Board.open(tmp_path / "board")
    board.order_stop()
    new = Board.create(tmp_path / "board", 1)
    assert not new.stops
    left_behind.slot(0)[:] = 7  # by a worker that outlived its sweep
    assert not new.slot(0).any()
    new.slot(0)[:] = 8
    assert left_behind.slot(0).tolist() == [7] * COLUMNS
    assert left_behind.stops
    with pytest.raises(IndexError):
        Board.open(tmp_path / "board").slot(1)


def test_a_reporter_begins_its_row_anew(board: Board) -> None:
    for i in range(3):
        board.slot(i)[:] = 9
    before = time.time()
    Reporter(board.slot(1))
    row = board.slot(1)
    assert [row[EPOCHS], row[IMAGES], row[IN_EPOCH]] == [0, 0, 0]
    assert np.isnan(row[[TRAIN_LOSS, VAL_LOSS]]).all()
    assert before <= row[BEGAN] <= time.time()
    assert (board.slot(0).tolist(), board.slot(2).tolist()) == ([9] * COLUMNS, [9] * COLUMNS)


def test_a_reporter_counts_epochs_and_images(board: Board) -> None:
    row, history = board.slot(0), History()
    reporter = Reporter(row)
    began = row[BEGAN]

    def now() -> list[float]:
        return row[[EPOCHS, IMAGES, IN_EPOCH, BEGAN]].tolist()

    reporter.on_batch(40)
    reporter.on_batch(100)
    assert now() == [0, 0, 100, began]
    history.train_loss.append(2.5)
    history.val_loss.append(2.75)
    reporter.on_epoch(1, history)
    assert now() == [1, 100, 0, began]
    reporter.on_batch(60)
    assert now() == [1, 100, 60, began]
    assert row[[TRAIN_LOSS, VAL_LOSS]].tolist() == [2.5, 2.75]
    reporter.on_batch(100)
    history.train_loss.append(1.5)
    history.val_loss.append(np.nan)
    reporter.on_epoch(2, history)
    assert now() == [2, 200, 0, began]
    np.testing.assert_array_equal(row[[TRAIN_LOSS, VAL_LOSS]], [1.5, np.nan])


def test_a_reporter_of_a_run_that_goes_on_counts_the_epochs_of_the_run(board: Board) -> None:
    """But the images of this time alone: over the time since it began they give the speed."""
    reporter = Reporter(board.slot(2))
    reporter.on_batch(50)
    reporter.on_epoch(8, History([1.0] * 8, [2.0] * 8))
    assert board.slot(2)[[EPOCHS, IMAGES]].tolist() == [8, 50]


def test_a_run_begins_when_it_has_compiled_its_kernels(board: Board) -> None:
    row = board.slot(0)
    reporter = Reporter(row)
    began = row[BEGAN]
    with when_compiling(reporter.on_compilation):
        other = threading.Thread(target=compile_for_a_while, args=(0.0,))  # another run's, in this process
        other.start()
        other.join()
        assert row[BEGAN] == began
        with compilation():
            assert np.isnan(row[BEGAN])
            time.sleep(0.05)
    reporter.on_batch(40)
    assert began + 0.05 <= row[BEGAN] < began + 1
