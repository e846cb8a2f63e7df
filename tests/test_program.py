"""The outermost level of commands, as programs: signals while they load, standard streams that fail or are closed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name != "posix", reason="signals and descriptors are those of POSIX"),
]
PROGRAM = """
from fastmlp.cli import program
program.begin()
import os, sys, time

def main():
    %s
    return 0

program.end(main)
"""


def run(body: str, *redirected: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this body, by a shell that redirects its streams."""
    command = ["sh", "-c", f'"$0" -c "$1" {" ".join(redirected)}', sys.executable, PROGRAM % body]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=os.environ | paths | environment, capture_output=True, text=True, check=False)


def test_the_reader_of_a_pipe_that_is_gone_is_no_error() -> None:
    done = run("a, b = os.pipe(); os.close(a); os.dup2(b, 1); print('x')")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
@pytest.mark.parametrize("letters", [1, 100_000])
def test_an_output_that_is_full_is_an_error_however_late_it_is_seen(letters: int) -> None:
    done = run(f"print('x' * {letters})", ">/dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: The standard output cannot be written (No space left on device). Send it elsewhere.\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_take_no_file_for_themselves(closed: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    body = f"kept = open({str(file)!r}, 'w'); print('out'); print('err', file=sys.stderr); os.write(1, b'.')"
    done = run(f"{body}; os.write(2, b'.'); kept.write(str(kept.fileno() > 2))", closed)
    assert (done.returncode, file.read_text()) == (0, "True")


def test_a_terminal_that_is_gone_costs_what_would_be_said_there() -> None:
    body = "a, b = os.pipe(); os.close(a); os.dup2(b, 2); print('x', file=sys.stderr); print('saved')"
    assert (run(body).returncode, run(body).stdout) == (0, "saved\n")


def test_what_an_encoding_lacks_is_written_in_escapes() -> None:
    done = run("print('\\xe9 \\udcff'); print('\\xe9', file=sys.stderr)", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\xe9 \\udcff\n", "\\xe9\n")


@pytest.mark.parametrize(("name", "word"), [("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGHUP")])
def test_a_signal_while_a_program_loads_ends_it_by_one_line(name: str, word: str) -> None:
    number = getattr(signal, name)
    # an exception would be lost here
    body = f"type('A', (), {{'__del__': lambda self: (os.kill(os.getpid(), {number}), time.sleep(9))}})()"
    done = run(body)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", f"Stopped by {word}.\n")


def test_under_nohup_a_terminal_that_closes_ends_nothing() -> None:
    done = run(f"os.kill(os.getpid(), {signal.SIGHUP:d}); print('on')", 'x; trap "" HUP; "$0" -c "$1"')
    assert done.stdout.endswith("on\n")


COMMANDS = ["train", "predict", "export", "gradcheck", "report", "reproduce", "data"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_such_a_program(command: str) -> None:
    """Its help into a full device is an error, not a traceback."""
    words = ["sh", "-c", '"$0" -m "$1" --help >/dev/full', sys.executable, f"fastmlp.{command}"]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=os.environ | paths, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n"), done.stderr[:26]) == (2, 1, "error: The standard output")


@pytest.mark.parametrize(("name", "sent"), [("stdout", ""), ("stderr", "2>&1 >/dev/null")])
def test_a_pipe_that_is_not_to_be_waited_for_gets_all_of_it(name: str, sent: str) -> None:
    body = f"os.set_blocking(sys.{name}.fileno(), False); print('x' * 500_000, file=sys.{name})"
    done = run(body, sent, "| (sleep 0.3; cat)")
    assert (len(done.stdout), done.stderr) == (500_001, "")


def test_help_loads_no_module_that_only_writing_needs() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "fastmlp.train", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"tempfile", "secrets", "csv", "html"} & set(done.stderr.split())
