"""Tiny kernels and a cache of their own: a module that is loaded anew, as the next process would."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fastmlp_kernels import _cache, _store

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
        for known in (_store.folder, _cache._folder_source_at_import):
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


@contextmanager
def tiny_kernels(folder: Path) -> Iterator[Tiny]:
    """Give the kernels, and an empty cache where NUMBA_CACHE_DIR says, in folders under this one."""
    yield Tiny(folder / "code", folder / "caches" / "fastmlp")
    sys.modules.pop("tiny_kernels", None)
    _store.folder.cache_clear()


def fails(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail
