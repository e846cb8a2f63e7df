"""The program `fastmlp`: its commands by name, one of which is loaded; what is typed wrong; completion in a shell."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fastmlp import __version__
from fastmlp.cli import commands, completion
from fastmlp.cli.commands import COMMANDS, main

ROOT = Path(__file__).parents[1]


def test_help_tells_each_command_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert all(f"  {name:12}{line}" in lines for name, (_, line) in COMMANDS.items())
    assert all(len(line) <= 120 for line in lines)
    assert main([]) == 2
    assert capsys.readouterr() == ("", out)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert (stop.value.code, capsys.readouterr().out) == (0, f"fastmlp {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_module_of_its_name_under_its_short_name(name: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = []
    for run, prog in (
        (lambda: main([name, "--help"]), f"fastmlp {name}"),
        (lambda: commands.door(name)(["--help"]), ""),
    ):
        with pytest.raises(SystemExit) as stop:
            run()
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert prog in out
        said.append(out.replace(f"python -m fastmlp.{name}", f"fastmlp {name}").split())
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["reprot", "runs/all"], "Did you mean 'report'?"),
        (["quux"], "choose from train, report, predict"),
        (["--versoin"], "Did you mean '--version'?"),
        (["train", "--learning-rate", "1"], "fastmlp train: error: unrecognized arguments: --learning-rate."),
        (["data", "fetch", "cifar"], "fastmlp data fetch: error: argument name: invalid choice: 'cifar'"),
        (["completion", "bsah"], "Did you mean 'bash'?"),
    ],
)
def test_what_was_meant_is_suggested(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_what_goes_on_is_told_as_it_was_called(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.cli.sweep.load_dataset", stop)
    assert main(["train", "--out", "runs/x"]) == 130
    assert capsys.readouterr().err.endswith("Stopped by Ctrl-C. To go on: fastmlp train --out runs/x\n")


def test_each_program_is_declared() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"fastmlp": "fastmlp.__main__:main"}


@pytest.mark.process
@pytest.mark.parametrize(
    ("argv", "absent"),
    [
        (["--help"], {"numpy", "numba", "rich", "fastmlp.train", "fastmlp.predict", "fastmlp.runs"}),
        (["--version"], {"numpy", "numba", "rich", "fastmlp.train"}),
        (["train", "--help"], {"numpy", "numba", "rich", "fastmlp.predict", "fastmlp.report.__main__"}),
        (["predict", "--help"], {"numpy", "numba", "rich", "fastmlp.train", "fastmlp.cli.options"}),
        (["completion", "--help"], {"shtab", "numpy", "fastmlp.train"}),
    ],
)
def test_the_chosen_command_alone_is_loaded(argv: list[str], absent: set[str]) -> None:
    code = (
        f"import runpy, sys; sys.argv[1:] = {argv!r}\n"
        "try: runpy.run_module('fastmlp', run_name='__main__', alter_sys=True)\n"
        "finally: print(*sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "fastmlp.cli.commands" in loaded
    assert not absent & loaded


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="/dev/full")
def test_the_program_meets_an_output_that_is_full() -> None:
    words = ["sh", "-c", '"$0" -m fastmlp --help >/dev/full', sys.executable]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n"), done.stderr[:26]) == (2, 1, "error: The standard output")


def test_without_the_library_the_extra_is_named(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'fastmlp[completion]'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_has_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "half_units" in out


COMPLETED = [
    (["tr"], ["train"]),
    (["train", "--exp"], ["--experiments"]),
    (["train", "--experiments", "relu", "two"], ["two_hidden"]),
    (["train", "--activation", "sig"], ["sigmoid"]),
    (["train", "--out", "./ru"], ["./runs"]),
    (["predict", "./mod"], ["./model.npz"]),
    (["reproduce", "./"], ["./runs"]),
    (["data", "fe"], ["fetch"]),
    (["data", "describe", "--dataset", "em"], ["embedded"]),
    (["completion", "z"], ["zsh"]),
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("words", "expected"), COMPLETED)
def test_bash_completes_commands_options_values_and_places(
    words: list[str], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "runs").mkdir()
    (tmp_path / "model.npz").touch()
    code = """source ./script
COMP_WORDS=(fastmlp "$@"); COMP_CWORD=$#; COMPREPLY=()
function=$(complete -p fastmlp | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function fastmlp "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}" """
    command = [shutil.which("bash") or "", "-c", code, "bash", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
