"""The command of `fastmlp.train` in this process, on the embedded data set or on own data, and what it said."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastmlp import train
from fastmlp.cli import sweep as cli

# Threads, so that what a test puts in the place of a function is found; processes are tested by themselves.
QUICK = [
    "--dataset", "embedded", "--epochs", "2", "--threads", "1", "--matmul", "packed", "--workers", "threads",
    "--jobs", "1",
]  # fmt: skip
QUICK_OWN = [
    "--epochs", "2", "--hidden", "4", "--threads", "1", "--matmul", "packed", "--workers", "threads", "--jobs", "1",
]  # fmt: skip


@pytest.fixture(scope="session")
def embedded_made_once():
    """Draw the embedded set once for all tests."""
    made, patch, real = cli.load_dataset("embedded"), pytest.MonkeyPatch(), cli.load_dataset
    patch.setattr(cli, "load_dataset", lambda name, *a, **k: made if name == "embedded" else real(name, *a, **k))
    yield
    patch.undo()


def run(*argv: str) -> int:
    return train.main([*QUICK, *argv])


def run_own(*argv: str | Path) -> int:
    return train.main([*QUICK_OWN, *map(str, argv)])


def fails(capsys: pytest.CaptureFixture[str], *argv: str, run: Callable[..., int] = run) -> str:
    """Run to a refusal and return what it said on stderr, having printed nothing else."""
    with pytest.raises(SystemExit) as stop:
        sys.exit(run(*argv))
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


def refused(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    """Run on own data to a refusal and return what it said, in one paragraph."""
    return " ".join(fails(capsys, *map(str, argv), run=run_own).split())


def table_rows(markdown: str) -> list[dict[str, str]]:
    lines = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
