import io
import math

import pytest
from rich.console import Console

from fastmlp import progress
from fastmlp.data import Progress as Download
from fastmlp.fit import History
from fastmlp.progress import Bar, Lines, Silent, download_bar, epochs_left, make_progress, outcome, say, status
from samples import config, result


def console(*, terminal: bool = False, width: int = 200) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def written(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


def history(epochs: int) -> History:
    made = History()
    for series in (made.train_loss, made.val_loss, made.train_accuracy, made.val_accuracy):
        series.extend(2.5 - 0.125 * epoch for epoch in range(epochs))
    return made


def test_the_kind_fits_the_terminal(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert type(make_progress(console(), 1, quiet=False)) is Lines
    assert type(make_progress(console(terminal=True), 1, quiet=False)) is Bar
    assert type(make_progress(console(terminal=True), 1, quiet=True)) is Silent
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_progress(console(terminal=True), 1, quiet=False)) is Lines


@pytest.mark.parametrize("kind", [Silent, Lines, Bar])
def test_every_kind_goes_through_a_sweep(kind: type[Silent]) -> None:
    to = console(terminal=kind is Bar)
    with kind(to, 2) as shown:
        for seed in (0, 1):
            shown.start(config(seed=seed))
            for images in (1024, 2048):
                shown.on_batch(images)
            shown.on_epoch(1, history(1))
            shown.finish(result(seed=seed))
    lines = [line for line in written(to).splitlines() if "test accuracy" in line]
    assert len(lines) == (0 if kind is Silent else 2)
    assert [run.seed for run in shown.finished] == [0, 1]


def test_a_pipe_gets_one_whole_line_a_run_without_control_codes() -> None:
    to = console(width=40)  # narrower than the line, which must not be broken
    with Lines(to, 16) as shown:
        shown.start(config())
        shown.finish(result())
    expected = "test accuracy 34.20 %, best epoch 2 of 3, 6.2 s, 412,346 images/s"
    assert written(to) == f"run 1/16: relu, image, seed 0: {expected}\n"


def test_a_terminal_is_not_drawn_for_every_batch(monkeypatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: 100 + next(clock) * progress._REFRESH_SECONDS / 50)
    drawn = []
    with Bar(console(terminal=True), 1) as shown:
        monkeypatch.setattr(shown._live, "update", lambda *_, **__: drawn.append(1))
        shown.start(config())
        for images in range(500):
            shown.on_batch(images)
    assert 5 <= len(drawn) <= 11


def test_the_lines_say_run_time_left_epoch_losses_and_speed() -> None:
    finished = [result(epochs=20), result(epochs=40)]
    shown = status(config(), history(10), 400_000, 5.0, finished, 4)
    # 30 epochs are usual: 20 to come in this run, 30 in the last, at half a second each.
    assert shown.splitlines() == [
        "run 3/4: relu, image, seed 0; about 25.0 s left",
        "epoch 11/100, loss 1.3750, validation 1.3750, 80,000 images/s",
    ]


def test_the_lines_of_a_run_that_just_began_promise_nothing() -> None:
    assert status(config(), History(), 0, 0.0, [], 1) == "run 1/1: relu, image, seed 0\nepoch 1/100, 0 images/s"


@pytest.mark.parametrize(
    ("done", "limit", "finished", "total", "left"),
    [
        (1, 100, [], 1, 99),
        (1, 100, [], 3, 99 + 200),
        (10, 100, [20, 40], 4, 20 + 30),
        (50, 100, [20, 40], 3, 1),  # past the usual end: one more, not a negative number
        (100, 100, [20], 2, 0),
    ],
)
def test_epochs_left(done: int, limit: int, finished: list[int], total: int, left: float) -> None:
    assert epochs_left(done, limit, finished, total) == left


def test_a_diverged_run_says_what_may_help() -> None:
    said = outcome(result(math.nan, status="diverged", epochs=2))
    assert said == "diverged in epoch 2: the loss is no longer finite; a lower --lr may help"


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
