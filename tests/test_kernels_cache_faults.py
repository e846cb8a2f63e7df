"""The cache of compiled kernels under faults: whatever is wrong with it, kernels compute the same, and say nothing."""

import errno
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp_kernels import _store
from kept import Tiny, call, fails
from test_kernels_process import ROOT, TANH_OF_ONE, environment_of, run_python

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
DECADE = 10 * 365 * 86400.0


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
            _store.read(entry)


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps(5), pickle.dumps(()), pickle.dumps((1,) * 9), b"cno_such_module\nname\n."],
    ids=["empty", "no pickle", "a number", "too short", "of wrong types", "of another library"],
)
def test_a_whole_entry_that_holds_something_else_is_a_miss(tiny: Tiny, content: bytes) -> None:
    entry = tiny.entry()
    _store.write(entry, content)
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]


def test_an_entry_under_anothers_name_is_a_miss(tiny: Tiny) -> None:
    entry = tiny.entry()
    assert tiny.run(np.float64) == (42, 0)
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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("what", ["open", "write", "replace", "scandir", "unlink", "read"])
def test_what_cannot_be_written_or_read_is_done_without(
    tiny: Tiny, what: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = fails(number)

    class Full(io.FileIO):
        write = fail

    class Bad(io.FileIO):
        read = fail

    with monkeypatch.context() as patched:
        if what in ("write", "read"):
            kind = {"xb": Full if what == "write" else io.FileIO, "rb": Bad if what == "read" else io.FileIO}
            patched.setattr(_store, "open", lambda name, mode, **_: kind[mode](name, mode[0]), raising=False)
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
    monkeypatch.setattr(os, "utime", lambda *given: touched.append(given) or fails(errno.EROFS)())
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
    os.utime(left, (0, time.time() - 2 * _store.STALE_SECONDS))
    assert tiny.run(np.float64) == (42, 0)
    assert left not in tiny.files()
    assert len(tiny.files()) == 2


@pytest.mark.process
def test_processes_that_fill_one_empty_cache_at_once_do_not_meet(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-W", "error", "-c", TANH_OF_ONE]
    env = environment_of(NUMBA_CACHE_DIR=str(tmp_path / "caches"))
    processes = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert {error for _, error in said} == {""}
    assert {output.split()[0] for output, _ in said} == {said[0][0].split()[0]}
    (entry,) = (tmp_path / "caches" / "fastmlp").iterdir()
    assert _store.read(entry)
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
