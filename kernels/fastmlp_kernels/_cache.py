"""Compiled kernels on disk, so that the next process loads in milliseconds what took seconds to compile.

numba's own cache looks only at the file that holds a function and misses a change in a helper elsewhere
(numba/numba#8359), and a damaged file ends the process that reads it (numba/numba#10434). In this one

- a file is an entry, and its name says all that the code depends on: see `KernelCache`;
- it begins with a digest of what follows, checked before it is read: whatever is wrong with it, the file goes and the
  function compiles;
- it is written under another name and then renamed, so that others see it whole or not at all; what cannot be written
  is not.

Entries are pickles: whoever can write them can run code. So the folder must be the user's own, with no rights for
others, or it is not used.
"""

import logging
import os
import pickle
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import numba
import numpy as np
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from fastmlp_kernels._target import TILE, amx_int8, cache_bytes

VARIABLE = "FASTMLP_NUMBA_CACHE"
# Of all entries together; a sweep's kernels take about 2 MB.
MOST_BYTES = 256 << 20
# A file that is still being written is younger.
_STALE_SECONDS = 3600.0
_ENTRY, _PART = ".kernel", ".part"
_DIGEST = sha256().digest_size
# numba's settings that change the code it makes, where it has them.
_CODE_OPTIONS = (
    "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES",
    "ENABLE_AVX", "ENABLE_PROFILING", "DISABLE_INTEL_SVML", "USING_SVML", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS",
    "USE_LEGACY_TYPE_SYSTEM",
)  # fmt: skip

logger = logging.getLogger("fastmlp_kernels")


def wanted() -> bool:
    """Whether the environment leaves the cache on; ValueError for a value that says neither."""
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise ValueError(f"{VARIABLE}={value!r}: set it to 1 (keep compiled code on disk) or to 0 (do not)")
    return value != "0"


def place() -> Path | None:
    """Return where the folder lies, or would: `NUMBA_CACHE_DIR`, else the user's caches; None where that is unknown."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given).absolute() / "fastmlp"
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "fastmlp" / "kernels"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and no entry of this user in the system's table
        return None
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        caches = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return caches / "fastmlp" / "kernels"


def _is_private(path: Path) -> bool:
    """Whether this is a folder, not a link to one, of this user, that no one else may enter."""
    if os.name != "posix":  # elsewhere a user's folders are his own
        return path.is_dir()
    found = path.lstat()
    return path.is_dir() and not path.is_symlink() and found.st_uid == os.geteuid() and found.st_mode & 0o077 == 0


def _is_anothers_home(path: Path) -> bool:
    """Whether root, as by sudo with the user's HOME, would leave folders of root's in it."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return os.name == "posix" and os.geteuid() == 0 and there.stat().st_uid != 0


@cache
def folder() -> Path | None:
    """Return the folder of the entries, made where it is missing; None where there is none that may be used."""
    path = place() if wanted() else None
    if path is None:
        return None
    try:
        if not path.exists() and not _is_anothers_home(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)  # several processes may begin at once
        if _is_private(path):
            return path
        reason = "it is not a folder of this user alone (owner, mode 0700)"
    except OSError as error:
        reason = str(error)
    logger.info("Compiled kernels are not kept in %s: %s", path, reason)
    return None


class Entry(NamedTuple):
    """A file in the folder."""

    path: Path
    size: int
    used: float


def entries(suffix: str = _ENTRY) -> list[Entry]:
    """Return the files in the folder, the longest unused first; a time in the future tells nothing: long ago."""
    found, now = list[Entry](), time.time()
    with suppress(OSError), os.scandir(folder() or os.devnull) as listed:
        for file in listed:
            with suppress(OSError):  # another process removed it
                about = file.stat(follow_symlinks=False)
                used = about.st_mtime if about.st_mtime < now + _STALE_SECONDS else 0.0
                if file.name.endswith(suffix):
                    found.append(Entry(Path(file.path), about.st_size, used))
    return sorted(found, key=lambda entry: entry.used)


