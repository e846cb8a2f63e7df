"""The file of an unfinished download, under a fixed name, so that a later attempt can continue it.

As others know the name too, only a regular file of this user, with no other name, is written to, and no link followed.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from fastmlp.errors import DownloadError
from fastmlp.files import sync_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


class Part:
    """A context manager that opens and locks the file at `path`, and removes it at the end where it is empty.

    waits() : called before it waits for another process that has locked the file

    Raises OSError where it cannot be written, DownloadError where something else has its name. Without locks where the
    file system has none.
    """

    def __init__(self, path: Path, waits: Callable[[], None]) -> None:
        self.path, self._waits = path, waits

    def __enter__(self) -> Self:
        self._descriptor = self._open()
        while not self._lock():  # the other one gave it its name, or removed it
            self._close()
            self._descriptor = self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with suppress(OSError):
            if not self.size and self._is_there():
                self.path.unlink()
        self._close()

    def _open(self) -> int:
        while True:
            try:
                return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
            except FileExistsError:
                pass
            if self.path.is_symlink():  # where the system cannot be told to follow none
                raise self._odd("a symbolic link")
            try:
                descriptor = os.open(self.path, os.O_RDWR | _FLAGS)
                break
            except FileNotFoundError:  # another process has just given it its name, or removed it
                continue
        status = os.fstat(descriptor)
        try:
            if not stat.S_ISREG(status.st_mode):
                raise self._odd("no file")
            if os.name == "posix" and status.st_uid != os.geteuid():
                raise self._odd("another user's")
            if status.st_nlink > 1:
                raise self._odd("a file that has other names too")
        except DownloadError:
            os.close(descriptor)
            raise
        return descriptor

    def _odd(self, what: str) -> DownloadError:
        return DownloadError(
            f"{self.path} is {what}, not the part of a download. Remove it, or name another folder with --data-dir."
        )

    def _lock(self) -> bool:
        """Wait for the lock; return whether the file still has its name."""
        if fcntl is not None:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._waits()
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                pass
        return self._is_there()

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._descriptor).st_size

    def write(self, block: bytes, at: int) -> int:
        """Write a block of bytes from offset `at` on; return its length."""
        os.lseek(self._descriptor, at, os.SEEK_SET)
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(block)

    def clear(self) -> None:
        """Empty the file."""
        os.ftruncate(self._descriptor, 0)

    def become(self, target: Path) -> None:
        """Rename the file to `target` once all of it is on the disk, so that a power cut leaves no empty target."""
        os.fsync(self._descriptor)
        if os.name == "nt":  # which renames no open file
            self._close()
        self.path.replace(target)
        sync_folder(target.parent)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
