"""The folder that compiled kernels are kept in: where it lies, whether it may be used, and its files.

A file is an entry. It begins with a digest of its name and of what follows, and is written under another name and then
renamed, so that others see it whole or not at all.
"""

import logging
import os
import secrets
import stat
import sys
import time
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

VARIABLE = "FASTMLP_NUMBA_CACHE"
SWITCHED_OFF = f"{VARIABLE}=0"
COMMAND = "fastmlp_kernels.cache"
# Of all entries together; a sweep's kernels take about 2 MB.
MOST_BYTES = 256 << 20
# A file that is still being written is younger.
STALE_SECONDS = 3600.0
ENTRY, PART = ".kernel", ".part"
_DIGEST = sha256().digest_size
# A link is followed nowhere, and a FIFO waited for by nobody.
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

logger = logging.getLogger("fastmlp_kernels")


def wanted() -> bool:
    """Whether the environment leaves the cache on; ValueError where its variable is neither 0 nor 1."""
    if (wrong := _wrong_value()) and COMMAND in sys.orig_argv:
        return False  # the command is there to tell of it
    if wrong:
        raise ValueError(wrong)
    return os.environ.get(VARIABLE) != "0"


def _wrong_value() -> str:
    """Return what is wrong with the variable's value, as a sentence; empty where it is allowed."""
    value = os.environ.get(VARIABLE, "")
    return (
        ""
        if value in ("", "0", "1")
        else f"{VARIABLE}={value!r}: set it to 1 (keep compiled code on disk) or to 0 (do not)"
    )


def place() -> Path | None:
    """Return the path of the folder, which need not exist: in `NUMBA_CACHE_DIR`, else in the user's cache folder.

    None where that is unknown.
    """
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        try:
            return Path(given).absolute() / "fastmlp"
        except FileNotFoundError:  # the current folder is there no more
            return None
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "fastmlp" / "kernels"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and no entry of this user in the system's table
        return None
    if os.environ.get("HOME") == "":  # which Python takes for the root of all files
        return None
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        caches = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return caches / "fastmlp" / "kernels" if caches.is_absolute() else None


def _is_private(path: Path) -> bool:
    """Whether this is a folder, not a link to one, of this user, that no one else may enter."""
    if os.name != "posix":  # elsewhere a user's folders are his own
        return path.is_dir()
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & 0o077 == 0


def _is_anothers_home(path: Path) -> bool:
    """Whether root, as by sudo with the user's HOME, would leave folders of root's in it."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return os.name == "posix" and os.geteuid() == 0 and there.stat().st_uid != 0


def why_unused(path: Path | None) -> str | None:
    """Return why entries are not kept in this folder, which need not exist; None where they are."""
    if path is None:
        return "neither HOME nor the system says where this user's files lie"
    try:
        if not wanted():
            return _wrong_value() or SWITCHED_OFF
        if not path.exists():
            return "it would be root's, in a folder of another user" if _is_anothers_home(path) else None
        return None if _is_private(path) else "it is not a folder of this user alone (owner, mode 0700)"
    except (OSError, ValueError) as error:
        return str(error)


@cache
def folder() -> Path | None:
    """Return the folder of the entries, which is made where it is missing; None where none may be used."""
    path = place()
    reason = why_unused(path)
    if path is not None and reason is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)  # several processes may begin at once
            reason = why_unused(path)
        except OSError as error:
            reason = str(error)
    if reason is None:
        return path
    if reason != SWITCHED_OFF:
        logger.info("Compiled kernels are not kept in %s: %s", path, reason)
    return None


class Entry(NamedTuple):
    """A file in the folder; `used`: the last time, to the hour."""

    path: Path
    size: int
    used: float

    @property
    def names(self) -> list[str]:
        """Digests of its origin, of the package's version, of that of the function's folder, and of the function."""
        return self.path.stem.split("-")


def entries(where: Path, suffix: str = ENTRY) -> list[Entry]:
    """Return the files in a folder, the longest unused first; one whose time is in the future counts as the oldest."""
    found, now = list[Entry](), time.time()
    with suppress(OSError), os.scandir(where) as listed:
        for file in listed:
            with suppress(OSError):  # another process removed it
                about = file.stat(follow_symlinks=False)
                used = about.st_mtime if about.st_mtime < now + STALE_SECONDS else 0.0
                if file.name.endswith(suffix) and stat.S_ISREG(about.st_mode):
                    found.append(Entry(Path(file.path), about.st_size, used))
    return sorted(found, key=lambda entry: entry.used)


def remove(path: Path) -> None:
    """Remove a file, if the system lets it."""
    with suppress(OSError):
        path.unlink()


def _sealed(path: Path, content: bytes) -> bytes:
    """Return the digest of an entry's name and content: an entry under another's name counts as damaged."""
    return sha256(path.name.encode() + content).digest()


def write(path: Path, content: bytes) -> None:
    """Write an entry whole; OSError where it cannot be written, and then nothing of it stays."""
    part = path.with_name(f"{secrets.token_hex(8)}{PART}")
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(_sealed(path, content))
            file.write(content)
        part.replace(path)
    except BaseException:
        remove(part)
        raise


def read(path: Path) -> bytes | None:
    """Return an entry's content, None where no such file exists; ValueError where it is damaged."""
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _PLAIN))  # noqa: SIM115 - below
    except FileNotFoundError:
        return None
    with file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("no file")
        content = file.read()
        if _sealed(path, content[_DIGEST:]) != content[:_DIGEST]:
            raise ValueError("damaged")
        with suppress(OSError):  # a folder that can only be read serves as well
            if abs(time.time() - about.st_mtime) > STALE_SECONDS:
                os.utime(file.fileno() if os.utime in os.supports_fd else path)
    return content[_DIGEST:]


def tidy(written: Path) -> None:
    """Remove half-written files of killed processes, other versions of the entry `written`, the oldest of too many."""
    for part in entries(written.parent, PART):
        if part.used < time.time() - STALE_SECONDS:
            remove(part.path)
    origin, *version, _ = written.stem.split("-")
    kept = list[Entry]()
    for entry in entries(written.parent):
        if entry.names[0] == origin and entry.names[1:-1] != version:
            remove(entry.path)
        elif entry.path != written:
            kept.append(entry)
    total = written.stat().st_size + sum(entry.size for entry in kept)
    for entry in kept:
        if total <= MOST_BYTES:
            break
        remove(entry.path)
        total -= entry.size
