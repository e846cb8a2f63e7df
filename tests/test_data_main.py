import os
import subprocess
import sys

import pytest

from data_forms import miniature
from data_server import fixed, serving
from fastmlp.data import __main__ as command
from fastmlp.data import load_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_describe_prints_the_tables(capsys):
    assert command.main(["describe"]) == 0
    out, err = capsys.readouterr()
    assert "fingerprint " + load_dataset("embedded").fingerprint in out
    for part in ("| training |  4,000 |  80.00% |", "| plain disc ", "| training image 0 ", "| std, blue "):
        assert part in out
    assert "python -m fastmlp.data fetch cifar100" in err


def test_describe_takes_labels_and_image(capsys):
    assert command.main(["describe", "--dataset", "embedded", "--labels", "fine", "--image", "5"]) == 0
    out, err = capsys.readouterr()
    assert "| slanted ring 5  " in out
    assert "training image 5" in out
    assert err == "Reading the data set embedded.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "--dataset", "cifar10"], "CIFAR-10 is not in "),
        (["describe", "--image", "4000"], "There is no training image 4000"),
    ],
)
def test_errors_are_the_message_alone_and_status_2(capsys, arguments, message):
    assert command.main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_fetch_reports_and_reads_back(tmp_path, monkeypatch, capsys):
    mini = miniature("cifar10", "python")
    content = mini.archive(tmp_path / "host").read_bytes()
    monkeypatch.setattr(command, "LAYOUTS", [mini.layout])
    with serving(content) as server:
        arguments = [
            "fetch",
            "cifar10",
            "--form",
            "python",
            "--mirror",
            server.url,
            "--data-dir",
            str(tmp_path / "here"),
        ]
        assert command.main(arguments) == 0
    assert (
        f"CIFAR-10 is in {tmp_path / 'here' / 'cifar-10-python.tar.gz'}, checksum verified." in capsys.readouterr().out
    )
    load_dataset("cifar10", tmp_path / "here", download=False, layouts=[mini.layout])


def test_fetch_shows_what_the_host_said(capsys):
    with serving(b"", fixed(404)) as server:
        assert command.main(["fetch", "cifar100", "--mirror", server.url]) == 2
    assert "answers 404" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.data.load.fetch", stop)
    assert command.main(["fetch", "cifar100"]) == 130
    assert "same command" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["fetch", "mnist"], ["describe", "--labels", "x"], ["unknown"], ["fetch", "cifar100", "--mirror", "ftp://x"]],
)
def test_a_wrong_command_line_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m fastmlp.data" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["describe", "--help"]])
def test_help_loads_no_compiler(arguments, tmp_path):
    code = (
        f"import runpy, sys; sys.argv[1:] = {arguments!r}\n"
        "try: runpy.run_module('fastmlp.data', run_name='__main__', alter_sys=True)\n"
        "finally: print('numba' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(tmp_path / "100%s")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    assert "usage: python -m fastmlp.data" in done.stdout
