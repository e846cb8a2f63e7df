"""What commands say of compilation while it goes on, on a terminal and elsewhere."""

import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from rich.console import Console
from rich.errors import LiveError
from rich.live import Live

from compilations import compile_for_a_while
from fastmlp import __version__
from fastmlp.terminal import Compiling

PLAIN = "Compiling the kernels for this machine, once; it takes some seconds.\n"
MOVING = "Compiling the kernels for this machine, once: "


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


# The command whose checks are one small kernel, and a second that passes for the compilation of more.
CHECK = """
from fastmlp.cli import program

program.begin()
import numpy as np
from compilations import compile_for_a_while
from fastmlp import gradcheck
from fastmlp.nn import gradients
from fastmlp_kernels import bias_identity

def run_checks(*_):
    bias_identity(np.zeros((1, 1)), np.zeros(1))
    compile_for_a_while(1.2)
    return [], []

gradients.run_checks = run_checks
program.end(gradcheck.main)
"""


def command_on(stderr: int, tmp_path) -> subprocess.Popen[str]:
    """Start a command that compiles for a second and keeps nothing."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "FASTMLP_NUMBA_CACHE": "0", "TERM": "xterm"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHECK, "--layers", "6,5,3", "--activation", "identity"]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=stderr)


FIRST = f"fastmlp {__version__}: checking gradients of 6-5-3, identity, cross-entropy; loading.\n"


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
