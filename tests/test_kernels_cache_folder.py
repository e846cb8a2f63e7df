"""The folder of compiled kernels: where it lies, whose it must be, and the command that shows and clears it."""

import errno
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fastmlp_kernels import _store, cache
from kept import Tiny, call, fails
from test_kernels_process import environment_of

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@posix
def test_the_folder_and_its_files_are_for_the_user_alone(tiny: Tiny) -> None:
    before = os.umask(0)
    try:
        entry = tiny.entry()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (entry, tiny.kept)] == [0o600, 0o700]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user whom modes bind; root becomes one for the time being."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def owned(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    """Give `tiny` with its code and cache where an unprivileged user finds them, and the cache's folder his own."""
    if os.name != "posix":
        pytest.skip("owners and modes are those of POSIX")
    with unprivileged():
        if not os.access(_store.__file__, os.R_OK, effective_ids=True):
            pytest.skip("this code lies where only root may read it")
    tiny.load().adding(1)(np.ones(1, np.int16))  # what compiling imports may lie where only root reads
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(made / "caches"))
        there = Tiny(made / "code", made / "caches" / "fastmlp")
        there.kept.mkdir(parents=True, mode=0o700)
        for path in (there.kept, there.kept.parent):
            os.chown(path, *((NOBODY, -1) if os.geteuid() == 0 else (-1, -1)))
        yield there
        for path in (there.kept.parent, there.kept):
            if path.exists():
                path.chmod(0o700)  # so that it can be removed


def test_a_folder_that_can_only_be_read_is_read(owned: Tiny) -> None:
    with unprivileged():
        entry = owned.entry()
        os.utime(entry, (0, 0))  # is due to be touched
        entry.chmod(0o400)
        owned.kept.chmod(0o500)
        assert [owned.run(), owned.run(np.float64), owned.run(np.float64)] == [(42, 1), (42, 0), (42, 0)]
        assert owned.files() == [entry]
        owned.kept.chmod(0o700)
        entry.chmod(0o600)
        entry.write_bytes(b"damaged")
        owned.kept.chmod(0o500)
        assert [owned.run(), owned.run()] == [(42, 0), (42, 0)]


def test_a_folder_that_cannot_be_made_is_done_without(owned: Tiny) -> None:
    with unprivileged():
        owned.kept.rmdir()
        owned.kept.parent.chmod(0o500)
        assert [owned.run(), owned.run()] == [(42, 0), (42, 0)]
        assert not owned.kept.exists()


@as_root
def test_another_users_folder_is_not_used(owned: Tiny) -> None:
    with unprivileged():
        entry = owned.entry()
    assert [owned.run(), owned.run(np.float64)] == [(42, 0), (42, 0)]
    assert owned.files() == [entry]
    os.chown(owned.kept, 0, 0)
    with unprivileged():
        assert owned.run() == (42, 0)
    assert owned.run() == (42, 1)


@as_root
def test_root_leaves_nothing_in_another_users_home(owned: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    owned.kept.rmdir()
    assert [owned.run(), owned.run()] == [(42, 0), (42, 0)]
    assert list(owned.kept.parent.iterdir()) == []
    assert "root's" in str(_store.why_unused(owned.kept))
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert _store.why_unused(owned.kept) is None


@posix
@pytest.mark.parametrize("mode", [0o750, 0o707, 0o701, 0o710, 0o720, 0o777])
def test_a_folder_that_others_may_enter_is_not_used(tiny: Tiny, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    entry = tiny.entry()
    tiny.kept.chmod(mode)
    with caplog.at_level(logging.INFO, "fastmlp_kernels"):
        assert [tiny.run(), tiny.run(np.float64)] == [(42, 0), (42, 0)]
    assert "mode 0700" in caplog.text
    assert tiny.files() == [entry]
    tiny.kept.chmod(0o700)
    assert tiny.run() == (42, 1)


@posix
@pytest.mark.parametrize("target", ["there", "nowhere", "itself"])
def test_a_link_in_the_place_of_the_folder_is_not_followed(tiny: Tiny, target: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    tiny.kept.parent.mkdir()
    tiny.kept.symlink_to(tiny.kept if target == "itself" else tmp_path / target)
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 0)]
    assert list((tmp_path / "there").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("place", ["the folder", "its parent"])
def test_a_file_in_the_place_of_the_folder_is_left_alone(tiny: Tiny, place: str) -> None:
    file = tiny.kept if place == "the folder" else tiny.kept.parent
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 0)]
    assert file.read_text() == "mine"


