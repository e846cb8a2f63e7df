"""The frame of commands: a first line before anything loads, errors as one line, a log of both, quick `--help`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastmlp import __version__
from fastmlp.cli.parser import Parser
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.errors import ConfigError

COMMANDS = ["train", "predict", "export", "gradcheck", "report", "reproduce", "data"]
HEAVY = {"numpy", "numba", "rich", "loky", "sklearn", "matplotlib", "fastmlp_kernels"}


def door(load: Callable[[Call], Work], sentence: str = "doing it", go_on: str = "") -> Door:
    def parser(prog: str) -> Parser:
        made = Parser(prog=prog)
        made.add_argument("--quiet", action="store_true")
        made.add_argument("--log", type=Path)
        made.add_argument("--status", type=int, default=0)
        return made

    return Door("test", parser, lambda _: sentence, load, go_on=lambda _: go_on)


def test_a_command_says_what_it_does_before_it_loads(capsys: pytest.CaptureFixture[str]) -> None:
    said = []

    def load(_: Call) -> Work:
        said.append(capsys.readouterr().err)
        return lambda args, console: args.status if console.stderr else -1

    assert door(load)(["--status", "7"]) == 7
    assert door(load)(["--status", "8", "--quiet"]) == 8
    assert said == [f"fastmlp {__version__}: doing it; loading.\n", ""]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigError("No such thing."), 2, "error: No such thing.\n"),
        (ValueError("FASTMLP_NUMBA_CACHE is odd"), 2, "error: FASTMLP_NUMBA_CACHE is odd\n"),
        (KeyboardInterrupt(), 130, "Stopped by Ctrl-C. Go on.\n"),
    ],
)
def test_what_ends_a_command_is_one_line(error: BaseException, status: int, told: str, capsys) -> None:
    def load(_: Call) -> Work:
        raise error

    assert door(load, go_on=" Go on.")(["--quiet"]) == status
    assert capsys.readouterr().err == told


def test_a_bug_of_a_command_is_not_taken_for_an_error_of_its_user() -> None:
    def load(_: Call) -> Work:
        def command(*_: object) -> int:
            raise ValueError

        return command

    with pytest.raises(ValueError, match=r"^$"):
        door(load)(["--quiet"])


def test_a_command_may_have_no_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert door(lambda _: lambda *_: 0, "")([]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_command_line_is_told_as_it_was_called_without_passwords() -> None:
    call = Call("fastmlp test", ["--mirror", "https://who:secret@host/a b"], Parser().parse_args([]), None)
    assert call.line == "fastmlp test --mirror 'https://***@host/a b'"


def test_what_ends_a_command_before_its_work_begins_the_log_is_in_it(tmp_path: Path) -> None:
    def fail(_: Call) -> Work:
        raise ConfigError("No such thing.")

    assert door(fail)(["--log", str(tmp_path / "log"), "--quiet"], "fastmlp test") == 2
    said = [line.partition(" ")[2] for line in (tmp_path / "log").read_text().splitlines()]
    first = f"fastmlp {__version__}: doing it; loading."
    assert said == [f"fastmlp test --log {tmp_path / 'log'} --quiet", first, "error: No such thing."]


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
