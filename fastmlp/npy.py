"""A strict reader of arrays in `.npy` files and in zips of them: a header must agree with the size of its file.

numpy's reader evaluates a header as Python text: a damaged one can raise nearly anything, warn, or claim any size.
"""

import re
import zipfile
from math import prod
from os import fstat
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from fastmlp.errors import DataError
from fastmlp.files import opened

# As every writer of the format has it: the keys in this order. U: text, of which numpy makes an array.
_HEADER = re.compile(
    r"\{ *'descr': *'([<>|=]?[biufU]\d{1,9})', *'fortran_order': *(True|False), *"
    r"'shape': *\(((?: *\d{1,15},)*(?: *\d{1,15})?) *\) *,? *\}[ \n]*"
)
_MOST_HEADER = 10_000  # bytes
_MOST_AXES = 16


class Header(NamedTuple):
    """The header of a `.npy` file; at : the byte that the array begins with."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    at: int


def read_header(file: IO[bytes], size: int) -> Header:
    """Read the header of a `.npy` file of `size` bytes.

    Raises DataError where it does not agree with that size, or the array is neither of numbers nor of text.
    """
    start = file.read(8)
    if start not in (b"\x93NUMPY\1\0", b"\x93NUMPY\2\0", b"\x93NUMPY\3\0"):
        raise DataError("it does not begin as a .npy file")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    match = _HEADER.fullmatch(file.read(length).decode("latin1")) if length <= _MOST_HEADER else None
    if match is None:
        raise DataError("its header is not that of an array of numbers")
    shape = tuple(int(n) for n in match[3].split(",") if n.strip())
    if len(shape) > _MOST_AXES:
        raise DataError(f"its array has {len(shape)} axes")
    try:
        dtype = np.dtype(match[1])
    except (TypeError, ValueError) as error:
        raise DataError(f"its numbers are of the unknown kind {match[1]!r}") from error
    header = Header(shape, dtype, match[2] == "True", 8 + width + length)
    if (wanted := header.at + prod(shape) * dtype.itemsize) != size:
        raise DataError(f"it has {size:,} bytes, and an array of {dtype} of shape {shape} would take {wanted:,}")
    return header


def mapped(path: Path, mode: Literal["r", "c"]) -> np.ndarray:
    """Return the array of a `.npy` file, of any shape and dtype, mapped as by `np.memmap` in this mode.

    Raises DataError for any other file, OSError where it cannot be read.
    """
    with opened(path) as file:
        header = read_header(file, fstat(file.fileno()).st_size)
        order = "F" if header.fortran_order else "C"
        return np.memmap(file, header.dtype, mode, header.at, header.shape, order)


def members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an uncompressed zip of `size` bytes by name; DataError where they claim to be larger."""
    infos = {info.filename: info for info in archive.infolist()}
    if sum(info.file_size for info in archive.infolist()) > size or len(infos) < len(archive.infolist()):
        raise DataError("it says that it holds more than it does")  # compressed, cut off, or made to mislead
    return infos


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[Header, bytes]:
    """Return header and bytes of an array in a zip, read to the end, where zipfile checks the CRC."""
    with archive.open(info) as member:
        header = read_header(member, info.file_size)
        return header, member.read()


def read_zip(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an uncompressed `.npz` file by name, of any shape and dtype but pickled objects.

    Raises DataError for any other file, OSError where it cannot be read.
    """
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                infos = members(archive, fstat(file.fileno()).st_size)
                return {name.removesuffix(".npy"): _array(*read_member(archive, one)) for name, one in infos.items()}
        except Exception as error:  # a damaged zip can raise nearly anything
            raise DataError(f"it is no .npz file that can be read ({error})") from error


def _array(header: Header, content: bytes) -> np.ndarray:
    order = "F" if header.fortran_order else "C"
    return np.frombuffer(bytearray(content), header.dtype).reshape(header.shape, order=order)
