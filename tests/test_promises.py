"""Each line of the guide's section "What is promised" names tests that hold it, and these are there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
GUIDE = (TESTS.parent / "fastmlp" / "README.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("## What is promised\n")[2].partition("\n## ")[0]
LINES = [line for line in SECTION.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip()[:40])
def test_a_promise_has_its_tests(line: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
    assert named
    for file, name in named:
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_the_campaigns_are_there() -> None:
    assert len(LINES) > 20
    named = re.findall(r"`bench\.(\w+)`", SECTION)
    assert len(named) == 5
    assert all((TESTS.parent / "bench" / f"{name}.py").exists() for name in named)
