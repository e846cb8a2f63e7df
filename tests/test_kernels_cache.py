"""The cache of compiled kernels under faults: whatever is wrong with it, kernels compute the same, and say nothing.

Most tests load a module of tiny kernels anew, as the next process would; some need a process of their own.
"""

import errno
import importlib.util
import io
import logging
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from numba import types
from numba.core import config

from fastmlp_kernels import _cache, cache
from test_kernels_process import ROOT, TANH_OF_ONE, environment_of, run_python

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
NOBODY = 65534
DECADE = 10 * 365 * 86400.0

CODE = """
from fastmlp_kernels._jit import kernel

FACTOR = 2

@kernel
def double(x):
    for i in range(x.size):
        x[i] = FACTOR * x[i]

def adding(step):
    @kernel
    def add(x):
        for i in range(x.size):
            x[i] = x[i] + step

    return add

def applying(function):
    @kernel
    def apply(x):
        for i in range(x.size):
            x[i] = function(x[i])

    return apply

@kernel
def apply_given(x, function):
    for i in range(x.size):
        x[i] = function(x[i])
"""


class Tiny:
    """A module of kernels in a folder, and the cache's folder."""

    def __init__(self, code: Path, kept: Path) -> None:
        self.file, self.kept = code / "tiny_kernels.py", kept
        code.mkdir()
        self.file.write_text(CODE, encoding="utf-8")

    def load(self) -> ModuleType:
        """Run the module's code as it is on disk, with kernels that have compiled nothing, as a new process does."""
        for known in (_cache.folder, _cache._folder_source_at_import):
            known.cache_clear()
        spec = importlib.util.spec_from_file_location("tiny_kernels", self.file)
        assert spec is not None
        module = sys.modules["tiny_kernels"] = importlib.util.module_from_spec(spec)
        exec(compile(self.file.read_text(encoding="utf-8"), self.file, "exec"), module.__dict__)  # noqa: S102
        return module

    def run(self, dtype: Any = np.float32) -> tuple[float, int]:
        """Return 21 doubled in a new process, as it were, and how many kernels came from the cache for it."""
        return call(self.load().double, dtype)

    def files(self, pattern: str = "*") -> list[Path]:
        return sorted(self.kept.glob(pattern)) if self.kept.is_dir() else []

    def entry(self) -> Path:
        """Fill the cache, and return its one file."""
        assert self.run() == (42, 0)
        (entry,) = self.files()
        return entry


def call(kernel: Any, dtype: Any = np.float32, *rest: Any) -> tuple[float, int]:
    x = np.full(3, 21, dtype)
    kernel(x, *rest)
    return float(x[0]), sum(kernel.stats.cache_hits.values())


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Tiny]:
    """Give kernels and an empty cache; nothing may be said on standard output and error."""
    monkeypatch.delenv(_cache.VARIABLE, raising=False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "caches"))
    yield Tiny(tmp_path / "code", tmp_path / "caches" / "fastmlp")
    sys.modules.pop("tiny_kernels", None)
    _cache.folder.cache_clear()
    assert capfd.readouterr() == ("", "")


def test_the_next_process_loads_what_one_has_compiled(tiny: Tiny) -> None:
    entry = tiny.entry()
    assert entry.name.endswith(".kernel")
    assert [tiny.run(), tiny.run(np.float64), tiny.run(np.float64)] == [(42, 1), (42, 0), (42, 1)]
    assert len(tiny.files()) == 2


@posix
def test_the_folder_and_its_files_are_for_the_user_alone(tiny: Tiny) -> None:
    before = os.umask(0)
    try:
        entry = tiny.entry()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (entry, tiny.kept)] == [0o600, 0o700]


