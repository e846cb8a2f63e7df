"""The version of each distribution stands in one file; asking for the trainer's loads nothing that takes time."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import fastmlp
import fastmlp_kernels
from fastmlp.nn import kernels

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {ROOT: fastmlp, ROOT / "kernels": fastmlp_kernels}


def project_in(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=["the trainer", "the kernels"])
def test_one_file_has_it_and_the_package_is_built_with_it(folder: Path) -> None:
    made, package = project_in(folder), DISTRIBUTIONS[folder]
    assert "version" not in made["project"]
    source = folder / made["tool"]["hatch"]["version"]["path"]
    modules = (folder / package.__name__).rglob("*.py")
    having = [path for path in modules if re.search(r"^__version__ = ", path.read_text("utf-8"), re.M)]
    assert having == [source]
    assert f'__version__ = "{package.__version__}"' in source.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?(\.dev\d+)?", package.__version__)


def test_the_trainer_goes_with_these_kernels_and_refuses_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fastmlp_kernels.__version__ == kernels.VERSION
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        fastmlp_kernels.version  # type: ignore[attr-defined]  # noqa: B018
    monkeypatch.setattr(fastmlp_kernels, "__version__", "0.0.9")
    with pytest.raises(ImportError, match=r"needs fastmlp_kernels 0\.1\.0, and .* has 0\.0\.9: uninstall"):
        runpy.run_path(str(kernels.__file__))


def test_the_kernels_need_what_the_trainer_needs_of_numpy_and_numba() -> None:
    of_kernels = project_in(ROOT / "kernels")["project"]["dependencies"]
    assert [re.match(r"\w+", one)[0] for one in of_kernels] == ["numba", "numpy"]  # pyright: ignore[reportOptionalSubscript]
    assert set(of_kernels) <= set(project_in(ROOT)["project"]["dependencies"])
    assert (ROOT / "kernels" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


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
