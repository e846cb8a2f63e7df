"""Rows and targets in `.npz` files and folders of `.npy` files, mapped into memory where they lie there as they are.

Nothing is unpickled. A mapped file must not be changed while it is used.
"""

import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import fstat
from pathlib import Path
from typing import IO

import numpy as np

from fastmlp.data.raw import TEST, TRAIN, VALIDATION, Raw
from fastmlp.data.sources.ask import Ask
from fastmlp.data.sources.build import Given, raw_of
from fastmlp.data.sources.packed import MOST_UNPACKED
from fastmlp.errors import ConfigError, DataError, suggestion
from fastmlp.files import opened
from fastmlp.npy import Header, read_header

ROWS = ("x", "data", "features", "images")
TARGETS = ("y", "target", "targets", "label", "labels")
PART_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
NAMES_ALLOWED = "x and y, or x_train, y_train, x_test, y_test and, if there is such a part, x_val, y_val"
_MOST_RATIO = 1032  # of what deflate can make of a byte
_LOCAL_HEADER = struct.Struct("<4s22xHH")

_Load = Callable[[], np.ndarray]


def is_folder_of_arrays(path: Path) -> bool:
    """Whether a folder holds rows in a .npy file."""
    return path.is_dir() and any(_role(one.stem)[0] in ROWS for one in _npy_files(path))


def read_folder(ask: Ask) -> Raw:
    """Read a folder of .npy files, such as x.npy and y.npy."""
    loads = {one.stem: _from_file(one) for one in _npy_files(ask.path)}
    return _read(ask, loads, "arrays of a folder of .npy files")


def read_npz(ask: Ask) -> Raw:
    """Read an .npz file, of `np.savez` or `np.savez_compressed`.

    uint8 arrays that are not packed are mapped. Floats are read into memory, as numpy saves them there at odd bytes.
    """
    with _archive(ask.path) as loads:
        return _read(ask, loads, "arrays of an .npz file")


