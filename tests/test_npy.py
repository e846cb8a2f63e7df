"""Headers of arrays: what numpy writes is read, and whatever else a header says is refused before memory is taken."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as numpy_format

from fastmlp.errors import DataError
from fastmlp.npy import mapped, read_header, read_zip


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    data = io.BytesIO()
    numpy_format.write_array(data, array, version)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["?", "u1", "i2", "<f4", ">f8", "f2", "U7", "i8"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (1, 2, 3, 4)])
def test_what_numpy_writes_comes_back(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    array = np.arange(24)[: int(np.prod(shape))].reshape(shape).astype(kind)
    for i, one in enumerate((array, np.array(array, order="F"))):
        np.save(tmp_path / f"{i}.npy", one)
        np.testing.assert_array_equal(mapped(tmp_path / f"{i}.npy", "r"), array, strict=True)
    np.savez(tmp_path / "both.npz", a=array, b=np.array(array, order="F"))
    for one in read_zip(tmp_path / "both.npz").values():
        np.testing.assert_array_equal(one, array, strict=True)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_is_read(version: tuple[int, int]) -> None:
    content = npy(np.zeros((3, 2)), version)
    assert read_header(io.BytesIO(content), len(content))[:3] == ((3, 2), np.float64, False)


PLAIN = npy(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not begin"),
        (b"PK\3\4" + PLAIN, "does not begin"),  # numpy takes it for a zip: BadZipFile
        (PLAIN[:20], "header"),
        (PLAIN.replace(b"{'descr'", b"{\"'''cr'"), "header"),  # tokenize.TokenError
        (PLAIN.replace(b"(3, 2)", b"(3, (("), "header"),
        (PLAIN.replace(b"(3, 2)", b"(3, 3)"), "has 176 bytes, and an array of float64 of shape .3, 3. would take 200"),
        (PLAIN.replace(b"(3, 2), }  ", b"(-3, 2), } "), "header"),
        (PLAIN.replace(b"(3, 2), }" + b" " * 12, b"(999999999999, 2), }  "), "would take 16,000,000,000,112"),
        (PLAIN.replace(b"'<f8'", b"'<f9'"), "unknown kind"),
        (PLAIN.replace(b"'<f8'", b"'|O8'"), "header"),
        (PLAIN[:-1], "175 bytes"),
        (PLAIN + b"\0", "177 bytes"),
        (b"\x93NUMPY\2\0\xff\xff\xff\xff" + PLAIN, "header"),
    ],
)
def test_what_a_header_may_not_say_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_header(io.BytesIO(content), len(content))


def test_zips_that_claim_more_or_are_damaged_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(9999))
    with pytest.raises(DataError, match="holds more than it does"):
        read_zip(path)
    np.savez(path, a=np.arange(999.0))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        read_zip(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", PLAIN)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.npy", PLAIN)
    with pytest.raises(DataError, match="holds more than it does"):
        read_zip(path)
