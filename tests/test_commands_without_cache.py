"""A home or a cache that cannot be used costs a measurement or a compilation, and no command."""

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.config import RunConfig
from fastmlp.data import __main__ as data
from fastmlp.data import cache_dir
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs import autotune as matmul
from fastmlp.terminal import in_words
from fastmlp_kernels import _store
from fastmlp_kernels import cache as kernels_cache
from kept import Tiny
from test_kernels_process import environment_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="homes are those of POSIX")
CONFIG = RunConfig(
    experiment="custom", dataset="embedded", labels="coarse", normalize="image", layers=(3072, 4, 20), activation="tanh"
)
HOMES = [
    "/proc/nonexistent",
    "/dev/null",
    "/proc",
    "",
    "relative",
    "file",
    "dangling",
    "loop",
    "a" * 300,
    "\udcff",
    None,
]


@pytest.fixture(params=HOMES, ids=repr)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Give an odd HOME, for a user whom the system does not know; None: there is none."""
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    (tmp_path / "loop").symlink_to("loop")
    given: str | None = request.param
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "HOME", _store.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    if given is not None:
        own = given in ("file", "dangling", "loop", "a" * 300, "\udcff")
        monkeypatch.setenv("HOME", str(tmp_path / given) if own else given)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    monkeypatch.chdir(tmp_path)
    return given


@pytest.mark.usefixtures("home")
def test_commands_do_without(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as stop:
        data.main(["--help"])
    assert stop.value.code == 0
    assert data.main(["describe", "--dataset", "cifar10"]) == 2
    assert kernels_cache.main([]) == 0
    assert "Traceback" not in capsys.readouterr().err
    seconds = dict.fromkeys(PRECISIONS["float32"].matmuls, 1.0)
    monkeypatch.setattr(matmul, "measure", lambda _: seconds)
    assert matmul.measured(CONFIG) == seconds


def test_a_download_says_that_it_has_no_place(home: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if home == "\udcff":  # a folder of this name can be made
        return
    assert data.main(["fetch", "cifar10", "--mirror", "http://127.0.0.1:9"]) == 2
    assert "--data-dir" in capsys.readouterr().err.splitlines()[-1]
    assert cache_dir() is None or cache_dir().is_absolute()  # type: ignore[union-attr]


def test_where_nothing_temporary_can_be_written_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    monkeypatch.undo()
    assert in_words(caught.value).startswith("No usable temporary directory found")
    assert in_words(caught.value).endswith("Set TMPDIR to a folder that can be written to.")


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_kernels_compile_without(tiny: Tiny, home: str | None) -> None:
    if home != "\udcff":
        assert tiny.run(np.float32) == (42, 0)
        assert tiny.run(np.float32) == (42, 0)


@pytest.mark.process
@pytest.mark.parametrize(
    ("streams", "status", "told"),
    [(">/dev/full", 2, "No space left on device"), (">&-", 0, ""), ("2>&-", 0, ""), ("| true", 0, "")],
)
def test_the_command_of_the_cache_meets_any_standard_stream(streams: str, status: int, told: str) -> None:
    words = ["sh", "-c", f'"$0" -m fastmlp_kernels.cache {streams}', sys.executable]
    done = subprocess.run(words, env=environment_of(), capture_output=True, text=True, check=False)
    assert (done.returncode, told in done.stderr) == (status, True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.process
def test_commands_work_where_the_current_folder_is_gone(tmp_path: Path) -> None:
    words = [
        "sh",
        "-c",
        'mkdir gone && cd gone && rmdir ../gone && "$0" -m fastmlp.gradcheck --layers 6,5,3',
        sys.executable,
    ]
    paths: Any = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=os.environ | paths, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or "there no more" in done.stderr