@contextmanager
def _archive(path: Path) -> Iterator[dict[str, _Load]]:
    """Give the arrays of an .npz file by name, each to be loaded while it is open."""
    with opened(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # a damaged zip can raise nearly anything
            raise DataError(f"it is no .npz file that can be read ({error}). Save it again with np.savez") from error
        with archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            loads = {info.filename.removesuffix(".npy"): _from_member(file, archive, info) for info in infos}
            if len(loads) < len(infos):
                raise DataError("two of its arrays have one name. Save it again with np.savez")
            yield loads


def rows_alone(path: Path) -> np.ndarray | None:
    """Return the rows (M, ...), of any dtype of numbers, in a .npy or .npz file or a folder of .npy files.

    None for any other path. The file may have no targets.
    """
    if path.suffix.lower() == ".npy":
        return _from_file(path)()
    if path.suffix.lower() == ".npz":
        with _archive(path) as loads:
            return _loaded(loads, _name_of_rows(loads))
    if is_folder_of_arrays(path):
        loads = {one.stem: _from_file(one) for one in _npy_files(path)}
        return _loaded(loads, _name_of_rows(loads))
    return None


def _name_of_rows(loads: dict[str, _Load]) -> str:
    found = [name for name in loads if _role(name)[0] in ROWS] or list(loads)
    if len(found) != 1:
        raise DataError(f"it holds {', '.join(loads) or 'no array'}; expected is one array of rows, called x")
    return found[0]


def _npy_files(folder: Path) -> Iterable[Path]:
    found = (one for one in folder.iterdir() if one.suffix == ".npy" and not one.name.startswith("."))
    return sorted(one for one in found if one.is_file())


def _role(name: str) -> tuple[str, int | None]:
    """Return what a name such as `x_train` or `test_images` says: a word, and its part."""
    words = re.split(r"[_-]", name.lower())
    parts = [PART_WORDS[word] for word in words if word in PART_WORDS]
    rest = "_".join(word for word in words if word not in PART_WORDS)
    return rest, parts[0] if len(parts) == 1 else None


def _read(ask: Ask, loads: dict[str, _Load], source: str) -> Raw:
    wanted = TARGETS if ask.target is None else (ask.target.lower(),)
    roles = {name: (name.lower(), None) if name == ask.target else _role(name) for name in loads}
    rows = {name: role for name, role in roles.items() if role[0] in ROWS}
    targets = {name: role for name, role in roles.items() if role[0] in wanted and name not in rows}
    held = f"it holds {', '.join(loads) or 'no array'}"
    if not targets and ask.target is not None:
        others = [name for name in loads if name not in rows]
        raise ConfigError(f"target is {ask.target!r}, which is no array there; {held}.{suggestion(ask.target, others)}")
    if not rows or not targets:
        raise DataError(f"{held}; expected are {NAMES_ALLOWED}")
    given = []
    for what, some in (("rows", rows), ("targets", targets)):
        if len(some) != len({part for _, part in some.values()}) or len({word for word, _ in some.values()}) > 1:
            raise DataError(f"it holds several arrays of {what}: {', '.join(some)}; expected are {NAMES_ALLOWED}")
    by_part = {part: name for name, (_, part) in targets.items()}
    parts = {part for _, part in rows.values()}
    if parts != set(by_part) or (None in parts and len(parts) > 1):
        raise DataError(
            f"rows {', '.join(rows)} and targets {', '.join(targets)} do not pair; expected are {NAMES_ALLOWED}"
        )
    for name, (_, part) in sorted(rows.items(), key=lambda one: one[1][1] or 0):
        given.append(Given(_loaded(loads, name), _loaded(loads, by_part[part]), part))
    return raw_of(ask, given, ask.target or next(iter(targets.values()))[0], source)


def _loaded(loads: dict[str, _Load], name: str) -> np.ndarray:
    try:
        return loads[name]()
    except MemoryError:
        raise
    except Exception as error:  # a damaged zip can raise nearly anything
        raise DataError(f"{name} cannot be read: {error}") from error


def _from_file(path: Path) -> _Load:
    def load() -> np.ndarray:
        with opened(path) as file:
            return _mapped(file, 0, _header(file, fstat(file.fileno()).st_size))

    return load


def _from_member(file: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Load:
    def load() -> np.ndarray:
        is_stored = info.compress_type == zipfile.ZIP_STORED
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError("it is packed in a form that np.savez_compressed does not write")
        if info.file_size > info.compress_size * (1 if is_stored else _MOST_RATIO) + 64:
            raise DataError(f"it says that it unpacks to {info.file_size:,} bytes, which it cannot hold")
        if not is_stored and info.file_size > MOST_UNPACKED:
            raise DataError(
                f"it unpacks to {info.file_size:,} bytes, and {MOST_UNPACKED:,} are allowed in memory; save it with "
                "np.savez, which does not pack"
            )
        with archive.open(info) as member:
            header = _header(member, info.file_size)
            if is_stored:
                while member.read(1 << 20):  # to the end, where zipfile checks the CRC
                    pass
            else:
                content = bytearray()
                while block := member.read(1 << 20):
                    content += block
                order = "F" if header.fortran_order else "C"
                return np.frombuffer(content, header.dtype).reshape(header.shape, order=order)
        return _mapped(file, _start(file, info), header)

    return load


def _start(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Return the byte of the zip that a member's content begins with: its header there may be longer than the index."""
    file.seek(info.header_offset)
    mark, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if mark != b"PK\3\4":
        raise DataError("its place in the file is another one's")
    return info.header_offset + _LOCAL_HEADER.size + name + extra


def _header(file: IO[bytes], size: int) -> Header:
    try:
        header = read_header(file, size)
    except DataError as error:
        raise DataError(
            f"{error}. Allowed are arrays of numbers and of text; objects are pickles, which are never read: save them "
            "with astype(str) or astype(float)"
        ) from error
    if not header.shape or 0 in header.shape or not header.dtype.itemsize:
        raise DataError(f"its shape is {header.shape} of {header.dtype}; there must be one row at least")
    return header


def _mapped(file: IO[bytes], start: int, header: Header) -> np.ndarray:
    # "c": pages are shared until someone writes, which nobody does; compiled code takes read-only arrays for another
    # type, and would be compiled anew
    order = "F" if header.fortran_order else "C"
    return np.asarray(np.memmap(file, header.dtype, "c", start + header.at, header.shape, order))
