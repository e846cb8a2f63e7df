"""The version stands in one file; asking for it loads nothing that takes time."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastmlp
import fastmlp_kernels

ROOT = Path(__file__).parents[1]
MODULES = [*(ROOT / "fastmlp").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]


def test_one_file_has_it_and_the_package_is_built_with_it() -> None:
    made = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in made["project"]
    source = ROOT / made["tool"]["hatch"]["version"]["path"]
    having = [path for path in MODULES if re.search(r"^__version__ = ", path.read_text("utf-8"), re.M)]
    assert having == [source]
    assert f'__version__ = "{fastmlp.__version__}"' in source.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?(\.dev\d+)?", fastmlp.__version__)


def test_the_kernels_have_the_same() -> None:
    assert fastmlp_kernels.__version__ == fastmlp.__version__
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        fastmlp_kernels.version  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import fastmlp; fastmlp.__version__", {"numpy", "numba", "fastmlp_kernels", "importlib.metadata"}),
        ("import fastmlp_kernels", {"fastmlp"}),
    ],
)
def test_neither_loads_the_other(code: str, absent: set[str]) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert not absent & set(done.stdout.split())


def test_the_public_host_begins_with_the_oldest_python() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert f'python: ["{oldest.removeprefix(">=")}", ' in workflow