def test_a_folder_that_goes_while_it_is_used_is_done_without(tiny: Tiny) -> None:
    module = tiny.load()
    assert call(module.double) == (42, 0)
    shutil.rmtree(tiny.kept)
    assert call(module.double, np.float64) == (42, 0)
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]


@pytest.fixture
def homeless(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Give kernels where nothing says where a cache may lie."""
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    return tiny


def test_without_a_home_nothing_is_kept(homeless: Tiny) -> None:
    assert _store.place() is None
    assert [homeless.run(), homeless.run()] == [(42, 0), (42, 0)]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize("home", ["/proc/none", "/dev/null", "/dev/null/home", "not/absolute", "~"])
def test_a_home_that_nothing_can_be_made_in_keeps_nothing(
    tiny: Tiny, home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    before = sorted(tmp_path.iterdir())
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 0)]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"NUMBA_CACHE_DIR": "/given", "XDG_CACHE_HOME": "/xdg"}, "/given/fastmlp"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/fastmlp/kernels"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/fastmlp/kernels"),
        ("linux", {}, "~/.cache/fastmlp/kernels"),
        ("darwin", {}, "~/Library/Caches/fastmlp/kernels"),
        ("win32", {}, "~/AppData/Local/fastmlp/kernels"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fastmlp/kernels"),
    ],
)
def test_the_folder_of_each_platform(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert _store.place() == Path(expected).expanduser()


def test_switched_off_it_makes_no_folder(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_store.VARIABLE, "0")
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 0)]
    assert not tiny.kept.parent.exists()


def test_a_wrong_value_that_is_set_after_the_import_ends_no_call(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny.load()
    monkeypatch.setenv(_store.VARIABLE, "maybe")
    assert call(module.double) == (42, 0)


@pytest.mark.parametrize(
    ("what", "says"), [("", "Used       yes"), ("0", f"Used       no: {_store.VARIABLE}=0")], ids=["on", "off"]
)
def test_the_command_shows_and_clears(
    what: str, says: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = tiny.entry()
    assert tiny.run(np.float64) == (42, 0)
    older = entry.with_name("-".join(["0" * 16] * 4) + ".kernel")
    older.touch()
    entry.with_suffix(".part").touch()
    monkeypatch.setenv(_store.VARIABLE, what)
    assert cache.main([]) == 0
    shown = capfd.readouterr().out.splitlines()
    assert shown[:3] == [f"Folder     {tiny.kept}", says, "Entries    3, 2 of this version and 1 of others"]
    assert re.fullmatch(r"Size       0\.\d MiB of at most 256\.0 MiB", shown[3])
    last = time.localtime(entry.with_suffix(".part").stat().st_mtime)
    assert shown[4].startswith(time.strftime("Last used  %Y-%m-%d", last))
    assert shown[4].endswith(", to the hour")
    assert cache.main(["--clear"]) == 0
    assert capfd.readouterr().out == f"Removed 4 files, 0.0 MiB, from {tiny.kept}.\n"
    assert tiny.files() == []
    assert cache.clear() == (0, 0, 0)
    assert cache.main([]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "Entries    0"


def test_the_command_makes_no_folder(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    assert [cache.main([]), cache.main(["--clear"])] == [0, 0]
    assert capfd.readouterr().out.splitlines()[1] == "Used       yes"
    assert not tiny.kept.parent.exists()


def test_the_command_without_a_home(homeless: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    assert homeless.file.exists()
    assert [cache.main([]), cache.main(["--clear"])] == [0, 0]
    assert capfd.readouterr().out.splitlines() == [
        "Folder     none",
        "Used       no: neither HOME nor the system says where this user's files lie",
        "Entries    0",
        "Removed 0 files, 0.0 MiB.",
    ]


def test_the_command_says_what_it_cannot_remove(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny.entry()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fails(errno.EPERM))
        assert cache.main(["--clear"]) == 1
    said = capfd.readouterr()
    assert said.out == f"Removed 0 files, 0.0 MiB, from {tiny.kept}.\n"
    assert said.err == f"1 file could not be removed: check who owns {tiny.kept}.\n"


def test_the_command_runs_as_a_module_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "fastmlp_kernels.cache", *arguments],
            env=environment_of(NUMBA_CACHE_DIR=str(tmp_path)), capture_output=True, text=True, check=False,
        )  # fmt: skip

    shown, refused = command(), command("--clera")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"Folder     {tmp_path / 'fastmlp'}\n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "unrecognized arguments: --clera" in refused.stderr
