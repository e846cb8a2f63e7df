"""What is kept on disk of compiled kernels, when it is loaded, and when it goes."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types
from numba.core import config

from fastmlp_kernels import _cache, _store
from kept import CODE, Tiny, call
from test_kernels_process import TANH_OF_ONE, run_python

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")


def test_the_next_process_loads_what_one_has_compiled(tiny: Tiny) -> None:
    entry = tiny.entry()
    assert entry.name.endswith(".kernel")
    assert [tiny.run(), tiny.run(np.float64), tiny.run(np.float64)] == [(42, 1), (42, 0), (42, 1)]
    assert len(tiny.files()) == 2


def test_closures_and_functions_among_the_arguments_are_not_kept(tiny: Tiny) -> None:
    plus, minus = numba.njit(lambda x: x + 1), numba.njit(lambda x: x - 1)
    for _ in range(2):
        module = tiny.load()
        assert [call(module.adding(step)) for step in (1, 2, 0.5)] == [(22, 0), (23, 0), (21.5, 0)]
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


def test_above_its_limit_the_longest_unused_goes(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tiny.entry()
    assert tiny.run(np.float64) == (42, 0)
    (second,) = set(tiny.files()) - {first}
    for path, hours in ((first, 9), (second, 8)):
        os.utime(path, (0, time.time() - 3600 * hours))
    assert tiny.run() == (42, 1)  # the first was used last
    monkeypatch.setattr(_store, "MOST_BYTES", int(2.5 * first.stat().st_size))
    assert tiny.run(np.int32) == (42, 0)
    assert first in tiny.files()
    assert second not in tiny.files()
    assert len(tiny.files()) == 2
    monkeypatch.setattr(_store, "MOST_BYTES", 0)
    assert tiny.run(np.int64) == (42, 0)
    assert len(tiny.files()) == 1  # the newest, which someone needs
    assert tiny.run(np.int64) == (42, 1)


@pytest.mark.process
def test_other_levels_of_optimisation_have_entries_of_their_own(tmp_path: Path) -> None:
    def hits(**environment: str) -> str:
        return run_python(TANH_OF_ONE, NUMBA_CACHE_DIR=str(tmp_path), **environment).split()[1]

    assert [hits(), hits(NUMBA_OPT="1"), hits(NUMBA_OPT="1"), hits(PYTHONOPTIMIZE="1"), hits()] == list("00101")


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


def test_files_of_others_in_the_folder_neither_stay_for_ever_nor_end_the_tidying(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tiny.entry()
    foreign, note = tiny.kept / "foreign.kernel", tiny.kept / "note.txt"
    for path in (foreign, note):
        path.write_bytes(bytes(10))
        os.utime(path, (0, 0))
    monkeypatch.setattr(_store, "MOST_BYTES", 2 * entry.stat().st_size + entry.stat().st_size // 2)
    for dtype in (np.float64, np.int32):
        assert tiny.run(dtype) == (42, 0)
    assert note.exists()
    assert not foreign.exists()
    assert entry not in tiny.files()
