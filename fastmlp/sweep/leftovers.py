"""The removal of what a killed sweep leaves behind: the mapped copy of its data above all, and half-written files."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from typing import NamedTuple

from fastmlp.errors import FastMLPError
from fastmlp.files import STALE_SECONDS, dead_parts, temporary_folder
from fastmlp.sweep.job import BOARD, CHECKPOINTS, COMPILING, DATA, MODELS
from fastmlp.sweep.lock import OWNER, WORK, held

TEMPORARY = "fastmlp-sweep-"
"""How the names of folders begin that a sweep without a folder of its own works in."""


class Removed(NamedTuple):
    """Number of removed files, and their bytes in all."""

    files: int
    size: int

    def __str__(self) -> str:
        return f"{self.files} file{'s' * (self.files != 1)}, {self.size / 1e6:.1f} MB"


def remove_leftovers(out: Path) -> Removed:
    """Remove what only a running sweep needs from its folder, whose lock the caller holds. Checkpoints stay."""
    sizes = []
    for path in list(_leftovers(out)):
        with suppress(OSError):  # what cannot be removed is left to the next sweep
            size = path.stat().st_size
            path.unlink()
            sizes.append(size)
    rmtree(out / WORK / DATA, ignore_errors=True)
    return Removed(len(sizes), sum(sizes))


def _leftovers(out: Path) -> Iterator[Path]:
    work = out / WORK
    if work.is_symlink():
        return
    if not (work / DATA).is_symlink():
        yield from (work / DATA).glob("*")
    yield from (work / BOARD, work / COMPILING)
    yield from dead_parts(out)
    for folder in (work, work / CHECKPOINTS, out / MODELS, out / "figures", out / "tables"):
        if not folder.is_symlink():  # what is elsewhere is not this sweep's
            yield from dead_parts(folder)


def remove_if_free(out: Path) -> Removed:
    """Remove a dead sweep's leftovers, unless a sweep holds the folder or the folder cannot be changed."""
    try:
        if (out / WORK / OWNER).exists() or any(path.is_file() for path in _leftovers(out)):
            with held(out):
                return remove_leftovers(out)
    except (FastMLPError, OSError):
        pass
    return Removed(0, 0)


@contextmanager
def temporary() -> Iterator[Path]:
    """Yield a locked temporary folder, which is removed at the end; folders that dead processes left go first."""
    remove_temporary()
    with temporary_folder(TEMPORARY) as place, held(place):
        yield place


def remove_temporary() -> Removed:
    """Remove the temporary folders of dead sweeps."""
    files, size = 0, 0
    for folder in Path(gettempdir()).glob(f"{TEMPORARY}*"):
        try:
            if not _is_own(folder):
                continue
            # Either it has an owner, which is written once the lock is held, or its process died before it had one.
            if (folder / WORK / OWNER).exists() or time.time() - folder.stat().st_mtime > STALE_SECONDS:
                with held(folder):
                    removed = remove_leftovers(folder)
                rmtree(folder)
                files, size = files + removed.files, size + removed.size
        except (FastMLPError, OSError):  # it lives
            continue
    return Removed(files, size)


def _is_own(folder: Path) -> bool:
    """Whether a folder is this user's: in another's, links could be put in the place of what is removed."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and (os.name != "posix" or found.st_uid == os.geteuid())
