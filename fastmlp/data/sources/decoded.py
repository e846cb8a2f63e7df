"""Pictures decoded once: their rows in a file of a cache folder, from which any number of processes map them.

The file is written anew where a picture, its name, its time of change or a setting is another one, or where the file is
not what was written. It is named after the data's folder and the settings, so that it replaces its forerunner.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.data.places import cache_dir
from fastmlp.data.sources.picture import check_pillow, read_whole_picture
from fastmlp.errors import ConfigError, DataError, OutputError, remedy
from fastmlp.files import dead_parts, json_of, make_folder, read_small, replacing, write_whole
from fastmlp.npy import mapped

BROKEN_PER_HUNDRED = 1
"""Of a hundred pictures, or fewer, one may be broken and is left out."""
_FORM = 1  # of the file: count it up when a picture's row becomes another one
_HEADER = 128  # bytes of the file before its rows
_SECONDS = 10.0  # between two reports
_SHOWN = 10  # broken files in a message


@dataclass(frozen=True)
class Decoded:
    """The rows of pictures, and those that are left out as broken.

    rows : (M, D) uint8, mapped; kept : (M,) int64, the number of each row's picture
    broken : by number of a picture, why it cannot be read
    """

    rows: np.ndarray
    kept: np.ndarray
    broken: dict[int, str]


@dataclass(frozen=True)
class Pictures:
    """Pictures to be decoded: names of files in `root`, or absolute ones, the side of their rows, and their colours."""

    root: Path
    names: Sequence[str]
    size: int
    grey: bool

    @property
    def width(self) -> int:
        """D, the numbers of a row."""
        return self.size**2 * (1 if self.grey else 3)


def cache_folder(cache: Path | None, data: Iterable[Path]) -> Path:
    """Return the folder for decoded pictures: `cache`, or where that is None one in `cache_dir()`.

    data : the folders of the data, which are never written to. Raises ConfigError where `cache` is in one of them.
    """
    if cache is None:
        if (default := cache_dir()) is None:
            raise ConfigError("No HOME says where your files lie: name a folder for decoded pictures with cache.")
        return default / "pictures"
    place = cache.resolve()
    if any(place.is_relative_to(one.resolve()) for one in data):
        raise ConfigError(
            f"cache is {cache}, inside of the data's folder, which is never written to; name another one."
        )
    return cache


def decoded(pictures: Pictures, folder: Path, tell: Callable[[str], None]) -> Decoded:
    """Return the rows of pictures, from `folder` where they are there, else decoded into it.

    tell(line) : told what takes long, and which pictures were left out. Raises DataError where more than
    `BROKEN_PER_HUNDRED` are broken, OutputError where the folder cannot be written to.
    """
    version = check_pillow()
    place = f"{pictures.root.resolve()}\0{pictures.size}\0{pictures.grey}"
    name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    rows_path, facts_path = folder / f"{name}.npy", folder / f"{name}.json"
    key = _key(pictures, version)
    found = _read(rows_path, facts_path, key, pictures.width)
    if found is None:
        try:
            make_folder(folder)
            for path in dead_parts(folder):
                path.unlink(missing_ok=True)
            facts = _write(rows_path, pictures, tell)
            write_whole(facts_path, json.dumps(facts | {"key": key}))
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"{folder} cannot take decoded pictures ({error}). {remedy(error, 'name another folder with cache')}"
            ) from error
        found = _read(rows_path, facts_path, key, pictures.width)
        if found is None:
            raise OutputError(f"{folder} does not give back what was written. Name another folder with cache.")
    if found.broken:
        tell(f"Left out {_listed(pictures, found.broken)}.")
    return found


def _key(pictures: Pictures, version: str) -> str:
    """Return a digest of all that the rows depend on; a file's ctime is the one time that no copying sets back."""
    digest = hashlib.sha256(
        repr((_FORM, version, os.fspath(pictures.root.resolve()))).encode("utf-8", "backslashreplace")
    )
    for name in pictures.names:
        status = (pictures.root / name).stat()
        facts = (name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(repr(facts).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _read(rows_path: Path, facts_path: Path, key: str, width: int) -> Decoded | None:
    try:
        facts = json_of(read_small(facts_path))
        if facts["key"] != key:
            return None
        broken = {int(number): str(reason) for number, reason in facts["broken"].items()}
        # "c": as in `fastmlp.data.mapped`; the file is mapped before it is read, as it may be replaced meanwhile
        rows = np.asarray(mapped(rows_path, "c"))
        if rows.dtype != np.uint8 or rows.shape != (facts["count"] - len(broken), width):
            return None
        if hashlib.sha256(rows.data).hexdigest() != facts["sha256"]:
            return None
        kept = np.delete(np.arange(facts["count"]), sorted(broken))
        return Decoded(rows, kept, broken) if len(kept) == len(rows) else None
    except (OSError, DataError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None  # missing, damaged, or of another form: it is written anew


def _write(path: Path, pictures: Pictures, tell: Callable[[str], None]) -> dict[str, Any]:
    """Decode all pictures into a new file at `path`; return the facts of it."""
    count, digest, broken = len(pictures.names), hashlib.sha256(), {}
    tell(f"Decoding {count:,} pictures, once, into {path.parent}.")
    told = time.monotonic()
    with replacing(path, elsewhere="name another folder with cache") as part:
        part.file.write(_header(count, pictures.width))
        for number, row in enumerate(_rows(pictures)):
            if isinstance(row, np.ndarray):
                part.file.write(row.data)
                digest.update(row.data)
            else:
                broken[number] = row
                if len(broken) > -(-count * BROKEN_PER_HUNDRED // 100):
                    raise DataError(
                        f"{_listed(pictures, broken)}, of the first {number + 1:,}. At most {BROKEN_PER_HUNDRED} in "
                        "100 may be broken: remove them, or fetch them again"
                    )
            if time.monotonic() - told > _SECONDS:
                told = time.monotonic()
                tell(f"Decoded {number + 1:,} of {count:,} pictures.")
        if len(broken) == count:
            raise DataError(f"none of its pictures can be read: {_listed(pictures, broken)}")
        part.file.seek(0)
        part.file.write(_header(count - len(broken), pictures.width))
    return {"count": count, "broken": broken, "sha256": digest.hexdigest()}


def _header(count: int, width: int) -> bytes:
    """Return the header of a .npy file of (count, width) uint8; its length is the same for every count."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": (count, width)}).encode()
    return b"\x93NUMPY\1\0" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11) + b"\n"


def _rows(pictures: Pictures) -> Iterator[np.ndarray | str]:
    """Yield each picture's row (D,) uint8, or why it has none, in their order, decoded by as many threads as cores."""
    from loky import cpu_count

    def one(name: str) -> np.ndarray | str:
        try:
            return read_whole_picture(pictures.root / name, pictures.size, grey=pictures.grey)
        except (DataError, OSError) as error:
            return str(error) if isinstance(error, DataError) else str(error.strerror)

    cores = cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        for first in range(0, len(pictures.names), 16 * cores):
            yield from pool.map(one, pictures.names[first : first + 16 * cores])


def _listed(pictures: Pictures, broken: dict[int, str]) -> str:
    shown = [f"{pictures.names[number]} ({reason})" for number, reason in list(broken.items())[:_SHOWN]]
    more = f" and {len(broken) - _SHOWN:,} more" if len(broken) > _SHOWN else ""
    files = "one picture that cannot" if len(broken) == 1 else f"{len(broken):,} pictures that cannot"
    return f"{files} be read: {', '.join(shown)}{more}"
