"""What commands say: a first line before anything loads, compilation while it goes on, errors as one line."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.errors import LiveError
from rich.live import Live

from compilations import compile_for_a_while
from fastmlp import __version__
from fastmlp.errors import ConfigError
from fastmlp.terminal import Command, Compiling, run_command

PLAIN = "Compiling the kernels for this machine, once; it takes some seconds.\n"
MOVING = "Compiling the kernels for this machine, once: "
COMMANDS = ["train", "predict", "export", "gradcheck", "report", "reproduce", "data"]
HEAVY = {"numpy", "numba", "rich", "loky", "sklearn", "matplotlib", "fastmlp_kernels"}


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def console(*, terminal: bool = False, quiet: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200, color_system=None, quiet=quiet)


def written(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


def test_elsewhere_than_on_a_terminal_one_plain_line_tells_of_all_compilation() -> None:
    to = console()
    compiling = Compiling(to)
    for _ in range(2):
        with compiling.here("Measuring"):
            compile_for_a_while(0.0)
            compile_for_a_while(0.0)
    compiling.show(lambda: 3.0)
    compiling.end()
    assert written(to) == PLAIN


def test_where_nothing_is_compiled_nothing_is_said() -> None:
    to = console()
    with Compiling(to).here("Measuring"):
        pass
    compile_for_a_while(0.0)  # it is over
    assert written(to) == ""


def test_a_terminal_shows_the_seconds_and_what_is_done_meanwhile() -> None:
    to = console(terminal=True)
    with Compiling(to).here("Measuring"):
        time.sleep(0.3)
        assert "Measuring" in written(to)
        assert MOVING not in written(to)
        compile_for_a_while(1.3)
    drawn = written(to)
    assert [f"{MOVING}{seconds} s" in drawn for seconds in range(3)] == [True, True, False]
    assert drawn.endswith("Compiled the kernels for this machine in 1 s.\n")


def test_a_compilation_of_a_moment_leaves_no_line() -> None:
    to = console(terminal=True)
    with Compiling(to).here():
        compile_for_a_while(0.0)
    assert "Compiled" not in written(to)


def test_a_workers_seconds_are_those_that_are_given() -> None:
    to = console(terminal=True)
    compiling = Compiling(to)
    for seconds in (7.0, 8.0):
        compiling.show(lambda now=seconds: now)
    compiling.end()
    compiling.end()
    assert f"{MOVING}8 s" in written(to)
    assert written(to).count("Compiled the kernels for this machine in 8 s.\n") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(terminal: bool) -> None:
    to = console(terminal=terminal, quiet=True)
    with Compiling(to).here("Measuring"):
        compile_for_a_while(0.0)
    assert written(to) == ""


def test_moving_lines_of_somebody_else_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Live, refresh: bool = False) -> None:  # noqa: ARG001 - as older versions of rich do
        raise LiveError("Only one live display may be active at once")

    to = console(terminal=True)
    monkeypatch.setattr(Live, "start", refuse)
    with Compiling(to).here():
        compile_for_a_while(0.0)
    assert written(to) == PLAIN


def run(load: Callable[[], Command], **options: object) -> int:
    return run_command(load, Namespace(**options), "doing it")


def test_a_command_says_what_it_does_before_it_loads(capsys: pytest.CaptureFixture[str]) -> None:
    said = []

    def load() -> Command:
        said.append(capsys.readouterr().err)
        return lambda args, console: args.status if console.stderr else -1

    assert run(load, status=7) == 7
    assert run(load, status=8, quiet=True) == 8
    assert said == [f"fastmlp {__version__}: doing it; loading.\n", ""]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigError("No such thing."), 2, "error: No such thing.\n"),
        (ValueError("FASTMLP_NUMBA_CACHE is odd"), 2, "error: FASTMLP_NUMBA_CACHE is odd\n"),
        (KeyboardInterrupt(), 130, "Stopped by Ctrl-C.\n"),
    ],
)
def test_what_ends_a_command_is_one_line(error: BaseException, status: int, told: str, capsys) -> None:
    def load() -> Command:
        raise error

    assert run(load, quiet=True) == status
    assert capsys.readouterr().err == told


def test_a_bug_of_a_command_is_not_taken_for_an_error_of_its_user() -> None:
    def load() -> Command:
        def command(args: Namespace, console: Console) -> int:  # noqa: ARG001
            raise ValueError

        return command

    with pytest.raises(ValueError, match=r"^$"):
        run(load, quiet=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_waits_for_nothing(command: str) -> None:
    asked = [["--help"], ["--version"], ["--list"]] if command == "train" else [["--help"]]
    for argv in asked:
        code = (
            f"import runpy, sys; sys.argv[1:] = {argv!r}\n"
            f"try: runpy.run_module('fastmlp.{command}', run_name='__main__', alter_sys=True)\n"
            "finally: print(*{name.split('.')[0] for name in sys.modules})"
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        drawn = {"rich"} if argv == ["--list"] else set()  # by the console that prints its table
        assert set(done.stdout.splitlines()[-1].split()) & HEAVY <= drawn


def command_on(stderr: int, tmp_path) -> subprocess.Popen[str]:
    """Start a command that compiles for a few seconds and keeps nothing."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "FASTMLP_NUMBA_CACHE": "0", "TERM": "xterm"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "fastmlp.gradcheck", "--layers", "6,5,3", "--activation", "identity"]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=stderr)


FIRST = f"fastmlp {__version__}: checking gradients of 6-5-3, identity; loading.\n"


def test_a_command_in_a_pipe_says_two_lines(tmp_path) -> None:
    out, err = command_on(subprocess.PIPE, tmp_path).communicate()
    assert "Every gradient is within its bound." in out
    assert err == FIRST + PLAIN


def test_a_command_on_a_terminal_counts_the_seconds(tmp_path) -> None:
    ours, theirs = pty.openpty()
    process = command_on(theirs, tmp_path)
    os.close(theirs)
    drawn = b""
    try:
        while block := os.read(ours, 4096):
            drawn += block
    except OSError:  # Linux's word for the end
        pass
    out, _ = process.communicate()
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode()).replace("\r\n", "\n")
    assert text.startswith(FIRST)
    assert f"{MOVING}0 s" in text
    assert f"{MOVING}1 s" in text
    assert re.search(r"Compiled the kernels for this machine in \d+ s\.\n", text)
    assert "Every gradient is within its bound." in out  # where it was sent, though lines moved on stderr