def _flip(at: Callable[[bytes], int]) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        i = at(content) % len(content)
        return content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :]

    return damage


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "first byte": _flip(lambda _: 0),
    "end of the digest": _flip(lambda _: 31),
    "start of the pickle": _flip(lambda _: 32),
    "a name in the pickle": _flip(lambda content: content.index(b"tiny_kernels")),
    "head of the object code": _flip(lambda content: content.index(b"\x7fELF") if b"\x7fELF" in content else 100),
    "object code": _flip(lambda content: len(content) // 2),
    "last byte": _flip(lambda _: -1),
    "empty": lambda _: b"",
    "one byte": lambda content: content[:1],
    "cut in the digest": lambda content: content[:20],
    "the digest alone": lambda content: content[:32],
    "cut in the pickle": lambda content: content[:40],
    "half": lambda content: content[: len(content) // 2],
    "cut at the end": lambda content: content[:-1],
    "a byte too many": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "garbage": lambda content: np.random.default_rng(0).bytes(2 * len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_a_miss_and_is_written_anew(tiny: Tiny, damage: Callable[[bytes], bytes]) -> None:
    entry = tiny.entry()
    content = entry.read_bytes()
    entry.write_bytes(damage(content))
    assert entry.read_bytes() != content
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]
    assert tiny.files() == [entry]


def test_no_byte_of_an_entry_can_change_unnoticed(tiny: Tiny) -> None:
    entry = tiny.entry()
    content = entry.read_bytes()
    for i in range(0, len(content), 41):
        entry.write_bytes(content[:i] + bytes([content[i] ^ 0x80]) + content[i + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            _cache._read(entry)


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps(5), pickle.dumps(()), pickle.dumps((1,) * 9), b"cno_such_module\nname\n."],
    ids=["empty", "no pickle", "a number", "too short", "of wrong types", "of another library"],
)
def test_a_whole_entry_that_holds_something_else_is_a_miss(tiny: Tiny, content: bytes) -> None:
    entry = tiny.entry()
    _cache._write(entry, content)
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]


def test_an_entry_under_anothers_name_is_a_miss(tiny: Tiny) -> None:
    entry = tiny.entry()
    assert call(tiny.load().adding(1)) == (22, 0)
    (other,) = set(tiny.files()) - {entry}
    shutil.copyfile(other, entry)
    assert tiny.run() == (42, 0)


@pytest.mark.parametrize("holds", [(), ("a file",)], ids=["empty", "not empty"])
def test_a_folder_in_the_place_of_an_entry_is_left_alone(tiny: Tiny, holds: tuple[str, ...]) -> None:
    entry = tiny.entry()
    entry.unlink()
    entry.mkdir()
    for name in holds:
        (entry / name).touch()
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 0)]
    assert tiny.files() == [entry]


def test_closures_of_one_name_are_told_apart(tiny: Tiny) -> None:
    for hits in (0, 1):
        module = tiny.load()
        assert [call(module.adding(step)) for step in (1, 2, 0.5)] == [(22, hits), (23, hits), (21.5, hits)]


def test_functions_among_closures_and_arguments_are_not_kept(tiny: Tiny) -> None:
    plus, minus = numba.njit(lambda x: x + 1), numba.njit(lambda x: x - 1)
    for _ in range(2):
        module = tiny.load()
        assert [call(module.applying(function)) for function in (plus, minus)] == [(22, 0), (20, 0)]
        assert call(module.apply_given, np.float32, plus) == (22, 0)
    assert tiny.files() == []


def test_code_that_is_in_no_file_is_not_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.file.parent)  # has code of its own, which is not this one's
    for name in ("<string>", "<ipython-input-1>", "gone.py"):
        space: dict[str, Any] = {"__name__": "tiny_kernels"}
        tiny.load()
        exec(compile(CODE, name, "exec"), space)  # noqa: S102
        assert call(space["double"]) == (42, 0)
    assert tiny.files() == []


def test_other_code_in_the_folder_is_another_version_and_the_older_one_goes(tiny: Tiny, tmp_path: Path) -> None:
    entry = tiny.entry()
    copy = Tiny(tmp_path / "checkout", tiny.kept)
    assert copy.run() == (42, 0)
    (elsewhere,) = set(tiny.files()) - {entry}
    (tiny.file.parent / "helper.py").touch()
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]
    assert elsewhere in tiny.files()
    assert entry not in tiny.files()
    assert len(tiny.files()) == 2
    assert copy.run() == (42, 1)