def remove(path: Path) -> None:
    """Remove a file, if that can be."""
    with suppress(OSError):
        path.unlink()


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{secrets.token_hex(8)}{_PART}")
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(sha256(content).digest())
            file.write(content)
        part.replace(path)
    except BaseException:
        remove(part)
        raise


def _read(path: Path) -> bytes | None:
    """Return an entry's content, None where there is none or it is not whole."""
    try:
        content = path.read_bytes()
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            os.utime(path)
    except FileNotFoundError:
        return None
    if sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise ValueError("damaged")
    return content[_DIGEST:]


def _tidy(written: Path) -> None:
    """Remove what killed processes left, entries of older versions of what was written, and the oldest of too many."""
    for part in entries(_PART):
        if part.used < time.time() - _STALE_SECONDS:
            remove(part.path)
    origin, version, _ = written.name.split("-")
    kept = list[Entry]()
    for entry in entries():
        if entry.path.name.startswith(f"{origin}-") and not entry.path.name.startswith(f"{origin}-{version}-"):
            remove(entry.path)
        elif entry.path != written:
            kept.append(entry)
    total = written.stat().st_size + sum(entry.size for entry in kept)
    for entry in kept:
        if total <= MOST_BYTES:
            break
        remove(entry.path)
        total -= entry.size


def _digest(*parts: Any) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:16]


@cache
def _source(directory: Path) -> str | None:
    """Return a digest of a folder's code, None where there is no code to read, as in an archive."""
    digest = sha256()
    try:
        files = sorted(directory.glob("*.py"))
        for path in files:
            digest.update(path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest() if files else None


_Base: Any = _Cache  # its annotations say that all methods return None


class KernelCache(_Base):
    """What numba asks for compiled code before it compiles a function, and gives it to afterwards.

    An entry's name holds three digests: of where it comes from (the folders of this package and of the function, the
    CPU, numba's options); of its version (all code in these folders, numba, llvmlite, numpy, Python); of the function
    and the types of its arguments. Those of one origin and another version are of no more use.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        own, caller = Path(__file__).parent, Path(function.__code__.co_filename).parent
        # now, as the code on disk may be another by the time that something is compiled
        self._code = _source(own), _source(caller)
        self._folders = str(own), str(caller)
        self._function = f"{function.__module__}.{function.__qualname__}"

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(folder() or "")

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return what was kept for arguments of these types, None where nothing was."""
        target_context.refresh()  # numba: the context must know all types before code is linked into it
        path = self._path(sig, target_context)
        if path is None:
            return None
        try:
            content = _read(path)
            return None if content is None else CompileResult._rebuild(target_context, *pickle.loads(content))  # noqa: S301
        except Exception as error:  # whatever it is: the function compiles
            logger.info("An entry of the cache of kernels could not be used, and was removed: %r", error)
            remove(path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, where that can be."""
        path = self._path(sig, data.target_context)
        if path is None or data.lifted or data.library.has_dynamic_globals:  # the last two hold only in this process
            return
        try:
            # the annotation, a listing of the function with all types, takes longer than the rest
            _write(path, dumps(data._replace(type_annotation="")._reduce()))
            _tidy(path)
        except Exception as error:  # a full disk, or code that numba cannot pickle: the function works without
            logger.info("A compiled kernel could not be kept in %s: %r", path.parent, error)

    def _path(self, sig: Any, target_context: Any) -> Path | None:
        where = folder()
        if where is None or None in self._code:
            return None
        types = repr(sig)
        # What multiplies bytes, which are packed as uint32, depends on whether the system grants tile registers.
        compiled_in = TILE, cache_bytes(1), cache_bytes(2), amx_int8() if "uint32" in types else None
        options = [(name, str(getattr(config, name, None))) for name in _CODE_OPTIONS]
        versions = numba.__version__, llvmlite.__version__, np.__version__, sys.version
        cpu = target_context.codegen().magic_tuple()
        origin = _digest(self._folders, cpu, options, compiled_in)
        return where / f"{origin}-{_digest(self._code, versions)}-{_digest(self._function, types)}{_ENTRY}"

    def enable(self) -> None:
        """Do nothing: the environment decides."""

    def disable(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""
