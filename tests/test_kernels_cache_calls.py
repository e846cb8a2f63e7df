"""The cache of compiled kernels where any call of the system fails, and where something is planted in it."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kept import Tiny, fails

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
posix = pytest.mark.skipif(os.name != "posix", reason="links and FIFOs are those of POSIX")
CALLS = ("open", "replace", "unlink", "scandir", "stat", "lstat", "fstat", "mkdir", "utime")


@pytest.mark.parametrize("there", [False, True], ids=["no cache", "an entry that is due to be touched"])
def test_whichever_call_of_the_system_fails_it_costs_a_compilation_at_most(
    tiny: Tiny, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, calls, failing = tiny.entry(), 0, 0
    content = entry.read_bytes()

    def one_fails(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            nonlocal calls
            calls += isinstance(given[0], int) or str(given[0]).startswith(str(tiny.kept.parent))
            return fails(errno.EIO)() if calls == failing else real(*given, **options)

        return call

    while calls >= failing:
        failing, calls = failing + 1, 0
        shutil.rmtree(tiny.kept)
        if there:
            tiny.kept.mkdir(mode=0o700)
            entry.write_bytes(content)
            os.utime(entry, (0, 0))
        with monkeypatch.context() as patched:
            for name in CALLS:
                patched.setattr(os, name, one_fails(getattr(os, name)))
            assert tiny.run()[0] == 42
        tiny.kept.mkdir(mode=0o700, exist_ok=True)
    assert failing > 5
    assert [tiny.run()[0], tiny.run()] == [42, (42, 1)]


@posix
@pytest.mark.parametrize("planted", ["a link", "a FIFO"])
def test_what_is_planted_in_the_place_of_an_entry_is_neither_followed_nor_waited_for(
    tiny: Tiny, planted: str, tmp_path: Path
) -> None:
    entry, victim = tiny.entry(), tmp_path / "victim"
    entry.rename(victim)  # whole, so that a link to it would be believed
    os.utime(victim, (0, 0))
    if planted == "a link":
        entry.symlink_to(victim)
    else:
        os.mkfifo(entry)
    content = victim.read_bytes()
    assert [tiny.run(), tiny.run()] == [(42, 0), (42, 1)]
    assert entry.lstat().st_size == len(content)
    assert (victim.read_bytes(), victim.stat().st_mtime) == (content, 0)