def test_entries_of_another_cpu_and_other_options_stay(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.entry()
    monkeypatch.setattr(config, "OPT", type(config.OPT)(1))  # pyright: ignore[reportAttributeAccessIssue]
    assert tiny.run() == (42, 0)
    monkeypatch.setattr("numba.core.codegen.CPUCodegen.magic_tuple", lambda _: ("another", "cpu", ""))
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]
    monkeypatch.undo()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tiny.kept.parent))
    assert tiny.run() == (42, 1)
    assert len(tiny.files()) == 3


def names(tiny: Tiny) -> list[str]:
    """Return the four parts of the name that an entry would have now."""
    kernel = tiny.load().double
    path = kernel._cache._path((types.float32[::1],), kernel.targetctx)
    return path.stem.split("-")


@pytest.mark.parametrize("option", _cache._CODE_OPTIONS)
def test_each_of_numbas_options_is_in_the_name(tiny: Tiny, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(tiny)
    monkeypatch.setattr(config, option, "another", raising=False)
    assert [a == b for a, b in zip(before, names(tiny), strict=True)] == [False, True, True, True]


def test_numbas_options_are_spelled_as_numba_spells_them() -> None:
    gone = {"USE_LEGACY_TYPE_SYSTEM"}  # not in each release
    assert [name for name in _cache._CODE_OPTIONS if not hasattr(config, name) and name not in gone] == []
    opt = type(config.OPT)  # pyright: ignore[reportAttributeAccessIssue]
    assert str(opt(3)) != str(opt("max"))  # two kinds of the same number


def test_versions_are_in_the_name(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(tiny)
    for module in ("numba", "llvmlite", "numpy"):
        with monkeypatch.context() as patched:
            patched.setattr(f"{module}.__version__", "0")
            assert [a == b for a, b in zip(before, names(tiny), strict=True)] == [True, False, True, True]
    assert names(tiny) == before
    monkeypatch.setattr(sys, "prefix", "another environment")  # may have other versions, which must not make these go
    assert names(tiny)[0] != before[0]


def test_code_that_changed_since_its_import_is_not_kept(tiny: Tiny) -> None:
    module = tiny.load()
    tiny.file.write_text(CODE.replace("FACTOR = 2", "FACTOR = 3"), encoding="utf-8")
    assert call(module.double) == (42, 0)
    assert tiny.files() == []
    assert [tiny.run(), tiny.run()] == [(63, 0), (63, 1)]
    tiny.file.write_text(CODE, encoding="utf-8")
    assert tiny.run() == (42, 0)


def _fails(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("what", ["open", "write", "replace", "scandir", "unlink", "read"])
def test_what_cannot_be_written_or_read_is_done_without(
    tiny: Tiny, what: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail, read = _fails(number), Path.read_bytes

    class Full(io.FileIO):
        write = fail

    with monkeypatch.context() as patched:
        if what == "write":
            patched.setattr(_cache, "open", lambda name, *_, **__: Full(name, "x"), raising=False)
        elif what == "read":
            patched.setattr(Path, "read_bytes", lambda path: (fail if path.suffix == ".kernel" else read)(path))
        elif what in ("replace", "unlink"):
            patched.setattr(Path, what, fail)
        else:
            patched.setattr(os, what, fail)
        assert tiny.run() == (42, 0)
        assert tiny.run()[0] == 42
    if what != "unlink":
        assert tiny.files("*.part") == []
    assert [tiny.run()[0], tiny.run()] == [42, (42, 1)]


def test_an_entry_that_cannot_be_touched_is_read(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(tiny.entry(), (0, 0))  # due to be touched
    touched: list[Any] = []
    monkeypatch.setattr(os, "utime", lambda *given: touched.append(given) or _fails(errno.EROFS)())
    assert tiny.run() == (42, 1)
    assert len(touched) == 1


@pytest.mark.process
@posix
def test_a_full_disk_leaves_nothing_and_is_not_told_of(tmp_path: Path) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    value, hits = run_python(full + TANH_OF_ONE, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert (float(value), hits) == (pytest.approx(np.tanh(1), rel=1e-6), "0")
    assert list((tmp_path / "fastmlp").iterdir()) == []
    assert run_python(TANH_OF_ONE, NUMBA_CACHE_DIR=str(tmp_path)).split() == [value, "0"]
    assert run_python(full + TANH_OF_ONE, NUMBA_CACHE_DIR=str(tmp_path)).split() == [value, "1"]


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL")
def test_a_process_killed_while_it_writes_leaves_what_the_others_remove(tiny: Tiny) -> None:
    killed = "from fastmlp_kernels import _cache\nimport os\n_cache.Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    done = subprocess.run(
        [sys.executable, "-c", killed + TANH_OF_ONE],
        env=environment_of(NUMBA_CACHE_DIR=str(tiny.kept.parent)),
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = tiny.files()
    assert left.suffix == ".part"
    assert tiny.run() == (42, 0)
    assert left in tiny.files()  # someone may be writing it
    os.utime(left, (0, time.time() - 2 * _cache._STALE_SECONDS))
    assert tiny.run(np.float64) == (42, 0)
    assert left not in tiny.files()
    assert len(tiny.files()) == 2


@pytest.mark.process
def test_processes_that_fill_one_empty_cache_at_once_do_not_meet(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-W", "error", "-c", TANH_OF_ONE]
    env = environment_of(NUMBA_CACHE_DIR=str(tmp_path / "caches"))
    processes = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert {error for _, error in said} == {""}
    assert {output.split()[0] for output, _ in said} == {said[0][0].split()[0]}
    (entry,) = (tmp_path / "caches" / "fastmlp").iterdir()
    assert _cache._read(entry)
    assert run_python(TANH_OF_ONE, NUMBA_CACHE_DIR=str(tmp_path / "caches")) == f"{said[0][0].split()[0]} 1\n"


def test_threads_that_ask_at_once_compile_once(tiny: Tiny) -> None:
    for hits in (0, 1):
        kernel, results = tiny.load().double, []
        threads = [threading.Thread(target=lambda: results.append(call(kernel))) for _ in range(8)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [(42, hits)] * 8
    assert len(tiny.files()) == 1


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_reads_and_writes_the_same_cache(tmp_path: Path) -> None:
    code = """
import os, numpy as np
from fastmlp_kernels.jit import bias_tanh

def hits(dtype):
    bias_tanh(np.ones((1, 1), dtype), np.zeros(1, dtype))
    return sum(bias_tanh.stats.cache_hits.values())

hits(np.float32)
child = os.fork()
found = hits(np.float64)
if child == 0:
    os._exit(found)
print(found, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    both = [run_python(code, NUMBA_CACHE_DIR=str(tmp_path)).split() for _ in range(2)]
    assert both[1] == ["2", "2"]
    assert len(list((tmp_path / "fastmlp").iterdir())) == 2


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
    assert "root's" in str(_cache.why_unused(owned.kept))
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert _cache.why_unused(owned.kept) is None


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
    assert call(module.adding(1)) == (22, 0)
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
    assert _cache.place() is None
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
    assert _cache.place() == Path(expected).expanduser()


def test_switched_off_it_makes_no_folder(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_cache.VARIABLE, "0")
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 0)]
    assert not tiny.kept.parent.exists()


def test_a_wrong_value_that_is_set_after_the_import_ends_no_call(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny.load()
    monkeypatch.setenv(_cache.VARIABLE, "maybe")
    assert call(module.double) == (42, 0)


def test_times_in_the_future_are_those_of_a_wrong_clock(tiny: Tiny) -> None:
    entry = tiny.entry()
    part = entry.with_suffix(".part")
    part.touch()
    for path in (entry, part):
        os.utime(path, (0, time.time() + DECADE))
    assert tiny.run() == (42, 1)
    assert abs(entry.stat().st_mtime - time.time()) < 60  # it was used now
    assert tiny.run(np.float64) == (42, 0)
    assert not part.exists()


@pytest.mark.parametrize("ahead", [DECADE, -DECADE])
def test_a_clock_that_is_wrong_costs_nothing(tiny: Tiny, ahead: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.entry()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    assert [tiny.run(), tiny.run(np.float64), tiny.run(np.float64)] == [(42, 1), (42, 0), (42, 1)]
    monkeypatch.undo()


def test_above_its_limit_the_longest_unused_goes(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tiny.entry()
    assert tiny.run(np.float64) == (42, 0)
    (second,) = set(tiny.files()) - {first}
    for path, hours in ((first, 9), (second, 8)):
        os.utime(path, (0, time.time() - 3600 * hours))
    assert tiny.run() == (42, 1)  # the first was used last
    monkeypatch.setattr(_cache, "MOST_BYTES", int(2.5 * first.stat().st_size))
    assert tiny.run(np.int32) == (42, 0)
    assert first in tiny.files()
    assert second not in tiny.files()
    assert len(tiny.files()) == 2
    monkeypatch.setattr(_cache, "MOST_BYTES", 0)
    assert tiny.run(np.int64) == (42, 0)
    assert len(tiny.files()) == 1  # the newest, which someone needs
    assert tiny.run(np.int64) == (42, 1)


def test_files_of_others_in_the_folder_neither_stay_for_ever_nor_end_the_tidying(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tiny.entry()
    foreign, note = tiny.kept / "foreign.kernel", tiny.kept / "note.txt"
    for path in (foreign, note):
        path.write_bytes(bytes(10))
        os.utime(path, (0, 0))
    monkeypatch.setattr(_cache, "MOST_BYTES", 2 * entry.stat().st_size + entry.stat().st_size // 2)
    for dtype in (np.float64, np.int32):
        assert tiny.run(dtype) == (42, 0)
    assert note.exists()
    assert not foreign.exists()
    assert entry not in tiny.files()


@pytest.mark.process
def test_a_package_in_an_archive_runs_without(tmp_path: Path) -> None:
    archive = tmp_path / "kernels.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (ROOT / "kernels" / "fastmlp_kernels").glob("*.py"):
            file.write(path, f"fastmlp_kernels/{path.name}")
    code = f"import fastmlp_kernels; assert {str(archive)!r} in fastmlp_kernels.__file__\n{TANH_OF_ONE}"
    for _ in range(2):
        value, hits = run_python(code, archive, NUMBA_CACHE_DIR=str(tmp_path / "caches")).split()
        assert (float(value), hits) == (pytest.approx(np.tanh(1), rel=1e-6), "0")
    assert not list(tmp_path.glob("caches/fastmlp/*"))


@pytest.mark.process
def test_other_levels_of_optimisation_have_entries_of_their_own(tmp_path: Path) -> None:
    def hits(**environment: str) -> str:
        return run_python(TANH_OF_ONE, NUMBA_CACHE_DIR=str(tmp_path), **environment).split()[1]

    assert [hits(), hits(NUMBA_OPT="1"), hits(NUMBA_OPT="1"), hits(PYTHONOPTIMIZE="1"), hits()] == list("00101")


@pytest.mark.parametrize(
    ("what", "says"), [("", "Used       yes"), ("0", f"Used       no: {_cache.VARIABLE}=0")], ids=["on", "off"]
)
def test_the_command_shows_and_clears(
    what: str, says: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = tiny.entry()
    assert tiny.run(np.float64) == (42, 0)
    older = entry.with_name("-".join(["0" * 16] * 4) + ".kernel")
    older.touch()
    entry.with_suffix(".part").touch()
    monkeypatch.setenv(_cache.VARIABLE, what)
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
        patched.setattr(Path, "unlink", _fails(errno.EPERM))
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
