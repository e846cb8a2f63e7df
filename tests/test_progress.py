import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fastmlp.cli.progress import (
    Bar,
    Lines,
    Numbers,
    Silent,
    cost,
    download_bar,
    make_progress,
    overall,
    say,
    status,
)
from fastmlp.data import Progress as Download
from fastmlp.report.words import outcome
from fastmlp.sweep.board import BEGAN, Board
from fastmlp.sweep.job import Job
from samples import config, result

NOW = 1_000_000.0
NETWORK = cost(config())


def console(*, terminal: bool = False, width: int = 200) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def written(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


def board(tmp_path: Path, epochs: int = 0, images: int = 0, seconds: float = 5.0) -> Board:
    made = Board.create(tmp_path / "board", 2)
    losses = [2.5 - 0.125 * epochs] * 2 if epochs else [math.nan] * 2
    made.slot(1)[:] = [epochs, images, 0, NOW - seconds, *losses, 0]
    return made


def job(slot: int = 0, **changes: Any) -> Job:
    return Job(config(**changes), "0123456789abcdef", Path(), slot)


def test_the_kind_fits_the_terminal(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert type(make_progress(console(), 1, Numbers(1))) is Lines
    assert type(make_progress(console(terminal=True), 1, Numbers(1))) is Bar
    quiet = Console(force_terminal=True, quiet=True)
    assert type(make_progress(quiet, 1, Numbers(1))) is Lines  # which a log has, though nobody sees them
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_progress(console(terminal=True), 1, Numbers(1))) is Lines


@pytest.mark.parametrize("kind", [Silent, Lines, Bar])
def test_every_kind_goes_through_a_sweep(kind: type[Silent], tmp_path: Path) -> None:
    to = console(terminal=kind is Bar)
    with kind(to, 2, Numbers(2)) as shown:
        for seed in (0, 1):
            shown.start(job(seed=seed))
            shown.look(board(tmp_path, 1, 1024), [job(slot=1, seed=seed)])
            shown.finish(result(seed=seed))
        shown.tell("All is well.")
    lines = [line for line in written(to).splitlines() if "test accuracy" in line]
    assert len(lines) == (0 if kind is Silent else 2)
    assert ("All is well." in written(to)) == (kind is not Silent)
    assert [run.seed for run in shown.finished] == [0, 1]


def test_a_pipe_gets_one_whole_line_a_run_without_control_codes() -> None:
    to = console(width=40)  # narrower than the line, which must not be broken
    with Lines(to, 16, Numbers(16)) as shown:
        shown.finish(result())
    expected = "test accuracy 34.20 %, best epoch 2 of 3, 6.2 s, 412,346 images/s"
    assert written(to) == f"run 1/16: relu, image, seed 0: {expected}\n"


def test_a_run_that_ends_in_parts_keeps_its_number_and_none_is_beyond_the_last() -> None:
    to = console()
    numbers = Numbers(3, [result(seed=7).run_id])
    with Lines(to, None, numbers) as shown:
        for seed in (0, 1, 0, 7, 1):
            shown.finish(result(seed=seed))
    assert [line.split(":")[0] for line in written(to).splitlines()] == [f"run {i}/3" for i in (2, 3, 2, 1, 3)]


def test_a_terminal_shows_a_line_a_job_and_one_for_all(tmp_path: Path) -> None:
    to = console(terminal=True)
    with Bar(to, 3, Numbers(3)) as shown:
        assert written(to) == ""  # what goes before the runs has lines of its own
        shown.start(job())
        shown.look(board(tmp_path, 2, 90_000), [job(slot=1), job(slot=0, seed=1)])
        drawn = written(to)
    assert "relu, image, seed 0: epoch 3/100, loss 2.2500" in drawn
    assert "relu, image, seed 1: epoch 1/100" in drawn
    assert "0 of 3 runs done" in drawn


def test_a_job_says_epoch_losses_and_speed(tmp_path: Path) -> None:
    row = board(tmp_path, 10, 400_000).slot(1)
    assert status(config(), row, NOW) == (
        "relu, image, seed 0: epoch 11/100, loss 1.2500, validation 1.2500, 80,000 images/s"
    )
    assert status(config(), board(tmp_path).slot(1), NOW) == "relu, image, seed 0: epoch 1/100"


def test_a_job_says_that_it_compiles(tmp_path: Path) -> None:
    row = board(tmp_path, 10, 400_000).slot(1)
    row[BEGAN] = math.nan
    assert status(config(), row, NOW) == "relu, image, seed 0: compiling the kernels for its machine"


@pytest.mark.parametrize(
    ("finished", "total", "running", "said"),
    [
        ([], 2, [], "0 of 2 runs done"),
        ([], 1, [(10.0, 25, 100)], "0 of 1 runs done, about 30.0 s left"),
        # a run stops after 30 of 100 epochs as a rule: 20 to come in this one, 30 in the last; 70 took 10 s
        ([20, 40], 4, [(NETWORK, 10, 100)], "2 of 4 runs done, about 7.1 s left"),
        ([20, 40], 3, [(NETWORK, 60, 100)], "2 of 3 runs done, about 0.1 s left"),  # past the usual end: one more epoch
        ([20], None, [(NETWORK, 10, 100)], "1 results so far"),
    ],
)
def test_time_left(finished: list[int], total: int | None, running: list, said: str) -> None:
    assert overall([result(epochs=n) for n in finished], total, running, 10.0) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": "failed", "error": "MemoryError: no"}, "failed: MemoryError: no"),
        ({"status": "interrupted"}, "interrupted after epoch 3, validation accuracy 33.50 %"),
        ({"test_accuracy": math.nan}, "validation accuracy 33.50 %, best epoch 2 of 3"),
    ],
)
def test_a_run_without_a_test_says_what_it_has(changed: dict, said: str) -> None:
    assert outcome(replace(result(), **changed)) == said


def test_a_diverged_run_says_what_may_help() -> None:
    said = outcome(result(math.nan, status="diverged", epochs=2))
    assert said.startswith("diverged in epoch 2: the loss is no longer finite, or far above that of the first; a lower")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_download_shows_its_notes_and_how_far_it_is(terminal: bool) -> None:
    to = console(terminal=terminal)
    with download_bar(to) as show:
        show(Download("set.tar.gz", done=0, total=4_000_000, bytes_per_second=0.0, note="Connection lost: [Errno 104]"))
        show(Download("set.tar.gz", done=1_000_000, total=4_000_000, bytes_per_second=500_000.0))
    assert "Connection lost: [Errno 104]\n" in written(to)
    assert "set.tar.gz" in written(to)
    assert "1.0/4.0 MB" in written(to)


@pytest.mark.parametrize("terminal", [True, False])
def test_without_a_download_there_is_no_bar(terminal: bool) -> None:
    to = console(terminal=terminal)
    with download_bar(to):
        pass
    assert written(to) == ""


def test_brackets_are_not_markup() -> None:
    to = console()
    say(to, "see [bold]this[/bold] and C:\\[x]")
    assert written(to) == "see [bold]this[/bold] and C:\\[x]\n"
