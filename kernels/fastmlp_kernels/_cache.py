"""Compiled kernels on disk, so that the next process loads in milliseconds what took seconds to compile.

numba's own cache looks only at the file that holds a function and misses a change in a helper elsewhere
(numba/numba#8359), and a damaged file ends the process that reads it (numba/numba#10434). In this one

- a file is an entry, and its name says all that the code depends on: see `KernelCache`;
- it begins with a digest of its name and of what follows, checked before it is read: whatever is wrong with it, the
  file goes and the function compiles;
- it is written under another name and then renamed, so that others see it whole or not at all; what cannot be written
  is not.

Entries are pickles: whoever can write them can run code. So the folder must be the user's own, with no rights for
others, or it is not used.
"""

import logging
import os
import pickle
import secrets
import stat
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
ENTRY, PART = ".kernel", ".part"
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
    return caches / "fastmlp" / "kernels" if caches.is_absolute() else None


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


def why_unused(path: Path | None) -> str | None:
    """Return why entries are not kept in this folder, which need not be there yet; None where they are."""
    if path is None:
        return "neither HOME nor the system says where this user's files lie"
    try:
        if not wanted():
            return f"{VARIABLE}=0"
        if not path.exists():
            return "it would be root's, in a folder of another user" if _is_anothers_home(path) else None
        return None if _is_private(path) else "it is not a folder of this user alone (owner, mode 0700)"
    except (OSError, ValueError) as error:
        return str(error)


@cache
def folder() -> Path | None:
    """Return the folder of the entries, made where it is missing; None where there is none that may be used."""
    path = place()
    reason = why_unused(path)
    if path is not None and reason is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)  # several processes may begin at once
            reason = why_unused(path)
        except OSError as error:
            reason = str(error)
    if reason is not None:
        logger.info("Compiled kernels are not kept in %s: %s", path, reason)
        return None
    return path


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
    """Return the files in a folder, the longest unused first; a time in the future tells nothing: long ago."""
    found, now = list[Entry](), time.time()
    with suppress(OSError), os.scandir(where) as listed:
        for file in listed:
            with suppress(OSError):  # another process removed it
                about = file.stat(follow_symlinks=False)
                used = about.st_mtime if about.st_mtime < now + _STALE_SECONDS else 0.0
                if file.name.endswith(suffix) and stat.S_ISREG(about.st_mode):
                    found.append(Entry(Path(file.path), about.st_size, used))
    return sorted(found, key=lambda entry: entry.used)


def remove(path: Path) -> None:
    """Remove a file, if that can be."""
    with suppress(OSError):
        path.unlink()


def _sealed(path: Path, content: bytes) -> bytes:
    """Return the digest of an entry: one under another's name is damaged, too."""
    return sha256(path.name.encode() + content).digest()


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{secrets.token_hex(8)}{PART}")
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(_sealed(path, content))
            file.write(content)
        part.replace(path)
    except BaseException:
        remove(part)
        raise


def _read(path: Path) -> bytes | None:
    """Return an entry's content, None where there is none; ValueError where it is not whole."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if _sealed(path, content[_DIGEST:]) != content[:_DIGEST]:
        raise ValueError("damaged")
    with suppress(OSError):  # a folder that can only be read serves as well
        if abs(time.time() - path.stat().st_mtime) > _STALE_SECONDS:
            os.utime(path)
    return content[_DIGEST:]


def _tidy(written: Path) -> None:
    """Remove what killed processes left, entries of older versions of what was written, and the oldest of too many."""
    for part in entries(written.parent, PART):
        if part.used < time.time() - _STALE_SECONDS:
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


def _digest(*parts: Any) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:16]


def _source(directory: Path, pattern: str) -> str | None:
    """Return a digest of a folder's code, None where there is none to read, as in an archive."""
    digest = sha256()
    try:
        files = sorted(directory.glob(pattern))
        for path in files:
            code = path.read_bytes()
            digest.update(f"{path.name} {len(code)} ".encode() + code)
    except OSError:
        return None
    return digest.hexdigest() if files else None


_PACKAGE = Path(__file__).parent


def _package_source() -> str | None:
    return _source(_PACKAGE, "**/*.py")


