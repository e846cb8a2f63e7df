"""System calls that fail, and a disk that forgets what was not synced: patched into this process for one folder.

What a sweep writes goes by `os`, `io` and `mmap`, whose functions are replaced here. Linux only: the files behind
descriptors are found in /proc.
"""

import builtins
import errno
import io
import mmap
import os
import random
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

# By kind of call, who makes it.
CALLS = {
    "open": [(os, "open"), (io, "open"), (builtins, "open")],
    "write": [(os, "write")],
    "fsync": [(os, "fsync")],
    "rename": [(os, "replace"), (os, "rename")],
    "truncate": [(os, "ftruncate"), (os, "truncate")],
    "mmap": [(mmap, "mmap")],
    "unlink": [(os, "unlink"), (os, "remove")],
    "mkdir": [(os, "mkdir")],
}
ERRORS = ("ENOSPC", "EIO", "EACCES", "EINTR")
SHORT = "short"
"""An error that a write alone has: it takes half of what it is given."""


class Watched:
    """Calls that touch what lies under `root`, each given to `call`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._busy = False

    def call(self, kind: str, path: Path, real: Callable[..., Any], args: tuple[Any, ...], more: Any) -> Any:  # noqa: ARG002
        """Do it."""
        return real(*args, **more)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stand between the process and its system."""
        with ExitStack() as stack:
            for kind, places in CALLS.items():
                for owner, name in places:
                    stack.enter_context(mock.patch.object(owner, name, self._standing(kind, getattr(owner, name))))
            yield

    def _standing(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def stands(*args: Any, **more: Any) -> Any:
            path = None if self._busy else self._inside(args[0], more.get("dir_fd"))
            return real(*args, **more) if path is None else self.call(kind, path, real, args, more)

        return stands

    def _inside(self, given: Any, folder: int | None) -> Path | None:
        try:
            if isinstance(given, int):
                path = Path(str(Path(f"/proc/self/fd/{given}").readlink()).removesuffix(" (deleted)"))
            else:
                above = Path.cwd() if folder is None else Path(f"/proc/self/fd/{folder}").readlink()
                path = above / os.fsdecode(given)
        except OSError:
            return None
        return path if path.is_relative_to(self.root) else None


class Failing(Watched):
    """Makes one call fail: the n-th of a kind, from 0; `counts` says how many there were, `at` what failed.

    before : called at the moment of the failure
    """

    def __init__(
        self, root: Path, kind: str = "", n: int = -1, error: str = "EIO", before: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(root)
        self._kind, self._n, self._error, self._before = kind, n, error, before
        self.counts: Counter[str] = Counter()
        self.at: Path | None = None

    def call(self, kind: str, path: Path, real: Callable[..., Any], args: tuple[Any, ...], more: Any) -> Any:
        """Do it, unless its turn has come to fail."""
        self.counts[kind] += 1
        if (kind, self.counts[kind] - 1) != (self._kind, self._n):
            return real(*args, **more)
        self._busy, self.at = True, path
        try:
            self._before()
        finally:
            self._busy = False
        if self._error == SHORT:
            return real(args[0], bytes(args[1])[: len(args[1]) // 2])
        number = getattr(errno, self._error)
        raise OSError(number, os.strerror(number), str(path))


@dataclass
class _File:
    """What a file holds once power is lost."""

    synced: bytes = b""


@dataclass
class _Folder:
    """The names in a folder once power is lost."""

    synced: "dict[str, _File | _Folder]" = field(default_factory=dict)


Tree = dict[str, "bytes | Tree"]
"""What a folder holds, by name."""
LOSSES = ("names", "contents", "zeros", "some")
"""What goes with the power: all that was not synced; contents alone, or these as zeros; names by chance."""


class Power(Watched):
    """A disk that can lose its power after any call: `states` has what it may hold then, and what was told by then.

    told : asked after each call for what the command has promised so far
    """

    def __init__(self, root: Path, told: Callable[[], Any], seed: int = 0) -> None:
        super().__init__(root)
        self._told, self._rng = told, random.Random(seed)  # noqa: S311
        self._known: dict[int, _File | _Folder] = {}
        self.states: list[tuple[str, Tree, Any]] = []
        self._seen: set[str] = set()
        self._root = self._all_synced(self.root)

    def call(self, kind: str, path: Path, real: Callable[..., Any], args: tuple[Any, ...], more: Any) -> Any:
        """Do it, and take note of what the disk holds for certain then, and what it may hold."""
        there = path.exists()
        result = real(*args, **more)
        self._busy = True
        try:
            if kind in ("open", "mkdir") and not there and path.exists():
                self._known[path.stat().st_ino] = _Folder() if path.is_dir() else _File()
            elif kind == "fsync":
                self._sync(args[0], path)
            told = self._told()
            for loss in LOSSES:
                self._add(told, f"{loss} lost after {kind} {len(self.states)} of {path.name}", loss)
        finally:
            self._busy = False
        return result

    def _all_synced(self, folder: Path) -> _Folder:
        made = self._known[folder.stat().st_ino] = _Folder()
        for path in folder.iterdir():
            if path.is_dir():
                made.synced[path.name] = self._all_synced(path)
            else:
                file = self._known[path.stat().st_ino] = _File(path.read_bytes())
                made.synced[path.name] = file
        return made

    def _sync(self, descriptor: int, path: Path) -> None:
        facts = os.fstat(descriptor)
        known = self._known[facts.st_ino]
        if isinstance(known, _File):
            with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:
                known.synced = file.read()
        else:
            assert stat.S_ISDIR(facts.st_mode)
            known.synced = {one.name: self._known[one.stat().st_ino] for one in path.iterdir()}

    def _add(self, told: Any, name: str, loss: str) -> None:
        state = self._lost(self.root, self._root, loss)
        if (key := repr((state, told))) not in self._seen:
            self._seen.add(key)
            self.states.append((name, state, told))

    def _lost(self, path: Path | None, known: _Folder, loss: str) -> Tree:
        now = {} if path is None else {one.name: one for one in path.iterdir()}
        tree: Tree = {}
        for name in {**known.synced, **now}:
            is_old = loss == "names" or (loss == "some" and self._rng.random() < 0.5)
            there = None if is_old else now.get(name)
            entry = known.synced.get(name) if is_old else there and self._known[there.stat().st_ino]
            if isinstance(entry, _Folder):
                inside = now.get(name)
                tree[name] = self._lost(inside if inside is not None and inside.is_dir() else None, entry, loss)
            elif entry is not None:
                more = 0 if there is None or loss != "zeros" else there.stat().st_size - len(entry.synced)
                tree[name] = entry.synced + bytes(max(0, more))
        return tree


def lay_out(folder: Path, tree: Tree) -> None:
    """Write a tree into an empty folder, which is made."""
    folder.mkdir()
    for name, content in tree.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            lay_out(folder / name, content)
