"""Packed files, read as a stream that ends with an error once it has given more bytes than are allowed."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fastmlp.errors import DataError
from fastmlp.files import opened

# Of what must be unpacked in memory; what lies unpacked on the disk may have any size.
MOST_UNPACKED = 4 << 30
# All that a damaged file of these forms raises.
DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, OSError, ValueError)
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PACKED = tuple(_OPENERS)


class _Bounded(io.RawIOBase):
    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._left, self._most = stream, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise DataError(f"it unpacks to more than {self._most:,} bytes, which are allowed")
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def unpacked(path: Path, most: int = MOST_UNPACKED) -> Iterator[io.BufferedReader]:
    """Open a file, and where its name ends with one of `PACKED`, unpack it: DataError beyond `most` bytes of it.

    Reading a damaged one raises one of `DAMAGED`.
    """
    with opened(path) as file:
        opener = _OPENERS.get(path.suffix.lower())
        if opener is None:
            yield file
        else:
            with opener(file) as stream:
                yield io.BufferedReader(_Bounded(stream, most), 1 << 20)
