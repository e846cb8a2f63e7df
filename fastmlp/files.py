"""Reading and writing of files: written whole or not at all, read only if they are regular and within a limit of size.

A file that is being written is called `.<32 hexadecimal digits>.part` and locked until it takes its name. So no one can
plant a link where it will be, and whoever finds one that is not locked knows that its writer is dead. All writing goes
through `os.write`, `os.fsync` and `os.replace`, each of which may fail.
"""

import errno
import io
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

from fastmlp.errors import ConfigError, DataError, OutputError, remedy, suggestion

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PART = re.compile(r"\.[0-9a-f]{32}\.part(\.\w+)?")
# Where parts cannot be locked, an older one is taken for a dead writer's.
STALE_SECONDS = 3600.0
# Of files that hold facts, not arrays.
MOST_BYTES = 64 << 20
# In a line of TOML: a key takes time and memory by the square of its parts, with 30,000 of them 4 GB.
_MOST_DOTS = 1000
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class _Raw(io.RawIOBase):
    """A raw stream over a file descriptor, as Python's buffers and numpy need it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self.descriptor, offset, whence)

    def write(self, data: Any) -> int:  # a buffer; the name for its type is younger than Python 3.11
        return os.write(self.descriptor, data)


class Part:
    """A new file under a random name in the folder of the file that it will replace.

    file : a binary stream to write to; path : of the new file; suffix : the end of its name
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self.path = folder / f".{os.urandom(16).hex()}.part{suffix}"
        self._raw = _Raw(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o666))
        self.file = io.BufferedWriter(self._raw, 1 << 20)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._raw.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        self.file.flush()
        os.fsync(self._raw.descriptor)

    def close(self) -> None:
        """Close the file without writing what is still in its buffer."""
        descriptor, self._raw.descriptor = self._raw.descriptor, -1  # what is still in the buffer must reach no other
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


@contextmanager
def replacing(path: Path, suffix: str = "", elsewhere: str = "choose another folder") -> Iterator[Part]:
    """Yield a new file that replaces `path` in one step, whole and on the disk, once the body ends.

    suffix : the end of its name meanwhile; elsewhere : as in `remedy`. Where the body raises, or something cannot be
    written, `path` stays as it was and the new file is removed; OSError becomes OutputError.
    """
    part = None
    try:
        part = Part(path.parent, suffix)
        yield part
        part.sync()  # or a power cut may leave the new name to an empty file
        part.close()
        part.path.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path} could not be written ({_reason(error)}). {remedy(error, elsewhere)}") from error
    finally:
        if part is not None:
            part.close()
            with suppress(OSError):
                part.path.unlink()


def _reason(error: OSError) -> str:
    """Return the system's message without the name of the new file, which tells a user nothing."""
    return str(error) if error.errno is None else f"[Errno {error.errno}] {error.strerror}"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` in one step: readers, also after a crash, see the old file or the new one."""
    with replacing(path) as part:
        part.file.write(content.encode() if isinstance(content, str) else content)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, and wait until their names are on the disk."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def check_no_links(folder: Path, *names: str) -> None:
    """Raise OutputError where one of these names in `folder` is a symbolic link, which a writer would follow."""
    for path in (folder / name for name in names):
        if path.is_symlink():
            raise OutputError(
                f"{path} is a symbolic link, and nothing is written through one in there. Remove it, or choose another "
                "folder."
            )


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Yield a new folder that is removed after the body; OutputError where none can be made."""
    from tempfile import TemporaryDirectory  # it loads all that packs files

    try:
        made = TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            f"No temporary folder could be made ({error}). {remedy(error, 'name a folder by TMPDIR')}"
        ) from error
    with made as place:
        yield Path(place)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, on systems that can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(descriptor)


def dead_parts(folder: Path) -> Iterator[Path]:
    """Yield the unfinished files in a folder whose writers are dead."""
    for path in folder.glob(".*.part*"):
        if _PART.fullmatch(path.name) and _is_dead(path):
            yield path


def _is_dead(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | _NO_LINKS)
    except OSError:  # its writer has renamed it, or it is another user's
        return False
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:  # a file system without locks
                pass
            else:
                return True
        return time.time() - os.fstat(descriptor).st_mtime > STALE_SECONDS
    finally:
        os.close(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading; DataError for anything else, such as a FIFO, which might block for ever."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise DataError(f"it is {_kind(mode)}, not a file")
        file = open(descriptor, "rb", closefd=False)  # noqa: SIM115 - of the descriptor
        with file:
            yield file
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket"}
    return next((name for is_one, name in kinds.items() if is_one(mode)), "a device")


def read_small(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file; OSError where it cannot be read, DataError above `most` bytes."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(max(size, 1 << 16), most) + 1)  # which takes so much memory, whatever there is to read
    if len(content) > most:
        raise DataError(f"it has more than {most:,} bytes")
    return content


def json_of(content: bytes | str) -> Any:
    """Return the value of a JSON text; DataError for any other text, or one nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not JSON: {error}") from error


def fields_of(record: type, data: Any, what: str, needed: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a record, a dataclass, from values that JSON knows, its lists as tuples.

    what : the record is called; needed : keys that must be there. ConfigError for other keys, or what is no object
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{what} is a {type(data).__name__}, expected an object.")
    known = [field.name for field in fields(record)]
    unknown, missing = [key for key in data if key not in known], [name for name in needed if name not in data]
    if unknown or missing:
        meant = suggestion(str(unknown[0]), known) if unknown else ""
        raise ConfigError(
            f"{what} has the keys {', '.join(known)}; unknown: {', '.join(map(repr, unknown)) or 'none'}; missing: "
            f"{', '.join(missing) or 'none'}.{meant}"
        )
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


def toml_of(content: bytes) -> dict[str, Any]:
    """Return the tables of a TOML text; DataError for any other text, or one nested too deeply."""
    if any(line.count(b".") > _MOST_DOTS for line in content.splitlines()):
        raise DataError(f"a line of it has more than {_MOST_DOTS:,} dots")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not TOML: {error}") from error


def is_inside(name: str) -> bool:
    """Whether a relative path, read from a file, stays inside its folder on any system."""
    path = PurePosixPath(name)
    plain = name and "\0" not in name and "\\" not in name and ":" not in name
    return bool(plain) and not path.is_absolute() and ".." not in path.parts and path.parts != ()