def _folder_source(file: Path) -> str | None:
    """Return a digest of the code beside a file; None where there is no such file, as in a notebook."""
    return _source(file.parent, "*.py") if os.path.isfile(file) else None  # noqa: PTH113 - Path's may raise


_package_source_at_import, _folder_source_at_import = cache(_package_source), cache(_folder_source)


def package_version() -> str:
    """Return the part of an entry's name that tells the version of this package and of what it compiles with."""
    return _digest(_package_source_at_import(), numba.__version__, llvmlite.__version__, np.__version__, sys.version)


_Base: Any = _Cache  # its annotations say that all methods return None


class KernelCache(_Base):
    """What numba asks for compiled code before it compiles a function, and gives it to afterwards.

    An entry's name holds four digests: of where it comes from (this Python's environment, the folders of this package
    and of the function, the CPU, numba's options); of its version, in two parts (this package's code, numba, llvmlite,
    numpy and Python; the code in the function's folder); of the function, what its closure holds, and the types of its
    arguments. Those of one origin and another version are of no more use.

    What a function reads from elsewhere, as numba does once when it compiles, must not be changed by hand before.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._of, self._file = function, Path(function.__code__.co_filename).absolute()
        # now, as the code on disk may be another by the time that something is compiled
        self._code = self._sources(_package_source_at_import, _folder_source_at_import) if wanted() else (None, None)

    def _sources(
        self, package: Callable[[], str | None], caller: Callable[[Path], str | None]
    ) -> tuple[str | None, str | None]:
        of_package = package()
        return of_package, of_package if self._file.parent == _PACKAGE else caller(self._file)

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(folder() or "")

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return what was kept for arguments of these types, None where nothing was."""
        target_context.refresh()  # numba: the context must know all types before code is linked into it
        path = None
        try:
            if (path := self._path(sig, target_context)) is None or (content := _read(path)) is None:
                return None
            return CompileResult._rebuild(target_context, *pickle.loads(content))  # noqa: S301
        except Exception as error:  # whatever it is: the function compiles
            logger.info("An entry of the cache of kernels could not be used, and was removed: %r", error)
            if path is not None:
                remove(path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, where that can be."""
        if data.lifted or data.library.has_dynamic_globals:  # these hold only in this process
            return
        try:
            path = self._path(sig, data.target_context)
            # where the code on disk has changed since, no one knows which of it this process has imported
            if path is None or self._sources(_package_source, _folder_source) != self._code:
                return
            # the annotation, a listing of the function with all types, takes longer than the rest
            _write(path, dumps(data._replace(type_annotation="")._reduce()))
            _tidy(path)
        except Exception as error:  # a full disk, or code that numba cannot pickle: the function works without
            logger.info("A compiled kernel could not be kept: %r", error)

    def _function(self) -> tuple[Any, ...] | None:
        """Return what tells the function from others in its folder; None where more than names and numbers do."""
        held = tuple(cell.cell_contents for cell in self._of.__closure__ or ())
        if not all(value is None or type(value) in (str, bool, int, float) for value in held):
            return None
        return self._of.__module__, self._of.__qualname__, self._of.__code__.co_firstlineno, held

    def _path(self, sig: Any, target_context: Any) -> Path | None:
        where, function, types = folder(), self._function(), repr(sig)
        # an address, as of a function among the arguments, means nothing in another process
        if where is None or None in self._code or function is None or " at 0x" in types:
            return None
        # What multiplies bytes, which are packed as uint32, depends on whether the system grants tile registers.
        amx = amx_int8() if "uint32" in types else None
        compiled_in = TILE, cache_bytes(1), cache_bytes(2), amx, sys.flags.optimize
        options = [(name, str(getattr(config, name, None))) for name in _CODE_OPTIONS]
        cpu = target_context.codegen().magic_tuple()
        origin = _digest(sys.prefix, str(_PACKAGE), str(self._file.parent), cpu, options, compiled_in)
        version = f"{package_version()}-{_digest(self._code[1])}"
        return where / f"{origin}-{version}-{_digest(function, types)}{ENTRY}"

    def enable(self) -> None:
        """Do nothing: the environment decides."""

    def disable(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""
