"""The kernels as a distribution of their own: built from their folder, and installed where there is no trainer."""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.process
pytest.importorskip("hatchling", reason="builds the distributions")
ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NUMBA_"))}
    environment["FASTMLP_NUMBA_CACHE"] = "0"
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def built(kind: str, source: Path, out: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", out, cwd=source)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel that is built from what the source distribution has."""
    where = tmp_path_factory.mktemp("built")
    with tarfile.open(built("sdist", ROOT / "kernels", where / "sdist")) as archive:
        archive.extractall(where / "source", filter="data")
    (source,) = (where / "source").iterdir()
    return built("wheel", source, where / "wheel")


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_trainer_s_wheel_carries_the_same_kernels(wheel, tmp_path):
    """So that one of the two distributions installed over the other changes nothing, where their versions agree."""
    of_kernels, of_trainer = files_of(wheel), files_of(built("wheel", ROOT, tmp_path / "trainer"))
    kernels = {name: content for name, content in of_trainer.items() if name.startswith("fastmlp_kernels/")}
    assert kernels == {name: content for name, content in of_kernels.items() if ".dist-info/" not in name}
    assert {path.relative_to(ROOT / "kernels").as_posix() for path in (ROOT / "kernels").rglob("*.py")} <= set(kernels)
    metadata = next(text.decode() for name, text in of_kernels.items() if name.endswith("METADATA"))
    assert re.findall(r"^Requires-Dist: (\w+)", metadata, re.MULTILINE) == ["numba", "numpy"]


ALONE = """
import importlib.util
import fastmlp_kernels as fk
assert importlib.util.find_spec("fastmlp") is None
print(fk.__version__, fk.__file__)
"""


def test_the_kernels_install_alone_and_run_an_example(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=sys.platform != "win32")
    python = tmp_path / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "numpy_and_numba.pth").write_text(str(Path(np.__file__).parents[1]), encoding="utf-8")
    page = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    example = next(block for block in blocks if "jit.gelu1" in block)
    (tmp_path / "example.py").write_text(ALONE + example, encoding="utf-8")
    version, file = run(python, "-W", "error", "example.py", cwd=tmp_path).split(maxsplit=1)
    assert version in wheel.name
    assert Path(file.strip()).is_relative_to(site)
